//! Whoever shows no session: answered before pingora reads the request, and not otherwise than after it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;

use support::{Answer, Connection, Request, World, world::HOST};

/// What differs from one answer to the next, or says how the connection goes on.
const OF_ONE: [&str; 5] = ["x-request-id", "date", "connection", "set-cookie", "location"];

fn fields(answer: &Answer) -> BTreeMap<String, String> {
    let told = answer.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    told.filter(|(name, _)| !OF_ONE.contains(&name.as_str())).collect()
}

fn page(method: &str, path: &str) -> Request {
    Request::new(method, path).header("Host", HOST).navigation()
}

fn fetch(path: &str) -> Request {
    Request::get(path).header("Host", HOST).header("Sec-Fetch-Mode", "cors").header("Sec-Fetch-Dest", "empty")
}

#[tokio::test]
async fn a_stranger_hears_the_same_on_a_connection_that_goes_on_and_on_one_that_ends() {
    let world = World::start().await;
    let mut kept = Connection::open(world.address).await;
    for (request, status) in [
        (fetch("/grades?class=7b"), 401),
        (page("GET", "/grades?class=7b"), 302),
        (page("HEAD", "/grades"), 302),
        (page("GET", "/grades").header("Cookie", "a=b; lang=de"), 302),
        (page("GET", "/grades").header("Sec-Purpose", "prefetch"), 401),
        (
            Request::get("/grades")
                .header("Host", HOST)
                .header("Sec-Fetch-Mode", "navigate")
                .header("Sec-Fetch-Dest", "iframe"),
            401,
        ),
        (fetch("/classes/1"), 401),
    ] {
        let early = request.send_over(&mut kept).await;
        // pingora answers what ends its connection.
        let late = request.clone().header("Connection", "close").send(world.address).await;
        assert_eq!((early.status, late.status), (status, status), "{request:?}");
        assert_eq!(fields(&early), fields(&late), "{request:?}");
        assert_eq!(early.all("set-cookie").count(), late.all("set-cookie").count());
        assert_eq!((early.header("connection"), late.header("connection")), (Some("keep-alive"), Some("close")));
        assert!(early.header("date").unwrap().ends_with(" GMT"), "{early:?}");
        assert_ne!(early.header("x-request-id"), late.header("x-request-id"));
    }
}

#[tokio::test]
async fn nobody_comes_further_by_it_than_to_apple() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    let cookie = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    let mut kept = Connection::open(world.address).await;
    for (request, status) in [
        (fetch("/grades"), 401),
        (fetch("/grades").header("Cookie", &cookie), 200),
        (fetch("/grades").header("Cookie", "__Host-schoolgate=made-up"), 401),
        (fetch("/grades").header("Cookie", &format!("{cookie}; __Host-schoolgate=planted")), 401),
        (fetch("/public/x"), 200),
        (fetch("/optional"), 200),
        (fetch("/.schoolgate/me"), 401),
        (Request::get("/grades").header("Host", "other.example"), 421),
        (fetch("/grades"), 401),
    ] {
        assert_eq!(request.send_over(&mut kept).await.status, status, "{request:?}");
    }
    // Whoever sends a body is answered by pingora, which may close the connection with it.
    let post = Request::new("POST", "/grades").header("Host", HOST).form(&[("a", "b")]);
    assert_eq!(post.send(world.address).await.status, 401);
    assert_eq!(world.echo.seen().len(), 3, "the app has seen who may come, and nobody else");
}
