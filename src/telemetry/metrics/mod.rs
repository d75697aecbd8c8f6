//! What is counted and measured, for Prometheus and for the page of operators.
//!
//! There is one [`Metrics`] in a process. It outlives every reload of the configuration: what a reload replaces gets
//! its counters from here, and finds those that it had. `docs/metrics.md` describes each of them; a test compares.

mod counter;
mod counts;
mod histogram;
mod names;
mod recent;
mod routes;
mod source;
mod unreadable;
mod upstream;
mod word;
mod words;

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{encoding::text::encode_registry, metrics::gauge::Gauge, registry::Registry};

use self::{
    counter::Counter,
    counts::{Counters, Histograms},
    histogram::Bounds,
    names::Names,
    word::LabelSet,
};
pub use self::{
    counts::{Counts, Timings},
    recent::{Last, LastHour, LastOne},
    routes::Routes,
    source::{CertificateState, Source, UpstreamState},
    unreadable::Unreadable,
    upstream::UpstreamMeter,
    word::Word,
    words::{
        AppleEndpoint, CallOutcome, Decision, Ending, NotificationOutcome, OwnPath, Refresh, Reload, RevocationOutcome,
        SignInOutcome, StoreCall, StoreOutcome, UpstreamNews, UpstreamOutcome,
    },
};
use crate::clock::SharedClock;

/// Everything that is counted and measured.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    process: Registry,
    clock: SharedClock,
    requests: Counters,
    upstream_requests: Counters,
    first_byte: Histograms,
    sign_ins: Counts<SignInOutcome>,
    apple_calls: Vec<Counts<CallOutcome>>,
    apple_seconds: Timings<AppleEndpoint>,
    apple_last: [LastOne<CallOutcome>; AppleEndpoint::ALL.len()],
    store_calls: Vec<Counts<StoreOutcome>>,
    store_seconds: Timings<StoreCall>,
    store_last: LastOne<StoreOutcome>,
    decision_seconds: Timings<Decision>,
    connections: Gauge,
    refusals: LastHour<Decision>,
    recent_sign_ins: LastHour<SignInOutcome>,
    /// Requests for the gateway's own paths, and how long their answers took.
    pub own_paths: Timings<OwnPath>,
    /// Messages that nobody judged.
    pub unreadable: Counts<Unreadable>,
    /// Sign-ins that were held back by `sign_in_rate_per_ip`.
    pub rate_limited: Counter,
    /// Requests that found no healthy upstream.
    pub no_upstream: Counter,
    /// Refreshes of access tokens.
    pub refreshes: Counts<Refresh>,
    /// Sessions that ended before their time.
    pub endings: Counts<Ending>,
    /// Tries to revoke tokens.
    pub revocations: Counts<RevocationOutcome>,
    /// Notifications of Apple's.
    pub notifications: Counts<NotificationOutcome>,
    /// Reloads of the configuration.
    pub reloads: Counts<Reload>,
    /// Who knows how it is with the upstreams.
    pub upstreams: Source<UpstreamState>,
    /// Who knows the certificates of the public listeners.
    pub certificates: Source<CertificateState>,
}

/// An open connection, for as long as it lives.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Nothing has happened yet. `clock` says when the process began, and what the last hour is.
    #[must_use]
    pub fn new(clock: SharedClock) -> Arc<Self> {
        let mut names = Names::since(clock.now());
        let calls = names.add("apple_calls", "Calls to Apple", Counters::default());
        let apple_calls = by(&calls, AppleEndpoint::labels);
        let calls = names.add("store_calls", "Calls of the session store", Counters::default());
        let store_calls = by(&calls, StoreCall::labels);
        let help = "Sign-ins that came back from Apple, or from the host of the redirect URI";
        let sign_ins = names.add("sign_ins", help, Counters::default());
        let decisions = "Time from the head of a request for an app to the decision about it";
        let own_paths = "Time from the head of a request for one of the gateway's own paths to the answer";
        let first_byte = "Time from sending a request to an upstream to the head of its answer";
        let no_upstream = "Requests that found no healthy upstream";
        let rate_limited = "Sign-ins held back by sign_in_rate_per_ip";
        Arc::new(Self {
            requests: names.add("requests", "Requests for apps", Counters::default()),
            decision_seconds: Timings::of(names.seconds("decision_duration", decisions, Bounds::INSIDE)),
            own_paths: Timings::of(names.seconds("own_request_duration", own_paths, Bounds::INSIDE)),
            upstream_requests: names.add("upstream_requests", "Requests for upstreams", Counters::default()),
            first_byte: names.seconds("upstream_first_byte", first_byte, Bounds::OUTSIDE),
            no_upstream: names.add("no_healthy_upstream", no_upstream, Counter::default()),
            unreadable: names.counts("refused_messages", "Messages refused before anybody judged them"),
            connections: names.add("open_connections", "Open connections on the public listeners", Gauge::default()),
            sign_ins: Counts::of(&sign_ins, SignInOutcome::with_outcome),
            rate_limited: names.add("sign_ins_rate_limited", rate_limited, Counter::default()),
            refreshes: names.counts("refreshes", "Refreshes of access tokens"),
            endings: names.counts("sessions_ended", "Sessions that ended before their time"),
            revocations: names.counts("revocations", "Tries to revoke a token at Apple"),
            notifications: names.counts("notifications", "What was posted as a notification of Apple's"),
            reloads: names.counts("config_reloads", "Reloads of the configuration"),
            apple_calls,
            apple_seconds: Timings::all_of(names.seconds(
                "apple_call_duration",
                "Duration of calls to Apple",
                Bounds::OUTSIDE,
            )),
            apple_last: Default::default(),
            store_calls,
            store_seconds: Timings::all_of(names.seconds(
                "store_call_duration",
                "Duration of calls of the session store",
                Bounds::INSIDE,
            )),
            store_last: LastOne::default(),
            refusals: LastHour::default(),
            recent_sign_ins: LastHour::default(),
            upstreams: Source::default(),
            certificates: Source::default(),
            registry: names.ours,
            process: names.process,
            clock,
        })
    }

    /// A request for an app was judged, so long after its head was there. `routes` counts it under its route.
    pub fn judged(&self, decision: Decision, after: Duration) {
        self.decision_seconds.took(decision, after);
        if decision.is_refusal() {
            self.refusals.count(decision, self.clock.now());
        }
    }

    /// A sign-in has come to its end.
    pub fn signed_in(&self, outcome: SignInOutcome) {
        self.sign_ins.count(outcome);
        self.recent_sign_ins.count(outcome, self.clock.now());
    }

    /// Apple was called.
    pub fn called_apple(&self, endpoint: AppleEndpoint, outcome: CallOutcome, took: Duration) {
        self.apple_seconds.took(endpoint, took);
        if let (Some(calls), Some(last)) =
            (self.apple_calls.get(endpoint.place()), self.apple_last.get(endpoint.place()))
        {
            calls.count(outcome);
            last.note(outcome, self.clock.now());
        }
    }

    /// The session store was asked.
    pub fn asked_store(&self, call: StoreCall, outcome: StoreOutcome, took: Duration) {
        self.store_seconds.took(call, took);
        if let Some(calls) = self.store_calls.get(call.place()) {
            calls.count(outcome);
        }
        self.store_last.note(outcome, self.clock.now());
    }

    /// A connection was opened. It is closed when what this gives back is dropped.
    #[must_use]
    pub fn opened(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// Who was turned away within the last hour, and why.
    #[must_use]
    pub fn recent_refusals(&self) -> Vec<(Decision, u64)> {
        self.refusals.until(self.clock.now())
    }

    /// How the sign-ins of the last hour ended.
    #[must_use]
    pub fn recent_sign_ins(&self) -> Vec<(SignInOutcome, u64)> {
        self.recent_sign_ins.until(self.clock.now())
    }

    /// How the last call of one of Apple's endpoints went.
    #[must_use]
    pub fn last_of_apple(&self, endpoint: AppleEndpoint) -> Option<Last<CallOutcome>> {
        self.apple_last.get(endpoint.place())?.get()
    }

    /// How the session store answered last; nothing for one in memory, which always answers.
    #[must_use]
    pub fn last_of_store(&self) -> Option<Last<StoreOutcome>> {
        self.store_last.get()
    }

    /// Adds everything to a text, in the format of OpenMetrics but for its last line.
    ///
    /// # Errors
    /// When the text takes no more.
    pub fn write(&self, text: &mut String) -> fmt::Result {
        encode_registry(text, &self.process)?;
        encode_registry(text, &self.registry)?;
        encode_registry(text, &names::asked(self.upstreams.ask(), self.certificates.ask()))
    }
}

/// For each word of one label a counter for each word of another.
fn by<V: Word, W: Word>(family: &Counters, labels: impl Fn(V) -> LabelSet) -> Vec<Counts<W>> {
    let row = |word: &V| Counts::of(family, |other: W| [labels(*word), other.labels()].concat());
    V::ALL.iter().map(row).collect()
}
