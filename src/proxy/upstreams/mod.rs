//! Where admitted requests go: the upstreams of each app, their turns and their health.
//!
//! pingora verifies certificates and keeps the connections of its own requests, [`idle`] those of the straight way; why
//! the choice among upstreams is not its own is told in `docs/decisions/0007-upstreams.md`. An address is still to be had
//! from an `Admission` alone: this room knows which upstream is next by its number.

mod app_connection;
mod authorities;
mod balancer;
mod health;
mod hesitant;
mod idle;
mod journey;
mod pool;
mod probe;

use std::{net::SocketAddr, sync::Arc};

use pingora::{Error, ErrorType, upstreams::peer::HttpPeer};
use tokio::time::timeout;

pub(super) use self::{
    app_connection::{AppConnection, is_plain},
    journey::Journey,
    pool::Asks,
};
use self::{
    authorities::Trusted,
    pool::{CONNECT_TIMEOUT, Pool},
};
pub use self::{
    authorities::is_authority,
    pool::certificate_name,
    probe::{Found, Probed},
};
use super::{
    failures::{NO_UPSTREAM, in_short},
    resolver::Resolver,
};
use crate::{
    clock::Clock,
    policy::{App, Table, Upstream},
    telemetry::{Metrics, UpstreamMeter, UpstreamState},
    web::Scheme,
};

/// What pingora is told to trust by itself. It would read the system's authorities and panic when one is broken; we
/// name for each connection whom it may trust, and without a name it trusts nobody.
pub(super) const NOBODY: &str = "/dev/null";

/// Why no upstream can be reached as the configuration says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamsError {
    /// There is nobody whom to trust.
    #[error(
        "app {0} has an https upstream, and this system has no certificate authorities: install ca-certificates, or \
         set upstream_ca_file"
    )]
    NoSystemAuthorities(String),
    /// The certificates are none. The configuration has looked before.
    #[error("app {0} has an upstream_ca_file that holds no certificates of authorities")]
    Authorities(String),
}

/// The upstreams of all apps.
#[derive(Debug)]
pub struct Upstreams {
    /// In the order of the apps.
    pools: Vec<Pool>,
    resolver: Resolver,
    metrics: Arc<Metrics>,
}

impl Upstreams {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// When an app speaks TLS and nobody can be trusted with it.
    pub fn new(table: &Table, metrics: &Arc<Metrics>) -> Result<Self, UpstreamsError> {
        let mut system = None;
        let mut pools = Vec::new();
        for (group, app) in (1..).zip(table.apps()) {
            let name = || app.name.clone();
            let has_tls = app.upstreams.iter().any(|upstream| upstream.scheme == Scheme::Https);
            let trusted = match &app.upstream_authorities {
                _ if !has_tls => None,
                Some(own) => Some(Trusted::only(&own.certificates).ok_or_else(|| UpstreamsError::Authorities(name()))?),
                None => {
                    let system = system.get_or_insert_with(Trusted::of_the_system);
                    Some(system.clone().ok_or_else(|| UpstreamsError::NoSystemAuthorities(name()))?)
                }
            };
            pools.push(Pool::new(Arc::clone(app), group, trusted, metrics));
        }
        Ok(Self { pools, resolver: Resolver::default(), metrics: Arc::clone(metrics) })
    }

    /// Takes over what others know of the health of the upstreams that both have.
    pub(super) fn learn(&self, others: &Self) {
        for pool in &self.pools {
            if let Some(other) = others.pools.iter().find(|other| other.app.name == pool.app.name) {
                pool.learn(other);
            }
        }
    }

    /// The most upstreams that an app has.
    pub(super) fn most(&self) -> usize {
        self.pools.iter().map(|pool| pool.app.upstreams.len()).max().unwrap_or_default()
    }

    /// Asks the upstreams of apps that have several whether they are well, and closes connections that nobody needs, for
    /// ever.
    pub async fn watch(&self, clock: &dyn Clock) {
        tokio::join!(
            health::watch(self.pools.iter(), &self.resolver, clock),
            app_connection::sweep(&self.pools, clock)
        );
    }

    /// Tries each upstream once, all at the same time, as a request would; and looks a little further.
    pub async fn probe(&self) -> Vec<Probed> {
        probe::all(self.pools.iter(), &self.resolver).await
    }

    /// How it is with each of them.
    #[must_use]
    pub fn states(&self) -> Vec<UpstreamState> {
        self.pools.iter().flat_map(Pool::states).collect()
    }

    /// The meter of the upstream that a request goes to.
    pub(super) fn meter(&self, app: &App, journey: &Journey) -> Option<&Arc<UpstreamMeter>> {
        self.pool(app).ok()?.meters.get(journey.now()?)
    }

    /// Where the request goes, or goes now that it could not be sent elsewhere.
    pub(super) async fn next(&self, app: &App, journey: &mut Journey, asks: Asks) -> pingora::Result<Box<HttpPeer>> {
        let (pool, index, address) = self.turn(app, journey).await?;
        let upstream = app.upstreams.get(index).ok_or_else(|| Error::new_in(ErrorType::InternalError))?;
        pool.peer(upstream, address, asks).map_err(Error::into_up)
    }

    /// Whose turn it is, and its address.
    async fn turn(&self, app: &App, journey: &mut Journey) -> pingora::Result<(&Pool, usize, SocketAddr)> {
        let pool = self.pool(app)?;
        loop {
            let Some(index) = pool.balancer.pick(journey.tried()) else {
                tracing::warn!(event = "no_healthy_upstream", app = %app.name);
                self.metrics.no_upstream.inc();
                // Of no upstream: `upstream_failed` is about one that was asked.
                return Error::e_explain(ErrorType::HTTPStatus(503), NO_UPSTREAM);
            };
            let upstream = journey.go(app, index)?;
            match self.address(upstream).await {
                Ok(address) => return Ok((pool, index, address)),
                Err(error) => {
                    tracing::warn!(event = "upstream_unresolvable", app = %app.name, upstream = %upstream, reason = %error);
                    if !self.refused(app, journey, &error) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// There is no connection to where the request was to go. Says whether it may go elsewhere: nothing was sent.
    pub(super) fn unreachable(&self, app: &App, journey: &mut Journey, error: &Error) -> bool {
        let upstream = journey.upstream(app).ok().map(tracing::field::display);
        tracing::warn!(event = "upstream_unreachable", app = %app.name, upstream, reason = in_short(error));
        self.refused(app, journey, error)
    }

    /// The request could not be sent where it was to go. Says whether it may go elsewhere.
    pub(super) fn refused(&self, app: &App, journey: &mut Journey, error: &Error) -> bool {
        // Our own want of sockets says nothing about the upstream.
        let is_ours = matches!(error.etype(), ErrorType::InternalError | ErrorType::SocketError | ErrorType::BindError);
        match (self.pool(app), journey.now()) {
            (Ok(pool), Some(index)) if !is_ours => {
                journey.failed(index);
                pool.refused(index, &in_short(error))
            }
            (Ok(_) | Err(_), _) => false,
        }
    }

    fn pool(&self, app: &App) -> pingora::Result<&Pool> {
        // Whom to trust must be what this very app says, should there ever be another in its place.
        let pool = self.pools.get(app.number()).filter(|pool| std::ptr::eq(&raw const *pool.app, app));
        pool.ok_or_else(|| Error::new_in(ErrorType::InternalError))
    }

    async fn address(&self, upstream: &Upstream) -> pingora::Result<SocketAddr> {
        // Most are: that needs neither a look-up nor a limit to it.
        if let Some(address) = Resolver::literal(upstream) {
            return Ok(address);
        }
        match timeout(CONNECT_TIMEOUT, self.resolver.resolve(upstream)).await {
            Ok(Ok(address)) => Ok(address),
            Ok(Err(error)) => {
                Err(Error::because(ErrorType::ConnectNoRoute, "the name has no address", error).into_up())
            }
            Err(_late) => Err(Error::explain(ErrorType::ConnectTimedout, "nobody tells the address").into_up()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{policy::Protocol, web::Host};

    fn app(name: &str, hosts: &[&str]) -> App {
        let mut app = crate::policy::testing::app(name);
        app.name = name.to_owned();
        let upstream = |host: &&str| Upstream {
            scheme: Scheme::Http,
            protocol: Protocol::Negotiated,
            host: Host::parse(host).unwrap(),
            port: 80,
        };
        app.upstreams = hosts.iter().map(upstream).collect();
        app
    }

    fn metrics() -> Arc<Metrics> {
        Metrics::new(Arc::new(crate::clock::SystemClock))
    }

    fn known(app: App) -> (Upstreams, Arc<App>) {
        let table = Table::new([app]);
        (Upstreams::new(&table, &metrics()).unwrap(), Arc::clone(table.apps().next().unwrap()))
    }

    async fn address(upstreams: &Upstreams, app: &App, journey: &mut Journey) -> Result<String, u16> {
        match upstreams.next(app, journey, Asks::Request).await {
            Ok(peer) => Ok(peer.to_string()),
            Err(error) if *error.etype() == ErrorType::HTTPStatus(503) => Err(503),
            Err(error) if *error.etype() == ErrorType::ConnectNoRoute => Err(502),
            Err(_) => Err(500),
        }
    }

    #[tokio::test]
    async fn a_request_visits_each_upstream_once() {
        let (upstreams, app) = known(app("a.example", &["10.0.0.1", "no-such-name.invalid", "10.0.0.3"]));
        let mut journey = Journey::default();
        let mut visited = Vec::new();
        let refused = Error::new_up(ErrorType::ConnectRefused);
        loop {
            match address(&upstreams, &app, &mut journey).await {
                Ok(peer) => visited.push(peer),
                Err(status) => break assert_eq!(status, 503),
            }
            assert!(upstreams.refused(&app, &mut journey, &refused));
        }
        visited.sort();
        assert_eq!(visited, ["addr: 10.0.0.1:80, scheme: HTTP", "addr: 10.0.0.3:80, scheme: HTTP"]);
    }

    #[tokio::test]
    async fn our_own_want_of_sockets_takes_nobody_down() {
        let (upstreams, app) = known(app("a.example", &["10.0.0.1", "10.0.0.2"]));
        for kind in [ErrorType::InternalError, ErrorType::SocketError, ErrorType::BindError] {
            for _ in 0..4 {
                let mut journey = Journey::default();
                assert!(address(&upstreams, &app, &mut journey).await.is_ok());
                assert!(!upstreams.refused(&app, &mut journey, &Error::new_up(kind.clone())));
            }
        }
        assert!(address(&upstreams, &app, &mut Journey::default()).await.is_ok());
    }

    #[tokio::test]
    async fn an_unknown_name_that_stands_alone_is_a_bad_gateway() {
        let (upstreams, app) = known(app("a.example", &["no-such-name.invalid"]));
        assert_eq!(address(&upstreams, &app, &mut Journey::default()).await, Err(502));
    }

    #[tokio::test]
    async fn another_app_of_the_same_name_is_not_served_with_the_trust_of_this_one() {
        let (upstreams, _) = known(app("a.example", &["10.0.0.1"]));
        let (_, other) = known(app("a.example", &["10.0.0.1"]));
        assert_eq!(address(&upstreams, &other, &mut Journey::default()).await, Err(500));
    }

    #[test]
    fn tls_without_anybody_to_trust_does_not_start() {
        let mut app = app("a.example", &["10.0.0.1"]);
        app.upstreams[0].scheme = Scheme::Https;
        app.upstream_authorities = Some(crate::policy::Authorities { certificates: Vec::new() });
        let refused = Upstreams::new(&Table::new([app]), &metrics()).unwrap_err();
        assert_eq!(refused, UpstreamsError::Authorities("a.example".into()));
    }
}
