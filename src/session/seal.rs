//! Sealing: AEAD for what leaves the process and must come back unread and unchanged.

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use zeroize::{Zeroize, Zeroizing};

use crate::entropy::{self, Entropy};

/// Most keys of a ring: the current one and those before it.
const MOST_KEYS: usize = 8;

/// Why a key file is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// Not base64.
    #[error("is not base64; make one with: openssl rand -base64 32")]
    Base64,
    /// Not 32 bytes.
    #[error("does not hold 32 bytes; make one with: openssl rand -base64 32")]
    Length,
    /// No line with a key.
    #[error("holds no key; make one with: openssl rand -base64 32")]
    Empty,
    /// More keys than anybody needs.
    #[error("holds more than 8 keys; keep the current one on the first line and the one before it on the second")]
    TooMany,
    /// One key twice.
    #[error("holds the same key twice; keep the current one on the first line and the one before it on the second")]
    Repeated,
}

/// A text that does not open: changed, of another key, of another purpose, or never sealed by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open")]
pub struct OpenError;

/// The hash of a name under a key of the ring: in a store it tells nobody the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag([u8; 32]);

impl Tag {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// One key: for sealing, and derived from it one for tags.
struct Key {
    aead: LessSafeKey,
    tags: hmac::Key,
}

impl Key {
    fn from_base64(text: &str) -> Result<(Self, Zeroizing<Vec<u8>>), KeyProblem> {
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| KeyProblem::Base64)?);
        let key = UnboundKey::new(&AES_256_GCM_SIV, &bytes).map_err(|_| KeyProblem::Length)?;
        // The two uses never share a key: the second is a hash under the first.
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &bytes), b"schoolgate tags 1");
        let tags = hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref());
        Ok((Self { aead: LessSafeKey::new(key), tags }, bytes))
    }

    fn open(&self, purpose: &[u8], nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut rest = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = self.aead.open_in_place(nonce, Aad::from(purpose), &mut rest).ok()?.len();
        rest.truncate(length);
        Some(rest)
    }
}

/// Seals with AES-256-GCM-SIV (RFC 8452), which forgives even a repeated nonce. Holds a ring of keys: the
/// first seals, every one opens, so that a key can be changed without signing anybody out.
pub struct Sealer {
    current: Key,
    previous: Vec<Key>,
}

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

    /// Reads a key file: keys of 32 bytes in base64, one a line, the current one first. Empty lines and
    /// white space around a key do not count.
    ///
    /// # Errors
    /// When a line is not base64, or not 32 bytes, or there is none.
    pub fn from_key_file(text: &str) -> Result<Self, KeyProblem> {
        let mut keys = Vec::new();
        let mut known = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (key, bytes) = Key::from_base64(line)?;
            if known.contains(&bytes) {
                return Err(KeyProblem::Repeated);
            }
            known.push(bytes);
            keys.push(key);
        }
        if keys.len() > MOST_KEYS {
            return Err(KeyProblem::TooMany);
        }
        let mut keys = keys.into_iter();
        let current = keys.next().ok_or(KeyProblem::Empty)?;
        Ok(Self { current, previous: keys.collect() })
    }

    /// Seals `plain` for one purpose, in base64url. What was sealed for another does not open.
    pub fn seal(&self, purpose: &str, plain: &[u8], source: &dyn Entropy) -> String {
        URL_SAFE_NO_PAD.encode(self.seal_bytes(purpose.as_bytes(), plain, source))
    }

    /// The same in bytes.
    pub fn seal_bytes(&self, purpose: &[u8], plain: &[u8], source: &dyn Entropy) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = entropy::bytes(source);
        let mut sealed = plain.to_vec();
        let sealing = self.current.aead.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(purpose),
            &mut sealed,
        );
        // Sealing fails only for messages beyond 2^36 bytes.
        if sealing.is_err() {
            sealed.zeroize();
            return Vec::new();
        }
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`Self::seal`] made for the same purpose.
    ///
    /// # Errors
    /// When it was not made so, or has been changed.
    pub fn open(&self, purpose: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| OpenError)?;
        self.open_bytes(purpose.as_bytes(), &bytes)
    }

    /// Opens what [`Self::seal_bytes`] made for the same purpose.
    ///
    /// # Errors
    /// When it was not made so, or has been changed.
    pub fn open_bytes(&self, purpose: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        self.open_telling(purpose, sealed).map(|(plain, _)| plain)
    }

    /// The same, and whether the current key sealed it.
    ///
    /// # Errors
    /// When it was not made so, or has been changed.
    pub fn open_telling(&self, purpose: &[u8], sealed: &[u8]) -> Result<(Zeroizing<Vec<u8>>, bool), OpenError> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(OpenError)?;
        let mut opened = self.keys().enumerate().map(|(place, key)| (key.open(purpose, *nonce, rest), place == 0));
        opened.find_map(|(plain, is_current)| Some((plain?, is_current))).ok_or(OpenError)
    }

    /// Whether the current key sealed this for the purpose, and none of those before it.
    #[must_use]
    pub fn opens_with_current(&self, purpose: &[u8], sealed: &[u8]) -> bool {
        let parts = sealed.split_first_chunk::<NONCE_LEN>();
        parts.is_some_and(|(nonce, rest)| self.current.open(purpose, *nonce, rest).is_some())
    }

    /// The tag of a name of one kind under the current key.
    #[must_use]
    pub fn tag(&self, kind: &str, name: &str) -> Tag {
        tag(&self.current, kind, name)
    }

    /// The tags of a name under every key of the ring, the current one first.
    #[must_use]
    pub fn tags(&self, kind: &str, name: &str) -> Vec<Tag> {
        self.keys().map(|key| tag(key, kind, name)).collect()
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

fn tag(key: &Key, kind: &str, name: &str) -> Tag {
    let mut tag = [0; 32];
    tag.copy_from_slice(hmac::sign(&key.tags, format!("{kind}\0{name}").as_bytes()).as_ref());
    Tag(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    fn sealer() -> Sealer {
        Sealer::from_key_file(&Sealer::new_key(&SystemEntropy)).unwrap()
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
        let (one, other) = (Sealer::new_key(&SystemEntropy), Sealer::new_key(&SystemEntropy));
        for (text, problem) in [
            ("not base64!".to_owned(), KeyProblem::Base64),
            ("AAAA".to_owned(), KeyProblem::Length),
            (" \n\n".to_owned(), KeyProblem::Empty),
            (format!("{}\nrubbish!", *one), KeyProblem::Base64),
            (format!("{}\n{}\n{}", *one, *other, *one), KeyProblem::Repeated),
            ((0..9).map(|_| format!("{}\n", *Sealer::new_key(&SystemEntropy))).collect(), KeyProblem::TooMany),
        ] {
            assert_eq!(Sealer::from_key_file(&text).unwrap_err(), problem);
        }
        assert!(Sealer::from_key_file(&format!(" {}\n\n", &*one)).is_ok());
    }

    #[test]
    fn what_the_previous_key_sealed_opens_after_a_change_of_keys() {
        let (old, new) = (Sealer::new_key(&SystemEntropy), Sealer::new_key(&SystemEntropy));
        let before = Sealer::from_key_file(&old).unwrap();
        let after = Sealer::from_key_file(&format!("{}\n{}\n", *new, *old)).unwrap();
        let sealed = before.seal("p", b"x", &SystemEntropy);
        assert_eq!(&**after.open("p", &sealed).unwrap(), b"x");
        assert!(before.open("p", &after.seal("p", b"x", &SystemEntropy)).is_err(), "the new key seals");
        assert_eq!(after.tags("subject", "anna"), [after.tag("subject", "anna"), before.tag("subject", "anna")]);
    }

    #[test]
    fn a_tag_tells_kinds_and_keys_apart() {
        let sealer_ = sealer();
        assert_eq!(sealer_.tag("subject", "anna"), sealer_.tag("subject", "anna"));
        assert_ne!(sealer_.tag("subject", "anna"), sealer_.tag("organization", "anna"));
        assert_ne!(sealer_.tag("subject", "anna"), sealer().tag("subject", "anna"));
    }
}
