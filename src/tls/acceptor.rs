//! The handshake with a browser.

use std::{io, sync::Arc, time::Duration};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::{Ticketer, default_provider},
    server::NoServerSessionStorage,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Certificates, Pair, challenges};

/// What is spoken inside TLS, the best first (RFC 7301). A client that speaks none of it is turned away.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// How a record of a handshake begins (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// Whether a connection that begins with this byte begins with a handshake.
#[must_use]
pub fn begins_handshake(first: u8) -> bool {
    first == HANDSHAKE
}

/// Does handshakes. TLS 1.2 and 1.3 with the suites of rustls, all of which have forward secrecy and AEAD.
#[derive(Clone)]
pub struct Acceptor {
    inner: TlsAcceptor,
    certificates: Arc<Certificates>,
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Secured<S> {
    /// The connection.
    pub stream: Box<TlsStream<S>>,
    /// The pair for the name that the client asked for.
    pub pair: Option<Arc<Pair>>,
}

/// Why there is no connection. What strangers send is nothing to worry about.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Not in its time.
    #[error("it took too long")]
    TooSlow,
    /// An authority has seen what it asked for, and nothing is spoken.
    #[error("an authority asked whether the name is ours")]
    Challenge,
    /// Another version, no suite in common, no certificate, nonsense, or the client has gone.
    #[error("{0}")]
    Failed(#[from] io::Error),
}

impl Acceptor {
    /// Who comes gets one of these.
    ///
    /// # Errors
    /// When the system gives no randomness for the keys of tickets.
    pub fn new(certificates: Arc<Certificates>) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Certificates>::clone(&certificates));
        config.alpn_protocols = PROTOCOLS.iter().chain(&[challenges::PROTOCOL]).map(|name| name.to_vec()).collect();
        // Sessions go on by tickets whose keys change every six hours; nothing is kept here. No request comes before
        // the end of a handshake (`max_early_data_size` is 0), because it could be sent again by others.
        config.ticketer = Ticketer::new()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { inner: TlsAcceptor::from(Arc::new(config)), certificates })
    }

    /// The handshake, which may take so long.
    ///
    /// # Errors
    /// When it fails.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: S,
        within: Duration,
    ) -> Result<Secured<S>, HandshakeError> {
        let handshake = Box::pin(self.inner.accept(socket));
        let stream = Box::new(timeout(within, handshake).await.map_err(|_| HandshakeError::TooSlow)??);
        let connection = stream.get_ref().1;
        if connection.alpn_protocol() == Some(challenges::PROTOCOL) {
            return Err(HandshakeError::Challenge);
        }
        // rustls does not say which it was. Of two for one name, both are for that name.
        let pair = self.certificates.pick(connection.server_name(), |_| true);
        Ok(Secured { stream, pair })
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}
