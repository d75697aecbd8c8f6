//! What serves requests at one time. A reload puts another in its place, and a request under way keeps its own.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Connections, Proxy};

/// Everything that a request meets: pingora with our phases, and what its connection needs beside.
#[derive(Clone)]
pub struct Generation {
    pub(super) proxy: Arc<Proxy>,
    pub(super) connections: Connections,
}

impl Generation {
    /// One that can serve.
    #[must_use]
    pub fn new(proxy: Arc<Proxy>, connections: Connections) -> Self {
        Self { proxy, connections }
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
