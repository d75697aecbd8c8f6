//! Two gateways with one Redis, each a process of its own: one sign-in, one refresh, one sign-out for both.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "a proof says what it measured")]

mod support;

use std::{collections::BTreeSet, time::Duration};

use futures_util::StreamExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use schoolgate::demo::{Endpoint, Gate, Trouble};
use support::{
    Browser, Connection, District, HOST, Program, RawApp, Site,
    http::query,
    redis::Server,
    world::{at, at_apple, through_apple},
};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Long for a machine.
const SOON: Duration = Duration::from_secs(30);

/// How long a gateway that is gone holds a refresh up (`LEASE` in `signin::renew`).
const LEASE: Duration = Duration::from_secs(15);

/// How long Apple takes at its worst.
const SLOW: Duration = Duration::from_secs(10);

/// An access token that has less life than this is renewed before anybody gets it.
const REFRESH_BEFORE: (&str, &str) = ("session", "refresh_before = \"15s\"");

/// Two gateways, and what is around them.
struct Pair {
    site: Site,
    one: Program,
    two: Program,
    _district: District,
}

impl Pair {
    async fn start(lines: &[(&str, &str)]) -> Self {
        Self::before(None, lines).await
    }

    /// In front of another app than the echo.
    async fn before(app: Option<&RawApp>, lines: &[(&str, &str)]) -> Self {
        let site = Site::start().await;
        site.apple.switches().change(|behaviour| behaviour.refresh_rotation = true);
        let district = District::new(&site, Server::start());
        let start = async |house: usize| {
            let mut text = district.configuration(&site, house, lines);
            if let Some(app) = app {
                text = text.replace(&site.echo.address.to_string(), &app.address.to_string());
            }
            let mut program = site.spawn_as(&format!("gateway-{house}"), &text);
            program.started().await;
            program
        };
        let (one, two) = (start(1).await, start(2).await);
        Self { site, one, two, _district: district }
    }

    /// The life of the access tokens that Apple gives from now on.
    fn tokens_live(&self, seconds: u64) {
        self.site.apple.switches().change(|behaviour| behaviour.access_token_lifetime = Duration::from_secs(seconds));
    }

    fn refreshes(&self) -> usize {
        self.site.apple.calls().count(Endpoint::Refresh)
    }

    /// Somebody signs in at the first.
    async fn signed_in(&self) -> Browser {
        let mut browser = self.one.browser();
        let answer = through_apple(&mut browser, "/start", "teacher-1").await;
        assert_eq!((answer.status, answer.location()), (303, "/start"), "{}", answer.text());
        browser
    }

    /// The access token that the app gets with a request at one of the two.
    async fn token_at(&self, program: &Program, browser: &Browser, path: &str) -> String {
        let mut browser = browser.clone();
        browser.move_to(program.address());
        let answer = browser.fetch(&at(path)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.site.echo.seen_at(path).unwrap().header("x-forwarded-access-token").unwrap().to_owned()
    }
}

/// The usual 1,024 are fewer than a thousand connections and the app's ends of them.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_at_two_gateways_and_a_slow_apple_are_one_call_and_nobody_is_signed_out() {
    raise_descriptor_limit();
    let pair = Pair::start(&[REFRESH_BEFORE, ("apple", "timeout = \"30s\"")]).await;
    // About to die, and dead when Apple answers.
    pair.tokens_live(8);
    let browser = pair.signed_in().await;
    // Counted from the question, of which ten seconds are over when the answer comes.
    pair.tokens_live(40);
    pair.site.apple.switches().trouble_times(Endpoint::Refresh, 1, Trouble::Slow(SLOW));
    let begun = Instant::now();
    let requests: Vec<_> = (0..1000)
        .map(|number| {
            let mut browser = browser.clone();
            browser.move_to(if number % 2 == 0 { pair.one.address() } else { pair.two.address() });
            tokio::spawn(async move { browser.fetch(&at(&format!("/crowd/{number}"))).await.status })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    let took = begun.elapsed();
    println!("a thousand answers after {took:?}");
    assert!(took >= SLOW, "{took:?}");
    assert_eq!(pair.refreshes(), 1);
    let seen = pair.site.echo.seen();
    let tokens: BTreeSet<_> = seen.iter().map(|seen| seen.header("x-forwarded-access-token").unwrap()).collect();
    assert_eq!((seen.len(), tokens.len()), (1000, 1), "everybody gets the new one");
    let new = (*tokens.first().unwrap()).to_owned();

    // And so on both, until it is to be renewed itself, with the refresh token that came with it.
    let mut visit = 0;
    let next = loop {
        visit += 1;
        let program = if visit % 2 == 0 { &pair.one } else { &pair.two };
        let token = pair.token_at(program, &browser, &format!("/later/{visit}")).await;
        if token != new {
            break token;
        }
        assert_eq!(pair.refreshes(), 1);
        assert!(begun.elapsed() < SLOW + SOON * 2, "it is never renewed");
        sleep(Duration::from_millis(200)).await;
    };
    assert!(visit > 2, "both served the new one");
    assert_eq!(pair.refreshes(), 2);
    for (program, path) in [(&pair.one, "/end/1"), (&pair.two, "/end/2")] {
        assert_eq!(pair.token_at(program, &browser, path).await, next);
    }
    assert_eq!(pair.refreshes(), 2);
}

#[tokio::test]
async fn a_gateway_that_is_killed_in_the_middle_of_a_refresh_holds_the_other_up_for_no_longer_than_its_lease() {
    let pair = Pair::start(&[REFRESH_BEFORE, ("apple", "timeout = \"30s\"")]).await;
    pair.tokens_live(5);
    let browser = pair.signed_in().await;
    pair.tokens_live(3600);
    pair.site.apple.switches().trouble_times(Endpoint::Refresh, 1, Trouble::Hang(Gate::closed()));
    let mut caught = browser.clone();
    let caught = tokio::spawn(async move { caught.try_fetch(&at("/caught")).await });
    timeout(SOON, pair.site.apple.calls().reached(Endpoint::Refresh, 1)).await.unwrap();
    let begun = Instant::now();
    let Pair { site, one, two, _district } = pair;
    one.kill().await;
    assert!(caught.await.unwrap().is_err(), "nobody answers");
    let mut browser = browser;
    browser.move_to(two.address());
    let answer = browser.fetch(&at("/other")).await;
    println!("the other gateway answers after {:?}", begun.elapsed());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(site.apple.calls().count(Endpoint::Refresh), 2);
    assert!(begun.elapsed() < LEASE + Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 200);
}

/// It comes back with Apple's refusal of a refresh token that has been replaced meanwhile.
#[tokio::test]
async fn a_gateway_that_was_frozen_in_the_middle_of_a_refresh_ends_nothing_when_it_goes_on() {
    let pair = Pair::start(&[REFRESH_BEFORE, ("apple", "timeout = \"60s\"")]).await;
    pair.tokens_live(5);
    let browser = pair.signed_in().await;
    pair.tokens_live(3600);
    let gate = Gate::closed();
    pair.site.apple.switches().trouble_times(Endpoint::Refresh, 1, Trouble::Hang(gate.clone()));
    let mut caught = browser.clone();
    let caught = tokio::spawn(async move { caught.fetch(&at("/caught")).await });
    timeout(SOON, pair.site.apple.calls().reached(Endpoint::Refresh, 1)).await.unwrap();
    pair.one.freeze().await;
    let begun = Instant::now();
    let token = pair.token_at(&pair.two, &browser, "/other").await;
    println!("the other gateway answers after {:?}", begun.elapsed());
    assert_eq!(pair.refreshes(), 2);
    // Now Apple hears the first question, and says no to it.
    gate.open();
    pair.one.thaw().await;
    let answer = caught.await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = pair.site.echo.seen_at("/caught").unwrap();
    assert_eq!(seen.header("x-forwarded-access-token"), Some(&*token));
    let refused = pair.site.apple.calls().of(Endpoint::Refresh).remove(0).outcome.unwrap();
    assert_eq!(refused.status, 400, "{}", refused.why);
    for (program, path) in [(&pair.one, "/end/1"), (&pair.two, "/end/2")] {
        assert_eq!(pair.token_at(program, &browser, path).await, token);
    }
    assert_eq!(pair.refreshes(), 2);
}

#[tokio::test]
async fn a_sign_in_that_was_begun_at_one_gateway_is_finished_at_the_other_and_only_once() {
    let pair = Pair::start(&[]).await;
    for round in 0..10 {
        let mut browser = pair.one.browser();
        let begun = browser.open(&at("/start")).await;
        let callback = at_apple(begun.location(), "teacher-1").await;
        let mut there = browser.clone();
        there.move_to(pair.two.address());
        let copy = there.clone();
        // One after the other, and both at the same time.
        let answers = if round % 2 == 0 {
            let first = there.open(&callback).await;
            assert_eq!((first.status, first.location()), (303, "/start"), "{}", first.text());
            [browser.open(&callback).await, first]
        } else {
            let (here, there) = tokio::join!(browser.open(&callback), there.open(&callback));
            [here, there]
        };
        let signed_in = answers.iter().filter(|answer| answer.status == 303).count();
        assert_eq!(signed_in, 1, "{answers:?}");
        for answer in answers.iter().filter(|answer| answer.status != 303) {
            assert!((400..500).contains(&answer.status), "{answer:?}");
            assert!(!answer.all("set-cookie").any(|line| line.starts_with("__Host-schoolgate=")), "{answer:?}");
        }
        // Nor later.
        for program in [&pair.one, &pair.two] {
            let mut copy = copy.clone();
            copy.move_to(program.address());
            assert_ne!(copy.open(&callback).await.status, 303);
            assert_eq!(copy.cookie(HOST, "__Host-schoolgate"), None);
        }
        assert_eq!(pair.site.apple.calls().count(Endpoint::Exchange), round + 1, "Apple is asked once");
        assert!(pair.site.apple.stands(&query(&callback, "code").unwrap()));
    }
}

/// A request of the browser's at a gateway, written to a connection of its own.
async fn asked(program: &Program, browser: &Browser, path: &str) -> Connection {
    let session = browser.cookie(HOST, "__Host-schoolgate").unwrap();
    let mut client = Connection::open(program.address()).await;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nCookie: __Host-schoolgate={session}\r\n\r\n");
    client.write(head.as_bytes()).await;
    client
}

#[tokio::test]
async fn a_sign_out_at_one_gateway_ends_pages_streams_and_websockets_at_the_other() {
    let app = RawApp::start().await;
    let pair = Pair::before(Some(&app), &[]).await;
    let mut browser = pair.signed_in().await;
    let other = pair.signed_in().await;

    let mut events = asked(&pair.two, &browser, "/events").await;
    let (mut source, _) = app.request().await;
    source.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    source.write(b"b\r\ndata: one\n\n\r\n").await;
    assert_eq!(events.head().await.status, 200);
    events.until("data: one\n\n").await;

    let mut others_events = asked(&pair.two, &other, "/events").await;
    let (mut others_source, _) = app.request().await;
    others_source.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert_eq!(others_events.head().await.status, 200);

    let mut request = format!("ws://{HOST}/talk").into_client_request().unwrap();
    let cookie = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    request.headers_mut().insert("cookie", cookie.parse().unwrap());
    request.headers_mut().insert("origin", format!("https://{HOST}").parse().unwrap());
    let stream = tokio::net::TcpStream::connect(pair.two.address()).await.unwrap();
    let serve = async { tokio_tungstenite::accept_async(app.accept().await.into_stream()).await.unwrap() };
    let (talk, _server) = tokio::join!(tokio_tungstenite::client_async(request, stream), serve);
    let (mut talk, _) = talk.unwrap();

    let mut there = browser.clone();
    there.move_to(pair.two.address());
    assert_eq!(there.fetch(&at("/.schoolgate/me")).await.status, 200);
    // Longer than anything that was read is trusted without news.
    sleep(Duration::from_secs(4)).await;

    assert_eq!(browser.open(&at("/.schoolgate/sign-out?return_to=/public")).await.status, 303);
    let begun = Instant::now();
    let nobody = async {
        while there.fetch(&at("/.schoolgate/me")).await.status != 401 {
            assert!(begun.elapsed() < SOON);
        }
        begun.elapsed()
    };
    let silence = async {
        let rest = events.rest().await;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "a stream that is cut does not look whole");
        begun.elapsed()
    };
    let goodbye = async {
        while let Some(Ok(_)) = talk.next().await {}
        begun.elapsed()
    };
    let (nobody, silence, goodbye) = timeout(SOON, async { tokio::join!(nobody, silence, goodbye) }).await.unwrap();
    println!("at the other gateway: 401 after {nobody:?}, stream cut after {silence:?}, WebSocket after {goodbye:?}");
    // The README says one second, of a machine that has nothing else to do.
    for took in [nobody, silence, goodbye] {
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    others_source.write(b"b\r\ndata: two\n\n\r\n").await;
    others_events.until("data: two\n\n").await;
}
