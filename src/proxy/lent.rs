//! A socket on loan: whoever drops it gives it back.
//!
//! When an app lets its time pass, the future that serves the request is dropped, and with it the
//! stream that pingora holds. The connection loop must still have the socket then, to answer.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Who lent a socket, and has it back when it is dropped.
#[derive(Debug)]
pub(super) struct Lender<S>(Arc<Mutex<Option<S>>>);

impl<S> Lender<S> {
    /// Lends a socket.
    pub(super) fn lend(socket: S) -> (Self, Lent<S>) {
        let place = Arc::new(Mutex::new(None));
        (Self(Arc::clone(&place)), Lent { socket: Some(socket), place })
    }

    /// The socket, when it has come back.
    pub(super) fn take(&self) -> Option<S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A socket that goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Lent<S> {
    socket: Option<S>,
    place: Arc<Mutex<Option<S>>>,
}

impl<S> Lent<S> {
    /// What is lent; `None` never, until it is dropped.
    pub(super) fn get_mut(&mut self) -> Option<&mut S> {
        self.socket.as_mut()
    }
}

impl<S> Drop for Lent<S> {
    fn drop(&mut self) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = self.socket.take();
    }
}

impl<S: Unpin> Lent<S> {
    /// The socket, which is there until it is dropped.
    fn pinned(&mut self) -> io::Result<Pin<&mut S>> {
        self.socket.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().pinned()?.poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().pinned()?.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().pinned()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().pinned()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_socket_is_with_its_lender_again() {
        let (lender, lent) = Lender::lend("socket");
        assert_eq!(lender.take(), None);
        drop(lent);
        assert_eq!(lender.take(), Some("socket"));
        assert_eq!(lender.take(), None);
    }
}
