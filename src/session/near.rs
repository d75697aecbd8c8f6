//! The near cache: what this process knows of the sessions in a store, so that a request asks nobody.
//!
//! Three rules keep it honest. A session that has ended leaves a tombstone that no late reader can move, for
//! keys are never used again. A record never gives way to an older generation. And where other processes
//! write to the store too, an entry is worth something only while it is fresh, or while this process hears
//! what the others do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::{ops::compute::Op, policy::EvictionPolicy, sync::Cache};

use super::{
    Record, SessionKey,
    id::KeyHash,
    store::{End, Listener, Removal, Sharing, Store, StoreError, Stored},
    watches::Watches,
};
use crate::clock::{SharedClock, Timestamp};

/// Most bytes of records that are kept, as estimated by [`weight`].
const MOST_BYTES: u64 = 128 * 1024 * 1024;

/// Entries that nobody asks for are forgotten: they hold tokens.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// How long an entry of a shared store is good without news of the others: a sign-out in another process
/// works here within five seconds, even when nothing is heard of it.
const TRUST: Duration = Duration::from_secs(3);

/// How often a record that changes under the reader is read again.
const MOST_READS: usize = 4;

/// What is known of a session.
#[derive(Clone, Debug)]
enum Slot {
    /// Its record.
    Live(Arc<Entry>),
    /// Somebody put a record of this generation there; it was not read yet.
    AtLeast(u64),
    /// It has ended.
    Gone,
}

#[derive(Debug)]
struct Entry {
    record: Arc<Record>,
    /// Milliseconds since the epoch.
    last_seen: AtomicU64,
    /// When the store was asked.
    checked: Timestamp,
    /// Between which two losses of hearing it was read.
    period: u64,
}

impl Entry {
    fn stored(&self) -> Stored {
        let last_seen = Timestamp::from_millis(self.last_seen.load(Ordering::Relaxed));
        Stored { record: Arc::clone(&self.record), last_seen }
    }
}

/// A store with a cache in front.
#[derive(Debug)]
pub(super) struct Near {
    store: Arc<dyn Store>,
    known: Arc<Known>,
    sharing: Sharing,
    clock: SharedClock,
}

/// The cache itself, and how well this process hears what others do.
#[derive(Debug)]
struct Known {
    slots: Cache<SessionKey, Slot, KeyHash>,
    /// Everything before this moment has been heard, in milliseconds; zero: nothing.
    heard: AtomicU64,
    period: AtomicU64,
    watches: Arc<Watches>,
}

impl Listener for Known {
    fn changed(&self, key: &SessionKey, generation: u64) {
        self.slots.entry_by_ref(key).and_compute_with(|slot| match slot.map(moka::Entry::into_value) {
            Some(Slot::Live(entry)) if entry.record.generation < generation => Op::Put(Slot::AtLeast(generation)),
            Some(Slot::AtLeast(known)) => Op::Put(Slot::AtLeast(known.max(generation))),
            Some(Slot::Live(_) | Slot::Gone) => Op::Nop,
            // A reader may be on its way with the older one.
            None => Op::Put(Slot::AtLeast(generation)),
        });
        self.watches.stir();
    }

    fn ended(&self, key: &SessionKey) {
        self.slots.entry_by_ref(key).and_compute_with(|_| Op::Put(Slot::Gone));
        self.watches.end(key);
    }

    fn heard(&self, moment: Timestamp) {
        // What was read while nothing was heard may have missed something. First, so that no reader trusts it
        // in between; nobody else writes here.
        if self.heard.load(Ordering::Acquire) == 0 {
            self.period.fetch_add(1, Ordering::AcqRel);
        }
        self.heard.store(moment.millis().max(1), Ordering::Release);
    }

    fn missed(&self) {
        self.heard.store(0, Ordering::Release);
    }
}

impl Known {
    /// Forgets what may not be true any more.
    fn doubt(&self, key: &SessionKey) {
        self.slots.entry_by_ref(key).and_compute_with(|slot| match slot.map(moka::Entry::into_value) {
            Some(Slot::Live(_)) => Op::Remove,
            Some(Slot::AtLeast(_) | Slot::Gone) | None => Op::Nop,
        });
    }

    /// The generation that somebody has put there, while it was not read yet.
    fn told(&self, key: &SessionKey) -> Option<u64> {
        match self.slots.get(key)? {
            Slot::AtLeast(generation) => Some(generation),
            Slot::Live(_) | Slot::Gone => None,
        }
    }

    /// A record of this process's has taken the place of an older one in the store.
    fn renew(&self, key: &SessionKey, record: Arc<Record>, checked: Timestamp, period: u64) {
        let generation = record.generation;
        self.slots.entry_by_ref(key).and_compute_with(|slot| match slot.map(moka::Entry::into_value) {
            Some(Slot::Live(entry)) if entry.record.generation < generation => {
                let last_seen = AtomicU64::new(entry.last_seen.load(Ordering::Relaxed));
                Op::Put(Slot::Live(Arc::new(Entry { record, last_seen, checked, period })))
            }
            Some(Slot::AtLeast(known)) => Op::Put(Slot::AtLeast(known.max(generation))),
            Some(Slot::Live(_) | Slot::Gone) => Op::Nop,
            None => Op::Put(Slot::AtLeast(generation)),
        });
        self.watches.stir();
    }

    /// Puts what was read in its place, unless something newer is there; gives back what is true now,
    /// or `None` when it has to be read again. What was `told` before the reading began and is not there has been
    /// lost, by a store that was restarted: then what is there counts.
    fn keep(&self, key: &SessionKey, read: Entry, told: Option<u64>) -> Option<Option<Stored>> {
        let generation = read.record.generation;
        let mut outcome = None;
        self.slots.entry_by_ref(key).and_compute_with(|slot| match slot.map(moka::Entry::into_value) {
            Some(Slot::Gone) => {
                outcome = Some(None);
                Op::Nop
            }
            Some(Slot::AtLeast(known)) if known > generation && told != Some(known) => Op::Nop,
            Some(Slot::Live(entry)) if entry.record.generation > generation => {
                outcome = Some(Some(entry.stored()));
                Op::Nop
            }
            slot => {
                if let Some(Slot::Live(entry)) = slot {
                    read.last_seen.fetch_max(entry.last_seen.load(Ordering::Relaxed), Ordering::Relaxed);
                }
                outcome = Some(Some(read.stored()));
                Op::Put(Slot::Live(Arc::new(read)))
            }
        });
        outcome
    }
}

impl Near {
    /// Puts a cache in front of a store, where that is not memory itself.
    pub(super) fn new(store: Arc<dyn Store>, watches: Arc<Watches>, clock: SharedClock) -> Self {
        let slots = Cache::builder()
            .max_capacity(MOST_BYTES)
            .weigher(|_, slot| weight(slot))
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(FORGET_AFTER)
            .build_with_hasher(KeyHash::default());
        let known = Arc::new(Known { slots, heard: AtomicU64::new(0), period: AtomicU64::new(0), watches });
        let listener: Arc<dyn Listener> = Arc::<Known>::clone(&known);
        let sharing = store.listen(Arc::downgrade(&listener));
        Self { store, known, sharing, clock }
    }

    /// Whether records are kept in this process anyway.
    pub(super) fn is_memory(&self) -> bool {
        self.sharing == Sharing::Memory
    }

    /// The store behind the cache.
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// What is known here at this moment and can be trusted; `None` when the store has to be asked.
    pub(super) fn known_for_sure(&self, key: &SessionKey, now: Timestamp) -> Option<Option<Stored>> {
        if self.is_memory() {
            return self.store.at_hand(key);
        }
        match self.known.slots.get(key)? {
            Slot::Live(entry) if self.trusts(&entry, now) => Some(Some(entry.stored())),
            Slot::Gone => Some(None),
            Slot::Live(_) | Slot::AtLeast(_) => None,
        }
    }

    /// Looks a record up in the store.
    pub(super) async fn find_anew(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError> {
        if self.is_memory() {
            return self.store.find(key).await;
        }
        for _ in 0..MOST_READS {
            let (checked, period) = (self.clock.now(), self.known.period.load(Ordering::Acquire));
            let told = self.known.told(key);
            let Some(stored) = self.store.find(key).await? else {
                // No tombstone for a key that was never here: strangers could fill the cache with them.
                self.known.slots.entry_by_ref(key).and_compute_with(|slot| match slot {
                    Some(_) => Op::Put(Slot::Gone),
                    None => Op::Nop,
                });
                return Ok(None);
            };
            let last_seen = AtomicU64::new(stored.last_seen.millis());
            let read = Entry { record: stored.record, last_seen, checked, period };
            if let Some(outcome) = self.known.keep(key, read, told) {
                return Ok(outcome);
            }
        }
        Err(StoreError::Unavailable("the session changes all the time".to_owned()))
    }

    fn trusts(&self, entry: &Entry, now: Timestamp) -> bool {
        match self.sharing {
            Sharing::Memory => false,
            Sharing::Alone => true,
            Sharing::Shared => {
                // A clock that was set back makes nothing younger.
                let is_recent = |moment: Timestamp| moment <= now && now.since(moment) <= TRUST;
                let heard = Timestamp::from_millis(self.known.heard.load(Ordering::Acquire));
                let hears = is_recent(heard) && entry.period == self.known.period.load(Ordering::Acquire);
                hears || is_recent(entry.checked)
            }
        }
    }

    /// Keeps a new record.
    pub(super) async fn insert(&self, key: SessionKey, stored: Stored) -> Result<(), StoreError> {
        // Not cached before it is asked for: most sign-ins are followed by requests, and the first of them
        // proves that the store has it.
        self.store.insert(key, stored).await
    }

    /// Puts a newer record in the place of an older one.
    pub(super) async fn replace(
        &self,
        key: &SessionKey,
        expected: u64,
        record: Arc<Record>,
    ) -> Result<bool, StoreError> {
        let (checked, period) = (self.clock.now(), self.known.period.load(Ordering::Acquire));
        let replaced = self.store.replace(key, expected, Arc::clone(&record)).await;
        if !self.is_memory() {
            match replaced {
                Ok(true) => self.known.renew(key, record, checked, period),
                // Whatever is there, it is not what was known here. After an error nobody knows.
                Ok(false) | Err(_) => self.known.doubt(key),
            }
        }
        replaced
    }

    /// Removes sessions for good, and with them what is known here.
    pub(super) async fn remove(&self, ends: Vec<End>) -> Result<Vec<Removal>, StoreError> {
        let keys: Vec<_> = ends.iter().map(|end| end.key).collect();
        let removals = self.store.remove(ends).await;
        match &removals {
            Ok(removals) => {
                for (key, removal) in keys.iter().zip(removals) {
                    match removal {
                        Removal::Removed { .. } | Removal::Absent if self.is_memory() => self.known.watches.end(key),
                        Removal::Removed { .. } | Removal::Absent => self.known.ended(key),
                        Removal::Changed => self.known.doubt(key),
                    }
                }
            }
            Err(_) => keys.iter().for_each(|key| self.known.doubt(key)),
        }
        removals
    }

    /// Notes here that a session was used; the store is told by the caller.
    pub(super) fn seen(&self, key: &SessionKey, now: Timestamp) {
        if let Some(Slot::Live(entry)) = self.known.slots.get(key) {
            entry.last_seen.fetch_max(now.millis(), Ordering::Relaxed);
        }
    }
}

/// About how many bytes a slot takes.
fn weight(slot: &Slot) -> u32 {
    // What the cache itself needs for an entry, measured.
    const OVERHEAD: usize = 384;
    let bytes = match slot {
        Slot::Live(entry) => OVERHEAD + entry.record.size(),
        Slot::AtLeast(_) | Slot::Gone => OVERHEAD,
    };
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, ManualClock},
        entropy::SystemEntropy,
        session::{
            Grant, NewSession, Over, Sessions,
            store::shared::SharedStore,
            testing::{device, grant, lifetimes, verified},
        },
    };

    /// Two processes on one store.
    struct Bench {
        store: Arc<SharedStore>,
        clock: Arc<ManualClock>,
        here: Arc<Sessions>,
        there: Arc<Sessions>,
    }

    impl Bench {
        fn new() -> Self {
            let clock = ManualClock::at(Timestamp::from_seconds(1_000));
            let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
            let store = SharedStore::new(Arc::clone(&shared));
            let node = || {
                let store = Arc::<SharedStore>::clone(&store);
                Sessions::new(lifetimes(), store, Arc::clone(&shared), Arc::new(SystemEntropy))
            };
            let (here, there) = (node(), node());
            let bench = Self { store, clock, here, there };
            bench.store.beat(bench.clock.now());
            bench
        }

        async fn signed_in_there(&self) -> NewSession {
            self.there.create(verified("anna"), grant(""), crate::identity::ScopeSet::new(), device()).await.unwrap()
        }

        /// Whether the session opens here, and how often the store was read for that.
        async fn opens_here(&self, new: &NewSession) -> (Result<bool, StoreError>, usize) {
            let before = self.store.reads.load(Ordering::SeqCst);
            let opened = self.here.open(&new.id).await.map(|session| session.is_some());
            (opened, self.store.reads.load(Ordering::SeqCst) - before)
        }

        async fn ends_there(&self, new: &NewSession) {
            assert!(self.there.end(new.session.key(), crate::session::Revoke::No).await.unwrap().is_some());
        }

        fn pass(&self, seconds: u64, heard: bool) {
            for _ in 0..seconds {
                self.clock.advance(Duration::from_secs(1));
                if heard {
                    self.store.beat(self.clock.now());
                }
            }
        }
    }

    #[tokio::test]
    async fn a_session_is_read_once_for_as_long_as_the_others_are_heard() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        assert_eq!(bench.opens_here(&new).await, (Ok(true), 1));
        bench.pass(600, true);
        assert_eq!(bench.opens_here(&new).await, (Ok(true), 0));
    }

    #[tokio::test]
    async fn a_session_that_ends_in_another_process_has_ended_here_at_once() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        assert_eq!(bench.opens_here(&new).await, (Ok(true), 1));
        bench.ends_there(&new).await;
        assert_eq!(bench.opens_here(&new).await, (Ok(false), 0));
    }

    #[tokio::test]
    async fn it_has_ended_here_within_five_seconds_when_nothing_is_heard() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        bench.opens_here(&new).await.0.unwrap();
        bench.store.is_silent(true);
        bench.ends_there(&new).await;
        bench.pass(5, false);
        assert_eq!(bench.opens_here(&new).await, (Ok(false), 1));
    }

    #[tokio::test]
    async fn what_was_missed_while_nothing_was_heard_is_not_trusted_when_hearing_comes_back() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        bench.opens_here(&new).await.0.unwrap();
        bench.store.is_silent(true);
        bench.ends_there(&new).await;
        bench.store.is_silent(false);
        bench.store.missed();
        bench.pass(4, true);
        assert_eq!(bench.opens_here(&new).await, (Ok(false), 1));
    }

    #[tokio::test]
    async fn what_was_read_before_anything_was_heard_is_trusted_for_a_short_time_only() {
        let bench = Bench::new();
        bench.store.missed();
        let new = bench.signed_in_there().await;
        bench.opens_here(&new).await.0.unwrap();
        bench.pass(3, true);
        assert_eq!(bench.opens_here(&new).await, (Ok(true), 0));
        bench.pass(1, true);
        assert_eq!(bench.opens_here(&new).await, (Ok(true), 1));
        bench.pass(60, true);
        assert_eq!(bench.opens_here(&new).await, (Ok(true), 0), "this one was read while the others were heard");
    }

    #[tokio::test]
    async fn a_store_that_is_gone_denies_as_soon_as_nothing_can_be_known() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        bench.opens_here(&new).await.0.unwrap();
        bench.store.is_down(true);
        bench.pass(4, false);
        assert!(bench.opens_here(&new).await.0.is_err());
        bench.store.is_down(false);
        assert_eq!(bench.opens_here(&new).await, (Ok(true), 1));
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_makes_nothing_trustworthy() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        bench.pass(100, true);
        bench.opens_here(&new).await.0.unwrap();
        bench.store.is_silent(true);
        bench.ends_there(&new).await;
        bench.clock.set_back(Duration::from_secs(50));
        assert_eq!(bench.opens_here(&new).await, (Ok(false), 1));
    }

    #[tokio::test]
    async fn a_late_reader_does_not_bring_an_ended_session_back() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        bench.store.holds_readers();
        let reader = tokio::spawn({
            let (here, id) = (Arc::clone(&bench.here), new.id.clone());
            async move { here.open(&id).await.unwrap().is_some() }
        });
        while bench.store.reads.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        bench.there.end_unchanged(&new.session).await.unwrap();
        bench.store.lets_readers();
        assert!(!reader.await.unwrap(), "the news came before the reader");
        assert_eq!(bench.opens_here(&new).await, (Ok(false), 0));
    }

    #[tokio::test]
    async fn a_late_reader_does_not_bring_an_older_grant_back() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        bench.store.holds_readers();
        let reader = tokio::spawn({
            let (here, id) = (Arc::clone(&bench.here), new.id.clone());
            async move { here.open(&id).await.unwrap().unwrap().record().generation }
        });
        while bench.store.reads.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        bench.there.regrant(&new.session, grant("edu.users.read")).await.unwrap().unwrap();
        bench.store.lets_readers();
        assert_eq!(reader.await.unwrap(), 1);
        assert_eq!(bench.opens_here(&new).await, (Ok(true), 0));
    }

    #[tokio::test]
    async fn a_newer_record_that_a_restarted_store_has_lost_is_not_waited_for() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        bench.here.near.known.changed(new.session.key(), 7);
        assert_eq!(bench.opens_here(&new).await, (Ok(true), 1));
        assert_eq!(bench.opens_here(&new).await, (Ok(true), 0));
    }

    #[tokio::test]
    async fn a_new_grant_of_another_process_is_seen_at_once() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        bench.opens_here(&new).await.0.unwrap();
        let newer = Grant { access_token: crate::secret::Secret::new("access-2"), ..grant("") };
        bench.there.regrant(&new.session, newer).await.unwrap().unwrap();
        let opened = bench.here.open(&new.id).await.unwrap().unwrap();
        assert_eq!(opened.record().grant.access_token.expose(), "access-2");
    }

    #[tokio::test]
    async fn use_in_one_process_keeps_a_session_alive_in_the_other() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        bench.opens_here(&new).await.0.unwrap();
        for _ in 0..3 {
            bench.pass(4 * 3600, true);
            assert!(bench.there.open(&new.id).await.unwrap().is_some());
            bench.there.write_seen().await;
        }
        assert_eq!(bench.opens_here(&new).await, (Ok(true), 1));
    }

    #[tokio::test]
    async fn uses_are_written_together_and_not_lost_when_the_store_is_away() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        for _ in 0..100 {
            bench.pass(1, true);
            bench.opens_here(&new).await.0.unwrap();
        }
        assert_eq!(bench.store.touches.load(Ordering::SeqCst), 0);
        bench.store.is_down(true);
        bench.here.write_seen().await;
        bench.store.is_down(false);
        bench.here.write_seen().await;
        assert_eq!(bench.store.touches.load(Ordering::SeqCst), 1);
        let (listed, _) = bench.there.list(None, 10).await.unwrap();
        assert!(listed[0].last_seen.since(Timestamp::from_seconds(1_000)) >= Duration::from_secs(60));
    }

    #[tokio::test]
    async fn strangers_do_not_fill_the_cache() {
        let bench = Bench::new();
        for _ in 0..50 {
            assert!(bench.here.open(&crate::session::SessionId::draw(&SystemEntropy)).await.unwrap().is_none());
        }
        bench.here.near.known.slots.run_pending_tasks();
        assert_eq!(bench.here.near.known.slots.entry_count(), 0);
    }

    #[tokio::test]
    async fn a_watcher_is_told_of_an_end_in_another_process() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        let watcher = tokio::spawn({
            let (here, session) = (Arc::clone(&bench.here), new.session.clone());
            async move { here.over(&session).await }
        });
        while bench.here.watches.keys().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(!watcher.is_finished());
        bench.ends_there(&new).await;
        let told = async {
            assert_eq!(watcher.await.unwrap(), Over::Ended);
            assert_eq!(bench.here.over(&new.session).await, Over::Ended);
        };
        assert!(tokio::time::timeout(Duration::from_secs(10), told).await.is_ok(), "nobody was told");
    }

    #[tokio::test]
    async fn a_watcher_is_told_when_nobody_can_say_any_more_whether_the_session_lives() {
        let bench = Bench::new();
        let new = bench.signed_in_there().await;
        bench.opens_here(&new).await.0.unwrap();
        let tending = tokio::spawn(Arc::clone(&bench.here).tend());
        let watcher = tokio::spawn({
            let (here, session) = (Arc::clone(&bench.here), new.session.clone());
            async move { here.over(&session).await }
        });
        while bench.here.watches.keys().is_empty() {
            tokio::task::yield_now().await;
        }
        bench.store.is_down(true);
        let told = async {
            while !watcher.is_finished() {
                bench.clock.advance(Duration::from_millis(100));
                tokio::task::yield_now().await;
            }
            watcher.await.unwrap()
        };
        let over = tokio::time::timeout(Duration::from_secs(10), told).await;
        assert_eq!(over, Ok(Over::Doubtful(StoreError::Unavailable("down".into()))));
        tending.abort();
    }
}
