//! Connections to an upstream that wait to be used again.

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use tokio::{net::TcpStream, time::Instant};

use super::pool::IDLE;

/// Most connections that wait for one upstream; as many as pingora keeps.
const MOST: usize = 128;

/// The connections of one upstream that wait.
#[derive(Debug, Default)]
pub(super) struct Idle(Mutex<Vec<Waiting>>);

#[derive(Debug)]
struct Waiting {
    socket: TcpStream,
    address: SocketAddr,
    since: Instant,
}

impl Waiting {
    /// Whether it may be used: nothing has come, not even its end. Whatever an app says unasked is no answer.
    fn is_fit(&self, now: Instant) -> bool {
        now.duration_since(self.since) < IDLE
            && self.socket.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Idle {
    /// The connection to this address that has waited least.
    pub(super) fn take(&self, address: SocketAddr) -> Option<TcpStream> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST {
            waiting.push(Waiting { socket, address, since: Instant::now() });
        }
    }

    /// Closes those that the app has closed, and those that have waited too long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|waiting| waiting.is_fit(now));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::AsyncWriteExt,
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
            ours.readable().await.unwrap();
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
        assert_eq!(idle.0.lock().unwrap().len(), 1);
        advance(Duration::from_secs(2)).await;
        idle.sweep();
        assert_eq!(idle.0.lock().unwrap().len(), 0);
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
        assert_eq!(idle.0.lock().unwrap().len(), MOST);
    }
}
