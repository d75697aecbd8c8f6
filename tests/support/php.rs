//! An app that keeps sessions of its own, as PHP does: a cookie, a map in the server, and no look at the
//! person again once it has seen one.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use tokio::net::TcpListener;

/// The cookie of its sessions.
pub const COOKIE: &str = "PHPSESSID";

/// The app while it runs.
pub struct Php {
    pub address: SocketAddr,
    inside: Arc<Mutex<Inside>>,
}

#[derive(Default)]
struct Inside {
    /// What follows the value in `Set-Cookie`.
    attributes: String,
    /// Who is in a session, once it has seen somebody.
    sessions: BTreeMap<String, Option<String>>,
    begun: usize,
    /// Target, `Cookie` and person of each request.
    seen: Vec<(String, String, Option<String>)>,
}

impl Php {
    /// Sets its cookie with these attributes, such as `; Path=/`.
    pub async fn start(attributes: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inside = Arc::new(Mutex::new(Inside { attributes: attributes.into(), ..Inside::default() }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inside));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, inside }
    }

    /// How many sessions it has begun.
    pub fn begun(&self) -> usize {
        self.inside.lock().unwrap().begun
    }

    /// Target, `Cookie` and person of the last request.
    pub fn last(&self) -> (String, String, Option<String>) {
        self.inside.lock().unwrap().seen.last().cloned().expect("the app has seen nothing")
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.inside.lock().unwrap().seen.len()
    }

    /// Whom it keeps sessions for.
    pub fn keeps(&self) -> Vec<Option<String>> {
        self.inside.lock().unwrap().sessions.values().cloned().collect()
    }
}

impl Inside {
    fn begin(&mut self, who: Option<String>) -> (String, HeaderValue) {
        self.begun += 1;
        let id = format!("session{}", self.begun);
        self.sessions.insert(id.clone(), who);
        let line = format!("{COOKIE}={id}{}", self.attributes);
        (id, line.parse().unwrap())
    }
}

async fn answer(State(inside): State<Arc<Mutex<Inside>>>, request: Request) -> Response {
    let field = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    if request.uri().path() == "/favicon.ico" {
        // Browsers ask for it by themselves.
        return StatusCode::NOT_FOUND.into_response();
    }
    let (sent, person) = (field("cookie").unwrap_or_default(), field("x-forwarded-user"));
    let mut inside = inside.lock().unwrap();
    inside.seen.push((request.uri().to_string(), sent.clone(), person.clone()));
    let mut headers = HeaderMap::new();
    // Of several cookies of one name, the first counts: $_COOKIE is so.
    let id = sent.split("; ").find_map(|pair| pair.strip_prefix(&format!("{COOKIE}=")));
    if request.uri().path().ends_with("/logout.php") {
        let left = id.and_then(|id| inside.sessions.remove(id)).flatten();
        // A new session for the words on the next page: the last one who was here.
        let (_, line) = inside.begin(left.clone());
        headers.append(header::SET_COOKIE, line);
        headers.append(header::SET_COOKIE, HeaderValue::from_static("lang=de; Path=/"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=600"));
        return (headers, Html(format!("<h1>Goodbye</h1><p>{}</p>", left.unwrap_or("nobody".into())))).into_response();
    }
    let id = match id.filter(|id| inside.sessions.contains_key(*id)) {
        Some(id) => id.to_owned(),
        None => {
            let (id, line) = inside.begin(None);
            headers.append(header::SET_COOKIE, line);
            id
        }
    };
    let session = inside.sessions.get_mut(&id).unwrap();
    if session.is_none() {
        session.clone_from(&person);
    }
    let who = session.clone().unwrap_or("nobody".into());
    (headers, Html(format!("<h1>Homework</h1><p>{id}, the session of {who}</p>"))).into_response()
}
