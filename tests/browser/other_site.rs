//! A page of another site: 127.0.0.1 is not localhost.

use axum::{Router, response::Html, routing::get};

/// Another site, until the test ends.
pub(super) struct OtherSite {
    /// Its only page.
    pub(super) url: String,
}

impl OtherSite {
    /// Serves `html`.
    pub(super) async fn start(html: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().route("/", get(|| async { Html(html) }));
        // It ends with the runtime of the test.
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url }
    }
}
