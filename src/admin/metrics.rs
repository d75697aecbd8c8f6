//! What Prometheus is told, in one of its two formats.

use std::{
    fmt::{self, Write},
    sync::atomic::AtomicU64,
    time::Duration,
};

use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    metrics::gauge::Gauge,
    registry::{Registry, Unit},
};

use super::health::Vitals;
use crate::telemetry::Metrics;

/// Begins every name.
const PREFIX: &str = "schoolgate";

/// How the text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics, which Prometheus prefers.
    OpenMetrics,
    /// The older one.
    Prometheus,
}

impl Format {
    /// For a client that says what it takes.
    pub(super) fn wanted(accept: Option<&str>) -> Self {
        let is_new = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
        if is_new { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Everything. What is not known is left out, and never a number that was true before.
pub(super) fn text(metrics: &Metrics, vitals: &Vitals, format: Format) -> Result<String, fmt::Error> {
    let mut text = String::new();
    metrics.write(&mut text)?;
    encode_registry(&mut text, &asked(vitals))?;
    match format {
        Format::OpenMetrics => encode_eof(&mut text)?,
        Format::Prometheus => text = as_before(&text)?,
    }
    Ok(text)
}

/// The same in the older format: a counter has one name there, the one of its sample, and no unit.
fn as_before(text: &str) -> Result<String, fmt::Error> {
    let mut older = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let counter = |line: &str| Some(line.strip_prefix("# TYPE ")?.strip_suffix(" counter")?.to_owned());
        // The words come before the type.
        let help = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '));
        if let (Some((name, words)), Some(_)) = (help, lines.peek().and_then(|next| counter(next))) {
            writeln!(older, "# HELP {name}_total {words}")?;
        } else if let Some(name) = counter(line) {
            writeln!(older, "# TYPE {name}_total counter")?;
        } else if !line.starts_with("# UNIT ") {
            writeln!(older, "{line}")?;
        }
    }
    Ok(older)
}

fn asked(vitals: &Vitals) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    let mut number = |name: &str, help: &str, value: Option<usize>| {
        let Some(value) = value else { return };
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    number("sessions", "Sessions in the store, with those that ended by themselves a moment ago", vitals.sessions);
    number("revocations_waiting", "Tokens that wait to be revoked at Apple", vitals.revocations_waiting);
    number("store_up", "Whether the session store can be used", Some(usize::from(vitals.store.is_ok())));
    number("apple_keys_usable", "Whether ID tokens can be verified", Some(usize::from(vitals.keys.usable)));
    let mut age = |name: &str, help: &str, age: Option<Duration>| {
        let Some(age) = age else { return };
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(age.as_secs_f64());
        registry.register_with_unit(name, help, Unit::Seconds, gauge);
    };
    age("apple_keys_age", "Time since Apple's keys were fetched", vitals.keys.age);
    let signs = vitals.assertion_key.as_ref().and_then(|key| key.as_ref().ok().copied());
    age("assertion_key_age", "Time since the key of the assertion began to sign", signs);
    registry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::readiness::tests::well,
        apple::KeysStatus,
        assertion::AssertionError,
        clock::{ManualClock, Timestamp},
    };

    fn written(vitals: &Vitals, format: Format) -> String {
        let metrics = Metrics::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        metrics.rate_limited.inc();
        text(&metrics, vitals, format).unwrap()
    }

    /// The samples of what is asked for when somebody looks.
    fn samples(vitals: &Vitals) -> Vec<String> {
        let mut text = String::new();
        encode_registry(&mut text, &asked(vitals)).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn every_metric_has_its_name_and_its_value() {
        let vitals = Vitals { assertion_key: Some(Ok(Duration::from_secs(7))), ..well() };
        assert_eq!(
            samples(&vitals),
            [
                "schoolgate_sessions 3",
                "schoolgate_revocations_waiting 1",
                "schoolgate_store_up 1",
                "schoolgate_apple_keys_usable 1",
                "schoolgate_apple_keys_age_seconds 61.5",
                "schoolgate_assertion_key_age_seconds 7.0",
            ]
        );
        let text = written(&vitals, Format::OpenMetrics);
        let version = concat!("schoolgate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1");
        for line in [version, "process_start_time_seconds 1800000000.0", "schoolgate_sign_ins_rate_limited_total 1"] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let keys = KeysStatus { age: None, ..well().keys };
        let assertion_key = Some(Err(AssertionError::Late));
        let (sessions, revocations_waiting) = (None, None);
        let down = Vitals { keys, store: Err("down".into()), sessions, revocations_waiting, assertion_key, ..well() };
        assert_eq!(samples(&down), ["schoolgate_store_up 0", "schoolgate_apple_keys_usable 1"]);
    }

    #[test]
    fn each_format_is_written_as_its_own_grammar_says() {
        let name = "schoolgate_sign_ins_rate_limited";
        let new = written(&well(), Format::OpenMetrics);
        assert!(new.contains(&format!("# TYPE {name} counter\n")) && new.ends_with("\n# EOF\n"), "{new}");
        assert!(new.contains("\n# UNIT schoolgate_apple_keys_age_seconds seconds\n"), "{new}");
        let old = written(&well(), Format::Prometheus);
        assert!(old.contains(&format!("# HELP {name}_total Sign-ins held back")), "{old}");
        assert!(old.contains(&format!("# TYPE {name}_total counter\n{name}_total 1\n")), "{old}");
        assert!(!old.contains("# UNIT") && !old.contains("# EOF"), "{old}");
        let samples = |text: &str| -> Vec<String> {
            let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(samples(&new), samples(&old));
    }

    #[test]
    fn a_client_gets_the_format_that_it_takes() {
        let accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
        assert_eq!(Format::wanted(Some(accept)), Format::OpenMetrics);
        assert_eq!((Format::wanted(Some("*/*")), Format::wanted(None)), (Format::Prometheus, Format::Prometheus));
    }
}
