//! Apple's keys, fetched when they are needed: one fetch for all who wait, which goes on when they leave.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tracing::Instrument;
use url::Url;

use crate::{
    clock::{SharedClock, Stopwatch},
    telemetry::{Metrics, still_in_request},
};

use super::{
    CallError, Settings, Unavailable, VerifyError,
    key::VerificationKey,
    key_cache::{KeyCache, Lookup},
    key_set::KeySet,
    report::{Call, report, span},
    transport::Transport,
};

/// Largest key set in bytes; Apple's has about 2 KiB.
pub(super) const LARGEST_SET: usize = 256 * 1024;

/// How things stand with Apple's keys, for readiness and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysStatus {
    /// Whether ID tokens can be verified now.
    pub usable: bool,
    /// How many keys are held.
    pub keys: usize,
    /// When the set was fetched; `None` without one, or when the clock was set back since.
    pub age: Option<Duration>,
    /// Why the last fetch failed, if it did.
    pub last_error: Option<CallError>,
}

type Fetch = Shared<BoxFuture<'static, Result<Arc<KeySet>, CallError>>>;

/// The cache of keys with its fetches.
#[derive(Clone, Debug)]
pub(super) struct KeyRing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    transport: Transport,
    url: Url,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    cache: KeyCache,
    running: Option<Fetch>,
}

enum Step {
    Use(VerificationKey),
    Wait(Fetch),
}

impl KeyRing {
    pub(super) fn new(settings: &Settings, transport: Transport, clock: SharedClock, metrics: Arc<Metrics>) -> Self {
        let state = Mutex::new(State { cache: KeyCache::new(settings), running: None });
        Self(Arc::new(Inner { transport, url: settings.endpoints.keys.clone(), clock, metrics, state }))
    }

    /// A ring after another, with its keys when both are fetched from one address.
    pub(super) fn after(old: &Self, settings: &Settings, transport: Transport) -> Self {
        let (url, clock) = (settings.endpoints.keys.clone(), SharedClock::clone(&old.0.clock));
        let mut cache = KeyCache::new(settings);
        if url == old.0.url {
            cache = cache.with_set_of(&old.0.lock().cache);
        }
        let (state, metrics) = (Mutex::new(State { cache, running: None }), Arc::clone(&old.0.metrics));
        Self(Arc::new(Inner { transport, url, clock, metrics, state }))
    }

    /// The key of that name. Waits for a fetch when there must be one.
    pub(super) async fn key(&self, kid: &str) -> Result<VerificationKey, VerifyError> {
        let fetch = match self.step(kid)? {
            Step::Use(key) => return Ok(key),
            Step::Wait(fetch) => fetch,
        };
        // What the fetch brought is used as it is, whatever its age by now: with an age of zero a second
        // look would fetch again, and again.
        let keys = fetch.await.map_err(VerifyError::KeysUnavailable)?;
        keys.find(kid).cloned().ok_or_else(|| {
            self.0.lock().cache.miss(self.0.clock.now());
            VerifyError::UnknownKey
        })
    }

    /// Fetches the set when there is none or it is due, and waits for it.
    pub(super) async fn warm(&self) {
        let fetch = {
            let mut state = self.0.lock();
            if state.cache.is_due(self.0.clock.now()) { Some(self.start(&mut state)) } else { state.running.clone() }
        };
        if let Some(fetch) = fetch {
            // Told to the log by the fetch itself, and to readiness by the cache.
            drop(fetch.await);
        }
    }

    /// How things stand. Without usable keys it also starts a fetch, so that a gateway that a load balancer
    /// keeps out until it is ready becomes ready without a visitor.
    pub(super) fn status(&self) -> KeysStatus {
        let now = self.0.clock.now();
        let mut state = self.0.lock();
        let usable = state.cache.is_usable(now);
        if !usable && state.cache.is_due(now) {
            drop(self.start(&mut state));
        }
        let (keys, age) = state.cache.held(now).unwrap_or_default();
        KeysStatus { usable, keys, age, last_error: state.cache.last_error().cloned() }
    }

    fn step(&self, kid: &str) -> Result<Step, VerifyError> {
        let mut state = self.0.lock();
        match state.cache.lookup(kid, self.0.clock.now()) {
            Lookup::Use { key, refresh } => {
                if refresh {
                    drop(self.start(&mut state));
                }
                Ok(Step::Use(key))
            }
            Lookup::Fetch => Ok(Step::Wait(self.start(&mut state))),
            Lookup::Wait => {
                let running = state.running.clone();
                running.map(Step::Wait).ok_or(VerifyError::KeysUnavailable(Unavailable::Interrupted.into()))
            }
            Lookup::Unknown => Err(VerifyError::UnknownKey),
            Lookup::Unavailable(error) => Err(VerifyError::KeysUnavailable(error)),
        }
    }

    /// Starts a fetch in a task of its own: a visitor who goes away takes nothing from the others.
    fn start(&self, state: &mut State) -> Fetch {
        state.cache.begin();
        let flight = Flight { inner: Arc::clone(&self.0), landed: false };
        let task = tokio::spawn(still_in_request(flight.fly()));
        let fetch: Fetch =
            async move { task.await.unwrap_or_else(|_| Err(Unavailable::Interrupted.into())) }.boxed().shared();
        state.running = Some(fetch.clone());
        fetch
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<Arc<KeySet>, CallError> {
        let watch = Stopwatch::start();
        let called = async {
            let answer = self.transport.fetch(&self.url, LARGEST_SET).await;
            let status = answer.as_ref().ok().map(|answer| answer.status);
            let outcome = match answer {
                Ok(answer) => answer.object().and_then(|set| KeySet::read(&set).map_err(CallError::from)),
                Err(why) => Err(why.into()),
            };
            report(&self.metrics, Call::Keys, status, watch, outcome.as_ref().err());
            outcome.map(Arc::new)
        };
        called.instrument(span(Call::Keys.word(), "GET", &self.url)).await
    }
}

/// One fetch. However it ends, it says so: a fetch that nobody ends would be waited for forever.
struct Flight {
    inner: Arc<Inner>,
    landed: bool,
}

impl Flight {
    async fn fly(mut self) -> Result<Arc<KeySet>, CallError> {
        let started = self.inner.clock.now();
        let outcome = self.inner.fetch().await;
        let now = self.inner.clock.now();
        let mut state = self.inner.lock();
        match &outcome {
            Ok(keys) => state.cache.succeed(Arc::clone(keys), started),
            Err(error) => state.cache.fail(error.clone(), now),
        }
        state.running = None;
        drop(state);
        self.landed = true;
        outcome
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.landed {
            let now = self.inner.clock.now();
            let mut state = self.inner.lock();
            state.cache.fail(Unavailable::Interrupted.into(), now);
            state.running = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        apple::{
            Malformed,
            testing::{NOW, Script, Server, jwk, key_set, other_rsa_key, rsa_key},
        },
        clock::ManualClock,
    };
    use serde_json::json;
    use tokio::sync::Notify;

    struct World {
        server: Server,
        clock: Arc<ManualClock>,
        ring: KeyRing,
    }

    async fn world(scripts: impl IntoIterator<Item = Script>) -> World {
        world_with(scripts, |_| ()).await
    }

    async fn world_with(scripts: impl IntoIterator<Item = Script>, change: impl FnOnce(&mut Settings)) -> World {
        let server = Server::start(scripts).await;
        let mut settings = server.settings();
        change(&mut settings);
        let clock = ManualClock::at(NOW);
        let transport = Transport::new(&settings.endpoints, settings.timeout).unwrap();
        let ring = KeyRing::new(&settings, transport, clock.clone(), Metrics::new(clock.clone()));
        World { server, clock, ring }
    }

    impl World {
        async fn key(&self, kid: &str) -> Result<(), VerifyError> {
            self.ring.key(kid).await.map(drop)
        }

        fn fetches(&self) -> usize {
            self.server.requests().len()
        }

        fn advance(&self, seconds: u64) {
            self.clock.advance(Duration::from_secs(seconds));
        }

        /// Waits until no fetch is under way.
        async fn settle(&self) {
            let running = self.ring.0.lock().running.clone();
            if let Some(fetch) = running {
                drop(fetch.await);
            }
        }
    }

    fn unavailable(why: Unavailable) -> Result<(), VerifyError> {
        Err(VerifyError::KeysUnavailable(why.into()))
    }

    fn set(kid: &str) -> Script {
        Script::json(200, &json!({ "keys": [jwk(kid, rsa_key())] }).to_string())
    }

    #[tokio::test]
    async fn a_hundred_who_wait_make_one_fetch() {
        let gate = Arc::new(Notify::new());
        let world = world([key_set().held(&gate)]).await;
        let waiters: Vec<_> = (0..100)
            .map(|_| {
                let ring = world.ring.clone();
                tokio::spawn(async move { ring.key("k1").await.map(drop) })
            })
            .collect();
        tokio::task::yield_now().await;
        gate.notify_one();
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), Ok(()));
        }
        assert_eq!(world.key("k2").await, Ok(()));
        assert_eq!(world.fetches(), 1);
        assert_eq!(world.server.requests()[0].line, "GET /auth/oauth2/v2/keys HTTP/1.1");
    }

    #[tokio::test]
    async fn a_fetch_goes_on_when_the_one_who_asked_goes_away() {
        let gate = Arc::new(Notify::new());
        let world = world([key_set().held(&gate)]).await;
        let mut impatient = Box::pin(world.ring.key("k1"));
        assert!((&mut impatient).now_or_never().is_none());
        drop(impatient);
        gate.notify_one();
        assert_eq!(world.key("k1").await, Ok(()));
        assert_eq!(world.fetches(), 1);
    }

    #[tokio::test]
    async fn an_interrupted_fetch_is_a_failure_and_blocks_nobody() {
        let world = world([key_set()]).await;
        let flight = Flight { inner: Arc::clone(&world.ring.0), landed: false };
        world.ring.0.lock().cache.begin();
        drop(flight);
        assert_eq!(world.key("k1").await, unavailable(Unavailable::Interrupted));
        world.advance(30);
        assert_eq!(world.key("k1").await, Ok(()));
    }

    #[tokio::test]
    async fn a_flood_of_made_up_kids_makes_one_fetch_in_an_interval() {
        let world = world([key_set(), key_set(), key_set()]).await;
        assert_eq!(world.key("k1").await, Ok(()));
        for number in 0..50 {
            assert_eq!(world.key(&format!("forged-{number}")).await, Err(VerifyError::UnknownKey));
        }
        assert_eq!(world.fetches(), 2);
        world.advance(30);
        assert_eq!(world.key("forged").await, Err(VerifyError::UnknownKey));
        assert_eq!(world.fetches(), 3);
    }

    #[tokio::test]
    async fn a_flood_from_cold_makes_one_fetch() {
        let world = world([key_set()]).await;
        for number in 0..50 {
            assert_eq!(world.key(&format!("forged-{number}")).await, Err(VerifyError::UnknownKey));
        }
        assert_eq!(world.fetches(), 1);
    }

    #[tokio::test]
    async fn a_new_key_is_found_in_the_middle_of_the_day() {
        let world = world([set("old"), set("new"), set("new")]).await;
        assert_eq!(world.key("old").await, Ok(()));
        world.advance(1);
        assert_eq!(world.key("new").await, Ok(()));
        assert_eq!(world.key("new").await, Ok(()));
        assert_eq!(world.fetches(), 2);
        assert_eq!(world.key("old").await, Err(VerifyError::UnknownKey), "the withdrawn one is gone");
    }

    #[tokio::test]
    async fn an_old_set_is_used_while_a_new_one_is_fetched_behind_it() {
        let gate = Arc::new(Notify::new());
        let world = world([set("old"), set("new").held(&gate)]).await;
        assert_eq!(world.key("old").await, Ok(()));
        world.advance(3600);
        assert_eq!(world.key("old").await, Ok(()));
        assert_eq!(world.key("old").await, Ok(()));
        gate.notify_one();
        world.settle().await;
        assert_eq!(world.key("new").await, Ok(()));
        assert_eq!(world.fetches(), 2);
    }

    #[tokio::test]
    async fn the_last_good_set_is_kept_through_every_kind_of_outage() {
        let outages = [
            Script::html(200),
            Script::html(503),
            Script::json(200, r#"{"keys":[]}"#),
            Script::json(200, r#"{"keys":[{"kty":"EC","kid":"k1"}]}"#),
            Script::json(200, r#"{"keys":1}"#),
            Script::json(200, r#"{"keys":[],"keys":[]}"#),
            Script::json(200, "[]"),
            Script::json(429, "{}"),
            Script::json(302, "{}"),
            Script::json(200, &" ".repeat(LARGEST_SET + 1)),
            Script::raw(""),
        ];
        let count = outages.len();
        let world = world([key_set()].into_iter().chain(outages).chain([key_set()])).await;
        assert_eq!(world.key("k1").await, Ok(()));
        world.advance(3600);
        for number in 0..count {
            assert_eq!(world.key("k1").await, Ok(()));
            world.settle().await;
            assert_eq!(world.fetches(), number + 2);
            assert!(world.ring.status().last_error.is_some(), "outage {number}");
            assert_eq!(world.key("k1").await, Ok(()), "a failure cools down");
            assert_eq!(world.fetches(), number + 2);
            world.advance(30);
        }
        assert_eq!(world.key("k1").await, Ok(()));
        world.settle().await;
        assert_eq!(world.ring.status().last_error, None);
    }

    #[tokio::test]
    async fn a_set_that_is_too_stale_is_not_used() {
        let world = world([key_set(), Script::html(503)]).await;
        assert_eq!(world.key("k1").await, Ok(()));
        world.advance(86_400);
        assert_eq!(world.key("k1").await, unavailable(Unavailable::Status(503)));
        assert!(!world.ring.status().usable);
    }

    #[tokio::test]
    async fn an_apple_that_is_down_at_the_start_heals_without_help() {
        let world = world([Script::html(503), key_set()]).await;
        assert_eq!(world.key("k1").await, unavailable(Unavailable::Status(503)));
        assert_eq!(world.key("k1").await, unavailable(Unavailable::Status(503)));
        assert_eq!(world.fetches(), 1);
        world.advance(30);
        assert_eq!(world.key("k1").await, Ok(()));
    }

    #[tokio::test]
    async fn readiness_asks_for_keys_by_itself_and_cools_down() {
        let world = world([Script::json(200, r#"{"keys":[]}"#), key_set()]).await;
        let cold = KeysStatus { usable: false, keys: 0, age: None, last_error: None };
        assert_eq!(world.ring.status(), cold);
        world.settle().await;
        let error = Some(CallError::from(Malformed::NoKeys));
        assert_eq!(world.ring.status(), KeysStatus { last_error: error, ..cold });
        world.advance(30);
        assert!(!world.ring.status().usable);
        world.settle().await;
        world.advance(5);
        let warm = KeysStatus { usable: true, keys: 2, age: Some(Duration::from_secs(5)), last_error: None };
        assert_eq!(world.ring.status(), warm);
        assert_eq!(world.fetches(), 2);
    }

    #[tokio::test]
    async fn warming_fetches_once_until_the_set_is_due() {
        let world = world([key_set(), key_set()]).await;
        world.ring.warm().await;
        world.ring.warm().await;
        assert_eq!((world.fetches(), world.ring.status().keys), (1, 2));
        world.advance(3600);
        world.ring.warm().await;
        assert_eq!(world.fetches(), 2);
    }

    #[tokio::test]
    async fn with_zero_age_and_zero_staleness_every_question_is_one_fetch() {
        let replaced = Script::json(200, &json!({ "keys": [jwk("k9", other_rsa_key())] }).to_string());
        let world = world_with([key_set(), key_set(), replaced], |settings| {
            (settings.keys_max_age, settings.keys_max_stale) = (Duration::ZERO, Duration::ZERO);
        })
        .await;
        assert_eq!(world.key("k1").await, Ok(()));
        assert_eq!(world.key("k1").await, Ok(()));
        assert_eq!(world.key("k1").await, Err(VerifyError::UnknownKey));
        assert_eq!(world.fetches(), 3);
    }
}
