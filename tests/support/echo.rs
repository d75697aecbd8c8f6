//! An app that knows only what it is told: it answers with what it got.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;

/// What the app has seen of one request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: usize,
    /// The body itself.
    pub bytes: Bytes,
}

impl Seen {
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = name.to_owned();
        self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(&name)).map(|(_, value)| value.as_str())
    }

    pub fn header<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.all(name);
        let first = values.next();
        assert_eq!(values.next(), None, "{name} stands twice");
        first
    }
}

/// The app while it runs.
pub struct Echo {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Echo {
    pub async fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// At an address that nobody listens on.
    pub async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen }
    }

    /// Everything seen so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The last request.
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("the app has seen nothing")
    }

    /// The request for a target that nothing else was asked for.
    pub fn seen_at(&self, target: &str) -> Option<Seen> {
        self.seen.lock().unwrap().iter().rev().find(|seen| seen.target == target).cloned()
    }

    /// The access token that came with the last request.
    pub fn access_token(&self) -> String {
        self.last().header("x-forwarded-access-token").unwrap().to_owned()
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }
}

async fn answer(State(seen): State<Arc<Mutex<Vec<Seen>>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let record = |bytes: Bytes| {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let (method, target) = (parts.method.to_string(), parts.uri.to_string());
        seen.lock().unwrap().push(Seen { method, target, headers, body: bytes.len(), bytes });
    };
    match parts.uri.path().rsplit('/').next().unwrap_or_default() {
        "hang" => {
            record(Bytes::new());
            std::future::pending::<()>().await;
            StatusCode::OK.into_response()
        }
        "events" => {
            record(Bytes::new());
            let events = futures_util::stream::unfold(0, |count| async move {
                if count > 0 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                (count < 3).then(|| (Ok::<_, Infallible>(Bytes::from(format!("data: {count}\n\n"))), count + 1))
            });
            ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response()
        }
        "cookies" => {
            record(Bytes::new());
            let mut response = "cookies".into_response();
            for cookie in
                ["PHPSESSID=1; Path=/", "__Host-schoolgate=planted; Path=/; Secure", "schoolgate=planted", "lang=de"]
            {
                response.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static(cookie));
            }
            response
        }
        // Answers with the headers that the query names.
        "say" => {
            record(Bytes::new());
            let mut response = "said".into_response();
            for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
                let (name, value) =
                    (name.parse::<header::HeaderName>().unwrap(), HeaderValue::from_str(&value).unwrap());
                response.headers_mut().append(name, value);
            }
            response
        }
        "cacheable" => {
            record(Bytes::new());
            ([(header::CACHE_CONTROL, "public, max-age=600")], "cacheable").into_response()
        }
        _ => {
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
            let length = bytes.len();
            record(bytes);
            format!("seen {length}").into_response()
        }
    }
}
