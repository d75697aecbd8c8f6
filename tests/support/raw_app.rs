//! An app of which the test writes every byte.

use std::{future::poll_fn, net::SocketAddr, task::Poll, time::Duration};

use tokio::{net::TcpListener, time::timeout};

use super::Connection;

/// No test waits longer for a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// Listens; the test accepts and answers.
pub struct RawApp {
    pub address: SocketAddr,
    listener: TcpListener,
}

impl RawApp {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { address: listener.local_addr().unwrap(), listener }
    }

    /// The next connection.
    pub async fn accept(&self) -> Connection {
        let accepted = timeout(PATIENCE, self.listener.accept()).await.expect("nobody connects to the app");
        Connection::over(accepted.unwrap().0)
    }

    /// The next connection, and the head of the first request on it.
    pub async fn request(&self) -> (Connection, String) {
        let mut connection = self.accept().await;
        let head = connection.until("\r\n\r\n").await;
        (connection, head)
    }

    /// Whether no connection waits to be accepted.
    pub async fn is_left_alone(&self) -> bool {
        poll_fn(|cx| Poll::Ready(self.listener.poll_accept(cx).is_pending())).await
    }
}
