//! A store that several [`Sessions`](super::super::Sessions) share, as several processes share a server; in
//! memory, and in the hands of a test.

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{
    End, Holder, Lease, Listener, Mark, MemoryStore, Note, NoteName, Queue, Removal, Selector, Sharing, Store,
    StoreError, Stored, Swap,
};
use crate::{
    clock::{SharedClock, Timestamp},
    session::{Record, SessionKey, Waiting, testing::lifetimes},
};

/// The shared store.
#[derive(Debug)]
pub(crate) struct SharedStore {
    inner: MemoryStore,
    listeners: Listeners,
    /// How often a record was read.
    pub(crate) reads: AtomicUsize,
    /// How many notes of use were written.
    pub(crate) touches: AtomicUsize,
    down: AtomicBool,
    silent: AtomicBool,
    /// Permits of readers to come back with what they have read.
    late: Semaphore,
}

#[derive(Default)]
struct Listeners(Mutex<Vec<Weak<dyn Listener>>>);

impl std::fmt::Debug for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listeners")
    }
}

impl SharedStore {
    /// An empty store.
    pub(crate) fn new(clock: SharedClock) -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStore::new(lifetimes(), clock),
            listeners: Listeners::default(),
            reads: AtomicUsize::new(0),
            touches: AtomicUsize::new(0),
            down: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            late: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    /// Takes the store away, or brings it back.
    pub(crate) fn is_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Nobody hears of anything from now on, and nobody knows it yet; or hears again.
    pub(crate) fn is_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// Readers that come from now on read, and do not come back before they are let.
    pub(crate) fn holds_readers(&self) {
        self.late.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Lets readers come back.
    pub(crate) fn lets_readers(&self) {
        self.late.add_permits(Semaphore::MAX_PERMITS);
    }

    /// Everybody has heard everything up to now.
    pub(crate) fn beat(&self, now: Timestamp) {
        self.tell(|listener| listener.heard(now));
    }

    /// Everybody learns that something may have been missed.
    pub(crate) fn missed(&self) {
        self.tell(|listener| listener.missed());
    }

    fn tell(&self, what: impl Fn(&dyn Listener)) {
        if !self.silent.load(Ordering::SeqCst) {
            let listeners = self.listeners.0.lock().unwrap();
            listeners.iter().filter_map(Weak::upgrade).for_each(|listener| what(&*listener));
        }
    }

    fn up(&self) -> Result<&MemoryStore, StoreError> {
        if self.down.load(Ordering::SeqCst) { Err(StoreError::Unavailable("down".into())) } else { Ok(&self.inner) }
    }
}

#[async_trait]
impl Store for SharedStore {
    fn listen(&self, listener: Weak<dyn Listener>) -> Sharing {
        self.listeners.0.lock().unwrap().push(listener);
        Sharing::Shared
    }

    async fn find(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let found = self.up()?.find(key).await;
        drop(self.late.acquire().await.unwrap());
        found
    }

    async fn touch(&self, seen: &[(SessionKey, Timestamp)]) -> Result<(), StoreError> {
        let done = self.up()?.touch(seen).await;
        self.touches.fetch_add(seen.len(), Ordering::SeqCst);
        done
    }

    async fn replace(&self, key: &SessionKey, expected: u64, record: Arc<Record>) -> Result<bool, StoreError> {
        let generation = record.generation;
        let replaced = self.up()?.replace(key, expected, record).await?;
        if replaced {
            self.tell(|listener| listener.changed(key, generation));
        }
        Ok(replaced)
    }

    async fn remove(&self, ends: Vec<End>) -> Result<Vec<Removal>, StoreError> {
        let keys: Vec<_> = ends.iter().map(|end| end.key).collect();
        let removals = self.up()?.remove(ends).await?;
        for (key, removal) in keys.iter().zip(&removals) {
            if matches!(removal, Removal::Removed { .. }) {
                self.tell(|listener| listener.ended(key));
            }
        }
        Ok(removals)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.up()?.ready().await
    }

    async fn page(&self, after: Option<&SessionKey>, most: usize) -> Result<Vec<(SessionKey, Stored)>, StoreError> {
        self.up()?.page(after, most).await
    }

    async fn keys_of(&self, whose: &Selector) -> Result<Vec<SessionKey>, StoreError> {
        self.up()?.keys_of(whose).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        self.up()?.count().await
    }

    async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.up()?.sweep(now).await
    }

    async fn lease(&self, key: &SessionKey, holder: &Holder, length: Duration) -> Result<Lease, StoreError> {
        self.up()?.lease(key, holder, length).await
    }

    async fn release(&self, key: &SessionKey, holder: &Holder, cool_down: Duration) -> Result<(), StoreError> {
        self.up()?.release(key, holder, cool_down).await
    }

    async fn mark(&self, mark: &Mark, keep: Duration) -> Result<bool, StoreError> {
        self.up()?.mark(mark, keep).await
    }

    async fn is_marked(&self, mark: &Mark) -> Result<bool, StoreError> {
        self.up()?.is_marked(mark).await
    }

    async fn note(&self, name: &NoteName) -> Result<Option<Note>, StoreError> {
        self.up()?.note(name).await
    }

    async fn swap_note(
        &self,
        name: &NoteName,
        expected: Option<&Note>,
        new: Option<&[u8]>,
        keep: Duration,
    ) -> Result<Swap, StoreError> {
        self.up()?.swap_note(name, expected, new, keep).await
    }

    async fn enqueue(&self, waiting: Waiting) -> Result<bool, StoreError> {
        self.up()?.enqueue(waiting).await
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, most: usize) -> Result<Vec<Waiting>, StoreError> {
        self.up()?.claim(now, until, most).await
    }

    async fn postpone(&self, waiting: &Waiting, due: Timestamp) -> Result<(), StoreError> {
        self.up()?.postpone(waiting, due).await
    }

    async fn settle(&self, waiting: &Waiting) -> Result<(), StoreError> {
        self.up()?.settle(waiting).await
    }

    async fn queue(&self) -> Result<Queue, StoreError> {
        self.up()?.queue().await
    }

    async fn insert(&self, key: SessionKey, stored: Stored) -> Result<(), StoreError> {
        self.up()?.insert(key, stored).await
    }
}
