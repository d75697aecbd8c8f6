//! The guard as the stream that pingora reads and writes.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use bytes::Buf;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType, raw_connect::ProxyDigest,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::{
    Guard, Refusal,
    answer::Answer,
    guard::{Message, Phase},
};

/// How much beyond a message is read while its answer is under way. Some must be, because the end of
/// the stream, which tells that the client has gone, lies behind it.
const LOOKAHEAD: usize = 4096;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> AsyncRead for Guard<S> {
    /// The head, then the body, then nothing until the client goes; in a tunnel everything.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.reader.register(cx.waker());
        if let Some(refusal) = this.refusal {
            return Poll::Ready(Err(refusal.into()));
        }
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // pingora flushes an answer of known length at its end only. While it waits, what the app has said
        // so far must not wait with it. An error is the next writer's to tell.
        let _ = this.outbox.poll_flush(&mut this.socket, cx);
        match &mut this.phase {
            Phase::Idle => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            Phase::Message(message) if !message.unread.is_empty() => {
                let here = message.unread.len().min(buf.remaining());
                buf.put_slice(&message.unread.split_to(here));
                Poll::Ready(Ok(()))
            }
            Phase::Message(message) if message.body.is_done() => this.poll_beyond(cx),
            Phase::Message(_) => this.poll_body(cx, buf),
            Phase::Tunnel if this.held.is_empty() => Pin::new(&mut this.socket).poll_read(cx, buf),
            Phase::Tunnel => {
                let here = this.held.len().min(buf.remaining());
                buf.put_slice(&this.held[..here]);
                this.held.advance(here);
                this.free_held();
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> Guard<S> {
    /// Bytes of the body: those that were held first, then the socket's.
    fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Phase::Message(message) = &mut self.phase else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let before = buf.filled().len();
        let held = self.held.len().min(buf.remaining());
        if held > 0 {
            buf.put_slice(&self.held[..held]);
        } else {
            ready!(poll_socket(&mut self.socket, message, cx, buf)).inspect_err(|error| {
                self.refusal = self.refusal.or(Refusal::within(error));
            })?;
        }
        let came = &buf.filled()[before..];
        if came.is_empty() {
            self.ended = true;
            return Poll::Ready(Ok(()));
        }
        match message.body.feed(came) {
            Ok(used) => {
                if held > 0 {
                    self.held.advance(used);
                } else {
                    self.held.extend_from_slice(&came[used..]);
                }
                buf.set_filled(before + used);
                message.pace.received(used);
                self.free_held();
                Poll::Ready(Ok(()))
            }
            Err(refusal) => {
                buf.set_filled(before);
                self.refusal = Some(refusal);
                Poll::Ready(Err(refusal.into()))
            }
        }
    }

    /// Nothing is to be read any more; but when the client goes, pingora must know.
    fn poll_beyond(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.ended {
            if self.held.len() >= LOOKAHEAD {
                return Poll::Pending;
            }
            ready!(self.poll_fill(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads from the socket while the pace is watched.
fn poll_socket<S: AsyncRead + Unpin>(
    socket: &mut S,
    message: &mut Message,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let read = match message.pace.waker(cx) {
        Some(waker) => Pin::new(socket).poll_read(&mut Context::from_waker(&waker), buf),
        None => Pin::new(socket).poll_read(cx, buf),
    };
    if read.is_pending() {
        ready!(message.pace.poll_exhausted(cx));
        return Poll::Ready(Err(Refusal::BodyTooSlow.into()));
    }
    read
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> AsyncWrite for Guard<S> {
    /// Writes an answer, and opens the tunnel when it is `101` to a WebSocket handshake.
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Phase::Message(message) = &this.phase
            && message.answer.after(bytes) == Answer::Switched
            && !message.head.websocket()
        {
            return Poll::Ready(Err(io::Error::other(
                "the app answers 101 to a request that is no WebSocket handshake",
            )));
        }
        let written = ready!(this.outbox.poll_write(&mut this.socket, cx, bytes))?;
        if let Phase::Message(message) = &mut this.phase {
            message.answer = message.answer.after(&bytes[..written]);
            message.pace.resume();
            if message.answer == Answer::Switched {
                this.phase = Phase::Tunnel;
                this.reader.wake();
            }
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.outbox.poll_flush(&mut this.socket, cx)
    }

    /// pingora calls this when an answer is complete and the connection is not to be used again. A
    /// client that is still sending its body gets the answer first, not a reset.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_close(cx)
    }
}

#[async_trait]
impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> Shutdown for Guard<S> {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl<S> UniqueID for Guard<S> {
    fn id(&self) -> UniqueIDType {
        self.peer.fd()
    }
}

impl<S> Ssl for Guard<S> {}

impl<S: Send> Peek for Guard<S> {}

impl<S> GetTimingDigest for Guard<S> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl<S> GetProxyDigest for Guard<S> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl<S> GetSocketDigest for Guard<S> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.peer.digest())
    }
}
