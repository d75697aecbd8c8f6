//! A store of sessions that cannot be reached: nobody gets in by that, and nobody is sent to Apple for it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use schoolgate::{
    clock::{SystemClock, Timestamp},
    demo::{Endpoint, Gate, Notice, Service, Trouble},
    session::{
        End, Holder, Lease, Lifetimes, Listener, Mark, MemoryStore, Note, NoteName, Queue, Record, Removal, Selector,
        SessionKey, Sharing, Store, StoreError, Stored, Swap, Waiting,
    },
};
use support::{Answer, Browser, Connection, HOST, Php, RawApp, Request, World, php::COOKIE, world::at};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Barrier, Semaphore},
    task::JoinHandle,
    time::timeout,
};

/// No test waits longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A memory store that can be taken away.
#[derive(Debug)]
struct Fragile {
    inner: MemoryStore,
    down: AtomicBool,
    keeps_nothing_new: AtomicBool,
    keeps_no_marks: AtomicBool,
    /// Whoever removes something passes here, one at a time.
    turnstile: Semaphore,
    removals: AtomicUsize,
    /// Whoever reads a note goes on when another one has read too.
    readers_meet: AtomicBool,
    meeting: Barrier,
}

impl Fragile {
    fn new() -> Arc<Self> {
        let lifetimes =
            Lifetimes { idle_timeout: Duration::from_secs(8 * 3600), max_lifetime: Duration::from_secs(86_400) };
        let inner = MemoryStore::new(lifetimes, Arc::new(SystemClock));
        let [down, keeps_nothing_new, keeps_no_marks, readers_meet] = [(); 4].map(|()| AtomicBool::new(false));
        let (turnstile, removals, meeting) = (Semaphore::new(1), AtomicUsize::new(0), Barrier::new(2));
        Arc::new(Self { inner, down, keeps_nothing_new, keeps_no_marks, turnstile, removals, readers_meet, meeting })
    }

    fn up(&self) -> Result<&MemoryStore, StoreError> {
        if self.down.load(Ordering::SeqCst) { Err(StoreError::Unavailable("down".into())) } else { Ok(&self.inner) }
    }

    fn is_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for Fragile {
    fn listen(&self, listener: Weak<dyn Listener>) -> Sharing {
        self.inner.listen(listener)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.up()?.ready().await
    }

    async fn insert(&self, key: SessionKey, stored: Stored) -> Result<(), StoreError> {
        if self.keeps_nothing_new.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("full".into()));
        }
        self.up()?.insert(key, stored).await
    }

    async fn find(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError> {
        self.up()?.find(key).await
    }

    async fn touch(&self, seen: &[(SessionKey, Timestamp)]) -> Result<(), StoreError> {
        self.up()?.touch(seen).await
    }

    async fn replace(&self, key: &SessionKey, expected: u64, record: Arc<Record>) -> Result<bool, StoreError> {
        if self.keeps_nothing_new.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("full".into()));
        }
        self.up()?.replace(key, expected, record).await
    }

    async fn remove(&self, ends: Vec<End>) -> Result<Vec<Removal>, StoreError> {
        self.removals.fetch_add(1, Ordering::SeqCst);
        let _pass = self.turnstile.acquire().await.unwrap();
        self.up()?.remove(ends).await
    }

    async fn keys_of(&self, whose: &Selector) -> Result<Vec<SessionKey>, StoreError> {
        self.up()?.keys_of(whose).await
    }

    async fn page(&self, after: Option<&SessionKey>, most: usize) -> Result<Vec<(SessionKey, Stored)>, StoreError> {
        self.up()?.page(after, most).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        self.up()?.count().await
    }

    async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.up()?.sweep(now).await
    }

    async fn lease(&self, key: &SessionKey, holder: &Holder, length: Duration) -> Result<Lease, StoreError> {
        self.up()?.lease(key, holder, length).await
    }

    async fn release(&self, key: &SessionKey, holder: &Holder, cool_down: Duration) -> Result<(), StoreError> {
        self.up()?.release(key, holder, cool_down).await
    }

    async fn mark(&self, mark: &Mark, keep: Duration) -> Result<bool, StoreError> {
        if self.keeps_no_marks.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("full".into()));
        }
        self.up()?.mark(mark, keep).await
    }

    async fn is_marked(&self, mark: &Mark) -> Result<bool, StoreError> {
        self.up()?.is_marked(mark).await
    }

    async fn note(&self, name: &NoteName) -> Result<Option<Note>, StoreError> {
        let note = self.up()?.note(name).await;
        if self.readers_meet.load(Ordering::SeqCst) {
            self.meeting.wait().await;
        }
        note
    }

    async fn swap_note(
        &self,
        name: &NoteName,
        expected: Option<&Note>,
        new: Option<&[u8]>,
        keep: Duration,
    ) -> Result<Swap, StoreError> {
        self.up()?.swap_note(name, expected, new, keep).await
    }

    async fn enqueue(&self, waiting: Waiting) -> Result<bool, StoreError> {
        self.up()?.enqueue(waiting).await
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, most: usize) -> Result<Vec<Waiting>, StoreError> {
        self.up()?.claim(now, until, most).await
    }

    async fn postpone(&self, waiting: &Waiting, due: Timestamp) -> Result<(), StoreError> {
        self.up()?.postpone(waiting, due).await
    }

    async fn settle(&self, waiting: &Waiting) -> Result<(), StoreError> {
        self.up()?.settle(waiting).await
    }

    async fn queue(&self) -> Result<Queue, StoreError> {
        self.up()?.queue().await
    }
}

#[tokio::test]
async fn a_store_that_is_down_denies_with_503_and_lets_public_routes_be() {
    let store = Fragile::new();
    let world = World::with_store(Arc::<Fragile>::clone(&store)).await;
    let mut browser = world.signed_in("teacher-1").await;
    world.echo.forget();
    store.is_down(true);
    let own = ["/.schoolgate/", "/.schoolgate/me", "/.schoolgate/sign-out", "/.schoolgate/sign-in"];
    for path in ["/", "/optional", "/classes", "/staff"].into_iter().chain(own) {
        for answer in [browser.open(&at(path)).await, browser.fetch(&at(path)).await] {
            assert_eq!(answer.status, 503, "{path}: {}", answer.text());
            assert!(answer.header("retry-after").is_some(), "{path}");
            assert_eq!(answer.header("location"), None, "{path}: never a redirect to Apple");
            assert_eq!(answer.all("set-cookie").count(), 0, "{path}: nobody is told that they are signed out");
        }
    }
    assert_eq!(world.echo.count(), 0);
    assert_eq!(browser.open(&at("/public")).await.status, 200);
    store.is_down(false);
    assert_eq!(browser.open(&at("/")).await.status, 200, "all is as before");
}

#[tokio::test]
async fn the_page_for_operators_shows_that_the_store_is_down_and_everything_else() {
    let store = Fragile::new();
    let world = World::with_store(Arc::<Fragile>::clone(&store)).await;
    world.signed_in("teacher-1").await;
    let own = world.admin.to_string();
    let page = Request::get("/").header("Host", &own).send(world.admin).await.text();
    let permit = page.split("name=\"permit\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    store.is_down(true);
    for target in ["/", "/?q=somebody"] {
        let answer = Request::get(target).header("Host", &own).send(world.admin).await;
        assert_eq!(answer.status, 200);
        for text in ["Not ready", "The sessions cannot be listed", "down", "Signed in at Apple", "Apple&#39;s keys"] {
            assert!(answer.text().contains(text), "{text}: {}", answer.text());
        }
    }
    let form = [("permit", permit), ("what", "all=true")];
    let answer = Request::new("POST", "/confirm").header("Host", &own).form(&form).send(world.admin).await;
    assert_eq!((answer.status, answer.header("content-type")), (503, Some("text/html; charset=utf-8")));
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn no_web_server_hears_yes_while_the_store_is_down() {
    let store = Fragile::new();
    let listed = [("server", "trusted_proxies = [\"127.0.0.1\"]")];
    let echo = support::Echo::start().await;
    let kept = Arc::<Fragile>::clone(&store);
    let world = World::before_with_store(&echo.address.to_string(), &listed, kept).await;
    let mut browser = world.signed_in("teacher-1").await;
    let asked = |path: &str| {
        let question = || Request::get("/.schoolgate/auth").header("X-Forwarded-Method", "GET").navigation();
        let a = question().header("X-Original-URL", &at(path));
        [a, question().header("X-Forwarded-Host", HOST).header("X-Forwarded-Uri", path)]
    };
    for (down, path, status) in
        [(true, "/page", 503), (true, "/optional", 503), (true, "/public", 200), (false, "/page", 200)]
    {
        store.is_down(down);
        for request in asked(path) {
            let answer = browser.send(&at("/"), request, false).await;
            assert_eq!((answer.status, answer.all("set-cookie").count()), (status, 0), "{path}: {answer:?}");
            assert_eq!(answer.header("retry-after").is_some(), status == 503, "{answer:?}");
            assert_eq!(answer.header("x-forwarded-user").is_some(), !down, "{answer:?}");
        }
    }
}

/// An app with sessions of its own, before which the store can be taken away.
async fn classroom() -> (Php, Arc<Fragile>, World) {
    let (php, store) = (Php::start("; Path=/").await, Fragile::new());
    let keys = "clear_cookies = [\"PHPSESSID\"]\nsign_out_paths = [\"/logout.php\", \"/public/logout.php\"]";
    let kept = Arc::<Fragile>::clone(&store);
    let world = World::before_with_store(&php.address.to_string(), &[("app", keys)], kept).await;
    (php, store, world)
}

#[tokio::test]
async fn an_apps_sign_out_does_not_reach_the_app_when_the_session_cannot_be_ended() {
    let (php, store, world) = classroom().await;
    let mut browser = world.signed_in("teacher-1").await;
    store.is_down(true);
    for path in ["/logout.php", "/public/logout.php"] {
        let answer = browser.open(&at(path)).await;
        assert_eq!((answer.status, answer.all("set-cookie").count()), (503, 0), "{path}: {}", answer.text());
    }
    assert_eq!(php.count(), 0);
    store.is_down(false);
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 200);
    // Where there is no session, there is nothing to end.
    store.is_down(true);
    assert_eq!(world.browser().open(&at("/public/logout.php")).await.status, 200);
}

#[tokio::test]
async fn on_a_public_page_an_apps_session_waits_until_it_is_known_whose_it_is() {
    let (php, store, world) = classroom().await;
    let mut browser = world.signed_in("teacher-1").await;
    let said = browser.open(&at("/page")).await.text();
    let kept = browser.cookie(HOST, COOKIE);
    store.is_down(true);
    let answer = browser.open(&at("/public/page")).await;
    assert_eq!(answer.status, 200);
    assert!(!php.last().1.contains(COOKIE), "nobody knows who it is: {:?}", php.last());
    assert_eq!((answer.all("set-cookie").count(), browser.cookie(HOST, COOKIE)), (0, kept));
    store.is_down(false);
    assert_eq!(browser.open(&at("/public/page")).await.text(), said);
    assert_eq!(browser.open(&at("/page")).await.text(), said);
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_kept_is_none_and_its_tokens_are_revoked() {
    let store = Fragile::new();
    let world = World::with_store(Arc::<Fragile>::clone(&store)).await;
    let mut browser = world.browser();
    let answer = browser.open(&at("/")).await;
    let callback = world.at_apple(answer.location(), "teacher-1").await;
    store.keeps_nothing_new.store(true, Ordering::SeqCst);
    let answer = browser.open(&callback).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(browser.cookie_names(HOST), Vec::<String>::new());
    world.reached(Endpoint::Revoke, 1).await;
    assert_eq!(world.send(Request::get("/")).await.status, 401);
}

#[tokio::test]
async fn a_sign_in_while_the_store_is_down_uses_nothing_up_and_can_be_finished_later() {
    let store = Fragile::new();
    let world = World::with_store(Arc::<Fragile>::clone(&store)).await;
    let mut browser = world.browser();
    let answer = browser.open(&at("/start")).await;
    let callback = world.at_apple(answer.location(), "teacher-1").await;
    store.is_down(true);
    let answer = browser.open(&callback).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(world.apple.calls().count(Endpoint::Exchange), 0, "the code is still good");
    store.is_down(false);
    let answer = browser.open(&callback).await;
    assert_eq!((answer.status, answer.location()), (303, "/start"), "{}", answer.text());
}

/// A gateway whose Apple gives a new refresh token each time, and holds its next answer back; somebody whose access
/// token has `left` to live, or is dead, waits for it.
async fn waiting_for_apple(store: &Arc<Fragile>, left: Duration) -> (World, Browser, Gate, JoinHandle<Answer>) {
    let world = World::with_store(Arc::<Fragile>::clone(store)).await;
    world.apple.switches().change(|behaviour| behaviour.refresh_rotation = true);
    let browser = world.signed_in("teacher-1").await;
    world.clock.advance(Duration::from_secs(3600) - left);
    let gate = Gate::closed();
    world.apple.switches().trouble(Endpoint::Refresh, Trouble::HoldAnswer(gate.clone()));
    let mut waits = browser.clone();
    let waiting = tokio::spawn(async move { waits.fetch(&at("/")).await });
    world.reached(Endpoint::Refresh, 1).await;
    (world, browser, gate, waiting)
}

/// Lets time pass until a page is opened; fails when it never is.
async fn opens_again(world: &World, browser: &Browser) {
    for _ in 0..100 {
        let answer = browser.clone().fetch(&at("/")).await;
        if answer.status == 200 {
            return;
        }
        assert_eq!(answer.status, 503, "nobody is signed out: {}", answer.text());
        world.clock.advance(Duration::from_millis(100));
    }
    panic!("it does not recover");
}

#[tokio::test]
async fn a_token_that_apple_gives_while_the_store_is_down_is_not_lost() {
    let store = Fragile::new();
    let (world, browser, gate, waiting) = waiting_for_apple(&store, Duration::ZERO).await;
    store.is_down(true);
    gate.open();
    let answer = waiting.await.unwrap();
    assert_eq!(answer.status, 503, "nobody waits for the store: {}", answer.text());
    assert!(answer.header("retry-after").is_some());
    for _ in 0..5 {
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(browser.clone().fetch(&at("/")).await.status, 503);
    }
    store.is_down(false);
    opens_again(&world, &browser).await;
    assert_eq!(world.apple.calls().count(Endpoint::Refresh), 1, "the old one would be refused");
}

#[tokio::test]
async fn a_token_that_cannot_be_kept_costs_nothing_while_the_old_one_lives_and_apple_is_not_asked_again() {
    let store = Fragile::new();
    let (world, browser, gate, waiting) = waiting_for_apple(&store, Duration::from_secs(200)).await;
    store.keeps_nothing_new.store(true, Ordering::SeqCst);
    gate.open();
    assert_eq!(waiting.await.unwrap().status, 200);
    let old = world.echo.access_token();
    for _ in 0..5 {
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(browser.clone().fetch(&at("/")).await.status, 200);
        assert_eq!(world.echo.access_token(), old);
    }
    store.keeps_nothing_new.store(false, Ordering::SeqCst);
    for _ in 0..100 {
        world.clock.advance(Duration::from_millis(100));
        assert_eq!(browser.clone().fetch(&at("/")).await.status, 200);
        if world.echo.access_token() != old {
            break;
        }
    }
    assert_ne!(world.echo.access_token(), old);
    assert_eq!(world.apple.calls().count(Endpoint::Refresh), 1);
}

#[tokio::test]
async fn a_token_that_was_kept_too_late_is_revoked_when_its_session_has_ended() {
    let store = Fragile::new();
    let (world, browser, gate, waiting) = waiting_for_apple(&store, Duration::ZERO).await;
    store.keeps_nothing_new.store(true, Ordering::SeqCst);
    gate.open();
    assert_eq!(waiting.await.unwrap().status, 503);
    assert_eq!(browser.clone().open(&at("/.schoolgate/sign-out")).await.status, 200);
    world.reached(Endpoint::Revoke, 1).await;
    store.keeps_nothing_new.store(false, Ordering::SeqCst);
    for _ in 0..100 {
        world.clock.advance(Duration::from_millis(100));
        assert_eq!(browser.clone().fetch(&at("/")).await.status, 401);
        if world.apple.calls().count(Endpoint::Revoke) == 2 {
            return;
        }
    }
    panic!("the new token lives on at Apple");
}

/// A notification that a person took their consent back.
fn notification(world: &World, person: &str) -> String {
    let notice = Notice::ConsentRevoked(world.apple.person(person).unwrap().subject.clone());
    world.apple.notification(Service::Organization, "org.example.school.gateway", &notice)
}

async fn post(world: &World, body: &str) -> Answer {
    world.send(Request::new("POST", "/.schoolgate/notifications").body("application/json", body).navigation()).await
}

#[tokio::test]
async fn a_notification_while_the_store_is_down_is_to_come_again_and_then_counts() {
    let store = Fragile::new();
    let world = World::with_store(Arc::<Fragile>::clone(&store)).await;
    let mut browser = world.signed_in("teacher-1").await;
    let body = notification(&world, "teacher-1");
    store.is_down(true);
    let answer = post(&world, &body).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(post(&world, "{}").await.status, 400, "rubbish does not get as far as the store");
    store.is_down(false);
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 200);
    assert_eq!(post(&world, &body).await.status, 200);
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 401);
}

#[tokio::test]
async fn a_notification_of_which_only_the_half_was_done_counts_once_more() {
    let store = Fragile::new();
    let world = World::with_store(Arc::<Fragile>::clone(&store)).await;
    let mut browser = world.signed_in("teacher-1").await;
    let body = notification(&world, "teacher-1");
    store.keeps_no_marks.store(true, Ordering::SeqCst);
    assert_eq!(post(&world, &body).await.status, 503, "it could not be remembered");
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 401, "but what it says is done first");
    store.keeps_no_marks.store(false, Ordering::SeqCst);
    assert_eq!(post(&world, &body).await.status, 200);
    let mut again = world.signed_in("teacher-1").await;
    assert_eq!(post(&world, &body).await.status, 200);
    assert_eq!(again.fetch(&at("/.schoolgate/me")).await.status, 200, "from now on it is done");
}

#[tokio::test]
async fn operators_are_told_that_the_store_is_down_and_nothing_that_was_true_before() {
    let store = Fragile::new();
    let world = World::with_store(Arc::<Fragile>::clone(&store)).await;
    let mut browser = world.signed_in("teacher-1").await;
    let admin = async |method: &str, target: &str| {
        Request::new(method, target).header("Host", "localhost").send(world.admin).await
    };
    store.is_down(true);
    let unready = admin("GET", "/readyz").await;
    assert_eq!(unready.status, 503);
    let expected = serde_json::json!({
        "ready": false,
        "missing": ["the session store is not available: down"],
        "draining": false,
        "sessions": null,
        "revocations_waiting": null,
    });
    assert_eq!(unready.json(), expected);
    assert_eq!(admin("GET", "/livez").await.status, 200, "a restart would not help");
    let metrics = admin("GET", "/metrics").await;
    assert!(metrics.status == 200 && metrics.text().contains("\nschoolgate_store_up 0\n"), "{}", metrics.text());
    for name in ["\nschoolgate_sessions ", "\nschoolgate_revocations_waiting "] {
        assert!(!metrics.text().contains(name), "{}", metrics.text());
    }
    for (method, target) in [
        ("GET", "/sessions"),
        ("GET", "/sessions?user=x"),
        ("DELETE", "/sessions?all=true"),
        ("DELETE", "/sessions?user=x"),
    ] {
        let answer = admin(method, target).await;
        assert_eq!((answer.status, answer.header("content-type")), (503, Some("application/problem+json")));
        assert!(answer.header("retry-after").is_some() && answer.json()["detail"].to_string().contains("down"));
    }
    store.is_down(false);
    assert_eq!(admin("GET", "/readyz").await.status, 200);
    assert_eq!(browser.open(&at("/")).await.status, 200, "nothing has ended");
}

#[tokio::test]
async fn an_administrator_who_does_not_wait_has_ended_the_sessions_all_the_same() {
    let store = Fragile::new();
    let world = World::with_store(Arc::<Fragile>::clone(&store)).await;
    let mut browsers = [world.signed_in("teacher-1").await, world.signed_in("teacher-2").await];
    let held = store.turnstile.acquire().await.unwrap();
    let before = store.removals.load(Ordering::SeqCst);
    let mut connection = Connection::open(world.admin).await;
    connection.write(b"DELETE /sessions?all=true HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    while store.removals.load(Ordering::SeqCst) == before {
        tokio::task::yield_now().await;
    }
    // They hang up, and the listener has noticed when it does so, too.
    let mut stream = connection.into_stream();
    stream.shutdown().await.unwrap();
    assert_eq!(timeout(PATIENCE, stream.read(&mut [0; 1])).await.expect("it hangs up").unwrap(), 0);
    drop(held);
    let ended = async {
        for browser in &mut browsers {
            while browser.fetch(&at("/")).await.status != 401 {
                tokio::task::yield_now().await;
            }
        }
    };
    timeout(PATIENCE, ended).await.expect("both sessions end");
}

/// An app whose forms are kept, and a browser with the offer of one before it; what its button says.
async fn desk(app: &RawApp) -> (Arc<Fragile>, World, Browser, String) {
    let store = Fragile::new();
    let kept = Arc::<Fragile>::clone(&store);
    let world = World::before_with_store(&app.address.to_string(), &[("app", "keep_forms = true")], kept).await;
    let mut browser = world.signed_in("teacher-1").await;
    let end = Request::new("DELETE", "/sessions?all=true").header("Host", &world.admin.to_string());
    assert_eq!(end.send(world.admin).await.status, 200);
    let form = Request::new("POST", "/x").navigation().header("Origin", &at("")).form(&[("a", "b")]);
    let answer = browser.send(&at("/x"), form, false).await;
    let callback = world.at_apple(answer.location(), "teacher-1").await;
    assert_eq!(browser.open(&callback).await.location(), "/x");
    let offer = browser.open(&at("/x")).await.text();
    let (_, rest) = offer.split_once("value=\"send.").unwrap_or_else(|| panic!("{offer}"));
    let button = format!("send.{}", rest.split('"').next().unwrap());
    (store, world, browser, button)
}

/// The click; its status comes when the app has answered.
fn clicks(browser: &Browser, button: &str) -> JoinHandle<u16> {
    let (mut browser, click) = (browser.clone(), Request::new("POST", "/x").navigation());
    let click = click.form(&[("schoolgate-form", button)]);
    tokio::spawn(async move { browser.send(&at("/x"), click, false).await.status })
}

async fn app_answers(app: &RawApp) {
    let (mut connection, head) = app.request().await;
    assert!(head.starts_with("POST /x "), "{head}");
    connection.until("a=b").await;
    connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
}

#[tokio::test]
async fn while_the_store_is_down_a_form_is_neither_sent_nor_lost() {
    let app = RawApp::start().await;
    let (store, _world, browser, button) = desk(&app).await;
    store.is_down(true);
    assert_eq!(clicks(&browser, &button).await.unwrap(), 503);
    assert!(app.is_left_alone().await);
    store.is_down(false);
    let click = clicks(&browser, &button);
    app_answers(&app).await;
    assert_eq!(click.await.unwrap(), 200);
}

#[tokio::test]
async fn of_two_clicks_that_both_found_the_form_one_sends_it() {
    let app = RawApp::start().await;
    let (store, _world, browser, button) = desk(&app).await;
    store.readers_meet.store(true, Ordering::SeqCst);
    let (one, other) = (clicks(&browser, &button), clicks(&browser, &button));
    app_answers(&app).await;
    let mut statuses = [one.await.unwrap(), other.await.unwrap()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert!(app.is_left_alone().await);
}
