//! The board, the alert rules and the description of the metrics speak of what a running gateway really tells.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use schoolgate::{
    clock::Timestamp,
    telemetry::{CertificateState, Decision, OwnPath, UpstreamOutcome, Word},
};
use serde_json::Value;
use support::{Request, Scrape, World, scrape::metric_of, world::START, world::at};

const ALERTS: &str = "docs/prometheus/alerts.yml";
const BOARD: &str = "docs/grafana/schoolgate.json";

/// Labels that Prometheus puts there, and what it says of the scrape itself.
const OF_PROMETHEUS: &[&str] = &["job", "instance"];

/// A look at a gateway that has done some of everything.
async fn scrape() -> Scrape {
    let world = World::with(&[("session", "[assertion]\nenabled = true")]).await;
    let expires = Timestamp::from_seconds(START + 86_400);
    world.running.metrics().certificates.is(move || vec![CertificateState { name: "/etc/tls.pem".into(), expires }]);
    let mut browser = world.signed_in("teacher-1").await;
    assert_eq!(browser.open(&at("/some/page")).await.status, 200);
    world.send(Request::get("/other")).await;
    let scrape = Scrape::of(world.admin).await;
    assert!(scrape.text.contains("assertion_key_age"), "a page was served with an assertion: {}", scrape.text);
    scrape
}

/// The labels of each metric, and every word that one of its labels may have.
struct Known {
    types: BTreeMap<String, String>,
    labels: BTreeMap<String, BTreeSet<String>>,
    words: BTreeSet<(String, String)>,
}

impl Known {
    async fn by_a_scrape() -> Self {
        let scrape = scrape().await;
        let (mut labels, mut words) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeSet::new());
        for (series, of, _) in &scrape.samples {
            let names = labels.entry(metric_of(series, &scrape.types).to_owned()).or_default();
            for (name, value) in of {
                names.insert(name.clone());
                words.insert((name.clone(), value.clone()));
            }
        }
        // Only what has happened is there of these.
        fn all<W: Word>() -> impl Iterator<Item = (String, String)> {
            W::ALL.iter().map(|word| (W::LABEL.to_owned(), word.word().to_owned()))
        }
        words.extend(all::<Decision>().chain(all::<OwnPath>()).chain(all::<UpstreamOutcome>()));
        Self { types: scrape.types, labels, words }
    }

    /// What an expression says that no gateway tells.
    fn mistakes(&self, expression: &str) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut spoken_of = BTreeSet::from_iter(OF_PROMETHEUS.iter().map(|name| (*name).to_owned()));
        for (series, matchers) in selectors(expression) {
            let metric = metric_of(series, &self.types);
            let Some(labels) = self.labels.get(metric).filter(|_| self.is_a_series(series, metric)) else {
                mistakes.push(format!("there is no {series}"));
                continue;
            };
            spoken_of.extend(labels.iter().cloned());
            for (label, value) in matchers {
                let is_ours = !OF_PROMETHEUS.contains(&&*label);
                if is_ours && !labels.contains(&label) {
                    mistakes.push(format!("{series} has no label {label}"));
                }
                let values = value.split('|').filter(|value| is_ours && !value.starts_with('$'));
                let unknown = values.filter(|value| !self.words.contains(&(label.clone(), (*value).to_owned())));
                mistakes.extend(unknown.map(|value| format!("{label} is never {value}")));
            }
        }
        for label in grouped_by(expression) {
            if !spoken_of.contains(label) {
                mistakes.push(format!("nothing there has the label {label}"));
            }
        }
        mistakes
    }

    /// A histogram is asked by the names of its series, everything else by its own.
    fn is_a_series(&self, series: &str, metric: &str) -> bool {
        (self.types[metric] == "histogram") == (series != metric)
    }
}

/// Each selector of an expression: the name, and its matchers.
fn selectors(expression: &str) -> Vec<(&str, Vec<(String, String)>)> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = ["schoolgate_", "process_"].iter().filter_map(|begin| rest.find(begin)).min() {
        let end = rest[start..].find(|letter| !is_word(letter)).map_or(rest.len(), |end| start + end);
        let name = &rest[start..end];
        rest = &rest[end..];
        let inside = rest.strip_prefix('{').and_then(|inside| inside.split_once('}')).map_or("", |(inside, _)| inside);
        let matchers = inside.split(',').filter(|matcher| !matcher.is_empty()).map(|matcher| {
            let end = matcher.find(|letter| !is_word(letter)).unwrap();
            (matcher[..end].to_owned(), matcher[end..].trim_start_matches(['=', '!', '~']).trim_matches('"').to_owned())
        });
        found.push((name, matchers.collect()));
    }
    found
}

/// The labels in `by (...)`.
fn grouped_by(expression: &str) -> impl Iterator<Item = &str> {
    let groups = expression.split(" by (").skip(1).filter_map(|rest| rest.split_once(')'));
    groups.flat_map(|(labels, _)| labels.split(", "))
}

/// Every expression of the board, by the title of its panel.
fn of_the_board() -> Vec<(String, String)> {
    let board: Value = serde_json::from_str(&fs::read_to_string(BOARD).unwrap()).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(move |target| (title.to_owned(), target["expr"].as_str().unwrap().to_owned()))
    });
    let variables = board["templating"]["list"].as_array().unwrap().iter();
    let asked = variables.filter_map(|variable| {
        Some((variable["name"].as_str()?.to_owned(), variable["definition"].as_str()?.to_owned()))
    });
    targets.chain(asked).collect()
}

/// Every expression of the alert rules, by the name of the alert.
fn of_the_alerts() -> Vec<(String, String)> {
    let text = fs::read_to_string(ALERTS).unwrap();
    let rules = text.split("- alert: ").skip(1);
    rules
        .map(|rule| {
            let (name, rest) = rule.split_once('\n').unwrap();
            let expression = rest.split_once("expr: ").unwrap().1;
            let ends = ["\n        for: ", "\n        labels: "];
            let end = ends.iter().filter_map(|end| expression.find(end)).min().unwrap();
            (name.to_owned(), expression[..end].to_owned())
        })
        .collect()
}

#[tokio::test]
async fn every_metric_label_and_word_of_the_board_and_of_the_alerts_is_told_by_a_gateway() {
    let known = Known::by_a_scrape().await;
    let (board, alerts) = (of_the_board(), of_the_alerts());
    assert!(board.len() > 30 && alerts.len() > 20, "{} {}", board.len(), alerts.len());
    for (place, expression) in board.iter().chain(&alerts) {
        let asks = !selectors(expression).is_empty() || expression.starts_with("up{");
        assert!(asks, "{place}: {expression}");
        assert_eq!(known.mistakes(expression), [""; 0], "{place}: {expression}");
    }
}

#[tokio::test]
async fn a_mistake_in_an_expression_is_found() {
    let known = Known::by_a_scrape().await;
    for (expression, mistake) in [
        ("rate(schoolgate_request_total[5m])", "there is no schoolgate_request_total"),
        ("schoolgate_sign_ins", "there is no schoolgate_sign_ins"),
        ("schoolgate_decision_duration_seconds", "there is no schoolgate_decision_duration_seconds"),
        ("schoolgate_requests_total{host=\"a\"}", "schoolgate_requests_total has no label host"),
        ("schoolgate_requests_total{job=\"a\",decision!~\"admitted|denied\"}", "decision is never denied"),
        ("sum by (app, endpoint) (schoolgate_requests_total)", "nothing there has the label endpoint"),
    ] {
        assert!(known.mistakes(expression).iter().any(|found| found == mistake), "{expression}");
    }
    assert!(known.mistakes("sum by (le, job) (schoolgate_decision_duration_seconds_bucket)").is_empty());
}

#[tokio::test]
async fn every_metric_is_described_with_its_type_and_its_labels() {
    let known = Known::by_a_scrape().await;
    let text = fs::read_to_string("docs/metrics.md").unwrap();
    let unticked = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| ")?.strip_suffix(" |")?.split('|').map(str::trim).collect();
        let [name, kind, labels, _meaning] = cells[..] else { return None };
        if !["counter", "gauge", "histogram"].contains(&kind) {
            return None;
        }
        let labels = labels.split(", ").map(unticked).filter(|label| !label.is_empty()).collect::<BTreeSet<_>>();
        Some((unticked(name), (kind.to_owned(), labels)))
    });
    let described: BTreeMap<_, _> = rows.collect();
    let told = known.types.iter().map(|(name, kind)| {
        let labels = known.labels.get(name).cloned().unwrap_or_default();
        (name.clone(), (kind.clone(), labels.into_iter().filter(|label| label != "le").collect()))
    });
    assert_eq!(told.collect::<BTreeMap<_, _>>(), described);
    for (label, word) in known.words.iter().filter(|(label, word)| {
        !["le", "app", "route", "upstream", "certificate", "version"].contains(&&**label) && !word.is_empty()
    }) {
        assert!(text.contains(&format!("`{word}`")), "docs/metrics.md does not say what {label}=\"{word}\" means");
    }
}

#[test]
fn every_alert_says_what_to_do() {
    let text = fs::read_to_string(ALERTS).unwrap();
    for rule in text.split("- alert: ").skip(1) {
        for wanted in ["severity: ", "summary: \"", "runbook: \""] {
            assert!(rule.contains(wanted), "{wanted}: {rule}");
        }
    }
}

/// Runs promtool, which `scripts/setup test` installs.
fn promtool(arguments: &[&str], input: &str) {
    let mut tool = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs: scripts/setup test installs it");
    tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

#[tokio::test]
async fn prometheus_itself_finds_nothing_wrong() {
    assert!(Path::new(ALERTS).exists());
    promtool(&["check", "rules", ALERTS], "");
    promtool(&["check", "metrics"], &scrape().await.text);
}
