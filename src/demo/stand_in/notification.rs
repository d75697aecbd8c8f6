//! Apple's notifications from server to server: written, and sent.

use std::{io, net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    Inside, Service,
    behaviour::{Envelope, EventsClaim, Issuer},
    forging::forge,
    jws::Draft,
    people::ORGANIZATION,
};
use crate::entropy;

/// How long the receiver may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest answer that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The school took its consent back.
    OrganizationRevoked,
    /// The same, as Apple's sample has it: with the `sub` of the administrator who did it.
    OrganizationRevokedBy(String),
    /// A person took their consent back; this is the `sub`.
    ConsentRevoked(String),
    /// A person's account is gone; this is the `sub`.
    AccountDeleted(String),
    /// The same, under the newer name.
    AccountDeletedNewly(String),
    /// Mail to this `sub` through the relay is off.
    EmailDisabled(String),
    /// Mail to this `sub` through the relay is on again.
    EmailEnabled(String),
    /// The claim `events`, as it is; null leaves it out.
    Anything(Value),
}

impl Notice {
    /// The claim as `shape` has it.
    fn claim(&self, now: u64, shape: EventsClaim, service: Service) -> Value {
        let of_person = |kind: &str, subject: &str| json!({ "type": kind, "sub": subject, "event_time": now });
        let of_school = |by: Option<&str>| {
            let mut event = json!({
                "type": "consent-revoked", "org_id": ORGANIZATION,
                "scopes": "edu.classes.read edu.users.read", "event_time": now,
            });
            if let Some(by) = by {
                event["sub"] = json!(by);
            }
            event
        };
        let event = match self {
            Self::OrganizationRevoked => of_school(None),
            Self::OrganizationRevokedBy(subject) => of_school(Some(subject)),
            Self::ConsentRevoked(subject) => of_person("consent-revoked", subject),
            Self::AccountDeleted(subject) => of_person("account-delete", subject),
            Self::AccountDeletedNewly(subject) => of_person("account-deleted", subject),
            Self::EmailDisabled(subject) => of_person("email-disabled", subject),
            Self::EmailEnabled(subject) => of_person("email-enabled", subject),
            Self::Anything(claim) => return claim.clone(),
        };
        match (shape, service) {
            (EventsClaim::List, _) | (EventsClaim::OfService, Service::Organization) => json!([event]),
            (EventsClaim::Text, _) | (EventsClaim::OfService, Service::SignIn) => json!(event.to_string()),
            (EventsClaim::Object, _) => event,
            (EventsClaim::ListText, _) => json!(json!([event]).to_string()),
        }
    }
}

/// The body of a notification, as the switches want it.
pub(super) fn body(inside: &Inside, service: Service, client_id: &str, notice: &Notice) -> String {
    let now = inside.clock.now().seconds();
    let behaviour = inside.switches.behaviour();
    let issuer = match service {
        Service::Organization => Issuer::OrganizationService,
        Service::SignIn => Issuer::AppleId,
    };
    let claims = [
        ("iss", json!(issuer.as_str())),
        ("aud", json!(client_id)),
        ("iat", json!(now)),
        ("jti", json!(entropy::text::<16>(&*inside.entropy))),
        ("events", notice.claim(now, behaviour.events, service)),
    ];
    let claims = claims.into_iter().filter(|(_, value)| !value.is_null());
    let claims = claims.map(|(name, value)| (name.to_owned(), value)).collect();
    let keys = inside.keys();
    let draft = Draft::new(keys.signer(), claims);
    let token = match behaviour.forgery {
        None => draft.write(),
        Some(forgery) => forge(draft, forgery, &keys, now).write(),
    };
    match behaviour.envelope {
        Envelope::Json => json!({ "payload": token }).to_string(),
        Envelope::Form => format!("payload={token}"),
        Envelope::Bare => token,
    }
}

/// Posts a body as Apple's servers do, and gives back the status of the answer. `host` is the name that the
/// receiver is known by; whoever listens at `to` does not speak TLS.
pub(super) async fn send(to: SocketAddr, host: &str, body: &str) -> io::Result<u16> {
    let head = format!(
        "POST /.schoolgate/notifications HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Apple-stand-in/1\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    timeout(PATIENCE, async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer).await?;
        status(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into())
    })
    .await?
}

/// The status in the first line: `HTTP/1.1 200 OK`.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(line).ok()?.split(' ').nth(1)?.trim().parse().ok()
}
