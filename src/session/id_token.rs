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

/// The numbers that a packed token begins with: the lengths of its three parts, and a checksum.
const NUMBERS: [usize; 4] = [2, 2, 2, 4];

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
    let plain = Bytes::new([header.as_slice(), &payload, &signature].concat());
    let mut text = Bytes::new(vec![0; get_maximum_output_size(plain.len())]);
    let length = compress_into_with_dict(&plain, &mut text, dictionary(person).as_bytes()).ok()?;
    let mut packed = Bytes::new(Vec::with_capacity(NUMBERS.iter().sum::<usize>() + length));
    for part in [&header, &payload, &signature] {
        packed.extend(u16::try_from(part.len()).ok()?.to_le_bytes());
    }
    packed.extend(checksum(&plain).to_le_bytes());
    packed.extend_from_slice(&text[..length]);
    Some(packed)
}

fn unpacked(packed: &[u8], person: &Person) -> Option<RawIdToken> {
    let (mut numbers, mut text) = ([0; NUMBERS.len()], packed);
    for (number, length) in numbers.iter_mut().zip(NUMBERS) {
        let (bytes, rest) = text.split_at_checked(length)?;
        *number = bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte));
        text = rest;
    }
    let [parts @ .., sum] = numbers;
    let mut plain = Bytes::new(vec![0; parts.iter().sum()]);
    let length = decompress_into_with_dict(text, &mut plain, dictionary(person).as_bytes()).ok()?;
    if length != plain.len() || checksum(&plain) as usize != sum {
        return None;
    }
    let mut token = String::with_capacity(parts.map(in_base64).iter().sum::<usize>() + 2);
    let mut rest = plain.as_slice();
    for (index, length) in parts.into_iter().enumerate() {
        if index > 0 {
            token.push('.');
        }
        let (part, after) = rest.split_at_checked(length)?;
        URL_SAFE_NO_PAD.encode_string(part, &mut token);
        rest = after;
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
        concat!(
            r#"{{"alg":"RS256","typ":"JWT","kid":"","alg":"RS256"}}{{"at_hash":"","c_hash":"","nonce_supported":false,"#,
            r#""email_verified":true,"is_private_email":true,"email_verified":"true","auth_time":{time},"nonce":"","#,
            r#""real_user_status":2,"iss":"https://appleid.apple.com","aud":"","exp":{time},"iat":{time},"#,
            r#""sub":"{subject}","nonce":"","at_hash":"","c_hash":"","email":"{email}","email_verified":"false","#,
            r#""is_private_email":"false","auth_time":{time},"nonce_supported":true,"org_id":"{organization}","#,
            r#""scopes":"edu.classes.read edu.users.read"}}"#,
        ),
        time = time,
        subject = subject,
        email = email,
        organization = organization,
    ))
}

#[cfg(test)]
mod tests {
    use std::array;

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

    /// No byte like another's neighbour.
    static SIGNATURE: std::sync::LazyLock<[u8; 256]> =
        std::sync::LazyLock::new(|| array::from_fn(|index| (index * index * 7 + index * 31) as u8));

    /// As Apple writes them.
    const PAYLOAD: &str = concat!(
        r#"{"iss":"https://appleid.apple.com","aud":"org.example.school.gateway","exp":1800086399,"iat":1799999999,"#,
        r#""sub":"001514.0685fcddf96a4871a7dcf841d95a7e54.2233","nonce":"n7Jp4fXQ0dK3vR9sYb2mWc6tZa8uLe5hGi1oPxSqTwE","#,
        r#""c_hash":"Zk3vQ9sYb2mWc6tZa8uLe5","email":"anna@school.example","email_verified":"false","#,
        r#""is_private_email":"false","auth_time":1800000000,"nonce_supported":true}"#,
    );

    #[test]
    fn it_takes_some_180_bytes_beside_its_signature() {
        let parts = [br#"{"kid":"Sf2lFqwkpX","alg":"RS256"}"#.as_slice(), PAYLOAD.as_bytes(), SIGNATURE.as_slice()];
        let token = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let size = IdToken::new(&RawIdToken::new(token.as_str()), &anna()).size();
        assert!(size <= 256 + 180, "{size} of {}", token.len());
    }

    #[test]
    fn it_takes_less_in_whatever_order_the_claims_are() {
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
