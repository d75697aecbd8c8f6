//! Counters and timings, one for each word: made once, so that counting is one addition.

use std::{sync::OnceLock, time::Duration};

use prometheus_client::metrics::family::Family;

use super::{
    counter::Counter,
    histogram::{Bounds, Histogram},
    word::{LabelSet, Word},
};

/// A family of counters.
pub(super) type Counters = Family<LabelSet, Counter>;

/// A family of histograms.
pub(super) type Histograms = Family<LabelSet, Histogram, Bounds>;

/// A counter for each word. All are there from the start, so that the first of its kind is an increase.
#[derive(Debug)]
pub struct Counts<W>(Vec<Counter>, std::marker::PhantomData<W>);

impl<W: Word> Counts<W> {
    pub(super) fn of(family: &Counters, labels: impl Fn(W) -> LabelSet) -> Self {
        Self(W::ALL.iter().map(|word| family.get_or_create_owned(&labels(*word))).collect(), std::marker::PhantomData)
    }

    /// Counts one.
    pub fn count(&self, word: W) {
        self.add(word, 1);
    }

    /// Counts several.
    pub fn add(&self, word: W, count: usize) {
        if let Some(counter) = self.0.get(word.place()) {
            counter.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }
}

/// A histogram for each word, each of which is made when it is first needed.
#[derive(Debug)]
pub struct Timings<W> {
    family: Histograms,
    histograms: Vec<OnceLock<Histogram>>,
    words: std::marker::PhantomData<W>,
}

impl<W: Word> Timings<W> {
    pub(super) fn of(family: Histograms) -> Self {
        let histograms = W::ALL.iter().map(|_| OnceLock::new()).collect();
        Self { family, histograms, words: std::marker::PhantomData }
    }

    /// The same, and all are there from the start.
    pub(super) fn all_of(family: Histograms) -> Self {
        let this = Self::of(family);
        for word in W::ALL {
            let _ = this.histogram(*word);
        }
        this
    }

    /// Takes down how long something took.
    pub fn took(&self, word: W, duration: Duration) {
        if let Some(histogram) = self.histogram(word) {
            histogram.observe(duration);
        }
    }

    fn histogram(&self, word: W) -> Option<&Histogram> {
        let place = self.histograms.get(word.place())?;
        Some(place.get_or_init(|| self.family.get_or_create_owned(&word.labels())))
    }
}
