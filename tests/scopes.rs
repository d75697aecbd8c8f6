//! Three routes by six grants by three kinds of request, and what is remembered of a grant.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use schoolgate::{
    demo::{Behaviour, Endpoint, Gate, Granted, Others, Trouble},
    identity::ScopeSet,
};
use support::{Answer, Browser, HOST, Request, World, http::query, world::at};

const ROUTES: &str = r#"
  [[app.route]]
  path = "/people"
  scopes = ["edu.users.read"]
  headers = { X-Only = "people {scopes}" }

  [[app.route]]
  path = "/both"
  scopes = ["edu.users.read", "edu.classes.read"]
  headers = { X-Only = "both {scopes}" }
"#;

const USERS: &str = "edu.users.read";
const CLASSES: &str = "edu.classes.read";
const BOTH: &str = "edu.classes.read edu.users.read";

/// How somebody came to what they have.
#[derive(Clone, Copy, Debug)]
enum Grant {
    /// Signed in at a page that needs nothing.
    None,
    Users,
    Classes,
    Both,
    /// The answer has no `scope`: the ID token says what was granted, less than was asked for.
    UsersByIdToken,
    /// Neither says it: it counts as what was asked for.
    BothAsAsked,
}

/// What a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gets {
    /// The app, which is told of these scopes.
    App(&'static str),
    /// A redirect to Apple that asks for these.
    Apple(&'static str),
    /// 401 that names what is missing.
    Lacks(&'static str),
    /// 403: Apple was asked for it already.
    Refused,
}

/// Grant, route; then a page in a tab, a script, a page in a frame.
const TABLE: &[(Grant, &str, Gets, Gets, Gets)] = {
    use Gets::{App, Apple, Lacks, Refused};
    &[
        (Grant::None, "/", App(""), App(""), App("")),
        (Grant::None, "/people", Apple(USERS), Lacks(USERS), Lacks(USERS)),
        (Grant::None, "/both", Apple(BOTH), Lacks(BOTH), Lacks(BOTH)),
        (Grant::Users, "/", App(USERS), App(USERS), App(USERS)),
        (Grant::Users, "/people", App(USERS), App(USERS), App(USERS)),
        (Grant::Users, "/both", Apple(BOTH), Lacks(CLASSES), Lacks(CLASSES)),
        (Grant::Classes, "/", App(CLASSES), App(CLASSES), App(CLASSES)),
        (Grant::Classes, "/people", Apple(BOTH), Lacks(USERS), Lacks(USERS)),
        (Grant::Classes, "/both", Apple(BOTH), Lacks(USERS), Lacks(USERS)),
        (Grant::Both, "/", App(BOTH), App(BOTH), App(BOTH)),
        (Grant::Both, "/people", App(BOTH), App(BOTH), App(BOTH)),
        (Grant::Both, "/both", App(BOTH), App(BOTH), App(BOTH)),
        (Grant::UsersByIdToken, "/", App(USERS), App(USERS), App(USERS)),
        (Grant::UsersByIdToken, "/people", App(USERS), App(USERS), App(USERS)),
        (Grant::UsersByIdToken, "/both", Refused, Refused, Refused),
        (Grant::BothAsAsked, "/", App(BOTH), App(BOTH), App(BOTH)),
        (Grant::BothAsAsked, "/people", App(BOTH), App(BOTH), App(BOTH)),
        (Grant::BothAsAsked, "/both", App(BOTH), App(BOTH), App(BOTH)),
    ]
};

fn only(scopes: &str) -> Granted {
    Granted::Only(ScopeSet::parse(scopes).unwrap())
}

async fn world() -> World {
    World::with(&[("routes", ROUTES)]).await
}

/// Somebody who has signed in, and what Apple does from then on is what it does by default.
async fn somebody_with(world: &World, grant: Grant) -> Browser {
    let (page, behave): (_, fn(&mut Behaviour)) = match grant {
        Grant::None => ("/", |behaviour| behaviour.scope_member = true),
        Grant::Users => ("/people", |behaviour| behaviour.scope_member = true),
        Grant::Classes => ("/classes", |behaviour| behaviour.scope_member = true),
        Grant::Both => ("/both", |behaviour| behaviour.scope_member = true),
        Grant::UsersByIdToken => ("/both", |behaviour| behaviour.granted = only(USERS)),
        Grant::BothAsAsked => ("/both", |behaviour| behaviour.scopes_claim = false),
    };
    world.apple.switches().change(behave);
    let mut browser = world.browser();
    let answer = world.through_apple(&mut browser, page, "administrator").await;
    assert_eq!((answer.status, answer.location()), (303, page), "{grant:?}: {}", answer.text());
    world.apple.switches().reset();
    browser
}

fn kinds(path: &str) -> [Request; 3] {
    let fetched = |mode: &str, dest: &str| {
        Request::get(path).header("Sec-Fetch-Mode", mode).header("Sec-Fetch-Dest", dest).header("Accept", "text/html")
    };
    [fetched("navigate", "document"), fetched("cors", "empty"), fetched("navigate", "iframe")]
}

/// What an answer was, and whether the app has seen the request.
fn got(answer: &Answer, world: &World, what: &str) -> String {
    let seen = world.echo.count() == 1;
    assert_eq!(seen, answer.status == 200, "{what}: {answer:?}");
    match answer.status {
        200 => {
            let last = world.echo.last();
            let told = last.header("x-schoolgate-scopes").unwrap_or_default().to_owned();
            // The header of the route is filled in from the same grant.
            if let Some(own) = last.header("x-only") {
                assert!(last.target.starts_with(&format!("/{}", own.split(' ').next().unwrap())), "{what}: {own}");
                assert!(own.ends_with(&told), "{what}: {own}");
            }
            format!("App({told:?})")
        }
        302 => format!("Apple({:?})", query(answer.location(), "scope").unwrap()),
        401 => {
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Schoolgate error=\"insufficient_scope\", "), "{what}: {challenge}");
            let path = challenge.split_once("return_to=").unwrap().1;
            assert!(path.starts_with('/') && path.ends_with('"'), "{what}: {challenge}");
            let scopes = challenge.split_once("scope=\"").unwrap().1.split('"').next().unwrap();
            format!("Lacks({scopes:?})")
        }
        403 => "Refused".to_owned(),
        other => panic!("{what}: {other} {}", answer.text()),
    }
}

#[tokio::test]
async fn three_routes_by_six_grants_by_three_kinds_of_request() {
    let world = world().await;
    for (grant, path, page, script, frame) in TABLE {
        let browser = somebody_with(&world, *grant).await;
        for (number, (request, expected)) in kinds(path).into_iter().zip([page, script, frame]).enumerate() {
            let what = format!("{grant:?} at {path}, kind {number}");
            world.echo.forget();
            let answer = browser.clone().send(&at(path), request, false).await;
            assert_eq!(got(&answer, &world, &what), format!("{expected:?}"), "{what}: {}", answer.text());
            let is_page = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
            assert!(is_page == (number != 1) || answer.status < 400, "{what}: {answer:?}");
        }
    }
    assert_eq!(TABLE.len(), 6 * 3);
}

/// What a refused step-up leads to: a page that names the permission and who can give it, once and for all.
#[tokio::test]
async fn a_step_up_that_apple_does_not_grant_is_refused_in_every_kind_and_never_loops() {
    for (grant, path, missing) in [
        (Grant::None, "/people", &["edu.users.read"][..]),
        (Grant::None, "/both", &["edu.classes.read", "edu.users.read"]),
        (Grant::Users, "/both", &["edu.classes.read"]),
        (Grant::Classes, "/people", &["edu.users.read"]),
        (Grant::Classes, "/both", &["edu.users.read"]),
    ] {
        let world = world().await;
        let mut browser = somebody_with(&world, grant).await;
        let has = match grant {
            Grant::Users => USERS,
            Grant::Classes => CLASSES,
            Grant::None | Grant::Both | Grant::UsersByIdToken | Grant::BothAsAsked => "",
        };
        world.apple.switches().change(|behaviour| {
            (behaviour.granted, behaviour.scope_member) = (only(has), true);
        });
        let back = world.through_apple(&mut browser, path, "administrator").await;
        assert_eq!((back.status, back.location()), (303, path), "{grant:?} {path}");
        let calls = world.apple.calls().count(Endpoint::Authorize);
        for round in 0..2 {
            for (number, request) in kinds(path).into_iter().enumerate() {
                world.echo.forget();
                let answer = browser.send(&at(path), request, false).await;
                let what = format!("{grant:?} {path}, kind {number}, round {round}");
                assert_eq!(got(&answer, &world, &what), "Refused", "{what}");
                if number != 1 {
                    let page = answer.text();
                    assert!(missing.iter().all(|scope| page.contains(scope)), "{what}: {page}");
                    assert!(page.contains("Administrator or Site Manager"), "{what}: {page}");
                    assert!(!has.is_empty() && !missing.contains(&has) || has.is_empty(), "{what}");
                    assert!(has.is_empty() || !page.contains(has), "{what} names what is not missing: {page}");
                }
            }
        }
        assert_eq!(world.apple.calls().count(Endpoint::Authorize), calls, "{grant:?} {path}");
        assert_eq!(browser.open(&at("/")).await.status, 200, "everything else goes on");
        assert_eq!(world.echo.last().header("x-schoolgate-scopes").unwrap_or_default(), has);
    }
}

#[tokio::test]
async fn another_person_at_the_step_up_gets_a_session_of_their_own_and_nothing_of_the_first_ones() {
    let world = world().await;
    let mut browser = somebody_with(&world, Grant::Users).await;
    let first = browser.clone();
    world.apple.switches().change(|behaviour| {
        (behaviour.granted, behaviour.scope_member, behaviour.others) = (only(CLASSES), true, Others::Granted);
    });
    let back = world.through_apple(&mut browser, "/both", "teacher-1").await;
    assert_eq!(back.status, 303, "{}", back.text());
    assert_eq!(browser.open(&at("/classes")).await.status, 200);
    let seen = world.echo.last();
    assert_eq!(seen.header("x-forwarded-user"), Some(&*world.subject("teacher-1")));
    assert_eq!(seen.header("x-schoolgate-scopes"), Some(CLASSES));
    // Not what the administrator had: that died with their session.
    assert_eq!(browser.open(&at("/people")).await.status, 403);
    assert_eq!(first.clone().fetch(&at("/people")).await.status, 401, "the administrator's session has ended");
}

#[tokio::test]
async fn a_late_answer_to_a_refresh_does_not_replace_the_grant_of_a_step_up() {
    for rotation in [false, true] {
        let world = world().await;
        let mut browser = somebody_with(&world, Grant::Users).await;
        world.apple.switches().change(|behaviour| behaviour.refresh_rotation = rotation);
        world.clock.advance(std::time::Duration::from_secs(3600 - 120));
        let gate = Gate::closed();
        world.apple.switches().trouble(Endpoint::Refresh, Trouble::HoldAnswer(gate.clone()));
        let waiting = tokio::spawn({
            let mut browser = browser.clone();
            async move { browser.fetch(&at("/people")).await.status }
        });
        world.reached(Endpoint::Refresh, 1).await;
        // The same person steps up while Apple's answer is on its way.
        let back = world.through_apple(&mut browser, "/both", "administrator").await;
        assert_eq!((back.status, back.location()), (303, "/both"), "{}", back.text());
        assert_eq!(browser.open(&at("/both")).await.status, 200);
        let token = world.echo.access_token();
        world.echo.forget();
        gate.open();
        assert_eq!(waiting.await.unwrap(), 401, "the session of before has ended");
        assert_eq!(world.echo.count(), 0, "and the app has seen nothing of it");
        world.apple.switches().heal(Endpoint::Refresh);
        for path in ["/", "/both", "/people"] {
            assert_eq!(browser.open(&at(path)).await.status, 200, "{path}");
            assert_eq!(world.echo.access_token(), token, "{path}: the grant of the step-up");
            assert_eq!(world.echo.last().header("x-schoolgate-scopes"), Some(BOTH), "{path}");
        }
        // The next refresh is that of the new grant.
        world.clock.advance(std::time::Duration::from_secs(3600 - 120));
        assert_eq!(browser.open(&at("/both")).await.status, 200);
        let calls = world.apple.calls().all();
        let offered: Vec<_> = calls.iter().filter_map(|call| call.value("refresh_token")).collect();
        assert_eq!(offered.len(), 2);
        assert_ne!(offered[0], offered[1]);
        assert_eq!(world.echo.last().header("x-schoolgate-scopes"), Some(BOTH));
    }
}

#[tokio::test]
async fn cve_2021_32701_cve_2026_33496_what_was_filled_in_for_one_route_or_grant_is_never_anothers() {
    let world = world().await;
    let mut administrator = somebody_with(&world, Grant::Users).await;
    let mut teacher = world.signed_in("teacher-1").await;
    // By turns, so that whatever is kept is there.
    for _ in 0..3 {
        assert_eq!(administrator.open(&at("/people")).await.status, 200);
        assert_eq!(world.echo.last().header("x-only"), Some("people edu.users.read"));
        assert_eq!(administrator.open(&at("/")).await.status, 200);
        assert_eq!(world.echo.last().header("x-only"), None);
        assert_eq!(administrator.fetch(&at("/both")).await.status, 401, "a yes for one route is none for another");
        assert_eq!(teacher.open(&at("/")).await.status, 200);
        assert_eq!(world.echo.last().header("x-schoolgate-scopes"), None);
        assert_eq!(teacher.fetch(&at("/people")).await.status, 401, "nor for another person");
    }
    world.through_apple(&mut administrator, "/both", "administrator").await;
    for (path, told) in [("/both", "both"), ("/people", "people")] {
        assert_eq!(administrator.open(&at(path)).await.status, 200);
        assert_eq!(world.echo.last().header("x-only"), Some(&*format!("{told} {BOTH}")), "at once");
    }
}

#[tokio::test]
async fn a_grant_that_shrinks_at_a_refresh_shows_at_once() {
    let world = world().await;
    // Apple grants less than was asked for and does not say so: the session believes in both.
    world.apple.switches().change(|behaviour| {
        (behaviour.granted, behaviour.scopes_claim) = (only(USERS), false);
    });
    let mut browser = world.browser();
    world.through_apple(&mut browser, "/both", "administrator").await;
    assert_eq!(browser.open(&at("/both")).await.status, 200);
    assert_eq!(browser.open(&at("/")).await.status, 200);
    let cookie = browser.cookie(HOST, "__Host-schoolgate");
    // The answer to the refresh says it.
    world.apple.switches().change(|behaviour| behaviour.scope_member = true);
    world.clock.advance(std::time::Duration::from_secs(3600 - 120));
    world.echo.forget();
    for _ in 0..2 {
        let answer = browser.fetch(&at("/both")).await;
        assert_eq!((answer.status, world.echo.count()), (403, 0), "{}", answer.text());
    }
    assert_eq!(world.apple.calls().count(Endpoint::Refresh), 1);
    for path in ["/", "/people"] {
        assert_eq!(browser.open(&at(path)).await.status, 200, "{path}");
        assert_eq!(world.echo.last().header("x-schoolgate-scopes"), Some(USERS), "{path}");
    }
    assert_eq!(browser.cookie(HOST, "__Host-schoolgate"), cookie, "one session all the time");
}
