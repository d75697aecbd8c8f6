//! Who is at the other end, as pingora wants to know it.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
    sync::Arc,
};

use pingora::protocols::{SocketDigest, l4::socket::SocketAddr as PingoraAddr};
use tokio::net::TcpStream;

/// The two ends of a client connection.
#[derive(Clone, Debug)]
pub struct Peer {
    remote: SocketAddr,
    /// The balancer that says so.
    introducer: Option<IpAddr>,
    fd: i32,
    digest: Arc<SocketDigest>,
}

impl Peer {
    /// Asks a socket.
    ///
    /// # Errors
    /// When the client is already gone.
    pub fn of(socket: &TcpStream) -> io::Result<Self> {
        Ok(Self::new(socket.as_raw_fd(), socket.peer_addr()?, socket.local_addr()?))
    }

    /// Asks a socket that a balancer has opened for a client.
    ///
    /// # Errors
    /// When the balancer is already gone.
    pub fn for_client(socket: &TcpStream, client: SocketAddr) -> io::Result<Self> {
        let introducer = Some(socket.peer_addr()?.ip());
        Ok(Self { introducer, ..Self::new(socket.as_raw_fd(), client, socket.local_addr()?) })
    }

    /// For a socket that is wrapped in something else. The descriptor must stay open as long as the
    /// connection: pingora asks it for statistics, and takes it as the name of the connection.
    #[must_use]
    pub fn new(fd: i32, remote: SocketAddr, local: SocketAddr) -> Self {
        let digest = SocketDigest::from_raw_fd(fd);
        // The cells are new: nobody has set them.
        let _ = digest.peer_addr.set(Some(PingoraAddr::Inet(remote)));
        let _ = digest.local_addr.set(Some(PingoraAddr::Inet(local)));
        Self { remote, introducer: None, fd, digest: Arc::new(digest) }
    }

    /// The client's address, as the socket has it, or the balancer.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whose requests come now. A balancer may have lost its trust since it said for whom it connects: then they are its
    /// own.
    #[must_use]
    pub fn asks_for(&self, is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
        self.introducer.filter(|introducer| !is_trusted(*introducer)).unwrap_or_else(|| self.remote.ip())
    }

    pub(super) fn fd(&self) -> i32 {
        self.fd
    }

    pub(super) fn digest(&self) -> Arc<SocketDigest> {
        self.digest.clone()
    }
}
