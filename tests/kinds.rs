//! The kinds of request and what each gets: a way to Apple, or 401 (`docs/requests.md`).
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Answer, Browser, HOST, Request, World, world::at};

/// Routes for each way to answer somebody who is not signed in.
const ROUTES: &str = "[[app.route]]\npath = \"/always\"\nunauthenticated = \"redirect\"\nscopes = [\"edu.users.read\"]\n\
                      [[app.route]]\npath = \"/never\"\nunauthenticated = \"401\"\n";

const FRAMES: &[&str] = &["iframe", "frame", "embed", "object", "fencedframe"];

fn framed(request: Request, dest: &str) -> Request {
    request.header("Sec-Fetch-Mode", "navigate").header("Sec-Fetch-Dest", dest).header("Accept", "text/html")
}

fn policy(answer: &Answer) -> &str {
    answer.header("content-security-policy").unwrap()
}

/// The page for frames, which leads to a sign-in on top and then to `path`.
fn is_the_page_for_frames(answer: &Answer, path: &str) {
    assert_eq!((answer.status, answer.header("location")), (401, None), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{answer:?}");
    assert_eq!(answer.all("set-cookie").count(), 0, "no sign-in begins: {answer:?}");
    let way = format!("/.schoolgate/sign-in?return_to={path}");
    assert!(answer.header("www-authenticate").unwrap().contains(&way), "{answer:?}");
    let link = format!("href=\"/.schoolgate/sign-in?return_to={}\" target=\"_top\"", path.replace('/', "%2F"));
    assert!(answer.text().contains(&link), "{answer:?}");
    assert!(policy(answer).split("; ").any(|part| part == "frame-ancestors *"), "{answer:?}");
    assert_eq!(answer.header("x-frame-options"), None, "{answer:?}");
}

async fn send(browser: &mut Browser, path: &str, request: Request) -> Answer {
    browser.send(&at(path), request, false).await
}

#[tokio::test]
async fn no_setting_and_no_method_sends_a_frame_to_apple() {
    let world = World::with(&[("routes", ROUTES)]).await;
    for path in ["/x", "/always/x", "/never/x"] {
        for dest in FRAMES {
            is_the_page_for_frames(&world.send(framed(Request::get(path), dest)).await, path);
        }
        for method in ["POST", "PUT"] {
            is_the_page_for_frames(&world.send(framed(Request::new(method, path).form(&[]), "iframe")).await, path);
        }
    }
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn a_session_without_a_permission_gets_the_same_page_in_a_frame() {
    let world = World::with(&[("routes", ROUTES)]).await;
    let mut browser = world.signed_in("teacher-1").await;
    let stranger = world.send(framed(Request::get("/classes"), "iframe")).await;
    for path in ["/classes", "/always"] {
        let answer = send(&mut browser, path, framed(Request::get(path), "iframe")).await;
        is_the_page_for_frames(&answer, path);
        assert!(answer.header("www-authenticate").unwrap().contains("error=\"insufficient_scope\""), "{answer:?}");
        let (same, person) = (answer.text().replace("always", "classes"), world.subject("teacher-1"));
        assert_eq!(same, stranger.text(), "it says nothing about anybody");
        assert!(!answer.text().contains(&person) && !answer.text().contains("teacher"), "{answer:?}");
    }
}

#[tokio::test]
async fn the_gateways_own_sign_in_leads_no_frame_and_no_guess_to_apple() {
    let world = World::start().await;
    let path = "/.schoolgate/sign-in?return_to=/x";
    is_the_page_for_frames(&world.send(framed(Request::get(path), "iframe")).await, "/x");
    let mut browser = world.signed_in("teacher-1").await;
    is_the_page_for_frames(&send(&mut browser, path, framed(Request::get(path), "iframe")).await, "/x");
    let guess = world.send(Request::get(path).navigation().header("Sec-Purpose", "prefetch")).await;
    assert_eq!((guess.status, guess.header("location")), (401, None), "{guess:?}");
    assert_eq!(guess.all("set-cookie").count(), 0, "{guess:?}");
    assert_eq!(world.send(Request::get(path).navigation()).await.status, 302);
}

#[tokio::test]
async fn the_home_of_many_hosts_leads_no_frame_and_no_guess_to_apple_either() {
    let app = "[[app]]\nname = \"grades\"\nhost = \"grades.school.example\"\nupstream = \"http://@APP@\"\n";
    let world = World::with(&[("routes", app)]).await;
    let mut browser = world.browser();
    let frame = framed(Request::get("/a"), "iframe");
    is_the_page_for_frames(&browser.send("https://grades.school.example/a", frame, false).await, "/a");
    let wish = browser.open("https://grades.school.example/a").await;
    let path = wish.location().strip_prefix(&at("")).expect("the home is asked").to_owned();
    let answer = send(&mut browser, &path, framed(Request::get(&path), "iframe")).await;
    assert_eq!((answer.status, answer.header("location")), (401, None), "{answer:?}");
    let link = "href=\"https://grades.school.example/.schoolgate/sign-in?return_to=%2Fa\" target=\"_top\"";
    assert!(answer.text().contains(link), "{answer:?}");
    let guess = Request::get(&path).navigation().header("Sec-Purpose", "prefetch");
    let answer = send(&mut browser, &path, guess).await;
    assert_eq!((answer.status, answer.header("location")), (401, None), "{answer:?}");
    assert_eq!(browser.open(wish.location()).await.status, 302);
}

#[tokio::test]
async fn a_web_server_that_asks_hears_the_same() {
    let lines = [
        ("server", "trusted_proxies = [\"127.0.0.1/32\"]"),
        ("app", "sign_out_paths = [\"/logout\"]"),
        ("routes", ROUTES),
    ];
    let world = World::with(&lines).await;
    let nginx = |path: &str| Request::get("/.schoolgate/auth").header("X-Original-URL", &at(path));
    let traefik = |path: &str| {
        let request = Request::get("/.schoolgate/auth").header("X-Forwarded-Method", "GET");
        request.header("X-Forwarded-Host", HOST).header("X-Forwarded-Uri", path)
    };
    is_the_page_for_frames(&world.send(framed(traefik("/always/x"), "iframe")).await, "/always/x");
    let guess = world.send(traefik("/always/x").navigation().header("Sec-Purpose", "prefetch")).await;
    assert_eq!((guess.status, guess.header("location")), (401, None), "{guess:?}");
    // No session ends for a guess, whoever asks.
    let mut browser = world.signed_in("teacher-1").await;
    for request in [nginx("/logout"), traefik("/logout")] {
        let answer = send(&mut browser, "/", request.navigation().header("Sec-Purpose", "prefetch")).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 200, "signed out");
    }
    assert!((200..300).contains(&send(&mut browser, "/", nginx("/logout").navigation()).await.status));
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 401);
}

#[tokio::test]
async fn no_sign_in_begins_because_a_browser_guesses() {
    let world = World::with(&[("routes", ROUTES)]).await;
    for (name, value) in
        [("Sec-Purpose", "prefetch;prerender"), ("Sec-Purpose", "x"), ("Purpose", "prefetch"), ("X-Moz", "prefetch")]
    {
        for path in ["/x", "/always/x", "/never/x"] {
            let requests = [Request::get(path).navigation(), framed(Request::get(path), "iframe"), Request::get(path)];
            for request in requests {
                let answer = world.send(request.header(name, value)).await;
                assert_eq!((answer.status, answer.header("location")), (401, None), "{name} {path}: {answer:?}");
                assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{name} {path}");
                assert_eq!(answer.all("set-cookie").count(), 0, "{name} {path}: {answer:?}");
            }
        }
    }
    // A guess for somebody who is signed in goes to the app like any request.
    let mut browser = world.signed_in("teacher-1").await;
    let guess = Request::get("/x").navigation().header("Sec-Purpose", "prefetch");
    assert_eq!(send(&mut browser, "/x", guess).await.status, 200);
}

#[tokio::test]
async fn no_session_ends_because_a_browser_guesses() {
    let world = World::with(&[("app", "sign_out_paths = [\"/logout\"]")]).await;
    let mut browser = world.signed_in("teacher-1").await;
    world.echo.forget();
    for (name, value) in [("Sec-Purpose", "prefetch"), ("Purpose", "prefetch"), ("X-Moz", "prefetch")] {
        for (path, status) in [("/logout", 503), ("/.schoolgate/sign-out", 200)] {
            let guess = Request::get(path).navigation().header("Sec-Fetch-Site", "same-origin").header(name, value);
            assert_eq!(send(&mut browser, path, guess).await.status, status, "{name} {path}");
            assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 200, "{name} {path}: signed out");
        }
    }
    assert_eq!(world.echo.count(), 0, "the app was not asked either");
}

#[tokio::test]
async fn every_other_answer_of_ours_to_a_frame_is_a_page_that_no_frame_shows() {
    let world = World::before("127.0.0.1:1", &[]).await;
    let mut browser = world.signed_in("teacher-1").await;
    for (path, status) in [("/staff", 403), ("/x", 502), ("/.schoolgate/none", 404), ("/a//b", 400)] {
        let answer = send(&mut browser, path, framed(Request::get(path), "iframe")).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}: {answer:?}");
        assert!(policy(&answer).contains("frame-ancestors 'none'"), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_field_that_stands_twice_or_cannot_be_read_makes_no_navigation() {
    let world = World::start().await;
    let page = || Request::get("/x").header("Accept", "text/html");
    for request in [
        page()
            .header("Sec-Fetch-Mode", "navigate")
            .header("Sec-Fetch-Mode", "navigate")
            .header("Sec-Fetch-Dest", "document"),
        page()
            .header("Sec-Fetch-Mode", "navigate")
            .header("Sec-Fetch-Dest", "document")
            .header("Sec-Fetch-Dest", "iframe"),
        page().header("Sec-Fetch-Mode", "\u{e9}"),
        page().header("Sec-Fetch-Dest", ""),
        page().header("Accept", "application/json"),
    ] {
        assert_eq!(world.send(request.clone()).await.status, 401, "{request:?}");
    }
    assert_eq!(world.send(page().header("Host", HOST)).await.status, 302);
}
