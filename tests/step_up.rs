//! Routes that need more scopes than the session has.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use schoolgate::demo::{Endpoint, Granted, Others};
use support::{HOST, World, http::query, world::at};

#[tokio::test]
async fn a_step_up_asks_for_what_is_missing_beside_what_there_is() {
    let world =
        World::with(&[("routes", "  [[app.route]]\n  path = \"/people\"\n  scopes = [\"edu.users.read\"]")]).await;
    let mut browser = world.signed_in("administrator").await;
    let first = browser.cookie(HOST, "__Host-schoolgate");
    let answer = world.through_apple(&mut browser, "/classes/1?x=y", "administrator").await;
    assert_eq!(answer.location(), "/classes/1?x=y");
    assert_eq!(browser.open(&at("/classes/1?x=y")).await.status, 200);
    assert_eq!(world.echo.last().header("x-schoolgate-scopes"), Some("edu.classes.read"));
    assert_ne!(browser.cookie(HOST, "__Host-schoolgate"), first, "a new identifier each time");
    let answer = browser.open(&at("/people")).await;
    assert_eq!(query(answer.location(), "scope").as_deref(), Some("edu.classes.read edu.users.read"));
    assert!(answer.location().contains("scope=edu.classes.read%20edu.users.read"), "{}", answer.location());
    let callback = world.at_apple(answer.location(), "administrator").await;
    assert_eq!(browser.open(&callback).await.location(), "/people");
    assert_eq!(browser.open(&at("/classes")).await.status, 200);
    assert_eq!(browser.open(&at("/people")).await.status, 200);
    assert_eq!(world.apple.calls().count(Endpoint::Exchange), 3);
}

#[tokio::test]
async fn a_script_is_told_that_the_scope_is_not_enough() {
    let world = World::start().await;
    let mut browser = world.signed_in("administrator").await;
    let answer = browser.fetch(&at("/classes")).await;
    assert_eq!(answer.status, 401);
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Schoolgate "), "{challenge}");
    assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"edu.classes.read\""));
    assert!(challenge.contains(&format!("sign_in=\"https://{HOST}/.schoolgate/sign-in?return_to=/classes\"")));
    // The way that it shows asks for the scopes of that page.
    let answer = browser.open(&at("/.schoolgate/sign-in?return_to=/classes")).await;
    assert_eq!(query(answer.location(), "scope").as_deref(), Some("edu.classes.read"));
}

#[tokio::test]
async fn what_apple_does_not_grant_is_a_403_and_no_loop() {
    let world = World::start().await;
    world.apple.switches().change(|behaviour| {
        behaviour.granted = Granted::Only(schoolgate::identity::ScopeSet::new());
        behaviour.scope_member = true;
        behaviour.others = Others::Granted;
    });
    let mut browser = world.signed_in("teacher-1").await;
    let answer = world.through_apple(&mut browser, "/classes", "teacher-1").await;
    assert_eq!(answer.location(), "/classes");
    for _ in 0..2 {
        let answer = browser.open(&at("/classes")).await;
        assert_eq!(answer.status, 403);
        assert!(answer.text().contains("edu.classes.read"), "{}", answer.text());
    }
    assert_eq!(browser.fetch(&at("/classes")).await.status, 403);
    assert_eq!(browser.open(&at("/")).await.status, 200, "everything else goes on");
}

#[tokio::test]
async fn a_cancelled_step_up_leaves_the_session_as_it_was() {
    let world = World::start().await;
    let mut browser = world.signed_in("administrator").await;
    let answer = browser.open(&at("/classes")).await;
    let state = query(answer.location(), "state").unwrap();
    let answer =
        browser.open(&at(&format!("/.schoolgate/callback?error=user_cancelled_authorize&state={state}"))).await;
    assert_eq!(answer.status, 403);
    assert_eq!(browser.open(&at("/")).await.status, 200);
    assert_eq!(browser.open(&at("/classes")).await.status, 302, "and it may be tried again");
}

#[tokio::test]
async fn another_person_at_the_step_up_is_another_session() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let before = browser.clone();
    world.through_apple(&mut browser, "/classes", "administrator").await;
    assert_eq!(browser.open(&at("/classes")).await.status, 200);
    let administrator =
        world.apple.people().iter().find(|person| person.id == "administrator").unwrap().subject.clone();
    assert_eq!(world.echo.last().header("x-forwarded-user"), Some(&*administrator));
    assert_eq!(before.clone().fetch(&at("/")).await.status, 401, "the teacher's session has ended");
    world.reached(Endpoint::Revoke, 1).await;
}

#[tokio::test]
async fn two_routes_whose_scopes_are_not_granted_do_not_send_a_person_round_in_circles() {
    let world =
        World::with(&[("routes", "  [[app.route]]\n  path = \"/people\"\n  scopes = [\"edu.users.read\"]")]).await;
    world.apple.switches().change(|behaviour| {
        behaviour.granted = Granted::Only(schoolgate::identity::ScopeSet::new());
        behaviour.scope_member = true;
        behaviour.others = Others::Granted;
    });
    let mut browser = world.signed_in("teacher-1").await;
    world.through_apple(&mut browser, "/classes", "teacher-1").await;
    world.through_apple(&mut browser, "/people", "teacher-1").await;
    for path in ["/classes", "/people"] {
        assert_eq!(browser.open(&at(path)).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_route_can_refuse_to_redirect_or_always_do_so() {
    let world = World::with(&[(
        "routes",
        "  [[app.route]]\n  path = \"/api\"\n  unauthenticated = \"401\"\n\n  [[app.route]]\n  path = \"/old\"\n  unauthenticated = \"redirect\"",
    )])
    .await;
    let mut browser = world.browser();
    let answer = browser.open(&at("/api/x")).await;
    assert_eq!((answer.status, answer.header("content-type")), (401, Some("text/html; charset=utf-8")));
    assert!(answer.header("www-authenticate").is_some() && answer.text().contains("/.schoolgate/sign-in"));
    assert_eq!(browser.fetch(&at("/api/x")).await.header("content-type"), Some("application/problem+json"));
    assert_eq!(browser.fetch(&at("/old/x")).await.status, 302);
}
