//! The client secret: a short-lived ES256 JWT that is made in process and renewed by itself. Apple
//! allows six months; a secret that somebody pastes twice a year is an outage twice a year.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use crate::clock::Timestamp;

use super::{Settings, signing_key::NotSigned, tokens::ClientSecret};

/// The audience is this whatever the address of the endpoints is; Apple checks it as a whole.
const AUDIENCE: &str = "https://appleid.apple.com";
/// How long a secret is good for: long enough for clocks that differ, short enough to be worth nothing
/// when it leaks.
const LIFETIME: Duration = Duration::from_secs(600);
/// How long it is used: the rest is for clocks that differ and for slow calls.
const USED_FOR: Duration = Duration::from_secs(300);

/// Makes secrets and keeps the last one.
#[derive(Debug, Default)]
pub(super) struct ClientSecrets(Mutex<Option<(Timestamp, ClientSecret)>>);

impl ClientSecrets {
    /// A secret that is good at `now` and for five minutes more.
    pub(super) fn current(&self, settings: &Settings, now: Timestamp) -> Result<ClientSecret, NotSigned> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            // A clock that was set back makes the kept one a token from the future.
            Some((made, secret)) if *made <= now && now.since(*made) < USED_FOR => Ok(secret.clone()),
            _ => {
                let secret = make(settings, now)?;
                *kept = Some((now, secret.clone()));
                Ok(secret)
            }
        }
    }
}

/// RFC 7519 and RFC 7515, section 3.1, with the members that Apple lists.
fn make(settings: &Settings, now: Timestamp) -> Result<ClientSecret, NotSigned> {
    let header = json!({ "alg": "ES256", "kid": settings.key_id, "typ": "JWT" });
    let claims = json!({
        "iss": settings.team_id,
        "iat": now.seconds(),
        "exp": now.plus(LIFETIME).seconds(),
        "aud": AUDIENCE,
        "sub": settings.client_id,
    });
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let message = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = encode(&settings.signing_key.sign(message.as_bytes())?);
    Ok(ClientSecret::new(format!("{message}.{signature}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apple::testing;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::Value;
    use url::Url;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn part(secret: &ClientSecret, index: usize) -> Value {
        let part = secret.expose().split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn the_secret_says_what_apple_wants_to_hear() {
        let mut settings = testing::settings();
        settings.endpoints.token = Url::parse("http://127.0.0.1:1/token").unwrap();
        let secret = ClientSecrets::default().current(&settings, at(1_700_000_000)).unwrap();
        assert_eq!(part(&secret, 0), json!({"alg": "ES256", "kid": "K1L2M3N4O5", "typ": "JWT"}));
        assert_eq!(
            part(&secret, 1),
            json!({
                "iss": "A1B2C3D4E5", "sub": "org.example.school.gateway", "aud": "https://appleid.apple.com",
                "iat": 1_700_000_000, "exp": 1_700_000_600,
            })
        );
    }

    #[test]
    fn the_signature_is_raw_and_right() {
        let settings = testing::settings();
        let secret = ClientSecrets::default().current(&settings, at(1_700_000_000)).unwrap();
        let (message, signature) = secret.expose().rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(signature.len(), 64);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, settings.signing_key.public_key())
            .verify(message.as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn the_secret_is_kept_and_renewed_before_it_lapses() {
        let (settings, secrets) = (testing::settings(), ClientSecrets::default());
        let made_at = |now| part(&secrets.current(&settings, at(now)).unwrap(), 1)["iat"].as_u64().unwrap();
        assert_eq!(made_at(1000), 1000);
        assert_eq!(made_at(1299), 1000);
        assert_eq!(made_at(1300), 1300);
        assert_eq!(made_at(1200), 1200, "a clock that was set back");
        assert_eq!(made_at(99_999), 99_999);
    }

    #[test]
    fn debug_shows_no_secret() {
        let secrets = ClientSecrets::default();
        let secret = secrets.current(&testing::settings(), at(1000)).unwrap();
        assert!(!format!("{secrets:?}").contains(secret.expose()));
    }
}
