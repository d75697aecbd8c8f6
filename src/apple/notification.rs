//! Apple's notifications from server to server: somebody took their consent back, or is gone.

use std::{fmt, time::Duration};

use serde_json::Value;

use super::{
    CallError, EnvelopeFault, Service, Settings, VerifyError,
    claims::Claims,
    id_token::Rules,
    json::{self, Object},
    tokens::{is_tokenish, sanitised},
};
use crate::{
    clock::Timestamp,
    identity::{Organization, Subject},
};

/// How old a notification may be. Apple does not say how long it goes on trying. A day is the life of its ID
/// tokens, and longer than a night without the gateway.
const FRESH: Duration = Duration::from_secs(86_400);

/// Longest `jti` in bytes; Apple's have about twenty.
const LONGEST_ID: usize = 255;

/// Why a notification is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// There are no keys to verify with; nothing is said about the notification.
    #[error("Apple's keys are unavailable, so that no notification can be verified: {0}")]
    KeysUnavailable(CallError),
    /// There is no signed text in the body.
    #[error("the body {0}")]
    Envelope(EnvelopeFault),
    /// Nothing shows that it is Apple's.
    #[error("nothing shows that Apple sent it: {0}")]
    NotApples(VerifyError),
    /// Apple signed it, but not for this gateway, or not now.
    #[error("Apple signed it, but {0}")]
    NotForUs(VerifyError),
}

impl NotificationError {
    /// Tells what is said about the token from what is said about the keys.
    pub(super) fn of_token(error: VerifyError) -> Self {
        if let VerifyError::KeysUnavailable(why) = error { Self::KeysUnavailable(why) } else { Self::NotApples(error) }
    }

    /// Whether this says nothing about the notification: trying again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::KeysUnavailable(_))
    }

    /// A stable word for logs and metrics.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::KeysUnavailable(_) => "keys_unavailable",
            Self::Envelope(_) => "envelope",
            Self::NotApples(error) | Self::NotForUs(error) => error.outcome(),
        }
    }
}

/// What Apple says, proven. Only [`Apple::verify_notification`](super::Apple::verify_notification) makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    issuer: String,
    id: String,
    good_until: Timestamp,
    is_of_organization: bool,
    events: Vec<Event>,
}

impl Notification {
    /// The claim `iss`: the two services need not know each other's `jti`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The claim `jti`, visible ASCII: what must count only once.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// From then on it would not be believed any more.
    #[must_use]
    pub fn good_until(&self) -> Timestamp {
        self.good_until
    }

    /// Whether a consent in it is an organization's, and not one person's own.
    #[must_use]
    pub fn is_of_organization(&self) -> bool {
        self.is_of_organization
    }

    /// What happened, in Apple's order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// To whom, or by whom.
    pub subject: Option<Subject>,
    /// In which organization.
    pub organization: Option<Organization>,
    /// Whether it has a `sub` or an `org_id` that is none.
    pub is_garbled: bool,
}

/// What Apple can tell of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A person or an organization took their consent back.
    ConsentRevoked,
    /// An account is gone. Apple has written it `account-delete` and `account-deleted`.
    AccountDeleted,
    /// Mail through Apple's relay is off.
    EmailDisabled,
    /// Mail through Apple's relay is on.
    EmailEnabled,
    /// A type that Apple has not told us of, cut down to what may stand in a log.
    Unknown(String),
    /// No event at all, or one without a type.
    Unreadable,
}

impl EventKind {
    fn of(text: &str) -> Self {
        match text {
            "consent-revoked" => Self::ConsentRevoked,
            "account-delete" | "account-deleted" => Self::AccountDeleted,
            "email-disabled" => Self::EmailDisabled,
            "email-enabled" => Self::EmailEnabled,
            other => Self::Unknown(sanitised(other)),
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConsentRevoked => "consent-revoked",
            Self::AccountDeleted => "account-deleted",
            Self::EmailDisabled => "email-disabled",
            Self::EmailEnabled => "email-enabled",
            Self::Unknown(text) => text,
            Self::Unreadable => "(unreadable)",
        })
    }
}

/// Judges the claims of a notification whose signature is good.
pub(super) fn judge(claims: &Claims, settings: &Settings, now: Timestamp) -> Result<Notification, VerifyError> {
    let issuer = issuer(claims, settings)?;
    Rules::new(settings, now).audience(claims)?;
    let good_until = dates(claims, settings.clock_skew, now)?;
    let id = claims.needed_text("jti")?;
    if !is_tokenish(id, LONGEST_ID) {
        return Err(VerifyError::Odd("jti"));
    }
    // Whoever consents to the sharing of an organization's data is an administrator, who does it for all.
    let is_of_organization =
        settings.service == Service::Organization || issuer == Service::Organization.notification_issuer();
    let events = events(claims)?.iter().map(read).collect();
    Ok(Notification { issuer: issuer.to_owned(), id: id.to_owned(), good_until, is_of_organization, events })
}

/// The name under which the configured service notifies, or any that its ID tokens may have.
fn issuer<'a>(claims: &'a Claims, settings: &Settings) -> Result<&'a str, VerifyError> {
    let issuer = claims.needed_text("iss")?;
    let known = issuer == settings.service.notification_issuer() || settings.issuers.iter().any(|it| it == issuer);
    if known { Ok(issuer) } else { Err(VerifyError::Issuer) }
}

/// A notification has `iat`; those that have `exp` and `nbf` are held to them. Gives back until when it counts.
fn dates(claims: &Claims, skew: Duration, now: Timestamp) -> Result<Timestamp, VerifyError> {
    let issued = claims.needed_date("iat")?;
    let latest = now.plus(skew);
    if issued > latest {
        return Err(VerifyError::FromTheFuture("iat"));
    }
    if claims.seconds("nbf")?.is_some_and(|seconds| Timestamp::from_seconds(seconds) > latest) {
        return Err(VerifyError::FromTheFuture("nbf"));
    }
    let good_until = issued.plus(FRESH).plus(skew);
    if good_until <= now {
        return Err(VerifyError::Stale);
    }
    match claims.seconds("exp")?.map(Timestamp::from_seconds) {
        Some(expires) if expires.plus(skew) <= now => Err(VerifyError::Expired),
        Some(expires) if issued >= expires => Err(VerifyError::Lifetime),
        Some(_) | None => Ok(good_until),
    }
}

/// The claim `events`: a list, or one event, or either written as a JSON text. Apple has done all of it.
fn events(claims: &Claims) -> Result<Vec<Value>, VerifyError> {
    let listed = |value: &Value| match value {
        Value::Array(list) => Some(list.clone()),
        Value::Object(_) => Some(vec![value.clone()]),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    let claim = claims.any("events").ok_or(VerifyError::Missing("events"))?;
    let written = claim.as_str().and_then(|text| json::value(text.as_bytes()).ok());
    listed(written.as_ref().unwrap_or(claim)).ok_or(VerifyError::Odd("events"))
}

/// Reads an event as far as it can be read. Apple has signed it: a part that makes no sense is no reason to
/// leave undone what the others say.
fn read(event: &Value) -> Event {
    let nothing = Object::new();
    let members = event.as_object().unwrap_or(&nothing);
    let kind = members.get("type").and_then(Value::as_str).map_or(EventKind::Unreadable, EventKind::of);
    let name = |member: &str| members.get(member).map(|value| value.as_str().unwrap_or_default());
    let subject = name("sub").map(Subject::parse);
    let organization = name("org_id").map(Organization::parse);
    Event {
        kind,
        is_garbled: matches!(subject, Some(Err(_))) || matches!(organization, Some(Err(_))),
        subject: subject.and_then(Result::ok),
        organization: organization.and_then(Result::ok),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        apple::{
            Posted,
            testing::{self, NOW, Script, Server, claims as id_token_claims, id_token, key_set},
        },
        clock::ManualClock,
    };

    const ORGANIZATION: &str = "https://appleid.apple.com/auth/oauth2/v2";
    const SIGN_IN: &str = "https://appleid.apple.com";

    fn at(seconds: i64) -> u64 {
        NOW.seconds().checked_add_signed(seconds).unwrap()
    }

    /// Apple's sample.
    fn sample() -> Value {
        json!({
            "iss": ORGANIZATION,
            "aud": "org.example.school.gateway",
            "iat": at(0),
            "jti": "6a8de6e8-1fd4-4d04-8de2-3ebb1a1d0f5e",
            "events": [{
                "type": "consent-revoked",
                "sub": "000264.UDRoeTAxVUppaHdNQU5HYWN6MEU5VDRUWFVQU1BV.RUtP",
                "org_id": "fb5f5f2c-5d0e-4b8b-9b0f-7d0a8a7d5f11",
                "scopes": "edu.classes.read edu.users.read",
                "event_time": at(0),
            }],
        })
    }

    fn judged_by(settings: &Settings, claims: &Value) -> Result<Notification, VerifyError> {
        judge(&Claims::new(claims.as_object().unwrap().clone()), settings, NOW)
    }

    fn judged(claims: &Value) -> Result<Notification, VerifyError> {
        judged_by(&testing::settings(), claims)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = sample();
        claims[name] = value;
        claims
    }

    fn without(name: &str) -> Value {
        let mut claims = sample();
        claims.as_object_mut().unwrap().remove(name);
        claims
    }

    #[test]
    fn apples_sample_says_what_happened() {
        let notification = judged(&sample()).unwrap();
        assert_eq!((notification.issuer(), notification.id()), (ORGANIZATION, "6a8de6e8-1fd4-4d04-8de2-3ebb1a1d0f5e"));
        assert!(notification.is_of_organization());
        assert_eq!(notification.good_until().seconds(), at(86_400 + 60));
        let event = Event {
            kind: EventKind::ConsentRevoked,
            subject: Subject::parse("000264.UDRoeTAxVUppaHdNQU5HYWN6MEU5VDRUWFVQU1BV.RUtP").ok(),
            organization: Organization::parse("fb5f5f2c-5d0e-4b8b-9b0f-7d0a8a7d5f11").ok(),
            is_garbled: false,
        };
        assert_eq!(notification.events(), [event]);
    }

    #[test]
    fn what_is_odd_but_right_is_accepted() {
        let client = "org.example.school.gateway";
        let mut two = with("aud", json!([client, "another"]));
        two["azp"] = json!(client);
        for (name, claims) in [
            ("a list with one audience", with("aud", json!([client]))),
            ("two audiences and the right azp", two),
            ("the issuer of ID tokens", with("iss", json!(SIGN_IN))),
            ("issued within the skew", with("iat", json!(at(60)))),
            ("a day old", with("iat", json!(at(-86_400)))),
            ("a day and almost the skew old", with("iat", json!(at(-86_459)))),
            ("expires within the skew", {
                let mut claims = with("iat", json!(at(-600)));
                claims["exp"] = json!(at(-59));
                claims
            }),
            ("nbf now", with("nbf", json!(at(0)))),
            ("a long jti", with("jti", json!("j".repeat(255)))),
            ("a sub of its own", with("sub", json!(7))),
        ] {
            assert!(judged(&claims).is_ok(), "{name}: {:?}", judged(&claims).err());
        }
    }

    #[test]
    fn every_claim_is_checked() {
        for (claims, why) in [
            (without("iss"), VerifyError::Missing("iss")),
            (with("iss", json!([ORGANIZATION])), VerifyError::Odd("iss")),
            (with("iss", json!("https://appleid.apple.com/auth/oauth2/v2/")), VerifyError::Issuer),
            (with("iss", json!("https://account.apple.com")), VerifyError::Issuer),
            (without("aud"), VerifyError::Missing("aud")),
            (with("aud", json!("another")), VerifyError::Audience),
            (with("aud", json!(["org.example.school.gateway", "another"])), VerifyError::AuthorizedParty),
            (with("azp", json!("another")), VerifyError::AuthorizedParty),
            (without("iat"), VerifyError::Missing("iat")),
            (with("iat", json!(at(0).to_string())), VerifyError::Odd("iat")),
            (with("iat", json!(at(61))), VerifyError::FromTheFuture("iat")),
            // In milliseconds.
            (with("iat", json!(NOW.millis())), VerifyError::FromTheFuture("iat")),
            (with("iat", json!(at(-86_460))), VerifyError::Stale),
            (with("iat", json!(0)), VerifyError::Stale),
            (with("nbf", json!(at(61))), VerifyError::FromTheFuture("nbf")),
            (with("exp", json!("soon")), VerifyError::Odd("exp")),
            (with("exp", json!(at(0))), VerifyError::Lifetime),
            (with("exp", json!(at(-60))), VerifyError::Expired),
            (without("jti"), VerifyError::Missing("jti")),
            (with("jti", json!("")), VerifyError::Odd("jti")),
            (with("jti", json!(7)), VerifyError::Odd("jti")),
            (with("jti", json!("a b")), VerifyError::Odd("jti")),
            (with("jti", json!("a\nb")), VerifyError::Odd("jti")),
            (with("jti", json!("j".repeat(256))), VerifyError::Odd("jti")),
            (without("events"), VerifyError::Missing("events")),
            (with("events", json!(null)), VerifyError::Odd("events")),
            (with("events", json!(1)), VerifyError::Odd("events")),
            (with("events", json!("")), VerifyError::Odd("events")),
            (with("events", json!("consent-revoked")), VerifyError::Odd("events")),
            (with("events", json!("[]]")), VerifyError::Odd("events")),
            (with("events", json!("\"[]\"")), VerifyError::Odd("events")),
            (with("events", json!(r#"{"type":"a","type":"b"}"#)), VerifyError::Odd("events")),
        ] {
            assert_eq!(judged(&claims).err(), Some(why), "{claims}");
        }
    }

    #[test]
    fn each_service_notifies_under_its_own_name_and_those_of_the_configuration() {
        let sign_in = Settings { service: Service::SignIn, ..testing::settings() };
        let both = Settings { issuers: vec![SIGN_IN.into(), ORGANIZATION.into()], ..sign_in.clone() };
        let other = Settings { issuers: vec!["https://account.apple.com".into()], ..testing::settings() };
        for (settings, issuer, of_organization) in [
            (&testing::settings(), ORGANIZATION, Some(true)),
            (&testing::settings(), SIGN_IN, Some(true)),
            (&sign_in, SIGN_IN, Some(false)),
            (&sign_in, ORGANIZATION, None),
            (&both, SIGN_IN, Some(false)),
            (&both, ORGANIZATION, Some(true)),
            (&other, ORGANIZATION, Some(true)),
            (&other, "https://account.apple.com", Some(true)),
            (&other, SIGN_IN, None),
        ] {
            let found = judged_by(settings, &with("iss", json!(issuer)));
            assert_eq!(found.as_ref().ok().map(Notification::is_of_organization), of_organization, "{issuer}");
        }
    }

    #[test]
    fn events_are_read_however_they_are_written() {
        let event = json!({ "type": "account-delete", "sub": "a" });
        let lists = [json!([event]), event.clone(), json!(event.to_string()), json!(json!([event]).to_string())];
        for claim in lists {
            let notification = judged(&with("events", claim.clone())).unwrap();
            let kinds: Vec<_> = notification.events().iter().map(|event| event.kind.clone()).collect();
            assert_eq!(kinds, [EventKind::AccountDeleted], "{claim}");
        }
        assert!(judged(&with("events", json!([]))).unwrap().events().is_empty());
    }

    #[test]
    fn an_event_is_read_as_far_as_it_can_be() {
        let of = |event: Value| read(&event);
        for (kind, shown) in [
            ("consent-revoked", EventKind::ConsentRevoked),
            ("account-delete", EventKind::AccountDeleted),
            ("account-deleted", EventKind::AccountDeleted),
            ("email-disabled", EventKind::EmailDisabled),
            ("email-enabled", EventKind::EmailEnabled),
            ("consent-revoked ", EventKind::Unknown("consent-revoked?".into())),
            ("", EventKind::Unknown(String::new())),
            ("a\r\nb", EventKind::Unknown("a??b".into())),
        ] {
            assert_eq!(of(json!({ "type": kind })).kind, shown);
        }
        for event in [json!(7), json!(null), json!([]), json!("x"), json!({}), json!({ "type": 1 })] {
            let read = of(event);
            assert_eq!((&read.kind, read.is_garbled), (&EventKind::Unreadable, false));
        }
        for (sub, org_id) in [(json!(1), json!("o")), (json!(""), json!("o")), (json!("a b"), json!("o"))] {
            let read = of(json!({ "type": "consent-revoked", "sub": sub, "org_id": org_id }));
            assert!(read.is_garbled && read.subject.is_none() && read.organization.is_some());
        }
        let read = of(json!({ "type": "consent-revoked", "sub": "a", "org_id": null }));
        assert!(read.is_garbled && read.subject.is_some() && read.organization.is_none());
    }

    async fn verified(script: Script, body: &str) -> Result<Notification, NotificationError> {
        let server = Server::start([script]).await;
        let apple = testing::apple(server.settings(), ManualClock::at(NOW));
        apple.verify_notification(&Posted::parse(body.as_bytes()).unwrap()).await
    }

    #[tokio::test]
    async fn what_is_refused_says_whether_apple_signed_it() {
        let good = id_token(&sample());
        assert!(verified(key_set(), &good).await.is_ok());
        let other = id_token(&with("jti", json!("other")));
        let (message, _) = good.rsplit_once('.').unwrap();
        let (_, signature) = other.rsplit_once('.').unwrap();
        let refused = verified(key_set(), &format!("{message}.{signature}")).await.unwrap_err();
        assert_eq!((&refused, refused.outcome()), (&NotificationError::NotApples(VerifyError::Signature), "signature"));
        let refused = verified(key_set(), "nonsense").await.unwrap_err();
        assert_eq!(refused, NotificationError::NotApples(VerifyError::Parts));
        // An ID token: issuer, audience and dates are right.
        let refused = verified(key_set(), &id_token(&id_token_claims())).await.unwrap_err();
        assert_eq!(refused, NotificationError::NotForUs(VerifyError::Missing("jti")));
        assert_eq!(refused.to_string(), "Apple signed it, but the claim `jti` is missing");
        let unknown = verified(Script::html(503), &good).await.unwrap_err();
        assert!(unknown.is_transient() && unknown.outcome() == "keys_unavailable", "{unknown}");
    }
}
