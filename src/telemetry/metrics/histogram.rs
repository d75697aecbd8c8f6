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

/// A histogram. Clones are one.
#[derive(Clone, Debug)]
pub(super) struct Histogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bounds: Bounds,
    /// One for each bound, and one for what is beyond them.
    buckets: Vec<AtomicU64>,
    nanos: AtomicU64,
}

impl Histogram {
    /// An empty one.
    pub(super) fn new(bounds: Bounds) -> Self {
        let buckets = (0..=bounds.0.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Inner { bounds, buckets, nanos: AtomicU64::new(0) }))
    }

    /// Takes down a duration.
    pub(super) fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bounds = self.0.bounds.0;
        let place = bounds.iter().position(|bound| nanos <= bound.saturating_mul(1000)).unwrap_or(bounds.len());
        if let Some(bucket) = self.0.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.0.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl EncodeMetric for Histogram {
    #[expect(clippy::cast_precision_loss, reason = "fractions of a second that nobody would miss")]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = self.0.bounds.0.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        let counts = self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        // The sum of what is shown, so that buckets and count always agree.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.nanos.load(Ordering::Relaxed) as f64 / 1e9;
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
    }
}
