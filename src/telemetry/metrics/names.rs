//! Names for metrics, each given once, with the words that Prometheus shows.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::{Metric, Registry, Unit},
};

use super::{
    counts::{Counters, Counts, Histograms},
    histogram::Bounds,
    source::{CertificateState, UpstreamState},
    word::{LabelSet, Word},
};
use crate::clock::Timestamp;

/// Begins every name but one.
const PREFIX: &str = "schoolgate";

/// A gauge for numbers with a fraction.
type Fractional = Gauge<f64, AtomicU64>;

/// Registries under construction.
#[derive(Debug)]
pub(super) struct Names {
    /// Of our own names.
    pub(super) ours: Registry,
    /// Of the one name that all programs share.
    pub(super) process: Registry,
}

impl Names {
    /// With what is known from the start: which version runs, and since when.
    pub(super) fn since(started: Timestamp) -> Self {
        let mut this = Self { ours: Registry::with_prefix(PREFIX), process: Registry::with_prefix("process") };
        let gauge = Fractional::default();
        gauge.set(seconds(started));
        this.process.register_with_unit("start_time", "When the process started, since 1970", Unit::Seconds, gauge);
        // Not an info metric, which the older format does not know.
        let build: Family<LabelSet, Gauge> =
            this.add("build_info", "The version of schoolgate that runs", Family::default());
        build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
        this
    }

    /// Anything; gives back the metric.
    pub(super) fn add<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.ours.register(name, help, metric.clone());
        metric
    }

    /// A counter for each word.
    pub(super) fn counts<W: Word>(&mut self, name: &str, help: &str) -> Counts<W> {
        Counts::of(&self.add(name, help, Counters::default()), W::labels)
    }

    /// Histograms of durations.
    pub(super) fn seconds(&mut self, name: &str, help: &str, bounds: Bounds) -> Histograms {
        let family = Histograms::new_with_constructor(bounds);
        self.ours.register_with_unit(name, help, Unit::Seconds, family.clone());
        family
    }
}

/// What the parts that a reload replaces say at this moment.
pub(super) fn asked(upstreams: Vec<UpstreamState>, certificates: Vec<CertificateState>) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    let up = Family::<LabelSet, Gauge>::default();
    for UpstreamState { app, upstream, is_up, .. } in upstreams {
        up.get_or_create(&vec![("app", app), ("upstream", upstream)]).set(i64::from(is_up));
    }
    registry.register("upstream_up", "Whether requests are sent to the upstream", up);
    let expiry = Family::<LabelSet, Fractional>::default();
    for CertificateState { name, expires } in certificates {
        expiry.get_or_create(&vec![("certificate", name)]).set(seconds(expires));
    }
    let help = "When the certificate expires, since 1970";
    registry.register_with_unit("certificate_expiry_timestamp", help, Unit::Seconds, expiry);
    registry
}

#[expect(clippy::cast_precision_loss, reason = "a time of our days")]
fn seconds(moment: Timestamp) -> f64 {
    moment.millis() as f64 / 1000.0
}
