//! Where admitted requests go: the upstreams of each app, their turns and their health.
//!
//! pingora keeps the connections and verifies certificates; why the choice among upstreams is not its own is told in
//! `docs/decisions/0006-upstreams.md`. An address is still to be had from an `Admission` alone: this room knows which
//! upstream is next by its number.

mod authorities;
mod balancer;
mod health;
mod journey;
mod pool;

use std::{collections::HashMap, sync::Arc};

use pingora::{Error, ErrorType, upstreams::peer::HttpPeer};
use tokio::time::timeout;

pub(super) use self::journey::Journey;
use self::{
    authorities::Trusted,
    pool::{CONNECT_TIMEOUT, Pool},
};
pub use self::{authorities::is_authority, pool::certificate_name};
use super::resolver::Resolver;
use crate::{
    clock::Clock,
    policy::{App, Table, Upstream},
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
    /// By the name of the app, of which there is one.
    pools: HashMap<String, Pool>,
    resolver: Resolver,
}

impl Upstreams {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// When an app speaks TLS and nobody can be trusted with it.
    pub fn new(table: &Table) -> Result<Self, UpstreamsError> {
        let mut system = None;
        let mut pools = HashMap::new();
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
            pools.insert(name(), Pool::new(Arc::clone(app), group, trusted));
        }
        Ok(Self { pools, resolver: Resolver::default() })
    }

    /// The most upstreams that an app has.
    pub(super) fn most(&self) -> usize {
        self.pools.values().map(|pool| pool.app.upstreams.len()).max().unwrap_or_default()
    }

    /// Asks the upstreams of apps that have several whether they are well, for ever.
    pub async fn watch(&self, clock: &dyn Clock) {
        health::watch(self.pools.values(), &self.resolver, clock).await;
    }

    /// Where the request goes, or goes now that it could not be sent elsewhere.
    pub(super) async fn next(&self, app: &App, journey: &mut Journey) -> pingora::Result<HttpPeer> {
        let pool = self.pool(app)?;
        loop {
            let Some(index) = pool.balancer.pick(journey.tried()) else {
                tracing::warn!(event = "no_healthy_upstream", app = %app.name);
                return Err(Error::explain(ErrorType::HTTPStatus(503), "no upstream is healthy").into_up());
            };
            let upstream = journey.go(app, index)?;
            match self.address(upstream).await {
                Ok(address) => return pool.peer(upstream, address).map_err(Error::into_up),
                Err(error) => {
                    tracing::warn!(event = "upstream_unresolvable", app = %app.name, upstream = %upstream, reason = %error);
                    if !self.refused(app, journey, &error) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// The request could not be sent where it was to go. Says whether it may go elsewhere.
    pub(super) fn refused(&self, app: &App, journey: &mut Journey, error: &Error) -> bool {
        // Our own want of sockets says nothing about the upstream.
        let is_ours = matches!(error.etype(), ErrorType::InternalError | ErrorType::SocketError | ErrorType::BindError);
        match (self.pools.get(&app.name), journey.now()) {
            (Some(pool), Some(index)) if !is_ours => {
                journey.failed(index);
                pool.refused(index, &error.to_string())
            }
            (Some(_) | None, _) => false,
        }
    }

    fn pool(&self, app: &App) -> pingora::Result<&Pool> {
        self.pools.get(&app.name).ok_or_else(|| Error::new_in(ErrorType::InternalError))
    }

    async fn address(&self, upstream: &Upstream) -> pingora::Result<std::net::SocketAddr> {
        match timeout(CONNECT_TIMEOUT, self.resolver.resolve(upstream)).await {
            Ok(Ok(address)) => Ok(address),
            Ok(Err(error)) => {
                Err(Error::because(ErrorType::ConnectNoRoute, "the name has no address", error).into_up())
            }
            Err(_late) => Err(Error::explain(ErrorType::ConnectTimedout, "nobody tells the address").into_up()),
        }
    }
}
