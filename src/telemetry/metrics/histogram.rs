//! How long things take, in buckets, without a lock: that of the library has one, which all requests would share.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric, family::MetricConstructor},
};

use super::counter::PerThread;

/// The upper bounds of buckets, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds(&'static [u64]);

impl Bounds {
    /// For what happens inside the gateway: from 25 µs to 5 s.
    pub(super) const INSIDE: Self =
        Self(&[25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000, 5_000_000]);

    /// For what others do: from 1 ms to a minute.
    pub(super) const OUTSIDE: Self = Self(&[
        1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
        10_000_000, 30_000_000, 60_000_000,
    ]);
}

impl MetricConstructor<Histogram> for Bounds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(*self)
    }
}

/// Most buckets: one for each bound, and one for what is beyond them.
const BUCKETS: usize = 16;

/// A histogram. Clones are one.
#[derive(Clone, Debug)]
pub(super) struct Histogram(Bounds, Arc<PerThread<Durations>>);

/// What one thread took down, or a few.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Durations {
    buckets: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

impl Histogram {
    /// An empty one.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self(bounds, Arc::default())
    }

    /// Takes down a duration.
    pub(super) fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let Self(Bounds(bounds), places) = self;
        let Some(Durations { buckets, nanos: sum }) = places.own() else { return };
        let place = bounds.iter().position(|bound| nanos <= bound.saturating_mul(1000)).unwrap_or(bounds.len());
        if let Some(bucket) = buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        sum.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What all threads took down in one bucket.
    fn bucket(&self, place: usize) -> u64 {
        let counts = self.1.iter().filter_map(|one| one.buckets.get(place));
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

impl EncodeMetric for Histogram {
    #[expect(clippy::cast_precision_loss, reason = "fractions of a second that nobody would miss")]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = self.0.0.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.enumerate().map(|(place, bound)| (bound, self.bucket(place))).collect();
        // The sum of what is shown, so that buckets and count always agree.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let nanos = self.1.iter().map(|one| one.nanos.load(Ordering::Relaxed)).fold(0, u64::wrapping_add);
        let sum = nanos as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::{encoding::text::encode_registry, registry::Registry};

    #[test]
    fn a_duration_counts_in_its_bucket_and_in_all_that_are_larger() {
        let (histogram, mut registry) = (Histogram::new(Bounds::INSIDE), Registry::default());
        registry.register("took_seconds", "How long", histogram.clone());
        for micros in [0, 25, 26, 60_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut text = String::new();
        encode_registry(&mut text, &registry).unwrap();
        for line in [
            r#"took_seconds_bucket{le="0.000025"} 2"#,
            r#"took_seconds_bucket{le="0.00005"} 3"#,
            r#"took_seconds_bucket{le="5.0"} 3"#,
            r#"took_seconds_bucket{le="+Inf"} 4"#,
            "took_seconds_count 4",
            "took_seconds_sum 60.000051",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
        assert_eq!(text.lines().filter(|line| line.contains("_bucket")).count(), 14);
        assert!(Bounds::INSIDE.0.len() < BUCKETS && Bounds::OUTSIDE.0.len() < BUCKETS);
    }

    #[test]
    fn many_threads_lose_nothing() {
        let histogram = Histogram::new(Bounds::OUTSIDE);
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| (1..=1_000).for_each(|millis| histogram.observe(Duration::from_millis(millis))));
            }
        });
        let all: Vec<_> = (0..=Bounds::OUTSIDE.0.len()).map(|place| histogram.bucket(place)).collect();
        assert_eq!(all, [40, 40, 120, 200, 600, 1_000, 2_000, 6_000, 10_000, 20_000, 0, 0, 0, 0, 0, 0]);
    }
}
