//! Apple's notifications from server to server, for a test to post.

use serde_json::{Value, json};

use super::{Inside, Service, behaviour::Issuer, jws::Draft, people::ORGANIZATION};
use crate::entropy;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The school took its consent back.
    OrganizationRevoked,
    /// A person took their consent back; this is the `sub`.
    ConsentRevoked(String),
    /// A person's account is gone; this is the `sub`.
    AccountDeleted(String),
}

impl Notice {
    fn event(&self, now: u64) -> Value {
        match self {
            Self::OrganizationRevoked => json!({
                "type": "consent-revoked", "org_id": ORGANIZATION,
                "scopes": "edu.classes.read edu.users.read", "event_time": now,
            }),
            Self::ConsentRevoked(subject) => json!({ "type": "consent-revoked", "sub": subject, "event_time": now }),
            Self::AccountDeleted(subject) => json!({ "type": "account-delete", "sub": subject, "event_time": now }),
        }
    }
}

/// The body of a notification: `{"payload": "<JWS>"}`. In the organization service `events` is an array;
/// Sign in with Apple writes the one event as a JSON text.
pub(super) fn body(inside: &Inside, service: Service, client_id: &str, notice: &Notice) -> String {
    let now = inside.clock.now().seconds();
    let event = notice.event(now);
    let (issuer, events) = match service {
        Service::Organization => (Issuer::OrganizationService, json!([event])),
        Service::SignIn => (Issuer::AppleId, json!(event.to_string())),
    };
    let claims = [
        ("iss", json!(issuer.as_str())),
        ("aud", json!(client_id)),
        ("iat", json!(now)),
        ("jti", json!(entropy::text::<16>(&*inside.entropy))),
        ("events", events),
    ];
    let claims = claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    json!({ "payload": Draft::new(inside.keys().signer(), claims).write() }).to_string()
}
