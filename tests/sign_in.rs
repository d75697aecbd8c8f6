//! Signing in: the way to Apple and back, and everything that must not lead in.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use schoolgate::demo::{Endpoint, Forgery, Trouble};
use support::{
    HOST, Request, World,
    http::query,
    world::{CALLBACK, at},
};

#[tokio::test]
async fn a_navigation_is_sent_to_apple_with_everything_apple_wants() {
    let world = World::start().await;
    let answer = world.browser().open(&at("/classes?a=b")).await;
    assert_eq!(answer.status, 302);
    let location = answer.location();
    assert!(location.starts_with(&format!("{}auth/oauth2/v2/authorize?", world.apple.base_url())), "{location}");
    assert_eq!(query(location, "client_id").unwrap(), "org.example.school.gateway");
    assert_eq!(query(location, "redirect_uri").unwrap(), CALLBACK);
    assert_eq!(query(location, "response_type").unwrap(), "code");
    assert_eq!(query(location, "scope").unwrap(), "edu.classes.read");
    assert!(query(location, "state").unwrap().len() >= 43 && query(location, "nonce").unwrap().len() >= 43);
    assert_eq!(query(location, "response_mode"), None);
    assert_eq!(query(location, "code_challenge"), None);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-schoolgate-login-"), "{cookie}");
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn the_scope_parameter_is_there_even_when_it_is_empty() {
    let world = World::start().await;
    let answer = world.browser().open(&at("/")).await;
    assert_eq!(query(answer.location(), "scope").as_deref(), Some(""));
}

#[tokio::test]
async fn a_form_is_redirected_with_303_and_a_script_gets_401_with_the_way_in() {
    let world = World::start().await;
    let post = Request::new("POST", "/save").navigation().form(&[("mark", "1")]);
    assert_eq!(world.send(post).await.status, 303);
    for request in [
        Request::get("/a?b=c"),
        Request::get("/a?b=c").header("Accept", "application/json"),
        Request::get("/a?b=c").header("Accept", "text/html").header("X-Requested-With", "XMLHttpRequest"),
        Request::get("/a?b=c")
            .header("Sec-Fetch-Mode", "cors")
            .header("Sec-Fetch-Dest", "empty")
            .header("Accept", "text/html"),
    ] {
        let answer = world.send(request).await;
        assert_eq!(answer.status, 401);
        assert_eq!(
            answer.header("www-authenticate").unwrap(),
            format!("Schoolgate sign_in=\"https://{HOST}/.schoolgate/sign-in?return_to=/a%3Fb%3Dc\"")
        );
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.json()["request_id"].as_str(), answer.header("x-request-id"));
    }
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn a_person_signs_in_and_the_app_knows_who_it_is() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let cookie = browser.cookie(HOST, "__Host-schoolgate").unwrap();
    assert_eq!(cookie.len(), 43);
    assert_eq!(browser.cookie_names(HOST), ["__Host-schoolgate"], "the sign-in cookie is gone");
    let answer = browser.open(&at("/start?x=1")).await;
    assert_eq!(answer.status, 200);
    let seen = world.echo.last();
    let person = world.apple.people().iter().find(|person| person.id == "teacher-1").unwrap().clone();
    assert_eq!(seen.header("x-forwarded-user"), Some(&*person.subject));
    assert_eq!(seen.header("x-forwarded-email"), person.email.as_deref());
    assert_eq!(seen.header("x-schoolgate-organization"), person.organization.as_deref());
    assert!(seen.header("x-forwarded-access-token").is_some());
    assert_eq!(seen.header("x-schoolgate-scopes"), None, "no scopes were granted");
    assert_eq!(seen.header("cookie"), None);
    assert_eq!(seen.target, "/start?x=1");
    assert_eq!(seen.header("host"), Some(HOST));
    let me = browser.fetch(&at("/.schoolgate/me")).await;
    assert_eq!(me.json()["sub"], person.subject.as_str());
    assert!(!me.text().contains(seen.header("x-forwarded-access-token").unwrap()));
}

#[tokio::test]
async fn the_callback_by_form_post_finds_its_cookie() {
    let world = World::with(&[("apple", r#"response_mode = "form_post""#)]).await;
    let mut browser = world.browser();
    let answer = browser.open(&at("/")).await;
    assert!(answer.header("set-cookie").unwrap().contains("SameSite=None; Secure"));
    let [code, state] = world.posted_by_apple(answer.location()).await;
    let form = Request::new("POST", "/.schoolgate/callback").form(&[("code", &code), ("state", &state)]);
    let answer = browser.send(&at("/.schoolgate/callback"), form.navigation(), true).await;
    assert_eq!((answer.status, answer.location()), (303, "/"), "{}", answer.text());
    assert!(
        answer.all("set-cookie").any(|line| line.starts_with("__Host-schoolgate=") && line.contains("SameSite=Lax"))
    );
}

#[tokio::test]
async fn a_state_of_another_browser_costs_no_call_to_apple() {
    let world = World::start().await;
    let (mut victim, mut attacker) = (world.browser(), world.browser());
    let answer = attacker.open(&at("/")).await;
    let callback = world.at_apple(answer.location(), "teacher-1").await;
    let answer = victim.open(&callback).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("Try again"));
    assert_eq!(victim.cookie_names(HOST), Vec::<String>::new());
    assert_eq!(world.apple.calls().count(Endpoint::Exchange), 0);
}

#[tokio::test]
async fn a_callback_is_good_once() {
    let world = World::start().await;
    let mut browser = world.browser();
    let answer = browser.open(&at("/page")).await;
    let mut second = browser.clone();
    let callback = world.at_apple(answer.location(), "teacher-1").await;
    assert_eq!(browser.open(&callback).await.status, 303);
    // The same callback with the same sign-in cookie, as a copied profile would have it.
    assert_eq!(second.open(&callback).await.status, 400);
    // And in the browser that is signed in by now: on to where it wanted to go.
    assert_eq!(browser.open(&callback).await.status, 303);
    assert_eq!(world.apple.calls().count(Endpoint::Exchange), 1);
}

#[tokio::test]
async fn a_callback_after_ten_minutes_is_too_late() {
    let world = World::start().await;
    let mut browser = world.browser();
    let answer = browser.open(&at("/")).await;
    let callback = world.at_apple(answer.location(), "teacher-1").await;
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(browser.open(&callback).await.status, 400);
    assert_eq!(world.apple.calls().count(Endpoint::Exchange), 0);
}

#[tokio::test]
async fn a_repeated_or_missing_parameter_costs_no_call_to_apple() {
    let world = World::start().await;
    let mut browser = world.browser();
    let answer = browser.open(&at("/")).await;
    let callback = world.at_apple(answer.location(), "teacher-1").await;
    let (code, state) = (query(&callback, "code").unwrap(), query(&callback, "state").unwrap());
    for odd in [
        format!("{callback}&state={state}"),
        format!("{callback}&code={code}"),
        format!("{callback}&state=other"),
        format!("{CALLBACK}?code={code}"),
        format!("{CALLBACK}?state={state}"),
        format!("{callback}&error=access_denied"),
        CALLBACK.to_owned(),
    ] {
        assert_eq!(browser.open(&odd).await.status, 400, "{odd}");
    }
    assert_eq!(world.apple.calls().count(Endpoint::Exchange), 0);
    assert_eq!(browser.open(&callback).await.status, 303, "the true one still works");
}

#[tokio::test]
async fn twenty_tabs_sign_in_side_by_side_and_more_drop_the_oldest() {
    let world = World::start().await;
    let mut browser = world.browser();
    let mut callbacks = Vec::new();
    for tab in 0..25 {
        let answer = browser.open(&at(&format!("/tab/{tab}"))).await;
        callbacks.push(world.at_apple(answer.location(), "teacher-1").await);
        world.clock.advance(Duration::from_millis(10));
    }
    assert_eq!(browser.cookie_names(HOST).len(), 20);
    for (tab, callback) in callbacks.iter().enumerate().skip(5) {
        let answer = browser.open(callback).await;
        assert_eq!((answer.status, answer.location()), (303, &*format!("/tab/{tab}")));
    }
    assert_eq!(browser.cookie_names(HOST), ["__Host-schoolgate"]);
}

#[tokio::test]
async fn cancelling_at_apple_leads_to_a_page_that_offers_another_try() {
    let world = World::start().await;
    let mut browser = world.browser();
    let answer = browser.open(&at("/page?x=y")).await;
    let state = query(answer.location(), "state").unwrap();
    for error in ["user_cancelled_authorize"] {
        let answer = browser.open(&format!("{CALLBACK}?error={error}&state={state}")).await;
        assert_eq!(answer.status, 403);
        assert!(answer.text().contains("/.schoolgate/sign-in?return_to="), "{}", answer.text());
    }
    assert_eq!(browser.cookie_names(HOST), Vec::<String>::new());
}

#[tokio::test]
async fn every_forged_id_token_is_refused_without_a_session() {
    let world = World::start().await;
    for forgery in Forgery::ALL {
        world.apple.switches().change(|behaviour| behaviour.forgery = Some(*forgery));
        let mut browser = world.browser();
        let answer = world.through_apple(&mut browser, "/secret", "teacher-1").await;
        assert!(matches!(answer.status, 400..=599), "{forgery:?}: {}", answer.status);
        assert_eq!(browser.cookie_names(HOST), Vec::<String>::new(), "{forgery:?}");
        // Past the pause between two looks for an unknown key.
        world.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(world.echo.count(), 0);
    world.apple.switches().reset();
    world.signed_in("teacher-1").await;
}

#[tokio::test]
async fn an_answer_without_an_id_token_signs_nobody_in_and_says_so() {
    let world = World::start().await;
    world.apple.switches().change(|behaviour| behaviour.id_token_on_exchange = false);
    let mut browser = world.browser();
    let answer = world.through_apple(&mut browser, "/", "teacher-1").await;
    assert_eq!(answer.status, 502);
    assert_eq!(browser.cookie_names(HOST), Vec::<String>::new());
}

#[tokio::test]
async fn troubles_at_apple_sign_nobody_in_and_heal() {
    let world = World::start().await;
    for trouble in [
        Trouble::Status(500),
        Trouble::Status(503),
        Trouble::TooManyRequests(None),
        Trouble::Html,
        Trouble::InvalidJson,
        Trouble::JsonArray,
        Trouble::Empty,
        Trouble::DuplicateMembers,
        Trouble::Huge(10_000_000),
        Trouble::Redirect("https://evil.example/".into()),
        Trouble::LoseAnswer,
    ] {
        world.apple.switches().trouble(Endpoint::Exchange, trouble.clone());
        let mut browser = world.browser();
        let answer = world.through_apple(&mut browser, "/", "teacher-1").await;
        assert!(matches!(answer.status, 500..=599), "{trouble:?}: {}", answer.status);
        assert!(answer.text().contains("Try again"), "{trouble:?}");
        assert_eq!(browser.cookie_names(HOST), Vec::<String>::new(), "{trouble:?}");
        world.apple.switches().heal(Endpoint::Exchange);
    }
    world.signed_in("teacher-1").await;
}

#[tokio::test]
async fn an_apple_that_is_down_at_the_start_stops_only_sign_ins() {
    let world = World::start().await;
    world.apple.switches().trouble(Endpoint::Keys, Trouble::Status(503));
    let mut browser = world.browser();
    // The keys were fetched at the start; let them go stale.
    world.clock.advance(Duration::from_secs(25 * 3600));
    let answer = world.through_apple(&mut browser, "/", "teacher-1").await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(browser.open(&at("/public")).await.status, 200);
    let ready = Request::get("/readyz").header("Host", "localhost").send(world.admin).await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("Apple's keys"), "{}", ready.text());
    world.apple.switches().heal(Endpoint::Keys);
    world.clock.advance(Duration::from_secs(30));
    let answer = world.through_apple(&mut browser, "/", "teacher-1").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let ready = Request::get("/readyz").header("Host", "localhost").send(world.admin).await;
    assert_eq!(ready.status, 200, "{}", ready.text());
}

#[tokio::test]
async fn new_keys_of_apple_need_no_restart() {
    let world = World::start().await;
    world.signed_in("teacher-1").await;
    for _ in 0..3 {
        world.apple.rotate_keys();
        world.clock.advance(Duration::from_secs(31));
        world.signed_in("teacher-1").await;
    }
}

#[tokio::test]
async fn more_sign_ins_a_second_from_one_address_than_allowed_are_429() {
    let world = World::start().await;
    for _ in 0..50 {
        assert_eq!(world.send(Request::get("/").navigation()).await.status, 302);
    }
    for path in ["/", "/.schoolgate/sign-in"] {
        let answer = world.send(Request::get(path).navigation()).await;
        assert_eq!(answer.status, 429);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.all("set-cookie").count(), 0);
    }
    assert_eq!(world.send(Request::get("/public")).await.status, 200, "only sign-ins are limited");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.send(Request::get("/").navigation()).await.status, 302);
}

#[tokio::test]
async fn a_second_tab_that_finishes_later_takes_the_place_of_the_first() {
    let world = World::start().await;
    let mut browser = world.browser();
    let (one, two) = (browser.open(&at("/one")).await, browser.open(&at("/two")).await);
    let callbacks =
        [world.at_apple(one.location(), "teacher-1").await, world.at_apple(two.location(), "teacher-1").await];
    assert_eq!(browser.open(&callbacks[0]).await.location(), "/one");
    let first = browser.clone();
    assert_eq!(browser.open(&callbacks[1]).await.location(), "/two");
    assert_eq!(first.clone().fetch(&at("/")).await.status, 401, "one browser, one session");
    assert_eq!(browser.fetch(&at("/")).await.status, 200);
}

#[tokio::test]
async fn a_form_post_that_brings_no_session_cookie_still_ends_the_session_before() {
    let world = World::with(&[("apple", r#"response_mode = "form_post""#)]).await;
    let mut browser = world.browser();
    for round in 0..2 {
        let before = browser.clone();
        let answer = browser.open(&at("/.schoolgate/sign-in?return_to=/")).await;
        let [code, state] = world.posted_by_apple(answer.location()).await;
        let form = Request::new("POST", "/.schoolgate/callback").form(&[("code", &code), ("state", &state)]);
        let answer = browser.send(&at("/.schoolgate/callback"), form.navigation(), true).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert_eq!(before.clone().fetch(&at("/.schoolgate/me")).await.status, 401, "round {round}");
        assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 200);
    }
}
