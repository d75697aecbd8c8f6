//! Checks a client secret as Apple does: an ES256 JWT with five claims.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{Client, error_code::Refusal};
use crate::clock::Timestamp;

/// The audience that Apple wants: never the path of a service.
const AUDIENCE: &str = "https://appleid.apple.com";

/// Longest time to live in seconds, "as measured by the clock on Apple's servers".
const LONGEST: u64 = 15_777_000;

/// How far `iat` may lie ahead, in seconds.
const SKEW: u64 = 60;

/// Finds the client and checks its secret. Every failure is `invalid_client`.
pub(super) fn authenticate<'a>(
    clients: &'a [Client],
    client_id: &str,
    secret: &str,
    now: Timestamp,
) -> Result<&'a Client, Refusal> {
    let client = clients
        .iter()
        .find(|client| client.client_id == client_id)
        .ok_or(Refusal::client("the client_id is unknown"))?;
    check(client, secret, now.seconds()).map_err(Refusal::client)?;
    Ok(client)
}

fn check(client: &Client, secret: &str, now: u64) -> Result<(), &'static str> {
    let mut parts = secret.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("the client_secret is not a JWS of three parts");
    };
    check_header(&object(header).ok_or("the header of the client_secret is not a JSON object")?, client)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "the signature is not base64url")?;
    // RFC 7518, section 3.4: r and s, 32 bytes each. The DER of OpenSSL is not it.
    if signature.len() != 64 {
        return Err("the signature is not 64 bytes of r and s");
    }
    let signed = &secret[..header.len() + 1 + payload.len()];
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, client.public_key.as_bytes())
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| "the signature does not verify")?;
    check_claims(&object(payload).ok_or("the claims of the client_secret are not a JSON object")?, client, now)
}

fn check_header(header: &Value, client: &Client) -> Result<(), &'static str> {
    if header["alg"] != "ES256" {
        return Err("alg is not ES256");
    }
    if header["kid"] != client.key_id.as_str() {
        return Err("kid is not the client's key");
    }
    if !header["crit"].is_null() {
        return Err("crit names an extension that is not understood");
    }
    Ok(())
}

fn check_claims(claims: &Value, client: &Client, now: u64) -> Result<(), &'static str> {
    if claims["iss"] != client.team_id.as_str() {
        return Err("iss is not the team");
    }
    if claims["sub"] != client.client_id.as_str() {
        return Err("sub is not the client_id");
    }
    if claims["aud"] != AUDIENCE {
        return Err("aud is not https://appleid.apple.com");
    }
    let issued = claims["iat"].as_u64().ok_or("iat is missing or not a number of seconds")?;
    let expiry = claims["exp"].as_u64().ok_or("exp is missing or not a number of seconds")?;
    if issued > now + SKEW {
        return Err("iat is in the future");
    }
    if expiry <= now {
        return Err("exp is in the past");
    }
    if expiry > now + LONGEST {
        return Err("exp is more than 15777000 seconds ahead");
    }
    Ok(())
}

fn object(part: &str) -> Option<Value> {
    let value: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
    value.is_object().then_some(value)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
    };
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    use super::*;
    use crate::{
        demo::stand_in::{ClientKey, ErrorCode},
        entropy::SystemEntropy,
    };

    const NOW: u64 = 1_700_000_000;

    fn fixture() -> (Client, ClientKey) {
        let key = ClientKey::generate(&SystemEntropy).unwrap();
        let client = Client {
            client_id: "org.example.gateway".into(),
            team_id: "A1B2C3D4E5".into(),
            key_id: "K1L2M3N4O5".into(),
            public_key: key.public(),
            redirect_uris: Vec::new(),
            local_redirects: false,
        };
        (client, key)
    }

    fn header() -> Value {
        json!({"alg": "ES256", "kid": "K1L2M3N4O5"})
    }

    fn claims() -> Value {
        json!({"iss": "A1B2C3D4E5", "sub": "org.example.gateway", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 300})
    }

    fn sign(key: &ClientKey, header: &Value, claims: &Value, der: bool) -> String {
        let pem = key.private_pem().expose();
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let algorithm = if der { &ECDSA_P256_SHA256_ASN1_SIGNING } else { &ECDSA_P256_SHA256_FIXED_SIGNING };
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &STANDARD.decode(body).unwrap()).unwrap();
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn changed(mut value: Value, name: &str, to: Value) -> Value {
        value[name] = to;
        value
    }

    #[test]
    fn a_secret_by_the_book_is_accepted_up_to_six_months_ahead() {
        let (client, key) = fixture();
        for exp in [NOW + 1, NOW + 300, NOW + LONGEST] {
            let secret = sign(&key, &header(), &changed(claims(), "exp", json!(exp)), false);
            assert_eq!(check(&client, &secret, NOW), Ok(()), "{exp}");
        }
    }

    #[test]
    fn a_secret_that_another_library_made_is_accepted() {
        let (client, key) = fixture();
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
        header.kid = Some(client.key_id.clone());
        let signer = jsonwebtoken::EncodingKey::from_ec_pem(key.private_pem().expose().as_bytes()).unwrap();
        let secret = jsonwebtoken::encode(&header, &claims(), &signer).unwrap();
        assert_eq!(check(&client, &secret, NOW), Ok(()));
    }

    #[test]
    fn every_other_header_is_refused() {
        let (client, key) = fixture();
        for (name, value) in [
            ("alg", json!("none")),
            ("alg", json!("RS256")),
            ("alg", json!(null)),
            ("kid", json!("OTHERKEY00")),
            ("kid", json!(null)),
            ("crit", json!(["b64"])),
        ] {
            let secret = sign(&key, &changed(header(), name, value.clone()), &claims(), false);
            assert!(check(&client, &secret, NOW).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn every_other_claim_is_refused() {
        let (client, key) = fixture();
        for (name, value) in [
            ("iss", json!("OTHERTEAM0")),
            ("iss", json!(null)),
            ("sub", json!("org.example.other")),
            ("sub", json!(null)),
            ("aud", json!("https://appleid.apple.com/auth/oauth2/v2")),
            ("aud", json!([AUDIENCE])),
            ("aud", json!(null)),
            ("iat", json!(null)),
            ("iat", json!("1700000000")),
            ("iat", json!(NOW + 61)),
            ("exp", json!(null)),
            ("exp", json!(NOW)),
            ("exp", json!(NOW - 1)),
            ("exp", json!(NOW + LONGEST + 1)),
            ("exp", json!(1e300)),
            ("exp", json!("1700000300")),
        ] {
            let secret = sign(&key, &header(), &changed(claims(), name, value.clone()), false);
            assert!(check(&client, &secret, NOW).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn a_der_signature_a_foreign_key_and_a_torn_secret_are_refused() {
        let (client, key) = fixture();
        let der = sign(&key, &header(), &claims(), true);
        assert_eq!(check(&client, &der, NOW), Err("the signature is not 64 bytes of r and s"));
        let foreign = sign(&fixture().1, &header(), &claims(), false);
        assert_eq!(check(&client, &foreign, NOW), Err("the signature does not verify"));
        let good = sign(&key, &header(), &claims(), false);
        for bad in ["", "a.b", "a.b.c", &good[..good.len() - 4], &format!("{good}.x"), &format!("{good}=")] {
            assert!(check(&client, bad, NOW).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_failure_is_invalid_client() {
        let (client, key) = fixture();
        let clients = [client];
        let good = sign(&key, &header(), &claims(), false);
        let now = Timestamp::from_seconds(NOW);
        assert!(authenticate(&clients, "org.example.gateway", &good, now).is_ok());
        for (client_id, secret) in [("org.example.other", good.as_str()), ("org.example.gateway", "x")] {
            let refusal = authenticate(&clients, client_id, secret, now).unwrap_err();
            assert_eq!(refusal.error, ErrorCode::InvalidClient);
        }
    }
}
