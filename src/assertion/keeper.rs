//! Keeps the key set: one sealed note beside the sessions, read again and again by every gateway that shares it, and
//! changed by whichever finds that a change is due.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::{
    select,
    sync::{Notify, watch},
    time::timeout,
};

use super::{
    AssertionError,
    key::Key,
    key_set::{KeySet, SIGNS_FOR},
};
use crate::{
    clock::{SharedClock, Timestamp},
    entropy::SharedEntropy,
    session::{Note, NoteName, Sessions, Swap},
};

/// How often the note is read: another gateway may have changed it.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A set that was read so long ago signs no more. A key is published for longer before it signs, so that whoever
/// signs with a set of this age signs with a key that the others publish.
pub(super) const STALE: Duration = Duration::from_secs(3600);

/// How long the note is kept. It is written anew with each key.
const KEEP: Duration = SIGNS_FOR.saturating_mul(4);

/// How often a change is tried when others change the note at the same time.
const TRIES: usize = 8;

/// How long a request waits for a set when none is at hand.
const PATIENCE: Duration = Duration::from_secs(5);

/// For so long after a failure nobody tries again on account of a request.
const COOL_DOWN: Duration = Duration::from_secs(1);

/// The keeper.
#[derive(Debug)]
pub(super) struct Keeper {
    sessions: Arc<Sessions>,
    clock: SharedClock,
    entropy: SharedEntropy,
    /// The set that was read last, and when: read by every request, so without a lock.
    known: ArcSwapOption<(Arc<KeySet>, Timestamp)>,
    failed: Mutex<Option<Failure>>,
    wanted: Notify,
    looks: watch::Sender<u64>,
}

/// Why there is no set, and since when.
type Failure = (AssertionError, Timestamp);

impl Keeper {
    pub(super) fn new(sessions: Arc<Sessions>, clock: SharedClock, entropy: SharedEntropy) -> Self {
        let (looks, _) = watch::channel(0);
        let (known, failed) = (ArcSwapOption::empty(), Mutex::default());
        Self { sessions, clock, entropy, known, failed, wanted: Notify::new(), looks }
    }

    /// The set, to sign with: the one at hand, without a look at the store; when there is none, what the next look
    /// brings.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn set(&self) -> Result<Arc<KeySet>, AssertionError> {
        if let Some(answer) = self.at_hand() {
            return answer;
        }
        let mut looks = self.looks.subscribe();
        // It may have come before anybody listened.
        if let Some(answer) = self.at_hand() {
            return answer;
        }
        self.wanted.notify_one();
        let _ = timeout(PATIENCE, looks.changed()).await;
        self.at_hand().unwrap_or(Err(AssertionError::Late))
    }

    /// The set that was read last, however long ago: what is public of it does no harm.
    pub(super) fn last_known(&self) -> Option<Arc<KeySet>> {
        self.known.load().as_ref().map(|known| Arc::clone(&known.0))
    }

    /// How it stands, without a look at the store: since when the key signs, or why nobody can sign.
    pub(super) fn status(&self) -> Result<Timestamp, AssertionError> {
        let now = self.clock.now();
        if let Some(since) = self.fresh(now).and_then(|set| set.signs_since(now)) {
            return Ok(since);
        }
        Err(self.failed().as_ref().map_or(AssertionError::Late, |(error, _)| error.clone()))
    }

    fn at_hand(&self) -> Option<Result<Arc<KeySet>, AssertionError>> {
        let now = self.clock.now();
        if let Some(set) = self.fresh(now) {
            return Some(Ok(set));
        }
        let failed = self.failed();
        let failed = failed.as_ref().filter(|(_, when)| *when <= now && now.since(*when) < COOL_DOWN);
        failed.map(|(error, _)| Err(error.clone()))
    }

    fn fresh(&self, now: Timestamp) -> Option<Arc<KeySet>> {
        let known = self.known.load();
        known.as_ref().filter(|known| now.since(known.1) < STALE).map(|known| Arc::clone(&known.0))
    }

    /// Looks after the set for as long as it is polled.
    pub(super) async fn tend(&self) {
        loop {
            let outcome = self.look().await;
            self.remember(outcome);
            self.looks.send_modify(|looks| *looks = looks.wrapping_add(1));
            select! {
                () = self.clock.sleep(LOOK_EVERY) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    /// Reads the set, and changes it when a change is due.
    async fn look(&self) -> Result<(), AssertionError> {
        let name = NoteName::of("assertion", "keys");
        for _ in 0..TRIES {
            let note = self.sessions.note(&name).await?;
            let known = match &note {
                Some(note) => KeySet::read(note.value())?,
                // A store that has forgotten everything gets back what apps know.
                None => self.last_known().as_deref().cloned().unwrap_or_default(),
            };
            let now = self.clock.now();
            let wanted = known.advanced(now, || Key::draw(&*self.entropy))?;
            // One that a key of the key file sealed that will be taken out is sealed anew.
            if wanted.is_none() && note.as_ref().is_some_and(Note::has_current_seal) {
                self.learn(known, now);
                return Ok(());
            }
            let is_new = wanted.is_some();
            let set = wanted.unwrap_or_else(|| known.clone());
            let swapped = self.sessions.swap_note(&name, note.as_ref(), Some(&set.to_bytes()), KEEP).await;
            let failed = match swapped {
                Ok(Swap::Done) => {
                    if is_new {
                        tracing::info!(event = "assertion_keys_changed", kids = ?set.kids());
                    }
                    self.learn(set, now);
                    return Ok(());
                }
                Ok(Swap::Changed) => continue,
                Ok(Swap::Full) => AssertionError::Full,
                Err(error) => error.into(),
            };
            // What is there is good for some time yet.
            if note.is_some() {
                self.learn(known, now);
            }
            return Err(failed);
        }
        Err(AssertionError::Contended)
    }

    fn learn(&self, set: KeySet, now: Timestamp) {
        self.known.store(Some(Arc::new((Arc::new(set), now))));
    }

    /// Remembers what came of a look, and says it once.
    fn remember(&self, outcome: Result<(), AssertionError>) {
        let mut state = self.failed();
        let failed = outcome.err().map(|error| (error, self.clock.now()));
        let before = std::mem::replace(&mut *state, failed);
        match (before, &*state) {
            (Some((before, _)), Some((now, _))) if before == *now => {}
            (_, Some((error, _))) => tracing::warn!(event = "assertion_keys_unavailable", reason = %error),
            (Some(_), None) => tracing::info!(event = "assertion_keys_back"),
            (None, None) => {}
        }
    }

    fn failed(&self) -> MutexGuard<'_, Option<Failure>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, ManualClock},
        entropy::{Entropy, SystemEntropy},
        session::testing::{SharedStore, lifetimes},
    };

    /// Gateways that share a store.
    struct Town {
        store: Arc<SharedStore>,
        clock: Arc<ManualClock>,
    }

    impl Town {
        fn new() -> Self {
            let clock = ManualClock::at(Timestamp::from_seconds(1_800_000_000));
            let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
            Self { store: SharedStore::new(shared), clock }
        }

        fn sessions(&self) -> Arc<Sessions> {
            let store = Arc::<SharedStore>::clone(&self.store);
            let clock: SharedClock = Arc::<ManualClock>::clone(&self.clock);
            Sessions::new(lifetimes(), store, clock, Arc::new(SystemEntropy))
        }

        fn gateway(&self) -> Arc<Keeper> {
            let clock: SharedClock = Arc::<ManualClock>::clone(&self.clock);
            Arc::new(Keeper::new(self.sessions(), clock, Arc::new(SystemEntropy)))
        }

        fn signer(&self, keeper: &Keeper) -> String {
            let now = self.clock.now();
            keeper.at_hand().unwrap().unwrap().signer(now).unwrap().kid().to_owned()
        }
    }

    async fn looks(keeper: &Keeper) {
        keeper.remember(keeper.look().await);
    }

    /// Randomness that comes so late that another gateway has made its keys meanwhile.
    #[derive(Debug)]
    struct Late(Arc<Keeper>);

    impl Entropy for Late {
        fn fill(&self, buffer: &mut [u8]) {
            futures_util::FutureExt::now_or_never(looks(&self.0)).expect("memory never waits");
            SystemEntropy.fill(buffer);
        }
    }

    #[tokio::test]
    async fn gateways_that_start_at_once_end_with_one_set() {
        let town = Town::new();
        let quick = town.gateway();
        let clock: SharedClock = Arc::<ManualClock>::clone(&town.clock);
        let slow = Keeper::new(town.sessions(), clock, Arc::new(Late(Arc::clone(&quick))));
        looks(&slow).await;
        assert_eq!(town.signer(&slow), town.signer(&quick));
        looks(&quick).await;
        assert_eq!(town.signer(&slow), town.signer(&quick));
    }

    #[tokio::test]
    async fn a_successor_that_one_gateway_made_is_everybodys_before_it_signs() {
        let town = Town::new();
        let (one, two) = (town.gateway(), town.gateway());
        looks(&one).await;
        looks(&two).await;
        let old = town.signer(&two);
        town.clock.advance(SIGNS_FOR - Duration::from_secs(3600));
        looks(&one).await;
        looks(&two).await;
        assert_eq!(one.last_known().unwrap().kids(), two.last_known().unwrap().kids());
        assert_eq!(two.last_known().unwrap().kids().len(), 2);
        assert_eq!(town.signer(&two), old);
        for _ in 0..30 {
            town.clock.advance(Duration::from_secs(3600));
            looks(&two).await;
        }
        looks(&one).await;
        assert_ne!(town.signer(&two), old);
        assert_eq!(town.signer(&one), town.signer(&two));
    }

    #[tokio::test]
    async fn without_the_store_the_set_at_hand_signs_for_an_hour_and_then_nobody_does() {
        let town = Town::new();
        let keeper = town.gateway();
        looks(&keeper).await;
        town.store.is_down(true);
        town.clock.advance(STALE - Duration::from_secs(1));
        looks(&keeper).await;
        assert!(keeper.set().await.is_ok());
        town.clock.advance(Duration::from_secs(2));
        looks(&keeper).await;
        assert!(matches!(keeper.at_hand(), Some(Err(AssertionError::Store(_)))));
        assert!(keeper.last_known().is_some());
        town.store.is_down(false);
        looks(&keeper).await;
        assert!(keeper.set().await.is_ok());
    }

    #[tokio::test]
    async fn whoever_asks_first_waits_for_one_look_and_a_failure_is_told_at_once() {
        let town = Town::new();
        let keeper = town.gateway();
        town.store.is_down(true);
        let tending = tokio::spawn({
            let keeper = Arc::clone(&keeper);
            async move { keeper.tend().await }
        });
        assert!(matches!(keeper.set().await, Err(AssertionError::Store(_))));
        town.store.is_down(false);
        assert!(keeper.set().await.is_err(), "it failed a moment ago");
        town.clock.advance(COOL_DOWN);
        assert!(keeper.set().await.is_ok());
        tending.abort();
    }

    #[tokio::test]
    async fn a_store_that_forgot_everything_gets_back_what_apps_know() {
        let town = Town::new();
        let keeper = town.gateway();
        looks(&keeper).await;
        let before = town.signer(&keeper);
        let (sessions, name) = (town.sessions(), NoteName::of("assertion", "keys"));
        let note = sessions.note(&name).await.unwrap();
        assert_eq!(sessions.swap_note(&name, note.as_ref(), None, KEEP).await, Ok(Swap::Done));
        looks(&keeper).await;
        assert!(sessions.note(&name).await.unwrap().is_some());
        assert_eq!(town.signer(&keeper), before);
        let other = town.gateway();
        looks(&other).await;
        assert_eq!(town.signer(&other), before);
    }

    #[tokio::test]
    async fn what_is_no_set_is_neither_used_nor_written_over() {
        let town = Town::new();
        let (sessions, name) = (town.sessions(), NoteName::of("assertion", "keys"));
        let later = br#"{"version":2}"#;
        assert_eq!(sessions.swap_note(&name, None, Some(later), KEEP).await, Ok(Swap::Done));
        let keeper = town.gateway();
        looks(&keeper).await;
        assert!(matches!(keeper.at_hand(), Some(Err(AssertionError::Malformed))));
        assert!(keeper.last_known().is_none());
        assert_eq!(sessions.note(&name).await.unwrap().unwrap().value(), later);
    }

    #[tokio::test]
    async fn the_set_outlives_any_wait_for_the_next_key() {
        let town = Town::new();
        looks(&town.gateway()).await;
        town.clock.advance(SIGNS_FOR * 2);
        town.sessions().note(&NoteName::of("assertion", "keys")).await.unwrap().expect("it is still there");
    }
}
