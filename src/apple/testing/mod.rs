//! For tests of this room and of its neighbours: keys, tokens, and a small Apple on loopback.

mod server;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use url::Url;

use crate::{
    clock::{SharedClock, Timestamp},
    entropy::SystemEntropy,
    telemetry::Metrics,
};

use super::{
    AccessToken, Apple, AuthorizationCode, Expected, Nonce, RawIdToken, Service, Settings, SigningKey, VerifiedIdToken,
    compact::UnverifiedToken, id_token::Rules, key::VerificationKey,
};

pub(crate) use server::{Script, Server};

/// The present of tests.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
/// The nonce of [`claims`].
pub(crate) const NONCE: &str = "n-0S6_WzA2Mj";
/// The code that goes with [`claims`].
pub(crate) const CODE: &str = "c0123456789abcdef.0.nwsw.code";
/// The access token that goes with [`claims`].
pub(crate) const ACCESS_TOKEN: &str = "a0123456789abcdef.0.nwsw.access";

/// The settings of an example, with the defaults.
pub(crate) fn settings() -> Settings {
    Settings {
        client_id: "org.example.school.gateway".into(),
        team_id: "A1B2C3D4E5".into(),
        key_id: "K1L2M3N4O5".into(),
        signing_key: SigningKey::from_pem(&client_key_pem()).unwrap(),
        redirect_uri: Url::parse("https://library.school.example/.schoolgate/callback").unwrap(),
        endpoints: Service::Organization.endpoints(&Url::parse("https://appleid.apple.com").unwrap()),
        response_mode: None,
        pkce: false,
        issuers: vec!["https://appleid.apple.com".into()],
        timeout: Duration::from_secs(10),
        clock_skew: Duration::from_secs(60),
        keys_max_age: Duration::from_secs(3600),
        keys_max_stale: Duration::from_secs(86_400),
        keys_min_interval: Duration::from_secs(30),
        service: Service::Organization,
    }
}

/// A client with these settings and this clock.
pub(crate) fn apple(settings: Settings, clock: SharedClock) -> Apple {
    let metrics = Metrics::new(Arc::clone(&clock));
    Apple::new(settings, clock, Arc::new(SystemEntropy), metrics).unwrap()
}

/// PEM around some bytes.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The private key of the client, as a `.p8` file; the same one for a whole run.
pub(crate) fn client_key_pem() -> String {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(|| {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        pem("PRIVATE KEY", der.as_ref())
    })
    .clone()
}

/// Apple's key `k1`.
pub(crate) fn rsa_key() -> &'static RsaKeyPair {
    static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

/// Apple's key `k2`.
pub(crate) fn other_rsa_key() -> &'static RsaKeyPair {
    static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

/// The modulus of a 2048-bit key with the exponent 65537: both have fixed places in the `RSAPublicKey` of
/// RFC 8017, appendix A.1.1.
pub(crate) fn modulus(key: &RsaKeyPair) -> &[u8] {
    let der = key.public_key().as_ref();
    assert_eq!((der.len(), &der[der.len() - 5..]), (270, &[2, 3, 1, 0, 1][..]));
    &der[9..265]
}

/// A key as Apple publishes it.
pub(crate) fn jwk(kid: &str, key: &RsaKeyPair) -> Value {
    let modulus = URL_SAFE_NO_PAD.encode(modulus(key));
    json!({ "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": modulus, "e": "AQAB" })
}

/// An answer with the keys `k1` and `k2`.
pub(crate) fn key_set() -> Script {
    Script::json(200, &json!({ "keys": [jwk("k1", rsa_key()), jwk("k2", other_rsa_key())] }).to_string())
}

/// The claims of a managed account that fit [`settings`], [`NOW`] and [`expected`].
pub(crate) fn claims() -> Value {
    json!({
        "iss": "https://appleid.apple.com",
        "sub": "000264.UDRoeTAxVUppaHdNQU5HYWN6MEU5VDRUWFVQU1BV.RUtP",
        "aud": "org.example.school.gateway",
        "iat": NOW.seconds(),
        "exp": NOW.seconds() + 86_400,
        "nonce": NONCE,
        "nonce_supported": true,
        "auth_time": NOW.seconds() - 5,
        "email": "teacher@school.example",
        "email_verified": "false",
        "is_private_email": false,
        "org_id": "fb5f5f2c-5d0e-4b8b-9b0f-7d0a8a7d5f11",
        "scopes": "edu.classes.read edu.users.read",
        "at_hash": half_hash(ACCESS_TOKEN),
        "c_hash": half_hash(CODE),
    })
}

/// The left half of the SHA-256 of a text (OpenID Connect Core, section 3.1.3.6).
pub(crate) fn half_hash(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16])
}

/// Signs whatever is given as header and claims.
pub(crate) fn sign_with(algorithm: &'static dyn RsaEncoding, key: &RsaKeyPair, header: &[u8], claims: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(algorithm, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// An ID token by `k1` with these claims.
pub(crate) fn id_token(claims: &Value) -> String {
    sign_with(&RSA_PKCS1_SHA256, rsa_key(), br#"{"kid":"k1","alg":"RS256"}"#, claims.to_string().as_bytes())
}

/// What [`claims`] must fit.
pub(crate) fn expected() -> (Nonce, AuthorizationCode, AccessToken) {
    (Nonce::new(NONCE), AuthorizationCode::new(CODE), AccessToken::new(ACCESS_TOKEN))
}

/// A verified token with the claims of [`claims`], changed: for neighbours whose functions ask for one. It
/// goes through the whole verification.
pub(crate) fn verified(change: impl FnOnce(&mut Value)) -> VerifiedIdToken {
    let (nonce, code, access_token) = expected();
    let expected = Expected { nonce: &nonce, code: &code, access_token: &access_token };
    let (settings, mut claims) = (settings(), claims());
    change(&mut claims);
    let raw = RawIdToken::new(id_token(&claims));
    let (_, key) = VerificationKey::read(&jwk("k1", rsa_key())).unwrap();
    let claims = UnverifiedToken::parse(raw.expose()).unwrap().check(&key).unwrap();
    Rules::new(&settings, NOW).judge(&claims, &expected, &raw).unwrap()
}
