//! Numbers that all requests add to. Each thread adds in a place of its own, and somebody who looks adds the places up:
//! that of the library is one place, which the processors would take from each other with each request.

use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// Most places of a number.
const MOST_PLACES: usize = 16;

/// How many places a number has: twice as many as processors, so that few threads meet.
static PLACES: LazyLock<usize> = LazyLock::new(|| {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    (2 * processors).min(MOST_PLACES)
});

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The number of this thread, as threads begin to count.
fn thread_number() -> usize {
    let known = THREAD.try_with(|number| {
        number.get().unwrap_or_else(|| {
            let next = THREADS.fetch_add(1, Ordering::Relaxed);
            number.set(Some(next));
            next
        })
    });
    known.unwrap_or_default()
}

/// A place for each thread, or for a few. Whoever shares `T` among threads adds without a lock.
#[derive(Debug)]
pub(super) struct PerThread<T>(Box<[T]>);

impl<T: Default> Default for PerThread<T> {
    fn default() -> Self {
        Self((0..*PLACES).map(|_| T::default()).collect())
    }
}

impl<T> PerThread<T> {
    /// That of this thread.
    pub(super) fn own(&self) -> Option<&T> {
        self.0.get(thread_number() % self.0.len())
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

/// Has cache lines of its own; processors fetch two at a time.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Place(AtomicU64);

/// A number that only grows. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<PerThread<Place>>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.inc_by(1);
    }

    /// Adds several.
    pub fn inc_by(&self, count: u64) {
        if let Some(Place(number)) = self.0.own() {
            number.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// What it has come to.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.iter().map(|place| place.0.load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }
}

impl EncodeMetric for Counter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_counter::<NoLabelSet, _, u64>(&self.get(), None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Counter {
    const TYPE: MetricType = MetricType::Counter;
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::{encoding::text::encode_registry, registry::Registry};

    #[test]
    fn many_threads_lose_nothing() {
        let (counter, mut registry) = (Counter::default(), Registry::default());
        registry.register("things", "How many", counter.clone());
        thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| (0..1_000).for_each(|_| counter.inc()));
            }
        });
        counter.inc_by(7);
        assert_eq!(counter.get(), 40_007);
        let mut text = String::new();
        encode_registry(&mut text, &registry).unwrap();
        assert!(text.lines().any(|line| line == "things_total 40007"), "{text}");
    }

    #[test]
    fn threads_add_in_places_of_their_own() {
        let counter = Counter::default();
        // Twice as many as there are places: as threads are numbered in turn, not all can meet in one.
        for _ in 0..*PLACES * 2 {
            thread::scope(|scope| {
                scope.spawn(|| counter.inc());
            });
        }
        let used = counter.0.iter().filter(|place| place.0.load(Ordering::Relaxed) > 0).count();
        assert!(used >= (*PLACES).min(2), "{used}");
        assert_eq!(counter.0.iter().count(), *PLACES);
        assert!(size_of::<Place>() >= 128);
    }
}
