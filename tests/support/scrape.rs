//! What `/metrics` says, read as its grammar says.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use super::Request;

/// The labels of a series.
pub type Labels = BTreeMap<String, String>;

/// One look at the metrics.
#[derive(Debug)]
pub struct Scrape {
    /// As it came.
    pub text: String,
    /// The type of each metric, by the name that the older format gives it.
    pub types: BTreeMap<String, String>,
    /// Every series with its value.
    pub samples: Vec<(String, Labels, f64)>,
}

impl Scrape {
    /// Asks as Prometheus asks without further settings of ours.
    pub async fn of(admin: SocketAddr) -> Self {
        let request = Request::get("/metrics").header("Host", &admin.to_string());
        let answer = request.send(admin).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        Self::read(answer.text())
    }

    /// Reads the older format.
    pub fn read(text: String) -> Self {
        let (mut types, mut helped, mut samples) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, words) = rest.split_once(' ').unwrap();
                assert!(words.ends_with('.') && helped.insert(name.to_owned()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind) && helped.contains(name), "{line}");
                assert_eq!(types.insert(name.to_owned(), kind.to_owned()), None, "{line} stands twice");
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                assert!(seen.insert(series.to_owned()), "{line} stands twice");
                let (name, labels) =
                    series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest.strip_suffix('}').unwrap()));
                assert!(types.contains_key(metric_of(name, &types)), "{line} has no type");
                samples.push((name.to_owned(), labels_of(labels), value.parse().unwrap()));
            }
        }
        Self { text, types, samples }
    }

    /// The value of the one series that has all of these labels, and perhaps others; zero when there is none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |series: &Labels| labels.iter().all(|(name, value)| series.get(*name).is_some_and(|is| is == value));
        let mut found =
            self.samples.iter().filter(|(is, series, _)| is == name && fits(series)).map(|(.., value)| *value);
        let value = found.next().unwrap_or(0.0);
        assert_eq!(found.next(), None, "{name} {labels:?} are several");
        value
    }

    /// The sum of all series of a name.
    pub fn sum(&self, name: &str) -> f64 {
        self.samples.iter().filter(|(is, ..)| is == name).map(|(.., value)| value).sum()
    }
}

/// The metric that a series belongs to: a histogram has series of three names.
pub fn metric_of<'a>(series: &'a str, types: &BTreeMap<String, String>) -> &'a str {
    let parts = ["_bucket", "_sum", "_count"].iter().filter_map(|end| series.strip_suffix(end));
    let histogram = parts.into_iter().find(|name| types.get(*name).is_some_and(|kind| kind == "histogram"));
    histogram.unwrap_or(series)
}

/// Reads `a="b",c="d"`. No value of ours has a comma or an escape in it.
fn labels_of(text: &str) -> Labels {
    let pairs = text.split(',').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.strip_prefix('"').unwrap().strip_suffix('"').unwrap().to_owned())
        })
        .collect()
}
