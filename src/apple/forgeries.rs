//! Everything that a forger, a careless server or a clock can do to an ID token, and the reason for which
//! each is refused. The classes are those of `peers.md`, section 3 G, and of `pingora.md`, section 12.

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

fn without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    id_token(&claims)
}

/// A good token but for its header, and signed by the right key.
fn headed(header: &str) -> String {
    sign_with(&RSA_PKCS1_SHA256, rsa_key(), header.as_bytes(), claims().to_string().as_bytes())
}

/// A good token but for the bytes of its claims.
fn claiming(claims: impl AsRef<[u8]>) -> String {
    sign_with(&RSA_PKCS1_SHA256, rsa_key(), GOOD_HEADER, claims.as_ref())
}

fn parts(header: &str, claims: &str, signature: &[u8]) -> String {
    [header.as_bytes(), claims.as_bytes(), signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

fn hmac_token(secret: &[u8]) -> String {
    let message = parts(r#"{"kid":"k1","alg":"HS256"}"#, &claims().to_string(), b"");
    let message = message.trim_end_matches('.');
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

const fn header(fault: HeaderFault) -> VerifyError {
    VerifyError::Header(fault)
}

#[tokio::test]
async fn a_good_token_says_who_it_is() {
    let verified = world().await.verify(&id_token(&claims())).await.unwrap();
    let person = verified.person();
    assert_eq!(person.subject.as_str(), "000264.UDRoeTAxVUppaHdNQU5HYWN6MEU5VDRUWFVQU1BV.RUtP");
    assert_eq!(person.organization, Organization::parse("fb5f5f2c-5d0e-4b8b-9b0f-7d0a8a7d5f11").ok());
    let email = person.email.as_ref().unwrap();
    assert_eq!((email.address.as_str(), email.verified), ("teacher@school.example", false));
    assert_eq!((person.is_private_email, person.auth_time), (Some(false), Some(NOW.seconds() - 5)));
    assert_eq!(person.claims["email_verified"], "false");
    assert_eq!(verified.scopes().unwrap().to_string(), "edu.classes.read edu.users.read");
    assert_eq!(verified.expires_at(), NOW.plus(Duration::from_secs(86_400)));
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
async fn another_algorithm_is_refused() {
    let body = claims().to_string();
    let body = body.as_bytes();
    let public = rsa_key().public_key().as_ref();
    let algorithm = || header(HeaderFault::Algorithm);
    let none = |alg: &str| parts(&format!(r#"{{"alg":"{alg}","kid":"k1"}}"#), &claims().to_string(), b"x");
    let mut rows: Vec<Row> = vec![
        ("HS256 with the modulus as secret", hmac_token(testing::modulus(rsa_key())), algorithm()),
        ("HS256 with the DER as secret", hmac_token(public), algorithm()),
        ("HS256 with the PEM as secret", hmac_token(testing::pem("PUBLIC KEY", public).as_bytes()), algorithm()),
        ("RS384", sign_with(&RSA_PKCS1_SHA384, rsa_key(), br#"{"alg":"RS384","kid":"k1"}"#, body), algorithm()),
        ("RS512", sign_with(&RSA_PKCS1_SHA512, rsa_key(), br#"{"alg":"RS512","kid":"k1"}"#, body), algorithm()),
        ("PS256", sign_with(&RSA_PSS_SHA256, rsa_key(), br#"{"alg":"PS256","kid":"k1"}"#, body), algorithm()),
        ("RS384 that says RS256", sign_with(&RSA_PKCS1_SHA384, rsa_key(), GOOD_HEADER, body), VerifyError::Signature),
        ("PS256 that says RS256", sign_with(&RSA_PSS_SHA256, rsa_key(), GOOD_HEADER, body), VerifyError::Signature),
        ("alg as a list", headed(r#"{"alg":["RS256"],"kid":"k1"}"#), algorithm()),
        ("alg null", headed(r#"{"alg":null,"kid":"k1"}"#), algorithm()),
        ("no alg", headed(r#"{"kid":"k1"}"#), algorithm()),
        (
            "alg none without a signature",
            parts(r#"{"alg":"none","kid":"k1"}"#, &claims().to_string(), b""),
            VerifyError::Parts,
        ),
    ];
    rows.extend(
        ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "ES256", "EdDSA"]
            .map(|alg| ("another alg", none(alg), algorithm())),
    );
    world().await.check(rows).await;
}

#[tokio::test]
async fn a_header_that_brings_a_key_or_wants_to_be_understood_is_refused() {
    let own = jwk("k1", other_rsa_key());
    let header_with = |name: &str, value: Value| {
        let header = json!({ "alg": "RS256", "kid": "k1", name: value }).to_string();
        sign_with(&RSA_PKCS1_SHA256, other_rsa_key(), header.as_bytes(), claims().to_string().as_bytes())
    };
    let refused = |name| header(HeaderFault::Refused(name));
    world()
        .await
        .check(vec![
            ("an embedded key", header_with("jwk", own.clone()), refused("jwk")),
            ("a key's address", header_with("jku", json!("https://evil.example/keys")), refused("jku")),
            ("a certificate's address", header_with("x5u", json!("https://evil.example/x")), refused("x5u")),
            ("a certificate", header_with("x5c", json!(["MIIB"])), refused("x5c")),
            ("crit", headed(r#"{"alg":"RS256","kid":"k1","crit":["exp"],"exp":1}"#), refused("crit")),
            ("an empty crit", headed(r#"{"alg":"RS256","kid":"k1","crit":[]}"#), refused("crit")),
            ("crit null", headed(r#"{"alg":"RS256","kid":"k1","crit":null}"#), refused("crit")),
            ("b64", headed(r#"{"alg":"RS256","kid":"k1","b64":false}"#), refused("b64")),
            ("another typ", headed(r#"{"alg":"RS256","kid":"k1","typ":"at+jwt"}"#), header(HeaderFault::Type)),
            ("typ as a number", headed(r#"{"alg":"RS256","kid":"k1","typ":1}"#), header(HeaderFault::Type)),
        ])
        .await;
}

#[tokio::test]
async fn a_kid_that_is_not_the_keys_is_refused() {
    let no_kid = || header(HeaderFault::KeyId);
    let long = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(65));
    world()
        .await
        .check(vec![
            ("unknown kid", headed(r#"{"alg":"RS256","kid":"k3"}"#), VerifyError::UnknownKey),
            ("kid in another case", headed(r#"{"alg":"RS256","kid":"K1"}"#), VerifyError::UnknownKey),
            ("kid as a path", headed(r#"{"alg":"RS256","kid":"../../dev/null"}"#), VerifyError::UnknownKey),
            ("kid of another key", headed(r#"{"alg":"RS256","kid":"k2"}"#), VerifyError::Signature),
            ("no kid", headed(r#"{"alg":"RS256"}"#), no_kid()),
            ("an empty kid", headed(r#"{"alg":"RS256","kid":""}"#), no_kid()),
            ("kid as a number", headed(r#"{"alg":"RS256","kid":1}"#), no_kid()),
            ("kid as a list", headed(r#"{"alg":"RS256","kid":["k1"]}"#), no_kid()),
            ("kid with a line break", headed(r#"{"alg":"RS256","kid":"k1\n"}"#), no_kid()),
            ("kid with a space", headed(r#"{"alg":"RS256","kid":"k1 "}"#), no_kid()),
            ("a long kid", headed(&long), no_kid()),
        ])
        .await;
}

#[tokio::test]
async fn a_member_that_stands_twice_is_refused() {
    let body = claims().to_string();
    let twice = |extra: &str| claiming(format!("{},{extra}}}", body.strip_suffix('}').unwrap()));
    world()
        .await
        .check(vec![
            ("alg twice", headed(r#"{"alg":"none","kid":"k1","alg":"RS256"}"#), VerifyError::Repeated),
            ("kid twice", headed(r#"{"alg":"RS256","kid":"k2","kid":"k1"}"#), VerifyError::Repeated),
            (
                "alg twice, once escaped",
                headed(r#"{"\u0061lg":"none","kid":"k1","alg":"RS256"}"#),
                VerifyError::Repeated,
            ),
            ("sub twice", twice(r#""sub":"admin""#), VerifyError::Repeated),
            ("sub twice, once escaped", twice(r#""s\u0075b":"admin""#), VerifyError::Repeated),
            ("twice the same", twice(r#""nonce_supported":true"#), VerifyError::Repeated),
            ("twice further down", twice(r#""more":{"a":1,"a":2}"#), VerifyError::Repeated),
        ])
        .await;
}

#[tokio::test]
async fn another_issuer_or_audience_is_refused() {
    let client = "org.example.school.gateway";
    let aud_azp = |aud: Value, azp: Value| {
        let mut claims = claims();
        (claims["aud"], claims["azp"]) = (aud, azp);
        id_token(&claims)
    };
    let (aud, azp) = (|| VerifyError::Audience, || VerifyError::AuthorizedParty);
    world()
        .await
        .check(vec![
            ("another iss", with("iss", json!("https://account.apple.com")), VerifyError::Issuer),
            ("iss with a slash", with("iss", json!("https://appleid.apple.com/")), VerifyError::Issuer),
            ("iss in capitals", with("iss", json!("https://AppleID.apple.com")), VerifyError::Issuer),
            ("iss with a path", with("iss", json!("https://appleid.apple.com/auth/oauth2/v2")), VerifyError::Issuer),
            ("iss with a blank", with("iss", json!("https://appleid.apple.com ")), VerifyError::Issuer),
            ("an empty iss", with("iss", json!("")), VerifyError::Issuer),
            ("iss as a list", with("iss", json!(["https://appleid.apple.com"])), VerifyError::Odd("iss")),
            ("iss null", with("iss", json!(null)), VerifyError::Odd("iss")),
            ("no iss", without("iss"), VerifyError::Missing("iss")),
            ("another aud", with("aud", json!("org.example.other")), aud()),
            ("aud in capitals", with("aud", json!(client.to_uppercase())), aud()),
            ("a longer aud", with("aud", json!(format!("{client}.evil"))), aud()),
            ("other auds", with("aud", json!(["a", "b"])), aud()),
            ("no aud", without("aud"), VerifyError::Missing("aud")),
            ("no audiences", with("aud", json!([])), VerifyError::Odd("aud")),
            ("aud as an object", with("aud", json!({ client: 1 })), VerifyError::Odd("aud")),
            ("aud with a number", with("aud", json!([client, 1])), VerifyError::Odd("aud")),
            ("aud in a list in a list", with("aud", json!([[client]])), VerifyError::Odd("aud")),
            ("very many auds", with("aud", json!(vec![client; 17])), VerifyError::Odd("aud")),
            ("a second aud", with("aud", json!([client, "evil"])), azp()),
            ("a second aud first", with("aud", json!(["evil", client])), azp()),
            ("a second aud and another azp", aud_azp(json!([client, "evil"]), json!("evil")), azp()),
            ("another azp", with("azp", json!("evil")), azp()),
            ("an empty azp", with("azp", json!("")), azp()),
            ("azp as a list", with("azp", json!([client])), VerifyError::Odd("azp")),
            ("azp null", with("azp", json!(null)), VerifyError::Odd("azp")),
        ])
        .await;
}

#[tokio::test]
async fn a_wrong_date_is_refused() {
    let now = NOW.seconds();
    let mut rows: Vec<Row> = vec![
        ("exp long past", with("exp", json!(1)), VerifyError::Expired),
        ("exp past by the skew", with("exp", json!(now - 60)), VerifyError::Expired),
        ("exp zero", with("exp", json!(0)), VerifyError::Expired),
        ("iat in the future", with("iat", json!(now + 61)), VerifyError::FromTheFuture("iat")),
        ("nbf in the future", with("nbf", json!(now + 61)), VerifyError::FromTheFuture("nbf")),
        ("iat at exp", with("exp", json!(now)), VerifyError::Lifetime),
        ("iat after exp", with("exp", json!(now - 1)), VerifyError::Lifetime),
        ("no exp", without("exp"), VerifyError::Missing("exp")),
        ("no iat", without("iat"), VerifyError::Missing("iat")),
    ];
    for name in ["exp", "iat", "nbf", "auth_time"] {
        for odd in [
            json!(1e300),
            json!(now as f64 + 0.5),
            json!(-1),
            json!((1_u64 << 53) + 1),
            json!(u64::MAX),
            json!(now.to_string()),
            json!(""),
            json!(null),
            json!(true),
            json!([now]),
            json!({}),
        ] {
            rows.push((name, with(name, odd), VerifyError::Odd(name)));
        }
    }
    let year_2106 = claims().to_string().replace(&(now + 86_400).to_string(), "4294967296.0");
    rows.push(("exp as a float", claiming(year_2106), VerifyError::Odd("exp")));
    let infinite = claims().to_string().replace(&(now + 86_400).to_string(), "1e999");
    rows.push(("exp beyond all numbers", claiming(infinite), VerifyError::Json));
    world().await.check(rows).await;
}

#[tokio::test]
async fn a_token_of_another_sign_in_is_refused() {
    let odd = VerifyError::Odd;
    world()
        .await
        .check(vec![
            ("no nonce", without("nonce"), VerifyError::Missing("nonce")),
            ("another nonce", with("nonce", json!("other")), VerifyError::Nonce),
            ("an empty nonce", with("nonce", json!("")), VerifyError::Nonce),
            ("a longer nonce", with("nonce", json!(format!("{}x", testing::NONCE))), VerifyError::Nonce),
            ("the nonce hashed", with("nonce", json!(half_hash(testing::NONCE))), VerifyError::Nonce),
            ("nonce null", with("nonce", json!(null)), odd("nonce")),
            ("nonce as a list", with("nonce", json!([testing::NONCE])), odd("nonce")),
            ("another at_hash", with("at_hash", json!(half_hash("other"))), VerifyError::AccessTokenHash),
            ("c_hash as at_hash", with("at_hash", json!(half_hash(testing::CODE))), VerifyError::AccessTokenHash),
            ("an empty at_hash", with("at_hash", json!("")), VerifyError::AccessTokenHash),
            ("at_hash null", with("at_hash", json!(null)), odd("at_hash")),
            ("another c_hash", with("c_hash", json!(half_hash("other"))), VerifyError::CodeHash),
            ("a cut c_hash", with("c_hash", json!(half_hash(testing::CODE)[..21])), VerifyError::CodeHash),
            ("c_hash as a number", with("c_hash", json!(1)), odd("c_hash")),
        ])
        .await;
    let world = world_with([key_set()], |_| ()).await;
    let (nonce, code, access_token) = (Nonce::new(""), AuthorizationCode::new(""), AccessToken::new(""));
    let expected = Expected { nonce: &nonce, code: &code, access_token: &access_token };
    let result = world.apple.verify(&RawIdToken::new(without("nonce")), &expected).await;
    assert_eq!(result.err(), Some(VerifyError::Missing("nonce")), "no nonce expected, none there");
}

#[tokio::test]
async fn a_subject_or_organization_that_is_no_name_is_refused() {
    let odd = VerifyError::Odd;
    let mut rows: Vec<Row> = vec![
        ("no sub", without("sub"), VerifyError::Missing("sub")),
        ("an empty sub", with("sub", json!("")), VerifyError::Subject(NameError::Empty)),
        ("a long sub", with("sub", json!("a".repeat(256))), VerifyError::Subject(NameError::TooLong)),
        ("a huge sub", with("sub", json!("a".repeat(65_536))), VerifyError::TooLong),
        ("sub as a number", with("sub", json!(1)), odd("sub")),
        ("sub null", with("sub", json!(null)), odd("sub")),
        ("sub as a list", with("sub", json!(["a"])), odd("sub")),
        ("an empty org_id", with("org_id", json!("")), VerifyError::Organization(NameError::Empty)),
        ("org_id null", with("org_id", json!(null)), odd("org_id")),
        ("org_id as a list", with("org_id", json!(["a"])), odd("org_id")),
        ("a long org_id", with("org_id", json!("a".repeat(256))), VerifyError::Organization(NameError::TooLong)),
    ];
    for text in ["a\0", "a\r\nX-Admin: 1", "a b", "é", "a\u{7f}", " a", "a\u{200b}"] {
        rows.push(("binary sub", with("sub", json!(text)), VerifyError::Subject(NameError::Character)));
        rows.push(("binary org_id", with("org_id", json!(text)), VerifyError::Organization(NameError::Character)));
    }
    world().await.check(rows).await;
}

#[tokio::test]
async fn other_claims_of_a_wrong_type_are_refused() {
    let odd = VerifyError::Odd;
    world()
        .await
        .check(vec![
            ("email as a list", with("email", json!(["a@x"])), odd("email")),
            ("email null", with("email", json!(null)), odd("email")),
            ("email with a line break", with("email", json!("a@x\r\nX: y")), odd("email")),
            ("a long email", with("email", json!("a".repeat(321))), odd("email")),
            ("email_verified as a word", with("email_verified", json!("yes")), odd("email_verified")),
            ("email_verified as a number", with("email_verified", json!(1)), odd("email_verified")),
            ("is_private_email as a word", with("is_private_email", json!("TRUE")), odd("is_private_email")),
            ("scopes as a list", with("scopes", json!(["edu.users.read"])), odd("scopes")),
            ("scopes with a quote", with("scopes", json!("a\"b")), odd("scopes")),
        ])
        .await;
}

#[tokio::test]
async fn a_token_that_is_not_exactly_three_parts_of_base64url_is_refused() {
    let good = id_token(&claims());
    let [header, body, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let with_standard = |bytes: &[u8]| STANDARD.encode(bytes);
    let padded = URL_SAFE.encode(GOOD_HEADER);
    assert!(padded.ends_with('='));
    let raw_body = claims().to_string();
    // A quote-heavy text whose standard base64 has a slash or a plus.
    let slashes = with_standard(b"{\"kid\":\"k1\",\"alg\":\"RS256\",\"x\":\"???>>>\"}");
    assert!(slashes.contains('/') || slashes.contains('+'));
    let rows: Vec<Row> = vec![
        ("nothing", String::new(), VerifyError::Parts),
        ("a word", "token".into(), VerifyError::Parts),
        ("one part", header.into(), VerifyError::Parts),
        ("two parts", format!("{header}.{body}"), VerifyError::Parts),
        ("no signature", format!("{header}.{body}."), VerifyError::Parts),
        ("no claims", format!("{header}..{signature}"), VerifyError::Parts),
        ("no header", format!(".{body}.{signature}"), VerifyError::Parts),
        ("dots", "..".into(), VerifyError::Parts),
        ("four parts", format!("{good}.x"), VerifyError::Parts),
        ("a trailing dot", format!("{good}."), VerifyError::Parts),
        ("five parts, as JWE", format!("{header}.{body}.{signature}.x.y"), VerifyError::Parts),
        ("a space behind", format!("{good} "), VerifyError::Base64),
        ("a space before", format!(" {good}"), VerifyError::Base64),
        ("a line break behind", format!("{good}\n"), VerifyError::Base64),
        ("a line break inside", format!("{header}.\n{body}.{signature}"), VerifyError::Base64),
        ("NUL behind", format!("{good}\0"), VerifyError::Base64),
        ("padding behind the signature", format!("{good}=="), VerifyError::Base64),
        ("padding behind the header", format!("{padded}.{body}.{signature}"), VerifyError::Base64),
        ("standard base64", format!("{slashes}.{body}.{signature}"), VerifyError::Base64),
        ("something beyond ASCII", format!("{header}.é{body}.{signature}"), VerifyError::Base64),
        ("stray bits", format!("{header}.{body}.{}", stray_bits(signature)), VerifyError::Base64),
        ("a Bearer prefix", format!("Bearer {good}"), VerifyError::Base64),
        ("more than 16 KiB", with("more", json!("a".repeat(16_384))), VerifyError::TooLong),
        ("header without JSON", headed("RS256"), header_json()),
        ("header as a list", headed(r#"[{"alg":"RS256","kid":"k1"}]"#), header_json()),
        ("header and more", headed(r#"{"alg":"RS256","kid":"k1"}{}"#), header_json()),
        ("claims as a text", claiming("\"sub\""), VerifyError::Json),
        ("claims as a list", claiming(format!("[{raw_body}]")), VerifyError::Json),
        ("claims and more", claiming(format!("{raw_body}x")), VerifyError::Json),
        ("a byte order mark", claiming(format!("\u{feff}{raw_body}")), VerifyError::Json),
        (
            "bad UTF-8",
            claiming([raw_body.replace('}', ",\"x\":\"").as_bytes(), b"\xff\"}"].concat()),
            VerifyError::Json,
        ),
        ("a lone surrogate", claiming(raw_body.replace('}', ",\"x\":\"\\ud800\"}")), VerifyError::Json),
        ("a raw line break in a text", claiming(raw_body.replace("RUtP", "RUtP\n")), VerifyError::Json),
    ];
    world().await.check(rows).await;
}

const fn header_json() -> VerifyError {
    header(HeaderFault::Json)
}

/// The same bytes with another last letter, which a lenient decoder takes for the same.
fn stray_bits(part: &str) -> String {
    let (rest, last) = part.split_at(part.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.find(last).unwrap() + 1;
    format!("{rest}{}", &alphabet[next..=next])
}

#[tokio::test]
async fn a_signature_that_is_not_of_these_very_bytes_is_refused() {
    let good = id_token(&claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, body) = message.split_once('.').unwrap();
    let other = with("sub", json!("001514.admin.2233"));
    let other_body = other.split('.').nth(1).unwrap();
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let encoded = |bytes: &[u8]| format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes));
    let by_other = sign_with(&RSA_PKCS1_SHA256, other_rsa_key(), GOOD_HEADER, claims().to_string().as_bytes());
    world()
        .await
        .check(vec![
            ("by another key", by_other, VerifyError::Signature),
            ("other claims", format!("{head}.{other_body}.{signature}"), VerifyError::Signature),
            ("claims for header", format!("{head}.{head}.{signature}"), VerifyError::Signature),
            ("zeros", encoded(&[0; 256]), VerifyError::Signature),
            ("one", encoded(&[0]), VerifyError::Signature),
            ("cut", encoded(&raw[..255]), VerifyError::Signature),
            ("a byte more", encoded(&[&raw[..], &[0]].concat()), VerifyError::Signature),
            ("a zero before", encoded(&[&[0], &raw[..]].concat()), VerifyError::Signature),
            ("the modulus", encoded(testing::modulus(rsa_key())), VerifyError::Signature),
            ("the claims as signature", format!("{message}.{body}"), VerifyError::Signature),
        ])
        .await;
}

#[tokio::test]
async fn no_letter_of_a_token_can_be_changed() {
    let world = world_with(std::iter::repeat_with(key_set).take(3), |_| ()).await;
    let good = id_token(&claims());
    for at in 0..good.len() {
        let other = if &good[at..=at] == "A" { "B" } else { "A" };
        let token = format!("{}{other}{}", &good[..at], &good[at + 1..]);
        assert!(world.verify(&token).await.is_err(), "letter {at}");
    }
    assert!(world.verify(&good).await.is_ok());
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
    assert!(error.is_transient() && matches!(error, VerifyError::KeysUnavailable(_)));
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
