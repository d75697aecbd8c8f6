//! One request and its answer: what is known from the head, and how far it has come.

use std::{
    borrow::Cow,
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use http::Method;
use tokio::{sync::Notify, time::Instant};

use super::{
    Answer,
    farewell::Farewell,
    identity_headers::Identity,
    prepared::Header,
    wire::{BRIEF, Version},
};
use crate::{
    clock::Stopwatch,
    pages::Failure,
    policy::Admission,
    session::{Over, Sessions},
    signin::Owner,
    telemetry::{TraceContext, UpstreamMeter},
    web::{Host, Kind, Scheme, Target},
};

/// What the head says, judged once. Route, policy, log and upstream all use these values.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Who asks: who connected, or whom trusted proxies vouch for.
    pub client: IpAddr,
    /// The trusted proxies that it came through, the nearest last; none when the client connected itself.
    pub hops: Vec<IpAddr>,
    /// Whether who connected is a trusted proxy.
    pub trusted: bool,
    /// Whether the certificate that the client was shown is for the host, or nobody was shown one by us.
    pub certified: bool,
    /// The scheme that a trusted proxy saw.
    pub scheme: Option<Scheme>,
    /// The version that it came in.
    pub version: Version,
    /// The method.
    pub method: Method,
    /// The host, with the port that the browser used.
    pub host: Host,
    /// Path and query.
    pub target: Target,
    /// Who reads the answer, if anybody.
    pub kind: Kind,
    /// Whether it asks for a WebSocket.
    pub websocket: bool,
    /// Whether somebody would follow a redirect to Apple; else 401 says where to go.
    pub may_redirect: bool,
    /// The number that people tell, and the log has.
    pub request_id: String,
    /// The trace that it belongs to.
    pub trace: TraceContext,
    /// Whether the gateway itself asks, to know whether it still serves: that is neither logged nor counted. No head
    /// can say it.
    pub is_own: bool,
}

/// How long an app may take over the whole answer to its own sign-out.
const LAST_WORDS: Duration = Duration::from_secs(600);

/// From here on a request is long: its session is watched.
const LONG: Duration = Duration::from_millis(250);

/// Where the exchange stands, for the one who waits for an upstream that never answers.
const NOT_SENT: u8 = 0;
const SENT: u8 = 1;
const ANSWERED: u8 = 2;

/// A request under way, shared by the connection and the phases.
#[derive(Debug)]
pub struct Exchange {
    /// The request.
    pub facts: Facts,
    /// Time since its head was complete.
    pub stopwatch: Stopwatch,
    route: OnceLock<usize>,
    admission: OnceLock<Admission>,
    identity: OnceLock<Identity>,
    owner: OnceLock<Owner>,
    farewell: OnceLock<Farewell>,
    reason: OnceLock<Cow<'static, str>>,
    upstream: OnceLock<(Arc<UpstreamMeter>, Duration)>,
    stage: AtomicU8,
    status: AtomicU16,
    born: Instant,
    progress: AtomicU64,
    patience: AtomicU64,
    changed: Notify,
}

impl Exchange {
    /// A request whose head was read just now.
    #[must_use]
    pub fn new(facts: Facts) -> Arc<Self> {
        Arc::new(Self {
            facts,
            stopwatch: Stopwatch::start(),
            route: OnceLock::new(),
            admission: OnceLock::new(),
            identity: OnceLock::new(),
            owner: OnceLock::new(),
            farewell: OnceLock::new(),
            reason: OnceLock::new(),
            upstream: OnceLock::new(),
            stage: AtomicU8::new(NOT_SENT),
            status: AtomicU16::new(0),
            born: Instant::now(),
            progress: AtomicU64::new(0),
            patience: AtomicU64::new(0),
            changed: Notify::new(),
        })
    }

    /// When its head was complete.
    pub(super) fn born(&self) -> Instant {
        self.born
    }

    /// The request meets the route of this number.
    pub(super) fn meets(&self, route: usize) {
        let _ = self.route.set(route);
    }

    /// The number of the route that it meets.
    pub(super) fn route(&self) -> Option<usize> {
        self.route.get().copied()
    }

    /// Policy has let the request through.
    pub fn admit(&self, admission: Admission) {
        // A request is judged once: there is no second proof.
        let _ = self.admission.set(admission);
    }

    /// The proof that policy let the request through.
    #[must_use]
    pub fn admission(&self) -> Option<&Admission> {
        self.admission.get()
    }

    /// What the app is to be told of who it is.
    pub(super) fn identify(&self, identity: Identity) {
        let _ = self.identity.set(identity);
    }

    /// The headers that tell the app who it is.
    pub(super) fn identity(&self) -> impl Iterator<Item = &Header> {
        self.identity.get().into_iter().flat_map(Identity::headers)
    }

    /// Notes who uses the browser.
    pub(super) fn is_of(&self, owner: Owner) {
        let _ = self.owner.set(owner);
    }

    /// Who uses the browser, as far as it was asked.
    pub(super) fn owner(&self) -> &Owner {
        self.owner.get().unwrap_or(&Owner::Unknown)
    }

    /// The request has ended its session itself, before it goes to the app.
    pub(super) fn take_leave(&self, farewell: Farewell) {
        let _ = self.farewell.set(farewell);
    }

    /// What the answer has to say when the request has ended its session.
    pub(super) fn farewell(&self) -> Option<&Farewell> {
        self.farewell.get()
    }

    /// A failure in the place of the app's answer.
    pub(super) fn in_place_of_the_app(&self, failure: Failure, reason: impl Into<Cow<'static, str>>) -> Answer {
        let answer = Answer::failure(failure, self.facts.kind, &self.facts.request_id);
        self.parting(answer.because(reason))
    }

    /// An answer of ours in the place of the app's.
    fn parting(&self, answer: Answer) -> Answer {
        match self.farewell() {
            Some(farewell) => farewell.on(answer),
            None => answer,
        }
    }

    /// Notes why the gateway itself answers, for the line in the log.
    pub(super) fn explain(&self, answer: &Answer) {
        if let Some(reason) = answer.reason() {
            let _ = self.reason.set(reason.clone());
        }
    }

    /// Why the gateway itself answers.
    pub(super) fn reason(&self) -> Option<&str> {
        self.reason.get().map(AsRef::as_ref)
    }

    /// The request goes to an app, which has `patience` to begin its answer.
    pub fn sent(&self, patience: Duration) {
        self.patience.store(millis(patience), Ordering::Relaxed);
        self.moved();
        self.stage.store(SENT, Ordering::Release);
        self.changed.notify_one();
    }

    /// It goes there: whose meter counts what comes of it.
    pub(super) fn sent_to(&self, upstream: &Arc<UpstreamMeter>) {
        let _ = self.upstream.set((Arc::clone(upstream), self.stopwatch.elapsed()));
    }

    /// The upstream that the request was sent to, and how long ago.
    pub(super) fn upstream(&self) -> Option<(&UpstreamMeter, Duration)> {
        let (upstream, sent) = self.upstream.get()?;
        Some((upstream, self.stopwatch.elapsed().saturating_sub(*sent)))
    }

    /// Whether the app may have seen a part of the request.
    pub(super) fn is_sent(&self) -> bool {
        self.stage.load(Ordering::Acquire) != NOT_SENT
    }

    /// The client goes on sending: the app is not to blame for the time that takes.
    pub fn moved(&self) {
        self.progress.store(millis(self.born.elapsed()), Ordering::Relaxed);
    }

    /// The answer has begun, with this status: the app's, or ours in its place.
    pub fn answered(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
        self.stage.store(ANSWERED, Ordering::Release);
    }

    /// The app has begun its answer.
    pub(super) fn app_answers(&self, status: u16) {
        self.answered(status);
        if let Some((upstream, after)) = self.upstream() {
            upstream.answered(status, after);
        }
    }

    /// The status of the answer that has begun.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        let answered = self.stage.load(Ordering::Acquire) == ANSWERED;
        answered.then(|| self.status.load(Ordering::Relaxed))
    }

    /// Resolves when the session that let the request through has ended; never for a request without one, or
    /// one that has ended it itself: that is no reason to cut it off. Most requests are over long before anybody
    /// asks; this one was not brief already.
    pub async fn session_over(&self, sessions: &Sessions) -> Over {
        let session = loop {
            tokio::time::sleep(LONG - BRIEF).await;
            if let Some(admission) = self.admission() {
                break admission.session();
            }
        };
        match session {
            // The request that ended the session itself may have its answer, and no stream instead of one.
            Some(_) if self.farewell().is_some() => {
                tokio::time::sleep(LAST_WORDS).await;
                Over::Ended
            }
            Some(session) => sessions.over(session).await,
            None => std::future::pending().await,
        }
    }

    /// Resolves when the app has let its time pass without a first byte; never when it answers.
    pub async fn overdue(&self) {
        while self.stage.load(Ordering::Acquire) == NOT_SENT {
            self.changed.notified().await;
        }
        loop {
            let due = self.progress.load(Ordering::Relaxed).saturating_add(self.patience.load(Ordering::Relaxed));
            let now = millis(self.born.elapsed());
            if self.stage.load(Ordering::Acquire) == ANSWERED {
                std::future::pending::<()>().await;
            } else if now >= due {
                return;
            }
            tokio::time::sleep(Duration::from_millis(due - now)).await;
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::proxy) fn facts(target: &str) -> Facts {
        Facts {
            client: IpAddr::from([127, 0, 0, 1]),
            hops: Vec::new(),
            trusted: false,
            certified: true,
            scheme: None,
            version: Version::Http11,
            method: Method::GET,
            host: Host::parse("a.example:8443").unwrap(),
            target: Target::parse_origin_form(target).unwrap(),
            kind: Kind::Navigation,
            websocket: false,
            may_redirect: true,
            request_id: "0123456789abcdef0123456789abcdef".into(),
            trace: TraceContext::begin(
                "0123456789abcdef0123456789abcdef",
                crate::telemetry::Sampling::Off,
                &crate::entropy::SystemEntropy,
            ),
            is_own: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_that_does_not_begin_to_answer_is_overdue() {
        let exchange = Exchange::new(facts("/"));
        let waiter = tokio::spawn({
            let exchange = Arc::clone(&exchange);
            async move { exchange.overdue().await }
        });
        tokio::time::sleep(Duration::from_secs(1000)).await;
        assert!(!waiter.is_finished(), "nothing was sent yet");
        exchange.sent(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_secs(59)).await;
        exchange.moved();
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert!(!waiter.is_finished(), "the client was still sending");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(waiter.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_that_has_begun_to_answer_is_never_overdue() {
        let exchange = Exchange::new(facts("/"));
        exchange.sent(Duration::from_secs(60));
        exchange.answered(200);
        assert!(tokio::time::timeout(Duration::from_secs(86_400), exchange.overdue()).await.is_err());
    }
}
