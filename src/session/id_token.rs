//! ID tokens in little room: there are as many as sessions, and hardly anybody asks for them.
//!
//! What base64url has made longer is undone, and what many tokens of Apple's say, or the record says beside it, is
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
    identity::{Person, SharedText},
};

/// The numbers that a packed token begins with: the lengths of its three parts, and a checksum.
const NUMBERS: [usize; 4] = [2, 2, 2, 4];

/// The ID token of a session. What is packed opens with the person for whom it was made, and no other; what is kept as
/// it is has nobody to ask.
#[derive(Clone)]
pub struct IdToken(Kept);

#[derive(Clone)]
enum Kept {
    /// Nearly all.
    Packed(Packed),
    /// What cannot be packed, or has other claims for `claim:NAME` than those that it says.
    AsItIs(Box<(RawIdToken, Claims)>),
}

#[derive(Clone)]
struct Packed {
    /// What it says as the tokens of all others do ([`frame`]).
    frame: SharedText,
    /// The rest.
    bytes: Zeroizing<Box<[u8]>>,
}

/// Claims as text, by their names.
type Claims = BTreeMap<String, String>;

/// Bytes that are wiped.
type Bytes = Zeroizing<Vec<u8>>;

impl IdToken {
    /// The token of a person, as Apple signed it.
    #[must_use]
    pub fn new(raw: &RawIdToken, person: &Person) -> Self {
        let opens = |packed: &Packed| unpacked(packed, person).is_some_and(|token| raw.matches(token.expose()));
        Self(match packed(raw.expose(), person).filter(opens) {
            Some(packed) => Kept::Packed(packed),
            None => Kept::AsItIs(Box::new((raw.clone(), kept_claims(raw)))),
        })
    }

    /// The same with the claims that were kept of it once, should they be others than would be kept now.
    #[must_use]
    pub fn with_claims(raw: &RawIdToken, person: &Person, claims: BTreeMap<String, String>) -> Self {
        if claims == kept_claims(raw) {
            Self::new(raw, person)
        } else {
            Self(Kept::AsItIs(Box::new((raw.clone(), claims))))
        }
    }

    /// The token; `None` when it was packed for another person.
    #[must_use]
    pub fn raw(&self, person: &Person) -> Option<RawIdToken> {
        match &self.0 {
            Kept::Packed(packed) => unpacked(packed, person),
            Kept::AsItIs(kept) => Some(kept.0.clone()),
        }
    }

    /// Every claim that a header can carry; none when it was packed for another person.
    #[must_use]
    pub fn claims(&self, person: &Person) -> BTreeMap<String, String> {
        match &self.0 {
            Kept::Packed(packed) => unpacked(packed, person).map(|raw| kept_claims(&raw)).unwrap_or_default(),
            Kept::AsItIs(kept) => kept.1.clone(),
        }
    }

    /// How many bytes it takes, without those that all tokens of a key and a client share.
    pub(super) fn size(&self) -> usize {
        match &self.0 {
            Kept::Packed(packed) => packed.bytes.len(),
            Kept::AsItIs(kept) => {
                let (raw, claims) = &**kept;
                raw.expose().len() + claims.iter().map(|(name, value)| name.len() + value.len() + 64).sum::<usize>()
            }
        }
    }
}

/// Shows nothing.
impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// `None` for what is no signed token.
fn packed(token: &str, person: &Person) -> Option<Packed> {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).map(Bytes::new));
    let (header, payload, signature) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    if parts.next().is_some() {
        return None;
    }
    let frame = frame(&header, &payload);
    let plain = Bytes::new([header.as_slice(), &payload, &signature].concat());
    let mut text = Bytes::new(vec![0; get_maximum_output_size(plain.len())]);
    let length = compress_into_with_dict(&plain, &mut text, dictionary(person, &frame).as_bytes()).ok()?;
    let mut numbers = Vec::new();
    for part in [&header, &payload, &signature] {
        numbers.extend(u16::try_from(part.len()).ok()?.to_le_bytes());
    }
    numbers.extend(checksum(&plain).to_le_bytes());
    // An allocation without room to spare: nothing is moved, and left behind unwiped.
    let mut bytes = Zeroizing::new(vec![0; numbers.len() + length].into_boxed_slice());
    let (before, after) = bytes.split_at_mut(numbers.len());
    before.copy_from_slice(&numbers);
    after.copy_from_slice(&text[..length]);
    Some(Packed { frame, bytes })
}

fn unpacked(Packed { frame, bytes }: &Packed, person: &Person) -> Option<RawIdToken> {
    let (mut numbers, mut text) = ([0; NUMBERS.len()], &***bytes);
    for (number, length) in numbers.iter_mut().zip(NUMBERS) {
        let (bytes, rest) = text.split_at_checked(length)?;
        *number = bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte));
        text = rest;
    }
    let [parts @ .., sum] = numbers;
    let mut plain = Bytes::new(vec![0; parts.iter().sum()]);
    let length = decompress_into_with_dict(text, &mut plain, dictionary(person, frame).as_bytes()).ok()?;
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

/// The names of the key and of the client, about as they stand in a token, with what is between them. The tokens of all
/// others have them too, for as long as Apple signs with that key.
fn frame(header: &[u8], payload: &[u8]) -> SharedText {
    let (kid, aud) = (text_of(header, r#""kid":""#), text_of(payload, r#""aud":""#));
    SharedText::of(&format!(r#""kid":"{kid}","alg":"RS256"}}{{"iss":"https://appleid.apple.com","aud":"{aud}","#))
}

/// What stands behind `name`, up to the next quote. No reader of JSON: nothing but the size hangs on it.
fn text_of<'a>(json: &'a [u8], name: &str) -> &'a str {
    let value = str::from_utf8(json).ok().and_then(|json| json.split_once(name)?.1.split_once('"'));
    value.map_or("", |(value, _)| value)
}

/// What stands in the tokens of a person, about as it stands there. What is not there costs nothing but the search.
fn dictionary(person: &Person, frame: &str) -> Zeroizing<String> {
    let Person { subject, organization, email, is_private_email: _, auth_time } = person;
    let organization = organization.as_ref().map_or("", |organization| organization.as_str());
    let email = email.as_ref().map_or("", |email| &email.address);
    let time = auth_time.unwrap_or_default();
    Zeroizing::new(format!(
        concat!(
            r#"{{"alg":"RS256","typ":"JWT","at_hash":"","c_hash":"","nonce_supported":false,"email_verified":true,"#,
            r#""is_private_email":true,"email_verified":"true","auth_time":{time},"nonce":"","real_user_status":2,"#,
            r#"{{{frame}"exp":{time},"iat":{time},"sub":"{subject}","nonce":"","at_hash":"","c_hash":"","#,
            r#""email":"{email}","email_verified":"false","is_private_email":"false","#,
            r#""auth_time":{time},"nonce_supported":true,"org_id":"{organization}","#,
            r#""scopes":"edu.classes.read edu.users.read"}}"#,
        ),
        frame = frame,
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
            assert!(kept.raw(&anna()).unwrap().matches(token), "{token}");
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
    fn it_takes_some_120_bytes_beside_its_signature() {
        let parts = [br#"{"kid":"Sf2lFqwkpX","alg":"RS256"}"#.as_slice(), PAYLOAD.as_bytes(), SIGNATURE.as_slice()];
        let token = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let size = IdToken::new(&RawIdToken::new(token.as_str()), &anna()).size();
        assert!(size <= 256 + 120, "{size} of {}", token.len());
    }

    #[test]
    fn it_takes_less_in_whatever_order_the_claims_are() {
        let mut said = claims();
        said["sub"] = anna().subject.as_str().into();
        let token = id_token(&said);
        let kept = IdToken::new(&RawIdToken::new(token.as_str()), &anna());
        assert!(matches!(kept.0, Kept::Packed(_)));
        assert!(kept.size() < token.len() * 2 / 3, "{} of {}", kept.size(), token.len());
    }

    #[test]
    fn the_token_of_another_is_nobodys() {
        let mut said = claims();
        said["sub"] = anna().subject.as_str().into();
        let kept = IdToken::new(&RawIdToken::new(id_token(&said)), &anna());
        let other =
            Person { subject: Subject::parse("001514.1685fcddf96a4871a7dcf841d95a7e54.2233").unwrap(), ..anna() };
        assert!(kept.raw(&other).is_none() && kept.claims(&other).is_empty());
    }

    #[test]
    fn claims_are_those_of_the_token_unless_others_were_kept() {
        let raw = RawIdToken::new(id_token(&claims()));
        let said = kept_claims(&raw);
        assert!(said.contains_key("iss") && !said.contains_key("nonce"));
        let kept = IdToken::with_claims(&raw, &anna(), said.clone());
        assert!(matches!(kept.0, Kept::Packed(_)));
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
