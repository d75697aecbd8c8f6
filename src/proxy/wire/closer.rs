//! Ends a connection from outside.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::task::AtomicWaker;

/// Ends a live connection: a download or a WebSocket whose session is over.
///
/// From then on reads and writes of the [`Guard`](super::Guard) fail, and who waits for either is woken.
#[derive(Clone, Debug)]
pub struct Closer(pub(super) Arc<Link>);

impl Closer {
    /// Ends the connection; once is enough.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.reader.wake();
        self.0.writer.wake();
    }

    /// Whether it has been ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// What a guard shares with its closers.
#[derive(Debug, Default)]
pub(super) struct Link {
    closed: AtomicBool,
    pub(super) reader: AtomicWaker,
    pub(super) writer: AtomicWaker,
}

impl Link {
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}
