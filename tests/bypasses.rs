//! Every published bypass of a peer, by its identifier, tried here. `docs/mistakes-of-others.md` says what
//! went wrong there and why it cannot here; those about redirects alone are in `redirects.rs`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use schoolgate::demo::Endpoint;
use support::{
    Echo, HOST, Request, World,
    http::{Connection, query},
    world::{CALLBACK, at},
};

/// Bytes to the gateway; the status of the answer.
async fn raw(world: &World, bytes: impl AsRef<[u8]>) -> u16 {
    let mut connection = Connection::open(world.address).await;
    connection.write(bytes.as_ref()).await;
    connection.answer().await.status
}

#[tokio::test]
async fn a_stranger_reaches_nothing_by_another_spelling_of_the_target() {
    let world = World::with(&[("routes", "[[app.route]]\npath = \"/public/admin\"\n")]).await;
    for (id, target) in [
        ("CVE-2025-54576", "/start?x=/public"),
        ("CVE-2025-54576", "/start?/public/"),
        ("CVE-2025-54576", "/start?&/../public"),
        ("CVE-2026-41059", "/start#/public"),
        ("CVE-2026-41059", "/start%23/public"),
        ("CVE-2026-41059", "/public/admin%23"),
        ("CVE-2026-41059", "/public/admin%3f/public"),
        ("CVE-2026-33494", "/public/../start"),
        ("CVE-2026-33494", "/public/%2e%2e/start"),
        ("CVE-2026-33494", "/public/..;/start"),
        ("GHSA-6jwx-7vp4-9847", "/public%2f..%2fstart"),
        ("GHSA-6jwx-7vp4-9847", "/public/%2e%2e%2fstart"),
        ("GHSA-r27r-rr9v-vv37", "/start/public"),
        ("GHSA-r27r-rr9v-vv37", "/publicx"),
        ("GHSA-r27r-rr9v-vv37", "/x/public"),
        ("GHSA-r27r-rr9v-vv37", "/public./x"),
        ("CVE-2021-32637", "/%zz"),
        ("CVE-2021-32637", "/%"),
        ("CVE-2021-32637", "http://[::1/public"),
        ("CVE-2021-32637", "/\u{fffd}"),
        ("CVE-2021-32637", "://"),
        ("CVE-2021-39206", "/start#/../public"),
        ("CVE-2023-33189", "http://evil.example/public"),
        ("CVE-2023-33189", "http://library.school.example/start"),
        ("CVE-2023-33189", "//library.school.example/public"),
        ("CVE-2023-33189", "public"),
        ("CVE-2023-33189", "*"),
        // The same person's rule in every spelling that an app may take for it.
        ("class A", "/public/admin"),
        ("class A", "/public/admin/"),
        ("class A", "/public/admin/x"),
        ("class A", "/public/ADMIN"),
        ("class A", "/PUBLIC/admin"),
        ("class A", "/public/%61dmin"),
        ("class A", "/public/%2561dmin"),
        ("class A", "/public/%252561dmin"),
        ("class A", "/public/admin;x"),
        ("class A", "/public;x/admin"),
        ("class A", "/public/;x/admin"),
        ("class A", "/;/public/admin"),
        ("class A", "/public/%3b/admin"),
        ("class A", "/public/admin%3bx"),
        ("class A", "/public/admin."),
        ("class A", "/public/admin.%20."),
        ("class A", "/public/admin%20"),
        ("class A", "/public/%20/admin"),
        ("class A", "/public/./admin"),
        ("class A", "/public//admin"),
        ("class A", "/public/x/..;/admin"),
        ("class A", "/public/admin%00"),
        ("class A", "/public/admin%2f"),
        ("class A", "/public/admin%5c"),
        ("class A", "/public\\admin"),
        ("class A", "/public/index.php/admin"),
        ("class A", "/public/Index.PHP;x/Admin/y"),
        ("class A", "/public/admin%c0%af"),
        ("class A", "/public/adm%C4%B1n"),
        ("class A", "http://library.school.example/public/admin"),
    ] {
        for method in ["GET", "POST", "HEAD", "OPTIONS"] {
            let head =
                format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let status = raw(&world, head).await;
            assert!(matches!(status, 400 | 401), "{id}: {method} {target}: {status}");
        }
    }
    assert_eq!(world.echo.count(), 0, "{:?}", world.echo.seen());
    assert_eq!(world.send(Request::get("/public/x")).await.status, 200, "what is public is");
}

#[tokio::test]
async fn a_stranger_reaches_nothing_by_a_header() {
    let world = World::start().await;
    let session = "A".repeat(43);
    for (id, name, value) in [
        ("CVE-2026-40575", "X-Forwarded-Uri", "/public"),
        ("CVE-2026-40575", "X-Forwarded-Method", "OPTIONS"),
        ("GHSA-5wcc-hf24-rf5h", "X-Original-URI", "/.schoolgate/me"),
        ("GHSA-5wcc-hf24-rf5h", "X-Original-URL", "https://library.school.example/.schoolgate/sign-in"),
        ("CVE-2026-34457", "User-Agent", "kube-probe/1.31"),
        ("CVE-2026-34457", "User-Agent", "GoogleHC/1.0"),
        ("CVE-2026-34457", "User-Agent", "ELB-HealthChecker/2.0"),
        ("CVE-2022-29226", "Authorization", "Bearer anything"),
        ("CVE-2022-29226", "Authorization", "Basic dGVhY2hlcjpwYXNz"),
        ("GHSA-wcvh-g65p-v576", "Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."),
        ("CVE-2026-33496", "X-Forwarded-Access-Token", "anything"),
        ("CVE-2021-32701", "X-Schoolgate-Scopes", "edu.classes.read"),
        ("CVE-2023-36456", "X-Forwarded-For", "127.0.0.1"),
        ("CVE-2023-36456", "X-Real-IP", "127.0.0.1"),
        ("CVE-2024-47070", "X-Forwarded-For", "a.b.c.d, ::::, \"'"),
        ("CVE-2024-21494", "X-Forwarded-For", "127.0.0.1, <script>"),
        ("CVE-2026-33495", "X-Forwarded-Proto", "http"),
        ("CVE-2024-21499", "X-Forwarded-Proto", "javascript"),
        ("CVE-2026-39858", "X_Forwarded_Proto", "http"),
        ("CVE-2024-21498", "X-Forwarded-Host", "evil.example"),
        ("GHSA-6384-m2mw-rf54", "X-Forwarded-Prefix", "/public"),
        ("CVE-2025-64484", "X_Forwarded_User", "forged"),
        ("CVE-2026-33433", "x-remote-user", "forged"),
        ("CVE-2026-54763", "X.Remote.User", "forged"),
        ("mod_auth_openidc 2026-07", "Access-Control-Request-Method", "GET"),
        ("CVE-2026-25748", "Cookie", "__Host-schoolgate="),
        ("CVE-2026-25748", "Cookie", "__Host-schoolgate=%00%ff\u{e9}"),
        ("CVE-2026-25748", "Cookie", "__Host-schoolgate=\"\"; __Host-schoolgate=a.b.c"),
        ("CVE-2026-25748", "Cookie", &*format!("__Host-schoolgate={session}")),
        ("CVE-2026-25748", "Cookie", &*format!("__Host-schoolgate={session}; __Host-schoolgate={}", "B".repeat(43))),
        ("CVE-2021-32785", "Cookie", "__Host-schoolgate=%n%s%n%s%n%s%n%s%n%s%n%s%n%s%n%s%n%s%n%s"),
        ("CVE-2023-28625", "Cookie", "="),
        ("CVE-2023-28625", "Cookie", ";"),
        ("CVE-2023-28625", "Cookie", "a"),
        ("CVE-2023-28625", "Cookie", "a=;;"),
        ("CVE-2023-28625", "Cookie", "=;=; ;__Host-schoolgate"),
        ("CVE-2024-24814", "Cookie", "__Host-schoolgate_chunks=99999999; __Host-schoolgate_0=a"),
        ("CVE-2026-55149", "Cookie", "__Host-schoolgate_1of10000000000=a"),
        ("CVE-2026-55149", "Cookie", "__Host-schoolgate_0of1=a; __Host-schoolgate_x=a; __Host-schoolgate_9of2=a"),
        ("class D", "Cookie", &*format!("{}__Host-schoolgate={session}", "a=b; ".repeat(100))),
        ("class D", "Cookie", &*"__Host-schoolgate-login-x=y; ".repeat(100)),
    ] {
        for method in ["GET", "OPTIONS", "POST"] {
            let request = Request::new(method, "/start").header("Sec-Fetch-Mode", "cors").header(name, value);
            let answer = world.send(request).await;
            assert_eq!(answer.status, 401, "{id}: {method} {name}: {value}");
            let challenge = answer.header("www-authenticate").unwrap();
            let url = format!("sign_in=\"https://{HOST}/.schoolgate/sign-in?return_to=/start\"");
            assert!(challenge.contains(&url), "{id}: {challenge}");
            assert!(!answer.text().contains("forged") && !answer.text().contains("<script>"), "{id}");
        }
        let page = world.send(Request::get("/start").navigation().header(name, value)).await;
        assert_eq!(query(page.location(), "redirect_uri").as_deref(), Some(CALLBACK), "{id}: {name}: {value}");
    }
    for (id, method, status) in
        [("CVE-2020-14359", "get", 400), ("CVE-2020-14359", "gEt", 400), ("class K", "TRACE", 405)]
    {
        assert_eq!(raw(&world, format!("{method} /start HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await, status, "{id}");
    }
    assert_eq!(world.echo.count(), 0, "{:?}", world.echo.seen());
}

#[tokio::test]
async fn cve_2026_30851_a_value_that_a_session_lacks_is_absent_and_not_the_clients() {
    let world = World::start().await;
    // A pupil of the third grade has no address; `/no-token` fills a header from a claim that nobody has.
    let mut browser = world.signed_in("pupil-1").await;
    for name in [
        "X-Forwarded-Email",
        "X_Forwarded_Email",
        "x-forwarded-email",
        "X-Forwarded-Access-Token",
        "X.Forwarded.Access.Token",
    ] {
        let request = Request::get("/no-token/x").header(name, "forged@school.example");
        assert_eq!(browser.send(&at("/no-token/x"), request, false).await.status, 200);
        let all = format!("{:?}", world.echo.last().headers);
        assert!(!all.contains("forged"), "{name}: {all}");
        assert_eq!(world.echo.last().header("x-forwarded-access-token"), None);
        assert!(world.echo.last().header("x-forwarded-user").is_some());
    }
}

#[tokio::test]
async fn cve_2025_48865_connection_costs_the_app_no_header_of_the_gateway() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let sent = ["x-forwarded-host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-user", "x-request-id", "host"];
    for name in
        ["X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-User", "X-Request-Id", "X_Forwarded_User", "Cookie"]
    {
        let request = Request::get("/x").header("Connection", &format!("close, {name}"));
        assert_eq!(browser.send(&at("/x"), request, false).await.status, 200, "{name}");
        let seen = world.echo.last();
        sent.iter().for_each(|field| assert!(seen.header(field).is_some(), "{name} removes {field}"));
    }
    world.echo.forget();
    for name in ["Host", "Content-Length", "HTTP_HOST", "Transfer-Encoding"] {
        let request = Request::get("/x").header("Connection", &format!("close, {name}"));
        assert_eq!(browser.send(&at("/x"), request, false).await.status, 400, "{name}");
    }
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn cve_2026_48794_cve_2026_27588_ghsa_328g_jx67_v94g_a_host_is_one_host_in_every_spelling_and_a_miss_is_no() {
    let world = World::start().await;
    for host in
        ["LIBRARY.SCHOOL.EXAMPLE", "library.school.example.", "library.school.example:1", "Library.School.Example.:443"]
    {
        assert_eq!(world.send(Request::get("/start").header("Host", host)).await.status, 401, "{host}");
    }
    // CVE-2021-21291: a suffix needs its dot.
    for host in ["xlibrary.school.example", "a.library.school.example", "school.example", "evil.example"] {
        for path in ["/public", "/start", "/.schoolgate/sign-in"] {
            assert_eq!(world.send(Request::get(path).header("Host", host)).await.status, 421, "{host}{path}");
        }
    }
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn cve_2026_2836_two_hosts_with_one_path_are_never_taken_for_one_another() {
    // pingora's own cache named an answer by its path alone. Nothing is cached here, whatever the app allows.
    let news = Echo::start().await;
    let second = format!(
        "[[app]]\nname = \"news\"\nhost = \"news.school.example\"\nupstream = \"http://{}\"\n\
         [[app.route]]\npath = \"/\"\naccess = \"public\"\n",
        news.address
    );
    let world = World::with(&[("routes", &second)]).await;
    let path = "/public/say?Cache-Control=public,+max-age=600";
    for _ in 0..3 {
        for (host, app) in [(HOST, &world.echo), ("news.school.example", &news)] {
            let before = app.count();
            assert_eq!(world.send(Request::get(path).header("Host", host)).await.status, 200, "{host}");
            assert_eq!((app.count(), app.last().header("host")), (before + 1, Some(host)));
        }
    }
}

#[tokio::test]
async fn cve_2026_48794_cve_2026_27588_a_stricter_host_is_met_in_every_spelling_also_beside_a_wildcard_and_150_others()
{
    // Caddy looked for hosts in another way, which knew letter case, as soon as there were more than a hundred.
    let app = |name: &str, host: &str, access: &str| {
        format!(
            "[[app]]\nname = \"{name}\"\nhost = \"{host}\"\nupstream = \"http://@APP@\"\n\
             [[app.route]]\npath = \"/\"\naccess = \"{access}\"\n"
        )
    };
    let many =
        (0..150).map(|number| app(&format!("club-{number}"), &format!("club-{number}.school.example"), "public"));
    let few = [
        app("clubs", "*.clubs.school.example", "public"),
        app("board", "board.clubs.school.example", "required"),
        app("inner", "*.inner.clubs.school.example", "required"),
    ];
    for others in [Vec::new(), many.collect()] {
        let world = World::with(&[("routes", &[&few[..], &others].concat().concat())]).await;
        for strict in ["board.clubs.school.example", "a.inner.clubs.school.example", "B.inner.clubs.school.example"] {
            let capital = strict.to_uppercase();
            let mixed: String = strict
                .char_indices()
                .map(|(at, one)| if at % 2 == 0 { one.to_ascii_uppercase() } else { one.to_ascii_lowercase() })
                .collect();
            for host in [strict, &*capital, &*mixed] {
                for end in ["", ".", ":443", ".:8443"] {
                    let host = format!("{host}{end}");
                    for target in ["/x".to_owned(), format!("https://{host}/x")] {
                        let answer = world.send(Request::get(&target).header("Host", &host)).await;
                        assert_eq!(answer.status, 401, "{host} {target}");
                    }
                }
            }
        }
        assert_eq!(world.echo.count(), 0, "{:?}", world.echo.seen());
        for host in ["x.clubs.school.example", "X.CLUBS.school.example."] {
            assert_eq!(world.send(Request::get("/x").header("Host", host)).await.status, 200, "{host}");
        }
        // A wildcard is one label, and never nothing.
        for host in
            ["clubs.school.example", "a.b.clubs.school.example", ".clubs.school.example", "*.clubs.school.example"]
        {
            let status = world.send(Request::get("/x").header("Host", host)).await.status;
            assert!(matches!(status, 400 | 421), "{host}: {status}");
        }
        if !others.is_empty() {
            assert_eq!(world.send(Request::get("/x").header("Host", "CLUB-149.school.example")).await.status, 200);
        }
    }
}

#[tokio::test]
async fn cve_2021_21411_a_rule_for_some_lets_nobody_else_in() {
    let world = World::with(&[(
        "routes",
        "[[app.route]]\npath = \"/domain\"\n[app.route.allow]\nemail_domains = [\"larkspur.school.example\"]\n\
         [[app.route]]\npath = \"/org\"\n[app.route.allow]\norganizations = [\"another\"]\n",
    )])
    .await;
    let mut browser = world.signed_in("teacher-1").await;
    world.echo.forget();
    for path in ["/staff", "/staff/x", "/org", "/domain"] {
        assert_eq!(browser.fetch(&at(path)).await.status, 403, "{path}");
    }
    assert_eq!(world.echo.count(), 0);
    // Apple does not vouch for addresses of managed accounts: a domain rule admits none of them.
    assert_eq!(
        world.apple.person("teacher-1").unwrap().email.as_deref().unwrap().split('@').nth(1),
        Some("larkspur.school.example")
    );
}

#[tokio::test]
async fn cve_2022_24797_the_operators_pages_are_not_on_the_public_listener() {
    let world = World::start().await;
    for path in ["/metrics", "/livez", "/readyz", "/sessions", "/debug/pprof/", "/healthz", "/ping", "/.well-known/x"] {
        assert_eq!(world.send(Request::get(path)).await.status, 401, "{path}");
        assert_eq!(world.send(Request::get(path).header("Host", &world.admin.to_string())).await.status, 421, "{path}");
        let own = format!("/.schoolgate{path}");
        assert_eq!(world.send(Request::get(&own)).await.status, 404, "{own}");
    }
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn cve_2026_50285_a_compressed_body_is_not_unpacked_and_a_large_one_not_read() {
    let world = World::start().await;
    let form =
        |bytes: Vec<u8>| Request::new("POST", "/.schoolgate/callback").body("application/x-www-form-urlencoded", bytes);
    for coding in ["gzip", "zstd", "br", "deflate"] {
        let answer =
            world.send(form(b"\x28\xb5\x2f\xfd\x1f\x8b\x08\x00".repeat(100)).header("Content-Encoding", coding)).await;
        assert_eq!(answer.status, 400, "{coding}");
    }
    for size in [64 * 1024 + 1, 1024 * 1024] {
        assert_eq!(world.send(form(vec![b'a'; size])).await.status, 413, "{size}");
    }
    // CVE-2025-3891: empty, and without a type.
    for path in ["/.schoolgate/callback", "/.schoolgate/sign-out"] {
        for lines in
            ["Content-Length: 0", "Transfer-Encoding: chunked\r\nContent-Type:", "Content-Length: 0\r\nContent-Type: x"]
        {
            let body = if lines.contains("chunked") { "0\r\n\r\n" } else { "" };
            let status = raw(&world, format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n\r\n{body}")).await;
            assert!(matches!(status, 200 | 400), "{path} {lines}: {status}");
        }
    }
    assert_eq!(world.apple.calls().count(Endpoint::Exchange), 0);
}

#[tokio::test]
async fn cve_2019_1010247_cve_2021_32792_cve_2023_52430_cve_2024_21496_nothing_that_is_asked_runs_in_a_page() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let evil = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E'onmouseover='";
    for path in [
        format!("/.schoolgate/sign-out?return_to=/{evil}"),
        format!("/.schoolgate/sign-out?return_to=/x?{evil}"),
        format!("/.schoolgate/callback?error={evil}&state={evil}"),
        format!("/.schoolgate/callback?code={evil}&state=x"),
        format!("/.schoolgate/{evil}"),
        format!("/.schoolgate/?{evil}"),
        format!("/.schoolgate/me?callback={evil}"),
        format!("/staff/{evil}"),
        format!("/staff?{evil}"),
    ] {
        for site in ["cross-site", "same-origin"] {
            let request = Request::get(&path)
                .navigation()
                .header("Sec-Fetch-Site", site)
                .header("Referer", "javascript:alert(1)");
            let request = request
                .header("User-Agent", "<script>alert(1)</script>")
                .header("X-Request-Id", "<script>alert(1)</script>");
            let answer = browser.clone().send(&at(&path), request, false).await;
            let text = answer.text();
            assert!(
                !text.contains("<script") && !text.contains("alert(1)</") && !text.contains("javascript:"),
                "{path}: {text}"
            );
            assert!(!text.contains("'onmouseover='"), "{path}: {text}");
            let policy = answer.header("content-security-policy").unwrap();
            assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
            if answer.header("content-type").is_some_and(|kind| kind.starts_with("application/")) {
                assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            }
        }
    }
    // The page after a step that failed links to where one wanted to go, and nowhere else.
    let answer = browser.open(&at("/.schoolgate/sign-in?return_to=/x%3Fa=%22%3E%3Cb%3E")).await;
    assert_eq!(answer.status, 302);
}

#[tokio::test]
async fn cve_2025_31492_cve_2022_29228_nothing_of_the_app_follows_the_gateways_own_answer() {
    let world = World::start().await;
    let mut connection = Connection::open(world.address).await;
    let post = Request::new("POST", "/save").header("Host", HOST).navigation().form(&[("mark", "1")]);
    for _ in 0..3 {
        connection.write(&post.bytes()).await;
        let Some(answer) = connection.try_answer().await else { break };
        assert_eq!((answer.status, answer.body.len()), (303, 0));
        if answer.header("connection") == Some("close") {
            assert!(connection.rest().await.is_empty());
            connection = Connection::open(world.address).await;
        }
    }
    connection.write(Request::get("/public").header("Host", HOST).bytes().as_slice()).await;
    assert_eq!(connection.answer().await.text(), "seen 0");
    assert_eq!(world.echo.count(), 1);
}

#[tokio::test]
async fn cve_2026_2833_what_follows_a_handshake_is_judged_when_the_app_does_not_switch() {
    let world = World::start().await;
    let mut connection = Connection::open(world.address).await;
    let handshake = format!(
        "GET /public/ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let second = format!("GET /start HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-User: forged\r\n\r\n");
    connection.write((handshake + &second).as_bytes()).await;
    assert_eq!(connection.answer().await.status, 200);
    if let Some(answer) = connection.try_answer().await {
        assert_eq!(answer.status, 401);
    }
    let seen: Vec<_> = world.echo.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(seen, ["/public/ws"]);
}
