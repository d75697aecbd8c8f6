//! What proxies in front of the gateway tell it: believed from those that are listed, and from nobody else.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::{IpAddr, SocketAddr};

use support::{Answer, Connection, HOST, Request, World, world::at};
use tokio::net::TcpSocket;

/// The proxy of these tests. All of 127.0.0.0/8 is this machine, so strangers can call from other addresses.
const LISTED: (&str, &str) = ("server", "trusted_proxies = [\"127.0.0.1/32\", \"10.0.0.0/8\"]");
const PROXY: [u8; 4] = [127, 0, 0, 1];
const STRANGER: [u8; 4] = [127, 0, 0, 2];

/// Version 2 of the PROXY protocol.
const SIGNATURE: &[u8] = b"\r\n\r\n\x00\r\nQUIT\n";

async fn world() -> World {
    World::with(&[LISTED]).await
}

/// A connection of somebody at this address.
async fn connect(from: [u8; 4], world: &World) -> Connection {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((IpAddr::from(from), 0))).unwrap();
    Connection::over(socket.connect(world.address).await.unwrap())
}

/// The answer to a request from this address.
async fn send(from: [u8; 4], world: &World, request: Request) -> Answer {
    let mut connection = connect(from, world).await;
    connection.write(&request.bytes()).await;
    connection.answer().await
}

/// A request for a public page, with what a proxy says about it.
fn page(fields: &[(&str, &str)]) -> Request {
    fields
        .iter()
        .fold(Request::get("/public/page").header("Host", HOST), |request, (name, value)| request.header(name, value))
}

/// What the app heard of a request with these fields: client and proxies, scheme, host.
async fn heard(from: [u8; 4], world: &World, fields: &[(&str, &str)]) -> [String; 3] {
    world.echo.forget();
    let answer = send(from, world, page(fields)).await;
    assert_eq!(answer.status, 200, "{fields:?}: {answer:?}");
    let seen = world.echo.last();
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"].map(|name| seen.header(name).unwrap().to_owned())
}

#[tokio::test]
async fn a_listed_proxy_is_believed_and_the_app_hears_of_client_and_proxies() {
    let world = world().await;
    for (fields, expected) in [
        (&[][..], ["127.0.0.1", "https", HOST]),
        (&[("X-Forwarded-For", "203.0.113.9")], ["203.0.113.9, 127.0.0.1", "https", HOST]),
        (&[("X-Forwarded-For", "6.6.6.6, 203.0.113.9, 10.0.0.2")], ["203.0.113.9, 10.0.0.2, 127.0.0.1", "https", HOST]),
        (
            &[("X-Forwarded-For", "6.6.6.6"), ("x-forwarded-for", "[2001:db8::9]:443")],
            ["2001:db8::9, 127.0.0.1", "https", HOST],
        ),
        (&[("X-Forwarded-For", "203.0.113.9, unknown")], ["127.0.0.1", "https", HOST]),
        (&[("X-Forwarded-Proto", "http")], ["127.0.0.1", "http", HOST]),
        (&[("X-Forwarded-Proto", "gopher")], ["127.0.0.1", "https", HOST]),
        (&[("X-Forwarded-Host", "Library.School.Example:8443")], ["127.0.0.1", "https", "library.school.example:8443"]),
    ] {
        assert_eq!(heard(PROXY, &world, fields).await, expected, "{fields:?}");
    }
}

#[tokio::test]
async fn cve_2023_36456_cve_2024_21494_nobody_else_is_believed() {
    let said = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "for=203.0.113.9;proto=http;host=evil.example"),
    ];
    let listed = world().await;
    assert_eq!(heard(STRANGER, &listed, &said).await, ["127.0.0.2", "https", HOST]);
    // Nobody at all by default.
    let unlisted = World::start().await;
    assert_eq!(heard(PROXY, &unlisted, &said).await, ["127.0.0.1", "https", HOST]);
    for world in [listed, unlisted] {
        let seen = world.echo.last();
        assert!(
            !seen.headers.iter().any(|(_, value)| value.contains("evil") || value.contains("203.0.113.9")),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn cve_2026_39858_an_alias_is_believed_from_nobody_and_reaches_no_app() {
    let world = world().await;
    let forged = [
        ("X_Forwarded_For", "203.0.113.9"),
        ("X.Forwarded.Proto", "http"),
        ("HTTP_X_FORWARDED_HOST", "evil.example"),
        ("Forwarded", "for=203.0.113.9;proto=http;host=evil.example"),
        ("X-Real-IP", "203.0.113.9"),
    ];
    assert_eq!(heard(PROXY, &world, &forged).await, ["127.0.0.1", "https", HOST]);
    let seen = world.echo.last();
    assert!(!seen.headers.iter().any(|(_, value)| value.contains("evil") || value.contains("203.0.113.9")), "{seen:?}");
}

#[tokio::test]
async fn the_host_that_a_listed_proxy_was_asked_for_is_the_one_that_counts() {
    let world = world().await;
    let asked = |host: &'static str, forwarded: &'static str| {
        let request = Request::get("/page").header("Host", host).header("X-Forwarded-Host", forwarded).navigation();
        send(PROXY, &world, request)
    };
    let answer = asked("gateway.internal:8080", HOST).await;
    assert_eq!(answer.status, 302, "{answer:?}");
    assert!(answer.location().starts_with(world.apple.base_url().as_str()), "{answer:?}");
    assert_eq!(asked("gateway.internal:8080", "evil.example").await.status, 421);
    assert_eq!(asked(HOST, "evil.example").await.status, 421);
    assert_eq!(asked(HOST, "evil.example, library.school.example").await.status, 302);
    for odd in ["", "library.school.example/x", "user@library.school.example", "library.school.example,", "a b"] {
        let answer = asked(HOST, odd).await;
        assert_eq!((answer.status, answer.header("content-type")), (400, Some("text/html; charset=utf-8")), "{odd}");
    }
    assert_eq!(world.echo.count(), 0);
    let stranger = Request::get("/page").header("Host", "gateway.internal").header("X-Forwarded-Host", HOST);
    assert_eq!(send(STRANGER, &world, stranger).await.status, 421);
}

#[tokio::test]
async fn cve_2024_21498_cve_2024_21499_cve_2026_33495_no_scheme_and_no_unknown_host_gets_into_our_links() {
    let world = world().await;
    let request = Request::get("/page").header("Host", HOST).header("X-Forwarded-Proto", "http");
    let answer = send(PROXY, &world, request.header("X-Forwarded-Host", HOST)).await;
    let expected = format!("Schoolgate sign_in=\"https://{HOST}/.schoolgate/sign-in?return_to=/page\"");
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(&*expected)));
    for (proto, host) in [("javascript", HOST), ("http", "evil.example")] {
        let request = Request::get("/.schoolgate/me").header("Host", HOST).header("X-Forwarded-Proto", proto);
        let answer = send(PROXY, &world, request.header("X-Forwarded-Host", host)).await;
        assert!(matches!(answer.status, 401 | 421), "{answer:?}");
        assert!(!format!("{answer:?}").contains("evil.example") && !format!("{answer:?}").contains("javascript"));
    }
}

#[tokio::test]
async fn sign_ins_are_counted_by_the_address_of_the_client() {
    let world = World::with(&[LISTED, ("server", "sign_in_rate_per_ip = 1")]).await;
    let status = async |client: &str| {
        let request = Request::get("/page").header("Host", HOST).header("X-Forwarded-For", client).navigation();
        send(PROXY, &world, request).await.status
    };
    assert_eq!([status("203.0.113.9").await, status("203.0.113.9").await], [302, 429]);
    assert_eq!(status("203.0.113.10").await, 302);
    assert_eq!(status("203.0.113.10, 203.0.113.9").await, 429);
}

#[tokio::test]
async fn the_list_of_sessions_shows_where_the_person_is_and_not_the_proxy() {
    let world = world().await;
    let mut browser = world.browser();
    let answer = browser.open(&at("/page")).await;
    let callback = world.at_apple(answer.location(), "teacher-1").await;
    let request =
        Request::get(&support::browser::target(&callback)).header("X-Forwarded-For", "203.0.113.9").navigation();
    assert_eq!(browser.send(&callback, request, false).await.status, 303);
    let list = Request::get("/sessions").header("Host", &world.admin.to_string()).send(world.admin).await.json();
    assert_eq!(list["sessions"][0]["address"], "203.0.113.9");
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    [SIGNATURE, &[command, family, 0, u8::try_from(rest.len()).unwrap()], rest].concat()
}

/// What the app heard of the client, after these first bytes.
async fn introduced(world: &World, header: &[u8], fields: &[(&str, &str)]) -> String {
    world.echo.forget();
    let mut connection = connect(PROXY, world).await;
    connection.write(&[header, &page(fields).bytes()].concat()).await;
    assert_eq!(connection.answer().await.status, 200, "{:?}", header.escape_ascii().to_string());
    world.echo.last().header("x-forwarded-for").unwrap().to_owned()
}

const CLIENT: &[u8] = &[203, 0, 113, 9, 127, 0, 0, 1, 0x12, 0x34, 0x01, 0xbb];

#[tokio::test]
async fn the_proxy_protocol_of_a_listed_proxy_names_the_client() {
    let world = world().await;
    let v1 = b"PROXY TCP4 203.0.113.9 127.0.0.1 4660 443\r\n";
    assert_eq!(introduced(&world, v1, &[]).await, "203.0.113.9");
    assert_eq!(introduced(&world, &v2(0x21, 0x11, CLIENT), &[]).await, "203.0.113.9");
    let v6 = b"PROXY TCP6 2001:db8::9 ::1 4660 443\r\n";
    assert_eq!(introduced(&world, v6, &[]).await, "2001:db8::9");
    let mapped = b"PROXY TCP6 ::ffff:203.0.113.9 ::1 4660 443\r\n";
    assert_eq!(introduced(&world, mapped, &[]).await, "203.0.113.9");
    // Whoever it names is judged by the list like anybody else.
    let said = [("X-Forwarded-For", "198.51.100.7")];
    assert_eq!(introduced(&world, v1, &said).await, "203.0.113.9");
    let inner = b"PROXY TCP4 10.0.0.5 127.0.0.1 4660 443\r\n";
    assert_eq!(introduced(&world, inner, &said).await, "198.51.100.7, 10.0.0.5");
    // And nobody needs it.
    assert_eq!(introduced(&world, b"", &said).await, "198.51.100.7, 127.0.0.1");
    assert_eq!(introduced(&world, b"\r\n", &said).await, "198.51.100.7, 127.0.0.1");
}

#[tokio::test]
async fn a_proxy_that_speaks_for_nobody_stays_the_peer_and_vouches_for_nobody() {
    let world = world().await;
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), v2(0x20, 0, &[]), v2(0x20, 0x11, CLIENT), v2(0x21, 0, &[])] {
        assert_eq!(introduced(&world, &header, &[]).await, "127.0.0.1");
        assert_eq!(introduced(&world, &header, &[("X-Forwarded-For", "203.0.113.9")]).await, "127.0.0.1");
    }
}

#[tokio::test]
async fn the_client_of_a_connection_stays_the_same_for_all_of_its_requests() {
    let world = world().await;
    let mut connection = connect(PROXY, &world).await;
    connection.write(b"PROXY TCP4 203.0.113.9 127.0.0.1 4660 443\r\n").await;
    for _ in 0..2 {
        connection.write(&page(&[]).bytes()).await;
        assert_eq!(connection.answer().await.status, 200);
        assert_eq!(world.echo.last().header("x-forwarded-for"), Some("203.0.113.9"));
    }
    // A second header is what a client could send through a balancer.
    connection.write(b"PROXY TCP4 10.0.0.5 127.0.0.1 4660 443\r\n\r\n").await;
    assert_eq!(connection.answer().await.status, 400);
}

#[tokio::test]
async fn a_header_that_comes_in_pieces_is_one() {
    let world = world().await;
    let mut connection = connect(PROXY, &world).await;
    for piece in [b"PRO".to_vec(), b"XY TCP4 203.0.113.9 127".to_vec(), b".0.0.1 4660 443\r".to_vec(), b"\n".to_vec()] {
        connection.write(&piece).await;
        tokio::task::yield_now().await;
    }
    connection.write(&page(&[]).bytes()).await;
    assert_eq!(connection.answer().await.status, 200);
    assert_eq!(world.echo.last().header("x-forwarded-for"), Some("203.0.113.9"));
}

#[tokio::test]
async fn a_malformed_header_closes_the_connection() {
    let world = world().await;
    for header in [
        b"PROXY TCP4 203.0.113.9 127.0.0.1 4660\r\n".to_vec(),
        v2(0x21, 0x12, CLIENT),
        v2(0x31, 0x11, CLIENT),
        v2(0x21, 0x11, &CLIENT[..8]),
        [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat(),
        format!("PROXY UNKNOWN {}", "x".repeat(200)).into_bytes(),
    ] {
        let mut connection = connect(PROXY, &world).await;
        connection.write(&[&header[..], &page(&[]).bytes()].concat()).await;
        assert_eq!(connection.rest().await, b"", "{:?}", header.escape_ascii().to_string());
    }
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn a_client_that_calls_its_method_so_breaks_no_connection_of_its_proxy() {
    let world = world().await;
    // A web server with several gateways would take each of them for broken.
    let mut connection = connect(PROXY, &world).await;
    for method in ["PROXY", "GET"] {
        let said = [("Host", HOST), ("X-Forwarded-For", "203.0.113.9")];
        let request = said
            .iter()
            .fold(Request::new(method, "/public/page"), |request, (name, value)| request.header(name, value));
        connection.write(&request.bytes()).await;
        assert_eq!(connection.answer().await.status, 200, "{method}");
        assert_eq!(world.echo.last().header("x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
    }
    for odd in ["PROXY \r\n\r\n", "PROXY tcp4 203.0.113.9 127.0.0.1 4660 443\r\n\r\n", "PROXY  UNKNOWN\r\n\r\n"] {
        let mut connection = connect(PROXY, &world).await;
        connection.write(odd.as_bytes()).await;
        assert_eq!(connection.answer().await.status, 400, "{odd:?}");
    }
}

#[tokio::test]
async fn a_header_must_be_complete_within_header_timeout() {
    let world = World::with(&[LISTED, ("server", "header_timeout = \"1s\"")]).await;
    for begun in [&b"P"[..], b"PROXY TCP4 203.0.113.9", &SIGNATURE[..7], &v2(0x21, 0x11, CLIENT)[..20]] {
        let mut connection = connect(PROXY, &world).await;
        connection.write(begun).await;
        assert_eq!(connection.rest().await, b"");
    }
}

#[tokio::test]
async fn from_anybody_else_a_proxy_header_is_rubbish() {
    let listed = world().await;
    let unlisted = World::start().await;
    for (from, world) in [(STRANGER, &listed), (PROXY, &unlisted)] {
        for header in [b"PROXY TCP4 203.0.113.9 127.0.0.1 4660 443\r\n".to_vec(), v2(0x21, 0x11, CLIENT)] {
            let mut connection = connect(from, world).await;
            connection.write(&[&header[..], &page(&[]).bytes()].concat()).await;
            let answer = connection.answer().await;
            assert_eq!(answer.status, 400, "{:?}", header.escape_ascii().to_string());
        }
        assert_eq!(world.echo.count(), 0);
    }
}

#[tokio::test]
async fn requests_that_share_a_connection_of_a_proxy_share_nothing_else() {
    let world = world().await;
    let browser = world.signed_in("teacher-1").await;
    let cookie = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    let mut connection = connect(PROXY, &world).await;
    for (client, cookie, status) in [("203.0.113.9", &*cookie, 200), ("203.0.113.10", "a=b", 401), ("", "a=b", 401)] {
        world.echo.forget();
        let request = |target: &str| Request::get(target).header("Host", HOST).header("Cookie", cookie);
        let page = request("/page").header("X-Forwarded-For", client);
        let question = request("/.schoolgate/auth").header("X-Original-URL", &at("/page"));
        for (asked, tells) in [(page, false), (question, status == 200)] {
            connection.write(&asked.bytes()).await;
            let answer = connection.answer().await;
            assert_eq!(answer.status, status, "{client}: {answer:?}");
            assert_eq!(answer.header("x-forwarded-user").is_some(), tells, "{answer:?}");
        }
        for seen in world.echo.seen() {
            assert_eq!(seen.header("x-forwarded-for"), Some(&*format!("{client}, 127.0.0.1")));
        }
    }
}
