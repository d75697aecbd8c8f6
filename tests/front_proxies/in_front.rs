//! A web server in front of the gateway, which passes everything on to it (`docs/trusted-proxies.md`), with the lines of
//! `gateway.toml` that `docs/recipes/web-servers.md` prints.

use crate::{
    front::{Front, Proxy},
    support::{Browser, Connection, Document, HOST, Request, World, world::at, world::through_apple},
};

struct Scene {
    world: World,
    front: Front,
}

impl Scene {
    async fn of(proxy: &Proxy) -> Self {
        let page = Document::of("docs/recipes/web-servers.md");
        assert_eq!(page.names(), ["gateway.toml"]);
        let line = page.block("gateway.toml").lines().find(|line| line.starts_with("trusted_proxies")).unwrap();
        let world = World::with(&[("server", line)]).await;
        let front = Front::start(proxy, world.address, world.echo.address);
        Self { world, front }
    }

    fn browser(&self) -> Browser {
        Browser::new(self.front.address)
    }

    async fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        let answer = through_apple(&mut browser, "/start", "teacher-1").await;
        assert_eq!((answer.status, answer.location()), (303, "/start"), "{}", answer.text());
        browser
    }
}

pub(crate) async fn a_person_signs_in_and_the_app_knows_who_and_from_where(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.signed_in().await;
    assert_eq!(browser.open(&at("/start")).await.status, 200);
    let seen = scene.world.echo.last();
    assert_eq!(seen.header("x-forwarded-user"), Some(&*scene.world.subject("teacher-1")));
    assert_eq!(seen.header("host"), Some(HOST));
    // The client and the web server, both on this machine.
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1, 127.0.0.1"));
    browser.open(&at("/.schoolgate/sign-out")).await;
    assert_eq!(browser.fetch(&at("/start")).await.status, 401);
}

pub(crate) async fn nobody_says_where_they_are_or_which_host_they_ask(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.signed_in().await;
    let honest = {
        assert_eq!(browser.open(&at("/page")).await.status, 200);
        scene.world.echo.last()
    };
    for (name, value) in [
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "gopher"),
        ("X-Real-IP", "6.6.6.6"),
        ("Forwarded", "for=6.6.6.6;host=evil.example"),
        ("X-Forwarded-User", "somebody-else"),
    ] {
        let answer = browser.send(&at("/page"), Request::get("/page").header(name, value), false).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let seen = scene.world.echo.last();
        for told in
            ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-user", "x-real-ip", "forwarded"]
        {
            assert_eq!(seen.header(told), honest.header(told), "{name}");
        }
    }
}

pub(crate) async fn what_only_web_servers_may_ask_is_not_there(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.signed_in().await;
    for path in ["/.schoolgate/auth", "/.schoolgate/auth?x", "/.schoolgate/%61uth"] {
        let described = [("X-Forwarded-Host", HOST), ("X-Forwarded-Uri", "/"), ("X-Forwarded-Method", "GET")];
        let original = at("/");
        for headers in [&[][..], &described, &[("X-Original-URL", &*original), ("X-Original-Method", "GET")]] {
            let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(name, value));
            let answer = browser.send(&at("/"), request, false).await;
            assert!(matches!(answer.status, 400..=499), "{path}: {answer:?}");
            assert_eq!(answer.header("x-forwarded-access-token"), None, "{path}");
        }
    }
}

pub(crate) async fn the_path_and_the_body_arrive_as_they_were_sent(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.signed_in().await;
    for target in ["/a%20b?x=%2F&y=a%20b", "/%C3%A4?", "/a+b"] {
        let request = Request::new("POST", target).body("text/plain", "x".repeat(2_000_000));
        assert_eq!(browser.send(&at("/"), request, false).await.status, 200, "{target}");
        assert_eq!(scene.world.echo.last().target, target);
    }
    // What the gateway refuses, the web server has not repaired before.
    assert_eq!(browser.send(&at("/"), Request::get("/a%2fb"), false).await.status, 400);
    assert_eq!(browser.send(&at("/"), Request::get("/a//b"), false).await.status, 400);
}

pub(crate) async fn twenty_tabs_sign_in_side_by_side(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.browser();
    // Cookies remember where each tab wanted to go: together they are longer than what web servers take by default.
    let path = |tab: usize| format!("/tab-{tab}?{}", "x".repeat(150));
    let mut tabs = Vec::new();
    for tab in 0..20 {
        tabs.push(browser.open(&at(&path(tab))).await.location().to_owned());
    }
    for (tab, authorize) in tabs.iter().enumerate() {
        let callback = scene.world.at_apple(authorize, "teacher-1").await;
        let answer = browser.open(&callback).await;
        assert_eq!((answer.status, answer.location()), (303, &*path(tab)), "{}", answer.text());
    }
}

pub(crate) async fn a_websocket_passes(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let browser = scene.signed_in().await;
    let cookie = browser.cookie(HOST, "__Host-schoolgate").unwrap();
    let mut connection = Connection::open(scene.front.address).await;
    let request = Request::get("/ws")
        .header("Host", HOST)
        .header("Cookie", &format!("__Host-schoolgate={cookie}"))
        .header("Origin", &format!("https://{HOST}"))
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    connection.write(&request.bytes()).await;
    connection.answer().await;
    let seen = scene.world.echo.last();
    assert_eq!(seen.header("upgrade"), Some("websocket"));
    assert_eq!(seen.header("x-forwarded-user"), Some(&*scene.world.subject("teacher-1")));
}
