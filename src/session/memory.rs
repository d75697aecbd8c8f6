//! Sessions in the memory of this process: gone with it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use moka::{
    ops::compute::{CompResult, Op},
    policy::EvictionPolicy,
    sync::Cache,
};

use super::{
    Record, SessionKey,
    store::{Store, StoreError, Stored},
};
use crate::clock::Timestamp;

/// Most sessions kept; beyond it the least recently used end.
const MOST: u64 = 200_000;

/// The memory store.
#[derive(Debug)]
pub struct MemoryStore {
    sessions: Cache<SessionKey, Stored>,
}

impl MemoryStore {
    /// An empty store that forgets records after `max_lifetime` by itself; whether a session is still
    /// good is judged elsewhere.
    #[must_use]
    pub fn new(max_lifetime: Duration) -> Self {
        let sessions = Cache::builder()
            .max_capacity(MOST)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(max_lifetime)
            .build();
        Self { sessions }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn insert(&self, key: SessionKey, stored: Stored) -> Result<(), StoreError> {
        self.sessions.insert(key, stored);
        Ok(())
    }

    async fn find(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError> {
        Ok(self.sessions.get(key))
    }

    async fn touch(&self, key: &SessionKey, now: Timestamp) -> Result<(), StoreError> {
        self.change(key, |stored| Some(Stored { last_seen: now.max(stored.last_seen), ..stored }));
        Ok(())
    }

    async fn replace(&self, key: &SessionKey, expected: u64, record: Arc<Record>) -> Result<bool, StoreError> {
        Ok(self.change(key, |stored| (stored.record.generation == expected).then_some(Stored { record, ..stored })))
    }

    async fn remove(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError> {
        // Not `Cache::remove`: that one does not wait for a change under way, which would then put the
        // record back.
        let removed = self.sessions.entry_by_ref(key).and_compute_with(|entry| match entry {
            Some(_) => Op::Remove,
            None => Op::Nop,
        });
        Ok(match removed {
            CompResult::Removed(entry) => Some(entry.into_value()),
            CompResult::StillNone(_)
            | CompResult::Unchanged(_)
            | CompResult::Inserted(_)
            | CompResult::ReplacedWith(_) => None,
        })
    }
}

impl MemoryStore {
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
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;
    use crate::{entropy::SystemEntropy, session::SessionId, session::testing::active_session};

    #[tokio::test]
    async fn a_change_under_way_does_not_bring_an_ended_session_back() {
        let store = MemoryStore::new(Duration::from_secs(3600));
        let key = SessionId::draw(&SystemEntropy).key();
        let now = Timestamp::from_seconds(1_000);
        let stored = Stored { record: Arc::clone(active_session("anna", "").record()), last_seen: now };
        store.insert(key, stored).await.unwrap();
        let (ended, has_ended) = mpsc::channel();
        thread::scope(|scope| {
            store.change(&key, |stored| {
                scope.spawn(|| ended.send(futures_util::FutureExt::now_or_never(store.remove(&key)).is_some()));
                // Whoever ends the session must wait for this change; one that does not wait is done soon.
                let _ = has_ended.recv_timeout(Duration::from_millis(200));
                Some(stored)
            });
        });
        assert!(store.find(&key).await.unwrap().is_none());
    }
}
