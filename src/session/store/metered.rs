//! A store that is looked at: how long each call takes, and how it ends.

use std::{
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    End, Holder, Lease, Listener, Mark, Note, NoteName, Queue, Removal, Selector, Sharing, Store, StoreError, Stored,
    Swap,
};
use crate::{
    clock::{Stopwatch, Timestamp},
    session::{Record, SessionKey, Waiting},
    telemetry::{Metrics, StoreCall, StoreOutcome},
};

/// A store and the metrics that tell of it.
#[derive(Debug)]
pub struct MeteredStore {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl MeteredStore {
    /// Looks at a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    async fn read<T>(&self, answer: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        self.told(StoreCall::Read, answer).await
    }

    async fn write<T>(&self, answer: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        self.told(StoreCall::Write, answer).await
    }

    async fn told<T>(
        &self,
        call: StoreCall,
        answer: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let watch = Stopwatch::start();
        let answer = answer.await;
        let outcome = match &answer {
            Ok(_) => StoreOutcome::Answered,
            Err(StoreError::Unavailable(_)) => StoreOutcome::Unavailable,
            Err(StoreError::Unreadable) => StoreOutcome::Unreadable,
        };
        self.metrics.asked_store(call, outcome, watch.elapsed());
        answer
    }
}

#[async_trait]
impl Store for MeteredStore {
    async fn ready(&self) -> Result<(), StoreError> {
        self.write(self.store.ready()).await
    }

    fn listen(&self, listener: Weak<dyn Listener>) -> Sharing {
        self.store.listen(listener)
    }

    async fn insert(&self, key: SessionKey, stored: Stored) -> Result<(), StoreError> {
        self.write(self.store.insert(key, stored)).await
    }

    async fn find(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError> {
        self.read(self.store.find(key)).await
    }

    async fn touch(&self, seen: &[(SessionKey, Timestamp)]) -> Result<(), StoreError> {
        self.write(self.store.touch(seen)).await
    }

    async fn replace(&self, key: &SessionKey, expected: u64, record: Arc<Record>) -> Result<bool, StoreError> {
        self.write(self.store.replace(key, expected, record)).await
    }

    async fn remove(&self, ends: Vec<End>) -> Result<Vec<Removal>, StoreError> {
        self.write(self.store.remove(ends)).await
    }

    async fn keys_of(&self, whose: &Selector) -> Result<Vec<SessionKey>, StoreError> {
        self.read(self.store.keys_of(whose)).await
    }

    async fn page(&self, after: Option<&SessionKey>, most: usize) -> Result<Vec<(SessionKey, Stored)>, StoreError> {
        self.read(self.store.page(after, most)).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        self.read(self.store.count()).await
    }

    async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.write(self.store.sweep(now)).await
    }

    async fn lease(&self, key: &SessionKey, holder: &Holder, length: Duration) -> Result<Lease, StoreError> {
        self.write(self.store.lease(key, holder, length)).await
    }

    async fn release(&self, key: &SessionKey, holder: &Holder, cool_down: Duration) -> Result<(), StoreError> {
        self.write(self.store.release(key, holder, cool_down)).await
    }

    async fn mark(&self, mark: &Mark, keep: Duration) -> Result<bool, StoreError> {
        self.write(self.store.mark(mark, keep)).await
    }

    async fn is_marked(&self, mark: &Mark) -> Result<bool, StoreError> {
        self.read(self.store.is_marked(mark)).await
    }

    async fn note(&self, name: &NoteName) -> Result<Option<Note>, StoreError> {
        self.read(self.store.note(name)).await
    }

    async fn swap_note(
        &self,
        name: &NoteName,
        expected: Option<&Note>,
        new: Option<&[u8]>,
        keep: Duration,
    ) -> Result<Swap, StoreError> {
        self.write(self.store.swap_note(name, expected, new, keep)).await
    }

    async fn enqueue(&self, waiting: Waiting) -> Result<bool, StoreError> {
        self.write(self.store.enqueue(waiting)).await
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, most: usize) -> Result<Vec<Waiting>, StoreError> {
        self.write(self.store.claim(now, until, most)).await
    }

    async fn postpone(&self, waiting: &Waiting, due: Timestamp) -> Result<(), StoreError> {
        self.write(self.store.postpone(waiting, due)).await
    }

    async fn settle(&self, waiting: &Waiting) -> Result<(), StoreError> {
        self.write(self.store.settle(waiting)).await
    }

    async fn queue(&self) -> Result<Queue, StoreError> {
        self.read(self.store.queue()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{ManualClock, SharedClock},
        session::{
            MemoryStore,
            store::suite::{Bench, store_contract},
            testing::lifetimes,
        },
    };

    store_contract!(make);

    async fn make() -> Bench {
        let clock = ManualClock::at(Timestamp::from_seconds(1_000_000));
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        let inner = Arc::new(MemoryStore::new(lifetimes(), Arc::clone(&shared)));
        let store = Arc::new(MeteredStore::new(inner, Metrics::new(shared)));
        Bench { store, clock, elsewhere: None, keeps: Box::new(()) }
    }

    #[tokio::test]
    async fn every_answer_is_told() {
        let clock = ManualClock::at(Timestamp::from_seconds(1_000_000));
        let metrics = Metrics::new(Arc::<ManualClock>::clone(&clock));
        let store = MeteredStore::new(Arc::new(MemoryStore::new(lifetimes(), clock)), Arc::clone(&metrics));
        let (down, odd) = (StoreError::Unavailable("down".into()), StoreError::Unreadable);
        for (answer, told) in [
            (Ok(()), StoreOutcome::Answered),
            (Err(down), StoreOutcome::Unavailable),
            (Err(odd), StoreOutcome::Unreadable),
        ] {
            let _ = store.write(async { answer }).await;
            assert_eq!(metrics.last_of_store().map(|last| last.outcome), Some(told));
        }
        assert_eq!(store.count().await, Ok(0));
        let mut text = String::new();
        metrics.write(&mut text).unwrap();
        for (call, outcome, count) in
            [("write", "ok", 1), ("write", "unavailable", 1), ("write", "unreadable", 1), ("read", "ok", 1)]
        {
            let line = format!("schoolgate_store_calls_total{{call=\"{call}\",outcome=\"{outcome}\"}} {count}");
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
    }
}
