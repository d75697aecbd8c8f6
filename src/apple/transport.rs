//! The one place that opens a connection to Apple, and the only one that names the HTTP client.
//!
//! Calls go straight to the configured address: redirects are not followed, so that credentials go to
//! nobody else, and the proxy variables of the environment (`HTTPS_PROXY` and its kin) are not read, so that
//! what a unit file happens to inherit cannot put somebody in between. TLS is rustls with aws-lc-rs and
//! the certificate authorities of the system.

use std::{error::Error, iter, time::Duration};

use reqwest::{
    Client, RequestBuilder, Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap},
    redirect::Policy,
};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use crate::clock::Timestamp;

use super::{
    Endpoints, Unavailable,
    answer::{Answer, retry_after},
};

/// Apple has blocked common user agents before; this one is ours alone.
const USER_AGENT: &str = concat!("schoolgate/", env!("CARGO_PKG_VERSION"));
/// An idle connection is dropped after this, before Apple drops it under a request.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// Sends requests and reads bounded answers.
#[derive(Clone, Debug)]
pub(super) struct Transport(Client);

/// The client could not be built: the cause, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotBuilt(pub(super) String);

impl Transport {
    /// A client for these endpoints. Nothing is sent yet.
    pub(super) fn new(endpoints: &Endpoints, timeout: Duration) -> Result<Self, NotBuilt> {
        let encrypted = endpoints.called().iter().filter(|url| url.scheme() == "https").count();
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .timeout(timeout)
            .pool_idle_timeout(POOL_IDLE)
            .https_only(encrypted == endpoints.called().len());
        if encrypted == 0 {
            // Loopback only, as in the demo: that must work on a machine without certificate authorities.
            builder = builder.tls_certs_only(iter::empty());
        }
        builder.build().map(Self).map_err(|error| NotBuilt(cause(&error)))
    }

    /// Fetches a document of at most `limit` bytes.
    pub(super) async fn fetch(&self, url: &Url, limit: usize) -> Result<Answer, Unavailable> {
        exchange(self.0.get(url.clone()), limit).await
    }

    /// Opens a page as a browser would, and reads its status and the first `limit` bytes.
    pub(super) async fn page(&self, url: &Url, limit: usize) -> Result<(u16, Vec<u8>), Unavailable> {
        let response = self.0.get(url.clone()).header(ACCEPT, "text/html").send().await.map_err(unavailable)?;
        Ok((response.status().as_u16(), beginning(response, limit).await?))
    }

    /// Sends a form (`application/x-www-form-urlencoded`) and reads at most `limit` bytes.
    pub(super) async fn post(&self, url: &Url, fields: &[(&str, &str)], limit: usize) -> Result<Answer, Unavailable> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.0.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        exchange(request, limit).await
    }
}

async fn exchange(request: RequestBuilder, limit: usize) -> Result<Answer, Unavailable> {
    let response = request.header(ACCEPT, "application/json").send().await.map_err(unavailable)?;
    let status = response.status().as_u16();
    let retry_after = retry_after(["retry-after", "x-retry-after"].map(|name| text(response.headers(), name)));
    let date = text(response.headers(), "date").and_then(Timestamp::parse_http_date);
    Ok(Answer { status, retry_after, date, body: read(response, limit).await? })
}

/// The beginning of a body, of `limit` bytes at most.
async fn beginning(mut response: Response, limit: usize) -> Result<Vec<u8>, Unavailable> {
    let mut body = Vec::new();
    while body.len() < limit {
        let Some(chunk) = response.chunk().await.map_err(unavailable)? else { break };
        body.extend_from_slice(&chunk[..chunk.len().min(limit - body.len())]);
    }
    Ok(body)
}

/// Reads no more than `limit` bytes, whatever `Content-Length` says.
async fn read(mut response: Response, limit: usize) -> Result<Zeroizing<Vec<u8>>, Unavailable> {
    // In one piece: what a text leaves behind when it grows is not wiped.
    let told = response.content_length().and_then(|told| usize::try_from(told).ok()).unwrap_or_default();
    let mut body = Zeroizing::new(Vec::with_capacity(told.min(limit)));
    while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
        if chunk.len() > limit - body.len() {
            return Err(Unavailable::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn unavailable(error: reqwest::Error) -> Unavailable {
    if error.is_timeout() {
        Unavailable::Timeout
    } else if error.is_connect() {
        Unavailable::Connect(cause(&error))
    } else {
        Unavailable::Broken(cause(&error))
    }
}

/// The innermost reason, which is the one that helps: "Connection refused", "certificate has expired". It
/// comes from the system and from rustls, and names no secret; bodies are not part of it.
fn cause(error: &reqwest::Error) -> String {
    let innermost = iter::successors(error.source(), |outer| (*outer).source()).last();
    let text = innermost.map_or_else(|| "no cause given".to_owned(), ToString::to_string);
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apple::testing::{Script, Server};

    fn transport(server: &Server) -> Transport {
        Transport::new(&server.endpoints(), Duration::from_secs(5)).unwrap()
    }

    async fn fetch(script: Script, limit: usize) -> Result<Answer, Unavailable> {
        let server = Server::start([script]).await;
        transport(&server).fetch(&server.url("/x"), limit).await
    }

    #[tokio::test]
    async fn a_form_goes_out_as_apple_wants_it() {
        let server = Server::start([Script::json(200, "{}")]).await;
        let fields = [("client_id", "a b"), ("code", "c+/=&x"), ("redirect_uri", "https://x/é")];
        let answer = transport(&server).post(&server.url("/auth/token"), &fields, 64).await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{}"[..]));
        let request = server.requests().remove(0);
        assert_eq!(request.line, "POST /auth/token HTTP/1.1");
        assert_eq!(request.body, "client_id=a+b&code=c%2B%2F%3D%26x&redirect_uri=https%3A%2F%2Fx%2F%C3%A9");
        assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(request.header("user-agent"), Some(concat!("schoolgate/", env!("CARGO_PKG_VERSION"))));
        assert_eq!(request.header("accept"), Some("application/json"));
        for absent in ["authorization", "accept-encoding", "referer", "cookie"] {
            assert_eq!(request.header(absent), None, "{absent}");
        }
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        for status in [301, 302, 303, 307, 308] {
            let server = Server::start([Script::raw(&format!(
                "HTTP/1.1 {status} Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
            ))])
            .await;
            let answer = transport(&server).post(&server.url("/auth/token"), &[("code", "c")], 64).await.unwrap();
            assert_eq!(answer.status, status);
            assert_eq!(server.requests().len(), 1);
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit_and_not_beyond() {
        assert_eq!(fetch(Script::json(200, &"x".repeat(64)), 64).await.unwrap().body.len(), 64);
        assert_eq!(fetch(Script::json(200, &"x".repeat(65)), 64).await.err(), Some(Unavailable::TooLarge));
        let chunked = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
            "a\r\nxxxxxxxxxx\r\n".repeat(9)
        );
        assert_eq!(fetch(Script::raw(&chunked), 64).await.err(), Some(Unavailable::TooLarge));
    }

    #[tokio::test]
    async fn a_compressed_body_is_not_unpacked() {
        let script = Script::raw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}");
        assert_eq!(fetch(script, 64).await.unwrap().body.as_slice(), b"{}");
    }

    #[tokio::test]
    async fn both_headers_that_ask_to_wait_are_read() {
        for name in ["Retry-After", "X-Retry-After", "x-retry-after"] {
            let script = Script::raw(&format!("HTTP/1.1 429 Slow\r\n{name}: 9\r\nContent-Length: 0\r\n\r\n"));
            assert_eq!(fetch(script, 64).await.unwrap().retry_after, Some(Duration::from_secs(9)));
        }
    }

    #[tokio::test]
    async fn a_broken_answer_is_told_from_no_connection() {
        for text in ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"] {
            let result = fetch(Script::raw(text), 64).await;
            assert!(matches!(result, Err(Unavailable::Broken(_))), "{text:?} {:?}", result.err());
        }
        let server = Server::start([]).await;
        let (transport, url) = (transport(&server), server.url("/"));
        server.stop().await;
        assert!(matches!(transport.fetch(&url, 64).await, Err(Unavailable::Connect(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_too_long_is_given_up() {
        assert_eq!(fetch(Script::silence(), 64).await.err(), Some(Unavailable::Timeout));
        let slow_body = Script::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsh").then_silence();
        assert_eq!(fetch(slow_body, 64).await.err(), Some(Unavailable::Timeout));
    }

    /// In a process of its own: the environment of this one belongs to all tests.
    #[tokio::test]
    async fn the_proxy_variables_of_the_environment_are_not_read() {
        let nobody = "http://127.0.0.1:1";
        let output = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "apple::transport::tests::a_form_goes_out_as_apple_wants_it"])
            .envs(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].map(|name| (name, nobody)))
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }

    #[tokio::test]
    async fn plain_http_is_refused_where_everything_is_configured_as_https() {
        let server = Server::start([Script::json(200, "{}")]).await;
        let endpoints = crate::apple::testing::settings().endpoints;
        let transport = Transport::new(&endpoints, Duration::from_secs(5)).unwrap();
        assert!(transport.fetch(&server.url("/"), 64).await.is_err());
        assert!(server.requests().is_empty());
    }
}
