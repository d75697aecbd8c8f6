//! How long sessions live.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use crate::clock::Timestamp;

/// Lifetimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// A session that is not used for so long has ended.
    pub idle_timeout: Duration,
    /// A session older than this has ended, used or not.
    pub max_lifetime: Duration,
}

impl Lifetimes {
    /// When a session ends if it is not used again.
    #[must_use]
    pub fn ends_at(&self, created: Timestamp, last_seen: Timestamp) -> Timestamp {
        last_seen.plus(self.idle_timeout).min(self.expires_at(created))
    }

    /// The last moment of a session, however much it is used.
    #[must_use]
    pub fn expires_at(&self, created: Timestamp) -> Timestamp {
        created.plus(self.max_lifetime)
    }
}

/// The lifetimes in force. A reload changes them for all who hold a clone.
#[derive(Clone, Debug)]
pub struct LiveLifetimes(Arc<ArcSwap<Lifetimes>>);

impl From<Lifetimes> for LiveLifetimes {
    fn from(lifetimes: Lifetimes) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(lifetimes)))
    }
}

impl LiveLifetimes {
    /// Those of this moment.
    #[must_use]
    pub fn now(&self) -> Lifetimes {
        **self.0.load()
    }

    /// Sessions live by others from now on, those too that there are.
    pub fn replace(&self, lifetimes: Lifetimes) {
        self.0.store(Arc::new(lifetimes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_it_is_idle_too_long_or_too_old() {
        let lifetimes = Lifetimes { idle_timeout: Duration::from_secs(10), max_lifetime: Duration::from_secs(100) };
        let at = Timestamp::from_seconds;
        assert_eq!(lifetimes.ends_at(at(1_000), at(1_000)), at(1_010));
        assert_eq!(lifetimes.ends_at(at(1_000), at(1_095)), at(1_100));
        assert_eq!(lifetimes.expires_at(at(1_000)), at(1_100));
    }
}
