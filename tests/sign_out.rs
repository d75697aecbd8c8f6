//! Signing out: the session first, then the cookies, then the tokens at Apple.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use schoolgate::demo::{Endpoint, ErrorCode, Trouble};
use support::{HOST, Request, World, world::at};

#[tokio::test]
async fn after_a_sign_out_the_cookie_opens_nothing_and_the_tokens_are_revoked() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let copied = browser.clone();
    browser.open(&at("/")).await;
    let access = world.echo.last().header("x-forwarded-access-token").unwrap().to_owned();
    let answer = browser.open(&at("/.schoolgate/sign-out")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("signed out"), "{}", answer.text());
    assert_eq!(answer.header("clear-site-data"), Some("\"cache\""));
    let deletion = answer.all("set-cookie").find(|line| line.starts_with("__Host-schoolgate=;")).unwrap();
    assert_eq!(deletion, "__Host-schoolgate=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0");
    assert_eq!(browser.cookie_names(HOST), Vec::<String>::new());
    assert_eq!(copied.clone().fetch(&at("/")).await.status, 401, "a copied cookie is worth nothing");
    world.reached(Endpoint::Revoke, 1).await;
    let call = world.apple.calls().last(Endpoint::Revoke).unwrap();
    assert_eq!(call.value("token_type_hint"), Some("refresh_token"));
    assert_ne!(call.value("token"), Some(&*access));
    assert_eq!(world.running.revocations_waiting().await, 0);
}

#[tokio::test]
async fn without_a_refresh_token_the_access_token_is_revoked() {
    let world = World::start().await;
    world.apple.switches().change(|behaviour| behaviour.refresh_token = false);
    let mut browser = world.signed_in("teacher-1").await;
    browser.open(&at("/.schoolgate/sign-out")).await;
    world.reached(Endpoint::Revoke, 1).await;
    assert_eq!(world.apple.calls().last(Endpoint::Revoke).unwrap().value("token_type_hint"), Some("access_token"));
}

#[tokio::test]
async fn revocation_can_be_switched_off() {
    let world = World::with(&[("session", "revoke_on_sign_out = false")]).await;
    let mut browser = world.signed_in("teacher-1").await;
    assert_eq!(browser.open(&at("/.schoolgate/sign-out")).await.status, 200);
    assert_eq!(world.running.revocations_waiting().await, 0);
    assert_eq!(world.apple.calls().count(Endpoint::Revoke), 0);
}

/// Lets time pass until Apple was asked so often.
async fn tried_again_until(world: &World, times: usize) {
    let calls = world.apple.calls();
    while calls.count(Endpoint::Revoke) < times {
        world.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_sign_out_does_not_wait_for_apple_and_is_told_to_it_later() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    world.apple.switches().trouble_times(Endpoint::Revoke, 3, Trouble::Status(503));
    assert_eq!(browser.open(&at("/.schoolgate/sign-out")).await.status, 200);
    assert_eq!(browser.fetch(&at("/")).await.status, 401);
    world.reached(Endpoint::Revoke, 1).await;
    assert_eq!(world.running.revocations_waiting().await, 1);
    tried_again_until(&world, 4).await;
    while world.running.revocations_waiting().await > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn wrong_client_credentials_do_not_lose_a_revocation() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    world.apple.switches().trouble_times(Endpoint::Revoke, 1, Trouble::Error(ErrorCode::InvalidClient));
    browser.open(&at("/.schoolgate/sign-out")).await;
    tried_again_until(&world, 2).await;
}

#[tokio::test]
async fn a_link_from_another_site_asks_first_and_signs_nobody_out() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Referer", "https://evil.example/page"),
    ] {
        let request =
            Request::get("/.schoolgate/sign-out?return_to=/x").header(name, value).header("Accept", "text/html");
        let answer = browser.send(&at("/.schoolgate/sign-out"), request, false).await;
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("<form method=\"post\" action=\"/.schoolgate/sign-out\">"), "{name}: {value}");
        assert_eq!(answer.all("set-cookie").count(), 0);
    }
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 200);
    let yes = Request::new("POST", "/.schoolgate/sign-out")
        .form(&[("return_to", "/x")])
        .header("Sec-Fetch-Site", "same-origin");
    let answer = browser.send(&at("/.schoolgate/sign-out"), yes, false).await;
    assert_eq!((answer.status, answer.location()), (303, "/x"));
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 401);
}

#[tokio::test]
async fn a_person_comes_by_twice_so_that_the_page_before_the_sign_out_is_cleared_too() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let answer = browser.open(&at("/.schoolgate/sign-out")).await;
    assert_eq!((answer.status, answer.header("refresh")), (200, Some("0;url=/.schoolgate/sign-out?done=1")));
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 401);
    let answer = browser.open(&at("/.schoolgate/sign-out?done=1")).await;
    assert_eq!((answer.status, answer.header("refresh")), (200, None), "and not for ever");
    assert_eq!(answer.header("clear-site-data"), Some("\"cache\""));
}

#[tokio::test]
async fn a_sign_out_that_leads_on_does_so_at_once() {
    let world = World::start().await;
    for navigation in [true, false] {
        let mut browser = world.signed_in("teacher-1").await;
        let url = at("/.schoolgate/sign-out?return_to=/a?b=c");
        let answer = if navigation { browser.open(&url).await } else { browser.fetch(&url).await };
        assert_eq!((answer.status, answer.location()), (303, "/a?b=c"));
        assert_eq!(answer.header("clear-site-data"), Some("\"cache\""));
        assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 401);
    }
}

#[tokio::test]
async fn return_to_leads_nowhere_but_to_this_host() {
    let world = World::start().await;
    for (return_to, location) in [
        ("/page%3Fa%3Db", Some("/page?a=b")),
        ("https://evil.example/", None),
        ("//evil.example", None),
        ("/%5Cevil.example", None),
        ("/%09/evil.example", None),
        ("/.schoolgate/sign-in", None),
    ] {
        let answer = world.send(Request::get(&format!("/.schoolgate/sign-out?return_to={return_to}"))).await;
        assert_eq!(answer.header("location"), location, "{return_to}");
    }
}

#[tokio::test]
async fn head_signs_nobody_out() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let answer = browser.send(&at("/.schoolgate/sign-out"), Request::new("HEAD", "/.schoolgate/sign-out"), false).await;
    assert_eq!(answer.status, 405);
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 200);
}

#[tokio::test]
async fn when_somebody_else_signs_in_the_session_before_ends_and_its_tokens_are_revoked() {
    let world = World::start().await;
    let mut browser = world.signed_in("pupil-1").await;
    let before = browser.clone();
    let answer = browser.open(&at("/.schoolgate/sign-in?return_to=/other")).await;
    let callback = world.at_apple(answer.location(), "teacher-1").await;
    assert_eq!(browser.open(&callback).await.location(), "/other");
    assert_eq!(before.clone().fetch(&at("/")).await.status, 401);
    world.reached(Endpoint::Revoke, 1).await;
    assert_ne!(browser.cookie(HOST, "__Host-schoolgate"), before.cookie(HOST, "__Host-schoolgate"));
    assert_eq!(browser.fetch(&at("/")).await.status, 200, "the new session is not hurt");
}

#[tokio::test]
async fn signing_in_again_as_oneself_makes_a_new_session_and_revokes_nothing() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let before = browser.clone();
    let answer = browser.open(&at("/.schoolgate/sign-in")).await;
    let callback = world.at_apple(answer.location(), "teacher-1").await;
    assert_eq!(browser.open(&callback).await.location(), "/");
    assert_eq!(before.clone().fetch(&at("/")).await.status, 401, "the old identifier is dead");
    assert_eq!(browser.fetch(&at("/")).await.status, 200);
    assert_eq!(world.running.revocations_waiting().await, 0);
    assert_eq!(world.apple.calls().count(Endpoint::Revoke), 0);
}
