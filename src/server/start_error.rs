//! Why a gateway does not start.

use std::{io, net::SocketAddr};

use super::{KeyFileError, store::StoreProblem};
use crate::{apple::BuildError, proxy::UpstreamsError};

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; see [server] listen and admin_listen: another program may listen there, \
         the port is below 1024, or the folder of a socket is missing or belongs to another user"
    )]
    Bind {
        /// The address.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// There is no key to seal cookies with.
    #[error("{0}; see [server] state_dir and [session] encryption_key_file")]
    KeyFile(#[from] KeyFileError),
    /// The store of sessions does not open.
    #[error(transparent)]
    Store(#[from] StoreProblem),
    /// The client of Apple's service cannot be built.
    #[error(transparent)]
    Apple(#[from] BuildError),
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}; see [server.tls]")]
    Tls(#[from] rustls::Error),
    /// Apps cannot be reached as the settings say.
    #[error(transparent)]
    Upstreams(#[from] UpstreamsError),
    /// A socket that systemd hands over cannot be used.
    #[error("cannot use a socket that systemd hands over: {0}; ListenStream= in the socket unit must be TCP addresses")]
    HandedOver(io::Error),
    /// systemd hands over a socket that nobody wants.
    #[error(
        "systemd listens on {0} for the gateway, and the configuration does not: [server] listen and ListenStream= in \
         the socket unit must name the same addresses, as ADDRESS:PORT"
    )]
    Unclaimed(SocketAddr),
    /// The system refuses to tell of signals.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
}

impl StartError {
    /// Whether the configuration, that of systemd's socket unit included, has to be changed before another start can go
    /// better. Everything else may be mended by others meanwhile.
    #[must_use]
    pub fn is_of_the_configuration(&self) -> bool {
        match self {
            Self::HandedOver(_) | Self::Unclaimed(_) => true,
            Self::Bind { .. }
            | Self::KeyFile(_)
            | Self::Store(_)
            | Self::Apple(_)
            | Self::Tls(_)
            | Self::Upstreams(_)
            | Self::Signals(_) => false,
        }
    }
}
