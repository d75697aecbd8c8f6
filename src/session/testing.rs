//! Sessions for the unit tests of several rooms.

use std::{sync::Arc, time::Duration};

use super::{
    ActiveSession, Codec, Device, Grant, Handle, IdToken, Lifetimes, MemoryStore, Record, Sealer, SessionId, Sessions,
    Waiting,
};
use crate::{
    apple::{Revocable, VerifiedIdToken},
    clock::{ManualClock, Timestamp},
    entropy::SystemEntropy,
    identity::{Organization, Person, ScopeSet, Subject},
    secret::Secret,
};

pub(crate) use super::store::shared::SharedStore;

/// A person of whom only the subject is known.
pub(crate) fn person(subject: &str) -> Person {
    Person {
        subject: Subject::parse(subject).unwrap(),
        organization: None,
        email: None,
        is_private_email: None,
        auth_time: None,
    }
}

/// What verification would have returned.
pub(crate) fn verified(subject: &str) -> VerifiedIdToken {
    VerifiedIdToken::for_tests(person(subject))
}

/// A grant of an hour from second 1,000.
pub(crate) fn grant(scopes: &str) -> Grant {
    Grant {
        access_token: Secret::new("access-1"),
        access_expires_at: Timestamp::from_seconds(4_600),
        refresh_token: Some(Secret::new("refresh-1")),
        refreshed_at: None,
        scopes: ScopeSet::parse(scopes).unwrap(),
    }
}

/// A live session that no store knows; its handle is the subject.
pub(crate) fn active_session(subject: &str, scopes: &str) -> ActiveSession {
    let record = Record {
        handle: Handle::for_tests(subject),
        person: person(subject),
        id_token: IdToken::new(&Secret::new("raw"), &person(subject)),
        grant: grant(scopes),
        asked: ScopeSet::parse(scopes).unwrap(),
        device: device(),
        created: Timestamp::from_seconds(1_000),
        generation: 0,
    };
    ActiveSession::new(SessionId::draw(&SystemEntropy).key(), Arc::new(record), Timestamp::from_seconds(1_000))
}

/// The same session, opened at another time.
pub(crate) fn opened_at(session: &ActiveSession, opened: Timestamp) -> ActiveSession {
    ActiveSession::new(*session.key(), Arc::clone(session.record()), opened)
}

/// The same session with another record.
pub(crate) fn with_record(session: &ActiveSession, record: Record) -> ActiveSession {
    ActiveSession::new(*session.key(), Arc::new(record), session.opened())
}

/// The record of a person who has just signed in; its handle is nobody else's.
pub(crate) fn record_of(subject: &str, organization: Option<&str>, created: Timestamp) -> Record {
    Record {
        handle: Handle::draw(&SystemEntropy),
        person: Person { organization: organization.map(|name| Organization::parse(name).unwrap()), ..person(subject) },
        created,
        ..active_session(subject, "edu.users.read").record().as_ref().clone()
    }
}

/// All of a record: Debug leaves the secrets out.
pub(crate) fn all_of(record: &Record) -> String {
    let refresh = record.grant.refresh_token.as_ref().map(|token| token.expose().to_owned());
    let id_token = record.id_token.raw(&record.person).unwrap();
    let claims = record.id_token.claims(&record.person);
    format!("{record:?} {} {claims:?} {} {refresh:?}", id_token.expose(), record.grant.access_token.expose())
}

/// All of a revocation that waits.
pub(crate) fn all_of_waiting(waiting: &Waiting) -> String {
    let token = match &waiting.revocation.token {
        Revocable::Refresh(token) => token.expose(),
        Revocable::Access(token) => token.expose(),
    };
    format!("{waiting:?} {token}")
}

/// Where everybody in the tests signs in.
pub(crate) fn device() -> Device {
    Device::new([192, 0, 2, 7].into(), Some("Test/1.0"))
}

/// The default lifetimes.
pub(crate) fn lifetimes() -> Lifetimes {
    Lifetimes { idle_timeout: Duration::from_secs(8 * 3600), max_lifetime: Duration::from_secs(24 * 3600) }
}

/// A codec with a key of its own.
pub(crate) fn codec() -> Codec {
    let sealer = Sealer::from_key_file(&Sealer::new_key(&SystemEntropy)).unwrap();
    Codec::new(Arc::new(sealer), Arc::new(SystemEntropy))
}

/// Sessions in memory with a clock that stands at `seconds`.
pub(crate) fn sessions_at(seconds: u64) -> (Arc<Sessions>, Arc<ManualClock>) {
    let clock = ManualClock::at(Timestamp::from_seconds(seconds));
    let shared: crate::clock::SharedClock = Arc::<ManualClock>::clone(&clock);
    let store = Arc::new(MemoryStore::new(lifetimes(), Arc::clone(&shared)));
    (Sessions::new(lifetimes(), store, shared, Arc::new(SystemEntropy)), clock)
}
