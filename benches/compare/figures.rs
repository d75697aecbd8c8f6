//! What was measured: rounds, and what they say together.

use serde::Serialize;

use crate::load::Done;

/// One turn of one proxy.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) requests_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// Seconds of the processor for 10,000 requests.
    pub(crate) cpu_s_per_10k: f64,
    /// For a gigabyte, where bytes are what matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_s_per_gb: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mb_per_second: Option<f64>,
    pub(crate) peak_memory_mib: f64,
}

impl Round {
    pub(crate) fn new(done: &Done, cpu: f64, peak: u64, transferred: Option<u64>) -> Self {
        let (requests, seconds) = (done.requests as f64, done.microseconds as f64 / 1e6);
        Self {
            requests_per_second: requests / seconds,
            p50_us: done.p50 as f64,
            p99_us: done.p99 as f64,
            p999_us: done.p999 as f64,
            cpu_s_per_10k: cpu / requests * 1e4,
            cpu_s_per_gb: transferred.map(|bytes| cpu / (requests * bytes as f64) * 1e9),
            mb_per_second: transferred.map(|bytes| requests * bytes as f64 / seconds / 1e6),
            peak_memory_mib: peak as f64 / f64::from(1 << 20),
        }
    }
}

/// All turns of one proxy in one scenario.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) proxy: String,
    pub(crate) title: String,
    pub(crate) rounds: Vec<Round>,
}

impl Row {
    pub(crate) fn new(proxy: &str, title: String) -> Self {
        Self { proxy: proxy.to_owned(), title, rounds: Vec::new() }
    }

    /// Its name without how it is set up.
    pub(crate) fn base(&self) -> &str {
        self.proxy.split('+').next().unwrap_or(&self.proxy)
    }

    pub(crate) fn spread(&self, of: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(of).collect())
    }

    /// A figure as a multiple of another proxy's, round by round: what disturbs a round disturbs both.
    pub(crate) fn against(&self, other: &Self, of: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.iter().zip(&other.rounds).map(|(own, other)| of(own) / of(other)).collect())
    }
}

/// The middle of some figures, and how far they go.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |place: usize| figures.get(place).copied().unwrap_or(f64::NAN);
        let count = figures.len();
        let median = if count % 2 == 1 {
            at(count / 2)
        } else {
            f64::midpoint(at((count / 2).saturating_sub(1)), at(count / 2))
        };
        Self { median, min: at(0), max: at(count.saturating_sub(1)) }
    }
}

/// A scenario with everybody's turns.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: String,
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
}

impl Outcome {
    /// A proxy by its name, or the first that is of its kind.
    pub(crate) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.proxy == name).or_else(|| self.rows.iter().find(|row| row.base() == name))
    }
}
