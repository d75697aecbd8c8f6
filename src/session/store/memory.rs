//! Sessions in the memory of this process: gone with it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use moka::{
    ops::compute::{CompResult, Op},
    policy::EvictionPolicy,
    sync::Cache,
};

use super::{
    End, Holder, Lease, Listener, MOST_WAITING, Mark, Note, NoteName, Queue, Removal, Selector, Sharing, Store,
    StoreError, Stored, Swap, bag::Bag, leases::Leases,
};
use crate::{
    clock::{SharedClock, Timestamp},
    session::{LiveLifetimes, Record, SessionKey, Waiting},
};

/// Most marks kept. Beyond it no new one is set, and whoever needs it must deny.
const MOST_MARKS: usize = 1_000_000;

/// Most bytes of notes.
const MOST_OF_NOTES: u64 = 64 << 20;

/// Most sessions kept; beyond it the least recently used end.
const MOST: u64 = 200_000;

/// The memory store.
#[derive(Debug)]
pub struct MemoryStore {
    lifetimes: LiveLifetimes,
    clock: SharedClock,
    sessions: Cache<SessionKey, Stored>,
    leases: Leases,
    rest: Mutex<Rest>,
    notes: Mutex<Bag>,
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
        let sessions = Cache::builder().max_capacity(MOST).eviction_policy(EvictionPolicy::lru()).build();
        let notes = Mutex::new(Bag::with_room(MOST_OF_NOTES));
        Self { lifetimes: lifetimes.into(), clock, sessions, leases: Leases::default(), rest: Mutex::default(), notes }
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, Bag> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a record that is there, in one step; false when it is not there or `next` says no.
    fn change(&self, key: &SessionKey, next: impl FnOnce(Stored) -> Option<Stored>) -> bool {
        let mut changed = false;
        self.sessions.entry_by_ref(key).and_compute_with(|entry| {
            match entry.and_then(|entry| next(entry.into_value())) {
                Some(stored) => {
                    changed = true;
                    Op::Put(stored)
                }
                None => Op::Nop,
            }
        });
        changed
    }

    /// Not `Cache::remove`: that one does not wait for a change under way, which would then put the record
    /// back.
    fn remove_one(&self, end: End, rest: &mut Rest) -> Removal {
        let mut outcome = Removal::Absent;
        let removed = self.sessions.entry_by_ref(&end.key).and_compute_with(|entry| match entry {
            Some(entry) if end.expected.is_none_or(|expected| expected == entry.value().record.generation) => {
                Op::Remove
            }
            Some(_) => {
                outcome = Removal::Changed;
                Op::Nop
            }
            None => Op::Nop,
        });
        match removed {
            CompResult::Removed(_) => {
                let queued = end.revocation.is_some_and(|waiting| rest.enqueue(waiting));
                Removal::Removed { queued }
            }
            CompResult::StillNone(_)
            | CompResult::Unchanged(_)
            | CompResult::Inserted(_)
            | CompResult::ReplacedWith(_) => outcome,
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
        self.sessions.insert(key, stored);
        Ok(())
    }

    async fn find(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError> {
        Ok(self.sessions.get(key))
    }

    async fn touch(&self, seen: &[(SessionKey, Timestamp)]) -> Result<(), StoreError> {
        for (key, now) in seen {
            self.change(key, |stored| Some(Stored { last_seen: stored.last_seen.max(*now), ..stored }));
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
        let of_them = self.sessions.iter().filter(|(_, stored)| is_of(&stored.record, whose));
        Ok(of_them.map(|(key, _)| *key).collect())
    }

    async fn page(&self, after: Option<&SessionKey>, most: usize) -> Result<Vec<(SessionKey, Stored)>, StoreError> {
        let later = self.sessions.iter().filter(|(key, _)| after.is_none_or(|after| **key > *after));
        let mut later: Vec<_> = later.map(|(key, stored)| (*key, stored)).collect();
        later.sort_unstable_by_key(|(key, _)| *key);
        later.truncate(most);
        Ok(later)
    }

    async fn count(&self) -> Result<usize, StoreError> {
        self.sessions.run_pending_tasks();
        Ok(usize::try_from(self.sessions.entry_count()).unwrap_or(usize::MAX))
    }

    async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        let is_over = |stored: &Stored| self.lifetimes.now().ends_at(stored.record.created, stored.last_seen) <= now;
        let over: Vec<_> = self.sessions.iter().filter(|(_, stored)| is_over(stored)).map(|(key, _)| *key).collect();
        let mut swept = 0;
        for key in over {
            // It may have been used since.
            let removed = self.sessions.entry_by_ref(&key).and_compute_with(|entry| match entry {
                Some(entry) if is_over(entry.value()) => Op::Remove,
                Some(_) | None => Op::Nop,
            });
            swept += usize::from(matches!(removed, CompResult::Removed(_)));
        }
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
