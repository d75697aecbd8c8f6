//! The way in: who is at the other end, and the handshake, before the first request.

use std::{
    io,
    sync::{Arc, LazyLock},
};

use tokio::{io::DuplexStream, net::TcpStream, sync::watch, time::Instant};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::{
    Connections, TrustedProxies,
    wire::{self, Introduction, Peer},
};
use crate::tls::{self, HandshakeError, Pair, Secured};

/// What requests come by: a socket, or TLS on one; the gateway's own by neither.
pub(super) type Client = Either<TcpStream, Either<Box<TlsStream<TcpStream>>, DuplexStream>>;

/// A connection that requests may come by.
pub(super) struct Visitor {
    pub(super) client: Client,
    pub(super) peer: Peer,
    pub(super) speaker: Speaker,
    /// What of the first request was read.
    pub(super) begun: Vec<u8>,
    /// The certificate that the client was shown.
    pub(super) certificate: Option<Arc<Pair>>,
}

impl Visitor {
    /// Whether HTTP/2 was agreed on (RFC 7301). Without TLS nothing is agreed on.
    pub(super) fn speaks_http2(&self) -> bool {
        match &self.client {
            Client::Left(_) | Client::Right(Either::Right(_)) => false,
            Client::Right(Either::Left(stream)) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

/// Who has come.
pub(super) enum Arrival {
    /// Somebody to serve.
    Visitor(Visitor),
    /// Somebody who speaks without encryption where that is not spoken.
    Plain(Visitor),
}

/// Lets a connection in; `None` when there is nobody to serve.
pub(super) async fn enter(
    mut socket: TcpStream,
    tls: Option<&tls::Acceptor>,
    connections: &Connections,
    drain: &mut watch::Receiver<bool>,
) -> Option<Arrival> {
    // Answers are written in few pieces: waiting to join them only delays.
    let peer = socket.set_nodelay(true).and_then(|()| Peer::of(&socket)).ok()?;
    let (peer, speaker, begun) = introduced(&mut socket, peer, connections, drain).await?;
    let plain = |socket, peer, begun| {
        let client = Either::Left(socket);
        Visitor { client, peer, speaker, begun, certificate: None }
    };
    let Some(tls) = tls else { return Some(Arrival::Visitor(plain(socket, peer, begun))) };
    let until = Instant::now() + connections.limits.header_timeout;
    // What was read of it began as no handshake does.
    if !begun.is_empty() || !tls::begins_handshake(first_byte(&socket, until, drain).await?) {
        return Some(Arrival::Plain(plain(socket, peer, begun)));
    }
    match tls.accept(socket, until.saturating_duration_since(Instant::now())).await {
        Ok(Secured { stream, pair }) => {
            let client = Either::Right(Either::Left(stream));
            Some(Arrival::Visitor(Visitor { client, peer, speaker, begun, certificate: pair }))
        }
        Err(why) => {
            tell_failed(&peer, &why);
            None
        }
    }
}

/// How the client begins, which is left where it is.
async fn first_byte(socket: &TcpStream, until: Instant, drain: &mut watch::Receiver<bool>) -> Option<u8> {
    let mut first = [0];
    tokio::select! {
        biased;
        read = socket.peek(&mut first) => (read.ok()? > 0).then_some(first[0]),
        () = tokio::time::sleep_until(until) => None,
        () = wire::drained(drain) => None,
    }
}

/// Strangers cause it, and browsers that open a connection ahead and do not need it.
fn tell_failed(peer: &Peer, why: &HandshakeError) {
    let client = peer.remote().ip().to_canonical();
    match why {
        HandshakeError::Failed(error) if error.kind() != io::ErrorKind::InvalidData => {
            tracing::debug!(event = "handshake_failed", %client, reason = %why);
        }
        HandshakeError::Challenge => tracing::debug!(event = "handshake_of_an_authority", %client),
        HandshakeError::Failed(_) | HandshakeError::TooSlow => {
            tracing::info!(event = "handshake_failed", %client, reason = %why);
        }
    }
}

/// For whom somebody speaks who opens a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    /// For the address that it connects from, or that it was introduced with.
    Address,
    /// For somebody whom a trusted proxy does not name: what `X-Forwarded-For` says may be theirs.
    Nobody,
    /// For the gateway itself, which asks whether it still serves.
    Ourselves,
}

/// Nobody is trusted.
static NONE_TRUSTED: LazyLock<TrustedProxies> = LazyLock::new(TrustedProxies::default);

impl Speaker {
    /// Whom of the trusted proxies to believe on this connection.
    pub(super) fn believed(self, trusted: &TrustedProxies) -> &TrustedProxies {
        match self {
            Self::Address => trusted,
            Self::Nobody | Self::Ourselves => &NONE_TRUSTED,
        }
    }
}

/// Who is at the other end, for whom it speaks, and what of the first request was read. A trusted proxy may
/// say first for whom it connects; `None` when there is nobody to serve.
async fn introduced(
    socket: &mut TcpStream,
    peer: Peer,
    connections: &Connections,
    drain: &mut watch::Receiver<bool>,
) -> Option<(Peer, Speaker, Vec<u8>)> {
    let limits = connections.limits;
    if !connections.trusted.contains(peer.remote().ip()) {
        return Some((peer, Speaker::Address, Vec::new()));
    }
    // A connection may be opened ahead of time.
    let first = first_byte(socket, Instant::now() + limits.idle_timeout, drain).await?;
    if !wire::may_introduce(first) {
        return Some((peer, Speaker::Address, Vec::new()));
    }
    match tokio::time::timeout(limits.header_timeout, wire::introduction(socket)).await.ok()? {
        Ok(Introduction::None(begun)) => Some((peer, Speaker::Address, begun)),
        Ok(Introduction::Client(client)) => {
            Some((Peer::for_client(socket, client).ok()?, Speaker::Address, Vec::new()))
        }
        Ok(Introduction::Nobody) => Some((peer, Speaker::Nobody, Vec::new())),
        Err(why) => {
            tracing::info!(event = "proxy_header_refused", peer = %peer.remote().ip().to_canonical(), reason = %why);
            None
        }
    }
}
