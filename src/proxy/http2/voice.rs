//! What an HTTP/2 request is answered with: the head of an answer once, then its body, its trailers, its end.

use std::{
    future::poll_fn,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, SendStream, server::SendResponse};
use http::{HeaderMap, Response, header};
use pingora::{Error, ErrorType, OrErr, http::ResponseHeader, protocols::http::date::get_cached_date};
use tokio::time::timeout;

use crate::proxy::{Answer, wire::OF_HTTP_1};

/// How long a client may take to fetch an answer that nobody waits for.
const FETCHING: Duration = Duration::from_secs(3);

/// Fields that mean something in a head only: what frames a message, and what a browser keeps.
const NOT_IN_TRAILERS: &[&str] =
    &["content-length", "te", "trailer", "host", "set-cookie", "cache-control", "location"];

/// The answering half of a stream.
pub(super) enum Voice {
    /// Nothing was said, or `100 Continue` and its kin.
    Silent(SendResponse<Bytes>),
    /// The head was sent, and perhaps all.
    Speaking {
        /// For the rest.
        stream: SendStream<Bytes>,
        /// Whether there is no rest.
        done: bool,
    },
    /// Broken off by us.
    Broken,
}

impl Voice {
    /// Whether the answer is complete.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Speaking { done: true, .. } | Self::Broken)
    }

    /// Sends the head of an answer, or an informational one. `end` when nothing follows.
    pub(super) fn head(&mut self, head: &ResponseHeader, end: bool) -> pingora::Result<()> {
        if head.status.as_u16() == 101 {
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, "an upgrade in HTTP/2").into_up());
        }
        if head.status.is_informational() {
            return self.interim(Response::from_parts(head.as_owned_parts(), ()));
        }
        self.begin(Response::from_parts(head.as_owned_parts(), ()), end)
    }

    /// Tells the client something before the answer.
    pub(super) fn interim(&mut self, mut head: Response<()>) -> pingora::Result<()> {
        without_connection(&mut head);
        let Self::Silent(response) = self else { return Err(unexpected("an interim head behind the answer's")) };
        response.send_informational(head).or_err(ErrorType::WriteError, "telling the client something")
    }

    /// Begins an answer. `end` when nothing follows.
    pub(super) fn begin(&mut self, mut head: Response<()>, end: bool) -> pingora::Result<()> {
        without_connection(&mut head);
        head.headers_mut().entry(header::DATE).or_insert_with(get_cached_date);
        let Self::Silent(response) = self else { return Err(unexpected("a second head of an answer")) };
        let stream =
            response.send_response(head, end).or_err(ErrorType::WriteError, "writing the head of an answer")?;
        *self = Self::Speaking { stream, done: end };
        Ok(())
    }

    /// Sends a piece of the body, as fast as the client takes it.
    pub(super) async fn body(&mut self, mut data: Bytes, end: bool, patience: Option<Duration>) -> pingora::Result<()> {
        let Self::Speaking { stream, done: done @ false } = self else {
            return Err(unexpected("a body outside of an answer"));
        };
        while !data.is_empty() {
            stream.reserve_capacity(data.len());
            let room = match patience {
                Some(patience) => timeout(patience, room(stream)).await.map_err(|_late| {
                    Error::explain(ErrorType::WriteTimedout, "the client takes nothing of an answer")
                })??,
                None => room(stream).await?,
            };
            let piece = data.split_to(room.min(data.len()));
            *done = end && data.is_empty();
            stream.send_data(piece, *done).or_err(ErrorType::WriteError, "writing a body")?;
        }
        if end { self.end() } else { Ok(()) }
    }

    /// Ends the answer, when it has begun.
    pub(super) fn end(&mut self) -> pingora::Result<()> {
        if let Self::Speaking { stream, done: done @ false } = self {
            *done = true;
            stream.send_data(Bytes::new(), true).or_err(ErrorType::WriteError, "ending a body")?;
        }
        Ok(())
    }

    /// Ends the answer with trailers.
    pub(super) fn trailers(&mut self, mut trailers: HeaderMap) -> pingora::Result<()> {
        let Self::Speaking { stream, done: done @ false } = self else {
            return Err(unexpected("trailers outside of an answer"));
        };
        for name in OF_HTTP_1.iter().chain(NOT_IN_TRAILERS) {
            trailers.remove(*name);
        }
        *done = true;
        stream.send_trailers(trailers).or_err(ErrorType::WriteError, "writing trailers")
    }

    /// Ends the stream, unless it is over, so that nobody takes what came for a whole answer.
    pub(super) fn reset(&mut self, reason: Reason) {
        if self.is_done() || self.was_reset() {
            return;
        }
        match self {
            Self::Silent(response) => response.send_reset(reason),
            Self::Speaking { stream, .. } => stream.send_reset(reason),
            Self::Broken => {}
        }
        // Else the client would be taken for the one who did it.
        *self = Self::Broken;
    }

    /// Sends an answer of our own.
    pub(super) async fn answer(
        &mut self,
        answer: &Answer,
        request_id: &str,
        head_only: bool,
        patience: Duration,
    ) -> pingora::Result<()> {
        let bodiless = head_only || answer.body().is_empty();
        self.head(&answer.head(request_id), bodiless)?;
        match bodiless {
            true => Ok(()),
            false => self.body(answer.body().clone(), true, Some(patience)).await,
        }
    }

    /// Sends an answer of our own when nothing was said yet; else breaks off.
    pub(super) async fn last_words(mut self, answer: Option<&Answer>, request_id: &str, head_only: bool) {
        let said = match answer {
            Some(answer) => self.answer(answer, request_id, head_only, FETCHING).await.is_ok(),
            None => false,
        };
        if !said {
            self.reset(Reason::CANCEL);
        }
    }

    /// Resolves when the stream is reset, by the client or for a fault of it.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reason, h2::Error>> {
        match self {
            Self::Silent(response) => response.poll_reset(cx),
            Self::Speaking { stream, .. } => stream.poll_reset(cx),
            Self::Broken => Poll::Pending,
        }
    }

    /// Whether the stream was reset before its answer was complete.
    pub(super) fn was_reset(&mut self) -> bool {
        !self.is_done() && self.poll_reset(&mut Context::from_waker(Waker::noop())).is_ready()
    }
}

/// Takes out what concerns a connection of HTTP/1.1.
fn without_connection(head: &mut Response<()>) {
    for name in OF_HTTP_1 {
        head.headers_mut().remove(*name);
    }
}

/// Waits until the client takes something.
async fn room(stream: &mut SendStream<Bytes>) -> pingora::Result<usize> {
    let gone = || Error::explain(ErrorType::ConnectionClosed, "the stream is closed").into_down();
    while stream.capacity() == 0 {
        match poll_fn(|cx| stream.poll_capacity(cx)).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(Error::because(ErrorType::WriteError, "waiting for room", error)),
            None => return Err(gone()),
        }
    }
    Ok(stream.capacity())
}

fn unexpected(what: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InternalError, what)
}
