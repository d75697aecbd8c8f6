//! How records and revocations look at rest: JSON in a seal, under the name that they are kept by.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Device, Grant, Handle, IdToken, Record, Revocation, Sealer, SessionKey, StoreError, Waiting,
    seal::Tag,
    store::{Edition, Note, NoteName, SealedNote, Selector},
};
use crate::{
    apple::{RawIdToken, Revocable},
    clock::Timestamp,
    entropy::{self, SharedEntropy},
    identity::{Email, Organization, Person, ScopeSet, Subject},
    secret::Secret,
};

/// What is sealed in every store, to tell a wrong key from a wrong record.
const PROOF: &[u8] = b"schoolgate";

/// Why a record is not written.
const NOT_THEIRS: &str = "an ID token does not open for the person of its session";

/// Seals what goes into a store and opens what comes out. Every seal is bound to the name that the store
/// keeps it by: a record that is put in another's place does not open.
#[derive(Clone, Debug)]
pub struct Codec {
    sealer: Arc<Sealer>,
    entropy: SharedEntropy,
}

/// A record at rest.
#[derive(Clone, Debug)]
pub struct SealedRecord {
    /// Its generation, in the clear for comparisons; the seal is bound to it.
    pub generation: u64,
    /// When the session was made, in the clear for sweeping; the truth is in the seal.
    pub created: Timestamp,
    /// What it is found by: handle, subject, and organization where there is one.
    pub tags: Vec<Tag>,
    /// The record.
    pub sealed: Vec<u8>,
}

impl Codec {
    /// Seals with the keys of `sealer`.
    #[must_use]
    pub fn new(sealer: Arc<Sealer>, entropy: SharedEntropy) -> Self {
        Self { sealer, entropy }
    }

    /// Seals a record.
    ///
    /// # Errors
    /// When its ID token is another person's.
    pub fn seal_record(&self, key: &SessionKey, record: &Record) -> Result<SealedRecord, StoreError> {
        let person = &record.person;
        let mut tags = vec![
            self.sealer.tag("handle", record.handle.as_str()),
            self.sealer.tag("subject", person.subject.as_str()),
        ];
        tags.extend(person.organization.as_ref().map(|name| self.sealer.tag("organization", name.as_str())));
        let id_token = record.id_token.raw(person).ok_or_else(|| StoreError::Unavailable(NOT_THEIRS.to_owned()))?;
        let plain = json(&RecordShape::of(record, &id_token));
        let sealed = self.sealer.seal_bytes(&record_purpose(key, record.generation), &plain, &*self.entropy);
        Ok(SealedRecord { generation: record.generation, created: record.created, tags, sealed })
    }

    /// Opens a record.
    ///
    /// # Errors
    /// When no key opens it under this name and generation.
    pub fn open_record(&self, key: &SessionKey, generation: u64, sealed: &[u8]) -> Result<Record, StoreError> {
        let plain = self.sealer.open_bytes(&record_purpose(key, generation), sealed);
        let plain = plain.map_err(|_| StoreError::Unreadable)?;
        let shape: RecordShape<'_> = serde_json::from_slice(&plain).map_err(|_| StoreError::Unreadable)?;
        shape.into_record(generation).ok_or(StoreError::Unreadable)
    }

    /// The tags under which sessions of somebody may be kept: one for each key of the ring.
    #[must_use]
    pub fn tags_of(&self, whose: &Selector) -> Vec<Tag> {
        match whose {
            Selector::Handle(handle) => self.sealer.tags("handle", handle.as_str()),
            Selector::Subject(subject) => self.sealer.tags("subject", subject.as_str()),
            Selector::Organization(organization) => self.sealer.tags("organization", organization.as_str()),
        }
    }

    /// Seals a revocation.
    #[must_use]
    pub fn seal_waiting(&self, waiting: &Waiting) -> Vec<u8> {
        let Waiting { id, revocation, queued, tries } = waiting;
        let (kind, token) = match &revocation.token {
            Revocable::Refresh(token) => (TokenKind::Refresh, token.expose()),
            Revocable::Access(token) => (TokenKind::Access, token.expose()),
        };
        let shape = WaitingShape {
            session: revocation.handle.as_str().into(),
            kind,
            token: token.into(),
            queued: queued.millis(),
            tries: *tries,
        };
        self.sealer.seal_bytes(&waiting_purpose(id), &json(&shape), &*self.entropy)
    }

    /// Opens a revocation.
    ///
    /// # Errors
    /// When no key opens it under this name.
    pub fn open_waiting(&self, id: &str, sealed: &[u8]) -> Result<Waiting, StoreError> {
        let plain = self.sealer.open_bytes(&waiting_purpose(id), sealed).map_err(|_| StoreError::Unreadable)?;
        let shape: WaitingShape<'_> = serde_json::from_slice(&plain).map_err(|_| StoreError::Unreadable)?;
        let token = match shape.kind {
            TokenKind::Refresh => Revocable::Refresh(Secret::new(&*shape.token)),
            TokenKind::Access => Revocable::Access(Secret::new(&*shape.token)),
        };
        let handle = Handle::parse(&shape.session).ok_or(StoreError::Unreadable)?;
        Ok(Waiting {
            id: id.to_owned(),
            revocation: Revocation { handle, token },
            queued: Timestamp::from_millis(shape.queued),
            tries: shape.tries,
        })
    }

    /// Seals a note, as an edition that nobody has seen.
    #[must_use]
    pub fn seal_note(&self, name: &NoteName, value: &[u8]) -> SealedNote {
        let edition = Edition::of(entropy::bytes(&*self.entropy));
        SealedNote::new(edition, &self.sealer.seal_bytes(&note_purpose(name, edition), value, &*self.entropy))
    }

    /// Opens a note.
    ///
    /// # Errors
    /// When no key opens it under this name.
    pub fn open_note(&self, name: &NoteName, at_rest: &[u8]) -> Result<Note, StoreError> {
        let (edition, sealed) = SealedNote::split(at_rest).ok_or(StoreError::Unreadable)?;
        let opened = self.sealer.open_telling(&note_purpose(name, edition), sealed);
        let (value, has_current_seal) = opened.map_err(|_| StoreError::Unreadable)?;
        Ok(Note::new(edition, value, has_current_seal))
    }

    /// What a new store keeps, so that [`Self::knows`] can tell later whether the key is the right one.
    #[must_use]
    pub fn proof(&self) -> Vec<u8> {
        self.sealer.seal_bytes(b"proof", PROOF, &*self.entropy)
    }

    /// Whether a key of the ring made this proof.
    #[must_use]
    pub fn knows(&self, proof: &[u8]) -> bool {
        self.sealer.open_bytes(b"proof", proof).is_ok_and(|plain| **plain == *PROOF)
    }

    /// Whether the current key made this proof: when a previous one did, a new proof is due, so that the
    /// previous key can be dropped one day.
    #[must_use]
    pub fn is_current(&self, proof: &[u8]) -> bool {
        self.sealer.opens_with_current(b"proof", proof)
    }
}

fn record_purpose(key: &SessionKey, generation: u64) -> Vec<u8> {
    [b"session\0".as_slice(), key.bytes(), &generation.to_be_bytes()].concat()
}

fn waiting_purpose(id: &str) -> Vec<u8> {
    [b"revocation\0".as_slice(), id.as_bytes()].concat()
}

fn note_purpose(name: &NoteName, edition: Edition) -> Vec<u8> {
    [b"note\0".as_slice(), name.bytes(), edition.bytes()].concat()
}

/// The text is wiped; what `serde_json` outgrew on the way is not, which a large first buffer avoids.
fn json(shape: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(16 * 1024));
    // Texts, numbers and lists of them cannot fail.
    if serde_json::to_writer(&mut *plain, shape).is_err() {
        plain.clear();
    }
    plain
}

type Text<'a> = std::borrow::Cow<'a, str>;

/// A record as it is written. Fields are added with a default, and none is ever given another meaning.
#[derive(Serialize, Deserialize)]
struct RecordShape<'a> {
    handle: Text<'a>,
    sub: Text<'a>,
    org: Option<Text<'a>>,
    email: Option<(Text<'a>, bool)>,
    private_email: Option<bool>,
    auth_time: Option<u64>,
    claims: BTreeMap<Text<'a>, Text<'a>>,
    id_token: Text<'a>,
    access_token: Text<'a>,
    access_expires_at: u64,
    refresh_token: Option<Text<'a>>,
    refreshed_at: Option<u64>,
    scopes: String,
    asked: String,
    address: IpAddr,
    user_agent: Option<Text<'a>>,
    created: u64,
}

impl<'a> RecordShape<'a> {
    fn of(record: &'a Record, raw: &'a RawIdToken) -> Self {
        let Record { handle, person, id_token, grant, asked, device, created, generation: _ } = record;
        Self {
            handle: handle.as_str().into(),
            sub: person.subject.as_str().into(),
            org: person.organization.as_ref().map(|name| name.as_str().into()),
            email: person.email.as_ref().map(|email| ((&*email.address).into(), email.verified)),
            private_email: person.is_private_email,
            auth_time: person.auth_time,
            claims: id_token.claims(person).into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            id_token: raw.expose().into(),
            access_token: grant.access_token.expose().into(),
            access_expires_at: grant.access_expires_at.millis(),
            refresh_token: grant.refresh_token.as_ref().map(|token| token.expose().into()),
            refreshed_at: grant.refreshed_at.map(Timestamp::millis),
            scopes: grant.scopes.to_string(),
            asked: asked.to_string(),
            address: device.address,
            user_agent: device.user_agent.as_deref().map(Into::into),
            created: created.millis(),
        }
    }

    fn into_record(self, generation: u64) -> Option<Record> {
        let organization = self.org.map(|name| Organization::parse(&name)).transpose().ok()?;
        let email = self.email.map(|(address, verified)| Email { address: address.into(), verified });
        let person = Person {
            subject: Subject::parse(&self.sub).ok()?,
            organization,
            email,
            is_private_email: self.private_email,
            auth_time: self.auth_time,
        };
        let claims = self.claims.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        Some(Record {
            handle: Handle::parse(&self.handle)?,
            id_token: IdToken::with_claims(&Secret::new(self.id_token), &person, claims),
            person,
            grant: Grant {
                access_token: Secret::new(self.access_token),
                access_expires_at: Timestamp::from_millis(self.access_expires_at),
                refresh_token: self.refresh_token.map(Secret::new),
                refreshed_at: self.refreshed_at.map(Timestamp::from_millis),
                scopes: ScopeSet::parse(&self.scopes).ok()?,
            },
            asked: ScopeSet::parse(&self.asked).ok()?,
            device: Device::new(self.address, self.user_agent.as_deref()),
            created: Timestamp::from_millis(self.created),
            generation,
        })
    }
}

#[derive(Serialize, Deserialize)]
enum TokenKind {
    Refresh,
    Access,
}

/// A revocation as it is written.
#[derive(Serialize, Deserialize)]
struct WaitingShape<'a> {
    session: Text<'a>,
    kind: TokenKind,
    token: Text<'a>,
    queued: u64,
    tries: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entropy::SystemEntropy,
        identity::SharedText,
        session::{
            SessionId,
            testing::{active_session, all_of, codec, person},
        },
    };

    fn record() -> Record {
        let mut record = active_session("anna", "edu.users.read").record().as_ref().clone();
        record.person = Person {
            organization: Some(Organization::parse("org-1").unwrap()),
            email: Some(Email { address: "anna@school.example".into(), verified: true }),
            is_private_email: Some(false),
            auth_time: Some(7),
            ..person("anna")
        };
        let claims = [("role".to_owned(), "\"quoted\"\u{e9}".to_owned())].into();
        record.id_token = IdToken::with_claims(&Secret::new("raw"), &record.person, claims);
        record.grant.refreshed_at = Some(Timestamp::from_millis(1_234));
        record.device.user_agent = Some(SharedText::of("Mozilla"));
        record.generation = 3;
        record
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let (codec, key, record) = (codec(), SessionId::draw(&SystemEntropy).key(), record());
        let sealed = codec.seal_record(&key, &record).unwrap();
        let opened = codec.open_record(&key, sealed.generation, &sealed.sealed).unwrap();
        assert_eq!(all_of(&opened), all_of(&record));
        for whose in [
            Selector::Handle(record.handle.clone()),
            Selector::Subject(record.person.subject.clone()),
            Selector::Organization(Organization::parse("org-1").unwrap()),
        ] {
            assert!(codec.tags_of(&whose).iter().any(|tag| sealed.tags.contains(tag)), "{whose:?}");
        }
    }

    #[test]
    fn a_record_opens_under_its_own_name_and_generation_only() {
        let (codec, key, record) = (codec(), SessionId::draw(&SystemEntropy).key(), record());
        let sealed = codec.seal_record(&key, &record).unwrap().sealed;
        let other = SessionId::draw(&SystemEntropy).key();
        for (key, generation, bytes) in
            [(&other, 3, &sealed[..]), (&key, 2, &sealed), (&key, 3, &sealed[1..]), (&key, 3, b"")]
        {
            assert_eq!(codec.open_record(key, generation, bytes).unwrap_err(), StoreError::Unreadable);
        }
    }

    #[test]
    fn nothing_at_rest_can_be_read() {
        let (codec, key) = (codec(), SessionId::draw(&SystemEntropy).key());
        let sealed = codec.seal_record(&key, &record()).unwrap();
        let waiting =
            codec.seal_waiting(&Waiting::new(Revocation::of(&record()), Timestamp::from_seconds(1), &SystemEntropy));
        let at_rest =
            [&sealed.sealed[..], &waiting, &sealed.tags.iter().flat_map(|tag| *tag.bytes()).collect::<Vec<_>>()];
        for secret in ["anna", "access-1", "refresh-1", "raw", "org-1", "school.example", "edu.users", "Mozilla"] {
            for bytes in at_rest {
                assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
            }
        }
    }

    #[test]
    fn a_revocation_comes_back_as_it_was() {
        let codec = codec();
        let waiting =
            Waiting { tries: 5, ..Waiting::new(Revocation::of(&record()), Timestamp::from_millis(77), &SystemEntropy) };
        let sealed = codec.seal_waiting(&waiting);
        let opened = codec.open_waiting(&waiting.id, &sealed).unwrap();
        assert_eq!(format!("{opened:?}"), format!("{waiting:?}"));
        assert!(matches!(&opened.revocation.token, Revocable::Refresh(token) if token.expose() == "refresh-1"));
        assert!(codec.open_waiting("other", &sealed).is_err());
    }

    #[test]
    fn a_note_opens_under_its_own_name_and_as_its_own_edition_only() {
        let (codec, name) = (codec(), NoteName::of("kind", "one"));
        let at_rest = codec.seal_note(&name, b"hello").bytes().to_vec();
        let opened = codec.open_note(&name, &at_rest).unwrap();
        assert!(opened.value() == b"hello" && opened.has_current_seal());
        assert_eq!(format!("{opened:?} {name:?}"), "[note] [note name]");
        assert!(!at_rest.windows(5).any(|window| window == b"hello"));
        assert_eq!(codec.open_note(&NoteName::of("kind", "two"), &at_rest).unwrap_err(), StoreError::Unreadable);
        for at in 0..at_rest.len() {
            let mut changed = at_rest.clone();
            changed[at] ^= 1;
            assert!(codec.open_note(&name, &changed).is_err(), "{at}");
            assert!(codec.open_note(&name, &at_rest[..at]).is_err(), "{at}");
        }
        assert_ne!(codec.seal_note(&name, b"hello").bytes()[..16], at_rest[..16], "another edition");
    }

    #[test]
    fn a_note_of_the_previous_key_opens_and_says_so() {
        let (old, new) = (Sealer::new_key(&SystemEntropy), Sealer::new_key(&SystemEntropy));
        let with = |text: &str| Codec::new(Arc::new(Sealer::from_key_file(text).unwrap()), Arc::new(SystemEntropy));
        let (before, after) = (with(&old), with(&format!("{}\n{}", *new, *old)));
        let name = NoteName::of("kind", "one");
        let opened = after.open_note(&name, before.seal_note(&name, b"hello").bytes()).unwrap();
        assert!(opened.value() == b"hello" && !opened.has_current_seal());
    }

    #[test]
    fn a_proof_tells_the_right_key_from_a_wrong_one() {
        let codec_ = codec();
        assert!(codec_.knows(&codec_.proof()));
        assert!(!codec().knows(&codec_.proof()));
        assert!(!codec_.knows(b""));
    }

    #[test]
    fn a_proof_of_the_previous_key_is_known_and_not_current() {
        let (old, new) = (Sealer::new_key(&SystemEntropy), Sealer::new_key(&SystemEntropy));
        let with = |text: &str| Codec::new(Arc::new(Sealer::from_key_file(text).unwrap()), Arc::new(SystemEntropy));
        let (before, after) = (with(&old), with(&format!("{}\n{}", *new, *old)));
        assert!(after.knows(&before.proof()) && !after.is_current(&before.proof()));
        assert!(after.is_current(&after.proof()) && !before.knows(&after.proof()));
    }
}
