//! Sealing: AEAD for what leaves the process and must come back unread and unchanged.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

use crate::entropy::{self, Entropy};

/// Why a key file is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// Not base64.
    #[error("is not base64; make one with: openssl rand -base64 32")]
    Base64,
    /// Not 32 bytes.
    #[error("does not hold 32 bytes; make one with: openssl rand -base64 32")]
    Length,
}

/// A text that does not open: changed, of another key, of another purpose, or never sealed by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open")]
pub struct OpenError;

/// Seals with AES-256-GCM-SIV (RFC 8452), which forgives even a repeated nonce.
pub struct Sealer(LessSafeKey);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer([redacted])")
    }
}

impl Sealer {
    /// A new key in base64, as a key file holds it.
    pub fn new_key(source: &dyn Entropy) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(Zeroizing::new(entropy::bytes::<32>(source))))
    }

    /// Reads a key of 32 bytes in base64; white space around it does not count.
    ///
    /// # Errors
    /// When it is not base64, or not 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, KeyProblem> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| KeyProblem::Base64)?);
        let key = UnboundKey::new(&AES_256_GCM_SIV, &bytes).map_err(|_| KeyProblem::Length)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals `plain` for one purpose, in base64url. What was sealed for another does not open.
    pub fn seal(&self, purpose: &str, plain: &[u8], source: &dyn Entropy) -> String {
        let nonce: [u8; NONCE_LEN] = entropy::bytes(source);
        let mut sealed = plain.to_vec();
        // Sealing fails only for messages beyond 2^36 bytes.
        if self
            .0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose.as_bytes()), &mut sealed)
            .is_err()
        {
            return String::new();
        }
        URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Self::seal`] made for the same purpose.
    ///
    /// # Errors
    /// When it was not made so, or has been changed.
    pub fn open(&self, purpose: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| OpenError)?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN).ok_or(OpenError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError)?;
        let mut rest = Zeroizing::new(rest.to_vec());
        let length =
            self.0.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut rest).map_err(|_| OpenError)?.len();
        rest.truncate(length);
        Ok(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    fn sealer() -> Sealer {
        Sealer::from_base64(&Sealer::new_key(&SystemEntropy)).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_purpose_only() {
        let sealer_ = sealer();
        let sealed = sealer_.seal("login", b"hello", &SystemEntropy);
        assert_eq!(&**sealer_.open("login", &sealed).unwrap(), b"hello");
        assert_eq!(sealer_.open("other", &sealed).unwrap_err(), OpenError);
        assert_eq!(sealer().open("login", &sealed).unwrap_err(), OpenError);
    }

    #[test]
    fn any_changed_character_breaks_the_seal() {
        let sealer = sealer();
        let sealed = sealer.seal("p", b"hello", &SystemEntropy);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(changed == sealed || sealer.open("p", &changed).is_err(), "{at}");
        }
        for text in ["", "A", "AAAA", &sealed[..sealed.len() - 4]] {
            assert!(sealer.open("p", text).is_err());
        }
    }

    #[test]
    fn two_sealings_of_one_text_differ() {
        let sealer = sealer();
        assert_ne!(sealer.seal("p", b"x", &SystemEntropy), sealer.seal("p", b"x", &SystemEntropy));
    }

    #[test]
    fn a_wrong_key_file_says_what_is_wrong() {
        assert_eq!(Sealer::from_base64("not base64!").unwrap_err(), KeyProblem::Base64);
        assert_eq!(Sealer::from_base64("AAAA").unwrap_err(), KeyProblem::Length);
        assert!(Sealer::from_base64(&format!(" {}\n", &*Sealer::new_key(&SystemEntropy))).is_ok());
    }
}
