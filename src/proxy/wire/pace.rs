//! How fast a body comes.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep};

/// Holds a client to `min_body_rate`.
///
/// The client has ten seconds in hand. Waiting for it uses them up; every byte that comes puts back its
/// share of a second at the lowest rate, never above ten. So the first ten seconds of a body are free,
/// a hole of some seconds in a fast upload is forgiven, and whoever drips is out ten seconds after he
/// began. Only waiting counts: while pingora does not read, because the app is slow, or while the
/// client may not send yet (`Expect: 100-continue`), no time passes.
#[derive(Debug)]
pub(in crate::proxy) struct Pace {
    rate: u64,
    credit: Duration,
    waiting: Option<Waiting>,
    paused: bool,
}

#[derive(Debug)]
struct Waiting {
    since: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
    arrival: Arc<Arrival>,
}

impl Pace {
    /// What a client has in hand at the start of a body, and never more.
    pub(in crate::proxy) const CREDIT: Duration = Duration::from_secs(10);

    /// The pace of one body; `paused` until the client may send.
    pub(in crate::proxy) const fn new(rate: u64, paused: bool) -> Self {
        Self { rate, credit: Self::CREDIT, waiting: None, paused }
    }

    /// The client may send now.
    pub(in crate::proxy) const fn resume(&mut self) {
        self.paused = false;
    }

    /// The waker to hand to the socket, so that the moment of an arrival is known even when nobody
    /// reads then.
    pub(in crate::proxy) fn waker(&mut self, cx: &Context<'_>) -> Option<Waker> {
        if self.rate == 0 || self.paused {
            return None;
        }
        let waiting = self.waiting.get_or_insert_with(|| Waiting {
            since: None,
            alarm: Box::pin(tokio::time::sleep(Self::CREDIT)),
            arrival: Arc::default(),
        });
        waiting.arrival.reader.register(cx.waker());
        Some(waiting.arrival.clone().into())
    }

    /// Bytes have come.
    pub(in crate::proxy) fn received(&mut self, bytes: usize) {
        self.paused = false;
        let Some(waiting) = &mut self.waiting else { return };
        let arrived = waiting.arrival.take().unwrap_or_else(Instant::now);
        let waited = waiting.since.take().map_or(Duration::ZERO, |since| arrived.saturating_duration_since(since));
        let nanos = (bytes as u128 * 1_000_000_000 / u128::from(self.rate.max(1))).min(Self::CREDIT.as_nanos());
        let earned = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.credit = (self.credit.saturating_sub(waited) + earned).min(Self::CREDIT);
    }

    /// Nothing has come; ready when the client has been waited for long enough.
    pub(in crate::proxy) fn poll_exhausted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(waiting) = &mut self.waiting else { return Poll::Pending };
        waiting.arrival.take();
        if waiting.since.is_none() {
            let now = Instant::now();
            waiting.since = Some(now);
            waiting.alarm.as_mut().reset(now + self.credit);
        }
        waiting.alarm.as_mut().poll(cx)
    }
}

/// Notes when the socket became readable and passes the news on.
#[derive(Debug, Default)]
struct Arrival {
    reader: AtomicWaker,
    at: Mutex<Option<Instant>>,
}

impl Arrival {
    fn take(&self) -> Option<Instant> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Wake for Arrival {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.at.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        self.reader.wake();
    }
}
