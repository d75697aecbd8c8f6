//! When Apple's keys are used, fetched, or waited for: the whole decision, without a socket or a clock.

use std::{sync::Arc, time::Duration};

use crate::clock::Timestamp;

use super::{CallError, Settings, key::VerificationKey, key_set::KeySet};

/// What to do about a `kid`.
#[derive(Debug)]
pub(super) enum Lookup {
    /// Verify with this key. With `refresh` the set is due, and a fetch should start in the background.
    Use {
        /// The key.
        key: VerificationKey,
        /// Whether to fetch beside it.
        refresh: bool,
    },
    /// Fetch the set, then look again.
    Fetch,
    /// A fetch is under way: wait for it.
    Wait,
    /// Apple was asked lately and does not have this key.
    Unknown,
    /// Apple could not be asked lately: not again yet.
    Unavailable(CallError),
}

/// The last good set and what happened since.
#[derive(Debug)]
pub(super) struct KeyCache {
    max_age: Duration,
    longest_use: Duration,
    min_interval: Duration,
    held: Option<Held>,
    running: bool,
    failed: Option<(Timestamp, CallError)>,
    missed_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Held {
    keys: Arc<KeySet>,
    fetched_at: Timestamp,
}

impl Held {
    /// `None` when the clock was set back since: the age is unknown.
    fn age(&self, now: Timestamp) -> Option<Duration> {
        (self.fetched_at <= now).then(|| now.since(self.fetched_at))
    }
}

impl KeyCache {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            max_age: settings.keys_max_age,
            longest_use: settings.keys_max_stale.max(settings.keys_max_age),
            min_interval: settings.keys_min_interval,
            held: None,
            running: false,
            failed: None,
            missed_at: None,
        }
    }

    /// The same with the last good set of another cache.
    pub(super) fn with_set_of(self, other: &Self) -> Self {
        let held = other.held.as_ref().map(|held| Held { keys: Arc::clone(&held.keys), fetched_at: held.fetched_at });
        Self { held, ..self }
    }

    /// Decides. `Fetch` is an order: the caller must call [`KeyCache::begin`] before anybody else asks.
    pub(super) fn lookup(&self, kid: &str, now: Timestamp) -> Lookup {
        if let Some(key) = self.usable(now).and_then(|held| held.keys.find(kid)) {
            return Lookup::Use { key: key.clone(), refresh: self.is_due(now) };
        }
        if self.running {
            return Lookup::Wait;
        }
        if let Some(error) = self.cooling(now) {
            return Lookup::Unavailable(error.clone());
        }
        let known = self.held.as_ref().is_some_and(|held| held.keys.find(kid).is_some());
        let asked_lately = self.missed_at.is_some_and(|at| within(at, self.min_interval, now));
        if asked_lately && !known { Lookup::Unknown } else { Lookup::Fetch }
    }

    /// Whether a fetch should start although nobody waits for it.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let young = self.held.as_ref().and_then(|held| held.age(now)).is_some_and(|age| age < self.max_age);
        !young && !self.running && self.cooling(now).is_none()
    }

    /// Whether there are keys to verify with.
    pub(super) fn is_usable(&self, now: Timestamp) -> bool {
        self.usable(now).is_some()
    }

    /// A fetch starts.
    pub(super) fn begin(&mut self) {
        self.running = true;
    }

    /// The fetch that began at `started` brought a set.
    pub(super) fn succeed(&mut self, keys: Arc<KeySet>, started: Timestamp) {
        self.running = false;
        self.failed = None;
        self.held = Some(Held { keys, fetched_at: started });
    }

    /// The fetch failed: the last good set stays, and Apple is left alone for a while.
    pub(super) fn fail(&mut self, error: CallError, now: Timestamp) {
        self.running = false;
        self.failed = Some((now, error));
    }

    /// A fetch brought a set without the key that somebody waited for. Counted here, not at every fetch, so
    /// that a key which appears right after a regular one is found at once.
    pub(super) fn miss(&mut self, now: Timestamp) {
        self.missed_at = Some(now);
    }

    /// Number of keys, and the age of the set when it is known.
    pub(super) fn held(&self, now: Timestamp) -> Option<(usize, Option<Duration>)> {
        self.held.as_ref().map(|held| (held.keys.len(), held.age(now)))
    }

    /// Why the last fetch failed, if it did.
    pub(super) fn last_error(&self) -> Option<&CallError> {
        self.failed.as_ref().map(|(_, error)| error)
    }

    /// A set whose age is unknown is used, and fetched again at once.
    fn usable(&self, now: Timestamp) -> Option<&Held> {
        self.held.as_ref().filter(|held| held.age(now).is_none_or(|age| age < self.longest_use))
    }

    fn cooling(&self, now: Timestamp) -> Option<&CallError> {
        self.failed.as_ref().filter(|(at, _)| within(*at, self.min_interval, now)).map(|(_, error)| error)
    }
}

/// Whether `now` is less than `span` after `at`; not when the clock was set back.
fn within(at: Timestamp, span: Duration, now: Timestamp) -> bool {
    at <= now && now.since(at) < span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apple::{
        Unavailable,
        testing::{self, jwk, rsa_key},
    };
    use serde_json::json;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(100_000 + seconds)
    }

    /// An hour, a day, half a minute: the defaults.
    fn cache() -> KeyCache {
        KeyCache::new(&testing::settings())
    }

    fn cache_with(max_age: u64, max_stale: u64, min_interval: u64) -> KeyCache {
        let mut settings = testing::settings();
        settings.keys_max_age = Duration::from_secs(max_age);
        settings.keys_max_stale = Duration::from_secs(max_stale);
        settings.keys_min_interval = Duration::from_secs(min_interval);
        KeyCache::new(&settings)
    }

    fn keys(kids: &[&str]) -> Arc<KeySet> {
        let keys: Vec<_> = kids.iter().map(|kid| jwk(kid, rsa_key())).collect();
        Arc::new(KeySet::read(json!({ "keys": keys }).as_object().unwrap()).unwrap())
    }

    fn load(cache: &mut KeyCache, kids: &[&str], seconds: u64) {
        cache.begin();
        cache.succeed(keys(kids), at(seconds));
    }

    fn fail(cache: &mut KeyCache, seconds: u64) {
        cache.begin();
        cache.fail(Unavailable::Timeout.into(), at(seconds));
    }

    fn word(lookup: Lookup) -> &'static str {
        match lookup {
            Lookup::Use { refresh: false, .. } => "use",
            Lookup::Use { refresh: true, .. } => "use and refresh",
            Lookup::Fetch => "fetch",
            Lookup::Wait => "wait",
            Lookup::Unknown => "unknown",
            Lookup::Unavailable(_) => "unavailable",
        }
    }

    fn ask(cache: &KeyCache, kid: &str, seconds: u64) -> &'static str {
        word(cache.lookup(kid, at(seconds)))
    }

    #[test]
    fn the_first_who_asks_fetches_and_the_others_wait() {
        let mut cache = cache();
        assert_eq!(ask(&cache, "k1", 0), "fetch");
        cache.begin();
        assert_eq!(ask(&cache, "k1", 0), "wait");
        assert_eq!(ask(&cache, "forged", 0), "wait");
        cache.succeed(keys(&["k1"]), at(0));
        assert_eq!(ask(&cache, "k1", 1), "use");
    }

    #[test]
    fn an_old_set_is_used_while_it_is_fetched_again_by_one() {
        let mut cache = cache();
        load(&mut cache, &["k1"], 0);
        assert_eq!(ask(&cache, "k1", 3599), "use");
        assert_eq!(ask(&cache, "k1", 3600), "use and refresh");
        cache.begin();
        assert_eq!(ask(&cache, "k1", 3601), "use");
    }

    #[test]
    fn an_outage_is_sat_out_with_the_last_good_set_for_a_day() {
        let mut cache = cache();
        load(&mut cache, &["k1"], 0);
        fail(&mut cache, 3600);
        assert_eq!(ask(&cache, "k1", 3601), "use");
        assert_eq!(ask(&cache, "k1", 3629), "use", "a failure cools down too");
        assert_eq!(ask(&cache, "k1", 3630), "use and refresh");
        fail(&mut cache, 86_399);
        assert_eq!(ask(&cache, "k1", 86_399), "use");
        assert_eq!(ask(&cache, "k1", 86_400), "unavailable");
        assert_eq!(ask(&cache, "k1", 86_429), "fetch");
        load(&mut cache, &["k1"], 86_430);
        assert_eq!(ask(&cache, "k1", 86_431), "use");
        assert!(cache.last_error().is_none());
    }

    #[test]
    fn an_outage_at_the_start_is_asked_about_once_in_an_interval() {
        let mut cache = cache();
        fail(&mut cache, 0);
        assert_eq!(ask(&cache, "k1", 0), "unavailable");
        assert_eq!(ask(&cache, "k1", 29), "unavailable");
        assert_eq!(ask(&cache, "k1", 30), "fetch");
    }

    #[test]
    fn a_made_up_kid_makes_for_one_fetch_in_an_interval() {
        let mut cache = cache();
        load(&mut cache, &["k1"], 0);
        assert_eq!(ask(&cache, "forged", 10), "fetch");
        load(&mut cache, &["k1"], 10);
        cache.miss(at(10));
        for kid in ["forged", "another"] {
            assert_eq!(ask(&cache, kid, 10), "unknown");
            assert_eq!(ask(&cache, kid, 39), "unknown");
            assert_eq!(ask(&cache, kid, 40), "fetch");
        }
        assert_eq!(ask(&cache, "k1", 11), "use");
    }

    #[test]
    fn a_made_up_kid_while_apple_is_down_is_not_called_unknown() {
        let mut cache = cache();
        load(&mut cache, &["k1"], 0);
        fail(&mut cache, 10);
        assert_eq!(ask(&cache, "new", 11), "unavailable");
        assert_eq!(ask(&cache, "new", 40), "fetch");
    }

    #[test]
    fn a_key_that_appears_right_after_a_regular_fetch_is_found_at_once() {
        let mut cache = cache();
        load(&mut cache, &["k1"], 0);
        assert_eq!(ask(&cache, "k2", 1), "fetch");
        load(&mut cache, &["k1", "k2"], 1);
        assert_eq!(ask(&cache, "k2", 1), "use");
        assert_eq!(ask(&cache, "k3", 2), "fetch", "a good answer is no miss");
    }

    #[test]
    fn a_key_that_apple_withdrew_is_gone_with_the_next_set() {
        let mut cache = cache();
        load(&mut cache, &["k1", "k2"], 0);
        load(&mut cache, &["k2"], 3600);
        assert_eq!(ask(&cache, "k1", 3601), "fetch");
    }

    #[test]
    fn zero_age_and_zero_staleness_fetch_every_time() {
        let mut cache = cache_with(0, 0, 30);
        load(&mut cache, &["k1"], 0);
        assert_eq!(ask(&cache, "k1", 0), "fetch");
        assert!(!cache.is_usable(at(0)));
        cache.miss(at(0));
        assert_eq!(ask(&cache, "k1", 0), "fetch");
        assert_eq!(ask(&cache, "forged", 0), "unknown", "even so a made-up kid does not hammer Apple");
    }

    #[test]
    fn zero_age_alone_uses_the_old_set_and_refreshes_every_time() {
        let mut cache = cache_with(0, 86_400, 30);
        load(&mut cache, &["k1"], 0);
        assert_eq!(ask(&cache, "k1", 0), "use and refresh");
    }

    #[test]
    fn zero_staleness_alone_uses_a_set_until_it_is_due() {
        let mut cache = cache_with(3600, 0, 30);
        load(&mut cache, &["k1"], 0);
        assert_eq!(ask(&cache, "k1", 3599), "use");
        assert_eq!(ask(&cache, "k1", 3600), "fetch");
    }

    #[test]
    fn a_zero_interval_never_makes_anybody_wait() {
        let mut cache = cache_with(3600, 86_400, 0);
        fail(&mut cache, 0);
        assert_eq!(ask(&cache, "k1", 0), "fetch");
        load(&mut cache, &["k1"], 0);
        cache.miss(at(0));
        assert_eq!(ask(&cache, "forged", 0), "fetch");
    }

    #[test]
    fn a_clock_that_was_set_back_blocks_nothing() {
        let mut cache = cache();
        load(&mut cache, &["k1"], 5000);
        assert_eq!(ask(&cache, "k1", 0), "use and refresh");
        cache.miss(at(5000));
        assert_eq!(ask(&cache, "k2", 0), "fetch");
        fail(&mut cache, 5000);
        assert_eq!(ask(&cache, "k2", 0), "fetch");
    }
}
