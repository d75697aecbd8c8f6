//! Every published bypass of a peer's sign-in, session or sign-out, by its identifier, tried here; the
//! others are in `bypasses.rs` and `redirects.rs`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use schoolgate::demo::{Endpoint, Forgery};
use support::{
    Browser, HOST, Request, World,
    world::{CALLBACK, at},
};

fn query(url: &str, name: &str) -> Option<String> {
    url::Url::parse(url).unwrap().query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn ghsa_f24x_5g9q_753f_a_planted_session_does_not_survive_a_sign_in() {
    let world = World::start().await;
    // The attacker's own session, planted in the victim's browser, and one that never was.
    let attacker = world.signed_in("outsider").await;
    for planted in [attacker.cookie(HOST, "__Host-schoolgate").unwrap(), "A".repeat(43)] {
        let mut victim = world.browser();
        victim.set_cookie(HOST, "__Host-schoolgate", &planted);
        let answer = victim.open(&at("/.schoolgate/sign-in?return_to=/x")).await;
        let callback = world.at_apple(answer.location(), "teacher-1").await;
        assert_eq!(victim.open(&callback).await.status, 303);
        let new = victim.cookie(HOST, "__Host-schoolgate").unwrap();
        assert_ne!(new, planted);
        let mut holder = world.browser();
        holder.set_cookie(HOST, "__Host-schoolgate", &planted);
        assert_eq!(holder.fetch(&at("/.schoolgate/me")).await.status, 401, "what was planted opens nothing now");
        let me = victim.fetch(&at("/.schoolgate/me")).await.json();
        assert_eq!(me["sub"], world.apple.person("teacher-1").unwrap().subject.as_str());
    }
}

#[tokio::test]
async fn cve_2024_21492_cve_2025_29928_a_session_is_gone_after_the_sign_out() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let mut copy = browser.clone();
    assert_eq!(copy.fetch(&at("/x")).await.status, 200);
    assert_eq!(browser.open(&at("/.schoolgate/sign-out")).await.status, 200);
    world.echo.forget();
    for path in ["/x", "/.schoolgate/me", "/classes"] {
        assert_eq!(copy.fetch(&at(path)).await.status, 401, "{path}");
    }
    assert_eq!(copy.fetch(&at("/optional")).await.status, 200);
    assert_eq!(world.echo.last().header("x-forwarded-user"), None);
}

#[tokio::test]
async fn cve_2025_55162_a_deletion_has_the_attributes_of_the_creation() {
    let world = World::start().await;
    let mut browser = world.browser();
    let begun = browser.open(&at("/x")).await;
    let callback = world.at_apple(begun.location(), "teacher-1").await;
    let finished = browser.open(&callback).await;
    let left = browser.open(&at("/.schoolgate/sign-out")).await;
    let attributes = |line: &str| -> Vec<String> {
        line.split("; ").skip(1).filter(|one| !one.starts_with("Max-Age")).map(str::to_owned).collect()
    };
    let of = |answer: &support::Answer, name: &str| {
        attributes(answer.all("set-cookie").find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}")))
    };
    assert_eq!(of(&begun, "__Host-schoolgate-login-"), of(&finished, "__Host-schoolgate-login-"));
    assert_eq!(of(&finished, "__Host-schoolgate="), of(&left, "__Host-schoolgate="));
    assert_eq!(of(&left, "__Host-schoolgate="), ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"]);
}

#[tokio::test]
async fn cve_2021_32791_cve_2023_35941_cve_2024_21495_a_sealed_sign_in_is_unique_and_bound_to_its_name() {
    let world = World::start().await;
    let (mut one, mut other) = (world.browser(), world.browser());
    let (first, second) = (one.open(&at("/x")).await, other.open(&at("/x")).await);
    for name in ["state", "nonce"] {
        assert_ne!(query(first.location(), name), query(second.location(), name));
    }
    let name = |browser: &Browser| browser.cookie_names(HOST).pop().unwrap();
    let value = |browser: &Browser| browser.cookie(HOST, &name(browser)).unwrap();
    assert_ne!(name(&one), name(&other));
    assert_ne!(value(&one)[..40], value(&other)[..40], "the same text is sealed otherwise each time");
    let callback = world.at_apple(first.location(), "teacher-1").await;
    // Under another name, with one character changed, cut, or with the other's value: nobody is let in.
    let sealed = value(&one);
    let flipped: String = sealed
        .char_indices()
        .map(|(at, one)| if at == 50 { if one == 'A' { 'B' } else { 'A' } } else { one })
        .collect();
    for (cookie, content) in [
        (name(&other), sealed.clone()),
        (name(&one), value(&other)),
        (name(&one), flipped),
        (name(&one), sealed[..sealed.len() - 1].to_owned()),
        (name(&one), format!("{sealed}A")),
        (name(&one), String::new()),
        (name(&one).to_uppercase(), sealed.clone()),
    ] {
        let mut browser = world.browser();
        browser.set_cookie(HOST, &cookie, &content);
        assert_eq!(browser.open(&callback).await.status, 400, "{cookie}={content}");
    }
    assert_eq!(world.apple.calls().count(Endpoint::Exchange), 0);
    assert_eq!(one.open(&callback).await.status, 303);
}

#[tokio::test]
async fn cve_2024_39315_no_page_of_the_gateway_shows_a_token_or_a_cookie() {
    let world = World::with(&[("app", r#"headers = { X-Token = "{access_token}", X-Id = "{id_token}" }"#)]).await;
    let mut browser = world.signed_in("teacher-1").await;
    browser.open(&at("/x")).await;
    let seen = world.echo.last();
    let code = world.apple.calls().last(Endpoint::Exchange).and_then(|call| call.value("code").map(str::to_owned));
    let secrets = [
        seen.header("x-token").unwrap().to_owned(),
        seen.header("x-id").unwrap().to_owned(),
        seen.header("x-id").unwrap().rsplit('.').next().unwrap().to_owned(),
        browser.cookie(HOST, "__Host-schoolgate").unwrap(),
        code.unwrap(),
    ];
    for path in [
        "/.schoolgate/",
        "/.schoolgate/me",
        "/staff",
        "/.schoolgate/none",
        "/.schoolgate/callback?code=x&state=y",
        "/.schoolgate/sign-in",
        "/.schoolgate/sign-out",
    ] {
        for answer in [browser.clone().fetch(&at(path)).await, browser.clone().open(&at(path)).await] {
            let all = format!("{:?} {}", answer.headers, answer.text());
            secrets.iter().for_each(|secret| assert!(!all.contains(&**secret), "{path}: {all}"));
            assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        }
    }
}

#[tokio::test]
async fn cve_2024_47616_no_token_of_apple_opens_the_gateway() {
    let world = World::with(&[(
        "app",
        r#"headers = { X-Token = "{access_token}", X-Id = "{id_token}", X-Handle = "{session_id}" }"#,
    )])
    .await;
    world.signed_in("teacher-1").await.open(&at("/x")).await;
    let seen = world.echo.last();
    world.echo.forget();
    for name in ["x-token", "x-id", "x-handle"] {
        let value = seen.header(name).unwrap();
        for (header, text) in
            [("Authorization", format!("Bearer {value}")), ("Cookie", format!("__Host-schoolgate={value}"))]
        {
            assert_eq!(world.send(Request::get("/x").header(header, &text)).await.status, 401, "{name} as {header}");
        }
        assert_eq!(world.send(Request::get(&format!("/x?access_token={value}&id_token={value}"))).await.status, 401);
    }
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn cve_2023_48228_a_verifier_cannot_be_left_out() {
    let world = World::with(&[("apple", "pkce = true")]).await;
    let mut browser = world.browser();
    let answer = browser.open(&at("/x")).await;
    assert_eq!(query(answer.location(), "code_challenge_method").as_deref(), Some("S256"));
    assert_eq!(query(answer.location(), "code_challenge").unwrap().len(), 43);
    // An attacker who takes the challenge out of the way to Apple gets a code for the same sign-in.
    let challenge = query(answer.location(), "code_challenge").unwrap();
    let stripped = answer
        .location()
        .replace(&format!("&code_challenge={challenge}"), "")
        .replace("&code_challenge_method=S256", "");
    assert!(!stripped.contains("challenge"), "{stripped}");
    let callback = world.at_apple(&stripped, "teacher-1").await;
    browser.open(&callback).await;
    assert_eq!(
        world.apple.calls().last(Endpoint::Exchange).unwrap().value("code_verifier").unwrap().len(),
        43,
        "sent whatever came back"
    );
}

#[tokio::test]
async fn cve_2023_27496_cve_2021_29652_a_callback_without_its_parts_is_refused_without_harm() {
    let world = World::start().await;
    let mut browser = world.browser();
    let begun = browser.open(&at("/x")).await;
    let callback = world.at_apple(begun.location(), "teacher-1").await;
    let (code, state) = (query(&callback, "code").unwrap(), query(&callback, "state").unwrap());
    let long = "x".repeat(9_000);
    for odd in [
        String::new(),
        "state".into(),
        "code".into(),
        format!("code={code}"),
        format!("state={state}"),
        format!("code={code}&state="),
        format!("code=&state={state}"),
        format!("code={code}&state={state}x"),
        format!("code={code}&state=%00"),
        format!("code={code}&state[]={state}"),
        format!("code={code}&State={state}"),
        format!("code={code};state={state}"),
        // mod_auth_openidc 2026-07: the last one counted.
        format!("code={code}&state=x&state={state}"),
        format!("code=x&code={code}&state={state}"),
        format!("code={long}&state={state}"),
        format!("code={code}&state={long}"),
        format!("error={long}&state={state}"),
        format!("code={code}%0d%0a&state={state}"),
        "&".repeat(2_000),
        "a=b&".repeat(2_000),
    ] {
        let answer = browser.open(&format!("{CALLBACK}?{odd}")).await;
        assert_eq!(answer.status, 400, "{odd:.80}");
        assert!(browser.cookie(HOST, "__Host-schoolgate").is_none(), "{odd:.80}");
    }
    assert_eq!(world.apple.calls().count(Endpoint::Exchange), 0);
    assert_eq!(browser.open(&callback).await.status, 303, "the true one still works");
}

#[tokio::test]
async fn albeast_a_token_for_another_client_signs_nobody_in() {
    let world = World::start().await;
    for forgery in [
        Forgery::AudienceOther,
        Forgery::AudienceLookalike,
        Forgery::AudienceSecond,
        Forgery::AudienceMissing,
        Forgery::IssuerLookalike,
        Forgery::KeyByAddress,
        Forgery::EmbeddedKey,
    ] {
        world.apple.switches().change(|behaviour| behaviour.forgery = Some(forgery));
        let mut browser = world.browser();
        let answer = world.through_apple(&mut browser, "/x", "teacher-1").await;
        assert!(answer.status >= 400, "{forgery:?}");
        assert_eq!(browser.cookie_names(HOST), Vec::<String>::new(), "{forgery:?}");
    }
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn mod_auth_openidc_2026_07_cve_2024_52289_a_stranger_does_not_choose_the_scopes_of_a_sign_in() {
    let world = World::start().await;
    for extra in [
        "scope=edu.users.read",
        "scopes=edu.users.read",
        "prompt=none&scope=x",
        "client_id=evil",
        "redirect_uri=https://evil.example",
        "state=x&nonce=y",
    ] {
        let answer = world.browser().open(&at(&format!("/.schoolgate/sign-in?return_to=/classes&{extra}"))).await;
        let url = answer.location();
        assert_eq!(query(url, "scope").as_deref(), Some("edu.classes.read"), "{extra}");
        assert_eq!(query(url, "client_id").as_deref(), Some("org.example.school.gateway"), "{extra}");
        assert_eq!(query(url, "redirect_uri").as_deref(), Some(CALLBACK), "{extra}");
        assert_eq!(query(url, "state").unwrap().len(), 43, "{extra}");
    }
}
