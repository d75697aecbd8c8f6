//! Logs and traces that say what happened and never a secret.
//!
//! Only the gateway's own events are written, at any level: what a dependency says of a request
//! (some show whole heads) could hold a cookie, a code or a token. Which events there are, [`EVENTS`] says; what they
//! mean, `docs/logs.md`.

mod draft;
mod events;
mod fields;
mod journal;
mod limiter;
mod lines;
mod log;
mod metrics;
mod otlp;
mod queue;
mod request;
mod trace_context;
mod traces;

pub use events::{EVENTS, Event, Pace};
pub use log::{Log, LogFormat, Settings, StartError};
pub use metrics::{
    AppleEndpoint, CallOutcome, CertificateState, Counts, Decision, Ending, Last, LastHour, LastOne, Metrics,
    NotificationOutcome, OpenConnection, OwnPath, Refresh, Reload, RevocationOutcome, Routes, SignInOutcome, Source,
    StoreCall, StoreOutcome, Timings, Unreadable, UpstreamMeter, UpstreamNews, UpstreamOutcome, UpstreamState, Word,
};
pub use request::{Described, Description, in_request, in_request_now, still_in_request};
pub use trace_context::{Sampling, TraceContext};
pub use tracing::Level;

/// What the targets of our own events begin with.
const OURS: &str = "schoolgate";

fn is_ours(target: &str) -> bool {
    target.strip_prefix(OURS).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_events_are_written() {
        for target in ["schoolgate", "schoolgate::access", "schoolgate::signin::finish"] {
            assert!(is_ours(target), "{target}");
        }
        for target in ["a_dependency", "schoolgates::x", "a::schoolgate", "schoolgates", "log", ""] {
            assert!(!is_ours(target), "{target}");
        }
    }
}
