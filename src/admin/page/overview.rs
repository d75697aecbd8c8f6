//! How the gateway is, for people.

use std::{fmt, time::Duration};

use super::wording;
use crate::{
    admin::{Present, health::Vitals, readiness::Report},
    clock::Timestamp,
    pages::Moment,
    telemetry::{AppleEndpoint, CertificateState, Metrics, UpstreamState, Word},
};

/// A certificate that ends so soon should have been renewed.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// How something is. The page says it in words, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Well.
    Good,
    /// Worth a look.
    Care,
    /// Not well.
    Bad,
    /// Nobody has asked yet.
    Unknown,
}

impl fmt::Display for Tone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Care => "care",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        })
    }
}

/// One part of the gateway, or of what it needs.
pub(super) struct Part {
    pub(super) what: &'static str,
    pub(super) which: Option<String>,
    pub(super) tone: Tone,
    pub(super) state: String,
    pub(super) last: Option<(&'static str, Moment)>,
}

/// How often something happened.
pub(super) struct Count {
    pub(super) words: &'static str,
    /// The word in the metrics and in the log.
    pub(super) word: &'static str,
    pub(super) count: u64,
}

/// All of it.
pub(super) struct Overview {
    pub(super) report: Report,
    pub(super) version: &'static str,
    pub(super) started: Moment,
    pub(super) configured: Moment,
    pub(super) needs_restart: Vec<&'static str>,
    pub(super) parts: Vec<Part>,
    pub(super) sign_ins: Vec<Count>,
    pub(super) refusals: Vec<Count>,
    pub(super) now: Moment,
}

impl Overview {
    pub(super) fn of(
        vitals: &Vitals,
        present: &Present,
        metrics: &Metrics,
        (started, now): (Timestamp, Timestamp),
    ) -> Self {
        let mut parts = vec![keys(vitals, metrics, now)];
        parts.extend([AppleEndpoint::Token, AppleEndpoint::Revoke].map(|endpoint| apple(endpoint, metrics, now)));
        parts.push(store(vitals, metrics, now));
        parts.extend(metrics.upstreams.ask().into_iter().map(|state| upstream(state, now)));
        parts.extend(assertion(vitals, now));
        parts.extend(metrics.certificates.ask().into_iter().map(|state| certificate(state, now)));
        let sign_ins = metrics.recent_sign_ins().into_iter();
        let refusals = metrics.recent_refusals().into_iter();
        Self {
            report: Report::of(vitals),
            version: env!("CARGO_PKG_VERSION"),
            started: Moment::of(started, now),
            configured: Moment::of(present.since, now),
            needs_restart: present.needs_restart.clone(),
            parts,
            sign_ins: counts(sign_ins.map(|(word, count)| (wording::sign_in(word), word.word(), count))),
            refusals: counts(refusals.map(|(word, count)| (wording::refusal(word), word.word(), count))),
            now: Moment::of(now, now),
        }
    }
}

/// The most frequent first.
fn counts(counted: impl Iterator<Item = (&'static str, &'static str, u64)>) -> Vec<Count> {
    let mut all: Vec<_> = counted.map(|(words, word, count)| Count { words, word, count }).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.count));
    all
}

fn keys(vitals: &Vitals, metrics: &Metrics, now: Timestamp) -> Part {
    let keys = &vitals.keys;
    let age = keys.age.map(|age| format!(", fetched {}", Moment::of(now.minus(age), now).away)).unwrap_or_default();
    let (tone, state) = match (&keys.last_error, keys.usable) {
        (None, true) => (Tone::Good, format!("{} keys{age}", keys.keys)),
        (Some(why), true) => (Tone::Care, format!("{} keys{age}; {why}", keys.keys)),
        (Some(why), false) => (Tone::Bad, format!("None: {why}")),
        (None, false) => (Tone::Unknown, "Not fetched yet".to_owned()),
    };
    Part { tone, state, ..apple(AppleEndpoint::Keys, metrics, now) }
}

fn apple(endpoint: AppleEndpoint, metrics: &Metrics, now: Timestamp) -> Part {
    let what = match endpoint {
        AppleEndpoint::Keys => "Apple's keys",
        AppleEndpoint::Token => "Apple: sign-ins and tokens",
        AppleEndpoint::Revoke => "Apple: revocations",
    };
    let last = metrics.last_of_apple(endpoint).map(|last| (wording::call(last.outcome), Moment::of(last.at, now)));
    let (tone, state) = last.as_ref().map_or((Tone::Unknown, "Not asked yet"), |(outcome, _)| *outcome);
    Part { what, which: None, tone, state: state.to_owned(), last: last.map(|(_, at)| ("called", at)) }
}

fn store(vitals: &Vitals, metrics: &Metrics, now: Timestamp) -> Part {
    let last = metrics.last_of_store().map(|last| (wording::store(last.outcome), Moment::of(last.at, now)));
    let (tone, state) = match &vitals.store {
        Ok(()) => (Tone::Good, "Answers".to_owned()),
        Err(why) => (Tone::Bad, why.clone()),
    };
    Part { what: "Session store", which: None, tone, state, last }
}

fn upstream(state: UpstreamState, now: Timestamp) -> Part {
    let UpstreamState { app, upstream, is_up, last } = state;
    let (tone, state) = match (is_up, last) {
        (false, _) => (Tone::Bad, "Cannot be reached"),
        (true, None) => (Tone::Unknown, "Nothing heard yet"),
        (true, Some(_)) => (Tone::Good, "Up"),
    };
    let last = last.map(|last| (wording::upstream(last.outcome), Moment::of(last.at, now)));
    Part { what: "App", which: Some(format!("{app} at {upstream}")), tone, state: state.to_owned(), last }
}

fn assertion(vitals: &Vitals, now: Timestamp) -> Option<Part> {
    let (tone, state) = match vitals.assertion_key.as_ref()? {
        Ok(age) => (Tone::Good, format!("Signs since {}", Moment::of(now.minus(*age), now).day)),
        Err(why) => (Tone::Bad, why.to_string()),
    };
    Some(Part { what: "Key of the assertion", which: None, tone, state, last: None })
}

fn certificate(state: CertificateState, now: Timestamp) -> Part {
    let CertificateState { name, expires } = state;
    let until = Moment::of(expires, now);
    let (tone, state) = match () {
        () if expires <= now => (Tone::Bad, format!("Expired {}: browsers refuse it", until.day)),
        () if expires <= now.plus(SOON) => (Tone::Care, format!("Expires {}, {}: renew it", until.away, until.day)),
        () => (Tone::Good, format!("Expires {}, {}", until.away, until.day)),
    };
    Part { what: "Certificate", which: Some(name), tone, state, last: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::readiness::tests::well,
        apple::{KeysStatus, Unavailable},
        assertion::AssertionError,
        clock::ManualClock,
        telemetry::CallOutcome,
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn each_part_says_how_it_is() {
        let metrics = Metrics::new(ManualClock::at(NOW));
        let of = |part: Part| (part.tone, part.state);
        assert_eq!(of(keys(&well(), &metrics, NOW)), (Tone::Good, "2 keys, fetched 1 minute ago".into()));
        let error = Some(Unavailable::Timeout.into());
        let late = KeysStatus { last_error: error.clone(), ..well().keys };
        assert_eq!(of(keys(&Vitals { keys: late, ..well() }, &metrics, NOW)).0, Tone::Care);
        let none = KeysStatus { usable: false, keys: 0, age: None, last_error: error };
        assert_eq!(of(keys(&Vitals { keys: none, ..well() }, &metrics, NOW)).0, Tone::Bad);
        assert_eq!(of(apple(AppleEndpoint::Token, &metrics, NOW)).0, Tone::Unknown);
        metrics.called_apple(AppleEndpoint::Token, CallOutcome::InvalidClient, Duration::ZERO);
        assert_eq!(of(apple(AppleEndpoint::Token, &metrics, NOW)), (Tone::Bad, "Refuses our key or client".into()));
        assert_eq!(of(store(&well(), &metrics, NOW)).0, Tone::Good);
        let down = Vitals { store: Err("down".into()), assertion_key: Some(Err(AssertionError::Full)), ..well() };
        assert_eq!(of(store(&down, &metrics, NOW)), (Tone::Bad, "down".into()));
        assert_eq!(assertion(&down, NOW).map(of).map(|(tone, _)| tone), Some(Tone::Bad));
        assert!(assertion(&well(), NOW).is_none());
        let app = |is_up| UpstreamState { app: "a".into(), upstream: "http://b".into(), is_up, last: None };
        assert_eq!((of(upstream(app(true), NOW)).0, of(upstream(app(false), NOW)).0), (Tone::Unknown, Tone::Bad));
    }

    #[test]
    fn a_certificate_is_looked_at_before_it_ends() {
        for (days, tone) in [(15, Tone::Good), (14, Tone::Care), (1, Tone::Care), (0, Tone::Bad)] {
            let expires = NOW.plus(Duration::from_secs(days * 86_400));
            assert_eq!(certificate(CertificateState { name: "a".into(), expires }, NOW).tone, tone, "{days}");
        }
    }
}
