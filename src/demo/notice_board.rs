//! The second sample app: a notice board on a host of its own, where nobody signs in a second time.

use std::{fmt, io, net::SocketAddr};

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{Html, IntoResponse, Response},
    routing::get,
};

use super::listener::Server;

/// What hangs on the board.
const NOTICES: &[(&str, &str)] = &[
    ("Chess club", "Tuesdays at three, in the library. Bring a friend, or find one there."),
    ("Lost", "One volcano, papier mâché, goes off when shaken."),
    ("School play", "We still need a tree. No lines, much applause."),
];

#[derive(Template)]
#[template(path = "demo/notice_board.html")]
struct Board<'a> {
    visitor: Option<&'a str>,
    other: &'a str,
    notices: &'a [(&'a str, &'a str)],
}

/// A running notice board. It ends when this is dropped.
///
/// | path | what |
/// |---|---|
/// | `/` | the notices, and who it thinks you are |
pub struct NoticeBoard {
    server: Server,
}

impl NoticeBoard {
    /// Opens the port and answers from then on. `other` is where browsers find the grade book.
    ///
    /// # Errors
    /// When the port cannot be opened.
    pub async fn start(listen: SocketAddr, other: &str) -> io::Result<Self> {
        let (server, listener) = Server::open(listen).await?;
        server.run(listener, Router::new().route("/", get(board)).with_state(other.to_owned()));
        Ok(Self { server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

impl fmt::Debug for NoticeBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoticeBoard").field("address", &self.server.address()).finish_non_exhaustive()
    }
}

/// Believes the headers, as old apps do.
async fn board(State(other): State<String>, headers: HeaderMap) -> Response {
    let told = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let visitor = told("x-remote-email").or_else(|| told("x-remote-user"));
    match (Board { visitor, other: &other, notices: NOTICES }).render() {
        Ok(html) => Html(html).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_believes_the_headers_and_calls_everybody_else_nobody() {
        let board = NoticeBoard::start(([127, 0, 0, 1], 0).into(), "http://localhost:8080/").await.unwrap();
        let get = async |headers: &[(&str, &str)]| {
            let mut request = reqwest::Client::new().get(format!("http://{}/", board.address()));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.send().await.unwrap().text().await.unwrap()
        };
        assert!(get(&[]).await.contains("nobody"));
        assert!(get(&[("X-Remote-User", "1.a.b")]).await.contains("1.a.b"));
        let page = get(&[("X-Remote-User", "1.a.b"), ("X-Remote-Email", "<b>@c.example")]).await;
        assert!(page.contains("&#60;b&#62;@c.example") && page.contains("http://localhost:8080/"), "{page}");
    }
}
