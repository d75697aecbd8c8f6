//! Codes, refresh tokens, revocation.

use super::*;

const ERROR_HEADERS: [(&str, &str); 3] =
    [("content-type", "application/json;charset=UTF-8"), ("cache-control", "no-store"), ("pragma", "no-cache")];

fn error(error: &str) -> (u16, Value) {
    (400, json!({ "error": error }))
}

#[tokio::test]
async fn a_code_is_answered_with_tokens_of_apples_shape() {
    let rig = Rig::new().await;
    let tokens = rig.sign_in("administrator").await;
    let mut names: Vec<_> = tokens.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["access_token", "expires_in", "id_token", "refresh_token", "token_type"]);
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3600)));
    for (name, letter) in [("access_token", 'a'), ("refresh_token", 'r')] {
        let parts: Vec<_> = tokens[name].as_str().unwrap().split('.').collect();
        assert!(parts[0].starts_with(letter) && parts[0].len() == 33 && parts[3].len() == 22, "{parts:?}");
    }
    let claims = rig.verify(tokens["id_token"].as_str().unwrap()).await.unwrap();
    let person = rig.apple.person("administrator").unwrap();
    assert_eq!(claims["sub"], person.subject.as_str());
    assert_eq!(claims["org_id"], person.organization.as_deref().unwrap());
    assert_eq!(claims["nonce"], "the-nonce");
    assert_eq!(claims["scopes"], "edu.classes.read edu.users.read");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 86_400);
    assert_eq!((&claims["email_verified"], &claims["nonce_supported"]), (&json!(false), &json!(true)));
    assert!(claims["at_hash"].is_string() && claims.get("c_hash").is_none());
}

#[tokio::test]
async fn a_code_works_once_and_its_reuse_kills_the_tokens() {
    let rig = Rig::new().await;
    let code = rig.code();
    let (_, tokens) = rig.exchange(&code).await;
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(rig.refresh(refresh_token).await.0, 200);
    assert_eq!(rig.exchange(&code).await, error("invalid_grant"));
    assert_eq!(rig.refresh(refresh_token).await, error("invalid_grant"));
}

#[tokio::test]
async fn a_code_lives_five_minutes() {
    let rig = Rig::new().await;
    let (early, late) = (rig.code(), rig.code());
    rig.advance(299);
    assert_eq!(rig.exchange(&early).await.0, 200);
    rig.advance(1);
    assert_eq!(rig.exchange(&late).await, error("invalid_grant"));
}

#[tokio::test]
async fn a_code_is_bound_to_client_redirect_uri_and_its_spelling() {
    let rig = Rig::new().await;
    let code = rig.code();
    let attempt = |changed: &'static str, value: String| {
        let client = if changed == "client_id" { value.clone() } else { CLIENT.to_owned() };
        let secret = rig.secret(&client);
        let mut fields = vec![
            ("client_id", CLIENT.to_owned()),
            ("client_secret", secret),
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.clone()),
            ("redirect_uri", CALLBACK.to_owned()),
        ];
        fields.iter_mut().filter(|(name, _)| *name == changed).for_each(|field| field.1 = value.clone());
        fields.retain(|(_, value)| !value.is_empty());
        json_of(rig.http.post(rig.url("/auth/oauth2/v2/token")).form(&fields))
    };
    assert_eq!(attempt("client_id", OTHER_CLIENT.into()).await, error("invalid_grant"));
    assert_eq!(attempt("redirect_uri", "http://localhost:8080/cb".into()).await, error("invalid_client"));
    assert_eq!(attempt("redirect_uri", String::new()).await, error("invalid_request"));
    assert_eq!(attempt("code", String::new()).await, error("invalid_request"));
    assert_eq!(attempt("code", format!("{code}x")).await, error("invalid_grant"));
    assert_eq!(attempt("grant_type", String::new()).await, error("invalid_request"));
    assert_eq!(attempt("grant_type", "password".into()).await, error("unsupported_grant_type"));
    assert_eq!(attempt("client_secret", String::new()).await, error("invalid_request"));
    assert_eq!(attempt("client_secret", "a.b.c".into()).await, error("invalid_client"));
    assert_eq!(rig.exchange(&code).await.0, 200);
}

#[tokio::test]
async fn a_bad_secret_is_told_before_the_code_is_looked_at() {
    let rig = Rig::new().await;
    let code = rig.code();
    rig.exchange(&code).await;
    let fields = [("client_id", CLIENT), ("client_secret", "x"), ("grant_type", "authorization_code"), ("code", &code)];
    let response = rig.post("token", &fields).send().await.unwrap();
    assert_eq!(response.status(), 400);
    for (name, value) in ERROR_HEADERS {
        assert_eq!(response.headers()[name], value);
    }
    assert_eq!(text(response).await, r#"{"error":"invalid_client"}"#);
    assert_eq!(
        rig.apple.calls().last(Endpoint::Exchange).unwrap().outcome.unwrap().error,
        Some(ErrorCode::InvalidClient)
    );
}

#[tokio::test]
async fn json_basic_query_and_repeats_are_refused() {
    let rig = Rig::new().await;
    let (secret, code) = (rig.secret(CLIENT), rig.code());
    let url = rig.url("/auth/oauth2/v2/token");
    let post = || rig.http.post(url.clone());
    let json = json!({"client_id": CLIENT, "client_secret": secret, "grant_type": "authorization_code", "code": code});
    let request = post().header("Content-Type", "application/json").body(json.to_string());
    assert_eq!(json_of(request).await, error("invalid_request"));
    let bare = [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", CALLBACK)];
    assert_eq!(json_of(post().basic_auth(CLIENT, Some(&secret)).form(&bare)).await, error("invalid_client"));
    let full = [("client_id", CLIENT), ("client_secret", &*secret), bare[0], bare[1], bare[2]];
    assert_eq!(json_of(post().basic_auth(CLIENT, Some(&secret)).form(&full)).await, error("invalid_request"));
    let mut in_query = url.clone();
    in_query.query_pairs_mut().extend_pairs(full);
    assert_eq!(json_of(rig.http.post(in_query)).await, error("invalid_request"));
    let twice = [full[0], full[1], full[2], full[3], full[3], full[4]];
    assert_eq!(json_of(post().form(&twice)).await, error("invalid_request"));
    assert_eq!(rig.http.get(url.clone()).send().await.unwrap().status(), 405);
    assert_eq!(rig.exchange(&code).await.0, 200);
}

#[tokio::test]
async fn pkce_needs_the_verifier_that_fits_and_no_other() {
    let rig = Rig::new().await;
    // The example of RFC 7636, appendix B.
    let (verifier, challenge) =
        ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let with = format!("&code_challenge={challenge}&code_challenge_method=S256");
    let redeem = async |code: String, verifier: Option<&str>| {
        let secret = rig.secret(CLIENT);
        let mut fields = vec![
            ("client_id", CLIENT),
            ("client_secret", &secret),
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
        ];
        fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        json_of(rig.post("token", &fields)).await
    };
    let code = || rig.code_for("administrator", BOTH, &with);
    assert_eq!(redeem(code(), Some(verifier)).await.0, 200);
    assert_eq!(redeem(code(), None).await, error("invalid_grant"));
    assert_eq!(redeem(code(), Some(challenge)).await, error("invalid_grant"));
    assert_eq!(redeem(rig.code(), Some(verifier)).await, error("invalid_grant"));
    let code = rig.code();
    rig.apple.switches().change(|behaviour| behaviour.refuse_unknown_parameters = true);
    assert_eq!(redeem(code.clone(), Some(verifier)).await, error("invalid_request"));
    assert_eq!(redeem(code, None).await.0, 200);
}

#[tokio::test]
async fn a_refresh_token_keeps_working_and_is_not_sent_again() {
    let rig = Rig::new().await;
    let tokens = rig.sign_in("administrator").await;
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    for _ in 0..2 {
        let (status, fresh) = rig.refresh(refresh_token).await;
        assert_eq!((status, fresh.get("refresh_token")), (200, None));
        assert_ne!(fresh["access_token"], tokens["access_token"]);
        assert!(rig.claims(&fresh).get("nonce").is_none());
        rig.advance(7200);
    }
    assert_eq!(rig.apple.calls().count(Endpoint::Refresh), 2);
}

#[tokio::test]
async fn with_rotation_the_old_refresh_token_dies() {
    let rig = Rig::new().await;
    rig.apple.switches().change(|behaviour| behaviour.refresh_rotation = true);
    let tokens = rig.sign_in("administrator").await;
    let old = tokens["refresh_token"].as_str().unwrap();
    let (_, fresh) = rig.refresh(old).await;
    assert_eq!(rig.refresh(old).await, error("invalid_grant"));
    assert_eq!(rig.refresh(fresh["refresh_token"].as_str().unwrap()).await.0, 200);
}

#[tokio::test]
async fn revocation_is_an_empty_200_each_time_and_ends_the_grant() {
    let rig = Rig::new().await;
    for token in ["refresh_token", "access_token"] {
        let tokens = rig.sign_in("administrator").await;
        let other = rig.sign_in("administrator").await;
        for _ in 0..2 {
            assert_eq!(rig.revoke(tokens[token].as_str().unwrap()).await, (200, Value::Null));
        }
        assert_eq!(rig.refresh(tokens["refresh_token"].as_str().unwrap()).await, error("invalid_grant"));
        assert_eq!(rig.refresh(other["refresh_token"].as_str().unwrap()).await.0, 200);
    }
    assert_eq!(rig.revoke("never seen").await, (200, Value::Null));
}

#[tokio::test]
async fn how_far_a_revocation_reaches_and_what_comes_after_are_switches() {
    let rig = Rig::new().await;
    rig.apple.switches().change(|behaviour| behaviour.after_revocation = AfterRevocation::InvalidRequest);
    for (reach, left) in [(Reach::Person, 200), (Reach::Organization, 400)] {
        rig.apple.switches().change(|behaviour| behaviour.revocation_reach = reach);
        let (one, same) = (rig.sign_in("administrator").await, rig.sign_in("administrator").await);
        let colleague = rig.sign_in("site-manager").await;
        rig.revoke(one["refresh_token"].as_str().unwrap()).await;
        assert_eq!(rig.refresh(same["refresh_token"].as_str().unwrap()).await, error("invalid_request"));
        assert_eq!(rig.refresh(colleague["refresh_token"].as_str().unwrap()).await.0, left, "{reach:?}");
    }
}

#[tokio::test]
async fn revocation_needs_the_right_client_and_a_true_hint() {
    let rig = Rig::new().await;
    let tokens = rig.sign_in("administrator").await;
    let token = tokens["refresh_token"].as_str().unwrap();
    let (secret, other) = (rig.secret(CLIENT), rig.secret(OTHER_CLIENT));
    for (client, secret, more, expected) in [
        (CLIENT, "x", ("token", token), "invalid_client"),
        (OTHER_CLIENT, &*other, ("token", token), "invalid_client"),
        (CLIENT, &*secret, ("other", token), "invalid_request"),
    ] {
        let fields = [("client_id", client), ("client_secret", secret), more];
        assert_eq!(json_of(rig.post("revoke", &fields)).await, error(expected));
    }
    for hint in ["access_token", "id_token"] {
        let fields = [("client_id", CLIENT), ("client_secret", &*secret), ("token", token), ("token_type_hint", hint)];
        assert_eq!(json_of(rig.post("revoke", &fields)).await, error("invalid_request"));
    }
    assert_eq!(rig.refresh(token).await.0, 200);
}

#[tokio::test]
async fn both_services_answer_under_their_own_paths() {
    let rig = Rig::new().await;
    let url = rig.authorize_url(Service::SignIn, "email", "&response_mode=form_post");
    let back = rig.apple.authorize(&url, Choice::Person("outsider")).unwrap();
    let secret = rig.secret(CLIENT);
    let fields = [
        ("client_id", CLIENT),
        ("client_secret", &secret),
        ("grant_type", "authorization_code"),
        ("code", back.field("code").unwrap()),
        ("redirect_uri", CALLBACK),
    ];
    let (status, tokens) = json_of(rig.http.post(rig.url("/auth/token")).form(&fields)).await;
    assert_eq!(status, 200);
    let claims = rig.claims(&tokens);
    assert_eq!((&claims["email_verified"], claims.get("org_id"), claims.get("scopes")), (&json!(true), None, None));
    assert_eq!(rig.apple.calls().last(Endpoint::Exchange).unwrap().service, Some(Service::SignIn));
}

#[tokio::test]
async fn what_apple_does_not_have_is_404() {
    let rig = Rig::new().await;
    for path in [
        "/.well-known/openid-configuration",
        "/auth/oauth2/v2/userinfo",
        "/auth/oauth2/v2/introspect",
        "/auth/oauth2/v2/logout",
        "/auth/oauth2/v2/token/",
        "/auth/userinfo",
        "/",
    ] {
        assert_eq!(rig.http.get(rig.url(path)).send().await.unwrap().status(), 404, "{path}");
    }
    assert_eq!(rig.apple.calls().count(Endpoint::Elsewhere), 7);
}
