//! Logs that say what happened and never a secret.
//!
//! Only the gateway's own events are written, at any level: what a dependency says of a request
//! (some show whole heads) could hold a cookie, a code or a token.

mod metrics;

pub use metrics::{
    AppleEndpoint, CallOutcome, CertificateState, Counts, Decision, Ending, Last, LastHour, LastOne, Metrics,
    NotificationOutcome, OpenConnection, OwnPath, Refresh, Reload, RevocationOutcome, Routes, SignInOutcome, Source,
    StoreCall, StoreOutcome, Timings, Unreadable, UpstreamMeter, UpstreamNews, UpstreamOutcome, UpstreamState, Word,
};
pub use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the targets of our own events begin with.
const OURS: &str = "schoolgate";

/// Starts writing the log to stderr, with the levels of `RUST_LOG`, else from `level` on.
///
/// # Errors
/// When a log was started before.
pub fn init(format: LogFormat, level: Level) -> Result<(), TryInitError> {
    let levels = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let ours = levels.and(filter_fn(|metadata| is_ours(metadata.target())));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(ours)).try_init()
}

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
