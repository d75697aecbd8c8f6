//! Everything that a forger, a careless server or a clock can do to an ID token, and the reason for which
//! each is refused.

mod claims;
mod header;
mod shape;

use std::{sync::Arc, time::Duration};

use aws_lc_rs::{
    hmac,
    signature::{KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use crate::{
    clock::ManualClock,
    identity::{NameError, Organization},
};

use super::{
    AccessToken, Apple, AuthorizationCode, Expected, HeaderFault, Nonce, RawIdToken, Service, Settings,
    VerifiedIdToken, VerifyError,
    testing::{
        self, NOW, Script, Server, claims, half_hash, id_token, jwk, key_set, other_rsa_key, rsa_key, sign_with,
    },
};

type Row = (&'static str, String, VerifyError);

const GOOD_HEADER: &[u8] = br#"{"kid":"k1","alg":"RS256"}"#;

struct World {
    apple: Apple,
    clock: Arc<ManualClock>,
    server: Server,
}

async fn world_with(scripts: impl IntoIterator<Item = Script>, change: impl FnOnce(&mut Settings)) -> World {
    let server = Server::start(scripts).await;
    let clock = ManualClock::at(NOW);
    let mut settings = server.settings();
    change(&mut settings);
    World { apple: testing::apple(settings, clock.clone()), clock, server }
}

async fn world() -> World {
    world_with([key_set(), key_set()], |_| ()).await
}

impl World {
    async fn verify(&self, token: &str) -> Result<VerifiedIdToken, VerifyError> {
        let (nonce, code, access_token) = testing::expected();
        let expected = Expected { nonce: &nonce, code: &code, access_token: &access_token };
        self.apple.verify(&RawIdToken::new(token), &expected).await
    }

    async fn check(&self, rows: Vec<Row>) {
        for (name, token, why) in rows {
            assert_eq!(self.verify(&token).await.err(), Some(why), "{name}");
        }
        assert!(self.verify(&id_token(&claims())).await.is_ok(), "the good one beside them");
    }
}

/// A good token but for one claim.
fn with(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    id_token(&claims)
}

/// A good token but for its header, and signed by the right key.
fn headed(header: &str) -> String {
    sign_with(&RSA_PKCS1_SHA256, rsa_key(), header.as_bytes(), claims().to_string().as_bytes())
}

const fn header(fault: HeaderFault) -> VerifyError {
    VerifyError::Header(fault)
}

fn without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    id_token(&claims)
}

/// A good token but for the bytes of its claims.
fn claiming(claims: impl AsRef<[u8]>) -> String {
    sign_with(&RSA_PKCS1_SHA256, rsa_key(), GOOD_HEADER, claims.as_ref())
}

#[tokio::test]
async fn a_good_token_says_who_it_is() {
    let verified = world().await.verify(&id_token(&claims())).await.unwrap();
    let person = verified.person();
    assert_eq!(person.subject.as_str(), "000264.UDRoeTAxVUppaHdNQU5HYWN6MEU5VDRUWFVQU1BV.RUtP");
    assert_eq!(person.organization, Organization::parse("fb5f5f2c-5d0e-4b8b-9b0f-7d0a8a7d5f11").ok());
    let email = person.email.as_ref().unwrap();
    assert_eq!((&*email.address, email.verified), ("teacher@school.example", false));
    assert_eq!((person.is_private_email, person.auth_time), (Some(false), Some(NOW.seconds() - 5)));
    assert_eq!(crate::apple::kept_claims(verified.raw())["email_verified"], "false");
    assert_eq!(verified.scopes().unwrap().to_string(), "edu.classes.read edu.users.read");
    assert!(verified.raw().matches(&id_token(&claims())));
    assert!(!format!("{verified:?}").contains(testing::NONCE));
}

#[tokio::test]
async fn a_personal_account_has_less_and_is_somebody_too() {
    let mut few = claims();
    for name in ["org_id", "scopes", "email", "email_verified", "is_private_email", "auth_time", "at_hash", "c_hash"] {
        few.as_object_mut().unwrap().remove(name);
    }
    let verified = world().await.verify(&id_token(&few)).await.unwrap();
    let person = verified.person();
    assert!(person.organization.is_none() && person.email.is_none() && verified.scopes().is_none());
    assert!(person.is_private_email.is_none() && person.auth_time.is_none());
}

#[tokio::test]
async fn both_services_verify_alike() {
    let base = url::Url::parse("https://appleid.apple.com").unwrap();
    for service in [Service::Organization, Service::SignIn] {
        let path = service.endpoints(&base).keys.path().to_owned();
        let world = world_with([key_set()], |settings| {
            settings.service = service;
            settings.endpoints.keys.set_path(&path);
        })
        .await;
        assert!(world.verify(&id_token(&claims())).await.is_ok());
        assert_eq!(world.verify(&with("iss", json!("https://x"))).await.err(), Some(VerifyError::Issuer));
        assert_eq!(world.server.requests()[0].line, format!("GET {path} HTTP/1.1"));
    }
}

#[tokio::test]
async fn what_is_odd_but_right_is_accepted() {
    let world = world().await;
    let client = "org.example.school.gateway";
    let two = json!([client, "another"]);
    let mut both = claims();
    (both["aud"], both["azp"]) = (two, json!(client));
    let mut late = claims();
    (late["iat"], late["exp"]) = (json!(NOW.seconds() - 600), json!(NOW.seconds() - 59));
    for (name, token) in [
        ("a list with one audience", with("aud", json!([client]))),
        ("two audiences and the right azp", id_token(&both)),
        ("azp beside one audience", with("azp", json!(client))),
        ("typ JWT", headed(r#"{"typ":"JWT","alg":"RS256","kid":"k1"}"#)),
        ("an unknown member in the header", headed(r#"{"alg":"RS256","kid":"k1","x5t":"abc"}"#)),
        ("white space in JSON", claiming(format!(" {}\n", claims()))),
        ("expired within the skew", id_token(&late)),
        ("issued within the skew", with("iat", json!(NOW.seconds() + 60))),
        ("nbf now", with("nbf", json!(NOW.seconds()))),
        ("an empty email", with("email", json!(""))),
        ("a boolean email_verified", with("email_verified", json!(true))),
        ("an unknown claim", with("transfer_sub", json!({"a": [1]}))),
    ] {
        let result = world.verify(&token).await;
        assert!(result.is_ok(), "{name}: {:?}", result.err());
    }
}

#[tokio::test]
async fn keys_that_are_not_for_this_verify_nothing() {
    let odd = |change: fn(&mut Value)| {
        let mut key = jwk("k1", rsa_key());
        change(&mut key);
        Script::json(200, &json!({ "keys": [key, jwk("k2", other_rsa_key())] }).to_string())
    };
    for script in [
        odd(|key| key["use"] = json!("enc")),
        odd(|key| key["alg"] = json!("RS512")),
        odd(|key| key["key_ops"] = json!(["sign"])),
        odd(|key| key["kty"] = json!("oct")),
        odd(|key| key["d"] = json!("AQAB")),
    ] {
        let world = world_with([script], |_| ()).await;
        assert_eq!(world.verify(&id_token(&claims())).await.err(), Some(VerifyError::UnknownKey));
    }
    let strangers = json!({ "keys": [{"kty": "NEW", "kid": "x"}, 7, jwk("k1", rsa_key())] });
    let world = world_with([Script::json(200, &strangers.to_string())], |_| ()).await;
    assert!(world.verify(&id_token(&claims())).await.is_ok(), "an unknown key stops nobody");
}

#[tokio::test]
async fn without_keys_nobody_signs_in_and_later_they_do() {
    let world = world_with([Script::html(503), key_set()], |_| ()).await;
    let error = world.verify(&id_token(&claims())).await.unwrap_err();
    assert!(matches!(error, VerifyError::KeysUnavailable(_)));
    assert!(error.to_string().starts_with("Apple's keys are unavailable"));
    let status = world.apple.keys_ready().await;
    assert!(!status.usable && status.last_error.is_some());
    world.clock.advance(Duration::from_secs(30));
    assert!(world.verify(&id_token(&claims())).await.is_ok());
    assert!(world.apple.keys_ready().await.usable);
}

#[tokio::test]
async fn only_configured_issuers_count_and_each_of_them_does() {
    let second = "https://appleid.apple.com/auth/oauth2/v2";
    let world = world_with([key_set()], |settings| settings.issuers.push(second.into())).await;
    for issuer in ["https://appleid.apple.com", second] {
        assert!(world.verify(&with("iss", json!(issuer))).await.is_ok(), "{issuer}");
    }
    let world = world_with([key_set()], |settings| settings.issuers.clear()).await;
    assert_eq!(world.verify(&id_token(&claims())).await.err(), Some(VerifyError::Issuer));
}

#[test]
fn the_helper_for_neighbours_verifies_for_real() {
    let verified = testing::verified(|claims| claims["sub"] = json!("somebody.else"));
    assert_eq!(verified.person().subject.as_str(), "somebody.else");
}
