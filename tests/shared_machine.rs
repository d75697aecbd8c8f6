//! One computer of a classroom, one browser, an app with sessions of its own: nobody ever sees what the app
//! keeps for somebody else.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use schoolgate::demo::Endpoint;
use support::{Answer, Browser, Connection, HOST, Php, RawApp, Request, Site, World, php::COOKIE, world::at};

/// The two pupils.
const ANNA: &str = "pupil-1";
const BEN: &str = "pupil-2";

/// Ways in which apps set their cookie.
const PLACES: &[&str] = &[
    "; Path=/",
    "; Path=/; HttpOnly; Secure; SameSite=Lax",
    "",
    "; path=/app/; HttpOnly",
    "; Path=/app; Domain=school.example",
    "; Domain=.Library.School.example; Path=/",
];

const KEYS: &[(&str, &str)] = &[
    ("app", "clear_cookies = [\"PHPSESSID\"]\nsign_out_paths = [\"/logout.php\", \"/public/logout.php\"]"),
    ("routes", "  [[app.route]]\n  path = \"/app/open\"\n  access = \"public\""),
];

/// The app with its cookie in one of the places, and a gateway in front of it.
async fn classroom(attributes: &str) -> (Php, World) {
    let php = Php::start(attributes).await;
    let world = World::before(&php.address.to_string(), KEYS).await;
    (php, world)
}

/// Signs a person in, whoever was there before.
async fn signs_in(world: &World, browser: &mut Browser, person: &str) -> Answer {
    let answer = browser.open(&at("/.schoolgate/sign-in?return_to=/app/home")).await;
    let callback = world.at_apple(answer.location(), person).await;
    let answer = browser.open(&callback).await;
    assert_eq!((answer.status, answer.location()), (303, "/app/home"), "{}", answer.text());
    answer
}

/// Looks at several pages, and sees nothing but what the app keeps for this person.
async fn sees_only(world: &World, browser: &mut Browser, person: &str) {
    for path in ["/app/home", "/app/deep/er/page", "/", "/optional/page", "/public/page", "/app/home"] {
        let answer = browser.open(&at(path)).await;
        assert_eq!(answer.status, 200, "{path}");
        let said = |who: &str| answer.text().contains(&format!("the session of {who}<"));
        // On a public page the app is not told who it is; it may only remember.
        assert!(said(&world.subject(person)) || path == "/public/page" && said("nobody"), "{path}: {}", answer.text());
    }
}

/// Names of cookies that an answer deletes at `/` of the host.
fn deleted(answer: &Answer) -> Vec<String> {
    let lines = answer.all("set-cookie").filter(|line| line.ends_with("Secure; Path=/; Max-Age=0"));
    lines.map(|line| line.split('=').next().unwrap().to_owned()).collect()
}

fn deletes_all(answer: &Answer) -> bool {
    let names = deleted(answer);
    ["__Host-schoolgate", COOKIE].iter().all(|wanted| names.iter().any(|name| name == wanted))
}

#[tokio::test]
async fn at_the_sign_out_the_apps_session_dies_wherever_its_cookie_lives() {
    for place in PLACES {
        for way in ["/.schoolgate/sign-out", "/.schoolgate/sign-out?return_to=/public/bye"] {
            let (php, world) = classroom(place).await;
            let mut browser = world.browser();
            signs_in(&world, &mut browser, ANNA).await;
            sees_only(&world, &mut browser, ANNA).await;
            let answer = browser.open(&at(way)).await;
            assert!(deletes_all(&answer), "{place}: {answer:?}");
            assert_eq!(browser.cookie_names(HOST), Vec::<String>::new(), "{place}");
            if let Some(refresh) = answer.header("refresh") {
                let answer = browser.open(&at(refresh.split_once("url=").unwrap().1)).await;
                assert!(deletes_all(&answer), "{place}: {answer:?}");
            }
            assert!(php.keeps().contains(&Some(world.subject(ANNA))), "the app itself knows nothing of it");
            signs_in(&world, &mut browser, BEN).await;
            sees_only(&world, &mut browser, BEN).await;
        }
    }
}

#[tokio::test]
async fn when_somebody_sits_down_after_somebody_who_just_left_the_apps_session_dies() {
    for place in PLACES {
        // The session has ended by itself; or it is still live.
        for away in [9 * 3600, 60] {
            let (_php, world) = classroom(place).await;
            let mut browser = world.browser();
            signs_in(&world, &mut browser, ANNA).await;
            sees_only(&world, &mut browser, ANNA).await;
            world.clock.advance(Duration::from_secs(away));
            let answer = signs_in(&world, &mut browser, BEN).await;
            assert!(deleted(&answer).iter().any(|name| name == COOKIE), "{place}: {answer:?}");
            assert_eq!(answer.header("clear-site-data"), Some("\"cache\""), "pages that the app lets browsers keep");
            assert_eq!(browser.cookie_names(HOST), ["__Host-schoolgate"], "{place}");
            sees_only(&world, &mut browser, BEN).await;
        }
    }
}

#[tokio::test]
async fn who_signs_in_again_or_steps_up_loses_nothing() {
    let (php, world) = classroom("; Path=/").await;
    let mut browser = world.browser();
    signs_in(&world, &mut browser, "administrator").await;
    let page = browser.open(&at("/app/home")).await.text();
    let answer = world.through_apple(&mut browser, "/classes", "administrator").await;
    assert_eq!(deleted(&answer).iter().filter(|name| *name == COOKIE).count(), 0, "{answer:?}");
    assert_eq!(answer.header("clear-site-data"), None);
    assert_eq!(browser.open(&at("/app/home")).await.text(), page);
    signs_in(&world, &mut browser, "administrator").await;
    assert_eq!(browser.open(&at("/app/home")).await.text(), page);
    // Also after the session has ended by itself, as long as it is known whose it was.
    world.clock.advance(Duration::from_secs(8 * 3600 + 1));
    assert_eq!(browser.open(&at("/app/home")).await.status, 302);
    signs_in(&world, &mut browser, "administrator").await;
    assert_eq!(browser.open(&at("/app/home")).await.text(), page);
    assert_eq!(php.begun(), 1);
    // A sign-in that comes to nothing takes nothing away.
    let answer = browser.open(&at("/.schoolgate/callback?code=x&state=y")).await;
    assert_eq!(answer.all("set-cookie").count(), 0, "{answer:?}");
    // Another person at the step-up is another person.
    let mut browser = world.browser();
    signs_in(&world, &mut browser, "teacher-1").await;
    sees_only(&world, &mut browser, "teacher-1").await;
    let answer = world.through_apple(&mut browser, "/classes", "administrator").await;
    assert!(deleted(&answer).iter().any(|name| name == COOKIE), "{answer:?}");
    sees_only(&world, &mut browser, "administrator").await;
}

#[tokio::test]
async fn a_form_post_that_brings_no_session_cookie_still_knows_whose_browser_it_was() {
    let php = Php::start("; Path=/").await;
    let lines = [KEYS, &[("apple", "response_mode = \"form_post\"")]].concat();
    let world = World::before(&php.address.to_string(), &lines).await;
    let mut browser = world.browser();
    for (person, away, expected) in
        [(ANNA, 0, true), (ANNA, 60, false), (ANNA, 8 * 3600 + 1, false), (BEN, 60, true), (ANNA, 8 * 3600 + 1, true)]
    {
        world.clock.advance(Duration::from_secs(away));
        let answer = browser.open(&at("/.schoolgate/sign-in?return_to=/app/home")).await;
        let form = Request::new("POST", "/.schoolgate/callback").form(&posted(&world, answer.location(), person).await);
        let answer = browser.send(&at("/.schoolgate/callback"), form.navigation(), true).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert_eq!(deleted(&answer).iter().any(|name| name == COOKIE), expected, "{person} after {away}");
        sees_only(&world, &mut browser, person).await;
    }
    assert_eq!(php.begun(), 3);
}

/// Code and state of the form that Apple's page would post.
async fn posted(world: &World, authorize: &str, person: &str) -> [(&'static str, &'static str); 2] {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], world.apple.base_url().port().unwrap()));
    let request = Request::get(&support::browser::target(authorize)).header("Host", "127.0.0.1");
    let page = request.header(schoolgate::demo::PERSON_HEADER, person).send(address).await.text();
    ["code", "state"].map(|name| {
        let rest = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{page}")).1;
        (name, &*rest.split('"').next().unwrap().to_owned().leak())
    })
}

#[tokio::test]
async fn a_cookie_that_could_not_be_deleted_or_that_comes_late_shows_nothing_either() {
    for place in PLACES {
        let (php, world) = classroom(place).await;
        let mut browser = world.browser();
        signs_in(&world, &mut browser, ANNA).await;
        let late = browser.open(&at("/app/home")).await;
        sees_only(&world, &mut browser, ANNA).await;
        browser.open(&at("/.schoolgate/sign-out")).await;
        signs_in(&world, &mut browser, BEN).await;
        // An answer of Anna's second tab comes in now.
        for line in late.all("set-cookie") {
            browser.set_by(&at("/app/home"), line);
        }
        assert!(browser.cookie(HOST, COOKIE).is_some());
        let begun = php.begun();
        let answer = browser.open(&at("/app/home")).await;
        assert!(!php.last().1.contains(COOKIE), "{place}: {:?}", php.last());
        assert_eq!(php.begun(), begun + 1);
        assert!(answer.text().contains(&world.subject(BEN)), "{place}: {}", answer.text());
        sees_only(&world, &mut browser, BEN).await;
        // Nor does it when nobody is signed in, on pages for everybody.
        for line in late.all("set-cookie") {
            browser.set_by(&at("/app/home"), line);
        }
        world.clock.advance(Duration::from_secs(9 * 3600));
        for path in ["/app/../public/app", "/optional/app", "/public/app"].map(|path| path.replace("/app/..", "")) {
            let text = browser.open(&at(&path)).await.text();
            assert!(text.contains("the session of nobody"), "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn after_a_restart_the_gateway_still_knows_whose_an_apps_cookie_is() {
    let php = Php::start("; Path=/some/where").await;
    let site = Site::start().await;
    let text = site.configuration(KEYS).replace(&site.echo.address.to_string(), &php.address.to_string());
    let mut program = site.spawn(&text);
    program.started().await;
    let mut browser = program.browser();
    let answer = support::world::through_apple(&mut browser, "/some/where/page", ANNA).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let annas = browser.open(&at("/some/where/page")).await.text();
    assert_eq!(browser.open(&at("/some/where/page")).await.text(), annas);
    program.terminate().await;
    program.ended().await;
    let mut program = site.spawn(&text);
    program.started().await;
    browser.move_to(program.address());
    let kept = browser.cookie(HOST, COOKIE);
    let answer = support::world::through_apple(&mut browser, "/some/where/page", BEN).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(kept.is_some() && browser.cookie(HOST, COOKIE) == kept, "nobody knows where to delete it");
    let bens = browser.open(&at("/some/where/page")).await.text();
    assert!(annas.contains("session1,") && bens.contains("session2,"), "{annas} {bens}");
    assert_ne!(annas.split("session of").nth(1), bens.split("session of").nth(1));
}

#[tokio::test]
async fn what_was_begun_for_nobody_is_not_taken_over_by_who_signs_in() {
    for place in PLACES {
        let (php, world) = classroom(place).await;
        let mut browser = world.browser();
        let page = at("/app/open/page");
        let early = browser.open(&page).await;
        assert!(early.text().contains("session1, the session of nobody"), "{}", early.text());
        assert_eq!(browser.open(&page).await.text(), early.text(), "{place}: a stranger has a session too");
        let answer = signs_in(&world, &mut browser, ANNA).await;
        assert!(deleted(&answer).iter().any(|name| name == COOKIE), "{place}: {answer:?}");
        assert_eq!(browser.cookie_names(HOST), ["__Host-schoolgate"], "{place}");
        // Or else PHP would put into it what it learns of Anna, without a word to the browser.
        early.all("set-cookie").for_each(|line| browser.set_by(&page, line));
        browser.open(&page).await;
        sees_only(&world, &mut browser, ANNA).await;
        assert_eq!(php.keeps()[0], None, "{place}");
    }
}

#[tokio::test]
async fn other_cookies_and_those_of_scripts_pass_and_labels_stay_here() {
    let (php, world) = classroom("; Path=/").await;
    let mut browser = world.browser();
    signs_in(&world, &mut browser, ANNA).await;
    browser.set_by(&at("/"), "theme=dark; Path=/");
    browser.set_by(&at("/"), "phpsessid=x; Path=/");
    browser.set_by(&at("/"), "PHPSESSID=by-a-script; Path=/by");
    browser.open(&at("/by/x")).await;
    assert_eq!(php.last().1, "PHPSESSID=by-a-script; theme=dark; phpsessid=x");
    browser.open(&at("/app/home")).await;
    browser.open(&at("/app/home")).await;
    assert!(browser.cookie_names(HOST).contains(&"schoolgate-of-PHPSESSID".to_owned()));
    let cookies = php.last().1;
    assert!(cookies.contains("PHPSESSID=session") && !cookies.contains("schoolgate"), "{cookies}");
    // Nothing is labelled that is not named, nor does a sign-in then take anything away.
    let plain = World::start().await;
    let mut browser = plain.browser();
    let answer = plain.through_apple(&mut browser, "/start", ANNA).await;
    assert_eq!((answer.all("set-cookie").count(), answer.header("clear-site-data")), (2, None), "{answer:?}");
    let answer = browser.open(&at("/cookies")).await;
    let lines: Vec<_> = answer.all("set-cookie").collect();
    assert_eq!(lines, ["PHPSESSID=1; Path=/", "schoolgate=planted", "lang=de"]);
    assert!(!deleted(&browser.open(&at("/.schoolgate/sign-out")).await).contains(&COOKIE.to_owned()));
}

#[tokio::test]
async fn an_app_cannot_write_labels() {
    let echo = World::with(KEYS).await;
    let mut browser = echo.signed_in(ANNA).await;
    let answer =
        browser.open(&at("/say?Set-Cookie=schoolgate-of-PHPSESSID%3Dx&Set-Cookie=PHPSESSID%3D1%3B%20a%3Db")).await;
    let lines: Vec<_> = answer.all("set-cookie").collect();
    assert_eq!((lines.len(), lines[0]), (2, "PHPSESSID=1; a=b"), "{lines:?}");
    assert!(lines[1].starts_with("schoolgate-of-PHPSESSID=") && lines[1].ends_with("; a=b; HttpOnly"), "{lines:?}");
    assert!(!lines[1].contains("=x;"), "{lines:?}");
}

#[tokio::test]
async fn the_apps_own_sign_out_is_proxied_and_ends_the_gateways_session() {
    for method in ["GET", "POST", "DELETE"] {
        let (php, world) = classroom("; Path=/").await;
        let mut browser = world.browser();
        signs_in(&world, &mut browser, ANNA).await;
        sees_only(&world, &mut browser, ANNA).await;
        let copied = browser.clone();
        let answer = browser.send(&at("/logout.php"), Request::new(method, "/logout.php").navigation(), false).await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains(&format!("<p>{}</p>", world.subject(ANNA))), "{}", answer.text());
        let (target, cookie, person) = php.last();
        assert_eq!((&*target, person), ("/logout.php", Some(world.subject(ANNA))), "with the identity of the session");
        assert!(cookie.contains(COOKIE), "the app can end its own session: {cookie}");
        assert!(deletes_all(&answer), "{answer:?}");
        assert_eq!(browser.cookie_names(HOST), ["lang"]);
        let begins = answer.all("set-cookie").any(|line| line.starts_with("PHPSESSID=s"));
        assert!(!begins, "what dies at the sign-out is not set by its answer: {answer:?}");
        assert_eq!(answer.header("clear-site-data"), Some("\"cache\""));
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        assert_eq!(copied.clone().fetch(&at("/app/home")).await.status, 401, "a copied cookie is worth nothing");
        world.reached(Endpoint::Revoke, 1).await;
        signs_in(&world, &mut browser, BEN).await;
        sees_only(&world, &mut browser, BEN).await;
    }
}

#[tokio::test]
async fn a_sign_out_of_the_app_on_a_public_route_ends_the_session_too() {
    let (php, world) = classroom("; Path=/").await;
    let mut browser = world.browser();
    signs_in(&world, &mut browser, ANNA).await;
    sees_only(&world, &mut browser, ANNA).await;
    let copied = browser.clone();
    let answer = browser.open(&at("/public/logout.php?from=menu")).await;
    assert!(answer.text().contains("Goodbye") && answer.text().contains(&world.subject(ANNA)), "{}", answer.text());
    assert_eq!((&*php.last().0, php.last().2), ("/public/logout.php?from=menu", None), "public routes tell nobody");
    assert!(deletes_all(&answer) && answer.header("cache-control") == Some("private, no-store"), "{answer:?}");
    assert_eq!(copied.clone().fetch(&at("/.schoolgate/me")).await.status, 401);
}

#[tokio::test]
async fn without_a_session_the_rules_hold_and_the_cookies_go_all_the_same() {
    let (php, world) = classroom("; Path=/").await;
    let mut browser = world.browser();
    let answer = browser.open(&at("/logout.php")).await;
    assert!(answer.status == 302 && answer.location().contains("/auth/oauth2/v2/authorize"), "{answer:?}");
    assert!(deletes_all(&answer), "{answer:?}");
    assert_eq!(php.count(), 0);
    // The sign-in that begins here is not deleted with the rest.
    let callback = world.at_apple(answer.location(), ANNA).await;
    assert_eq!(browser.open(&callback).await.location(), "/logout.php");
    let answer = browser.fetch(&at("/staff/x")).await;
    assert_eq!(answer.status, 403);
    assert!(!deletes_all(&answer));
    browser.open(&at("/logout.php")).await;
    assert!(deletes_all(&browser.open(&at("/public/logout.php")).await));
    assert_eq!(php.count(), 2);
    assert_eq!(browser.fetch(&at("/logout.php")).await.status, 401);
}

#[tokio::test]
async fn a_sign_out_that_the_rules_turn_away_still_ends_the_session() {
    let lines = [(
        "app",
        "sign_out_paths = [\"/staff/logout\", \"/classes/logout\", \"/nowhere\"]\nclear_cookies = [\"PHPSESSID\"]",
    )];
    for (path, status) in [("/staff/logout", 403), ("/classes/logout", 401), ("/NOWHERE", 200)] {
        let world = World::with(&lines).await;
        let mut browser = world.signed_in(ANNA).await;
        let copied = browser.clone();
        let answer = browser.fetch(&at(path)).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(deletes_all(&answer), "{path}: {answer:?}");
        assert_eq!(answer.header("clear-site-data"), Some("\"cache\""));
        assert_eq!(copied.clone().fetch(&at("/.schoolgate/me")).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn who_only_asks_or_guesses_is_not_signed_out() {
    let (php, world) = classroom("; Path=/").await;
    let mut browser = world.browser();
    signs_in(&world, &mut browser, ANNA).await;
    for method in ["HEAD", "OPTIONS"] {
        browser.send(&at("/logout.php"), Request::new(method, "/logout.php"), false).await;
        assert_eq!(php.last().0, "/logout.php", "{method} goes to the app");
    }
    let seen = php.count();
    for (name, value) in [("Sec-Purpose", "prefetch"), ("Sec-Purpose", "prefetch;prerender"), ("Purpose", "Prefetch")] {
        for path in ["/logout.php", "/public/logout.php"] {
            let answer = browser.send(&at(path), Request::get(path).header(name, value).navigation(), false).await;
            assert_eq!((answer.status, answer.all("set-cookie").count()), (503, 0), "{path} {name}: {value}");
        }
    }
    for path in ["/logout.php/x", "/x/logout.php", "/logout.phps", "/logout"] {
        browser.open(&at(path)).await;
        assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 200, "{path}");
    }
    assert_eq!(php.count(), seen + 4, "a guess ends no session, the app's neither");
}

#[tokio::test]
async fn a_spelling_that_the_app_could_take_for_its_sign_out_signs_out() {
    let (_php, world) = classroom("; Path=/").await;
    for path in ["/Logout.PHP", "/logout.php;jsessionid=1", "/logout.php/", "/logout%2Ephp", "/logout.php."] {
        let mut browser = world.signed_in(ANNA).await;
        let copied = browser.clone();
        assert!(deletes_all(&browser.open(&at(path)).await), "{path}");
        assert_eq!(copied.clone().fetch(&at("/.schoolgate/me")).await.status, 401, "{path}");
    }
}

/// A gateway before an app that the test plays, and a sign-out that has come to the app.
async fn leaving(lines: &[(&str, &str)]) -> (World, Browser, Connection, Connection) {
    let app = RawApp::start().await;
    let world = World::before(&app.address.to_string(), &[KEYS, lines].concat()).await;
    let mut browser = world.signed_in(ANNA).await;
    let session = browser.cookie(HOST, "__Host-schoolgate").unwrap();
    let mut client = Connection::open(world.address).await;
    let head = format!("GET /logout.php HTTP/1.1\r\nHost: {HOST}\r\nCookie: __Host-schoolgate={session}\r\n\r\n");
    client.write(head.as_bytes()).await;
    let (request, head) = app.request().await;
    assert!(head.to_ascii_lowercase().contains("x-forwarded-user: "), "{head}");
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 401, "the session has ended before");
    (world, browser, client, request)
}

#[tokio::test]
async fn whatever_becomes_of_the_apps_sign_out_the_answer_takes_the_cookies() {
    let page = "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\nClear-Site-Data: \"storage\"\r\nCDN-Cache-Control: max-age=9\r\n\r\nno";
    let moved = "HTTP/1.1 301 Moved\r\nLocation: /public\r\nContent-Length: 0\r\n\r\n";
    for (said, status) in [(page, 500), (moved, 301), ("rubbish\r\n\r\n", 502)] {
        let (_world, _browser, mut client, mut app) = leaving(&[]).await;
        app.write(said.as_bytes()).await;
        drop(app);
        let answer = client.answer().await;
        assert_eq!(answer.status, status);
        assert!(deletes_all(&answer), "{answer:?}");
        assert!(answer.all("clear-site-data").any(|value| value == "\"cache\""), "{answer:?}");
        assert!(answer.header("cache-control").unwrap().contains("no-store"), "{answer:?}");
        assert_eq!(answer.header("cdn-cache-control"), None);
    }
    let (_world, _browser, mut client, _app) = leaving(&[("app", "upstream_timeout = \"1s\"")]).await;
    let answer = client.answer().await;
    assert!(answer.status == 504 && deletes_all(&answer), "{answer:?}");
    let nothing = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::before(&nothing.to_string(), KEYS).await;
    let mut browser = world.signed_in(ANNA).await;
    let answer = browser.open(&at("/logout.php")).await;
    assert!(answer.status == 502 && deletes_all(&answer), "{answer:?}");
    assert_eq!(browser.cookie_names(HOST), Vec::<String>::new());
}

#[tokio::test]
async fn the_sign_out_itself_is_not_cut_off_by_the_end_of_its_session() {
    let app = RawApp::start().await;
    let world = World::before(&app.address.to_string(), KEYS).await;
    let browser = world.signed_in(ANNA).await;
    let cookie =
        format!("Host: {HOST}\r\nCookie: __Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    let begin = async |path: &str| {
        let mut client = Connection::open(world.address).await;
        client.write(format!("GET {path} HTTP/1.1\r\n{cookie}\r\n\r\n").as_bytes()).await;
        let (request, _) = app.request().await;
        (client, request)
    };
    let (mut waits, _poll) = begin("/poll").await;
    let (mut leaves, mut request) = begin("/logout.php").await;
    let (mut public, mut open) = begin("/public/poll").await;
    assert_eq!(waits.answer().await.status, 401, "whoever else waits is told");
    // The sign-out is not much younger: had it been watched, it would be cut off now too.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (client, request) in [(&mut leaves, &mut request), (&mut public, &mut open)] {
        request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nGoodbye").await;
        assert_eq!(client.answer().await.text(), "Goodbye");
    }
}

#[tokio::test]
async fn the_log_says_who_was_signed_out_and_by_what() {
    let php = Php::start("; Path=/").await;
    let site = Site::start().await;
    let text = site.configuration(KEYS).replace(&site.echo.address.to_string(), &php.address.to_string());
    let mut program = site.spawn(&text);
    program.started().await;
    let mut browser = program.browser();
    for (path, by) in [("/logout.php", "by=\"app\""), ("/.schoolgate/sign-out", "by=\"gateway\"")] {
        support::world::through_apple(&mut browser, "/app/home", ANNA).await;
        browser.open(&at("/app/home")).await;
        browser.open(&at(path)).await;
        program.logged(by).await;
    }
    program.terminate().await;
    let (_, log) = program.ended().await;
    let lines: Vec<_> = log.lines().filter(|line| line.contains("event=\"signed_out\"")).collect();
    assert!(
        lines.len() == 2 && lines.iter().all(|line| line.contains("session=") && line.contains("client=127.0.0.1 ")),
        "{lines:?}"
    );
    assert!(!log.contains("schoolgate-of-PHPSESSID=") && !log.contains("session1"), "no cookie is in the log");
}
