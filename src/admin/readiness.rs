//! Whether the gateway can do its work, and what is missing.

use serde::Serialize;

use super::health::Vitals;

/// The answer of `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether everything is there.
    pub ready: bool,
    /// What is not, in words for the operator.
    pub missing: Vec<String>,
    /// Whether the gateway is about to stop.
    pub draining: bool,
    /// How many sessions there are; unknown while the store does not answer.
    pub sessions: Option<usize>,
    /// How many revocations wait for Apple; unknown while the store does not answer.
    pub revocations_waiting: Option<usize>,
}

impl Report {
    pub(super) fn of(vitals: &Vitals) -> Self {
        let mut missing = Vec::new();
        if !vitals.keys.usable {
            let why = vitals.keys.last_error.as_ref();
            let why = why.map_or_else(|| "not fetched yet".to_owned(), ToString::to_string);
            missing.push(format!("Apple's keys: {why}"));
        }
        if let Err(why) = &vitals.store {
            missing.push(why.clone());
        }
        if let Some(Err(why)) = &vitals.assertion_key {
            missing.push(why.to_string());
        }
        if vitals.certificate == Some(false) {
            missing.push("a certificate: none has been ordered yet, so nobody gets in over HTTPS".to_owned());
        }
        if vitals.draining {
            missing.push("the gateway is stopping".to_owned());
        }
        Self {
            ready: missing.is_empty(),
            missing,
            draining: vitals.draining,
            sessions: vitals.sessions,
            revocations_waiting: vitals.revocations_waiting,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        apple::{KeysStatus, Unavailable},
        assertion::AssertionError,
    };
    use std::time::Duration;

    /// All is well.
    pub(in crate::admin) fn well() -> Vitals {
        Vitals {
            keys: KeysStatus { usable: true, keys: 2, age: Some(Duration::from_millis(61_500)), last_error: None },
            store: Ok(()),
            sessions: Some(3),
            revocations_waiting: Some(1),
            assertion_key: None,
            certificate: Some(true),
            draining: false,
        }
    }

    fn json(vitals: &Vitals) -> serde_json::Value {
        serde_json::to_value(Report::of(vitals)).unwrap()
    }

    #[test]
    fn a_gateway_that_has_everything_is_ready() {
        assert_eq!(
            json(&well()),
            serde_json::json!({
                "ready": true, "missing": [], "draining": false, "sessions": 3, "revocations_waiting": 1,
            })
        );
    }

    #[test]
    fn everything_that_is_missing_is_told_with_its_reason() {
        let vitals = Vitals {
            keys: KeysStatus { usable: false, keys: 0, age: None, last_error: Some(Unavailable::Timeout.into()) },
            store: Err("the session store is not available: disk full".into()),
            sessions: None,
            revocations_waiting: None,
            assertion_key: Some(Err(AssertionError::Full)),
            certificate: Some(false),
            draining: true,
        };
        let report = Report::of(&vitals);
        assert!(!report.ready && report.draining);
        let [keys, store, assertion, certificate, draining] = &report.missing[..] else { panic!("{report:?}") };
        assert!(assertion.contains("keys of the assertion"), "{assertion}");
        assert!(certificate.contains("nobody gets in over HTTPS"), "{certificate}");
        assert!(keys.starts_with("Apple's keys: ") && store.contains("disk full") && draining.contains("stopping"));
        assert_eq!(json(&vitals)["revocations_waiting"], serde_json::Value::Null);
    }

    #[test]
    fn any_one_thing_is_enough_to_be_not_ready() {
        let cold = KeysStatus { usable: false, keys: 0, age: None, last_error: None };
        for vitals in [
            Vitals { keys: cold, ..well() },
            Vitals { store: Err("gone".into()), ..well() },
            Vitals { assertion_key: Some(Err(AssertionError::Late)), ..well() },
            Vitals { certificate: Some(false), ..well() },
            Vitals { draining: true, ..well() },
        ] {
            let report = Report::of(&vitals);
            assert!(!report.ready && report.missing.len() == 1, "{report:?}");
        }
    }

    #[test]
    fn who_leaves_tls_to_others_needs_no_certificate() {
        assert!(Report::of(&Vitals { certificate: None, ..well() }).ready);
    }

    #[test]
    fn a_queue_that_cannot_be_counted_does_not_make_it_unready() {
        assert!(Report::of(&Vitals { sessions: None, revocations_waiting: None, ..well() }).ready);
    }
}
