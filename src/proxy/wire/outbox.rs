//! Bytes on their way to the client.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;

/// What is gathered before it is written.
const CAPACITY: usize = 4096;

/// Gathers small writes: pingora writes the head of an answer and its body one after the other and then
/// flushes; one system call and one packet are enough for both. What is gathered leaves at the latest when
/// pingora turns to reading.
#[derive(Debug, Default)]
pub(super) struct Outbox(BytesMut);

impl Outbox {
    /// Takes bytes, or writes them through when they are many.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.0.len() + bytes.len() > CAPACITY {
            ready!(self.poll_drain(socket, cx))?;
        }
        if bytes.len() >= CAPACITY {
            return Pin::new(socket).poll_write(cx, bytes);
        }
        if self.0.capacity() == 0 {
            // At once: else it grows with each piece, and is copied each time.
            self.0.reserve(CAPACITY);
        }
        self.0.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Takes bytes, all of them.
    pub(super) async fn write_all<S: AsyncWrite + Unpin>(&mut self, socket: &mut S, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = poll_fn(|cx| self.poll_write(socket, cx, rest)).await?;
            rest = &rest[written..];
        }
        Ok(())
    }

    /// Writes everything out and flushes the socket.
    pub(super) fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(socket, cx))?;
        Pin::new(socket).poll_flush(cx)
    }

    /// Gives the memory back, when nothing is in it.
    pub(super) fn rest(&mut self) {
        if self.0.is_empty() {
            self.0 = BytesMut::new();
        }
    }

    fn poll_drain<S: AsyncWrite + Unpin>(&mut self, socket: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.0.is_empty() {
            match ready!(Pin::new(&mut *socket).poll_write(cx, &self.0))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.0.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn small_writes_leave_together_and_in_their_order() {
        let (mut socket, mut client) = tokio::io::duplex(64 * 1024);
        let mut outbox = Outbox::default();
        let large = vec![b'c'; CAPACITY];
        for bytes in [&b"a"[..], b"b", &large, b"d"] {
            let written = poll_fn(|cx| outbox.poll_write(&mut socket, cx, bytes)).await.unwrap();
            assert_eq!(written, bytes.len());
        }
        let mut read = vec![0; CAPACITY + 2];
        client.read_exact(&mut read).await.unwrap();
        assert_eq!((&read[..2], read[CAPACITY + 1]), (&b"ab"[..], b'c'));
        poll_fn(|cx| outbox.poll_flush(&mut socket, cx)).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'd');
    }
}
