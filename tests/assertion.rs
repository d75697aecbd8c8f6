//! The signed assertion, as an app gets it and checks it: with the Python of `docs/assertion.md`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use schoolgate::{
    clock::{Clock, SystemClock},
    entropy::SystemEntropy,
    session::{Codec, FileStore, Lifetimes, MemoryStore, NoteName, Sealer, Store, Swap},
};
use serde_json::{Value, json};
use support::{
    Answer, Browser, District, Echo, HOST, Request, Site, World,
    redis::Server,
    world::{START, at},
};

const ENABLED: (&str, &str) = ("session", "[assertion]\nenabled = true");
const ASSERTION: &str = "X-Schoolgate-Assertion";
const ORIGIN: &str = "https://library.school.example";
const JWKS: &str = "/.schoolgate/jwks.json";
const DAY: Duration = Duration::from_secs(86_400);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// An app with the example of the docs in it.
struct App {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

impl App {
    /// One that asks a gateway for its keys.
    fn of(gateway: SocketAddr) -> Self {
        let docs = fs::read_to_string(root().join("docs/assertion.md")).unwrap();
        let (_, rest) = docs.split_once("```python\n").expect("an example in Python");
        let (example, _) = rest.split_once("```").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("example.py");
        fs::write(&path, example).unwrap();
        let python = root().join("target/legacy/bin/python");
        assert!(python.exists(), "{} is missing: run `scripts/setup test`", python.display());
        let mut child = Command::new(python)
            .args(["-u", "-B"])
            .arg(root().join("tests/legacy/vouched.py"))
            .args([path.to_str().unwrap(), &format!("http://{gateway}{JWKS}"), HOST])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (asks, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, asks, answers, _folder: folder }
    }

    fn ask(&mut self, asked: &Value) -> Value {
        writeln!(self.asks, "{asked}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the app has died; it said {line:?}"))
    }

    /// The claims of an assertion that is believed at a moment.
    fn believes(&mut self, assertion: &str, seconds: u64) -> Value {
        let answer = self.ask(&json!({ "assertion": assertion, "at": seconds }));
        assert_eq!(answer["status"], "200 OK", "{answer}");
        assert_eq!(answer["user"], answer["claims"]["sub"]);
        answer["claims"].clone()
    }

    /// Why an assertion is not believed.
    fn refuses(&mut self, assertion: Option<&str>, seconds: u64) -> String {
        let answer = self.ask(&json!({ "assertion": assertion, "at": seconds }));
        assert_eq!((&answer["status"], &answer["user"]), (&json!("403 Forbidden"), &Value::Null), "{answer}");
        answer["refused"].as_str().unwrap().to_owned()
    }
}

/// The assertion that came with the last request, and only once.
fn assertion(echo: &Echo) -> String {
    echo.last().header(ASSERTION).expect("no assertion came").to_owned()
}

fn part(assertion: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(assertion.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

fn kid(assertion: &str) -> String {
    part(assertion, 0)["kid"].as_str().unwrap().to_owned()
}

async fn jwks(gateway: SocketAddr) -> Value {
    let answer = Request::get(JWKS).header("Host", HOST).send(gateway).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn kids(jwks: &Value) -> Vec<String> {
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Waits until a gateway publishes so many keys.
async fn publishes(gateway: SocketAddr, count: usize) -> Vec<String> {
    for _ in 0..1000 {
        let kids = kids(&jwks(gateway).await);
        if kids.len() == count {
            return kids;
        }
    }
    panic!("it never publishes {count} keys, but {}", jwks(gateway).await);
}

/// A page of somebody who is signed in, which reaches the app.
async fn page(browser: &mut Browser) {
    let answer = browser.open(&at("/page")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_believes_what_the_gateway_says_of_a_person() {
    let world = World::with(&[ENABLED]).await;
    let mut app = App::of(world.address);
    for person in ["teacher-1", "pupil-7"] {
        let mut browser = world.signed_in(person).await;
        page(&mut browser).await;
        let claims = app.believes(&assertion(&world.echo), START);
        let known = world.apple.person(person).unwrap();
        let seen = world.echo.last();
        assert_eq!(seen.header("x-forwarded-user"), claims["sub"].as_str());
        assert_eq!(claims["sub"], world.subject(person));
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ORIGIN), &json!(ORIGIN)));
        assert_eq!(claims["email"].as_str(), known.email.as_deref());
        assert_eq!(claims["email_verified"].is_boolean(), known.email.is_some());
        assert_eq!(claims["org_id"].as_str(), seen.header("x-schoolgate-organization"));
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(START), &json!(START + 300)));
    }
    let header = part(&assertion(&world.echo), 0);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("JWT")));
    assert_eq!(kids(&jwks(world.address).await), [header["kid"].as_str().unwrap()]);
}

/// The checks of the example, each with something that only it refuses.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_believes_nothing_else() {
    let world = World::with(&[ENABLED]).await;
    let mut browser = world.signed_in("teacher-1").await;
    page(&mut browser).await;
    let good = assertion(&world.echo);
    let mut app = App::of(world.address);
    app.believes(&good, START);
    app.believes(&good, START + 329);
    assert_eq!(app.refuses(Some(&good), START + 331), "ExpiredSignatureError");
    assert_eq!(app.refuses(Some(&good), START - 31), "ImmatureSignatureError");

    let (head, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = (part(&good, 0), part(&good, 1));
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let with = |object: &Value, name: &str, value: Value| {
        let mut object = object.clone();
        object[name] = value;
        object
    };
    let forged_claims = with(&claims, "sub", json!("somebody-else"));
    assert_eq!(
        app.refuses(Some(&format!("{}.{}.{signature}", encoded(&header), encoded(&forged_claims))), START),
        "InvalidSignatureError"
    );
    for header in [with(&header, "alg", json!("none")), with(&header, "alg", json!("HS256"))] {
        for signature in [signature, ""] {
            let forged = format!("{}.{}.{signature}", encoded(&header), encoded(&claims));
            assert_eq!(app.refuses(Some(&forged), START), "InvalidAlgorithmError");
        }
    }
    let of_nobody = format!("{}.{}.{signature}", encoded(&with(&header, "kid", json!("x"))), encoded(&claims));
    assert_eq!(app.refuses(Some(&of_nobody), START), "PyJWKClientError");
    for text in [None, Some(""), Some(head), Some("a.b.c"), Some(&*format!("{good}, {good}"))] {
        app.refuses(text, START);
    }
    let other = app.ask(&json!({ "assertion": good, "at": START, "gateway": "https://id.school.example" }));
    assert_eq!((&other["refused"], &other["status"]), (&json!("InvalidIssuerError"), &json!("403 Forbidden")));
    app.ask(&json!({ "assertion": good, "at": START, "gateway": ORIGIN }));
    app.believes(&good, START);
    // ALBeast: what another app of the same gateway got.
    let elsewhere = app.ask(&json!({ "assertion": good, "at": START, "app": "https://grades.school.example" }));
    assert_eq!(
        (&elsewhere["refused"], &elsewhere["status"]),
        (&json!("InvalidAudienceError"), &json!("403 Forbidden"))
    );
}

/// Two more hosts, beside the home.
const MORE_HOSTS: &str = "[[app]]\nname = \"grades\"\nhost = \"grades.school.example\"\nupstream = \"http://@APP@\"\n\
     [[app]]\nname = \"clubs\"\nhost = \"*.clubs.school.example\"\nupstream = \"http://@APP@\"";

#[tokio::test(flavor = "multi_thread")]
async fn each_host_gets_one_of_its_own_and_no_client_says_for_which_port() {
    let world = World::with(&[ENABLED, ("routes", MORE_HOSTS)]).await;
    let mut app = App::of(world.address);
    let mut browser = world.signed_in("teacher-1").await;
    for host in ["grades.school.example", "chess.clubs.school.example"] {
        let (_, answer) = world.walk(&mut browser, &format!("https://{host}/page"), "teacher-1").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let cookie = browser.cookie(host, "__Host-schoolgate").unwrap();
        for spelling in [host.to_owned(), format!("{}.:443", host.to_uppercase()), format!("{host}:8443")] {
            let request = Request::get("/page").header("Host", &spelling);
            let request = request.header("Cookie", &format!("__Host-schoolgate={cookie}"));
            assert_eq!(world.send(request).await.status, 200);
            let said = part(&assertion(&world.echo), 1);
            assert_eq!((&said["aud"], &said["iss"]), (&json!(format!("https://{host}")), &json!(ORIGIN)), "{spelling}");
        }
        // The library does not take what they got.
        assert_eq!(app.refuses(Some(&assertion(&world.echo)), START), "InvalidAudienceError");
    }
}

#[tokio::test]
async fn a_web_server_that_asks_gets_it_for_the_app_that_it_asks_about() {
    let trusted = ("server", "trusted_proxies = [\"127.0.0.1\"]");
    let question = |url: &str| {
        Request::get("/.schoolgate/auth")
            .header("Host", "127.0.0.1:8080")
            .header("X-Original-URL", url)
            .header("X-Original-Method", "GET")
    };
    let world = World::with(&[ENABLED, trusted, ("routes", MORE_HOSTS)]).await;
    let mut browser = world.signed_in("teacher-1").await;
    let answer = browser.send(&at("/"), question(&at("/page")), false).await;
    assert_eq!(answer.status, 200);
    assert_eq!(part(answer.header(ASSERTION).unwrap(), 1)["aud"], ORIGIN);
    let answer = browser.send(&at("/"), question("https://grades.school.example/page"), false).await;
    assert_eq!((answer.status, answer.header(ASSERTION)), (401, None), "the session is of another host");
    for target in ["/public", "/optional"] {
        let forged = question(&at(target)).header(ASSERTION, "forged.forged.forged");
        let answer = world.send(forged).await;
        assert_eq!((answer.status, answer.header(ASSERTION)), (200, None), "{target}");
    }
    // When there should be one and is none, nobody is let in.
    let (echo, store) = (Echo::start().await, spoilt().await);
    let world = World::before_with_store(&echo.address.to_string(), &[ENABLED, trusted], store).await;
    let mut browser = world.signed_in("teacher-1").await;
    for target in ["/page", "/optional"] {
        let answer = browser.send(&at("/"), question(&at(target)), false).await;
        assert_eq!((answer.status, answer.header(ASSERTION)), (503, None), "{target}");
        assert_eq!(answer.header("x-forwarded-user"), None);
    }
}

#[tokio::test]
async fn it_is_used_again_while_it_is_young_and_ends_with_the_session() {
    let world = World::with(&[ENABLED]).await;
    let mut browser = world.signed_in("teacher-1").await;
    page(&mut browser).await;
    let first = assertion(&world.echo);
    world.clock.advance(Duration::from_secs(150));
    page(&mut browser).await;
    assert_eq!(assertion(&world.echo), first);
    world.clock.advance(Duration::from_secs(1));
    page(&mut browser).await;
    assert_eq!(part(&assertion(&world.echo), 1)["iat"], START + 151);
    // Another session of the same person has its own.
    let mut other = world.signed_in("pupil-7").await;
    page(&mut other).await;
    assert_eq!(part(&assertion(&world.echo), 1)["sub"], world.subject("pupil-7"));
    browser.open(&at("/.schoolgate/sign-out")).await;
    world.echo.forget();
    assert_eq!(browser.fetch(&at("/page")).await.status, 401);
    browser.fetch(&at("/optional")).await;
    assert_eq!(world.echo.last().header(ASSERTION), None);
}

#[tokio::test]
async fn whoever_is_nobody_gets_none() {
    let world = World::with(&[ENABLED]).await;
    let mut browser = world.signed_in("teacher-1").await;
    for target in ["/public", "/public/page?x=1"] {
        browser.open(&at(target)).await;
        assert_eq!(world.echo.last().header(ASSERTION), None, "no session is looked at there");
    }
    world.send(Request::get("/optional")).await;
    assert_eq!(world.echo.last().header(ASSERTION), None);
    browser.open(&at("/optional")).await;
    assert_eq!(part(&assertion(&world.echo), 1)["sub"], world.subject("teacher-1"));
}

#[tokio::test]
async fn what_a_client_sends_under_its_name_never_arrives() {
    let spellings = [
        "X-Schoolgate-Assertion",
        "x-schoolgate-assertion",
        "X_SCHOOLGATE_ASSERTION",
        "X_Schoolgate-Assertion",
        "X.Schoolgate.Assertion",
        "HTTP_X_SCHOOLGATE_ASSERTION",
        "Http-X-Schoolgate-Assertion",
        "X-Schoolgate~Assertion",
    ];
    for is_enabled in [true, false] {
        let lines: &[_] = if is_enabled { &[ENABLED] } else { &[] };
        let world = World::with(lines).await;
        let browser = world.signed_in("teacher-1").await;
        let cookie = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
        for target in ["/public", "/optional", "/page"] {
            for is_somebody in [true, false] {
                for (name, connection) in spellings.iter().flat_map(|name| [(*name, "close"), (*name, *name)]) {
                    world.echo.forget();
                    let mut request = Request::get(target).header(name, "forged.forged.forged");
                    if is_somebody {
                        request = request.header("Cookie", &cookie).header(name, "forged.forged.forged");
                    }
                    // What a client says of its connection takes nothing away from what the gateway adds.
                    request = request.header("Connection", connection);
                    let answer = world.send(request).await;
                    if target == "/page" && !is_somebody {
                        assert_eq!((answer.status, world.echo.count()), (401, 0));
                        continue;
                    }
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    let seen = world.echo.last();
                    assert!(!seen.headers.iter().any(|(_, value)| value.contains("forged")), "{name}: {seen:?}");
                    let came =
                        seen.headers.iter().filter(|(name, _)| name.to_lowercase().contains("assertion")).count();
                    let is_due = is_enabled && is_somebody && target != "/public";
                    assert_eq!(came, usize::from(is_due), "{name} {target}: {seen:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_keys_are_there_for_everybody_on_every_host() {
    let open = "[[app]]\nname = \"open\"\nhost = \"open.school.example\"\nupstream = \"http://127.0.0.1:9\"\n\
                [[app.route]]\npath = \"/\"\naccess = \"public\"";
    let world = World::with(&[ENABLED, ("routes", open)]).await;
    let answer = world.send(Request::get(JWKS)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    for (name, value) in
        [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")]
    {
        assert_eq!(answer.header(name), Some(value));
    }
    assert!(answer.header("content-security-policy").is_some() && answer.header("set-cookie").is_none());
    let keys = answer.json();
    let key = keys["keys"][0].as_object().unwrap();
    let members: Vec<_> = key.keys().map(String::as_str).collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"], "and nothing of the private half");
    assert_eq!((&key["alg"], &key["use"], &key["crv"]), (&json!("ES256"), &json!("sig"), &json!("P-256")));
    assert_eq!(world.send(Request::get(&format!("{JWKS}?x=%ff&x"))).await.json(), keys);
    let elsewhere = world.send(Request::get(JWKS).header("Host", "open.school.example")).await;
    assert_eq!((elsewhere.status, elsewhere.json()), (200, keys.clone()));
    let head = world.send(Request::new("HEAD", JWKS)).await;
    assert_eq!((head.status, head.header("content-length")), (200, answer.header("content-length")));
    let post = world.send(Request::new("POST", JWKS)).await;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
    for target in ["/.schoolgate/jwks.json/", "/.schoolgate/JWKS.json", "/.schoolgate/jwks"] {
        assert_eq!(world.send(Request::get(target)).await.status, 404, "{target}");
    }
    assert_eq!(world.send(Request::get(JWKS).header("Host", "elsewhere.example")).await.status, 421);
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn without_assertions_there_are_no_keys() {
    let world = World::start().await;
    let answer = world.send(Request::get(JWKS)).await;
    assert_eq!((answer.status, answer.text()), (200, r#"{"keys":[]}"#.to_owned()));
    let mut browser = world.signed_in("teacher-1").await;
    page(&mut browser).await;
    assert_eq!(world.echo.last().header(ASSERTION), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_known_to_apps_before_it_signs_and_the_old_one_after() {
    let world = World::with(&[ENABLED]).await;
    let now = || world.clock.now().seconds();
    let mut browser = world.signed_in("teacher-1").await;
    page(&mut browser).await;
    let old = kid(&assertion(&world.echo));
    world.clock.advance(DAY * 28);
    assert_eq!(publishes(world.address, 1).await, std::slice::from_ref(&old));
    // A day before its time the next one is there.
    world.clock.advance(DAY);
    let both = publishes(world.address, 2).await;
    assert_eq!(both[0], old);
    let mut app = App::of(world.address);
    let mut browser = world.signed_in("teacher-1").await;
    page(&mut browser).await;
    app.believes(&assertion(&world.echo), now());
    // From here on the app has what it has.
    let nowhere = json!({ "assertion": null, "at": 0, "keys": "http://127.0.0.1:9/" });
    assert_eq!(app.ask(&nowhere)["status"], "403 Forbidden");
    world.clock.advance(DAY - Duration::from_secs(60));
    let mut browser = world.signed_in("teacher-1").await;
    page(&mut browser).await;
    let last = assertion(&world.echo);
    assert_eq!(kid(&last), old);
    app.believes(&last, now());
    world.clock.advance(Duration::from_secs(3600 + 120));
    page(&mut browser).await;
    let first = assertion(&world.echo);
    assert_eq!(kid(&first), both[1]);
    assert_eq!(app.believes(&first, now())["sub"], world.subject("teacher-1"));
    // One that has just come knows the old key too.
    let mut newcomer = App::of(world.address);
    newcomer.believes(&last, now() - 3600);
    // A day later the old one is gone.
    assert_eq!(publishes(world.address, 2).await, both);
    world.clock.advance(DAY + Duration::from_secs(3600));
    assert_eq!(publishes(world.address, 1).await, both[1..]);
}

/// A configuration with the sessions in the file.
fn with_file(site: &Site) -> String {
    site.configuration(&[ENABLED]).replace("store = \"memory\"", "store = \"file\"")
}

/// The private halves in a store that nobody uses any more.
async fn private_halves(state: &Path) -> Vec<String> {
    let key = fs::read_to_string(state.join("session.key")).unwrap();
    let codec = Codec::new(Arc::new(Sealer::from_key_file(&key).unwrap()), Arc::new(SystemEntropy));
    let lifetimes = Lifetimes { idle_timeout: DAY, max_lifetime: DAY };
    let path = state.join(FileStore::NAME);
    let store = FileStore::open(&path, lifetimes, codec, Arc::new(SystemClock)).unwrap();
    let note = store.note(&NoteName::of("assertion", "keys")).await.unwrap().expect("the keys are in the store");
    let set: Value = serde_json::from_slice(note.value()).unwrap();
    let halves: Vec<_> =
        set["keys"].as_array().unwrap().iter().map(|key| key["key"].as_str().unwrap().to_owned()).collect();
    assert_eq!((halves.len(), halves[0].len()), (1, 43));
    halves
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_outlive_a_restart_and_their_private_halves_are_seen_nowhere() {
    let site = Site::start().await;
    let mut program = site.spawn(&with_file(&site));
    program.started().await;
    let mut browser = program.signed_in("teacher-1").await;
    page(&mut browser).await;
    let first = assertion(&site.echo);
    let keys = jwks(program.address()).await;
    program.kill().await;

    let mut program = site.spawn(&with_file(&site));
    program.started().await;
    assert_eq!(jwks(program.address()).await, keys);
    browser.move_to(program.address());
    page(&mut browser).await;
    let second = assertion(&site.echo);
    assert_eq!(kid(&first), kid(&second));
    let mut app = App::of(program.address());
    for (one, claims) in [(&first, part(&first, 1)), (&second, part(&second, 1))] {
        app.believes(one, claims["iat"].as_u64().unwrap());
    }
    let own = ["/.schoolgate/", "/.schoolgate/me", JWKS, "/.schoolgate/nothing"];
    let mut shown = String::new();
    for target in own {
        shown += &browser.open(&at(target)).await.text();
    }
    program.terminate().await;
    let (status, log) = program.ended().await;
    assert_eq!(status.code(), Some(0));

    let state = site.path("state");
    let at_rest = fs::read(state.join(FileStore::NAME)).unwrap();
    for half in private_halves(&state).await {
        let bytes = URL_SAFE_NO_PAD.decode(&half).unwrap();
        assert!(!at_rest.windows(bytes.len()).any(|window| window == bytes), "the store has it in the clear");
        assert!(!at_rest.windows(half.len()).any(|window| window == half.as_bytes()), "the store has it in the clear");
        assert!(!log.contains(&half) && !shown.contains(&half));
    }
    for one in [&first, &second] {
        assert!(!log.contains(one.rsplit_once('.').unwrap().1), "an assertion is in the log");
        assert!(!shown.contains(one.rsplit_once('.').unwrap().1), "an assertion is on a page");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_that_share_a_redis_have_one_set() {
    let site = Site::start().await;
    let district = District::new(&site, Server::with(&["--appendonly", "yes", "--appenddirname", "written"]));
    // Both at once.
    let [mut one, mut two] = [1, 2]
        .map(|house| site.spawn_as(&format!("gateway-{house}"), &district.configuration(&site, house, &[ENABLED])));
    one.started().await;
    two.started().await;
    let keys = jwks(one.address()).await;
    assert_eq!(kids(&keys).len(), 1);
    assert_eq!(jwks(two.address()).await, keys);
    let mut browser = one.signed_in("teacher-1").await;
    let mut app = App::of(two.address());
    for gateway in [&one, &two] {
        browser.move_to(gateway.address());
        page(&mut browser).await;
        let said = assertion(&site.echo);
        assert_eq!(kid(&said), kids(&keys)[0]);
        let claims = part(&said, 1);
        assert_eq!(app.believes(&said, claims["iat"].as_u64().unwrap()), claims);
    }
    // One that comes later, when the others are gone, goes on with the same.
    one.kill().await;
    two.kill().await;
    let three = district.start(&site, 3, &[ENABLED]).await;
    assert_eq!(jwks(three.address()).await, keys);
    // Nothing in Redis has the shape of the set.
    let written = bytes_below(&district.redis.path("written"));
    for text in ["signs_from", "\"keys\""] {
        assert!(!written.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
    assert!(written.windows(5).any(|window| window == b"note:"));
}

fn bytes_below(folder: &Path) -> Vec<u8> {
    fs::read_dir(folder).unwrap().flat_map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// A store in which something else stands in the place of the keys.
async fn spoilt() -> Arc<dyn Store> {
    let lifetimes = Lifetimes { idle_timeout: DAY, max_lifetime: DAY };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(lifetimes, Arc::new(SystemClock)));
    let name = NoteName::of("assertion", "keys");
    assert_eq!(store.swap_note(&name, None, Some(b"not a set"), DAY).await, Ok(Swap::Done));
    store
}

fn is_denied(answer: &Answer) {
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{}", answer.text());
    assert!(answer.text().contains("vouch"), "{}", answer.text());
}

#[tokio::test]
async fn without_a_key_nobody_gets_through_whom_it_should_vouch_for() {
    let (echo, store) = (Echo::start().await, spoilt().await);
    let lines = [ENABLED, ("app", "sign_out_paths = [\"/logout\"]")];
    let world = World::before_with_store(&echo.address.to_string(), &lines, Arc::clone(&store)).await;
    let mut browser = world.signed_in("teacher-1").await;
    for target in ["/page", "/optional", "/"] {
        is_denied(&browser.open(&at(target)).await);
        is_denied(&browser.fetch(&at(target)).await);
    }
    is_denied(&world.send(Request::get(JWKS)).await);
    assert_eq!(echo.count(), 0, "nothing went to the app without an assertion");
    // Whom it says nothing of goes through.
    for target in ["/public", "/optional"] {
        assert_eq!(world.send(Request::get(target)).await.status, 200);
        assert_eq!(echo.last().header(ASSERTION), None);
    }
    assert_eq!(browser.open(&at("/.schoolgate/me")).await.status, 200);
    // When the keys can be had again, so can pages, without a restart.
    let name = NoteName::of("assertion", "keys");
    let note = store.note(&name).await.unwrap();
    assert_eq!(store.swap_note(&name, note.as_ref(), None, DAY).await, Ok(Swap::Done));
    world.clock.advance(Duration::from_secs(60));
    page(&mut browser).await;
    assert!(echo.last().header(ASSERTION).is_some());
}

#[tokio::test]
async fn without_a_key_one_can_leave_all_the_same() {
    let (echo, store) = (Echo::start().await, spoilt().await);
    let lines = [ENABLED, ("app", "sign_out_paths = [\"/logout\"]")];
    let world = World::before_with_store(&echo.address.to_string(), &lines, store).await;
    let mut browser = world.signed_in("teacher-1").await;
    is_denied(&browser.open(&at("/logout")).await);
    assert!(browser.cookie(HOST, "__Host-schoolgate").is_none());
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 401);
}
