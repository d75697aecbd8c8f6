//! One key that assertions are signed with: EC on curve P-256, for ES256.

use std::fmt;

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::AssertionError;
use crate::entropy::{self, Entropy};

/// Start and end of an `ECPrivateKey` (RFC 5915, section 3) on P-256; the 32 bytes of the scalar go between.
const EC_PRIVATE_KEY: (&[u8], &[u8]) = (
    &[0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20],
    &[0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
);

/// Draws before the source of randomness counts as broken: all but one of 2^32 are a key.
const DRAWS: usize = 10;

/// A key pair. `Debug` shows its name.
pub(super) struct Key {
    scalar: Zeroizing<[u8; 32]>,
    pair: EcdsaKeyPair,
    x: String,
    y: String,
    kid: String,
}

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// When none can be made: the source of randomness is broken.
    pub(super) fn draw(source: &dyn Entropy) -> Result<Self, AssertionError> {
        // A random number is a key unless it is zero or not below the order of the curve.
        (0..DRAWS).find_map(|_| Self::of(Zeroizing::new(entropy::bytes(source)))).ok_or(AssertionError::Key)
    }

    /// From its text; `None` when it is no key.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        Self::of(Zeroizing::new(bytes.as_slice().try_into().ok()?))
    }

    fn of(scalar: Zeroizing<[u8; 32]>) -> Option<Self> {
        let (start, end) = EC_PRIVATE_KEY;
        let der = Zeroizing::new([start, scalar.as_slice(), end].concat());
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).ok()?;
        // SEC 1, section 2.3.3: an uncompressed point.
        let (x, y) = pair.public_key().as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let kid = thumbprint(&x, &y);
        Some(Self { scalar, pair, x, y, kid })
    }

    /// The secret half, for a sealed place.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(*self.scalar))
    }

    /// Its name.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half (RFC 7517, section 4, and RFC 7518, section 6.2.1).
    pub(super) fn jwk(&self) -> Value {
        json!({
            "kty": "EC", "crv": "P-256", "x": self.x, "y": self.y, "use": "sig", "alg": "ES256", "kid": self.kid,
        })
    }

    /// Signs as RFC 7518, section 3.4, wants it: `r` and `s`, 32 bytes each, without ASN.1.
    ///
    /// # Errors
    /// When the library refuses; it gives no reason.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AssertionError> {
        // The library draws the nonce of the signature itself and does not use this source.
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| AssertionError::Key)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.kid).finish()
    }
}

/// RFC 7638, section 3: every gateway gives a key the same name, and no two keys share one.
fn thumbprint(x: &str, y: &str) -> String {
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn what_it_signs_is_verified_with_what_it_publishes() {
        let key = Key::draw(&SystemEntropy).unwrap();
        let jwk = key.jwk();
        let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let point = [vec![4], part("x"), part("y")].concat();
        let signature = key.sign(b"message").unwrap();
        assert_eq!(signature.len(), 64);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(b"message", &signature).unwrap();
    }

    #[test]
    fn a_key_comes_back_as_it_was_with_its_name() {
        let key = Key::draw(&SystemEntropy).unwrap();
        let again = Key::from_text(&key.to_text()).unwrap();
        assert_eq!((again.kid(), again.jwk()), (key.kid(), key.jwk()));
        assert_ne!(key.kid(), Key::draw(&SystemEntropy).unwrap().kid());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let zero = URL_SAFE_NO_PAD.encode([0; 32]);
        let beyond = URL_SAFE_NO_PAD.encode([0xff; 32]);
        for text in ["", "x", "AAAA", &zero, &beyond] {
            assert!(Key::from_text(text).is_none(), "{text}");
        }
    }

    #[test]
    fn only_the_public_half_is_shown() {
        let key = Key::draw(&SystemEntropy).unwrap();
        let secret = key.to_text();
        let members: Vec<_> = key.jwk().as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        assert!(!key.jwk().to_string().contains(&**secret) && !format!("{key:?}").contains(&**secret));
    }

    /// Appendix A.3 of RFC 7515 has the key, and RFC 7638 the rule; the digest was computed apart.
    #[test]
    fn the_name_is_the_thumbprint() {
        let key = Key::from_text("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI").unwrap();
        assert_eq!(key.jwk()["x"], "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
        assert_eq!(key.kid(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
    }
}
