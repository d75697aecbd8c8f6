//! A connection to an upstream in clear HTTP/1.1, for one request that goes straight there.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use pingora::{Error, ErrorType, protocols::l4::ext};
use tokio::{net::TcpStream, time::timeout};

use super::{
    Journey, Upstreams,
    idle::Idle,
    pool::{CONNECT_TIMEOUT, Pool},
};
use crate::{
    clock::Clock,
    policy::{App, Protocol, Upstream},
    telemetry::UpstreamMeter,
    web::Scheme,
};

/// How often it is looked for connections that nobody needs.
const SWEEP: Duration = Duration::from_secs(5);

/// A connection that nobody else uses.
#[derive(Debug)]
pub(in crate::proxy) struct AppConnection<'a> {
    pub(in crate::proxy) socket: TcpStream,
    pool: &'a Pool,
    index: usize,
    address: SocketAddr,
}

impl AppConnection<'_> {
    /// The meter of the upstream.
    pub(in crate::proxy) fn meter(&self) -> Option<&Arc<UpstreamMeter>> {
        self.pool.meters.get(self.index)
    }

    /// Request and answer are over, and another may follow.
    pub(in crate::proxy) fn keep(self) {
        if let Some(idle) = self.pool.idle.get(self.index) {
            idle.keep(self.socket, self.address);
        }
    }
}

/// Whether an app is asked in clear HTTP/1.1, wherever its requests go.
pub(in crate::proxy) fn is_plain(app: &App) -> bool {
    let is_plain = |it: &Upstream| it.scheme == Scheme::Http && it.protocol == Protocol::Negotiated;
    app.upstreams.iter().all(is_plain)
}

impl Upstreams {
    /// Connects the request to where it goes, or goes now that it could not be sent elsewhere. There are two
    /// errors, for only the second may be tried elsewhere: that there is nowhere to go, and that nobody is there.
    pub(in crate::proxy) async fn connect(
        &self,
        app: &App,
        journey: &mut Journey,
    ) -> pingora::Result<Result<AppConnection<'_>, Box<Error>>> {
        let (pool, index, address) = self.turn(app, journey).await?;
        let waiting = pool.idle.get(index).and_then(|idle| idle.take(address));
        let socket = match waiting {
            Some(socket) => Ok(socket),
            None => Box::pin(connect(address)).await,
        };
        Ok(socket.map(|socket| AppConnection { socket, pool, index, address }))
    }
}

/// Connects as pingora does.
async fn connect(address: SocketAddr) -> pingora::Result<TcpStream> {
    let socket = timeout(CONNECT_TIMEOUT, ext::connect(&address, None)).await;
    let socket =
        socket.unwrap_or_else(|_late| Error::e_explain(ErrorType::ConnectTimedout, "connecting took too long"));
    let socket = socket.map_err(Error::into_up)?;
    // Requests are written at once: waiting to join them only delays.
    socket.set_nodelay(true).map_err(|error| Error::because(ErrorType::InternalError, "setting nodelay", error))?;
    Ok(socket)
}

/// Closes connections that nobody needs any more, for ever; all of them when that ends. Streams may outlive a
/// configuration by days, and nobody else looks after what it has left.
pub(super) async fn sweep(pools: &[Pool], clock: &dyn Clock) {
    let _at_the_end = Closing(pools);
    loop {
        clock.sleep(SWEEP).await;
        pools.iter().flat_map(|pool| &pool.idle).for_each(Idle::sweep);
    }
}

/// Closes what waits when it is dropped.
struct Closing<'a>(&'a [Pool]);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.iter().flat_map(|pool| &pool.idle).for_each(Idle::close);
    }
}
