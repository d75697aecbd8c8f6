//! What people want to know when they look: how much of what kind within the last hour, and what was heard last.

use std::{
    marker::PhantomData,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::word::Word;
use crate::clock::Timestamp;

/// How many minutes are remembered.
const MINUTES: u64 = 60;

/// Counts by word for each of the last sixty minutes.
#[derive(Debug)]
pub struct LastHour<W> {
    minutes: Vec<Minute>,
    turning: Mutex<()>,
    words: PhantomData<W>,
}

#[derive(Debug)]
struct Minute {
    /// Minutes since 1970, and one: zero is none.
    which: AtomicU64,
    counts: Vec<AtomicU64>,
}

impl<W: Word> Default for LastHour<W> {
    fn default() -> Self {
        let counts = || W::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        let minutes = (0..MINUTES).map(|_| Minute { which: AtomicU64::new(0), counts: counts() }).collect();
        Self { minutes, turning: Mutex::new(()), words: PhantomData }
    }
}

impl<W: Word> LastHour<W> {
    /// Counts one.
    pub(super) fn count(&self, word: W, now: Timestamp) {
        let which = now.seconds() / 60 + 1;
        let place = usize::try_from(which % MINUTES).unwrap_or_default();
        let Some(minute) = self.minutes.get(place) else { return };
        if minute.which.load(Ordering::Acquire) != which {
            let _turning = self.turning.lock().unwrap_or_else(PoisonError::into_inner);
            // Somebody else may have turned the page meanwhile.
            if minute.which.load(Ordering::Acquire) != which {
                minute.counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
                minute.which.store(which, Ordering::Release);
            }
        }
        if let Some(count) = minute.counts.get(word.place()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many of each there were within the sixty minutes that end with this one; those that never happened are
    /// left out.
    #[must_use]
    pub fn until(&self, now: Timestamp) -> Vec<(W, u64)> {
        let last = now.seconds() / 60 + 1;
        let recent = |minute: &&Minute| {
            let which = minute.which.load(Ordering::Acquire);
            which <= last && last - which < MINUTES && which > 0
        };
        let recent: Vec<_> = self.minutes.iter().filter(recent).collect();
        let count = |word: &W| {
            recent
                .iter()
                .filter_map(|minute| minute.counts.get(word.place()))
                .map(|one| one.load(Ordering::Relaxed))
                .sum()
        };
        W::ALL.iter().map(|word| (*word, count(word))).filter(|(_, count)| *count > 0).collect()
    }
}

/// What was heard last, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last<W> {
    /// What.
    pub outcome: W,
    /// When; give or take a few seconds when it was the same before.
    pub at: Timestamp,
}

/// A place for what was heard last: one number, so that nobody waits for anybody.
#[derive(Debug)]
pub struct LastOne<W>(AtomicU64, PhantomData<W>);

impl<W> Default for LastOne<W> {
    fn default() -> Self {
        Self(AtomicU64::new(0), PhantomData)
    }
}

/// The same news within so many milliseconds is not written again: all requests share the place.
const AGAIN: u64 = 5_000;

impl<W: Word> LastOne<W> {
    /// Something was heard.
    pub(super) fn note(&self, word: W, now: Timestamp) {
        // The lowest byte is the word, and not zero.
        let word = u64::try_from(word.place()).unwrap_or_default() + 1;
        let before = self.0.load(Ordering::Relaxed);
        if before & 0xff != word || now.millis().abs_diff(before >> 8) >= AGAIN {
            self.0.store(now.millis() << 8 | word, Ordering::Relaxed);
        }
    }

    /// Takes over what another has heard.
    pub(super) fn learn(&self, other: &Self) {
        self.0.store(other.0.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// What was heard last.
    #[must_use]
    pub fn get(&self) -> Option<Last<W>> {
        let number = self.0.load(Ordering::Relaxed);
        let place = usize::try_from(number & 0xff).ok()?.checked_sub(1)?;
        Some(Last { outcome: *W::ALL.get(place)?, at: Timestamp::from_millis(number >> 8) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::words::Decision::{self, Admitted, NotAllowed};

    fn minute(minute: u64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + minute * 60)
    }

    #[test]
    fn an_hour_later_nothing_is_left() {
        let hour = LastHour::<Decision>::default();
        assert!(hour.until(minute(0)).is_empty());
        hour.count(Admitted, minute(0));
        hour.count(NotAllowed, minute(0));
        hour.count(NotAllowed, minute(30));
        assert_eq!(hour.until(minute(59)), [(Admitted, 1), (NotAllowed, 2)]);
        assert_eq!(hour.until(minute(60)), [(NotAllowed, 1)]);
        assert!(hour.until(minute(90)).is_empty());
        // The place of a minute an hour ago begins anew.
        hour.count(Admitted, minute(60));
        assert_eq!(hour.until(minute(60)), [(Admitted, 1), (NotAllowed, 1)]);
    }

    #[test]
    fn a_clock_that_was_set_back_shows_nothing_of_the_future() {
        let hour = LastHour::<Decision>::default();
        hour.count(Admitted, minute(30));
        assert!(hour.until(minute(10)).is_empty());
        hour.count(NotAllowed, minute(10));
        assert_eq!(hour.until(minute(10)), [(NotAllowed, 1)]);
    }

    #[test]
    fn what_was_heard_last_is_told_with_its_time() {
        let last = LastOne::<Decision>::default();
        assert_eq!(last.get(), None);
        for (word, at, told) in [(Admitted, 0, 0), (NotAllowed, 1, 1), (NotAllowed, 2, 1), (NotAllowed, 6, 6)] {
            last.note(word, Timestamp::from_seconds(1_800_000_000 + at));
            let expected = Last { outcome: word, at: Timestamp::from_seconds(1_800_000_000 + told) };
            assert_eq!(last.get(), Some(expected));
        }
    }

    #[test]
    fn many_threads_lose_nothing() {
        let hour = LastHour::<Decision>::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|second| hour.count(Admitted, Timestamp::from_seconds(second))));
            }
        });
        assert_eq!(hour.until(Timestamp::from_seconds(999)), [(Admitted, 4_000)]);
    }
}
