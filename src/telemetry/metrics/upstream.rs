//! What is known of one upstream: how it answers, and how fast.

use std::{sync::OnceLock, time::Duration};

use super::{
    Metrics,
    counter::Counter,
    counts::Counters,
    histogram::Histogram,
    recent::{Last, LastOne},
    word::{LabelSet, Word},
    words::{UpstreamNews, UpstreamOutcome},
};
use crate::clock::SharedClock;

/// The meter of one upstream of one app.
#[derive(Debug)]
pub struct UpstreamMeter {
    labels: LabelSet,
    family: Counters,
    outcomes: Vec<OnceLock<Counter>>,
    first_byte: Histogram,
    last: LastOne<UpstreamNews>,
    clock: SharedClock,
}

impl UpstreamMeter {
    /// The meter of an upstream, by the names that the configuration has for its app and for itself. Of one that was
    /// there before the numbers go on.
    #[must_use]
    pub fn new(metrics: &Metrics, app: &str, upstream: &str) -> Self {
        let labels = vec![("app", app.to_owned()), ("upstream", upstream.to_owned())];
        Self {
            first_byte: metrics.first_byte.get_or_create_owned(&labels),
            labels,
            family: metrics.upstream_requests.clone(),
            outcomes: UpstreamOutcome::ALL.iter().map(|_| OnceLock::new()).collect(),
            last: LastOne::default(),
            clock: metrics.clock.clone(),
        }
    }

    /// It has begun to answer, so long after the request was sent.
    pub fn answered(&self, status: u16, after: Duration) {
        self.first_byte.observe(after);
        self.count(UpstreamOutcome::of_status(status));
        self.heard(UpstreamNews::Answered);
    }

    /// No connection could be made.
    pub fn unreachable(&self) {
        self.count(UpstreamOutcome::Unreachable);
        self.heard(UpstreamNews::Unreachable);
    }

    /// No answer began in time.
    pub fn timed_out(&self) {
        self.count(UpstreamOutcome::TimedOut);
        self.heard(UpstreamNews::TimedOut);
    }

    /// The connection broke.
    pub fn broken(&self) {
        self.count(UpstreamOutcome::Broken);
        self.heard(UpstreamNews::Broken);
    }

    /// What a check of its health has found.
    pub fn checked(&self, is_well: bool) {
        self.heard(if is_well { UpstreamNews::Checked } else { UpstreamNews::CheckFailed });
    }

    /// Takes over what another meter has last heard.
    pub fn learn(&self, other: &Self) {
        self.last.learn(&other.last);
    }

    /// What was last heard of it.
    #[must_use]
    pub fn last(&self) -> Option<Last<UpstreamNews>> {
        self.last.get()
    }

    fn heard(&self, news: UpstreamNews) {
        self.last.note(news, self.clock.now());
    }

    fn count(&self, outcome: UpstreamOutcome) {
        let Some(counter) = self.outcomes.get(outcome.place()) else { return };
        let make = || {
            let mut labels = outcome.labels();
            labels.extend(self.labels.iter().cloned());
            self.family.get_or_create_owned(&labels)
        };
        counter.get_or_init(make).inc();
    }
}
