//! Revocation at Apple, tried at once and then again and again, until it is done or a week has passed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;

use super::{Revocation, Store, StoreError, Waiting};
use crate::{
    apple::{Apple, CallError, Revocable},
    clock::{SharedClock, Timestamp},
    entropy::{self, SharedEntropy},
    telemetry::{Metrics, RevocationOutcome, still_in_request},
};

/// Most calls to Apple at once.
const AT_ONCE: usize = 8;

/// After this long a revocation is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// Wait before the second try; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest wait between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// How often the queue is looked at when nothing is due: another process may have left something.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// What one process works on is nobody else's for twice the longest call to Apple, and for so long at least. What
/// a process took with it when it died waits for so long.
const CLAIM: Duration = Duration::from_secs(10);

/// What came of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Apple has revoked the token, or knew it no more.
    Done,
    /// Apple will never revoke it as asked.
    Refused,
    /// Worth another try.
    Later,
}

/// Revokes one token, once.
#[async_trait]
pub trait Revoker: Send + Sync + std::fmt::Debug {
    /// Tries.
    async fn revoke(&self, token: &Revocable) -> Verdict;

    /// The longest that one try takes.
    fn patience(&self) -> Duration;
}

#[async_trait]
impl Revoker for Apple {
    async fn revoke(&self, token: &Revocable) -> Verdict {
        match Self::revoke(self, token).await {
            Ok(()) | Err(CallError::InvalidGrant) => Verdict::Done,
            Err(CallError::Refused(_)) => Verdict::Refused,
            // Wrong client credentials are the operator's to mend; the token can still be revoked then.
            Err(
                CallError::InvalidClient
                | CallError::Throttled { .. }
                | CallError::Unavailable(_)
                | CallError::Malformed(_),
            ) => Verdict::Later,
        }
    }

    fn patience(&self) -> Duration {
        self.timeout()
    }
}

/// Works on the revocations that wait in a store. Several processes may work on one store: each takes
/// what no other has.
#[derive(Clone, Debug)]
pub struct RevocationQueue {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    revoker: Arc<dyn Revoker>,
    clock: SharedClock,
    entropy: SharedEntropy,
    metrics: Arc<Metrics>,
    bell: Arc<Notify>,
    calls: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl RevocationQueue {
    /// The queue of a store. `bell` rings when something was queued.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        revoker: Arc<dyn Revoker>,
        clock: SharedClock,
        entropy: SharedEntropy,
        metrics: Arc<Metrics>,
        bell: Arc<Notify>,
    ) -> Self {
        let (calls, tasks) = (Arc::new(Semaphore::new(AT_ONCE)), TaskTracker::new());
        Self { inner: Arc::new(Inner { store, revoker, clock, entropy, metrics, bell, calls, tasks }) }
    }

    /// Queues a revocation that belongs to no session. When the store cannot keep it, it is tried at least
    /// once.
    pub async fn push(&self, revocation: Revocation) {
        let inner = &self.inner;
        let waiting = Waiting::new(revocation, inner.clock.now(), &*inner.entropy);
        match inner.store.enqueue(waiting.clone()).await {
            Ok(true) => inner.bell.notify_one(),
            Ok(false) | Err(_) => {
                let inner = Arc::clone(inner);
                self.inner.tasks.spawn(still_in_request(async move { inner.only_try(&waiting).await }));
            }
        }
    }

    /// Works for as long as it is polled.
    pub async fn run(&self) {
        loop {
            let pause = self.inner.next().await;
            tokio::select! {
                () = self.inner.bell.notified() => {}
                () = self.inner.clock.sleep(pause) => {}
            }
        }
    }

    /// Tries what is due, once, and waits for what is under way: for the end of a process.
    pub async fn finish(&self) {
        self.inner.next().await;
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// How many revocations wait.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn length(&self) -> Result<usize, StoreError> {
        Ok(self.inner.store.queue().await?.length)
    }
}

impl Inner {
    /// Starts to work on everything that is due; gives back how long to wait for more.
    async fn next(self: &Arc<Self>) -> Duration {
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&self.calls).acquire_owned().await else { return LOOK_EVERY };
            let now = self.clock.now();
            let until = now.plus(CLAIM.max(self.revoker.patience() * 2));
            let waiting = match self.store.claim(now, until, 1).await.map(|mut claimed| claimed.pop()) {
                Ok(Some(waiting)) => waiting,
                Ok(None) => return self.until_due(now).await,
                Err(error) => {
                    tracing::warn!(event = "revocation_queue_unavailable", reason = %error);
                    return LOOK_EVERY;
                }
            };
            let this = Arc::clone(self);
            self.tasks.spawn(async move {
                this.work(waiting).await;
                drop(permit);
            });
        }
    }

    async fn until_due(&self, now: Timestamp) -> Duration {
        let due = self.store.queue().await.ok().and_then(|queue| queue.next_due);
        due.map_or(LOOK_EVERY, |due| due.since(now).clamp(Duration::from_millis(1), LOOK_EVERY))
    }

    async fn work(&self, waiting: Waiting) {
        let session = &waiting.revocation.handle;
        let outcome = match self.revoker.revoke(&waiting.revocation.token).await {
            Verdict::Done => {
                tracing::info!(event = "revoked", %session);
                self.metrics.revocations.count(RevocationOutcome::Done);
                self.store.settle(&waiting).await
            }
            Verdict::Refused => {
                tracing::warn!(event = "revocation_refused", %session);
                self.metrics.revocations.count(RevocationOutcome::Refused);
                self.store.settle(&waiting).await
            }
            Verdict::Later if self.clock.now().since(waiting.queued) >= GIVE_UP_AFTER => {
                tracing::warn!(event = "revocation_given_up", %session);
                self.metrics.revocations.count(RevocationOutcome::Expired);
                self.store.settle(&waiting).await
            }
            Verdict::Later => self.postpone(&waiting).await,
        };
        // It comes again when the claim is over; to revoke twice does no harm.
        if let Err(error) = outcome {
            tracing::warn!(event = "revocation_delayed", %session, reason = %error);
        }
    }

    async fn postpone(&self, waiting: &Waiting) -> Result<(), StoreError> {
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(waiting.tries)).min(LONGEST_PAUSE);
        let session = &waiting.revocation.handle;
        tracing::warn!(event = "revocation_delayed", %session, seconds = pause.as_secs(), reason = "Apple did not take it");
        self.metrics.revocations.count(RevocationOutcome::Delayed);
        let due = self.clock.now().plus(pause + self.jitter(pause));
        let next = Waiting { tries: waiting.tries.saturating_add(1), ..waiting.clone() };
        self.store.postpone(&next, due).await?;
        self.bell.notify_one();
        Ok(())
    }

    /// For what no store keeps.
    async fn only_try(&self, waiting: &Waiting) {
        let session = &waiting.revocation.handle;
        self.metrics.revocations.count(match self.revoker.revoke(&waiting.revocation.token).await {
            Verdict::Done => {
                tracing::info!(event = "revoked", %session);
                RevocationOutcome::Done
            }
            Verdict::Refused => {
                tracing::warn!(event = "revocation_refused", %session);
                RevocationOutcome::Refused
            }
            Verdict::Later => {
                tracing::error!(event = "revocation_lost", %session, reason = "it could not be queued");
                RevocationOutcome::Lost
            }
        });
    }

    /// Up to a quarter of `pause`, so that many do not come back at once.
    fn jitter(&self, pause: Duration) -> Duration {
        pause.mul_f64(f64::from(entropy::bytes::<1>(&*self.entropy)[0]) / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::{
        clock::ManualClock,
        entropy::SystemEntropy,
        session::{
            MemoryStore,
            testing::{active_session, lifetimes},
        },
    };

    #[derive(Debug)]
    struct Scripted(Mutex<Vec<Verdict>>, AtomicUsize);

    #[async_trait]
    impl Revoker for Scripted {
        async fn revoke(&self, _: &Revocable) -> Verdict {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.lock().unwrap().pop().unwrap_or(Verdict::Later)
        }

        fn patience(&self) -> Duration {
            Duration::from_secs(10)
        }
    }

    struct Bench {
        queue: RevocationQueue,
        revoker: Arc<Scripted>,
        clock: Arc<ManualClock>,
    }

    impl Bench {
        fn new(mut script: Vec<Verdict>) -> Self {
            script.reverse();
            let revoker = Arc::new(Scripted(Mutex::new(script), AtomicUsize::new(0)));
            let clock = ManualClock::at(Timestamp::from_seconds(1_000));
            let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
            let store = Arc::new(MemoryStore::new(lifetimes(), Arc::clone(&shared)));
            let metrics = Metrics::new(Arc::clone(&shared));
            let queue = RevocationQueue::new(
                store,
                Arc::<Scripted>::clone(&revoker),
                shared,
                Arc::new(SystemEntropy),
                metrics,
                Arc::default(),
            );
            Self { queue, revoker, clock }
        }

        async fn push(&self) {
            self.queue.push(Revocation::of(active_session("anna", "").record())).await;
        }

        /// Tries what is due and waits until that is done.
        async fn work(&self) -> (usize, usize) {
            self.queue.inner.next().await;
            let _all = self.queue.inner.calls.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap();
            (self.revoker.1.load(Ordering::SeqCst), self.queue.length().await.unwrap())
        }
    }

    #[tokio::test]
    async fn a_failed_revocation_is_tried_again_until_it_is_done() {
        let bench = Bench::new(vec![Verdict::Later, Verdict::Later, Verdict::Done]);
        bench.push().await;
        assert_eq!(bench.work().await, (1, 1));
        assert_eq!(bench.work().await, (1, 1), "not before its time");
        bench.clock.advance(Duration::from_secs(2));
        assert_eq!(bench.work().await, (2, 1));
        bench.clock.advance(Duration::from_secs(1));
        assert_eq!(bench.work().await, (2, 1), "the second pause is longer than the first");
        bench.clock.advance(Duration::from_secs(2));
        assert_eq!(bench.work().await, (3, 0));
    }

    #[tokio::test]
    async fn a_refused_revocation_is_not_tried_again() {
        let bench = Bench::new(vec![Verdict::Refused]);
        bench.push().await;
        assert_eq!(bench.work().await, (1, 0));
    }

    #[tokio::test]
    async fn after_a_week_a_revocation_is_given_up() {
        let bench = Bench::new(vec![]);
        bench.push().await;
        assert_eq!(bench.work().await, (1, 1));
        bench.clock.advance(GIVE_UP_AFTER - Duration::from_secs(1));
        assert_eq!(bench.work().await, (2, 1));
        bench.clock.advance(LONGEST_PAUSE);
        assert_eq!(bench.work().await, (3, 0));
    }

    #[tokio::test]
    async fn pauses_grow_to_a_limit() {
        let bench = Bench::new(vec![]);
        bench.push().await;
        for tries in 1..40 {
            assert_eq!(bench.work().await, (tries, 1));
            bench.clock.advance(LONGEST_PAUSE.mul_f64(1.25));
        }
    }

    #[tokio::test]
    async fn the_running_queue_wakes_for_what_is_pushed() {
        let bench = Bench::new(vec![Verdict::Later, Verdict::Done]);
        let running = tokio::spawn({
            let queue = bench.queue.clone();
            async move { queue.run().await }
        });
        while bench.clock.sleeping() == 0 {
            tokio::task::yield_now().await;
        }
        bench.push().await;
        while bench.queue.length().await.unwrap() > 0 {
            bench.clock.advance(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
        assert_eq!(bench.revoker.1.load(Ordering::SeqCst), 2);
        running.abort();
    }
}
