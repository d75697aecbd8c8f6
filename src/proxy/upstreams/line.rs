//! A connection to an upstream in clear HTTP/1.1, for one request that goes straight there.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use pingora::{Error, ErrorType, protocols::l4::ext};
use tokio::{net::TcpStream, time::timeout};

use super::{
    Journey, Upstreams,
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
pub(in crate::proxy) struct Line<'a> {
    pub(in crate::proxy) socket: TcpStream,
    pool: &'a Pool,
    index: usize,
    address: SocketAddr,
}

impl Line<'_> {
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
    /// Connects the request to where it goes, or goes now that it could not be sent elsewhere. The first error is that
    /// there is nowhere to go, the second that it could not be reached.
    pub(in crate::proxy) async fn line(
        &self,
        app: &App,
        journey: &mut Journey,
    ) -> pingora::Result<Result<Line<'_>, Box<Error>>> {
        let (pool, index, address) = self.turn(app, journey).await?;
        let waiting = pool.idle.get(index).and_then(|idle| idle.take(address));
        let socket = match waiting {
            Some(socket) => Ok(socket),
            None => Box::pin(connect(address)).await,
        };
        Ok(socket.map(|socket| Line { socket, pool, index, address }))
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

/// Closes connections that nobody needs any more, for ever.
pub(super) async fn sweep(pools: &[Pool], clock: &dyn Clock) {
    loop {
        clock.sleep(SWEEP).await;
        pools.iter().flat_map(|pool| &pool.idle).for_each(super::idle::Idle::sweep);
    }
}
