//! Traces: whose goes on, and what a collector hears.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use support::{HOST, RawApp, Request, Site};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(30);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A collector that keeps what it is sent.
struct Collector {
    address: SocketAddr,
    spans: watch::Receiver<Vec<Value>>,
    raw: Arc<Mutex<String>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (writer, spans) = watch::channel(Vec::new());
        let raw = Arc::new(Mutex::new(String::new()));
        let copy = Arc::clone(&raw);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut text, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
                let (head, body) = loop {
                    let read = stream.read(&mut buffer).await.unwrap();
                    assert!(read > 0, "half a request");
                    text.extend_from_slice(&buffer[..read]);
                    let said = String::from_utf8(text.clone()).unwrap();
                    let Some((head, body)) = said.split_once("\r\n\r\n") else { continue };
                    let length = head.to_ascii_lowercase();
                    let length = length.split("content-length: ").nth(1).unwrap().lines().next().unwrap().to_owned();
                    if body.len() == length.parse::<usize>().unwrap() {
                        break (head.to_owned(), body.to_owned());
                    }
                };
                assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
                assert!(head.contains("content-type: application/json"), "{head}");
                copy.lock().unwrap().push_str(&body);
                let body: Value = serde_json::from_str(&body).unwrap();
                let resource = &body["resourceSpans"][0];
                let name = serde_json::json!({"key": "service.name", "value": {"stringValue": "schoolgate"}});
                assert!(resource["resource"]["attributes"].as_array().unwrap().contains(&name), "{body}");
                let more = resource["scopeSpans"][0]["spans"].as_array().unwrap().clone();
                writer.send_modify(|spans| spans.extend(more));
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
            }
        });
        Self { address, spans, raw }
    }

    /// Waits for a span.
    async fn span(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut spans = self.spans.clone();
        let found = timeout(PATIENCE, spans.wait_for(|spans| spans.iter().any(&wanted))).await;
        let found = found.unwrap_or_else(|_| panic!("not among {:#?}", self.spans.borrow())).unwrap();
        found.iter().find(|span| wanted(span)).unwrap().clone()
    }

    fn line(&self, more: &str) -> String {
        format!("[log]\nformat = \"json\"\ntraces = \"http://{}\"\n{more}", self.address)
    }
}

fn attribute(span: &Value, key: &str) -> Option<String> {
    let found = span["attributes"].as_array()?.iter().find(|attribute| attribute["key"] == key)?;
    let value = found["value"].as_object()?.values().next()?;
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn of_path(path: &'static str) -> impl Fn(&Value) -> bool {
    move |span| attribute(span, "url.path").as_deref() == Some(path)
}

fn traced(path: &str) -> Request {
    let request = Request::get(path).header("Host", HOST).header("tracestate", "rojo=1,congo=2");
    request.header("traceparent", &format!("00-{TRACE}-{PARENT}-01"))
}

#[tokio::test]
async fn a_trusted_proxys_trace_goes_on_and_a_clients_does_not() {
    let site = Site::start().await;
    for trusted in [true, false] {
        let proxies = format!("trusted_proxies = [\"{}\"]", if trusted { "127.0.0.1/32" } else { "10.0.0.1/32" });
        let program = site.run(&[("server", &*proxies)]).await;
        let answer = traced("/public/traced").send(program.address()).await;
        let number = answer.header("x-request-id").map(str::to_owned);
        let seen = site.echo.last();
        let (parent, own) = (seen.header("traceparent").unwrap(), seen.header("x-request-id").unwrap());
        assert_eq!((answer.status, parent.len(), own.len()), (200, 55, 32));
        assert!(!parent.contains(PARENT), "the gateway's own part comes between: {parent}");
        let trace = &parent[3..35];
        assert_eq!(trace == TRACE, trusted, "{parent}");
        assert_eq!(trace == own, !trusted, "{parent}");
        assert_eq!(seen.header("tracestate"), trusted.then_some("rojo=1,congo=2"));
        assert!(number.is_none_or(|number| number == own));
        program.terminate().await;
        let (_, log) = program.ended().await;
        let line = log.lines().find(|line| line.contains("event=\"request\"")).unwrap();
        assert!(line.contains(&format!("trace_id={trace}")), "{line}");
    }
}

#[tokio::test]
async fn a_trace_that_a_trusted_proxy_spells_wrong_begins_anew() {
    let site = Site::start().await;
    let program = site.run(&[("server", "trusted_proxies = [\"127.0.0.1/32\"]")]).await;
    for odd in ["00-x", &format!("00-{}-{PARENT}-01", "0".repeat(32)), &format!("00-{TRACE}-{PARENT}-01-x")] {
        let request = Request::get("/public/odd").header("Host", HOST).header("traceparent", odd);
        assert_eq!(request.header("tracestate", "rojo=1").send(program.address()).await.status, 200);
        let seen = site.echo.last();
        assert!(!seen.header("traceparent").unwrap().contains(TRACE), "{odd}");
        assert_eq!(seen.header("tracestate"), None, "the state of another trace");
    }
}

#[tokio::test]
async fn a_collector_hears_of_the_request_of_what_the_app_was_asked_and_of_apple() {
    let (site, collector) = (Site::start().await, Collector::start().await);
    let proxies = "trusted_proxies = [\"127.0.0.1/32\"]";
    let program = site.run(&[("server", proxies), ("routes", &*collector.line(""))]).await;
    traced("/public/seen?secret=hidden").send(program.address()).await;
    let parent = site.echo.last().header("traceparent").unwrap().to_owned();
    let server = collector.span(of_path("/public/seen")).await;
    assert_eq!((&server["traceId"], &server["parentSpanId"]), (&TRACE.into(), &PARENT.into()), "{server}");
    assert_eq!((&server["kind"], &server["name"]), (&2.into(), &"GET /public".into()), "{server}");
    assert_eq!(server["traceState"], "rojo=1,congo=2");
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/public"),
        ("http.response.status_code", "200"),
        ("server.address", HOST),
        ("url.scheme", "https"),
        ("schoolgate.app", "library"),
    ] {
        assert_eq!(attribute(&server, key).as_deref(), Some(value), "{key}: {server}");
    }
    let client = collector.span(|span| span["parentSpanId"] == server["spanId"]).await;
    assert_eq!((&client["traceId"], &client["kind"]), (&TRACE.into(), &3.into()), "{client}");
    assert_eq!(parent, format!("00-{TRACE}-{}-01", client["spanId"].as_str().unwrap()), "the app's parent");
    let port = site.echo.address.port().to_string();
    assert_eq!(attribute(&client, "server.port"), Some(port), "{client}");
    assert_eq!(attribute(&client, "http.response.status_code").as_deref(), Some("200"), "{client}");
    let nanos = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u128>().unwrap();
    for span in [&server, &client] {
        let (begun, ended) = (nanos(span, "startTimeUnixNano"), nanos(span, "endTimeUnixNano"));
        assert!(begun > 1_700_000_000_000_000_000 && ended > begun && ended - begun < 60_000_000_000, "{span}");
        assert_eq!(span["status"], serde_json::json!({}), "{span}");
    }
    // A sign-in: the call to Apple belongs to the request that brought the code.
    let mut browser = program.browser();
    support::world::through_apple(&mut browser, "/start", "teacher-1").await;
    let redeem = |span: &Value| attribute(span, "schoolgate.apple_call").as_deref() == Some("redeem");
    let redeem = collector.span(redeem).await;
    let callback = collector.span(of_path("/.schoolgate/callback")).await;
    assert_eq!((&redeem["traceId"], &redeem["parentSpanId"]), (&callback["traceId"], &callback["spanId"]), "{redeem}");
    assert_eq!(attribute(&callback, "http.response.status_code").as_deref(), Some("303"), "{callback}");
    let person = site.apple.person("teacher-1").unwrap().subject.to_string();
    let heard = collector.raw.lock().unwrap().clone();
    for hidden in ["hidden", "secret", "code=", "state=", "client.address", &person, "@"] {
        assert!(!heard.contains(hidden), "{hidden} in {heard}");
    }
}

#[tokio::test]
async fn what_fails_is_marked_and_the_last_spans_are_sent_at_the_end() {
    let (site, collector) = (Site::start().await, Collector::start().await);
    let dead = RawApp::start().await.address;
    let app = format!(
        "[[app]]\nname = \"dead\"\nhost = \"dead.school.example\"\nupstream = \"http://{dead}\"\n\
         [[app.route]]\npath = \"/\"\naccess = \"public\"\n"
    );
    let program = site.run(&[("routes", &*(app + &collector.line("")))]).await;
    let answer = Request::get("/failing").header("Host", "dead.school.example").send(program.address()).await;
    assert_eq!(answer.status, 502);
    program.terminate().await;
    let (status, log) = program.ended().await;
    assert!(status.success() && !log.contains("traces_not_exported"), "{log}");
    let server = collector.span(of_path("/failing")).await;
    let client = collector.span(|span| span["parentSpanId"] == server["spanId"]).await;
    for (span, why) in [(&server, "502"), (&client, "ConnectRefused")] {
        assert_eq!(span["status"]["code"], 2, "{span}");
        assert_eq!(attribute(span, "error.type").as_deref(), Some(why), "{span}");
    }
}

#[tokio::test]
async fn a_trace_that_was_not_recorded_so_far_is_not_recorded_here() {
    let (site, collector) = (Site::start().await, Collector::start().await);
    let proxies = "trusted_proxies = [\"127.0.0.1/32\"]";
    let program = site.run(&[("server", proxies), ("routes", &*collector.line("traces_one_in = 1"))]).await;
    let quiet = Request::get("/public/quiet").header("Host", HOST);
    quiet.header("traceparent", &format!("00-{TRACE}-{PARENT}-00")).send(program.address()).await;
    assert!(site.echo.last().header("traceparent").unwrap().ends_with("-00"));
    Request::get("/public/loud").header("Host", HOST).send(program.address()).await;
    assert!(site.echo.last().header("traceparent").unwrap().ends_with("-01"));
    collector.span(of_path("/public/loud")).await;
    assert!(!collector.raw.lock().unwrap().contains("/public/quiet"));
}

#[tokio::test]
async fn a_collector_that_is_not_there_holds_nobody_up_and_is_told_of() {
    let site = Site::start().await;
    let gone = RawApp::start().await.address;
    let log = format!("[log]\ntraces = \"http://{gone}\"");
    let program = site.run(&[("routes", &*log)]).await;
    for _ in 0..20 {
        assert_eq!(Request::get("/public/x").header("Host", HOST).send(program.address()).await.status, 200);
    }
    program.logged("event=\"traces_not_exported\"").await;
    assert!(program.log().contains("Connection refused"), "{}", program.log());
    program.terminate().await;
    assert!(program.ended().await.0.success());
}
