//! What is judged, and what the app then gets.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

use crate::{
    front::Proxy,
    scene::Scene,
    support::{Browser, Connection, HOST, Request, world::at},
};

/// Headers by which some app or web server would take a request for another one.
fn pretences() -> Vec<Vec<(&'static str, String)>> {
    let public = || at("/public/page");
    vec![
        vec![("X-Forwarded-Method", "GET".into())],
        vec![("X-Original-Method", "GET".into())],
        vec![("X-Forwarded-Uri", "/public/page".into())],
        vec![("X_Forwarded_Uri", "/public/page".into())],
        vec![("X-Original-URL", public())],
        vec![("X_Original_URL", public())],
        vec![("X-Original-URI", "/public/page".into())],
        vec![("X-Rewrite-URL", "/public/page".into())],
        vec![("X-Forwarded-Prefix", "/public".into())],
        vec![("Script-Name", "/public".into()), ("Path-Info", "/page".into())],
        vec![("X-Forwarded-Host", HOST.into()), ("X-Forwarded-Uri", "/public/page".into())],
        vec![
            ("X-Forwarded-Host", HOST.into()),
            ("X-Forwarded-Uri", "/public/page".into()),
            ("X-Forwarded-Method", "GET".into()),
        ],
        vec![("X-Original-URL", public()), ("X-Original-Method", "GET".into())],
        vec![("X-Forwarded-Uri", "/public/page".into()), ("Connection", "X-Forwarded-Uri".into())],
        vec![("Connection", "X-Forwarded-Uri, X-Forwarded-Method, X-Original-URL, X-Original-Method".into())],
        vec![("Connection", "X-Forwarded-For, X-Forwarded-Host, Cookie".into())],
        vec![("X-Forwarded-For", "203.0.113.9".into())],
        vec![("X-Forwarded-Proto", "gopher".into())],
        vec![("X-Forwarded-Host", "open.school.example".into())],
        vec![("X-Original-URL", "https://open.school.example/grades".into())],
    ]
}

fn with(request: Request, headers: &[(&str, String)]) -> Request {
    headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

pub(crate) async fn no_client_says_what_it_asks_for(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    for pretence in pretences() {
        for (method, path) in [("GET", "/grades"), ("POST", "/grades"), ("POST", "/forms"), ("DELETE", "/staff/keys")] {
            let answer = scene.send(with(Request::new(method, path), &pretence)).await;
            assert_eq!(answer.status, 401, "{method} {path} {pretence:?} {answer:?}");
        }
        assert_eq!(scene.app().count(), 0, "{pretence:?}");
        let answer = scene.send(with(Request::get("/.schoolgate/me"), &pretence)).await;
        let challenge = format!("Schoolgate sign_in=\"https://{HOST}/.schoolgate/sign-in\"");
        assert_eq!(answer.header("www-authenticate"), Some(&*challenge), "{pretence:?}");
        // Nor does the app hear it where it is let in.
        assert_eq!(scene.send(with(Request::get("/public/door"), &pretence)).await.status, 200, "{pretence:?}");
        let seen = scene.app().last();
        assert_eq!((&*seen.target, seen.header("host")), ("/public/door", Some(HOST)));
        for (name, value) in &pretence {
            let ours = *name == "X-Forwarded-Host" && value == HOST;
            assert!(ours || seen.all(name).all(|heard| heard != value), "{pretence:?} {seen:?}");
        }
        scene.app().forget();
    }
}

pub(crate) async fn a_hundred_headers_are_no_way_in(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    for count in [85, 98, 400] {
        let request = Request::get("/grades").header("Host", HOST).header("Connection", "close");
        let request = (0..count).fold(request, |request, number| request.header(&format!("X-Filler-{number}"), "x"));
        let mut connection = Connection::open(scene.front.address).await;
        connection.write(&request.bytes()).await;
        let answer = connection.try_answer().await;
        assert!(answer.is_none_or(|answer| answer.status >= 400), "{count}");
    }
    assert_eq!(scene.app().count(), 0);
    assert_eq!(scene.send(Request::get("/public/door")).await.status, 200, "it lives");
}

pub(crate) async fn a_route_is_judged_by_the_real_method(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    for method in ["GET", "HEAD"] {
        assert_eq!(scene.send(Request::new(method, "/forms/1")).await.status, 200, "{method}");
        assert_eq!(scene.app().last().method, method);
    }
    scene.app().forget();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let answer = scene.send(Request::new(method, "/forms/1").header("Content-Length", "0")).await;
        assert!([400, 401].contains(&answer.status), "{method} {answer:?}");
    }
    for method in ["TRACE", "get", "Get"] {
        let answer = scene.send(Request::new(method, "/forms/1")).await;
        assert!(answer.status >= 400, "{method} {answer:?}");
    }
    assert_eq!(scene.app().count(), 0);
    let mut browser = scene.signed_in("teacher-1").await;
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        assert_eq!(
            browser.send(&at("/forms/1"), Request::new(method, "/forms/1"), false).await.status,
            200,
            "{method}"
        );
        assert_eq!(scene.app().last().method, method);
    }
    // What a request would also do, and where it would also write.
    scene.app().forget();
    for (method, name, value) in [
        ("POST", "X-HTTP-Method-Override", "DELETE"),
        ("MOVE", "Destination", "https://library.school.example/staff/keys"),
        ("COPY", "Destination", "/staff/keys"),
    ] {
        let request = Request::new(method, "/forms/1").header(name, value);
        let status = browser.send(&at("/forms/1"), request, false).await.status;
        assert!([400, 403].contains(&status), "{method} {name} {status}");
    }
    assert_eq!(scene.app().count(), 0);
}

/// Ways to write `/staff/keys` that a rule for `/public` might take for its own, or no rule for its.
const DETOURS: &[&str] = &[
    "//staff/keys",
    "/public/../staff/keys",
    "/public/..%2fstaff/keys",
    "/public/%2e%2e/staff/keys",
    "/public/%2e%2e%2fstaff%2fkeys",
    "/public/.%2e/staff/keys",
    "/public/..;/staff/keys",
    "/public/..;x=1/staff/keys",
    "/public;/../staff/keys",
    "/public/..\\staff\\keys",
    "/public/..%5cstaff%5ckeys",
    "/public/%252e%252e/staff/keys",
    "/public/%252e%252e%252fstaff",
    "/public/%c0%ae%c0%ae/staff/keys",
    "/public//../staff/keys",
    "/public/x/..//../staff/keys",
    "/public/./../staff/keys",
    "/public%2f..%2f..%2fstaff%2fkeys",
    "/public%00/../staff/keys",
    "/staff;x/keys",
    "/staff/keys%00",
    "/staff%2fkeys",
    "/STAFF/keys",
    "/staff./keys",
    "/%73taff/keys",
    "/./staff/keys",
    "/.schoolgate/../staff/keys",
    "/.schoolgate/..%2fstaff/keys",
    "/.schoolgate/%2e%2e/staff/keys",
    "/.schoolgate/me/../../staff/keys",
    "/.schoolgate/..;/staff/keys",
    "/.schoolgate%2f..%2fstaff/keys",
    "/%2eschoolgate/../staff/keys",
    "/.schoolgate/\\../staff/keys",
    "/public/../.schoolgate/../staff/keys",
    "/public#/../staff/keys",
    "/public%23/../staff/keys",
    "/public%3f/../staff/keys",
    "/staff/keys#/public",
    "http://library.school.example/staff/keys",
    "http://library.school.example/public/../staff/keys",
    "https://library.school.example/staff/keys",
    "http://other.school.example/public/../staff/keys",
    "*",
    "staff/keys",
    "?/public",
    "http://library.school.example",
];

pub(crate) async fn what_was_judged_is_what_the_app_gets(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut teacher = scene.signed_in("teacher-1").await;
    for detour in DETOURS {
        for browser in [None, Some(&mut teacher)] {
            scene.app().forget();
            let cookie = browser.and_then(|browser| browser.cookie(HOST, "__Host-schoolgate"));
            tries(&scene, detour, cookie.as_deref()).await;
            for seen in scene.app().seen() {
                let staff = percent_encoding::percent_decode_str(&seen.target).decode_utf8_lossy().to_lowercase();
                let through = staff.contains("staff") && !seen.target.starts_with("/public%");
                assert!(!through && !staff.contains(".."), "{detour}: {}", seen.target);
                assert!(cookie.is_some() || seen.target.starts_with("/public"), "{detour}: {}", seen.target);
            }
        }
    }
    assert!(absolute(&scene).await.is_none_or(|target| target == "/public/door?x"));
    // What means one thing reaches the app as it was written.
    for path in ["/caf%C3%A9/a%20b", "/a/b/?x=%2F..%2f&y=//z;w&z=%", "/a+b,c/(d)*'!:@$&=~", "/a?", "/%7Euser"] {
        assert_eq!(opens(&mut teacher, path).await, 200, "{path}");
        assert_eq!(scene.app().last().target, path);
    }
}

/// What the app gets for a public page in absolute form, if it gets anything.
async fn absolute(scene: &Scene) -> Option<String> {
    scene.app().forget();
    tries(scene, "http://library.school.example/public/door?x", None).await;
    scene.app().seen().pop().map(|seen| seen.target)
}

async fn opens(browser: &mut Browser, path: &str) -> u16 {
    browser.send(&at("/"), Request::get(path).navigation(), false).await.status
}

/// Sends a target as it stands here. Whether there is an answer is the web server's affair.
async fn tries(scene: &Scene, target: &str, cookie: Option<&str>) {
    let request = Request::get(target).header("Host", HOST).header("Connection", "close");
    let request = match cookie {
        Some(cookie) => request.header("Cookie", &format!("__Host-schoolgate={cookie}")),
        None => request,
    };
    let mut connection = Connection::open(scene.front.address).await;
    connection.write(&request.bytes()).await;
    let _ = connection.rest().await;
}

pub(crate) async fn the_host_of_the_client_chooses_no_other_rules(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    for host in [
        "open.school.example",
        "other.school.example",
        "LIBRARY.school.example:8443",
        "library.school.example.",
        "127.0.0.1",
        "",
    ] {
        for path in ["/grades", "/public/door"] {
            let request = Request::get(path).header("Host", host).header("Connection", "close");
            let mut connection = Connection::open(scene.front.address).await;
            connection.write(&request.bytes()).await;
            let _ = connection.rest().await;
        }
    }
    let mut connection = Connection::open(scene.front.address).await;
    connection.write(b"GET /grades HTTP/1.0\r\n\r\n").await;
    let _ = connection.rest().await;
    for seen in scene.app().seen() {
        let host = seen.header("host").unwrap().to_ascii_lowercase();
        let host = host.trim_end_matches(":8443").trim_end_matches('.');
        assert_eq!((&*seen.target, host), ("/public/door", HOST));
    }
}

/// A request from another address of this machine, with another one in its mouth.
async fn comes_from(scene: &Scene, address: [u8; 4], path: &str) -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((address, 0))).unwrap();
    let mut connection = Connection::over(socket.connect(scene.front.address).await.unwrap());
    let request = Request::get(path).header("Host", HOST).header("X-Forwarded-For", "203.0.113.9").navigation();
    connection.write(&request.bytes()).await;
    connection.answer().await.status
}

pub(crate) async fn the_gateway_and_the_app_know_where_a_client_is(proxy: &Proxy) {
    let scene = Scene::with(proxy, &[("server", "sign_in_rate_per_ip = 1")]).await;
    for (third, path) in [(1, "/grades"), (2, "/.schoolgate/sign-in?return_to=/grades")] {
        let (one, other) = ([127, 0, third, 1], [127, 0, third, 2]);
        assert_eq!(comes_from(&scene, one, path).await, 302, "{path}");
        assert_eq!(comes_from(&scene, one, path).await, 429, "{path}");
        assert_eq!(comes_from(&scene, other, path).await, 302, "{path}");
    }
    assert_eq!(comes_from(&scene, [127, 0, 3, 1], "/public/door").await, 200);
    assert_eq!(scene.app().last().header("x-forwarded-for"), Some("127.0.3.1"));
}

pub(crate) async fn bodies_reach_the_app_whole(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.signed_in("teacher-1").await;
    for length in [1, 300_000] {
        let request = Request::new("POST", "/upload").body("application/octet-stream", vec![b'x'; length]);
        let answer = browser.send(&at("/upload"), request, false).await;
        assert_eq!((answer.status, answer.text()), (200, format!("seen {length}")));
        assert_eq!(scene.app().last().header("x-forwarded-user"), Some(&*scene.world.subject("teacher-1")));
    }
    let mut connection = Connection::open(scene.front.address).await;
    let session = browser.cookie(HOST, "__Host-schoolgate").unwrap();
    let head = format!("POST /upload HTTP/1.1\r\nHost: {HOST}\r\nCookie: __Host-schoolgate={session}\r\n");
    connection.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").as_bytes()).await;
    assert_eq!(connection.answer().await.text(), "seen 3");
    // A stranger's body goes nowhere.
    scene.app().forget();
    let request = Request::new("POST", "/upload").body("application/octet-stream", vec![b'x'; 30_000]);
    assert_eq!(scene.send(request).await.status, 401);
    assert_eq!(scene.app().count(), 0);
}
