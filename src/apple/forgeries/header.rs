//! Forged headers: another algorithm, a key of the forger's, a key that is not the one.

use super::*;

fn hmac_token(secret: &[u8]) -> String {
    let message = parts(r#"{"kid":"k1","alg":"HS256"}"#, &claims().to_string(), b"");
    let message = message.trim_end_matches('.');
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn parts(header: &str, claims: &str, signature: &[u8]) -> String {
    [header.as_bytes(), claims.as_bytes(), signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
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
