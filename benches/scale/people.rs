//! People as Apple describes them: of one school, each on one of a few kinds of devices.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use schoolgate::{
    clock::{Clock, SystemClock, Timestamp},
    entropy::Entropy,
    identity::{Email, Organization, Person, ScopeSet, Subject},
    secret::Secret,
    session::{Device, Grant, Handle, IdToken, Lifetimes, Record, SessionId, Stored},
};

pub(crate) const LIFETIMES: Lifetimes =
    Lifetimes { idle_timeout: Duration::from_secs(8 * 3600), max_lifetime: Duration::from_secs(24 * 3600) };

pub(crate) const ORGANIZATION: &str = "7f3a2c1e-6b5d-4e0f-9a8b-1c2d3e4f5a6b";

/// What the browsers of a school call themselves.
const USER_AGENTS: [&str; 4] = [
    "Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 \
     Safari/604.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
];

/// Randomness that is the same in every process: splitmix64 from a number on.
#[derive(Debug)]
pub(crate) struct Numbered(u64);

impl Numbered {
    pub(crate) fn of(number: usize, purpose: u64) -> Self {
        Self((number as u64).wrapping_mul(0x1_0000).wrapping_add(purpose << 56))
    }
}

/// The `index`th number of a sequence that has no order.
pub(crate) fn mixed(index: u64) -> u64 {
    let mut mixed = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Entropy for Numbered {
    fn fill(&self, buffer: &mut [u8]) {
        for (index, part) in buffer.chunks_mut(8).enumerate() {
            let length = part.len();
            part.copy_from_slice(&mixed(self.0.wrapping_add(index as u64)).to_be_bytes()[..length]);
        }
    }
}

/// What the browser of a person holds.
pub(crate) fn id(number: usize) -> SessionId {
    SessionId::draw(&Numbered::of(number, 1))
}

fn bytes<const LENGTH: usize>(number: usize, purpose: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    Numbered::of(number, purpose).fill(&mut bytes);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An opaque token as Apple's examples show them.
fn token(kind: char, number: usize, purpose: u64) -> String {
    let (id, tail) = (bytes::<16>(number, purpose), bytes::<16>(number, purpose + 1));
    format!("{kind}{}.0.nwsw.{}", hex(&id), URL_SAFE_NO_PAD.encode(tail))
}

/// A session: an RS256 ID token of some 950 bytes, and two opaque tokens of 63.
pub(crate) fn session(number: usize) -> Stored {
    let now = SystemClock.now();
    let scopes = ScopeSet::parse("edu.users.read edu.classes.read").unwrap();
    let sub = format!("{:06}.{}.{:04}", number % 1_000_000, hex(&bytes::<16>(number, 2)), number % 2400);
    let email = format!("pupil{number}@school.example");
    let claims = claims(number, &sub, &email, now);
    let header = r#"{"kid":"Sf2lFqwkpX","alg":"RS256"}"#;
    let parts =
        [header.as_bytes(), claims.as_bytes(), &bytes::<256>(number, 3)].map(|part| URL_SAFE_NO_PAD.encode(part));
    let person = Person {
        subject: Subject::parse(&sub).unwrap(),
        organization: Some(Organization::parse(ORGANIZATION).unwrap()),
        email: Some(Email { address: email.into(), verified: false }),
        is_private_email: Some(false),
        auth_time: Some(now.seconds()),
    };
    let record = Record {
        handle: Handle::draw(&Numbered::of(number, 4)),
        id_token: IdToken::new(&Secret::new(parts.join(".")), &person),
        person,
        grant: Grant {
            access_token: Secret::new(token('a', number, 5)),
            access_expires_at: now.plus(Duration::from_secs(3600)),
            refresh_token: Some(Secret::new(token('r', number, 7))),
            refreshed_at: None,
            scopes: scopes.clone(),
        },
        asked: scopes,
        device: Device::new([10, 1, (number >> 8) as u8, number as u8].into(), Some(USER_AGENTS[number % 4])),
        created: now,
        generation: 0,
    };
    Stored { record: record.into(), last_seen: now }
}

/// The claims of an ID token of Apple's.
fn claims(number: usize, sub: &str, email: &str, now: Timestamp) -> String {
    let (now, nonce, hash) = (now.seconds(), bytes::<32>(number, 9), bytes::<16>(number, 10));
    let (nonce, hash) = (URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(hash));
    format!(
        r#"{{"iss":"https://appleid.apple.com","aud":"org.example.school.gateway","exp":{},"iat":{now},"sub":"{sub}","#,
        now + 86_400
    ) + &format!(
        r#""nonce":"{nonce}","c_hash":"{hash}","email":"{email}","email_verified":"false","is_private_email":"false","#
    ) + &format!(
        r#""auth_time":{now},"nonce_supported":true,"org_id":"{ORGANIZATION}","scopes":"edu.classes.read edu.users.read"}}"#
    )
}
