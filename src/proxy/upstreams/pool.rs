//! The upstreams of one app: how each is reached, and which is next.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::HeaderValue;
use pingora::{Error, ErrorType, listeners::ALPN, upstreams::peer::HttpPeer};
use rustls_pki_types::ServerName;

use super::{authorities::Trusted, balancer::Balancer, hesitant, idle::Idle};
use crate::{
    policy::{App, Protocol, Upstream},
    telemetry::{Metrics, UpstreamMeter, UpstreamNews, UpstreamState},
    web::Scheme,
};

/// How long connecting to an app may take, TLS included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an unused connection to an app is kept.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// Most requests at once on one connection of HTTP/2.
const MOST_STREAMS: usize = 100;

/// What is taken of one answer before its client has taken it.
const STREAM_WINDOW: u32 = 64 * 1024;

/// Enough for all answers of a connection: clients that take nothing of theirs keep nobody else's back.
const CONNECTION_WINDOW: u32 = 100 * STREAM_WINDOW;

/// So often a connection of HTTP/2 must show that it lives: requests share it, and would all be late on a dead one.
const PING: Duration = Duration::from_secs(10);

/// What a connection to an upstream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Asks {
    /// A request and its answer.
    Request,
    /// A WebSocket, which is an upgrade of HTTP/1.1.
    WebSocket,
    /// Whether the upstream is well, on a connection of its own.
    Health,
}

/// The upstreams of one app.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) app: Arc<App>,
    pub(super) balancer: Balancer,
    /// One for each upstream.
    pub(super) meters: Vec<Arc<UpstreamMeter>>,
    /// One for each upstream.
    pub(super) idle: Vec<Idle>,
    /// Connections are used again within one group only.
    group: u64,
    trusted: Option<Trusted>,
}

impl Pool {
    /// `group` must be nobody else's: what one app trusts is not what another trusts.
    pub(super) fn new(app: Arc<App>, group: u64, trusted: Option<Trusted>, metrics: &Metrics) -> Self {
        let balancer = Balancer::new(app.upstreams.len());
        let meter = |upstream: &Upstream| Arc::new(UpstreamMeter::new(metrics, &app.name, &upstream.to_string()));
        let meters = app.upstreams.iter().map(meter).collect();
        let idle = app.upstreams.iter().map(|_| Idle::default()).collect();
        Self { app, balancer, meters, idle, group, trusted }
    }

    /// How it is with each upstream. One that stands alone is always tried, and nobody checks it: the last request
    /// tells.
    pub(super) fn states(&self) -> impl Iterator<Item = UpstreamState> {
        self.app.upstreams.iter().zip(&self.meters).enumerate().map(|(index, (upstream, meter))| {
            let last = meter.last();
            let is_up = match self.balancer.has_choice() {
                true => self.balancer.is_healthy(index),
                false => last.is_none_or(|last| last.outcome != UpstreamNews::Unreachable),
            };
            UpstreamState { app: self.app.name.clone(), upstream: upstream.to_string(), is_up, last }
        })
    }

    /// Takes over what another pool knows of the upstreams that both have, if it asks them in the same way.
    pub(super) fn learn(&self, other: &Self) {
        let asks = |app: &App| (app.health_path.clone(), app.upstream_authorities.clone());
        if asks(&self.app) != asks(&other.app) {
            return;
        }
        for (index, upstream) in self.app.upstreams.iter().enumerate() {
            if let Some(there) = other.app.upstreams.iter().position(|known| known == upstream) {
                self.balancer.learn(index, &other.balancer, there);
                if let (Some(meter), Some(known)) = (self.meters.get(index), other.meters.get(there)) {
                    meter.learn(known);
                }
            }
        }
    }

    /// How pingora connects to an upstream at this address.
    pub(super) fn peer(&self, upstream: &Upstream, address: SocketAddr, asks: Asks) -> pingora::Result<Box<HttpPeer>> {
        let mut peer = match upstream.scheme {
            Scheme::Http => Box::new(HttpPeer::new(address, false, String::new())),
            Scheme::Https => Box::new(self.tls_peer(upstream, address)?),
        };
        peer.options.alpn = match (upstream.protocol, upstream.scheme, asks) {
            (Protocol::Negotiated, Scheme::Https, Asks::Request) => ALPN::H2H1,
            (Protocol::Negotiated, Scheme::Https, Asks::WebSocket | Asks::Health)
            | (Protocol::Negotiated, Scheme::Http, _) => ALPN::H1,
            (Protocol::Http2, _, Asks::Request | Asks::Health) => ALPN::H2,
            // RFC 8441 would be a way; neither we nor many apps know it.
            (Protocol::Http2, _, Asks::WebSocket) => {
                return Err(Error::explain(ErrorType::ConnectError, "no WebSocket over HTTP/2"));
            }
        };
        peer.options.max_h2_streams = match asks {
            Asks::Request | Asks::WebSocket => MOST_STREAMS,
            Asks::Health => 1,
        };
        peer.options.h2_stream_window_size = Some(STREAM_WINDOW);
        peer.options.h2_connection_window_size = Some(CONNECTION_WINDOW);
        peer.options.h2_ping_interval = Some(PING);
        peer.group_key = self.group;
        if asks == Asks::WebSocket {
            // A connection of its own, which nobody uses again.
            peer.group_key = u64::MAX - self.group;
            peer.options.custom_l4 = Some(hesitant::connector());
        }
        peer.options.connection_timeout = Some(CONNECT_TIMEOUT);
        peer.options.total_connection_timeout = Some(CONNECT_TIMEOUT);
        peer.options.idle_timeout = Some(if asks == Asks::WebSocket { Duration::ZERO } else { IDLE });
        // No read timeout: it would end event streams too. `Exchange::overdue` watches the first byte.
        peer.options.read_timeout = None;
        Ok(peer)
    }

    /// The name that the certificate must have is the upstream's own, whatever `Host` says.
    fn tls_peer(&self, upstream: &Upstream, address: SocketAddr) -> pingora::Result<HttpPeer> {
        let unverifiable = |why: &'static str| Error::explain(ErrorType::InvalidCert, why);
        let name = certificate_name(upstream).ok_or_else(|| unverifiable("no certificate can have the host name"))?;
        let trusted = self.trusted.as_ref().ok_or_else(|| unverifiable("nobody vouches for the upstream"))?;
        let mut peer = HttpPeer::new(address, true, name);
        peer.options.ca = Some(trusted.list());
        peer.options.verify_cert = true;
        peer.options.verify_hostname = true;
        Ok(peer)
    }

    /// The `Host` of the gateway's own requests: what the app would get from a browser. Of many hosts none is better
    /// than the upstream's own.
    pub(super) fn host_header(&self, upstream: &Upstream) -> pingora::Result<HeaderValue> {
        let host = self.app.host.one().filter(|_| self.app.preserve_host);
        let host = host.map_or_else(|| upstream.authority(), ToString::to_string);
        HeaderValue::from_str(&host).map_err(|_| Error::new(ErrorType::InvalidHTTPHeader))
    }

    /// A request could not be sent there. Says whether another upstream may have it.
    pub(super) fn refused(&self, index: usize, reason: &str) -> bool {
        if let Some(meter) = self.meters.get(index) {
            meter.unreachable();
        }
        if !self.balancer.has_choice() {
            return false;
        }
        if self.balancer.refused(index) {
            self.is_down(index, reason);
        }
        true
    }

    /// What a check has found.
    pub(super) fn checked(&self, index: usize, found: Result<(), String>) {
        if let Some(meter) = self.meters.get(index) {
            meter.checked(found.is_ok());
        }
        let news = match &found {
            Ok(()) => self.balancer.succeeded(index),
            Err(_) => self.balancer.failed(index),
        };
        match (news, found, self.app.upstreams.get(index)) {
            (true, Ok(()), Some(upstream)) => {
                tracing::info!(event = "upstream_up", app = %self.app.name, upstream = %upstream);
            }
            (true, Err(reason), _) => self.is_down(index, &reason),
            (true, Ok(()), None) | (false, _, _) => {}
        }
    }

    fn is_down(&self, index: usize, reason: &str) {
        if let Some(upstream) = self.app.upstreams.get(index) {
            tracing::warn!(event = "upstream_down", app = %self.app.name, upstream = %upstream, reason);
        }
    }
}

/// The name that a certificate must have for this upstream: its host, or its IP address without brackets.
///
/// With an empty name pingora verifies nothing at all, and one with an underscore in its first label it verifies as
/// if it had a hyphen there, which is another host.
#[must_use]
pub fn certificate_name(upstream: &Upstream) -> Option<String> {
    let name = upstream.host.name().trim_matches(['[', ']']);
    let fine = !name.is_empty() && !name.contains('_') && ServerName::try_from(name).is_ok();
    fine.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Host;
    use pingora::upstreams::peer::Peer;

    fn upstream(scheme: Scheme, host: &str) -> Upstream {
        Upstream { scheme, protocol: Protocol::Negotiated, host: Host::parse(host).unwrap(), port: 443 }
    }

    fn authority() -> Trusted {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        Trusted::only(&[certificate.der().to_vec()]).unwrap()
    }

    fn pool(group: u64, trusted: Option<Trusted>) -> Pool {
        let metrics = Metrics::new(Arc::new(crate::clock::SystemClock));
        Pool::new(Arc::new(crate::policy::testing::app("a.example")), group, trusted, &metrics)
    }

    const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 443);

    #[test]
    fn every_tls_peer_is_verified_by_the_name_of_the_upstream() {
        let pool = pool(1, Some(authority()));
        for (host, name) in [("App.internal", "app.internal"), ("10.0.0.1", "10.0.0.1"), ("[::1]", "::1")] {
            let peer = pool.peer(&upstream(Scheme::Https, host), ADDRESS.into(), Asks::Request).unwrap();
            assert!(peer.tls() && peer.verify_cert() && peer.verify_hostname(), "{host}");
            assert_eq!((peer.sni(), peer.alternative_cn()), (name, None));
            assert!(peer.get_ca().is_some_and(|list| !list.is_empty()));
        }
    }

    #[test]
    fn http_2_is_spoken_where_it_is_offered_and_never_for_a_websocket() {
        let pool = pool(1, Some(authority()));
        let alpn = |scheme, protocol, asks| {
            let upstream = Upstream { protocol, ..upstream(scheme, "app.internal") };
            pool.peer(&upstream, ADDRESS.into(), asks)
                .map(|peer| peer.get_alpn().map(ToString::to_string))
                .ok()
                .flatten()
        };
        for (scheme, protocol, asks, expected) in [
            (Scheme::Https, Protocol::Negotiated, Asks::Request, Some("H2H1")),
            (Scheme::Https, Protocol::Negotiated, Asks::WebSocket, Some("H1")),
            (Scheme::Https, Protocol::Negotiated, Asks::Health, Some("H1")),
            (Scheme::Http, Protocol::Negotiated, Asks::Request, Some("H1")),
            (Scheme::Http, Protocol::Http2, Asks::Request, Some("H2")),
            (Scheme::Http, Protocol::Http2, Asks::Health, Some("H2")),
            (Scheme::Http, Protocol::Http2, Asks::WebSocket, None),
        ] {
            assert_eq!(alpn(scheme, protocol, asks).as_deref(), expected, "{scheme} {protocol:?} {asks:?}");
        }
    }

    #[test]
    fn without_an_authority_or_a_name_to_verify_there_is_no_tls_peer() {
        let https = upstream(Scheme::Https, "app.internal");
        assert!(pool(1, None).peer(&https, ADDRESS.into(), Asks::Request).is_err());
        let pool = pool(1, Some(authority()));
        for host in ["my_app.school.example", "a_b", "a.b_c.example"] {
            assert!(pool.peer(&upstream(Scheme::Https, host), ADDRESS.into(), Asks::Request).is_err(), "{host}");
            assert!(pool.peer(&upstream(Scheme::Http, host), ADDRESS.into(), Asks::Request).is_ok(), "{host}");
        }
    }

    #[test]
    fn connections_are_used_again_by_one_app_for_one_name_and_scheme_only() {
        let hash = |group, scheme, host| {
            let peer = pool(group, Some(authority())).peer(&upstream(scheme, host), ADDRESS.into(), Asks::Request);
            peer.unwrap().reuse_hash()
        };
        let known = hash(1, Scheme::Https, "a.example");
        assert_eq!(known, hash(1, Scheme::Https, "a.example"));
        assert_ne!(known, hash(2, Scheme::Https, "a.example"));
        assert_ne!(known, hash(1, Scheme::Http, "a.example"));
        assert_ne!(known, hash(1, Scheme::Https, "b.example"));
    }
}
