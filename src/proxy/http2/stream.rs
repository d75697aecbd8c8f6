//! One HTTP/2 request, as pingora reads it and answers it.
//!
//! pingora has a session of its own for HTTP/2. This one keeps what that one cannot: the answering half goes home when
//! it is dropped, so that somebody else can still answer; and a body that drips is given up
//! (`docs/decisions/0008-http2.md`).

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::Stream as Messages;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, header};
use pingora::{
    Error, ErrorSource, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    protocols::{
        Digest,
        http::{
            HttpTask,
            custom::{CustomMessageWrite, server::Session},
        },
        l4::socket::SocketAddr,
    },
};

use super::{lookout::Brought, voice::Voice};
use crate::proxy::{
    Exchange,
    lent::Lent,
    wire::{Head, Pace, Refusal},
};

/// Most bytes of a body that are kept to send them a second time, to an app that has refused the first.
const MOST_KEPT: usize = 64 * 1024;

/// How slowly a body may come.
pub(super) struct Slowness {
    pace: Pace,
    /// Bytes a second.
    rate: u64,
    /// What the whole connection has brought, now and when the time of this body began to run.
    brought: Brought,
    before: u64,
}

impl Slowness {
    /// Holds a body to `rate`; `paused` until the client may send.
    pub(super) fn new(rate: u64, paused: bool, brought: Brought) -> Self {
        let before = brought.load(Ordering::Relaxed);
        Self { pace: Pace::new(rate, paused), rate, brought, before }
    }

    /// The time of this body is over. Bodies share a connection: one waits while another comes, and that is no fault
    /// of the client, as long as all of them together come fast enough.
    fn is_excused(&mut self) -> bool {
        let now = self.brought.load(Ordering::Relaxed);
        let excused = now.saturating_sub(self.before) >= self.rate.saturating_mul(Pace::CREDIT.as_secs());
        if excused {
            *self = Self::new(self.rate, false, Arc::clone(&self.brought));
        }
        excused
    }
}

/// A request that pingora serves.
pub(super) struct Stream {
    request: RequestHeader,
    body: RecvStream,
    slowness: Slowness,
    over: bool,
    received: usize,
    kept: Option<BytesMut>,
    kept_all: bool,
    voice: Lent<Voice>,
    written: Option<Box<ResponseHeader>>,
    sent: usize,
    patience: Option<Duration>,
}

impl Stream {
    /// A request that was judged.
    pub(super) fn new(
        head: &Head,
        exchange: Arc<Exchange>,
        body: RecvStream,
        slowness: Slowness,
        voice: Lent<Voice>,
    ) -> Result<Self> {
        let mut request =
            RequestHeader::build_no_case(head.method(), head.target().to_origin_form().as_bytes(), Some(16))?;
        for (name, value) in head.fields() {
            request.append_header(name.to_owned(), value)?;
        }
        // How the phases find it: pingora gives nothing else on.
        request.extensions_mut().insert(exchange);
        Ok(Self {
            request,
            over: body.is_end_stream(),
            body,
            slowness,
            received: 0,
            kept: None,
            kept_all: true,
            voice,
            written: None,
            sent: 0,
            patience: None,
        })
    }

    fn voice(&mut self) -> Result<&mut Voice> {
        self.voice.get_mut().ok_or_else(|| Error::explain(ErrorType::InternalError, "the voice has gone home"))
    }

    /// The next piece of the body. Trailers are not read: no app of HTTP/1.1 could tell them from fields of the head,
    /// and no client of gRPC has any.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        loop {
            let read = match self.slowness.pace.waker(cx) {
                Some(waker) => self.body.poll_data(&mut Context::from_waker(&waker)),
                None => self.body.poll_data(cx),
            };
            let Poll::Ready(read) = read else {
                ready!(self.slowness.pace.poll_exhausted(cx));
                if self.slowness.is_excused() {
                    continue;
                }
                let slow = Error::because(ErrorType::ReadError, "reading a body", Refusal::BodyTooSlow);
                return Poll::Ready(Err(slow.into_down()));
            };
            let Some(piece) = read.transpose().map_err(|error| {
                // Reset by the client, or by the library because it is not as long as it says.
                Error::because(ErrorType::ReadError, "reading a body", error).into_down()
            })?
            else {
                self.over = true;
                return Poll::Ready(Ok(None));
            };
            self.slowness.pace.received(piece.len());
            self.received += piece.len();
            let _ = self.body.flow_control().release_capacity(piece.len());
            if let Some(kept) = &mut self.kept {
                self.kept_all &= kept.len() + piece.len() <= MOST_KEPT;
                if self.kept_all {
                    kept.extend_from_slice(&piece);
                }
            }
            return Poll::Ready(Ok(Some(piece)));
        }
    }

    /// Resolves when the client gives up, with what that is for pingora.
    async fn given_up(&mut self) -> Box<Error> {
        let voice = &mut self.voice;
        let reset = poll_fn(|cx| voice.get_mut().map_or(Poll::Pending, |voice| voice.poll_reset(cx).map(Some))).await;
        let why = match reset {
            Some(Ok(reason)) => Error::explain(ErrorType::ConnectionClosed, reason.to_string()),
            Some(Err(error)) => Error::because(ErrorType::ConnectionClosed, "waiting for the answer", error),
            None => Error::new(ErrorType::ConnectionClosed),
        };
        why.into_down()
    }
}

/// Whose fault it is that an answer does not go out, when nothing else is known.
fn of_client(error: Box<Error>) -> Box<Error> {
    match error.esource() {
        ErrorSource::Unset => error.into_down(),
        ErrorSource::Upstream | ErrorSource::Downstream | ErrorSource::Internal => error,
    }
}

#[async_trait]
impl Session for Stream {
    fn req_header(&self) -> &RequestHeader {
        &self.request
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.request
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        match self.over {
            true => Ok(None),
            false => poll_fn(|cx| self.poll_body(cx)).await,
        }
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        match no_body_expected || self.is_body_done() {
            true => Err(self.given_up().await),
            false => self.read_body_bytes().await,
        }
    }

    /// A stream is not used again: what is left of the body is nobody's.
    async fn drain_request_body(&mut self) -> Result<()> {
        Ok(())
    }

    fn is_body_done(&mut self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn is_body_empty(&mut self) -> bool {
        let is_zero = |length: &HeaderValue| length.as_bytes().iter().all(|digit| *digit == b'0');
        let announced_empty = self.request.headers.get(header::CONTENT_LENGTH).is_some_and(is_zero);
        self.received == 0 && (announced_empty || self.is_body_done())
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.voice()?.head(&head, end).map_err(of_client)?;
        if head.status.is_informational() {
            // The client may send now.
            self.slowness.pace.resume();
        } else {
            // What comes beside an answer is a conversation, and may have its silences.
            self.slowness.pace = Pace::new(0, false);
            self.written = Some(head);
        }
        Ok(())
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.write_response_header(Box::new(head.clone()), end).await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        let (length, patience) = (data.len(), self.patience);
        self.voice()?.body(data, end, patience).await.map_err(of_client)?;
        self.sent += length;
        Ok(())
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.voice()?.trailers(trailers).map_err(of_client)
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let mut ended = false;
        for task in tasks {
            ended |= match task {
                HttpTask::Header(head, end) => {
                    self.write_response_header(head, end).await?;
                    end
                }
                HttpTask::Body(data, end) => {
                    if let Some(data) = data.filter(|data| !data.is_empty()) {
                        self.write_body(data, end).await?;
                    }
                    end
                }
                HttpTask::UpgradedBody(..) => {
                    return Err(Error::explain(ErrorType::InternalError, "an upgrade in HTTP/2"));
                }
                HttpTask::Trailer(Some(trailers)) => {
                    self.write_trailers(*trailers).await?;
                    true
                }
                HttpTask::Trailer(None) | HttpTask::Done => true,
                HttpTask::Failed(error) => return Err(error),
            };
        }
        if ended {
            self.finish().await?;
        }
        Ok(ended)
    }

    async fn finish(&mut self) -> Result<()> {
        self.voice()?.end().map_err(of_client)
    }

    async fn shutdown(&mut self, _code: u32, _why: &str) {
        if let Some(voice) = self.voice.get_mut() {
            voice.reset(Reason::INTERNAL_ERROR);
        }
    }

    fn set_read_timeout(&mut self, _timeout: Option<Duration>) {}

    fn get_read_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.patience = timeout;
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.patience
    }

    fn set_total_drain_timeout(&mut self, _timeout: Option<Duration>) {}

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        None
    }

    /// For logs of pingora, which nobody sees: neither path nor query.
    fn request_summary(&self) -> String {
        self.request.method.to_string()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.written.as_deref()
    }

    fn body_bytes_sent(&self) -> usize {
        self.sent
    }

    fn body_bytes_read(&self) -> usize {
        self.received
    }

    fn digest(&self) -> Option<&Digest> {
        None
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        None
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        Bytes::new()
    }

    fn enable_retry_buffering(&mut self) {
        self.kept.get_or_insert_default();
    }

    fn retry_buffer_truncated(&self) -> bool {
        !self.kept_all
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        self.kept.as_ref().filter(|kept| self.kept_all && !kept.is_empty()).map(|kept| Bytes::copy_from_slice(kept))
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn Messages<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _reader: Box<dyn Messages<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _writer: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}
