//! One public key of Apple's key set (RFC 7517, section 4, and RFC 7518, section 6.3.1).

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde_json::Value;

use super::{json::Object, tokens::is_tokenish};

/// Longest `kid` in bytes; Apple's have ten.
pub(super) const LONGEST_KID: usize = 64;
/// Sizes of a modulus in bits that the signature check takes.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Largest exponent that the cryptographic library takes: 33 bits.
const LARGEST_EXPONENT: u64 = (1 << 33) - 1;
/// Members that only a private or a symmetric key has (RFC 7518, sections 6.3.2 and 6.4): a set that shows
/// one has leaked it.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A key that RS256 signatures can be checked with, and nothing else.
#[derive(Clone)]
pub(super) struct VerificationKey(DecodingKey);

impl VerificationKey {
    /// Reads a member of `keys`, with its `kid`. `None` when it is for something else or is odd in any
    /// way: such a key does no harm to the others.
    pub(super) fn read(member: &Value) -> Option<(String, Self)> {
        let key = member.as_object()?;
        let is = |name: &str, wanted: &str| key.get(name).and_then(Value::as_str) == Some(wanted);
        let absent_or = |name: &str, wanted: &str| !key.contains_key(name) || is(name, wanted);
        let meant_for_this = is("kty", "RSA") && absent_or("use", "sig") && absent_or("alg", "RS256") && verifies(key);
        if !meant_for_this || PRIVATE.iter().any(|name| key.contains_key(*name)) {
            return None;
        }
        let kid = key.get("kid")?.as_str().filter(|kid| is_tokenish(kid, LONGEST_KID))?;
        let (modulus, exponent) = (number(key, "n")?, number(key, "e")?);
        let fits = MODULUS_BITS.contains(&bits(&modulus)) && is_odd(&modulus) && is_exponent(&exponent);
        fits.then(|| (kid.to_owned(), Self(DecodingKey::from_rsa_raw_components(&modulus, &exponent))))
    }

    pub(super) fn decoding_key(&self) -> &DecodingKey {
        &self.0
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerificationKey")
    }
}

/// `key_ops`: absent, or a list of texts with `verify` among them.
fn verifies(key: &Object) -> bool {
    match key.get("key_ops") {
        None => true,
        Some(Value::Array(list)) => list.iter().all(Value::is_string) && list.iter().any(|item| item == "verify"),
        Some(_) => false,
    }
}

/// A `Base64urlUInt` (RFC 7518, section 2): big-endian, with no more bytes than it needs.
fn number(key: &Object, name: &str) -> Option<Vec<u8>> {
    let text = key.get(name)?.as_str().filter(|text| text.len() <= 2048)?;
    URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.first().is_some_and(|byte| *byte != 0))
}

fn bits(number: &[u8]) -> usize {
    number.len() * 8 - number.first().map_or(0, |byte| byte.leading_zeros() as usize)
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|byte| byte & 1 == 1)
}

/// Odd, at least 3, and not too large. Apple's is 65537.
fn is_exponent(number: &[u8]) -> bool {
    let value = (number.len() <= 8).then(|| number.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte)));
    is_odd(number) && value.is_some_and(|value| (3..=LARGEST_EXPONENT).contains(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apple::testing;
    use serde_json::json;

    fn with(name: &str, value: Value) -> Value {
        let mut key = testing::jwk("k1", testing::rsa_key());
        key[name] = value;
        key
    }

    fn without(name: &str) -> Value {
        let mut key = testing::jwk("k1", testing::rsa_key());
        key.as_object_mut().unwrap().remove(name);
        key
    }

    fn modulus(bytes: usize, first: u8, last: u8) -> Value {
        let mut number = vec![0xaa; bytes];
        (number[0], number[bytes - 1]) = (first, last);
        json!(URL_SAFE_NO_PAD.encode(number))
    }

    #[test]
    fn a_key_as_apple_publishes_it_is_usable() {
        let key = testing::jwk("k1", testing::rsa_key());
        assert_eq!(key["e"], "AQAB");
        assert_eq!(VerificationKey::read(&key).unwrap().0, "k1");
    }

    #[test]
    fn what_is_optional_may_be_absent() {
        for name in ["use", "alg"] {
            assert!(VerificationKey::read(&without(name)).is_some(), "{name}");
        }
        for (name, value) in [
            ("key_ops", json!(["verify"])),
            ("key_ops", json!(["sign", "verify"])),
            ("x5t", json!("x")),
            ("unknown", json!({})),
            ("e", json!("Aw")),
            ("n", modulus(1024, 0xff, 1)),
        ] {
            assert!(VerificationKey::read(&with(name, value.clone())).is_some(), "{name} {value}");
        }
    }

    #[test]
    fn a_key_that_is_for_something_else_or_odd_is_no_key() {
        for name in ["kty", "kid", "n", "e"] {
            assert!(VerificationKey::read(&without(name)).is_none(), "without {name}");
        }
        for (name, value) in [
            ("kty", json!("EC")),
            ("kty", json!("oct")),
            ("kty", json!("rsa")),
            ("kty", json!(["RSA"])),
            ("use", json!("enc")),
            ("use", json!(null)),
            ("use", json!(["sig"])),
            ("alg", json!("RS384")),
            ("alg", json!("PS256")),
            ("alg", json!("RSA-OAEP")),
            ("alg", json!(null)),
            ("key_ops", json!([])),
            ("key_ops", json!(["encrypt"])),
            ("key_ops", json!("verify")),
            ("key_ops", json!(["verify", 1])),
            ("kid", json!("")),
            ("kid", json!(1)),
            ("kid", json!("a b")),
            ("kid", json!("k".repeat(65))),
            ("d", json!("AQAB")),
            ("p", json!("AQAB")),
            ("k", json!("AQAB")),
            ("n", json!("")),
            ("n", json!(1)),
            ("n", json!("AQAB=")),
            ("n", json!("AQ AB")),
            ("n", modulus(128, 0xff, 1)),
            ("n", modulus(256, 0x7f, 1)),
            ("n", modulus(256, 0xff, 2)),
            ("n", modulus(257, 0x00, 1)),
            ("n", modulus(1025, 0x01, 1)),
            ("e", json!("")),
            ("e", json!("AQ")),
            ("e", json!("BA")),
            ("e", json!("AAEAAQ")),
            ("e", json!("////////AQ")),
            ("e", json!("AgAAAAE")),
            ("e", json!(65537)),
        ] {
            assert!(VerificationKey::read(&with(name, value.clone())).is_none(), "{name} {value}");
        }
        for odd in [json!(null), json!("k1"), json!([])] {
            assert!(VerificationKey::read(&odd).is_none(), "{odd}");
        }
    }
}
