//! Connections to an upstream that wait to be used again.

use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};
use tokio::{net::TcpStream, time::Instant};

use super::pool::IDLE;

/// Most connections that wait for one upstream.
const MOST: usize = 128;

/// The connections of one upstream that wait.
#[derive(Debug)]
pub(super) struct Idle(Mutex<Option<Vec<Waiting>>>);

impl Default for Idle {
    fn default() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }
}

#[derive(Debug)]
struct Waiting {
    socket: TcpStream,
    address: SocketAddr,
    since: Instant,
}

impl Waiting {
    /// Whether it may be used: nothing has come, not even its end. Whatever an app says unasked is no answer, and would be
    /// taken for one to the next person. The system itself is asked: tokio knows only what it was told last.
    fn is_fit(&self, now: Instant) -> bool {
        now.duration_since(self.since) < IDLE
            && recv(&self.socket, &mut [0_u8], RecvFlags::PEEK | RecvFlags::DONTWAIT) == Err(Errno::WOULDBLOCK)
    }
}

impl Idle {
    /// The connection to this address that has waited least. Those to another are closed: the name has moved.
    pub(super) fn take(&self, address: SocketAddr) -> Option<TcpStream> {
        let mut waiting = self.waiting();
        let waiting = waiting.as_mut()?;
        let now = Instant::now();
        while let Some(last) = waiting.pop() {
            if last.address == address && last.is_fit(now) {
                return Some(last.socket);
            }
        }
        None
    }

    /// Keeps a connection on which a request and its answer are over.
    pub(super) fn keep(&self, socket: TcpStream, address: SocketAddr) {
        if let Some(waiting) = self.waiting().as_mut().filter(|waiting| waiting.len() < MOST) {
            waiting.push(Waiting { socket, address, since: Instant::now() });
        }
    }

    /// Closes those that the app has closed, and those that have waited too long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        if let Some(waiting) = &mut *self.waiting() {
            waiting.retain(|one| one.is_fit(now));
        }
    }

    /// Closes all, and from now on every one that is to be kept.
    pub(super) fn close(&self) {
        *self.waiting() = None;
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Vec<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpSocket},
        time::{advance, pause},
    };

    use super::*;

    async fn pair() -> (TcpStream, TcpStream, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ours = TcpSocket::new_v4().unwrap().connect(address).await.unwrap();
        (ours, listener.accept().await.unwrap().0, address)
    }

    fn count(idle: &Idle) -> usize {
        idle.waiting().as_ref().map_or(0, Vec::len)
    }

    #[tokio::test]
    async fn a_connection_is_used_again_for_its_address_only() {
        let (idle, (ours, _theirs, address)) = (Idle::default(), pair().await);
        idle.keep(ours, address);
        assert!(idle.take(([127, 0, 0, 1], 1).into()).is_none());
        let (ours, _theirs, address) = pair().await;
        idle.keep(ours, address);
        assert!(idle.take(address).is_some());
        assert!(idle.take(address).is_none());
    }

    #[tokio::test]
    async fn a_connection_that_the_app_has_closed_or_spoken_on_is_not_used_again() {
        for says in [&b""[..], b"HTTP/1.1 408 Request Timeout\r\n\r\n"] {
            let (idle, (ours, mut theirs, address)) = (Idle::default(), pair().await);
            theirs.write_all(says).await.unwrap();
            drop(theirs);
            idle.keep(ours, address);
            assert!(idle.take(address).is_none());
        }
    }

    #[tokio::test]
    async fn a_connection_that_waits_too_long_is_closed() {
        let (idle, (ours, _theirs, address)) = (Idle::default(), pair().await);
        idle.keep(ours, address);
        pause();
        advance(IDLE.checked_sub(Duration::from_secs(1)).unwrap()).await;
        idle.sweep();
        assert_eq!(count(&idle), 1);
        advance(Duration::from_secs(2)).await;
        idle.sweep();
        assert_eq!(count(&idle), 0);
    }

    #[tokio::test]
    async fn no_more_connections_wait_than_may() {
        let idle = Idle::default();
        let mut open = Vec::new();
        for _ in 0..MOST + 1 {
            let (ours, theirs, address) = pair().await;
            idle.keep(ours, address);
            open.push(theirs);
        }
        assert_eq!(count(&idle), MOST);
    }

    #[tokio::test]
    async fn who_is_closed_keeps_nothing_any_more() {
        let (idle, (ours, _theirs, address)) = (Idle::default(), pair().await);
        idle.keep(ours, address);
        idle.close();
        let (ours, mut theirs, address) = pair().await;
        idle.keep(ours, address);
        assert!(idle.take(address).is_none());
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
    }
}
