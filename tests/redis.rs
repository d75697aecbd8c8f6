//! Several gateways on one Redis: real programs, and a real server that is killed, frozen and revived.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::BTreeSet, fs, time::Duration};

use schoolgate::{
    demo::{Endpoint, Gate, Trouble},
    entropy::SystemEntropy,
    session::Sealer,
};
use support::{Answer, Browser, Connection, HOST, Program, RawApp, Site, redis::Server, world::at};
use tokio::{
    net::UnixDatagram,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// Long for a machine.
const SOON: Duration = Duration::from_secs(30);

/// No request may take longer, whatever Redis does.
const LIMIT: Duration = Duration::from_secs(5);

/// A Redis, and gateways before one app.
struct District {
    site: Site,
    redis: Server,
    /// The app, when the test plays it.
    app: Option<RawApp>,
    /// Further lines of the configuration.
    lines: Vec<(&'static str, &'static str)>,
}

impl District {
    async fn with(redis: Server) -> Self {
        let site = Site::start().await;
        fs::write(site.path("session.key"), Sealer::new_key(&SystemEntropy).as_bytes()).unwrap();
        Self { site, redis, app: None, lines: Vec::new() }
    }

    async fn start() -> Self {
        // What was answered is on the disk.
        Self::with(Server::with(&["--appendonly", "yes", "--appendfsync", "always"])).await
    }

    /// The configuration of one gateway, by a name of its own.
    fn configuration(&self, name: &str, url: &str) -> String {
        let key = self.site.path("session.key");
        let store = format!("store = \"{url}\"\nencryption_key_file = \"{}\"", key.display());
        let text = self.site.configuration(&self.lines).replace("store = \"memory\"", &store);
        let text = text.replace("/admin.sock", &format!("/{name}.sock")).replace("/state\"", &format!("/{name}\""));
        match &self.app {
            Some(app) => text.replace(&self.site.echo.address.to_string(), &app.address.to_string()),
            None => text,
        }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.redis.port())
    }

    async fn gateway(&self, name: &str) -> Program {
        let mut program = self.site.spawn(&self.configuration(name, &self.url()));
        program.started().await;
        program
    }

    /// Starts a gateway that must not start; returns what it says.
    async fn fails(&self, url: &str) -> String {
        self.site.fails(&self.configuration("fails", url)).await
    }
}

/// The same browser at another gateway.
fn at_gateway(browser: &Browser, program: &Program) -> Browser {
    let mut browser = browser.clone();
    browser.move_to(program.address());
    browser
}

/// A page for a script, which is never sent to Apple.
async fn page(browser: &mut Browser) -> Answer {
    timeout(LIMIT, browser.fetch(&at("/no-token"))).await.expect("it takes too long")
}

/// Asks until the status is so; returns how long that took.
async fn becomes(browser: &mut Browser, status: u16) -> Duration {
    let start = Instant::now();
    loop {
        let answer = page(browser).await;
        if answer.status == status {
            return start.elapsed();
        }
        assert!(start.elapsed() < SOON, "{}", answer.text());
        sleep(Duration::from_millis(10)).await;
    }
}

/// What may be said while Redis is away: nobody is signed out by it, and nobody is sent to Apple.
fn is_fine_without_redis(answer: &Answer) {
    assert!(matches!(answer.status, 200 | 503), "{} {}", answer.status, answer.text());
    assert_eq!(answer.all("set-cookie").count(), 0, "nobody is told that they are signed out");
    assert_eq!(answer.header("location"), None);
    assert_eq!(answer.status == 503, answer.header("retry-after").is_some());
}

/// Many who ask without a break, at several gateways, until they are told to stop; then how many answers there
/// were.
struct Load {
    stop: tokio::sync::watch::Sender<bool>,
    tasks: JoinSet<(usize, usize)>,
}

impl Load {
    fn begin(browsers: Vec<Browser>) -> Self {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut tasks = JoinSet::new();
        for mut browser in browsers {
            let stopped = stopped.clone();
            tasks.spawn(async move {
                let (mut served, mut refused) = (0, 0);
                while !*stopped.borrow() {
                    let is_navigation = (served + refused) % 2 == 0;
                    let asked = async {
                        match is_navigation {
                            true => browser.open(&at("/no-token")).await,
                            false => browser.fetch(&at("/no-token")).await,
                        }
                    };
                    let answer = timeout(LIMIT, asked).await.expect("it takes too long");
                    is_fine_without_redis(&answer);
                    served += usize::from(answer.status == 200);
                    refused += usize::from(answer.status == 503);
                }
                (served, refused)
            });
        }
        Self { stop, tasks }
    }

    /// The numbers of those who were served, and of those who were told to come again.
    async fn end(self) -> (usize, usize) {
        self.stop.send_replace(true);
        let counts = self.tasks.join_all().await;
        (counts.iter().map(|(served, _)| served).sum(), counts.iter().map(|(_, refused)| refused).sum())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_good_at_every_gateway_and_outlives_the_one_that_made_it() {
    let district = District::start().await;
    let (one, other) = (district.gateway("one").await, district.gateway("other").await);
    let mut browser = one.signed_in("teacher-1").await;
    assert_eq!(page(&mut browser).await.status, 200);
    one.kill().await;
    assert_eq!(page(&mut at_gateway(&browser, &other)).await.status, 200);
    other.kill().await;
    let third = district.gateway("third").await;
    let mut browser = at_gateway(&browser, &third);
    assert_eq!(page(&mut browser).await.status, 200);
    let cookies = browser.clone();
    assert_eq!(browser.open(&at("/.schoolgate/sign-out")).await.status, 200);
    third.kill().await;
    let fourth = district.gateway("fourth").await;
    assert_eq!(page(&mut at_gateway(&cookies, &fourth)).await.status, 401, "a sign-out outlives it too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_at_one_gateway_works_at_the_others_within_a_second() {
    let district = District::start().await;
    let (one, other) = (district.gateway("one").await, district.gateway("other").await);
    for _ in 0..5 {
        let mut here = one.signed_in("teacher-1").await;
        let mut there = at_gateway(&here, &other);
        // It is near, and stays so.
        for _ in 0..20 {
            assert_eq!(page(&mut there).await.status, 200);
        }
        assert_eq!(here.open(&at("/.schoolgate/sign-out")).await.status, 200);
        let took = becomes(&mut there, 401).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_works_within_five_seconds_when_the_news_are_cut() {
    let district = District::start().await;
    let (one, other) = (district.gateway("one").await, district.gateway("other").await);
    let mut here = one.signed_in("teacher-1").await;
    let mut there = at_gateway(&here, &other);
    assert_eq!(page(&mut there).await.status, 200);
    // Nobody may publish or subscribe any more, and who has subscribed is thrown out.
    assert_eq!(district.redis.cli(&["ACL", "SETUSER", "default", "resetchannels"]), "OK");
    assert_eq!(page(&mut there).await.status, 200);
    assert_eq!(here.open(&at("/.schoolgate/sign-out")).await.status, 200, "it is done all the same");
    let took = becomes(&mut there, 401).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(district.redis.cli(&["ACL", "SETUSER", "default", "allchannels"]), "OK");
    let mut again = one.signed_in("teacher-1").await;
    assert_eq!(page(&mut at_gateway(&again, &other)).await.status, 200);
    assert_eq!(again.open(&at("/.schoolgate/sign-out")).await.status, 200);
}

/// The programs run on the clock of the machine, so this test takes its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_at_two_gateways_and_a_slow_apple_are_one_call_and_no_failure() {
    let mut district = District::start().await;
    // Tokens are to be renewed two seconds after they were made.
    district.lines = vec![("session", "refresh_before = \"3598s\""), ("apple", "timeout = \"30s\"")];
    let (one, other) = (district.gateway("one").await, district.gateway("other").await);
    district.site.apple.switches().change(|behaviour| behaviour.refresh_rotation = true);
    let here = one.signed_in("teacher-1").await;
    let there = at_gateway(&here, &other);
    sleep(Duration::from_secs(3)).await;
    let gate = Gate::closed();
    district.site.apple.switches().trouble(Endpoint::Refresh, Trouble::Hang(gate.clone()));
    let mut requests = JoinSet::new();
    for number in 0..1000 {
        let mut browser = if number % 2 == 0 { here.clone() } else { there.clone() };
        requests.spawn(async move { browser.open(&at("/")).await.status });
    }
    let apple = district.site.apple.calls();
    timeout(SOON, apple.reached(Endpoint::Refresh, 1)).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    gate.open();
    for status in timeout(SOON, requests.join_all()).await.unwrap() {
        assert_eq!(status, 200);
    }
    assert_eq!(apple.count(Endpoint::Refresh), 1);
    let tokens: BTreeSet<_> = district
        .site
        .echo
        .seen()
        .iter()
        .map(|seen| seen.header("x-forwarded-access-token").map(str::to_owned))
        .collect();
    assert_eq!((tokens.len(), district.site.echo.count()), (1, 1000), "everybody gets the new one");
    for mut browser in [here, there] {
        assert_eq!(page(&mut browser).await.status, 200, "nobody was signed out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_at_another_gateway_ends_within_a_second_of_its_session() {
    let mut district = District::start().await;
    district.app = Some(RawApp::start().await);
    let (one, other) = (district.gateway("one").await, district.gateway("other").await);
    let mut here = one.signed_in("teacher-1").await;
    let session = here.cookie(HOST, "__Host-schoolgate").unwrap();
    let mut client = Connection::open(other.address()).await;
    let head = format!("GET /no-token HTTP/1.1\r\nHost: {HOST}\r\nCookie: __Host-schoolgate={session}\r\n\r\n");
    client.write(head.as_bytes()).await;
    let (mut request, _) = district.app.as_ref().unwrap().request().await;
    let events = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    request.write(events).await;
    assert_eq!(client.head().await.status, 200);
    request.write(b"b\r\ndata: one\n\n\r\n").await;
    client.until("data: one\n\n").await;
    assert_eq!(here.open(&at("/.schoolgate/sign-out")).await.status, 200);
    let start = Instant::now();
    timeout(SOON, client.rest()).await.expect("the stream goes on");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_dies_under_load_costs_503s_and_nothing_else_and_all_recovers_by_itself() {
    let mut district = District::start().await;
    let (one, other) = (district.gateway("one").await, district.gateway("other").await);
    let mut here = one.signed_in("teacher-1").await;
    let mut there = at_gateway(&here, &other);
    let load = Load::begin(vec![here.clone(), there.clone(), here.clone(), there.clone()]);
    for _ in 0..2 {
        district.redis.kill();
        becomes(&mut here, 503).await;
        becomes(&mut there, 503).await;
        assert_eq!(here.fetch(&at("/public")).await.status, 200, "public routes need no Redis");
        let signs_out = here.clone().open(&at("/.schoolgate/sign-out")).await;
        assert_eq!(signs_out.status, 503, "nobody is told of a sign-out that was none");
        district.redis.revive();
        becomes(&mut here, 200).await;
        becomes(&mut there, 200).await;
    }
    let (served, refused) = load.end().await;
    assert!(served > 0 && refused > 0, "{served} {refused}");
    for program in [one, other] {
        let log = program.log();
        assert!(log.contains("redis_away") && log.contains("redis_back"), "{log}");
        assert!(!log.contains("panicked"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_freezes_under_load_costs_503s_and_nothing_else_and_all_recovers_by_itself() {
    let district = District::start().await;
    let (one, other) = (district.gateway("one").await, district.gateway("other").await);
    let mut here = one.signed_in("teacher-1").await;
    let mut there = at_gateway(&here, &other);
    let load = Load::begin(vec![here.clone(), there.clone(), here.clone(), there.clone()]);
    for _ in 0..2 {
        district.redis.freeze();
        becomes(&mut here, 503).await;
        becomes(&mut there, 503).await;
        // Once that is known, it is said at once.
        sleep(Duration::from_secs(4)).await;
        let start = Instant::now();
        assert_eq!(page(&mut here).await.status, 503);
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        district.redis.thaw();
        becomes(&mut here, 200).await;
        becomes(&mut there, 200).await;
    }
    let (served, refused) = load.end().await;
    assert!(served > 0 && refused > 0, "{served} {refused}");
    // What is told is told again.
    assert_eq!(here.open(&at("/.schoolgate/sign-out")).await.status, 200);
    let took = becomes(&mut there, 401).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_away_or_frozen_is_no_reason_for_the_watchdog_to_bite() {
    let mut district = District::start().await;
    let path = district.site.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    let text = district.configuration("one", &district.url());
    let mut program = district.site.spawn_with(&text, None, &environment);
    program.started().await;
    let mut browser = program.signed_in("teacher-1").await;
    let is_fed = async || {
        // What was said before does not count.
        while socket.try_recv(&mut [0; 4096]).is_ok() {}
        for _ in 0..5 {
            let mut said = [0; 4096];
            let length = timeout(SOON, socket.recv(&mut said)).await.expect("it says something").unwrap();
            assert_eq!(&said[..length], b"WATCHDOG=1\n");
        }
    };
    is_fed().await;
    district.redis.freeze();
    becomes(&mut browser, 503).await;
    is_fed().await;
    district.redis.thaw();
    district.redis.kill();
    becomes(&mut browser, 503).await;
    is_fed().await;
    assert!(!program.log().contains("watchdog_not_fed"), "{}", program.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_starts_without_its_redis_and_works_once_that_is_there() {
    let mut district = District::start().await;
    district.redis.kill();
    let program = district.gateway("one").await;
    let mut browser = program.browser();
    browser.set_cookie(HOST, "__Host-schoolgate", &"A".repeat(43));
    let answer = page(&mut browser).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(browser.fetch(&at("/public")).await.status, 200);
    program.logged("redis_away").await;
    district.redis.revive();
    program.logged("redis_back").await;
    assert_eq!(page(&mut program.signed_in("teacher-1").await).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_open_what_is_there_is_an_error_at_the_start_and_later() {
    let mut district = District::start().await;
    let program = district.gateway("one").await;
    let browser = program.signed_in("teacher-1").await;
    program.kill().await;
    let right = fs::read(district.site.path("session.key")).unwrap();
    fs::write(district.site.path("session.key"), Sealer::new_key(&SystemEntropy).as_bytes()).unwrap();
    let said = district.fails(&district.url()).await;
    assert!(said.contains("sealed with a key that is not in encryption_key_file; put that key there"), "{said}");

    district.redis.kill();
    let program = district.gateway("two").await;
    district.redis.revive();
    program.logged("sealed with a key that is not in encryption_key_file").await;
    assert_eq!(page(&mut at_gateway(&browser, &program)).await.status, 503, "and nobody is sent to Apple");
    program.kill().await;

    fs::write(district.site.path("session.key"), right).unwrap();
    let program = district.gateway("three").await;
    assert_eq!(page(&mut at_gateway(&browser, &program)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_encryption_key_signs_nobody_out() {
    let district = District::start().await;
    let key = district.site.path("session.key");
    let old = fs::read_to_string(&key).unwrap();
    let program = district.gateway("one").await;
    let browser = program.signed_in("teacher-1").await;
    program.kill().await;
    fs::write(&key, format!("{}\n{old}\n", *Sealer::new_key(&SystemEntropy))).unwrap();
    let program = district.gateway("two").await;
    assert_eq!(page(&mut at_gateway(&browser, &program)).await.status, 200);
    let younger = program.signed_in("teacher-1").await;
    program.kill().await;
    let new = fs::read_to_string(&key).unwrap().lines().next().unwrap().to_owned();
    fs::write(&key, new).unwrap();
    let program = district.gateway("three").await;
    assert_eq!(page(&mut at_gateway(&younger, &program)).await.status, 200);
    program.kill().await;
    fs::write(&key, old).unwrap();
    district.fails(&district.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_used_and_never_said() {
    let district = District::with(Server::with(&["--requirepass", "hunter2"])).await;
    let port = district.redis.port();
    fs::write(district.site.path("password"), "hunter2\n").unwrap();
    let said = district.fails(&district.url()).await;
    assert!(said.contains("NOAUTH"), "{said}");
    let said = district.fails(&format!("redis://:hunter3@127.0.0.1:{port}")).await;
    assert!(said.contains("WRONGPASS") && !said.contains("hunter3"), "{said}");
    let file = district.site.path("password");
    for url in [
        format!("redis://:hunter2@127.0.0.1:{port}"),
        format!("redis://127.0.0.1:{port}?password_file={}", file.display()),
    ] {
        let mut program = district.site.spawn(&district.configuration("one", &url));
        program.started().await;
        assert_eq!(page(&mut program.signed_in("teacher-1").await).await.status, 200);
        district.redis.freeze();
        program.logged("redis_away").await;
        district.redis.thaw();
        program.logged("redis_back").await;
        assert!(!program.log().contains("hunter2"), "{}", program.log());
        program.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_with_which_redis_loses_sessions_is_told() {
    let district = District::with(Server::with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"])).await;
    let program = district.gateway("one").await;
    program.logged("redis_evicts").await;
    program.logged("redis_forgets").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_checked_without_redis() {
    let district = District::start().await;
    let check = async |text: &str| {
        let path = district.site.path("checked.toml");
        fs::write(&path, text).unwrap();
        let output = Program::command(&["check", "--config", path.to_str().unwrap()]).output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let fine = district.configuration("one", "redis://:hunter2@127.0.0.1:1");
    let (status, said) = check(&fine).await;
    assert!(status == Some(0) && said.contains("password stands in this file") && !said.contains("hunter2"), "{said}");
    let keyless: String =
        fine.lines().filter(|line| !line.contains("encryption_key")).map(|line| format!("{line}\n")).collect();
    let (status, said) = check(&keyless).await;
    assert!(status == Some(2) && said.contains("needs encryption_key_file") && !said.contains("hunter2"), "{said}");
}
