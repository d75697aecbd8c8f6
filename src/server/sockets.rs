//! Listening sockets: those that systemd holds for the service (systemd.socket(5)), and those that it opens itself.
//!
//! systemd keeps its sockets open while the service is restarted: who connects in between waits in the kernel and is
//! served by the next process. Nothing is refused, and nothing has to be handed from one process to another.

use std::net::{SocketAddr, TcpListener as StdListener};

use listenfd::ListenFd;
use tokio::net::TcpListener;

use super::{StartError, listener};

/// The sockets that somebody else has opened, until they are taken.
#[derive(Debug, Default)]
pub struct Sockets(Vec<(SocketAddr, StdListener)>);

impl Sockets {
    /// Those that systemd hands over (sd_listen_fds(3)). To be asked once in the life of a process.
    ///
    /// # Errors
    /// When one of them is no TCP socket that listens.
    pub fn of_systemd() -> Result<Self, StartError> {
        let mut handed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..handed.len() {
            if let Some(socket) = handed.take_tcp_listener(index).map_err(StartError::HandedOver)? {
                sockets.push(socket);
            }
        }
        Self::given(sockets).map_err(StartError::HandedOver)
    }

    /// These.
    ///
    /// # Errors
    /// When the system does not tell where they listen.
    pub fn given(sockets: impl IntoIterator<Item = StdListener>) -> std::io::Result<Self> {
        sockets.into_iter().map(|socket| Ok((socket.local_addr()?, socket))).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The socket that listens there: one that is at hand, or a new one.
    pub(super) async fn at(&mut self, address: SocketAddr) -> Result<TcpListener, StartError> {
        let opened = match self.0.iter().position(|(there, _)| *there == address) {
            Some(index) => {
                let (_, socket) = self.0.swap_remove(index);
                socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket))
            }
            None => listener::bind(address).await,
        };
        opened.map_err(|source| StartError::Bind { address: address.to_string(), source })
    }

    /// All that were at hand have been taken.
    ///
    /// # Errors
    /// When one is left: whoever connects there would wait for ever.
    pub(super) fn all_taken(&self) -> Result<(), StartError> {
        match self.0.first() {
            Some((address, _)) => Err(StartError::Unclaimed(*address)),
            None => Ok(()),
        }
    }
}
