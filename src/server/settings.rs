//! Everything that a gateway needs to run.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::{acme, apple, assertion, policy, proxy, session, signin, telemetry, tls::Kept};

/// Where operators ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl AdminAddress {
    /// The TCP address, when it is one.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

/// Where sessions are kept.
#[derive(Clone, Debug)]
pub enum StoreChoice {
    /// In the memory of the process: gone with it.
    Memory,
    /// In a file of `state_dir`.
    File,
    /// In Redis.
    Redis(session::RedisUrl),
}

/// TLS at the public listeners.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificates with their keys; the first is for whoever asks for no name, or for one that nobody knows.
    pub certificates: Vec<Kept>,
    /// Where a certificate for further names is ordered.
    pub acme: Option<acme::Settings>,
    /// Where browsers that come without TLS are sent to the public listeners.
    pub redirect_listen: Vec<SocketAddr>,
}

/// The settings of all rooms.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where browsers connect.
    pub listen: Vec<SocketAddr>,
    /// How they are protected; `None` when somebody else ends TLS.
    pub tls: Option<Tls>,
    /// Where operators ask.
    pub admin_listen: AdminAddress,
    /// Where the gateway keeps what must outlive it.
    pub state_dir: PathBuf,
    /// Where sessions are kept.
    pub store: StoreChoice,
    /// The key that seals cookies and what is stored; made in `state_dir` when none is given.
    pub encryption_key_file: Option<PathBuf>,
    /// How long requests in flight may go on after SIGTERM.
    pub shutdown_grace: Duration,
    /// What is written to the log, and where traces go.
    pub log: telemetry::Settings,
    /// Apple's service.
    pub apple: apple::Settings,
    /// Lifetimes of sessions.
    pub session: session::Lifetimes,
    /// The signed assertion; `None` when apps get none.
    pub assertion: Option<assertion::Settings>,
    /// The sign-in.
    pub signin: signin::Settings,
    /// Connections.
    pub proxy: proxy::Settings,
    /// Apps and routes.
    pub table: policy::Table,
}
