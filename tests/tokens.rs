//! Fresh access tokens: one refresh for everybody, and none that signs anybody out by mistake.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use schoolgate::demo::{Endpoint, ErrorCode, Gate, RetryHeader, Trouble};
use support::{Browser, World, world::at};

/// From the start of a token's hour to the moment when it is refreshed before anybody gets it.
const ALMOST_AN_HOUR: Duration = Duration::from_secs(3600 - 200);

/// Opens a page in a copy of the browser.
async fn opened(browser: &Browser, path: &str) -> u16 {
    browser.clone().open(&at(path)).await.status
}

#[tokio::test]
async fn a_token_with_enough_life_is_served_without_a_call() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    world.clock.advance(Duration::from_secs(3000 - 1));
    assert_eq!(opened(&browser, "/").await, 200);
    assert_eq!(world.apple.calls().count(Endpoint::Refresh), 0);
}

#[tokio::test]
async fn a_token_that_is_about_to_die_is_refreshed_before_the_app_gets_it() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    assert_eq!(opened(&browser, "/").await, 200);
    let before = world.echo.access_token();
    world.clock.advance(ALMOST_AN_HOUR);
    assert_eq!(opened(&browser, "/").await, 200);
    assert_ne!(world.echo.access_token(), before);
    assert_eq!(opened(&browser, "/").await, 200);
    assert_eq!(world.apple.calls().count(Endpoint::Refresh), 1);
}

#[tokio::test]
async fn a_token_is_refreshed_ahead_of_time_while_it_still_serves() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    assert_eq!(opened(&browser, "/").await, 200);
    let before = world.echo.access_token();
    let gate = Gate::closed();
    world.apple.switches().trouble(Endpoint::Refresh, Trouble::Hang(gate.clone()));
    world.clock.advance(Duration::from_secs(3600 - 500));
    assert_eq!(opened(&browser, "/").await, 200);
    assert_eq!(world.echo.access_token(), before, "nobody waits while the old one lives long enough");
    gate.open();
    world.reached(Endpoint::Refresh, 1).await;
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(opened(&browser, "/").await, 200);
    assert_ne!(world.echo.access_token(), before);
    assert_eq!(world.apple.calls().count(Endpoint::Refresh), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_at_once_are_one_call_to_apple_and_none_fails() {
    for rotation in [false, true] {
        let world = World::start().await;
        world.apple.switches().change(|behaviour| behaviour.refresh_rotation = rotation);
        let browser = world.signed_in("teacher-1").await;
        world.clock.advance(ALMOST_AN_HOUR);
        let gate = Gate::closed();
        world.apple.switches().trouble(Endpoint::Refresh, Trouble::Hang(gate.clone()));
        let requests: Vec<_> = (0..1000)
            .map(|_| {
                let browser = browser.clone();
                tokio::spawn(async move { opened(&browser, "/").await })
            })
            .collect();
        world.reached(Endpoint::Refresh, 1).await;
        gate.open();
        for request in requests {
            assert_eq!(request.await.unwrap(), 200);
        }
        assert_eq!(world.apple.calls().count(Endpoint::Refresh), 1, "rotation: {rotation}");
        assert_eq!(world.echo.count(), 1000);
        let tokens: std::collections::BTreeSet<_> =
            world.echo.seen().iter().map(|seen| seen.header("x-forwarded-access-token").unwrap().to_owned()).collect();
        assert_eq!(tokens.len(), 1, "everybody gets the new one");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_many_tokens_end_together_apple_is_asked_for_some_at_a_time_and_once_for_each() {
    const SESSIONS: usize = 80;
    const AT_ONCE: usize = 64;
    let world = World::with(&[("server", "sign_in_rate_per_ip = 1000")]).await;
    let mut browsers = Vec::new();
    for _ in 0..SESSIONS {
        browsers.push(world.signed_in("teacher-1").await);
    }
    let gate = Gate::closed();
    world.apple.switches().trouble(Endpoint::Refresh, Trouble::Hang(gate.clone()));
    world.clock.advance(ALMOST_AN_HOUR);
    let opening: Vec<_> =
        browsers.into_iter().map(|browser| tokio::spawn(async move { opened(&browser, "/").await })).collect();
    world.reached(Endpoint::Refresh, AT_ONCE).await;
    // Time for more of them to come, if they could.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.apple.calls().count(Endpoint::Refresh), AT_ONCE);
    gate.open();
    for answer in opening {
        assert_eq!(answer.await.unwrap(), 200);
    }
    let calls = world.apple.calls().of(Endpoint::Refresh);
    let tokens: std::collections::HashSet<_> = calls.iter().filter_map(|call| call.value("refresh_token")).collect();
    assert_eq!((calls.len(), tokens.len()), (SESSIONS, SESSIONS), "none was shown twice");
}

#[tokio::test]
async fn rotated_refresh_tokens_are_followed() {
    let world = World::start().await;
    world.apple.switches().change(|behaviour| behaviour.refresh_rotation = true);
    let browser = world.signed_in("teacher-1").await;
    for round in 1..=4 {
        world.clock.advance(ALMOST_AN_HOUR);
        assert_eq!(opened(&browser, "/").await, 200);
        assert_eq!(world.apple.calls().count(Endpoint::Refresh), round);
    }
}

#[tokio::test]
async fn while_the_old_token_lives_a_failing_refresh_costs_nothing_and_is_not_repeated_at_once() {
    for trouble in [
        Trouble::Status(500),
        Trouble::Html,
        Trouble::TooManyRequests(Some((RetryHeader::Standard, 60))),
        Trouble::Error(ErrorCode::InvalidClient),
        Trouble::Error(ErrorCode::InvalidRequest),
        Trouble::LoseAnswer,
        Trouble::Empty,
    ] {
        let world = World::start().await;
        let browser = world.signed_in("teacher-1").await;
        world.clock.advance(ALMOST_AN_HOUR);
        world.apple.switches().trouble(Endpoint::Refresh, trouble.clone());
        for _ in 0..5 {
            assert_eq!(opened(&browser, "/").await, 200, "{trouble:?}");
        }
        assert_eq!(world.apple.calls().count(Endpoint::Refresh), 1, "{trouble:?}");
        world.apple.switches().heal(Endpoint::Refresh);
        world.clock.advance(Duration::from_secs(61));
        assert_eq!(opened(&browser, "/").await, 200);
        assert_eq!(world.apple.calls().count(Endpoint::Refresh), 2, "{trouble:?}");
    }
}

#[tokio::test]
async fn when_the_token_is_dead_and_apple_away_the_answer_is_503_and_nobody_is_signed_out() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    world.clock.advance(Duration::from_secs(3601));
    world.apple.switches().down(true);
    let answer = browser.clone().open(&at("/")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(browser.clone().fetch(&at("/")).await.status, 503);
    assert_eq!(opened(&browser, "/no-token").await, 200, "a route that needs no token is not touched");
    world.apple.switches().down(false);
    world.clock.advance(Duration::from_secs(11));
    assert_eq!(opened(&browser, "/").await, 200);
}

#[tokio::test]
async fn invalid_grant_ends_the_session_and_leads_to_a_new_sign_in() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    world.clock.advance(ALMOST_AN_HOUR);
    world.apple.switches().trouble(Endpoint::Refresh, Trouble::Error(ErrorCode::InvalidGrant));
    assert_eq!(opened(&browser, "/").await, 302);
    assert_eq!(browser.clone().fetch(&at("/")).await.status, 401);
    assert_eq!(browser.clone().fetch(&at("/.schoolgate/me")).await.status, 401, "the session is gone");
    assert_eq!(opened(&browser, "/optional").await, 200);
    assert_eq!(world.echo.last().header("x-forwarded-user"), None);
}

#[tokio::test]
async fn a_session_whose_routes_need_no_token_is_never_refreshed() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(3600));
        assert_eq!(opened(&browser, "/no-token").await, 200);
        assert_eq!(opened(&browser, "/public").await, 200);
    }
    assert_eq!(world.apple.calls().count(Endpoint::Refresh), 0);
}

#[tokio::test]
async fn an_impatient_browser_does_not_lose_a_rotated_token() {
    let world = World::start().await;
    world.apple.switches().change(|behaviour| behaviour.refresh_rotation = true);
    let browser = world.signed_in("teacher-1").await;
    world.clock.advance(Duration::from_secs(3700));
    let gate = Gate::closed();
    world.apple.switches().trouble(Endpoint::Refresh, Trouble::HoldAnswer(gate.clone()));
    let waiting = tokio::spawn({
        let browser = browser.clone();
        async move { opened(&browser, "/").await }
    });
    world.reached(Endpoint::Refresh, 1).await;
    waiting.abort();
    let _ = waiting.await;
    gate.open();
    world.apple.switches().heal(Endpoint::Refresh);
    assert_eq!(opened(&browser, "/").await, 200);
    assert_eq!(world.apple.calls().count(Endpoint::Refresh), 1);
}

#[tokio::test]
async fn tokens_that_are_short_anyway_are_not_refreshed_on_every_request() {
    let world = World::start().await;
    world.apple.switches().change(|behaviour| behaviour.access_token_lifetime = Duration::from_secs(100));
    let browser = world.signed_in("teacher-1").await;
    for _ in 0..5 {
        assert_eq!(opened(&browser, "/").await, 200);
    }
    assert_eq!(world.apple.calls().count(Endpoint::Refresh), 1, "one try for a longer one, and no storm");
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(opened(&browser, "/").await, 200);
    assert_eq!(world.apple.calls().count(Endpoint::Refresh), 2);
}

#[tokio::test]
async fn a_sign_out_during_a_refresh_is_a_sign_out_and_the_new_token_is_revoked_too() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    world.clock.advance(ALMOST_AN_HOUR);
    let gate = Gate::closed();
    world.apple.switches().trouble(Endpoint::Refresh, Trouble::HoldAnswer(gate.clone()));
    let waiting = tokio::spawn({
        let browser = browser.clone();
        async move { opened(&browser, "/").await }
    });
    world.reached(Endpoint::Refresh, 1).await;
    let mut leaving = browser.clone();
    assert_eq!(leaving.open(&at("/.schoolgate/sign-out")).await.status, 200);
    gate.open();
    assert_eq!(waiting.await.unwrap(), 302);
    assert_eq!(opened(&browser, "/").await, 302, "the old cookie opens nothing");
    world.reached(Endpoint::Revoke, 2).await;
}

#[tokio::test]
async fn a_new_sign_in_during_a_refresh_keeps_its_grant() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    world.clock.advance(ALMOST_AN_HOUR);
    let gate = Gate::closed();
    world.apple.switches().trouble(Endpoint::Refresh, Trouble::HoldAnswer(gate.clone()));
    let waiting = tokio::spawn({
        let browser = browser.clone();
        async move { opened(&browser, "/").await }
    });
    world.reached(Endpoint::Refresh, 1).await;
    let answer = world.through_apple(&mut browser, "/.schoolgate/sign-in?return_to=/", "teacher-1").await;
    assert_eq!((answer.status, answer.location()), (303, "/"));
    gate.open();
    assert_eq!(waiting.await.unwrap(), 302, "the old session has ended");
    let revocations = world.running.revocations_waiting().await + world.apple.calls().count(Endpoint::Revoke);
    assert_eq!(revocations, 0, "Apple would take back the new grant with the old");
    world.clock.advance(ALMOST_AN_HOUR);
    world.apple.switches().heal(Endpoint::Refresh);
    assert_eq!(opened(&browser, "/").await, 200);
}

#[tokio::test]
async fn whoever_signs_out_while_a_refresh_fails_gets_nothing_more() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    world.clock.advance(ALMOST_AN_HOUR);
    let gate = Gate::closed();
    world.apple.switches().trouble(Endpoint::Refresh, Trouble::Hang(gate.clone()));
    let waiting = tokio::spawn({
        let browser = browser.clone();
        async move { opened(&browser, "/").await }
    });
    world.reached(Endpoint::Refresh, 1).await;
    assert_eq!(browser.clone().open(&at("/.schoolgate/sign-out")).await.status, 200);
    world.apple.switches().down(true);
    gate.open();
    assert_eq!(waiting.await.unwrap(), 302, "the old token still lives, but the session does not");
    assert_eq!(world.echo.count(), 0);
}
