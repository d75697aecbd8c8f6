//! ID tokens in little room: there are as many as sessions, and hardly anybody asks for them.
//!
//! What base64url has made longer is undone, and what every token of Apple's says, or the record says beside it, is
//! left out: the rest is compressed against a dictionary of both. What comes back is the token to the byte; one that
//! would not is kept as it is.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use lz4_flex::block::{compress_into_with_dict, decompress_into_with_dict, get_maximum_output_size};
use zeroize::Zeroizing;

use crate::{
    apple::{RawIdToken, kept_claims},
    identity::Person,
};

const AS_IT_IS: u8 = 0;
const PACKED: u8 = 1;

/// The numbers that a packed token begins with: the lengths of header, payload and packed text, and a checksum.
const LENGTHS: [usize; 4] = [2, 2, 2, 4];

/// The ID token of a session. It opens with the person for whom it was made, and no other.
#[derive(Clone)]
pub struct IdToken {
    /// How it is kept ([`PACKED`] or [`AS_IT_IS`]), and it.
    kept: Zeroizing<Box<[u8]>>,
    /// The claims for `claim:NAME`, where they are not what the token says.
    claims: Option<Box<Claims>>,
}

/// Claims as text, by their names.
type Claims = BTreeMap<String, String>;

/// Bytes that are wiped.
type Bytes = Zeroizing<Vec<u8>>;

impl IdToken {
    /// The token of a person, as Apple signed it.
    #[must_use]
    pub fn new(raw: &RawIdToken, person: &Person) -> Self {
        let opens = |packed: &Bytes| unpacked(packed, person).is_some_and(|token| raw.matches(token.expose()));
        let kept = match packed(raw.expose(), person).filter(opens) {
            Some(packed) => boxed(PACKED, &packed),
            None => boxed(AS_IT_IS, raw.expose().as_bytes()),
        };
        Self { kept, claims: None }
    }

    /// The same with the claims that were kept of it once, should they be others than would be kept now.
    #[must_use]
    pub fn with_claims(raw: &RawIdToken, person: &Person, claims: BTreeMap<String, String>) -> Self {
        let claims = (claims != kept_claims(raw)).then(|| claims.into());
        Self { claims, ..Self::new(raw, person) }
    }

    /// The token; empty for another person than it was made for.
    #[must_use]
    pub fn raw(&self, person: &Person) -> RawIdToken {
        let raw = match self.kept.split_first() {
            Some((&PACKED, packed)) => unpacked(packed, person),
            Some((_, text)) => str::from_utf8(text).ok().map(RawIdToken::new),
            None => None,
        };
        raw.unwrap_or_else(|| RawIdToken::new(""))
    }

    /// Every claim that a header can carry.
    #[must_use]
    pub fn claims(&self, person: &Person) -> BTreeMap<String, String> {
        match &self.claims {
            Some(claims) => Claims::clone(claims),
            None => kept_claims(&self.raw(person)),
        }
    }

    /// How many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let claims = self.claims.iter().flat_map(|claims| claims.iter());
        self.kept.len() + claims.map(|(name, value)| name.len() + value.len() + 64).sum::<usize>()
    }
}

/// Shows nothing.
impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// `None` for what is no signed token.
fn packed(token: &str, person: &Person) -> Option<Bytes> {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).map(Bytes::new));
    let (header, payload, signature) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    if parts.next().is_some() {
        return None;
    }
    let plain = Bytes::new([header.as_slice(), &payload].concat());
    let mut text = Bytes::new(vec![0; get_maximum_output_size(plain.len())]);
    let length = compress_into_with_dict(&plain, &mut text, dictionary(person).as_bytes()).ok()?;
    let mut packed = Bytes::new(Vec::with_capacity(LENGTHS.iter().sum::<usize>() + length + signature.len()));
    for number in [header.len(), payload.len(), length] {
        packed.extend(u16::try_from(number).ok()?.to_le_bytes());
    }
    packed.extend(checksum(&plain).to_le_bytes());
    packed.extend_from_slice(&text[..length]);
    packed.extend_from_slice(&signature);
    Some(packed)
}

fn unpacked(packed: &[u8], person: &Person) -> Option<RawIdToken> {
    let mut rest = packed;
    let mut numbers = LENGTHS.map(|length| {
        let (bytes, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    });
    let [header, payload, text, sum] = [numbers[0].take()?, numbers[1].take()?, numbers[2].take()?, numbers[3].take()?];
    let (text, signature) = rest.split_at_checked(text)?;
    let mut plain = Bytes::new(vec![0; header + payload]);
    let length = decompress_into_with_dict(text, &mut plain, dictionary(person).as_bytes()).ok()?;
    if length != plain.len() || checksum(&plain) as usize != sum {
        return None;
    }
    let mut token = String::with_capacity([header, payload, signature.len()].map(in_base64).iter().sum::<usize>() + 2);
    let (header, payload) = plain.split_at(header);
    for (index, part) in [header, payload, signature].into_iter().enumerate() {
        if index > 0 {
            token.push('.');
        }
        URL_SAFE_NO_PAD.encode_string(part, &mut token);
    }
    Some(RawIdToken::new(token))
}

fn in_base64(length: usize) -> usize {
    (length * 4).div_ceil(3)
}

/// Tells a token that was unpacked with another's dictionary.
fn checksum(plain: &[u8]) -> u32 {
    let mut hasher = DefaultHasher::new();
    plain.hash(&mut hasher);
    hasher.finish() as u32
}

/// An allocation without room to spare: nothing is moved, and left behind unwiped.
fn boxed(how: u8, bytes: &[u8]) -> Zeroizing<Box<[u8]>> {
    let mut boxed = Zeroizing::new(vec![how; bytes.len() + 1].into_boxed_slice());
    boxed[1..].copy_from_slice(bytes);
    boxed
}

/// What stands in the tokens of a person, about as it stands there. What is not there costs nothing but the search.
fn dictionary(person: &Person) -> Zeroizing<String> {
    let Person { subject, organization, email, is_private_email: _, auth_time } = person;
    let organization = organization.as_ref().map_or("", |organization| organization.as_str());
    let email = email.as_ref().map_or("", |email| &email.address);
    let time = auth_time.unwrap_or_default();
    Zeroizing::new(format!(
        r#"{{"alg":"RS256","typ":"JWT","kid":"","alg":"RS256"}}{{"at_hash":"","c_hash":"","iss":"https://appleid.apple.com","aud":"","exp":{time},"iat":{time},"sub":"{subject}","nonce":"","nonce_supported":false,"at_hash":"","c_hash":"","email":"{email}","email_verified":"true","is_private_email":"false","email_verified":false,"is_private_email":true,"auth_time":{time},"nonce_supported":true,"org_id":"{organization}","real_user_status":2,"scopes":"edu.classes.read edu.users.read"}}"#,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        apple::testing::{claims, id_token},
        identity::{Email, Subject},
        session::testing::person,
    };

    fn anna() -> Person {
        let email = Some(Email { address: "anna@school.example".into(), verified: true });
        Person { email, auth_time: Some(1_800_000_000), ..person("001514.0685fcddf96a4871a7dcf841d95a7e54.2233") }
    }

    #[test]
    fn a_token_comes_back_to_the_byte() {
        let fine = id_token(&claims());
        let [header, payload, signature] = fine.split('.').collect::<Vec<_>>()[..] else { panic!() };
        let long = URL_SAFE_NO_PAD.encode(vec![b'x'; 70_000]);
        for token in [
            fine.as_str(),
            "",
            "raw",
            "..",
            "a.b.c",
            "é.ü.ö",
            header,
            &format!("{header}.{payload}"),
            &format!("{header}.{payload}.{signature}."),
            &format!("{header}.{payload}.{signature}="),
            // Stray bits: another text for the same bytes.
            &format!("{header}.{payload}.{}-", &signature[..signature.len() - 1]),
            &format!("{header}.{long}.{signature}"),
        ] {
            let kept = IdToken::new(&RawIdToken::new(token), &anna());
            assert!(kept.raw(&anna()).matches(token), "{token}");
        }
    }

    #[test]
    fn it_takes_little_more_than_its_signature() {
        let mut said = claims();
        said["sub"] = anna().subject.as_str().into();
        let token = id_token(&said);
        let kept = IdToken::new(&RawIdToken::new(token.as_str()), &anna());
        assert_eq!(kept.kept[0], PACKED);
        assert!(kept.size() < token.len() * 2 / 3, "{} of {}", kept.size(), token.len());
    }

    #[test]
    fn the_token_of_another_is_nobodys() {
        let mut said = claims();
        said["sub"] = anna().subject.as_str().into();
        let kept = IdToken::new(&RawIdToken::new(id_token(&said)), &anna());
        let other =
            Person { subject: Subject::parse("001514.1685fcddf96a4871a7dcf841d95a7e54.2233").unwrap(), ..anna() };
        assert!(kept.raw(&other).expose().is_empty());
    }

    #[test]
    fn claims_are_those_of_the_token_unless_others_were_kept() {
        let raw = RawIdToken::new(id_token(&claims()));
        let said = kept_claims(&raw);
        assert!(said.contains_key("iss") && !said.contains_key("nonce"));
        let kept = IdToken::with_claims(&raw, &anna(), said.clone());
        assert!(kept.claims.is_none());
        assert_eq!(kept.claims(&anna()), said);
        let others: BTreeMap<_, _> = [("role".to_owned(), "teacher".to_owned())].into();
        assert_eq!(IdToken::with_claims(&raw, &anna(), others.clone()).claims(&anna()), others);
        assert!(IdToken::new(&RawIdToken::new("raw"), &anna()).claims(&anna()).is_empty());
    }

    #[test]
    fn nothing_shows_it() {
        let kept = IdToken::new(&RawIdToken::new("tell nobody"), &anna());
        assert_eq!(format!("{kept:?}"), "[redacted]");
    }
}
