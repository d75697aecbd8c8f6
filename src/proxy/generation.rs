//! What serves requests at one time. A reload puts another in its place, and a request under way keeps its own.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::{Connections, Gateway, Proxy, connection};

/// Everything that a request meets: pingora with our phases, and what its connection needs beside.
#[derive(Clone)]
pub struct Generation {
    pub(super) proxy: Arc<Proxy>,
    pub(super) gateway: Arc<Gateway>,
    pub(super) connections: Connections,
}

impl Generation {
    /// One that can serve.
    #[must_use]
    pub fn new(gateway: Gateway, connections: Connections) -> Self {
        let gateway = Arc::new(gateway);
        Self { proxy: connection::proxy(&gateway), gateway, connections }
    }
}

/// The generation that serves now. All who hold a clone see the same.
#[derive(Clone)]
pub struct Generations(Arc<ArcSwap<Generation>>);

impl Generations {
    /// Begins with the first.
    #[must_use]
    pub fn new(first: Generation) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(first)))
    }

    /// The one that serves now. Whoever judges by it should go on with it to the end of the request.
    #[must_use]
    pub fn now(&self) -> Arc<Generation> {
        self.0.load_full()
    }

    /// From now on requests meet another.
    pub fn replace(&self, next: Generation) {
        self.0.store(Arc::new(next));
    }
}

impl std::fmt::Debug for Generations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generations").finish_non_exhaustive()
    }
}

/// What every connection of the process shares.
#[derive(Clone, Debug)]
pub struct Service {
    /// What serves requests.
    pub generations: Generations,
    /// Says when connections have to end between two requests.
    pub drain: watch::Receiver<bool>,
    /// Has a token for each request that has become a stream: it lasts, and nobody knows how long.
    pub streams: TaskTracker,
}
