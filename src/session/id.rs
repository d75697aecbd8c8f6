//! What a session is called: by its browser, by the store, and in public.

use std::{
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::entropy::{self, Entropy};

/// 256 random bits in base64url: who holds it, is the person.
#[derive(Clone)]
pub struct SessionId(Zeroizing<[u8; Self::LENGTH]>);

impl SessionId {
    const LENGTH: usize = 43;

    /// A new identifier.
    pub fn draw(source: &dyn Entropy) -> Self {
        let mut text = Zeroizing::new([0; Self::LENGTH]);
        let bytes = Zeroizing::new(entropy::bytes::<32>(source));
        // 32 bytes are 43 letters.
        let written = URL_SAFE_NO_PAD.encode_slice(*bytes, text.as_mut_slice());
        debug_assert_eq!(written, Ok(Self::LENGTH));
        Self(text)
    }

    /// Reads a cookie value; `None` when it cannot be an identifier of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: &[u8; Self::LENGTH] = text.as_bytes().try_into().ok()?;
        let mut bytes = Zeroizing::new([0; 33]);
        let length = URL_SAFE_NO_PAD.decode_slice(letters, bytes.as_mut_slice()).ok()?;
        (length == 32).then(|| Self(Zeroizing::new(*letters)))
    }

    /// The cookie value.
    #[must_use]
    pub fn expose(&self) -> &str {
        // Nothing else gets in.
        str::from_utf8(self.0.as_slice()).unwrap_or_default()
    }

    /// Its name in the store.
    #[must_use]
    pub fn key(&self) -> SessionKey {
        let mut key = [0; 32];
        key.copy_from_slice(digest::digest(&digest::SHA256, self.0.as_slice()).as_ref());
        SessionKey(key)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// SHA-256 of an identifier. A stolen store opens no session: 256 random bits cannot be guessed back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionKey([u8; 32]);

/// A part of it: SHA-256 is as good as any hash.
impl Hash for SessionKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
    }
}

/// Looks keys up without hashing them once more. Only for maps into which no stranger can put a key: only what a
/// session has is in a store.
pub(super) type KeyHash = BuildHasherDefault<KeyHasher>;

/// Takes the hash of a key as it is.
#[derive(Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl SessionKey {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From bytes that [`Self::bytes`] gave.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key as text, for a sealed cookie.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads what [`Self::to_text`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[session key]")
    }
}

/// The public name of a session, for logs, administrators and apps. It opens nothing.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Handle(Name);

/// Those that [`Handle::draw`] makes are no allocation of their own.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Name {
    Drawn([u8; 16]),
    Other(Box<str>),
}

impl Handle {
    /// A new handle.
    pub fn draw(source: &dyn Entropy) -> Self {
        Self::of(&entropy::hex::<8>(source))
    }

    /// Reads what an administrator typed or a record holds; `None` when it cannot be a handle.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fine = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fine.then(|| Self::of(text))
    }

    /// A handle that a test can name.
    #[cfg(test)]
    pub(crate) fn for_tests(text: &str) -> Self {
        Self::of(text)
    }

    fn of(text: &str) -> Self {
        Self(text.as_bytes().try_into().map_or_else(|_| Name::Other(text.into()), Name::Drawn))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // It was a text.
            Name::Drawn(letters) => str::from_utf8(letters).unwrap_or_default(),
            Name::Other(text) => text,
        }
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({:?})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn an_identifier_reads_back_and_has_one_key() {
        let id = SessionId::draw(&SystemEntropy);
        assert_eq!(id.expose().len(), SessionId::LENGTH);
        let read = SessionId::parse(id.expose()).unwrap();
        assert!(read.key() == id.key());
        assert!(SessionId::draw(&SystemEntropy).key() != id.key());
    }

    #[test]
    fn what_cannot_be_an_identifier_is_none() {
        let fine = SessionId::draw(&SystemEntropy).expose().to_owned();
        for text in [
            "",
            "x",
            &fine[1..],
            &format!("{fine}A"),
            &format!("{}=", &fine[1..]),
            &format!("{}!", &fine[1..]),
            &"é".repeat(21),
        ] {
            assert!(SessionId::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn nothing_shows_the_secret() {
        let id = SessionId::draw(&SystemEntropy);
        assert!(!format!("{id:?} {:?}", id.key()).contains(id.expose()));
    }
}
