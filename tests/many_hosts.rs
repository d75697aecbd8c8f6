//! Apps on many hosts: one sign-in, one sign-out, and a ticket that is good once.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use schoolgate::{
    demo::{Endpoint, Granted, Others},
    identity::ScopeSet,
};
use support::{Answer, Browser, HOST, Request, World, http::query};

const GRADES: &str = "grades.school.example";
const COOKIE: &str = "__Host-schoolgate";

/// Beside the library: another app, a wildcard, and one host in the wildcard's domain by name.
const APPS: &str = r#"
[[app]]
name = "grades"
host = "grades.school.example"
upstream = "http://@APP@"
clear_cookies = ["GRADES"]
  [[app.route]]
  path = "/"
  [[app.route]]
  path = "/public"
  access = "public"
  [[app.route]]
  path = "/classes"
  scopes = ["edu.classes.read"]
  [[app.route]]
  path = "/people"
  scopes = ["edu.users.read"]
  [[app.route]]
  path = "/staff"
  [app.route.allow]
  users = ["nobody-but-me"]

[[app]]
name = "clubs"
host = "*.clubs.school.example"
upstream = "http://@APP@"

[[app]]
name = "board"
host = "board.clubs.school.example"
upstream = "http://@APP@"
  [[app.route]]
  path = "/"
  [app.route.allow]
  users = ["nobody-but-me"]
"#;

async fn town() -> World {
    World::with(&[("routes", APPS)]).await
}

fn url(host: &str, path: &str) -> String {
    format!("https://{host}{path}")
}

/// The hosts of a way, with paths.
fn stations(way: &[String]) -> Vec<String> {
    way.iter()
        .map(|url| {
            let url = url::Url::parse(url).unwrap();
            format!("{}{}", url.host_str().unwrap(), url.path())
        })
        .collect()
}

async fn walk(world: &World, browser: &mut Browser, host: &str, path: &str) -> (Vec<String>, Answer) {
    let (way, answer) = world.walk(browser, &url(host, path), "teacher-1").await;
    (stations(&way), answer)
}

/// A browser that waits at the grades with a ticket in its hands; the URL of the ticket.
async fn with_a_ticket(world: &World) -> (Browser, String) {
    let mut browser = world.signed_in("teacher-1").await;
    let to_home = browser.open(&url(GRADES, "/a?b=c")).await;
    let ticket = browser.open(to_home.location()).await;
    assert_eq!(ticket.status, 303, "{}", ticket.text());
    let location = ticket.location().to_owned();
    assert!(location.starts_with("https://grades.school.example/.schoolgate/session?ticket="), "{location}");
    (browser, location)
}

#[tokio::test]
async fn a_second_app_needs_no_new_visit_to_apple() {
    let world = town().await;
    let mut browser = world.browser();
    let (way, answer) = walk(&world, &mut browser, GRADES, "/a?b=c").await;
    assert_eq!(
        way,
        [
            "grades.school.example/a",
            "library.school.example/.schoolgate/sign-in",
            "127.0.0.1/auth/oauth2/v2/authorize",
            "library.school.example/.schoolgate/callback",
            "grades.school.example/.schoolgate/session",
            "grades.school.example/a",
        ]
    );
    assert_eq!(answer.status, 200);
    let seen = world.echo.last();
    assert_eq!((seen.target.as_str(), seen.header("x-forwarded-user")), ("/a?b=c", Some(&*world.subject("teacher-1"))));
    for host in [HOST, "chess.clubs.school.example"] {
        let (way, answer) = walk(&world, &mut browser, host, "/x").await;
        assert!(!way.iter().any(|station| station.starts_with("127.0.0.1")), "{way:#?}");
        assert_eq!(answer.status, 200, "{host}");
    }
    assert_eq!(world.apple.calls().count(Endpoint::Exchange), 1);
    let subjects: Vec<_> = ["/.schoolgate/me"; 3]
        .iter()
        .zip([HOST, GRADES, "chess.clubs.school.example"])
        .map(|(path, host)| url(host, path))
        .collect();
    let mut handles = Vec::new();
    for me in subjects {
        let answer: serde_json::Value = serde_json::from_str(&browser.open(&me).await.text()).unwrap();
        handles.push(answer["session_id"].as_str().unwrap().to_owned());
    }
    handles.dedup();
    assert_eq!(handles.len(), 1, "one session: {handles:?}");
}

#[tokio::test]
async fn each_host_has_a_cookie_of_its_own_that_opens_nothing_at_another() {
    let world = town().await;
    let mut browser = world.browser();
    walk(&world, &mut browser, GRADES, "/").await;
    walk(&world, &mut browser, "a.clubs.school.example", "/").await;
    let hosts = [HOST, GRADES, "a.clubs.school.example", "b.clubs.school.example"];
    for from in &hosts[..3] {
        let value = browser.cookie(from, COOKIE).unwrap();
        for to in hosts.iter().filter(|to| *to != from) {
            let request = Request::get("/").header("Host", to).header("Cookie", &format!("{COOKIE}={value}"));
            assert_eq!(world.send(request).await.status, 401, "the cookie of {from} at {to}");
        }
    }
    for answer in browser.heard() {
        for line in answer.all("set-cookie").filter(|line| line.starts_with(COOKIE)) {
            assert!(!line.to_ascii_lowercase().contains("domain") && line.contains("; HttpOnly"), "{line}");
        }
    }
}

#[tokio::test]
async fn signing_out_at_one_host_signs_out_at_all() {
    for leave_at in [HOST, GRADES, "chess.clubs.school.example"] {
        let world = town().await;
        let mut browser = world.browser();
        for host in [HOST, GRADES, "chess.clubs.school.example"] {
            assert_eq!(walk(&world, &mut browser, host, "/").await.1.status, 200);
        }
        let kept = browser.clone();
        assert_eq!(browser.open(&url(leave_at, "/.schoolgate/sign-out")).await.status, 200);
        for mut browser in [browser, kept] {
            for host in [HOST, GRADES, "chess.clubs.school.example"] {
                assert_eq!(browser.fetch(&url(host, "/")).await.status, 401, "{host} after {leave_at}");
            }
            let (way, _) = walk(&world, &mut browser, GRADES, "/").await;
            assert!(way.contains(&"127.0.0.1/auth/oauth2/v2/authorize".to_owned()), "only Apple can say who it is");
            browser.open(&url(GRADES, "/.schoolgate/sign-out")).await;
        }
        world.reached(Endpoint::Revoke, 1).await;
    }
}

/// A browser that has no live cookie at the clubs: a void one after a step-up elsewhere, or none at all.
async fn unknown_at_the_clubs(world: &World, void: bool) -> Browser {
    let mut browser = world.browser();
    if void {
        world.walk(&mut browser, &url("chess.clubs.school.example", "/"), "administrator").await;
    }
    let (_, answer) = world.walk(&mut browser, &url(GRADES, "/classes"), "administrator").await;
    assert_eq!(answer.status, 200);
    browser
}

#[tokio::test]
async fn a_sign_out_where_nobody_is_known_any_more_is_one_all_the_same() {
    let leave = url("chess.clubs.school.example", "/.schoolgate/sign-out");
    for void in [true, false] {
        let world = town().await;
        let mut browser = unknown_at_the_clubs(&world, void).await;
        let mut answer = browser.open(&leave).await;
        if !void {
            let home = answer.header("refresh").and_then(|refresh| refresh.strip_prefix("0;url=")).unwrap().to_owned();
            assert_eq!(home, url(HOST, "/.schoolgate/sign-out"));
            answer = browser.open(&home).await;
        }
        assert!(answer.status == 200 && answer.text().contains("signed out"), "{}", answer.text());
        for host in [HOST, GRADES, "chess.clubs.school.example"] {
            assert_eq!(browser.fetch(&url(host, "/")).await.status, 401, "{host}");
        }
        assert_eq!(world.count_sessions().await, 0);
        // What is done is not begun again.
        assert_eq!(browser.open(&format!("{leave}?done=1")).await.header("refresh"), None);
    }
}

#[tokio::test]
async fn a_sign_out_that_goes_by_the_home_comes_back_to_where_it_leads() {
    let leave = url("chess.clubs.school.example", "/.schoolgate/sign-out?return_to=/bye?a=b");
    let world = town().await;
    let mut browser = unknown_at_the_clubs(&world, false).await;
    let home = browser.open(&leave).await.location().to_owned();
    assert!(home.starts_with(&url(HOST, "/.schoolgate/sign-out?wish=")), "{home}");
    // From another site there is a question while somebody is signed in, and none when nobody is.
    let elsewhere = |url: &str| {
        let path = url.split_once(HOST).map(|(_, path)| path.to_owned()).unwrap();
        Request::get(&path).navigation().header("Sec-Fetch-Site", "cross-site")
    };
    let asked = browser.send(&home, elsewhere(&home), false).await;
    assert!(asked.status == 200 && asked.text().contains("<form method=\"post\""), "{}", asked.text());
    assert_eq!(browser.fetch(&url(HOST, "/")).await.status, 200);
    let back = url("chess.clubs.school.example", "/bye?a=b");
    let answer = browser.open(&home).await;
    assert_eq!((answer.status, answer.location()), (303, &*back));
    assert_eq!(browser.fetch(&url(HOST, "/")).await.status, 401);
    let answer = browser.send(&home, elsewhere(&home), false).await;
    assert_eq!((answer.status, answer.location()), (303, &*back));
    // Such a wish signs nobody in.
    let (_, answer) = world.walk(&mut browser, &url(HOST, "/"), "administrator").await;
    assert_eq!(answer.status, 200);
    let ticket = browser.open(&home.replace("sign-out?", "sign-in?")).await.location().to_owned();
    assert!(browser.open(&ticket).await.text().contains("Try again"), "{ticket}");
    // Nobody is led where no app is, and a script gets its answer at once.
    assert_eq!(browser.open(&url(HOST, "/.schoolgate/sign-out?wish=forged")).await.status, 200);
    assert_eq!(browser.fetch(&leave).await.location(), "/bye?a=b");
}

#[tokio::test]
async fn a_ticket_is_good_once() {
    let world = town().await;
    let (mut browser, ticket) = with_a_ticket(&world).await;
    let mut copy = browser.clone();
    let answer = browser.open(&ticket).await;
    assert_eq!((answer.status, answer.location()), (303, "/a?b=c"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let answer = copy.open(&ticket).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(copy.cookie(GRADES, COOKIE).is_none());
    // Whoever is signed in and comes once more, by the back button, goes on.
    assert_eq!(browser.open(&ticket).await.status, 303);
    assert_eq!(browser.open(&url(GRADES, "/")).await.status, 200);
}

#[tokio::test]
async fn many_tickets_for_one_sign_in_are_good_once_together() {
    let world = town().await;
    let mut browser = world.signed_in("teacher-1").await;
    let wish = browser.open(&url(GRADES, "/a")).await.location().to_owned();
    let mut tickets = Vec::new();
    for _ in 0..3 {
        tickets.push(browser.open(&wish).await.location().to_owned());
    }
    let mut statuses = Vec::new();
    for ticket in &tickets {
        // A program that does not let go of the sign-in cookie.
        statuses.push(browser.clone().open(ticket).await.status);
    }
    assert_eq!(statuses, [303, 400, 400]);
}

#[tokio::test]
async fn a_ticket_is_good_for_a_minute() {
    let world = town().await;
    let (mut browser, ticket) = with_a_ticket(&world).await;
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(browser.clone().open(&ticket).await.status, 303);
    let (mut late, ticket) = with_a_ticket(&world).await;
    world.clock.advance(Duration::from_secs(60));
    let answer = late.open(&ticket).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("/.schoolgate/sign-in?return_to=%2F"), "a way to try again: {}", answer.text());
    assert!(late.cookie(GRADES, COOKIE).is_none() && browser.cookie(GRADES, COOKIE).is_none());
    browser.forget();
}

#[tokio::test]
async fn a_ticket_is_good_in_the_browser_that_asked_and_in_no_other() {
    let world = town().await;
    let (_, ticket) = with_a_ticket(&world).await;
    let mut stranger = world.browser();
    assert_eq!(stranger.open(&ticket).await.status, 400);
    assert!(stranger.cookie(GRADES, COOKIE).is_none());
    // Somebody who waits at that host too, for a ticket of their own.
    let waiting = stranger.open(&url(GRADES, "/")).await;
    assert!(waiting.location().contains("/.schoolgate/sign-in?wish="));
    assert_eq!(stranger.open(&ticket).await.status, 400);
    assert!(stranger.cookie(GRADES, COOKIE).is_none());
}

/// Session fixation by hand-over: the wish of one browser in the hands of another.
#[tokio::test]
async fn the_wish_of_another_browser_signs_nobody_in() {
    let world = town().await;
    let mut attacker = world.browser();
    let wish = attacker.open(&url(GRADES, "/")).await.location().to_owned();
    let mut victim = world.signed_in("teacher-1").await;
    let ticket = victim.open(&wish).await.location().to_owned();
    assert_eq!(victim.open(&ticket).await.status, 400, "the victim did not ask for it");
    assert!(victim.cookie(GRADES, COOKIE).is_none());
    assert!(ticket.starts_with("https://grades.school.example/"), "and the ticket goes to nobody but that host");
    assert_eq!(victim.open(&url(HOST, "/")).await.status, 200, "who is signed in stays so");
}

#[tokio::test]
async fn a_ticket_is_good_at_its_host_and_at_no_other() {
    let world = town().await;
    let (mut browser, ticket) = with_a_ticket(&world).await;
    let waiting = browser.cookie_names(GRADES).remove(0);
    let login = browser.cookie(GRADES, &waiting).unwrap();
    for host in [HOST, "chess.clubs.school.example", "board.clubs.school.example"] {
        // Even where the cookie of the browser that waits was carried over.
        browser.set_cookie(host, &waiting, &login);
        let elsewhere = ticket.replace(GRADES, host);
        let answer = browser.open(&elsewhere).await;
        assert!(answer.status == 400 || host == HOST && answer.status == 303, "{host}: {}", answer.status);
        assert!(host == HOST || browser.cookie(host, COOKIE).is_none(), "{host}");
    }
    assert_eq!(browser.open(&ticket).await.status, 303, "nothing of that has used it up");
}

#[tokio::test]
async fn a_changed_ticket_or_wish_opens_nothing() {
    let world = town().await;
    let (mut browser, ticket) = with_a_ticket(&world).await;
    let wish = browser.clone().open(&url(GRADES, "/")).await.location().to_owned();
    for (original, mark) in [(&ticket, "ticket="), (&wish, "wish=")] {
        let (start, sealed) = original.split_once(mark).unwrap();
        let flipped: String = sealed.chars().rev().collect();
        let other = if mark == "ticket=" { wish.split_once('=').unwrap().1 } else { ticket.split_once('=').unwrap().1 };
        let cases = [
            format!("{start}{mark}"),
            format!("{start}{mark}{flipped}"),
            format!("{start}{mark}{other}"),
            format!("{start}{mark}{sealed}&{mark}{sealed}"),
            format!("{start}x={sealed}"),
        ];
        for case in cases {
            let mut fresh = browser.clone();
            let answer = fresh.open(&case).await;
            assert!(fresh.cookie(GRADES, COOKIE).is_none(), "{case}");
            assert!(answer.status == 400 || !answer.location().contains("ticket="), "{case}: {}", answer.status);
        }
    }
    assert_eq!(browser.open(&ticket).await.status, 303);
}

#[tokio::test]
async fn a_wish_is_good_for_ten_minutes() {
    let world = town().await;
    let mut browser = world.signed_in("teacher-1").await;
    let wish = browser.open(&url(GRADES, "/a?b=c")).await.location().to_owned();
    world.clock.advance(Duration::from_secs(600));
    let answer = browser.open(&wish).await;
    assert_eq!(answer.status, 400);
    let again = "https://grades.school.example/.schoolgate/sign-in?return_to=%2Fa%3Fb%3Dc";
    assert!(answer.text().contains(again), "the way to try again: {}", answer.text());
    let (_, answer) = world.walk(&mut browser, &url(GRADES, "/.schoolgate/sign-in?return_to=/a"), "teacher-1").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_is_not_handed_over() {
    let world = town().await;
    let (mut browser, ticket) = with_a_ticket(&world).await;
    browser.open(&url(HOST, "/.schoolgate/sign-out")).await;
    assert_eq!(browser.open(&ticket).await.status, 400);
    assert!(browser.cookie(GRADES, COOKIE).is_none());
}

#[tokio::test]
async fn a_host_that_is_not_configured_never_receives_anything() {
    let world = town().await;
    for host in ["evil.example", "school.example", "clubs.school.example", "a.b.clubs.school.example"] {
        let answer = world.send(Request::get("/").navigation().header("Host", host)).await;
        assert_eq!(answer.status, 421, "{host}");
        for path in ["/.schoolgate/sign-in?return_to=/", "/.schoolgate/session?ticket=x", "/.schoolgate/"] {
            let answer = world.send(Request::get(path).navigation().header("Host", host)).await;
            assert_eq!((answer.status, answer.all("set-cookie").count()), (421, 0), "{host}{path}");
        }
    }
}

/// A port that a request names may be anybody's: a ticket goes to the port of `redirect_uri`.
#[tokio::test]
async fn a_ticket_does_not_go_to_the_port_that_a_request_names() {
    let world = town().await;
    let mut browser = world.signed_in("teacher-1").await;
    let request = Request::get("/").navigation().header("Host", "grades.school.example:6666");
    let wish = world.send(request).await.location().to_owned();
    let answer = browser.open(&wish).await;
    assert!(
        answer.location().starts_with("https://grades.school.example/.schoolgate/session?"),
        "{}",
        answer.location()
    );
}

#[tokio::test]
async fn a_step_up_at_another_host_asks_apple_and_comes_back() {
    let world = town().await;
    let mut browser = world.browser();
    world.walk(&mut browser, &url(GRADES, "/"), "administrator").await;
    let fetched = browser.fetch(&url(GRADES, "/classes")).await;
    let challenge = fetched.header("www-authenticate").unwrap();
    assert!(fetched.status == 401 && challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    let (way, answer) = world.walk(&mut browser, &url(GRADES, "/classes?x=y"), "administrator").await;
    assert_eq!(answer.status, 200);
    let authorize = way.iter().find(|url| url.contains("/authorize")).unwrap();
    assert_eq!(query(authorize, "scope").as_deref(), Some("edu.classes.read"));
    let seen = world.echo.last();
    assert_eq!((&*seen.target, seen.header("x-schoolgate-scopes")), ("/classes?x=y", Some("edu.classes.read")));
    // The step-up made a new session: at the library, and the old one is gone.
    assert_eq!(browser.open(&url(HOST, "/classes")).await.status, 200);
    assert_eq!(world.count_sessions().await, 1);
}

#[tokio::test]
async fn a_step_up_that_was_cancelled_says_which_permission_is_missing_and_leads_back() {
    let world = town().await;
    let mut browser = world.browser();
    world.walk(&mut browser, &url(GRADES, "/"), "teacher-1").await;
    let wish = browser.open(&url(GRADES, "/classes")).await.location().to_owned();
    let authorize = browser.open(&wish).await.location().to_owned();
    let state = query(&authorize, "state").unwrap();
    let cancelled = format!("/.schoolgate/callback?error=user_cancelled_authorize&state={state}");
    let answer = browser.open(&url(HOST, &cancelled)).await;
    assert_eq!(answer.status, 403);
    let text = answer.text();
    for part in [
        "edu.classes.read",
        "https://grades.school.example/.schoolgate/sign-in?return_to=%2Fclasses",
        "action=\"https://grades.school.example/.schoolgate/sign-out\"",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(browser.open(&url(GRADES, "/")).await.status, 200, "the session goes on");
}

#[tokio::test]
async fn somebody_else_at_another_host_is_another_session_and_the_app_forgets_the_first() {
    let world = town().await;
    let mut browser = world.browser();
    world.walk(&mut browser, &url(GRADES, "/"), "teacher-1").await;
    let answer = browser.open(&url(GRADES, "/staff")).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("Sign in as someone else"), "{}", answer.text());
    let leave = Request::new("POST", "/.schoolgate/sign-out")
        .navigation()
        .header("Sec-Fetch-Site", "same-origin")
        .form(&[("return_to", "/staff")]);
    let answer = browser.send(&url(GRADES, "/.schoolgate/sign-out"), leave, false).await;
    assert_eq!((answer.status, answer.location()), (303, "/staff"));
    let (_, _) = world.walk(&mut browser, &url(GRADES, "/"), "teacher-2").await;
    assert_eq!(world.echo.last().header("x-forwarded-user"), Some(&*world.subject("teacher-2")));
    let arrival = browser.heard().iter().rfind(|answer| answer.status == 303).unwrap();
    assert!(
        arrival.all("set-cookie").any(|line| line.starts_with("GRADES=;")),
        "{:?}",
        arrival.all("set-cookie").collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn who_asks_to_sign_in_again_at_another_host_is_asked_by_apple() {
    let world = town().await;
    let mut browser = world.browser();
    walk(&world, &mut browser, GRADES, "/").await;
    let (way, answer) = walk(&world, &mut browser, GRADES, "/.schoolgate/sign-in?return_to=/x").await;
    assert!(way.contains(&"127.0.0.1/auth/oauth2/v2/authorize".to_owned()), "{way:#?}");
    assert_eq!(answer.status, 200);
    assert_eq!(world.count_sessions().await, 1);
}

#[tokio::test]
async fn twenty_tabs_at_another_host_sign_in_side_by_side() {
    let world = town().await;
    let mut browser = world.browser();
    let mut wishes = Vec::new();
    for tab in 0..20 {
        wishes.push(browser.open(&url(GRADES, &format!("/tab/{tab}"))).await.location().to_owned());
    }
    for (tab, wish) in wishes.iter().enumerate() {
        let (way, answer) = world.walk(&mut browser, wish, "teacher-1").await;
        assert_eq!((way.last().unwrap(), answer.status), (&url(GRADES, &format!("/tab/{tab}")), 200));
    }
    assert_eq!(world.apple.calls().count(Endpoint::Exchange), 1);
    assert_eq!(browser.cookie_names(GRADES), [COOKIE], "no sign-in is left behind");
}

#[tokio::test]
async fn a_home_that_is_no_apps_signs_people_in_for_the_others() {
    let world = World::with(&[("home", "https://id.school.example/.schoolgate/callback")]).await;
    let mut browser = world.browser();
    let (way, answer) = walk(&world, &mut browser, HOST, "/x").await;
    assert_eq!(answer.status, 200, "{way:#?}");
    assert!(way.contains(&"id.school.example/.schoolgate/callback".to_owned()));
    assert_eq!(browser.open(&url("id.school.example", "/")).await.status, 421, "nothing else is there");
    let answer = browser.open(&url("id.school.example", "/.schoolgate/")).await;
    assert_eq!(answer.status, 200);
    // A stale callback of somebody who is signed in, with nowhere to go.
    let answer = browser.open(&url("id.school.example", "/.schoolgate/callback?code=c&state=s")).await;
    assert_eq!((answer.status, answer.location()), (303, "/.schoolgate/"));
}

#[tokio::test]
async fn a_stale_callback_leads_on_to_the_host_that_asked() {
    let world = town().await;
    let mut browser = world.browser();
    let wish = browser.open(&url(GRADES, "/a?b=c")).await.location().to_owned();
    let authorize = browser.open(&wish).await.location().to_owned();
    let callback = world.at_apple(&authorize, "teacher-1").await;
    let mut twice = browser.clone();
    assert_eq!(browser.open(&callback).await.status, 303);
    twice.set_cookie(HOST, COOKIE, &browser.cookie(HOST, COOKIE).unwrap());
    let (way, answer) = world.walk(&mut twice, &callback, "teacher-1").await;
    assert_eq!((way.last().unwrap(), answer.status), (&url(GRADES, "/a?b=c"), 200));
    assert_eq!(world.apple.calls().count(Endpoint::Exchange), 1);
}

#[tokio::test]
async fn a_form_post_callback_leads_on_to_another_host_too() {
    let world = World::with(&[("routes", APPS), ("apple", "response_mode = \"form_post\"")]).await;
    let mut browser = world.browser();
    let wish = browser.open(&url(GRADES, "/a")).await.location().to_owned();
    let authorize = browser.open(&wish).await.location().to_owned();
    let [code, state] = world.posted_by_apple(&authorize).await;
    let form = Request::new("POST", "/.schoolgate/callback").form(&[("code", &code), ("state", &state)]);
    let answer = browser.send(&url(HOST, "/.schoolgate/callback"), form.navigation(), true).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let (_, answer) = world.walk(&mut browser, answer.location(), "teacher-1").await;
    assert_eq!((answer.status, world.echo.last().target.as_str()), (200, "/a"));
}

/// Answers Apple's question with a form post, as a browser would.
async fn post_back(world: &World, browser: &mut Browser, authorize: &str) -> Answer {
    let [code, state] = world.posted_for(authorize, "administrator").await;
    let form = Request::new("POST", "/.schoolgate/callback").form(&[("code", &code), ("state", &state)]);
    browser.send(&url(HOST, "/.schoolgate/callback"), form.navigation(), true).await
}

#[tokio::test]
async fn a_form_post_replaces_the_session_of_the_home_and_not_a_dead_one_of_the_host_that_asked() {
    let world = World::with(&[("routes", APPS), ("apple", "response_mode = \"form_post\"")]).await;
    let mut browser = world.browser();
    let wish = browser.open(&url(GRADES, "/")).await.location().to_owned();
    let authorize = browser.open(&wish).await.location().to_owned();
    let ticket = post_back(&world, &mut browser, &authorize).await.location().to_owned();
    assert_eq!(world.walk(&mut browser, &ticket, "administrator").await.1.status, 200);
    // The library asks Apple anew: now the cookie of the grades is void.
    let authorize = browser.open(&url(HOST, "/.schoolgate/sign-in")).await.location().to_owned();
    assert_eq!(post_back(&world, &mut browser, &authorize).await.status, 303);
    assert_eq!(world.walk(&mut browser, &url("chess.clubs.school.example", "/"), "administrator").await.1.status, 200);
    // And so do the grades, for a page that needs more.
    let wish = browser.open(&url(GRADES, "/classes")).await.location().to_owned();
    let authorize = browser.open(&wish).await.location().to_owned();
    assert_eq!(post_back(&world, &mut browser, &authorize).await.status, 303);
    assert_eq!(world.count_sessions().await, 1, "the session of the clubs has ended");
    browser.open(&url(HOST, "/.schoolgate/sign-out")).await;
    assert_eq!(browser.fetch(&url("chess.clubs.school.example", "/")).await.status, 401);
}

#[tokio::test]
async fn nobody_is_handed_over_inside_a_frame_or_for_a_guess() {
    let world = town().await;
    let mut browser = world.signed_in("teacher-1").await;
    let wish = browser.open(&url(GRADES, "/")).await.location().to_owned();
    let target = support::browser::target(&wish);
    let frame = Request::get(&target).header("Sec-Fetch-Mode", "navigate").header("Sec-Fetch-Dest", "iframe");
    let guess = Request::get(&target).navigation().header("Sec-Purpose", "prefetch");
    for request in [frame, guess] {
        let answer = browser.send(&wish, request, false).await;
        assert_eq!((answer.status, answer.header("location")), (401, None), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_browser_does_not_wait_for_longer_than_a_sign_in_takes() {
    for (later, expected) in [(9, 303), (11, 400)] {
        let world = town().await;
        let mut browser = world.signed_in("teacher-1").await;
        let wish = browser.open(&url(GRADES, "/")).await.location().to_owned();
        world.clock.advance(Duration::from_secs(590));
        let ticket = browser.open(&wish).await.location().to_owned();
        world.clock.advance(Duration::from_secs(later));
        // The ticket is seconds old; the browser has waited for ten minutes, or not quite.
        assert_eq!(browser.open(&ticket).await.status, expected, "{later}");
    }
}

#[tokio::test]
async fn what_apple_did_not_grant_at_one_host_is_not_asked_for_at_the_next() {
    let world = town().await;
    world.apple.switches().change(|behaviour| {
        behaviour.granted = Granted::Only(ScopeSet::new());
        behaviour.scope_member = true;
        behaviour.others = Others::Granted;
    });
    let mut browser = world.signed_in("teacher-1").await;
    let (_, answer) = walk(&world, &mut browser, HOST, "/classes").await;
    assert_eq!(answer.status, 403);
    let visits = world.apple.calls().count(Endpoint::Authorize);
    let (way, answer) = walk(&world, &mut browser, GRADES, "/classes").await;
    assert_eq!((answer.status, world.apple.calls().count(Endpoint::Authorize)), (403, visits), "{way:#?}");
    assert!(answer.text().contains("edu.classes.read"), "{}", answer.text());
}

/// The browser has lost its cookie at home, and the home does not know whom it replaces.
#[tokio::test]
async fn who_arrives_takes_the_place_of_whoever_was_there() {
    let world = town().await;
    let mut browser = world.browser();
    let mut wishes = Vec::new();
    for _ in 0..2 {
        wishes.push(browser.open(&url(GRADES, "/")).await.location().to_owned());
    }
    world.walk(&mut browser, &wishes[0], "teacher-1").await;
    browser.set_by(&url(HOST, "/"), "__Host-schoolgate=; Path=/; Secure; Max-Age=0");
    assert_eq!(world.count_sessions().await, 1);
    let (_, answer) = world.walk(&mut browser, &wishes[1], "teacher-2").await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.echo.last().header("x-forwarded-user"), Some(&*world.subject("teacher-2")));
    assert_eq!(world.count_sessions().await, 1, "the first one has ended");
    world.reached(Endpoint::Revoke, 1).await;
}

/// Another gateway with the same key, which knows fewer hosts: as after a change of the configuration.
#[tokio::test]
async fn a_host_that_is_not_configured_any_more_gets_no_ticket() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n").unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let line = format!("encryption_key_file = \"{}\"", key.display());
    let before = World::with(&[("routes", APPS), ("session", &line)]).await;
    let after = World::with(&[("session", &line)]).await;
    let wish = before.browser().open(&url(GRADES, "/")).await.location().to_owned();
    for (world, expected) in [(&before, 303), (&after, 400)] {
        let answer = world.signed_in("teacher-1").await.open(&wish).await;
        assert_eq!(answer.status, expected);
        assert_eq!(answer.header("location").is_some(), expected == 303);
    }
}

/// After a step-up elsewhere the cookie of this host opens nothing; that somebody leaves counts all the same.
#[tokio::test]
async fn who_leaves_with_a_cookie_that_a_step_up_made_void_has_left_everywhere() {
    let lines = [("routes", APPS), ("app", "sign_out_paths = [\"/logout.php\"]")];
    for leave in ["/.schoolgate/sign-out", "/logout.php"] {
        let world = World::with(&lines).await;
        let mut browser = world.browser();
        for host in [GRADES, HOST, "chess.clubs.school.example"] {
            world.walk(&mut browser, &url(host, "/"), "administrator").await;
        }
        let before = browser.clone();
        for path in ["/classes", "/people"] {
            world.walk(&mut browser, &url(GRADES, path), "administrator").await;
        }
        // The tab that was open at the library all the time, and a script in it.
        let mut tab = before.clone();
        assert_eq!(tab.fetch(&url(HOST, "/")).await.status, 401, "it opens nothing");
        tab.fetch(&url(HOST, leave)).await;
        assert_eq!(browser.fetch(&url(GRADES, "/")).await.status, 401, "{leave}");
        assert_eq!(world.count_sessions().await, 0, "{leave}");
        world.reached(Endpoint::Revoke, 1).await;
    }
}
