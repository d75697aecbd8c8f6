//! RSA keys of 2048 bits, as Apple signs ID tokens with.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::client::pem;

/// Where the modulus lies in the DER of RFC 8017 of a key of 2048 bits with the exponent 65537.
const MODULUS: std::ops::Range<usize> = 9..265;

/// Making a key takes a tenth of a second: stand-ins of one process share their first ones, under
/// other names. Keys that come by rotation are always fresh.
static SHARED: Mutex<Vec<Arc<KeyPair>>> = Mutex::new(Vec::new());

/// The signature algorithms that an RSA key can be used with.
#[derive(Clone, Copy, Debug)]
pub(super) enum RsaAlgorithm {
    Rs256,
    Rs512,
    Ps256,
}

impl RsaAlgorithm {
    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs256 => &RSA_PKCS1_SHA256,
            Self::Rs512 => &RSA_PKCS1_SHA512,
            Self::Ps256 => &RSA_PSS_SHA256,
        }
    }
}

/// A key pair and its name.
#[derive(Clone)]
pub(super) struct SigningKey {
    pair: Arc<KeyPair>,
    kid: String,
}

impl SigningKey {
    /// The pair number `place` that the stand-ins of this process share, under the name `kid`.
    pub(super) fn shared(place: usize, kid: String) -> io::Result<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        while shared.len() <= place {
            shared.push(Arc::new(generate()?));
        }
        Ok(Self { pair: Arc::clone(&shared[place]), kid })
    }

    /// A pair that has never been seen.
    pub(super) fn fresh(kid: String) -> io::Result<Self> {
        Ok(Self { pair: Arc::new(generate()?), kid })
    }

    /// The identifier.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key as Apple publishes it (RFC 7517).
    pub(super) fn jwk(&self) -> Value {
        json!({
            "kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256",
            "n": URL_SAFE_NO_PAD.encode(self.modulus()), "e": "AQAB",
        })
    }

    /// The public key as `SubjectPublicKeyInfo` in PEM: what a forger would use as an HMAC key.
    pub(super) fn public_pem(&self) -> String {
        self.pair.public_key().as_der().map(|der| pem("PUBLIC KEY", der.as_ref())).unwrap_or_default()
    }

    /// Signs; empty when the library refuses, which no verifier takes for a signature.
    pub(super) fn sign(&self, algorithm: RsaAlgorithm, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        match self.pair.sign(algorithm.encoding(), &SystemRandom::new(), message, &mut signature) {
            Ok(()) => signature,
            Err(_) => Vec::new(),
        }
    }

    fn modulus(&self) -> &[u8] {
        self.pair.public_key().as_ref().get(MODULUS).unwrap_or_default()
    }
}

fn generate() -> io::Result<KeyPair> {
    KeyPair::generate(KeySize::Rsa2048).map_err(|_| io::Error::other("no RSA key could be made"))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, DecodingKey, crypto};

    use super::*;

    #[test]
    fn another_library_verifies_with_the_published_key() {
        let key = SigningKey::shared(0, "ABCDEFGHIJ".into()).unwrap();
        let jwk = key.jwk();
        assert_eq!(jwk["n"].as_str().unwrap().len(), 342);
        let public = DecodingKey::from_rsa_components(jwk["n"].as_str().unwrap(), "AQAB").unwrap();
        for (ours, theirs) in [
            (RsaAlgorithm::Rs256, Algorithm::RS256),
            (RsaAlgorithm::Rs512, Algorithm::RS512),
            (RsaAlgorithm::Ps256, Algorithm::PS256),
        ] {
            let signature = URL_SAFE_NO_PAD.encode(key.sign(ours, b"message"));
            assert!(crypto::verify(&signature, b"message", &public, theirs).unwrap(), "{ours:?}");
        }
        assert!(DecodingKey::from_rsa_pem(key.public_pem().as_bytes()).is_ok());
    }

    #[test]
    fn shared_keys_are_made_once_and_fresh_ones_are_others() {
        let (one, other) = (SigningKey::shared(0, "a".into()).unwrap(), SigningKey::shared(0, "b".into()).unwrap());
        assert_eq!(one.modulus(), other.modulus());
        assert_ne!(one.modulus(), SigningKey::shared(1, "a".into()).unwrap().modulus());
        assert_ne!(one.modulus(), SigningKey::fresh("a".into()).unwrap().modulus());
    }
}
