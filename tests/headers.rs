//! What passes from a client to an app and back: names that no client may send, what the app learns of
//! the connection and of the person, cookies, and what shared caches may keep.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{
    Answer, Browser, HOST, Request, Secured, World,
    http::Connection,
    http2::request,
    names::{PATHS, RESERVED, spellings},
    world::at,
};

/// A name as an app may see it.
fn folded(name: &str) -> String {
    let folded: String = name.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '-' }).collect();
    folded.to_ascii_lowercase().trim_start_matches("http-").to_owned()
}

/// Every header with a forged value that the app saw.
fn forged(world: &World) -> Vec<String> {
    let all = world.echo.seen().into_iter().flat_map(|seen| seen.headers);
    all.filter(|(_, value)| value.contains("forged")).map(|(name, _)| name).collect()
}

async fn websocket(world: &World, browser: &Browser, path: &str, lines: &str) -> Answer {
    let cookie =
        browser.cookie(HOST, "__Host-schoolgate").map(|value| format!("Cookie: __Host-schoolgate={value}\r\n"));
    let mut connection = Connection::open(world.address).await;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}{lines}\r\n",
        cookie.unwrap_or_default()
    );
    connection.write(head.as_bytes()).await;
    connection.answer().await
}

#[tokio::test]
async fn no_client_names_a_person_on_any_kind_of_route() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let subject = world.apple.person("teacher-1").unwrap().subject.clone();
    for name in RESERVED {
        for spelling in spellings(name) {
            for (path, signed_in) in [("/public/x", false), ("/optional/x", false), ("/optional/x", true), ("/x", true)]
            {
                world.echo.forget();
                let request = Request::get(path).header(&spelling, "forged").header(&spelling, "forged");
                let answer = match signed_in {
                    true => browser.send(&at(path), request, false).await,
                    false => world.send(request).await,
                };
                assert_eq!(answer.status, 200, "{spelling} {path}");
                assert_eq!(forged(&world), Vec::<String>::new(), "{spelling} {path} {signed_in}");
                let users =
                    world.echo.last().headers.into_iter().filter(|(name, _)| folded(name) == "x-forwarded-user");
                let users: Vec<_> = users.map(|(_, value)| value).collect();
                assert_eq!(users, if signed_in { vec![subject.clone()] } else { Vec::new() }, "{spelling} {path}");
            }
        }
    }
}

#[tokio::test]
async fn no_method_and_no_upgrade_is_a_way_around_the_stripping() {
    let world = World::start().await;
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"] {
        let request = RESERVED.iter().fold(Request::new(method, "/public/x"), |request, name| {
            request.header(name, "forged").header(&name.replace('-', "_"), "forged")
        });
        let preflight = request.header("Access-Control-Request-Method", "GET").header("Connection", "close");
        assert_eq!(world.send(preflight).await.status, 200, "{method}");
    }
    websocket(&world, &world.browser(), "/public/ws", "X-Forwarded-User: forged\r\nX_Remote_User: forged\r\n").await;
    assert_eq!(world.echo.count(), 7);
    assert_eq!(forged(&world), Vec::<String>::new());
}

#[tokio::test]
async fn every_header_that_the_configuration_could_set_is_the_gateways_alone() {
    let world = World::with(&[
        (
            "app",
            r#"headers = { X-Person = "{sub}", Authorization = "Bearer {access_token}", X-Nick = "{claim:nick}" }"#,
        ),
        ("routes", "[[app.route]]\npath = \"/extra\"\nheaders = { X-Extra = \"{email}\" }"),
    ])
    .await;
    let mut browser = world.signed_in("pupil-1").await;
    for name in ["X-Person", "Authorization", "X-Nick", "X-Extra"] {
        for spelling in spellings(name) {
            world.echo.forget();
            assert_eq!(world.send(Request::get("/public/x").header(&spelling, "forged")).await.status, 200);
            for path in ["/x", "/extra/x", "/optional/x"] {
                let request = Request::get(path).header(&spelling, "forged");
                assert_eq!(browser.send(&at(path), request, false).await.status, 200, "{spelling} {path}");
            }
            assert_eq!(forged(&world), Vec::<String>::new(), "{spelling}");
        }
    }
    let seen = world.echo.last();
    assert!(seen.header("authorization").unwrap().starts_with("Bearer "));
    assert_eq!(seen.header("x-person"), Some(&*world.apple.person("pupil-1").unwrap().subject));
    // A pupil of the third grade has no address, nobody has a nick: absent, not empty.
    assert_eq!((seen.header("x-nick"), seen.header("x-extra")), (None, None));
}

#[tokio::test]
async fn connection_cannot_name_a_header_that_the_gateway_sets() {
    let world = World::with(&[(
        "app",
        r#"headers = { X-Person = "{sub}", X-Forwarded-User = "{sub}", Remote-User = "{sub}", Authorization = "Bearer {access_token}" }"#,
    )])
    .await;
    let mut browser = world.signed_in("teacher-1").await;
    let set = [
        "x-person",
        "x-forwarded-user",
        "remote-user",
        "authorization",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-request-id",
        "traceparent",
        "host",
        "cookie",
    ];
    for name in set {
        for options in [name.to_owned(), format!("keep-alive, {name}"), name.to_uppercase(), format!("close,{name}")] {
            world.echo.forget();
            let request = Request::get("/x").header("Connection", &options).header("Cookie", "PHPSESSID=1");
            let answer = browser.send(&at("/x"), request, false).await;
            match answer.status {
                400 => assert_eq!(world.echo.count(), 0),
                200 => {
                    let seen = world.echo.last();
                    set.iter().for_each(|name| assert!(seen.header(name).is_some(), "{options}: {name} is gone"));
                }
                other => panic!("{options}: {other}"),
            }
        }
    }
}

#[tokio::test]
async fn what_a_client_says_of_the_connection_is_replaced() {
    let world = World::start().await;
    let names = [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Forwarded-Ssl",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Forwarded",
        "X-Original-Forwarded-For",
        "Forwarded",
        "X-Real-IP",
        "X-Client-IP",
        "Client-IP",
        "True-Client-IP",
        "X-Cluster-Client-IP",
        "X-Remote-IP",
        "X-Remote-Addr",
        "X-Host",
        "X-Scheme",
        "X-Url-Scheme",
        "Front-End-Https",
        "X-Request-Id",
        "traceparent",
        "tracestate",
        // CVE-2016-5385: `HTTP_PROXY` of CGI.
        "Proxy",
    ];
    for name in names {
        for spelling in [name.to_owned(), name.replace('-', "_"), name.replace('-', ".")] {
            world.echo.forget();
            let answer = world.send(Request::get("/public").header(&spelling, "forged, 10.0.0.1")).await;
            assert_eq!((answer.status, forged(&world)), (200, Vec::new()), "{spelling}");
            let seen = world.echo.last();
            for (header, value) in
                [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https"), ("x-forwarded-host", HOST)]
            {
                assert_eq!(seen.header(header), Some(value), "{spelling}");
            }
        }
    }
    let seen = world.echo.last();
    let id = seen.header("x-request-id").unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let parent = seen.header("traceparent").unwrap();
    assert!(parent.starts_with(&format!("00-{id}-")) && parent.len() == 55, "{parent}");
}

#[tokio::test]
async fn no_header_makes_an_app_answer_for_another_path_than_the_one_that_was_judged() {
    let world = World::start().await;
    // CVE-2025-61780 Rack::Sendfile is one of them.
    for name in PATHS {
        for spelling in spellings(name) {
            world.echo.forget();
            let answer = world.send(Request::get("/public/classes").header(&spelling, "/public-forged")).await;
            assert_eq!((answer.status, forged(&world)), (200, Vec::new()), "{spelling}");
        }
    }
}

#[tokio::test]
async fn a_rule_for_a_method_cannot_be_sidestepped_by_naming_another() {
    let rule = "[[app.route]]\npath = \"/notes\"\nmethods = [\"GET\"]\naccess = \"public\"";
    let world = World::with(&[("routes", rule)]).await;
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        for spelling in spellings(name) {
            assert_eq!(world.send(Request::get("/notes/1").header(&spelling, "forged-DELETE")).await.status, 200);
        }
    }
    assert_eq!(forged(&world), Vec::<String>::new());
    assert_eq!(world.send(Request::get("/notes/1")).await.status, 200);
    assert_eq!(world.send(Request::new("HEAD", "/notes/1").header("Connection", "close")).await.status, 200);
    for method in ["POST", "DELETE", "OPTIONS", "PUT"] {
        let answer = world.send(Request::new(method, "/notes/1").header("Connection", "close")).await;
        assert_eq!(answer.status, 401, "{method}");
    }
}

#[tokio::test]
async fn the_gateways_cookies_stay_with_the_gateway_and_the_apps_pass() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    let value = browser.cookie(HOST, "__Host-schoolgate").unwrap();
    let own = format!("__Host-schoolgate={value}");
    for (fields, expected) in [
        (vec![own.clone()], None),
        (vec![format!("a=1; {own}; b=2")], Some("a=1; b=2")),
        (vec![format!("a=1;{own};b=2")], Some("a=1; b=2")),
        (vec!["a=1".into(), own.clone(), "b=2".into()], Some("a=1; b=2")),
        (vec![format!("{own}; {own}")], None),
        (vec![format!("{own}; __Host-schoolgate-login-x=secret; c=\"d; e\"")], Some("c=\"d; e\"")),
        (vec![format!("{own}; __HOST-Schoolgate=secret; __host-schoolgate-LOGIN-x=secret")], None),
        (vec![format!("{own}; __Host-schoolgate")], None),
        (vec![format!("{own};=__Host-schoolgate=secret; a")], Some("a")),
        (vec![format!("{own}; schoolgate=1; x__Host-schoolgate=2")], Some("schoolgate=1; x__Host-schoolgate=2")),
    ] {
        world.echo.forget();
        let request = fields.iter().fold(Request::get("/x"), |request, field| request.header("Cookie", field));
        assert_eq!(world.send(request).await.status, 200, "{fields:?}");
        let seen = world.echo.last();
        assert_eq!(seen.header("cookie"), expected, "{fields:?}");
        let all = format!("{:?}", seen.headers);
        assert!(!all.contains(&value) && !all.contains("secret"), "{fields:?}: {all}");
    }
    // Public routes too.
    world.send(Request::get("/public").header("Cookie", &own)).await;
    assert_eq!(world.echo.last().header("cookie"), None);
}

#[tokio::test]
async fn an_app_sets_its_own_cookies_and_none_of_the_gateways() {
    let world = World::start().await;
    for path in ["/public/cookies", "/optional/cookies"] {
        let answer = world.send(Request::get(path)).await;
        let left: Vec<_> = answer.all("set-cookie").collect();
        assert_eq!(left, ["PHPSESSID=1; Path=/", "schoolgate=planted", "lang=de"]);
    }
    for cookie in [
        "__Host-schoolgate=x",
        "__Host-schoolgate",
        "=__Host-schoolgate=x",
        " __Host-schoolgate =x",
        "__HOST-SCHOOLGATE=x",
        "__Host-schoolgate-login-abc=x; Path=/",
        "==__Host-schoolgate=x",
        "__host-Schoolgate-Login-=",
    ] {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("Set-Cookie", cookie).finish();
        let answer = world.send(Request::get(&format!("/public/say?{query}"))).await;
        assert_eq!((answer.status, answer.all("set-cookie").count()), (200, 0), "{cookie:?}");
    }
}

#[tokio::test]
async fn what_is_meant_for_one_person_stays_out_of_shared_caches() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    for said in [
        "",
        "public",
        "public, max-age=600",
        "max-age=600",
        "s-maxage=600",
        "max-age=1, s-maxage=600",
        "PUBLIC",
        "must-understand, no-store, max-age=600",
        "no-store, public",
        "private, public",
        "private=\"x\", max-age=5",
        "stale-while-revalidate=60",
        "proxy-revalidate",
        "must-revalidate, max-age=600",
        "no-cache",
    ] {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs((!said.is_empty()).then_some(("Cache-Control", said)))
            .append_pair("Surrogate-Control", "max-age=9")
            .append_pair("CDN-Cache-Control", "max-age=9")
            .append_pair("Cloudflare-CDN-Cache-Control", "max-age=9")
            .append_pair("Vercel-CDN-Cache-Control", "max-age=9")
            .append_pair("Edge-Control", "max-age=9")
            .append_pair("X-Accel-Expires", "9")
            .append_pair("Expires", "Fri, 01 Jan 2100 00:00:00 GMT")
            .finish();
        let answer = browser.open(&at(&format!("/optional/say?{query}"))).await;
        let names: Vec<_> = answer.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        assert!(!names.iter().any(|name| name.contains("cdn") || name.contains("surrogate")), "{names:?}");
        assert!(!names.iter().any(|name| name == "x-accel-expires" || name == "edge-control"), "{names:?}");
        let left = answer.header("cache-control").unwrap().to_ascii_lowercase();
        let directives: Vec<_> = left.split(',').map(str::trim).collect();
        assert!(!left.contains("public") && !left.contains("s-maxage"), "{said}: {left}");
        let unconditional = directives.contains(&"no-store") && !directives.contains(&"must-understand");
        assert!(directives.contains(&"private") || unconditional, "{said}: {left}");
        // Nobody is signed in: the app's word counts.
        let anonymous = world.send(Request::get(&format!("/optional/say?{query}"))).await;
        assert_eq!(anonymous.header("cache-control").unwrap_or_default(), said);
    }
}

#[tokio::test]
async fn hop_by_hop_headers_end_at_the_gateway_in_both_directions() {
    let world = World::start().await;
    let request = Request::get("/public/say?Keep-Alive=x&Proxy-Authenticate=x&Trailer=x&Upgrade=h2c&X-Stays=x")
        .header("Connection", "X-Private, Upgrade")
        .header("X-Private", "private")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABkAAQAAP__")
        .header("TE", "trailers")
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Authorization", "Basic private")
        .header("Proxy-Connection", "keep-alive");
    let answer = world.send(request).await;
    assert_eq!((answer.status, answer.header("x-stays")), (200, Some("x")));
    for name in ["keep-alive", "proxy-authenticate", "trailer", "upgrade"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    let seen = world.echo.last();
    for name in ["x-private", "upgrade", "keep-alive", "proxy-authorization", "proxy-connection", "te"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_websocket_is_judged_like_any_request_and_comes_from_our_own_pages_only() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    world.echo.forget();
    assert_eq!(websocket(&world, &world.browser(), "/ws", "").await.status, 401);
    let navigation = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n";
    assert_eq!(websocket(&world, &world.browser(), "/ws", navigation).await.status, 401);
    for origin in [
        "https://evil.example",
        "https://library.school.example.evil.example",
        "null",
        "",
        "https://xlibrary.school.example",
        "https://evil.example/library.school.example",
        "http://library.school.example",
        "file://",
        "library.school.example",
    ] {
        let answer = websocket(&world, &browser, "/ws", &format!("Origin: {origin}\r\n")).await;
        assert_eq!(answer.status, 400, "{origin}");
    }
    assert_eq!(world.echo.count(), 0);
    for origin in ["Origin: https://library.school.example\r\n", "Origin: https://Library.School.Example:8443\r\n", ""]
    {
        // The app knows no WebSockets: 200 tells that it was asked.
        assert_eq!(websocket(&world, &browser, "/ws", origin).await.status, 200, "{origin}");
    }
    for head in ["Sec-WebSocket-Version: 12\r\n", "Upgrade: h2c\r\n", "Content-Length: 3\r\n\r\nabc"] {
        assert_eq!(websocket(&world, &browser, "/ws", head).await.status, 400, "{head}");
    }
}

#[tokio::test]
async fn copy_and_move_reach_no_path_that_is_closed_to_the_person() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    for (destination, status) in [
        ("https://library.school.example/mine/b", 200),
        ("/mine/b", 200),
        ("https://library.school.example/staff/b", 403),
        ("/staff/b", 403),
        ("/classes/b", 403),
        ("/.schoolgate/me", 403),
        ("https://evil.example/mine/b", 400),
        ("/mine/../staff/b", 400),
        ("/STAFF/b", 403),
        ("rubbish", 400),
    ] {
        world.echo.forget();
        let request = Request::new("MOVE", "/mine/a").header("Destination", destination);
        let answer = browser.send(&at("/mine/a"), request, false).await;
        assert_eq!(answer.status, status, "{destination}");
        assert_eq!(world.echo.count(), usize::from(status == 200), "{destination}");
    }
    let twice = Request::new("COPY", "/mine/a").header("Destination", "/mine/b").header("Destination", "/staff/b");
    assert_eq!(browser.send(&at("/mine/a"), twice, false).await.status, 400);
    let stranger = Request::new("MOVE", "/public/a").header("Destination", "/mine/b");
    assert_eq!(world.send(stranger).await.status, 403, "from a public route into a protected one");
    let stranger = Request::new("MOVE", "/public/a").header("Destination", "/public/b");
    assert_eq!(world.send(stranger).await.status, 200);
}

/// What the app saw last, without what differs from request to request.
fn told(world: &World) -> Vec<(String, String)> {
    let mut headers = world.echo.last().headers;
    headers.retain(|(name, _)| !matches!(name.as_str(), "x-request-id" | "traceparent"));
    headers.sort();
    headers
}

/// One table over both versions: what one strips, the other strips, and what one passes, the other passes.
#[tokio::test]
async fn an_app_is_told_the_same_whatever_version_the_client_speaks() {
    let world = Secured::start().await;
    let browser = world.signed_in("teacher-1").await;
    let session = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    let (mut old, mut new) = (world.plain().await, world.open().await);
    let others = ["X-Custom", "Accept", "Origin", "Priority", "Authorization", "X_Custom", "Content-Type", "Range"];
    let names = RESERVED.iter().flat_map(|name| spellings(name)).chain(others.map(str::to_owned));
    for name in names {
        for (path, cookie) in [
            ("/public/x", None),
            ("/public/x", Some("b=2")),
            ("/optional/x", None),
            ("/optional/x", Some(&*session)),
            ("/x", Some(&*session)),
        ] {
            let mut asked = Request::get(path).header("Host", HOST).header(&name, "forged");
            let mut same = request("GET", path).header(name.to_ascii_lowercase(), "forged");
            for crumb in ["a=1"].into_iter().chain(cookie) {
                same = same.header("cookie", crumb);
            }
            asked = asked.header("Cookie", &["a=1"].into_iter().chain(cookie).collect::<Vec<_>>().join("; "));
            world.echo.forget();
            let first = asked.send_over(&mut old).await;
            assert_eq!(first.status, 200, "{name} {path}: {}", first.text());
            let by_old = told(&world);
            assert_eq!(new.send(same).await.status, 200, "{name} {path}");
            assert_eq!((told(&world), world.echo.count()), (by_old, 2), "{name} {path}");
            let kept = others.contains(&&*name);
            assert_eq!(forged(&world).len(), if kept { 2 } else { 0 }, "{name} {path}");
        }
    }
}
