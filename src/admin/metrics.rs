//! What Prometheus is told.

use std::{fmt, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::health::Vitals;

/// Begins every name.
const PREFIX: &str = "schoolgate";

/// The format of OpenMetrics, which Prometheus prefers.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The older one. What stands here reads the same in both: the last line, `# EOF`, is a comment in it.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics: those that last, and those that are asked for when somebody looks.
#[derive(Debug)]
pub(super) struct Metrics {
    lasting: Registry,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut lasting = Registry::with_prefix(PREFIX);
        // Not an info metric, which the older format does not know.
        let build = Family::<[(&str, &str); 1], Gauge>::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        lasting.register("build_info", "The version of schoolgate that runs", build);
        Self { lasting }
    }

    /// Everything. What is not known is left out, and never a number that was true before.
    pub(super) fn text(&self, vitals: &Vitals) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.lasting)?;
        encode_registry(&mut text, &asked(vitals))?;
        encode_eof(&mut text)?;
        Ok(text)
    }
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
    if let Some(age) = vitals.keys.age {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(age.as_secs_f64());
        registry.register_with_unit("apple_keys_age", "Time since Apple's keys were fetched", Unit::Seconds, gauge);
    }
    registry
}

/// The format for a client that says what it takes.
pub(super) fn format_for(accept: Option<&str>) -> &'static str {
    if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) { OPEN_METRICS } else { PROMETHEUS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admin::readiness::tests::well, apple::KeysStatus};

    /// The samples, without comments.
    fn samples(vitals: &Vitals) -> Vec<String> {
        let text = Metrics::new().text(vitals).unwrap();
        assert!(text.ends_with("\n# EOF\n"), "{text}");
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn every_metric_has_its_name_and_its_value() {
        let version = concat!("schoolgate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1");
        assert_eq!(
            samples(&well()),
            [
                version,
                "schoolgate_sessions 3",
                "schoolgate_revocations_waiting 1",
                "schoolgate_store_up 1",
                "schoolgate_apple_keys_age_seconds 61.5",
            ]
        );
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let keys = KeysStatus { age: None, ..well().keys };
        let down = Vitals { keys, store: Err("down".into()), sessions: None, revocations_waiting: None, ..well() };
        assert_eq!(samples(&down)[1..], ["schoolgate_store_up 0"]);
    }

    #[test]
    fn every_metric_says_what_it_is() {
        let text = Metrics::new().text(&well()).unwrap();
        for name in ["build_info", "sessions", "revocations_waiting", "store_up", "apple_keys_age_seconds"] {
            assert!(text.contains(&format!("# HELP schoolgate_{name} ")), "{name}: {text}");
            assert!(text.contains(&format!("# TYPE schoolgate_{name} gauge\n")), "{name}: {text}");
        }
    }

    #[test]
    fn a_client_gets_the_format_that_it_takes() {
        assert_eq!(format_for(Some("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")), OPEN_METRICS);
        assert_eq!((format_for(Some("*/*")), format_for(None)), (PROMETHEUS, PROMETHEUS));
    }
}
