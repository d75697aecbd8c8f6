//! What an assertion says, and its signature: a JWT (RFC 7519) as a compact JWS (RFC 7515, section 3.1).

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::json;

use super::{AssertionError, key::Key};
use crate::{clock::Timestamp, identity::Person, web::Origin};

/// How long an assertion is good for.
pub(super) const LIFE: Duration = Duration::from_secs(300);

/// The claims. What is not known of a person is not there.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<&'a str>,
    iat: u64,
    exp: u64,
}

/// Says of a person to an audience who it is.
///
/// # Errors
/// When the key does not sign.
pub(super) fn token(
    key: &Key,
    issuer: &Origin,
    audience: &Origin,
    person: &Person,
    now: Timestamp,
) -> Result<String, AssertionError> {
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": key.kid() });
    let email = person.email.as_ref();
    let claims = Claims {
        iss: issuer.as_str(),
        aud: audience.as_str(),
        sub: person.subject.as_str(),
        email: email.map(|email| &*email.address),
        email_verified: email.map(|email| email.verified),
        org_id: person.organization.as_ref().map(|organization| organization.as_str()),
        iat: now.seconds(),
        exp: now.plus(LIFE).seconds(),
    };
    let claims = serde_json::to_vec(&claims).map_err(|_| AssertionError::Key)?;
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let message = format!("{}.{}", encode(header.to_string().as_bytes()), encode(&claims));
    let signature = encode(&key.sign(message.as_bytes())?);
    Ok(format!("{message}.{signature}"))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, DecodingKey, crypto};
    use serde_json::Value;

    use super::*;
    use crate::{
        entropy::SystemEntropy,
        identity::{Email, Organization},
        session::testing::person,
        web::{Host, Scheme},
    };

    fn said_of(person: &Person) -> (Value, Value) {
        let key = Key::draw(&SystemEntropy).unwrap();
        let origin = |host: &str| Origin::new(Scheme::Https, &Host::parse(host).unwrap(), None);
        let (issuer, audience) = (origin("id.school.example"), origin("library.school.example"));
        let now = Timestamp::from_millis(1_800_000_000_999);
        let token = token(&key, &issuer, &audience, person, now).unwrap();
        let parts: Vec<_> = token.split('.').collect();
        let jwk = key.jwk();
        // Another hand checks it.
        let public = DecodingKey::from_ec_components(jwk["x"].as_str().unwrap(), jwk["y"].as_str().unwrap()).unwrap();
        let message = format!("{}.{}", parts[0], parts[1]);
        assert!(crypto::verify(parts[2], message.as_bytes(), &public, Algorithm::ES256).unwrap());
        let part = |index: usize| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[index]).unwrap()).unwrap();
        let header: Value = part(0);
        assert_eq!(header["kid"], key.kid());
        (header, part(1))
    }

    #[test]
    fn it_says_who_somebody_is_to_one_app_for_five_minutes() {
        let person = Person {
            email: Some(Email { address: "anna@school.example".into(), verified: true }),
            organization: Some(Organization::parse("org-1").unwrap()),
            ..person("anna")
        };
        let (header, claims) = said_of(&person);
        assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("JWT")));
        assert_eq!(header.as_object().unwrap().len(), 3);
        assert_eq!(
            claims,
            json!({
                "iss": "https://id.school.example", "aud": "https://library.school.example", "sub": "anna",
                "email": "anna@school.example", "email_verified": true, "org_id": "org-1",
                "iat": 1_800_000_000, "exp": 1_800_000_300,
            })
        );
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let (_, claims) = said_of(&person("anna"));
        let said: Vec<_> = claims.as_object().unwrap().keys().cloned().collect();
        assert_eq!(said, ["aud", "exp", "iat", "iss", "sub"]);
        let doubtful = Email { address: "anna@school.example".into(), verified: false };
        let (_, claims) = said_of(&Person { email: Some(doubtful), ..person("anna") });
        assert_eq!(claims["email_verified"], false);
    }
}
