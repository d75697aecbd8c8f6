//! Who is sent where.

use schoolgate::{
    demo::{Endpoint, Granted, Others},
    identity::ScopeSet,
};

use crate::{
    front::Proxy,
    scene::Scene,
    support::{HOST, Request, http::query, world::at},
};

pub(crate) async fn a_stranger_goes_to_apple_and_comes_back_signed_in(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.browser();
    let answer = browser.open(&at("/grades?term=2&x=%C3%A9")).await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(query(answer.location(), "client_id").as_deref(), Some("org.example.school.gateway"));
    assert_eq!(scene.app().count(), 0);
    let callback = scene.world.at_apple(answer.location(), "teacher-1").await;
    let answer = browser.open(&callback).await;
    assert_eq!((answer.status, answer.location()), (303, "/grades?term=2&x=%C3%A9"));
    assert_eq!(browser.open(&at(answer.location())).await.status, 200);
    let seen = scene.app().last();
    assert_eq!((&*seen.method, &*seen.target), ("GET", "/grades?term=2&x=%C3%A9"));
    assert_eq!(seen.header("x-forwarded-user"), Some(&*scene.world.subject("teacher-1")));
    let teacher = scene.world.apple.person("teacher-1").unwrap();
    assert_eq!(seen.header("x-forwarded-email"), teacher.email.as_deref());
    assert_eq!(seen.header("x-schoolgate-organization"), teacher.organization.as_deref());
    assert!(seen.header("x-forwarded-access-token").is_some());
    assert_eq!((seen.header("host"), seen.header("x-forwarded-host")), (Some(HOST), Some(HOST)));
    let plain = proxy.blocks.contains(&"Caddyfile");
    assert_eq!(seen.header("x-forwarded-proto"), Some(if plain { "http" } else { "https" }), "Caddy says what it sees");
    // A second tab of a stranger, whose sign-in is another.
    let (mut one, mut two) = (scene.browser(), scene.browser());
    let (one, two) = (one.open(&at("/")).await, two.open(&at("/")).await);
    assert_ne!(query(one.location(), "state"), query(two.location(), "state"));
}

pub(crate) async fn many_tabs_sign_in_side_by_side(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.browser();
    let mut last = String::new();
    for tab in 0..25 {
        let answer = browser.open(&at(&format!("/tab/{tab}"))).await;
        assert_eq!(answer.status, 302, "{tab} {answer:?}");
        answer.location().clone_into(&mut last);
    }
    assert_eq!(browser.cookie_names(HOST).len(), 20, "the oldest are dropped");
    let callback = scene.world.at_apple(&last, "teacher-1").await;
    assert_eq!(browser.open(&callback).await.location(), "/tab/24");
    let answer = browser.open(&at("/tab/24")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

pub(crate) async fn a_script_hears_401_and_where_to_sign_in(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.browser();
    let script = |method| Request::new(method, "/grades").header("Accept", "application/json");
    for request in [script("GET"), script("DELETE"), Request::new("POST", "/grades").form(&[("a", "b")])] {
        let answer = browser.send(&at("/grades"), request, false).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert_eq!(challenge, format!("Schoolgate sign_in=\"https://{HOST}/.schoolgate/sign-in?return_to=/grades\""));
        assert_eq!(answer.json()["status"], 401);
    }
    assert_eq!(browser.send(&at("/grades"), script("HEAD"), false).await.status, 401);
    assert_eq!(scene.app().count(), 0);
    // The way that it shows.
    let answer = browser.open(&at("/.schoolgate/sign-in?return_to=/grades")).await;
    let callback = scene.world.at_apple(answer.location(), "teacher-1").await;
    assert_eq!(browser.open(&callback).await.location(), "/grades");
    assert_eq!(browser.fetch(&at("/grades")).await.status, 200);
}

pub(crate) async fn a_step_up_leads_to_apple_and_a_refusal_to_a_page(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.signed_in("administrator").await;
    let answer = browser.fetch(&at("/classes")).await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").unwrap().contains("error=\"insufficient_scope\""), "{answer:?}");
    let answer = scene.world.through_apple(&mut browser, "/classes", "administrator").await;
    assert_eq!(answer.location(), "/classes");
    assert_eq!(browser.open(&at("/classes")).await.status, 200);
    assert_eq!(scene.app().last().header("x-schoolgate-scopes"), Some("edu.classes.read"));
    scene.world.apple.switches().change(|behaviour| {
        behaviour.granted = Granted::Only(ScopeSet::new());
        behaviour.scope_member = true;
        behaviour.others = Others::Granted;
    });
    let mut browser = scene.signed_in("teacher-1").await;
    scene.world.through_apple(&mut browser, "/classes", "teacher-1").await;
    scene.app().forget();
    for _ in 0..2 {
        let answer = browser.open(&at("/classes")).await;
        assert_eq!((answer.status, answer.header("content-type")), (403, Some("text/html; charset=utf-8")));
        assert!(answer.text().contains("edu.classes.read"), "{}", answer.text());
    }
    assert_eq!(scene.app().count(), 0);
}

pub(crate) async fn somebody_who_is_not_allowed_sees_a_page_that_says_so(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.signed_in("teacher-1").await;
    let answer = browser.open(&at("/staff/keys")).await;
    assert_eq!((answer.status, answer.header("content-type")), (403, Some("text/html; charset=utf-8")));
    let email = scene.world.apple.person("teacher-1").unwrap().email.clone().unwrap();
    assert!(answer.text().contains(&email), "{}", answer.text());
    assert!(answer.header("content-security-policy").is_some());
    let answer = browser.fetch(&at("/staff/keys")).await;
    assert_eq!((answer.status, answer.header("content-type")), (403, Some("application/problem+json")));
    assert_eq!(scene.app().count(), 0);
}

pub(crate) async fn a_sign_out_ends_it(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.signed_in("teacher-1").await;
    let mut thief = browser.clone();
    assert_eq!(thief.open(&at("/")).await.status, 200);
    let answer = browser.open(&at("/.schoolgate/me")).await;
    assert_eq!(answer.json()["sub"], *scene.world.subject("teacher-1"));
    browser.open(&at("/.schoolgate/sign-out")).await;
    scene.world.reached(Endpoint::Revoke, 1).await;
    assert_eq!(browser.cookie(HOST, "__Host-schoolgate"), None);
    scene.app().forget();
    for browser in [&mut browser, &mut thief] {
        assert_eq!(browser.open(&at("/")).await.status, 302);
        assert_eq!(browser.fetch(&at("/")).await.status, 401);
    }
    assert_eq!(scene.app().count(), 0);
}
