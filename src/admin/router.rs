//! From a request to the endpoint at its path.

use std::{error::Error, pin::pin, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts as Head};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use tokio::{sync::watch, time::timeout};

use super::{
    Report,
    guard::{self, Via},
    health::Health,
    metrics, page,
    query::{End, Page},
    reply::{Refusal, Reply},
    sessions::SessionsEndpoint,
};
use crate::{
    apple::Apple,
    assertion::Assertions,
    clock::{SharedClock, Timestamp},
    entropy::{self, SharedEntropy},
    session::{RevocationQueue, Revoke, Sessions},
    telemetry::{Metrics, in_request},
    tls::Certificates,
};

/// Largest form: a permit, whose sessions, and what was looked for.
const LARGEST_FORM: usize = 8 * 1024;

/// For a whole form.
const FORM: Duration = Duration::from_secs(10);

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
    /// Since when this configuration serves.
    pub since: Timestamp,
    /// Keys of the configuration whose change waits for a restart.
    pub needs_restart: Vec<&'static str>,
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
    /// For ages.
    pub clock: SharedClock,
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
    page: page::Page,
    entropy: SharedEntropy,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Livez,
    Readyz,
    Metrics,
    Sessions,
    /// The page for people, and its two forms.
    Page,
    Confirm,
    End,
}

impl Endpoint {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/livez" => Self::Livez,
            "/readyz" => Self::Readyz,
            "/metrics" => Self::Metrics,
            "/sessions" => Self::Sessions,
            "/" => Self::Page,
            "/confirm" => Self::Confirm,
            "/end" => Self::End,
            _ => return None,
        })
    }

    /// The methods that it takes, as `Allow` lists them.
    fn allows(self) -> &'static str {
        match self {
            Self::Livez | Self::Readyz | Self::Metrics | Self::Page => "GET, HEAD",
            Self::Sessions => "GET, HEAD, DELETE",
            Self::Confirm | Self::End => "POST",
        }
    }

    /// Whether people read the answer in a browser.
    fn is_for_people(self) -> bool {
        match self {
            Self::Page | Self::Confirm | Self::End => true,
            Self::Livez | Self::Readyz | Self::Metrics | Self::Sessions => false,
        }
    }
}

impl Router {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { present, sessions, queue, metrics, clock, entropy, certificates, draining } = parts;
        let health = Health::new(Arc::clone(&present), Arc::clone(&sessions), queue, certificates, draining);
        let endpoint = SessionsEndpoint::new(Arc::clone(&sessions), Arc::clone(&present), Arc::clone(&metrics));
        let known = (health.clone(), endpoint.clone());
        let page = page::Page::new(known, present, sessions, Arc::clone(&metrics), (clock, &*entropy));
        Self { health, metrics, sessions: endpoint, page, entropy }
    }

    /// The answer to a request.
    pub(super) async fn answer(
        &self,
        request: Request<impl Body<Error: Into<Box<dyn Error + Send + Sync>>> + Send>,
        via: Via,
    ) -> Response<Full<Bytes>> {
        let request_id = entropy::public_hex::<16>(&*self.entropy);
        let (head, body) = request.into_parts();
        let endpoint = Endpoint::at(head.uri.path());
        let reply = in_request(Arc::new(request_id.clone()), self.reply(endpoint, &head, body, via));
        let reply = reply.await.unwrap_or_else(|refusal| {
            let (status, reason) = (refusal.status.as_u16(), &refusal.detail);
            if refusal.status.is_server_error() {
                tracing::warn!(event = "admin_request_failed", status, reason, %request_id);
            } else {
                tracing::info!(event = "admin_request_refused", status, reason, %request_id);
            }
            match endpoint {
                Some(endpoint) if endpoint.is_for_people() => page::refused(refusal, &request_id),
                Some(_) | None => refusal.into_reply(&request_id),
            }
        });
        reply.into_response(&request_id)
    }

    async fn reply(
        &self,
        endpoint: Option<Endpoint>,
        head: &Head,
        body: impl Body<Error: Into<Box<dyn Error + Send + Sync>>> + Send,
        via: Via,
    ) -> Result<Reply, Refusal> {
        let endpoint = endpoint.ok_or_else(Refusal::not_found)?;
        guard::check(head, via)?;
        if !endpoint.allows().split(", ").any(|allowed| allowed == head.method.as_str()) {
            return Err(Refusal::method(endpoint.allows()));
        }
        let sent = match endpoint.allows() {
            "POST" => form(head, body).await?,
            _ if body.is_end_stream() => Bytes::new(),
            _ => return Err(Refusal::body()),
        };
        match endpoint {
            Endpoint::Confirm => self.page.confirm(&sent).await,
            Endpoint::End => self.page.end(&sent).await,
            Endpoint::Page => self.page.show(head.uri.query()).await,
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
                Reply::json(StatusCode::OK, &self.sessions.end(end).await?)
            }
            Endpoint::Sessions => {
                let page = Page::read(head.uri.query())?;
                Reply::json(StatusCode::OK, &self.sessions.page(&page).await?)
            }
        }
    }
}

/// The body of a form, which is short and comes soon.
async fn form(
    head: &Head,
    body: impl Body<Error: Into<Box<dyn Error + Send + Sync>>> + Send,
) -> Result<Bytes, Refusal> {
    let kind = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if kind != Some(b"application/x-www-form-urlencoded") {
        return Err(Refusal::bad("This is not a form of the page."));
    }
    let whole = pin!(Limited::new(body, LARGEST_FORM).collect());
    match timeout(FORM, whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(_)) | Err(_) => Err(Refusal::bad("The form is too large, or did not come in time.")),
    }
}
