//! Sessions in the memory of this process: gone with it.

use std::{
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use indexmap::IndexMap;

use super::{
    End, Holder, Lease, Listener, MOST_WAITING, Mark, Note, NoteName, Queue, Removal, Selector, Sharing, Store,
    StoreError, Stored, Swap, bag::Bag, leases::Leases,
};
use crate::{
    clock::{SharedClock, Timestamp},
    session::{LiveLifetimes, Record, SessionKey, Waiting, id::KeyHash},
};

/// Most marks kept. Beyond it no new one is set, and whoever needs it must deny.
const MOST_MARKS: usize = 1_000_000;

/// Most bytes of notes.
const MOST_OF_NOTES: u64 = 64 << 20;

/// Most sessions kept, which take about as many KiB; beyond it the least recently used end.
const MOST: usize = 2_000_000;

/// One of so many ends when there is no more room.
const ONE_OF: usize = 64;

/// Parts of the sessions, each with a lock of its own: requests hardly ever wait for each other.
const PARTS: usize = 64;

/// A full part grows by a quarter: to double would leave half of the room empty, which takes memory too.
const STEP: usize = 4;

/// And by so many at least.
const FEW: usize = 8;

/// A part.
type Part = IndexMap<SessionKey, Slot, KeyHash>;

/// The memory store.
#[derive(Debug)]
pub struct MemoryStore {
    lifetimes: LiveLifetimes,
    clock: SharedClock,
    parts: Box<[RwLock<Part>]>,
    most: usize,
    making_room: Mutex<()>,
    leases: Leases,
    rest: Mutex<Rest>,
    notes: Mutex<Bag>,
}

/// A session.
#[derive(Debug)]
struct Slot {
    record: Arc<Record>,
    /// Milliseconds since the epoch.
    last_seen: AtomicU64,
}

impl Slot {
    fn new(Stored { record, last_seen }: Stored) -> Self {
        Self { record, last_seen: AtomicU64::new(last_seen.millis()) }
    }

    fn last_seen(&self) -> Timestamp {
        Timestamp::from_millis(self.last_seen.load(Ordering::Relaxed))
    }

    fn stored(&self) -> Stored {
        Stored { record: Arc::clone(&self.record), last_seen: self.last_seen() }
    }
}

/// What goes with the sessions.
#[derive(Debug, Default)]
struct Rest {
    marks: HashMap<Mark, Timestamp>,
    waiting: BTreeMap<String, (Timestamp, Waiting)>,
}

impl Rest {
    fn enqueue(&mut self, waiting: Waiting) -> bool {
        let room = self.waiting.len() < MOST_WAITING;
        if room {
            self.waiting.insert(waiting.id.clone(), (waiting.queued, waiting));
        }
        room
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(lifetimes: impl Into<LiveLifetimes>, clock: SharedClock) -> Self {
        Self {
            lifetimes: lifetimes.into(),
            clock,
            parts: (0..PARTS).map(|_| RwLock::default()).collect(),
            most: MOST,
            making_room: Mutex::default(),
            leases: Leases::default(),
            rest: Mutex::default(),
            notes: Mutex::new(Bag::with_room(MOST_OF_NOTES)),
        }
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, Bag> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The part of a key. Not by the bits that a part looks it up with.
    fn part(&self, key: &SessionKey) -> &RwLock<Part> {
        &self.parts[usize::from(key.bytes()[31]) % PARTS]
    }

    fn read(part: &RwLock<Part>) -> RwLockReadGuard<'_, Part> {
        part.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(part: &RwLock<Part>) -> RwLockWriteGuard<'_, Part> {
        part.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, key: &SessionKey) -> Option<Stored> {
        Self::read(self.part(key)).get(key).map(Slot::stored)
    }

    fn length(&self) -> usize {
        self.parts.iter().map(|part| Self::read(part).len()).sum()
    }

    /// What `pick` makes of each session.
    fn picked<T>(&self, pick: impl Fn(&SessionKey, &Slot) -> Option<T>) -> Vec<T> {
        let mut picked = Vec::new();
        for part in &self.parts {
            picked.extend(Self::read(part).iter().filter_map(|(key, slot)| pick(key, slot)));
        }
        picked
    }

    /// Changes a record that is there, in one step; false when it is not there or `next` says no.
    fn change(&self, key: &SessionKey, next: impl FnOnce(Stored) -> Option<Stored>) -> bool {
        let mut part = Self::write(self.part(key));
        let Some(slot) = part.get_mut(key) else { return false };
        match next(slot.stored()) {
            Some(next) => {
                *slot = Slot::new(next);
                true
            }
            None => false,
        }
    }

    /// Removes a session when it is still what `is_meant` says, in one step: whether there was one, and whether it is
    /// removed.
    fn remove_if(&self, key: &SessionKey, is_meant: impl FnOnce(&Slot) -> bool) -> (bool, bool) {
        let mut part = Self::write(self.part(key));
        let Some(slot) = part.get(key) else { return (false, false) };
        let removes = is_meant(slot);
        // Dropped, and its tokens wiped, when nobody waits for it.
        let removed = if removes { part.swap_remove(key) } else { None };
        drop(part);
        (true, removed.is_some())
    }

    fn remove_one(&self, end: End, rest: &mut Rest) -> Removal {
        let is_meant = |slot: &Slot| end.expected.is_none_or(|expected| expected == slot.record.generation);
        match self.remove_if(&end.key, is_meant) {
            (_, true) => Removal::Removed { queued: end.revocation.is_some_and(|waiting| rest.enqueue(waiting)) },
            (true, false) => Removal::Changed,
            (false, false) => Removal::Absent,
        }
    }

    /// Ends those that were not used for the longest time.
    fn make_room(&self) {
        // One at a time: the others have their place, and the next one looks again.
        let Ok(_making) = self.making_room.try_lock() else { return };
        let mut all = self.picked(|key, slot| Some((slot.last_seen(), *key)));
        let nth = (self.most / ONE_OF).min(all.len().saturating_sub(1));
        all.select_nth_unstable(nth);
        for (last_seen, key) in &all[..=nth] {
            // It may have been used since.
            self.remove_if(key, |slot| slot.last_seen() == *last_seen);
        }
    }
}

fn is_of(record: &Record, whose: &Selector) -> bool {
    match whose {
        Selector::Handle(handle) => record.handle == *handle,
        Selector::Subject(subject) => record.person.subject == *subject,
        Selector::Organization(organization) => record.person.organization.as_ref() == Some(organization),
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn listen(&self, _: Weak<dyn Listener>) -> Sharing {
        Sharing::Memory
    }

    async fn insert(&self, key: SessionKey, stored: Stored) -> Result<(), StoreError> {
        if self.length() >= self.most {
            self.make_room();
        }
        let mut part = Self::write(self.part(&key));
        if part.len() == part.capacity() {
            // Not twofold: in large pages of memory, room that is not used takes memory too.
            let more = (part.len() / STEP).max(FEW);
            part.reserve_exact(more);
        }
        part.insert(key, Slot::new(stored));
        Ok(())
    }

    fn at_hand(&self, key: &SessionKey) -> Option<Option<Stored>> {
        Some(self.look(key))
    }

    async fn find(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError> {
        Ok(self.look(key))
    }

    async fn touch(&self, seen: &[(SessionKey, Timestamp)]) -> Result<(), StoreError> {
        for (key, now) in seen {
            if let Some(slot) = Self::read(self.part(key)).get(key) {
                slot.last_seen.fetch_max(now.millis(), Ordering::Relaxed);
            }
        }
        Ok(())
    }

    async fn replace(&self, key: &SessionKey, expected: u64, record: Arc<Record>) -> Result<bool, StoreError> {
        Ok(self.change(key, |stored| (stored.record.generation == expected).then_some(Stored { record, ..stored })))
    }

    async fn remove(&self, ends: Vec<End>) -> Result<Vec<Removal>, StoreError> {
        // Held all the while: who finds a session gone must find its revocation in the queue.
        let mut rest = self.rest();
        Ok(ends.into_iter().map(|end| self.remove_one(end, &mut rest)).collect())
    }

    async fn keys_of(&self, whose: &Selector) -> Result<Vec<SessionKey>, StoreError> {
        Ok(self.picked(|key, slot| is_of(&slot.record, whose).then_some(*key)))
    }

    async fn page(&self, after: Option<&SessionKey>, most: usize) -> Result<Vec<(SessionKey, Stored)>, StoreError> {
        // The smallest keys so far, the greatest of them on top.
        let mut smallest = BinaryHeap::new();
        for part in &self.parts {
            for key in Self::read(part).keys().filter(|key| after.is_none_or(|after| *key > after)) {
                smallest.push(*key);
                if smallest.len() > most {
                    smallest.pop();
                }
            }
        }
        let full = smallest.len() >= most;
        let found = |key| Some((key, self.look(&key)?));
        let page: Vec<_> = smallest.into_sorted_vec().into_iter().filter_map(found).collect();
        // One that ended meanwhile leaves a hole, and a page with holes would be taken for the last: then once more.
        if full && page.len() < most {
            return self.page(after, most).await;
        }
        Ok(page)
    }

    async fn count(&self) -> Result<usize, StoreError> {
        Ok(self.length())
    }

    async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        let is_over = |slot: &Slot| self.lifetimes.now().ends_at(slot.record.created, slot.last_seen()) <= now;
        let over = self.picked(|key, slot| is_over(slot).then_some(*key));
        // It may have been used since.
        let swept = over.iter().filter(|key| self.remove_if(key, is_over).1).count();
        self.leases.sweep(now);
        self.rest().marks.retain(|_, until| *until > now);
        self.notes().drop_over(now, usize::MAX);
        Ok(swept)
    }

    async fn lease(&self, key: &SessionKey, holder: &Holder, length: Duration) -> Result<Lease, StoreError> {
        Ok(self.leases.take(key, holder, length, self.clock.now()))
    }

    async fn release(&self, key: &SessionKey, holder: &Holder, cool_down: Duration) -> Result<(), StoreError> {
        self.leases.give_back(key, holder, cool_down, self.clock.now());
        Ok(())
    }

    async fn mark(&self, mark: &Mark, keep: Duration) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut rest = self.rest();
        let is_new = rest.marks.get(mark).is_none_or(|until| *until <= now);
        if is_new && rest.marks.len() >= MOST_MARKS {
            rest.marks.retain(|_, until| *until > now);
            if rest.marks.len() >= MOST_MARKS {
                return Err(StoreError::Unavailable("too many sign-ins at once".to_owned()));
            }
        }
        if is_new {
            rest.marks.insert(*mark, now.plus(keep));
        }
        Ok(is_new)
    }

    async fn is_marked(&self, mark: &Mark) -> Result<bool, StoreError> {
        let now = self.clock.now();
        Ok(self.rest().marks.get(mark).is_some_and(|until| *until > now))
    }

    async fn note(&self, name: &NoteName) -> Result<Option<Note>, StoreError> {
        Ok(self.notes().find(name, self.clock.now()))
    }

    async fn swap_note(
        &self,
        name: &NoteName,
        expected: Option<&Note>,
        new: Option<&[u8]>,
        keep: Duration,
    ) -> Result<Swap, StoreError> {
        let now = self.clock.now();
        Ok(self.notes().swap(name, expected.map(Note::edition), new, now, now.plus(keep)))
    }

    async fn enqueue(&self, waiting: Waiting) -> Result<bool, StoreError> {
        Ok(self.rest().enqueue(waiting))
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, most: usize) -> Result<Vec<Waiting>, StoreError> {
        let mut rest = self.rest();
        let mut due: Vec<_> = rest.waiting.values_mut().filter(|(due, _)| *due <= now).collect();
        due.sort_by_key(|(due, _)| *due);
        due.truncate(most);
        let claimed = due.into_iter().map(|(due, waiting)| {
            *due = until;
            waiting.clone()
        });
        Ok(claimed.collect())
    }

    async fn postpone(&self, waiting: &Waiting, due: Timestamp) -> Result<(), StoreError> {
        if let Some(entry) = self.rest().waiting.get_mut(&waiting.id) {
            *entry = (due, waiting.clone());
        }
        Ok(())
    }

    async fn settle(&self, waiting: &Waiting) -> Result<(), StoreError> {
        self.rest().waiting.remove(&waiting.id);
        Ok(())
    }

    async fn queue(&self) -> Result<Queue, StoreError> {
        let rest = self.rest();
        Ok(Queue { length: rest.waiting.len(), next_due: rest.waiting.values().map(|(due, _)| *due).min() })
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;
    use crate::{
        clock::ManualClock,
        entropy::SystemEntropy,
        session::{
            Revocation, SessionId,
            store::suite::{Bench, store_contract},
            testing::{active_session, lifetimes},
        },
    };

    store_contract!(make);

    async fn make() -> Bench {
        let clock = ManualClock::at(Timestamp::from_seconds(1_000_000));
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        Bench { store: Arc::new(MemoryStore::new(lifetimes(), shared)), clock, elsewhere: None, keeps: Box::new(()) }
    }

    fn store() -> MemoryStore {
        MemoryStore::new(lifetimes(), ManualClock::at(Timestamp::from_seconds(1_000)))
    }

    #[tokio::test]
    async fn a_full_queue_takes_nothing_more_and_the_session_ends_all_the_same() {
        let (store, now) = (store(), Timestamp::from_seconds(1_000));
        let revocation = Revocation::of(active_session("anna", "").record());
        let waiting = || Waiting::new(revocation.clone(), now, &SystemEntropy);
        for _ in 0..MOST_WAITING {
            assert!(store.enqueue(waiting()).await.unwrap());
        }
        assert!(!store.enqueue(waiting()).await.unwrap());
        let key = SessionId::draw(&SystemEntropy).key();
        let stored = Stored { record: Arc::clone(active_session("anna", "").record()), last_seen: now };
        store.insert(key, stored).await.unwrap();
        let end = End { key, expected: None, revocation: Some(waiting()) };
        assert_eq!(store.remove(vec![end]).await.unwrap(), [Removal::Removed { queued: false }]);
        assert!(store.find(&key).await.unwrap().is_none());
        assert_eq!(store.queue().await.unwrap().length, MOST_WAITING);
        let settled = store.claim(now, now, 1).await.unwrap();
        store.settle(&settled[0]).await.unwrap();
        assert!(store.enqueue(waiting()).await.unwrap(), "there is room again");
    }

    #[tokio::test]
    async fn beyond_the_limit_those_end_that_were_not_used_for_the_longest_time() {
        let most = 4 * ONE_OF;
        let store = MemoryStore { most, ..store() };
        let now = Timestamp::from_seconds(1_000);
        let keys: Vec<_> = (0..=most).map(|_| SessionId::draw(&SystemEntropy).key()).collect();
        for (number, key) in keys.iter().enumerate() {
            let record = Arc::clone(active_session("anna", "").record());
            store.insert(*key, Stored { record, last_seen: now }).await.unwrap();
            // The first one is used all the while.
            let now = now.plus(Duration::from_secs(number as u64));
            store.touch(&[(*key, now), (keys[0], now)]).await.unwrap();
        }
        let gone: Vec<_> = (0..=most).filter(|number| store.look(&keys[*number]).is_none()).collect();
        assert_eq!(gone, (1..=most / ONE_OF + 1).collect::<Vec<_>>());
        assert_eq!(store.count().await.unwrap(), most - most / ONE_OF);
    }

    #[tokio::test]
    async fn a_use_under_way_keeps_a_session_from_the_sweep() {
        let store = store();
        let key = SessionId::draw(&SystemEntropy).key();
        let now = Timestamp::from_seconds(1_000);
        let stored = Stored { record: Arc::clone(active_session("anna", "").record()), last_seen: now };
        store.insert(key, stored).await.unwrap();
        let end = now.plus(lifetimes().idle_timeout);
        let (swept, has_swept) = mpsc::channel();
        thread::scope(|scope| {
            store.change(&key, |stored| {
                // The sweep finds the session idle, and must look again when this change is done.
                scope.spawn(|| swept.send(futures_util::FutureExt::now_or_never(store.sweep(end))));
                let _ = has_swept.recv_timeout(Duration::from_millis(200));
                Some(Stored { last_seen: end, ..stored })
            });
        });
        assert_eq!(store.find(&key).await.unwrap().unwrap().last_seen, end);
    }

    #[tokio::test]
    async fn a_change_under_way_does_not_bring_an_ended_session_back() {
        let store = store();
        let key = SessionId::draw(&SystemEntropy).key();
        let now = Timestamp::from_seconds(1_000);
        let stored = Stored { record: Arc::clone(active_session("anna", "").record()), last_seen: now };
        store.insert(key, stored).await.unwrap();
        let (ended, has_ended) = mpsc::channel();
        thread::scope(|scope| {
            store.change(&key, |stored| {
                scope.spawn(|| {
                    let end = End { key, expected: None, revocation: None };
                    ended.send(futures_util::FutureExt::now_or_never(store.remove(vec![end])).is_some())
                });
                // Whoever ends the session must wait for this change; one that does not wait is done soon.
                let _ = has_ended.recv_timeout(Duration::from_millis(200));
                Some(stored)
            });
        });
        assert!(store.find(&key).await.unwrap().is_none());
    }
}
