//! The sample app: a grade book of 2009 that believes the headers it gets, and knows nothing of signing in.

mod pages;
mod roster;
mod visitor;

use std::{
    collections::VecDeque,
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Form, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use url::Url;

use self::{roster::Roster, visitor::Visitor};
use super::listener::Server;

/// Where the gateway ends a session: all that this app was ever taught about it.
const SIGN_OUT: &str = "/.schoolgate/sign-out";

/// Most remarks that are kept; the oldest goes first.
const MOST_REMARKS: usize = 50;

/// Longest remark in characters.
const LONGEST_REMARK: usize = 500;

/// Somebody wrote something.
#[derive(Clone)]
struct Remark {
    author: String,
    text: String,
}

struct Book {
    roster: Roster,
    remarks: Mutex<VecDeque<Remark>>,
}

impl Book {
    fn remarks(&self) -> Vec<Remark> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    fn add(&self, remark: Remark) {
        let mut remarks = self.remarks.lock().unwrap_or_else(PoisonError::into_inner);
        remarks.push_back(remark);
        if remarks.len() > MOST_REMARKS {
            remarks.pop_front();
        }
    }
}

/// A running grade book. It ends when this is dropped.
///
/// | path | what |
/// |---|---|
/// | `/` | public: the dates of the term |
/// | `/grades` | who it thinks you are, grades and remarks |
/// | `POST /grades/remarks` | adds a remark; a GET leads to `/grades` |
/// | `/admin/classes` | asks the Roster API with the access token that it was handed |
/// | `/admin` | leads there |
/// | `/logout` | leads to the gateway's sign-out |
pub struct GradeBook {
    server: Server,
}

impl GradeBook {
    /// Opens the port and answers from then on. `roster_base` stands for `https://api-school.apple.com`.
    ///
    /// # Errors
    /// When the port cannot be opened or the HTTP client cannot be made.
    pub async fn start(listen: SocketAddr, roster_base: Url) -> io::Result<Self> {
        let book = Arc::new(Book { roster: Roster::at(roster_base)?, remarks: Mutex::default() });
        let (server, listener) = Server::open(listen).await?;
        let router = Router::new()
            .route("/", get(welcome))
            .route("/grades", get(grades))
            // Whoever had to sign in before the remark could be saved comes back with a GET.
            .route("/grades/remarks", post(remark).get(|| async { Redirect::to("/grades") }))
            .route("/admin/classes", get(classes))
            .route("/admin", get(|| async { Redirect::to("/admin/classes") }))
            .route("/logout", get(|| async { Redirect::to(SIGN_OUT) }))
            .fallback(nothing)
            .with_state(book);
        server.run(listener, router);
        Ok(Self { server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

impl fmt::Debug for GradeBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GradeBook").field("address", &self.server.address()).finish_non_exhaustive()
    }
}

async fn welcome(headers: HeaderMap) -> Response {
    page(pages::welcome(&Visitor::of(&headers)))
}

async fn grades(State(book): State<Arc<Book>>, headers: HeaderMap) -> Response {
    page(pages::grades(&Visitor::of(&headers), &book.remarks()))
}

#[derive(Deserialize)]
struct NewRemark {
    remark: String,
}

async fn remark(State(book): State<Arc<Book>>, headers: HeaderMap, Form(form): Form<NewRemark>) -> Response {
    let text: String = form.remark.trim().chars().take(LONGEST_REMARK).collect();
    if !text.is_empty() {
        book.add(Remark { author: Visitor::of(&headers).name().to_owned(), text });
    }
    Redirect::to("/grades").into_response()
}

async fn classes(State(book): State<Arc<Book>>, headers: HeaderMap) -> Response {
    let visitor = Visitor::of(&headers);
    let classes = book.roster.classes(visitor.access_token()).await;
    page(pages::classes(&visitor, &classes))
}

async fn nothing(headers: HeaderMap) -> Response {
    (StatusCode::NOT_FOUND, page(pages::nothing(&Visitor::of(&headers)))).into_response()
}

fn page(html: askama::Result<String>) -> Response {
    match html {
        // Of caches it says nothing, like most apps of its age.
        Ok(html) => Html(html).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests;
