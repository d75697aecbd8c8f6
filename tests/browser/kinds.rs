//! What Chromium really sends for each kind of request, and what it gets.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Router,
    response::Html,
    routing::{any, get},
};

use super::{Chromium, OtherSite, PICK, School};

/// A page of the app that asks for something of each kind, each at a path of its own.
const PAGE: &str = r#"<!doctype html><title>Homework</title><h1>Homework</h1>
<link rel="stylesheet" href="/k/style">
<link rel="prefetch" href="/k/prefetch">
<script src="/k/script"></script>
<script type="speculationrules">
{"prefetch": [{"source": "list", "urls": ["/k/speculation"], "eagerness": "immediate"}],
 "prerender": [{"source": "list", "urls": ["/k/prerender"], "eagerness": "immediate"}]}
</script>
<img src="/k/image">
<video src="/k/video"></video>
<iframe src="/k/iframe"></iframe>
<embed src="/k/embed" type="text/html">
<object data="/k/object" type="text/html"></object>
<iframe name="target"></iframe>
<form id="framed" method="post" action="/k/framed-form" target="target"><input name="a" value="b"></form>
<form id="form" method="post" action="/k/form"><button>Send</button></form>
<a href="/k/link">Go on</a>
<a id="download" href="/k/download" download>Keep</a>
<script>
document.getElementById("framed").submit();
document.getElementById("download").click();
const xhr = new XMLHttpRequest();
xhr.open("GET", "/k/xhr");
xhr.setRequestHeader("X-Requested-With", "XMLHttpRequest");
xhr.send();
fetch("/k/fetch").catch(() => {});
fetch("/k/fetch-html", { headers: { accept: "text/html" } }).catch(() => {});
navigator.sendBeacon("/k/beacon", "x");
new EventSource("/k/events");
new WebSocket("ws://" + location.host + "/k/websocket");
new Worker("/k/worker");
</script>"#;

/// Every kind of request, with its fields.
const TABLE: &str = include_str!("kinds.txt");

/// The fields that tell; what else Chromium sends is no matter.
const TELLING: &[&str] = &[
    "upgrade",
    "sec-purpose",
    "purpose",
    "x-purpose",
    "x-moz",
    "sec-fetch-mode",
    "sec-fetch-dest",
    "accept",
    "x-requested-with",
];

/// The page until it has been told to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request and its answer: first lines, and fields with names in small letters.
#[derive(Clone, Debug)]
struct Seen {
    request: String,
    fields: BTreeMap<String, String>,
    status: u16,
    answer: BTreeMap<String, String>,
}

/// Which requests went over the wire, by path. A connection is two tapes, one for each way.
fn seen(heard: &[String]) -> BTreeMap<String, Seen> {
    let mut seen = BTreeMap::new();
    for ways in heard.chunks(2).filter(|ways| ways.len() == 2) {
        let asked = heads(&ways[0], |line| line.ends_with(" HTTP/1.1"));
        let answered = heads(&ways[1], |line| line.contains("HTTP/1.1 "));
        for ((request, fields), (status, answer)) in asked.into_iter().zip(answered) {
            let path = request.rsplit(' ').nth(1).unwrap().to_owned();
            let status = status.rsplit_once("HTTP/1.1 ").unwrap().1[..3].parse().unwrap();
            seen.insert(path, Seen { request, fields, status, answer });
        }
    }
    seen
}

/// The heads among the bytes of one way. What stands before a first line is the end of a body.
fn heads(text: &str, is_first: fn(&str) -> bool) -> Vec<(String, BTreeMap<String, String>)> {
    let mut heads = Vec::new();
    let mut lines = text.split("\r\n");
    while let Some(line) = lines.next() {
        if is_first(line) {
            let fields = lines.by_ref().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
            let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
            heads.push((line.to_owned(), fields.collect()));
        }
    }
    heads
}

/// The fields that tell, with nothing of `Accept` but whether it has HTML.
fn telling<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    let telling = fields.filter(|(name, _)| TELLING.iter().any(|known| known.eq_ignore_ascii_case(name)));
    let shown = telling.map(|(name, value)| match name.to_ascii_lowercase() {
        name if name == "accept" => (name, value.contains("text/html").to_string()),
        name => (name, value.to_owned()),
    });
    shown.collect()
}

/// An app with the page at `/public/page`, and a gateway in front of it.
async fn school(lines: &[(&str, &str)]) -> School {
    let app = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = app.local_addr().unwrap().to_string();
    let router = Router::new()
        .route("/public/page", get(|| async { Html(PAGE) }))
        .route("/public/frame", get(|| async { Html("<h1>Timetable</h1><iframe src=/lessons></iframe>") }))
        .route("/lessons", any(|| async { Html("<h1>Lessons</h1>") }))
        .fallback(any(|| async { "app" }));
    tokio::spawn(async move { axum::serve(app, router).await });
    School::start(&address, lines).await
}

#[tokio::test]
async fn each_kind_of_request_of_chromium_gets_the_answer_of_its_kind() {
    let school = school(&[]).await;
    let browser = Chromium::start(&school.base).await;
    for label in ["Go on", "Send"] {
        browser.open("/public/page").await;
        browser.press(label).await;
        browser.sees(PICK, &[]).await;
    }
    browser.open("/k/typed").await;
    browser.open("/public/page").await;
    let table: Vec<Vec<_>> = TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(" | ").map(str::trim).collect())
        .collect();
    let all_there =
        |seen: &BTreeMap<String, Seen>| table.iter().all(|row| seen.contains_key(&format!("/k/{}", row[0])));
    let waiting = async {
        loop {
            let seen = seen(&school.wire.heard());
            if all_there(&seen) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let Ok(seen) = tokio::time::timeout(PATIENCE, waiting).await else {
        panic!("not everything was asked for: {:?}", seen(&school.wire.heard()).keys())
    };
    for row in &table {
        let (name, kind) = (row[0], row[1]);
        let one = &seen[&format!("/k/{name}")];
        let sent = telling(one.fields.iter().map(|(name, value)| (&**name, &**value)));
        assert_eq!(sent, telling(row[2..].iter().filter_map(|field| field.split_once(": "))), "{name}: {one:?}");
        let field = |name: &str| one.answer.get(name).map(String::as_str).unwrap_or_default();
        let posted = one.request.contains("POST ");
        assert_eq!(posted, matches!(name, "form" | "framed-form" | "beacon"), "{name}");
        let (status, media_type, to_apple, in_frames) = match kind {
            "Navigation" => (if posted { 303 } else { 302 }, "text/plain; charset=utf-8", true, false),
            "Frame" => (401, "text/html; charset=utf-8", false, true),
            _ => (401, "application/problem+json", false, false),
        };
        assert_eq!((one.status, field("content-type")), (status, media_type), "{name}: {one:?}");
        assert_eq!(field("location").starts_with(school.apple.base_url().as_str()), to_apple, "{name}: {one:?}");
        assert_eq!(field("www-authenticate").contains("/.schoolgate/sign-in?return_to=/k/"), !to_apple, "{name}");
        assert_eq!(field("content-security-policy").contains("frame-ancestors *"), in_frames, "{name}");
        assert_eq!(one.answer.contains_key("set-cookie"), to_apple, "{name} begins a sign-in: {one:?}");
    }
}

#[tokio::test]
async fn a_frame_shows_a_link_and_the_sign_in_opens_on_top() {
    // Also where the administrator wants redirects, and also in a page of another site.
    let route = "[[app.route]]\npath = \"/lessons\"\nunauthenticated = \"redirect\"\n";
    let school = school(&[("routes", route)]).await;
    let browser = Chromium::start(&school.base).await;
    let elsewhere =
        OtherSite::start(format!("<h1>Elsewhere</h1><iframe src=\"{}/lessons\"></iframe>", school.base)).await;
    for page in ["/public/frame", &elsewhere.url] {
        browser.open(page).await;
        browser.looks_into_the_frame().await;
        browser.sees("You need to sign in", &["opens in the whole window"]).await;
        browser.press("Sign in").await;
        browser.looks_at_the_whole_page().await;
        browser.sees(PICK, &[]).await;
    }
    browser.press("Pip Marrowby").await;
    browser.sees("Lessons", &[]).await;
    assert_eq!(browser.place().await, "/lessons");
    // Now the frame has what it asked for.
    browser.open("/public/frame").await;
    browser.looks_into_the_frame().await;
    browser.sees("Lessons", &[]).await;
}

#[tokio::test]
async fn what_a_browser_has_guessed_is_asked_for_again_by_whoever_wants_it() {
    let school = school(&[]).await;
    let browser = Chromium::start(&school.base).await;
    for path in ["/k/speculation", "/k/prerender", "/k/prefetch"] {
        browser.open("/public/page").await;
        let guessed = async {
            while !seen(&school.wire.heard()).get(path).is_some_and(|one| one.fields.contains_key("sec-purpose")) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, guessed).await.expect("the browser guesses");
        browser.script(&format!("setTimeout(() => location.href = {path:?}, 0)")).await;
        browser.sees(PICK, &[]).await;
    }
}
