//! The end of a connection on which the client may still be sending.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Sleep, sleep},
};

use super::{
    Guard,
    guard::{Phase, STRIDE},
};

/// How long the end may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How much of what still comes is thrown away.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// An end that has begun.
///
/// To close a socket with unread bytes in it resets the connection, and the reset may overtake the
/// answer (RFC 9112, section 9.6). So we say that no more will be written, throw away what comes until
/// the client has closed too, and lose patience after a while.
#[derive(Debug)]
pub(super) struct Linger {
    alarm: Pin<Box<Sleep>>,
    shut: bool,
    left: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> Guard<S> {
    /// Writes out what is gathered, ends the writing half, and lingers where something may come.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut linger = self.linger.take().unwrap_or_else(|| self.begin_to_linger());
        let closed = self.poll_linger(&mut linger, cx);
        self.linger = Some(linger);
        closed
    }

    fn begin_to_linger(&self) -> Linger {
        let silent = match &self.phase {
            Phase::Idle => false,
            Phase::Message(_) => !self.unfinished() && self.held.is_empty(),
            Phase::Tunnel => true,
        };
        Linger { alarm: Box::pin(sleep(PATIENCE)), shut: false, left: if silent { 0 } else { MOST_BYTES } }
    }

    fn poll_linger(&mut self, linger: &mut Linger, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if linger.alarm.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if !linger.shut {
            ready!(self.outbox.poll_flush(&mut self.socket, cx))?;
            ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
            linger.shut = true;
        }
        while linger.left >= STRIDE {
            self.held.clear();
            match ready!(self.poll_fill(cx))? {
                0 => break,
                read => linger.left -= read,
            }
        }
        Poll::Ready(Ok(()))
    }
}
