//! Who gets the answer: a client of HTTP/1.1 here, one of HTTP/2 in its own room.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use http::Method;
use pingora::{Error, protocols::http::date::get_cached_date};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::timeout,
};

use super::{body::Framing, head::AnswerHead};
use crate::proxy::{
    Answer,
    connection::WRITE_TIMEOUT,
    exchange::Facts,
    wire::{Guard, Head},
};

/// Why an answer did not arrive whole.
pub(in crate::proxy) enum Broken {
    /// The app failed.
    App(Box<Error>),
    /// The client has gone.
    Gone,
}

/// Errors are the app's, unless they say so.
impl From<Box<Error>> for Broken {
    fn from(error: Box<Error>) -> Self {
        Self::App(error)
    }
}

/// A client that waits for an answer.
pub(in crate::proxy) trait Recipient: Send + Sync {
    /// The head of its request.
    fn request(&self) -> Option<&Head>;

    /// Tells it something before the answer (RFC 9110, section 15.2).
    fn interim(&mut self, head: &AnswerHead) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Begins the answer of an app.
    fn begin(&mut self, head: &AnswerHead, framing: Framing) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Goes on with it.
    fn content(&mut self, content: &[u8], is_last: bool) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Ends it.
    fn end(&mut self) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Breaks off, so that nobody takes what came for a whole answer.
    fn break_off(&mut self) -> impl Future<Output = ()> + Send;

    /// Ready when the client has gone. What was said before goes out meanwhile.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Gives an answer of the gateway's own, all of it.
    fn answer(&mut self, answer: &Answer, facts: &Facts) -> impl Future<Output = Result<(), Broken>> + Send;
}

/// A client of HTTP/1.1.
pub(in crate::proxy) struct Http1<'a, S> {
    guard: &'a mut Guard<S>,
    in_chunks: bool,
}

impl<'a, S> Http1<'a, S> {
    /// One whose request the guard has.
    pub(in crate::proxy) fn of(guard: &'a mut Guard<S>) -> Self {
        Self { guard, in_chunks: false }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> Http1<'_, S> {
    async fn put(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        in_time(self.guard.write_all(bytes)).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> Recipient for Http1<'_, S> {
    fn request(&self) -> Option<&Head> {
        self.guard.head()
    }

    async fn interim(&mut self, head: &AnswerHead) -> Result<(), Broken> {
        self.put(&head.to_bytes(false)).await
    }

    async fn begin(&mut self, head: &AnswerHead, framing: Framing) -> Result<(), Broken> {
        self.guard.settle();
        self.in_chunks = !matches!(framing, Framing::Length(_));
        self.put(&head.to_bytes(true)).await
    }

    async fn content(&mut self, content: &[u8], _is_last: bool) -> Result<(), Broken> {
        if !self.in_chunks {
            return self.put(content).await;
        }
        self.put(format!("{:x}\r\n", content.len()).as_bytes()).await?;
        self.put(content).await?;
        self.put(b"\r\n").await
    }

    async fn end(&mut self) -> Result<(), Broken> {
        if self.in_chunks {
            self.put(b"0\r\n\r\n").await?;
        }
        in_time(self.guard.flush()).await
    }

    async fn break_off(&mut self) {
        // What the app has said goes out, and then the connection ends: the client sees that it was not all.
        let _ = self.guard.shutdown().await;
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Nobody else reads the head: what the guard has to say now is that the client has gone.
        self.guard.settle();
        Pin::new(&mut *self.guard).poll_read(cx, &mut ReadBuf::new(&mut [0])).map(drop)
    }

    async fn answer(&mut self, answer: &Answer, facts: &Facts) -> Result<(), Broken> {
        self.guard.settle();
        let bytes = answer.to_bytes(&facts.request_id, facts.method == Method::HEAD, &get_cached_date());
        self.put(&bytes).await?;
        in_time(self.guard.flush()).await
    }
}

/// A write that the client takes within its time. Most are over at once, and need no timer.
async fn in_time(write: impl Future<Output = io::Result<()>>) -> Result<(), Broken> {
    let mut write = pin!(write);
    let written = match poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await {
        Poll::Ready(written) => Ok(written),
        Poll::Pending => timeout(WRITE_TIMEOUT, write).await,
    };
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Broken::Gone),
    }
}
