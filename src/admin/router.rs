//! From a request to the endpoint at its path.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header, request::Parts as Head};
use http_body_util::Full;
use hyper::body::Body;
use tokio::sync::watch;
use tracing::Instrument;

use super::{
    Report,
    guard::{self, Via},
    health::Health,
    metrics,
    query::{End, Page},
    reply::{Refusal, Reply},
    sessions::SessionsEndpoint,
};
use crate::{
    apple::Apple,
    assertion::Assertions,
    entropy::{self, SharedEntropy},
    session::{RevocationQueue, Revoke, Sessions},
    telemetry::Metrics,
    tls::Certificates,
};

/// What a reload of the configuration may change.
#[derive(Clone, Debug)]
pub struct Present {
    /// Whose keys are needed.
    pub apple: Arc<Apple>,
    /// How long before its end an access token is refreshed.
    pub refresh_before: Duration,
    /// Whether tokens are revoked when sessions end.
    pub revoke: Revoke,
    /// The assertions, when apps get any.
    pub assertions: Option<Arc<Assertions>>,
}

/// What the admin listener needs of the gateway.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What is in force now.
    pub present: Arc<ArcSwap<Present>>,
    /// The sessions.
    pub sessions: Arc<Sessions>,
    /// The revocations that wait.
    pub queue: RevocationQueue,
    /// What is counted and measured.
    pub metrics: Arc<Metrics>,
    /// For request numbers.
    pub entropy: SharedEntropy,
    /// The certificates of the public listeners; `None` where somebody else ends TLS.
    pub certificates: Option<Arc<Certificates>>,
    /// Whether the gateway stops.
    pub draining: watch::Receiver<bool>,
}

/// Answers requests.
#[derive(Debug)]
pub(super) struct Router {
    health: Health,
    metrics: Arc<Metrics>,
    sessions: SessionsEndpoint,
    entropy: SharedEntropy,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Livez,
    Readyz,
    Metrics,
    Sessions,
}

impl Endpoint {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/livez" => Self::Livez,
            "/readyz" => Self::Readyz,
            "/metrics" => Self::Metrics,
            "/sessions" => Self::Sessions,
            _ => return None,
        })
    }

    /// The methods that it takes, as `Allow` lists them.
    fn allows(self) -> &'static str {
        match self {
            Self::Livez | Self::Readyz | Self::Metrics => "GET, HEAD",
            Self::Sessions => "GET, HEAD, DELETE",
        }
    }
}

impl Router {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { present, sessions, queue, metrics, entropy, certificates, draining } = parts;
        let health = Health::new(Arc::clone(&present), Arc::clone(&sessions), queue, certificates, draining);
        let sessions = SessionsEndpoint::new(sessions, present, Arc::clone(&metrics));
        Self { health, metrics, sessions, entropy }
    }

    /// The answer to a request.
    pub(super) async fn answer(&self, request: Request<impl Body>, via: Via) -> Response<Full<Bytes>> {
        let request_id = entropy::hex::<16>(&*self.entropy);
        let (head, body) = request.into_parts();
        let span = tracing::error_span!("admin_request", request_id);
        let reply = self.reply(&head, body.is_end_stream(), via, &request_id).instrument(span);
        let reply = reply.await.unwrap_or_else(|refusal| {
            let (status, reason) = (refusal.status.as_u16(), &refusal.detail);
            if refusal.status.is_server_error() {
                tracing::warn!(event = "admin_request_failed", status, reason, %request_id);
            } else {
                tracing::info!(event = "admin_request_refused", status, reason, %request_id);
            }
            refusal.into_reply(&request_id)
        });
        reply.into_response(&request_id)
    }

    async fn reply(&self, head: &Head, is_bodiless: bool, via: Via, request_id: &str) -> Result<Reply, Refusal> {
        let endpoint = Endpoint::at(head.uri.path()).ok_or_else(Refusal::not_found)?;
        guard::check(head, via)?;
        if !endpoint.allows().split(", ").any(|allowed| allowed == head.method.as_str()) {
            return Err(Refusal::method(endpoint.allows()));
        }
        if !is_bodiless {
            return Err(Refusal::body());
        }
        match endpoint {
            Endpoint::Livez => Ok(Reply::new(StatusCode::OK, "text/plain; charset=utf-8", "alive\n")),
            Endpoint::Readyz => {
                let report = Report::of(&self.health.ask().await);
                let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                Reply::json(status, &report)
            }
            Endpoint::Metrics => {
                let accept = head.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
                let format = metrics::Format::wanted(accept);
                let text = metrics::text(&self.metrics, &self.health.ask().await, format);
                let text = text.map_err(|_| Refusal::mistake("The metrics do not become text."))?;
                Ok(Reply::new(StatusCode::OK, format.content_type(), text))
            }
            Endpoint::Sessions if head.method == Method::DELETE => {
                let end = End::read(head.uri.query())?;
                Reply::json(StatusCode::OK, &self.sessions.end(end, request_id).await?)
            }
            Endpoint::Sessions => {
                let page = Page::read(head.uri.query())?;
                Reply::json(StatusCode::OK, &self.sessions.page(&page).await?)
            }
        }
    }
}
