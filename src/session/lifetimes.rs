//! How long sessions live.

use std::time::Duration;

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
