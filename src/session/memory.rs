//! Sessions in the memory of this process: gone with it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use moka::{ops::compute::Op, policy::EvictionPolicy, sync::Cache};

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
        Ok(self.sessions.remove(key))
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
