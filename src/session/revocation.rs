//! Revocation at Apple, tried at once and then again and again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::{Grant, Record};
use crate::{
    apple::{Apple, CallError, Revocable},
    clock::{SharedClock, Timestamp},
    entropy::{self, SharedEntropy},
    session::Handle,
};

/// Most revocations that wait at once. Beyond it the newest is given up, and said so.
const MOST: usize = 10_000;

/// Most calls to Apple at once.
const AT_ONCE: usize = 4;

/// After this long a revocation is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// Wait before the second try; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest wait between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// One token to revoke.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// The session it belonged to, for the log.
    pub handle: Handle,
    /// The token.
    pub token: Revocable,
}

impl Revocation {
    /// What to revoke of a session that has ended: the refresh token, or without one the access token.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        Self::of_grant(record.handle.clone(), &record.grant)
    }

    /// The same of a grant that no record holds.
    #[must_use]
    pub fn of_grant(handle: Handle, grant: &Grant) -> Self {
        let token = match &grant.refresh_token {
            Some(refresh) => Revocable::Refresh(refresh.clone()),
            None => Revocable::Access(grant.access_token.clone()),
        };
        Self { handle, token }
    }
}

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
}

/// Tokens that wait to be revoked, in the memory of this process.
#[derive(Clone, Debug)]
pub struct RevocationQueue {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    revoker: Arc<dyn Revoker>,
    clock: SharedClock,
    entropy: SharedEntropy,
    waiting: AtomicUsize,
    calls: Semaphore,
    tasks: TaskTracker,
}

impl RevocationQueue {
    /// An empty queue.
    #[must_use]
    pub fn new(revoker: Arc<dyn Revoker>, clock: SharedClock, entropy: SharedEntropy) -> Self {
        let (waiting, calls, tasks) = (AtomicUsize::new(0), Semaphore::new(AT_ONCE), TaskTracker::new());
        Self { inner: Arc::new(Inner { revoker, clock, entropy, waiting, calls, tasks }) }
    }

    /// Starts to revoke, now, and goes on in the background until Apple has answered for good.
    pub fn push(&self, revocation: Revocation) {
        if self.inner.waiting.fetch_add(1, Ordering::SeqCst) >= MOST {
            self.inner.waiting.fetch_sub(1, Ordering::SeqCst);
            tracing::error!(event = "revocation_given_up", session = %revocation.handle, reason = "queue full");
            return;
        }
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn(async move {
            inner.work(&revocation).await;
            inner.waiting.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// How many revocations wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.waiting.load(Ordering::SeqCst)
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until none waits any more. Nothing may be pushed after this.
    pub async fn settled(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

impl Inner {
    async fn work(&self, revocation: &Revocation) {
        let started = self.clock.now();
        let mut pause = FIRST_PAUSE;
        loop {
            // The semaphore is never closed.
            let verdict = match self.calls.acquire().await {
                Ok(_permit) => self.revoker.revoke(&revocation.token).await,
                Err(_closed) => return,
            };
            let session = &revocation.handle;
            match verdict {
                Verdict::Done => return tracing::info!(event = "revoked", %session),
                Verdict::Refused => {
                    return tracing::warn!(event = "revocation_given_up", %session, reason = "refused by Apple");
                }
                Verdict::Later if self.is_over(started) => {
                    return tracing::warn!(event = "revocation_given_up", %session, reason = "a week has passed");
                }
                Verdict::Later => tracing::warn!(event = "revocation_delayed", %session, seconds = pause.as_secs()),
            }
            self.clock.sleep(pause + self.jitter(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn is_over(&self, started: Timestamp) -> bool {
        self.clock.now().since(started) >= GIVE_UP_AFTER
    }

    /// Up to a quarter of `pause`, so that many do not come back at once.
    fn jitter(&self, pause: Duration) -> Duration {
        pause.mul_f64(f64::from(entropy::bytes::<1>(&*self.entropy)[0]) / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::ManualClock,
        entropy::SystemEntropy,
        session::testing::{active_session, grant},
    };
    use std::sync::Mutex;

    #[derive(Debug)]
    struct Scripted(Mutex<Vec<Verdict>>, AtomicUsize);

    #[async_trait]
    impl Revoker for Scripted {
        async fn revoke(&self, _: &Revocable) -> Verdict {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.lock().unwrap().pop().unwrap_or(Verdict::Later)
        }
    }

    fn queue(mut script: Vec<Verdict>) -> (RevocationQueue, Arc<Scripted>, Arc<ManualClock>) {
        script.reverse();
        let revoker = Arc::new(Scripted(Mutex::new(script), AtomicUsize::new(0)));
        let clock = ManualClock::at(Timestamp::from_seconds(1));
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        (RevocationQueue::new(Arc::<Scripted>::clone(&revoker), shared, Arc::new(SystemEntropy)), revoker, clock)
    }

    async fn until_asleep(clock: &ManualClock, queue: &RevocationQueue) {
        while clock.sleeping() == 0 && !queue.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn the_refresh_token_is_revoked_and_without_one_the_access_token() {
        let record = active_session("anna", "").record().as_ref().clone();
        assert!(matches!(Revocation::of(&record).token, Revocable::Refresh(_)));
        let record = Record { grant: Grant { refresh_token: None, ..grant("") }, ..record };
        assert!(matches!(Revocation::of(&record).token, Revocable::Access(_)));
    }

    #[tokio::test]
    async fn a_failed_revocation_is_tried_again_until_it_is_done() {
        let (queue, revoker, clock) = queue(vec![Verdict::Later, Verdict::Later, Verdict::Done]);
        queue.push(Revocation::of(active_session("anna", "").record()));
        for tries in 1..3 {
            until_asleep(&clock, &queue).await;
            assert_eq!((revoker.1.load(Ordering::SeqCst), queue.len()), (tries, 1));
            clock.advance(Duration::from_secs(4));
        }
        queue.settled().await;
        assert_eq!((revoker.1.load(Ordering::SeqCst), queue.len()), (3, 0));
    }

    #[tokio::test]
    async fn a_refused_revocation_is_not_tried_again() {
        let (queue, revoker, _) = queue(vec![Verdict::Refused]);
        queue.push(Revocation::of(active_session("anna", "").record()));
        queue.settled().await;
        assert_eq!(revoker.1.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn after_a_week_a_revocation_is_given_up() {
        let (queue, _, clock) = queue(vec![]);
        queue.push(Revocation::of(active_session("anna", "").record()));
        until_asleep(&clock, &queue).await;
        clock.advance(GIVE_UP_AFTER);
        queue.settled().await;
        assert!(queue.is_empty());
    }
}
