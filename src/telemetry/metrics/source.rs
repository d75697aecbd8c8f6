//! What is asked for when somebody looks, of whoever knows: parts of the gateway that a reload replaces.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::{recent::Last, words::UpstreamNews};
use crate::clock::Timestamp;

/// How it is with an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamState {
    /// The name of its app.
    pub app: String,
    /// Its address, as the configuration has it.
    pub upstream: String,
    /// Whether requests go there.
    pub is_up: bool,
    /// What was last heard of it.
    pub last: Option<Last<UpstreamNews>>,
}

/// A certificate of the public listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateState {
    /// Its file, or its host, as the configuration has it.
    pub name: String,
    /// When it expires.
    pub expires: Timestamp,
}

type Ask<T> = Arc<dyn Fn() -> Vec<T> + Send + Sync>;

/// Whom to ask. The newest is the only one.
pub struct Source<T>(Mutex<Option<Ask<T>>>);

impl<T> Source<T> {
    /// From now on `ask` knows.
    pub fn is(&self, ask: impl Fn() -> Vec<T> + Send + Sync + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(ask));
    }

    /// What it says; nothing while nobody knows.
    #[must_use]
    pub fn ask(&self) -> Vec<T> {
        let ask = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ask.map(|ask| ask()).unwrap_or_default()
    }
}

impl<T> Default for Source<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}
