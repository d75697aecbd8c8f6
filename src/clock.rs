//! Time as a parameter: everything that asks for the time, or waits, asks a [`Clock`].
//!
//! The wall clock is read here and nowhere else (`clippy.toml` sees to it), so that a test moves
//! time by hand and never sleeps.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::oneshot;

/// A moment, in whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the epoch (a `NumericDate` of RFC 7519, section 2).
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Reads RFC 3339, in any zone; `None` for anything else, and for what lies before the epoch.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let moment = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
        u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }

    /// Reads the date of an HTTP header (RFC 9110, section 5.6.7, in the form that is sent today); `None` for anything
    /// else, and for what lies before the epoch.
    #[must_use]
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let moment = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc2822).ok()?;
        u64::try_from(moment.unix_timestamp()).ok().map(Self::from_seconds)
    }

    /// The date of an HTTP header; `None` beyond the calendar.
    #[must_use]
    pub fn to_http_date(self) -> Option<String> {
        let moment = time::OffsetDateTime::from_unix_timestamp(i64::try_from(self.seconds()).ok()?).ok()?;
        let text = moment.format(&time::format_description::well_known::Rfc2822).ok()?;
        text.strip_suffix("+0000").map(|text| format!("{text}GMT"))
    }

    /// This moment and a while; the end of time instead of an overflow.
    #[must_use]
    pub fn plus(self, while_: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(while_.as_millis()).unwrap_or(u64::MAX)))
    }

    /// A while before this moment; the epoch instead of an underflow.
    #[must_use]
    pub fn minus(self, while_: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(while_.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// RFC 3339 in UTC with whole seconds, for people and logs.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = i64::try_from(self.seconds())
            .ok()
            .and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok())
            .and_then(|moment| moment.format(&time::format_description::well_known::Rfc3339).ok());
        f.write_str(text.as_deref().unwrap_or("(beyond the calendar)"))
    }
}

/// Tells the time and waits.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Resolves once `now` has advanced by `while_`.
    fn sleep(&self, while_: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// The clock that all rooms share.
pub type SharedClock = Arc<dyn Clock>;

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn sleep(&self, while_: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(while_))
    }
}

/// A clock that a test moves by hand.
#[derive(Debug, Default)]
pub struct ManualClock {
    millis: AtomicU64,
    sleepers: Mutex<Vec<(u64, oneshot::Sender<()>)>>,
}

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Arc<Self> {
        Arc::new(Self { millis: AtomicU64::new(start.millis()), sleepers: Mutex::default() })
    }

    /// Moves time on and wakes whoever has slept long enough.
    pub fn advance(&self, while_: Duration) {
        let step = u64::try_from(while_.as_millis()).unwrap_or(u64::MAX);
        let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.millis.fetch_add(step, Ordering::SeqCst).saturating_add(step);
        for (due, waker) in sleepers.extract_if(.., |(due, waker)| *due <= now || waker.is_closed()) {
            let _ = (due, waker.send(()));
        }
    }

    /// Moves time back, as somebody may do with the clock of a machine.
    pub fn set_back(&self, while_: Duration) {
        let step = u64::try_from(while_.as_millis()).unwrap_or(u64::MAX);
        // The closure always has a value.
        let _ = self.millis.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(now.saturating_sub(step)));
    }

    /// How many callers sleep now: a test waits for this before it moves time.
    #[must_use]
    pub fn sleeping(&self) -> usize {
        let sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        sleepers.iter().filter(|(_, waker)| !waker.is_closed()).count()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.millis.load(Ordering::SeqCst))
    }

    fn sleep(&self, while_: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (sender, receiver) = oneshot::channel();
        let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        let due = self.now().plus(while_).millis();
        if while_.is_zero() {
            let _ = sender.send(());
        } else {
            sleepers.push((due, sender));
        }
        Box::pin(async move {
            let _ = receiver.await;
        })
    }
}

/// Measures how long something took, for logs and metrics only; never for a decision.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read_and_written() {
        let text = "Sun, 06 Nov 1994 08:49:37 GMT";
        let moment = Timestamp::from_seconds(784_111_777);
        assert_eq!(Timestamp::parse_http_date(text), Some(moment));
        assert_eq!(moment.to_http_date().as_deref(), Some(text));
        for odd in ["", "soon", "1994-11-06T08:49:37Z", "Sun, 06 Nov 1960 08:49:37 GMT"] {
            assert_eq!(Timestamp::parse_http_date(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_timestamp_reads_as_rfc_3339() {
        assert_eq!(Timestamp::from_seconds(1_700_000_000).to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "(beyond the calendar)");
    }

    #[test]
    fn what_rfc_3339_says_is_read_and_nothing_else() {
        let moment = Timestamp::from_seconds(1_700_000_000);
        for text in ["2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", "2023-11-14T22:13:20.0009Z"] {
            assert_eq!(Timestamp::parse(text), Some(moment), "{text}");
        }
        for text in ["", "now", "2023-11-14", "2023-11-14T22:13:20", "1969-12-31T23:59:58Z", "(beyond the calendar)"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_millis(u64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        let epoch = Timestamp::from_millis(0);
        assert_eq!(epoch.minus(Duration::from_secs(1)), epoch);
        assert_eq!(epoch.since(end), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
        let clock = ManualClock::at(Timestamp::from_seconds(1000));
        let sleeper = tokio::spawn(clock.sleep(Duration::from_secs(10)));
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        assert_eq!(clock.sleeping(), 1);
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.now(), Timestamp::from_seconds(1010));
    }
}
