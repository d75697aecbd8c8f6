//! Text that must never be seen: tokens, codes, cookies, keys.
//!
//! One type, one law. A [`Secret`] has no `Display`, no `Serialize` and no `==`; its `Debug` says
//! `[redacted]`, it is wiped when dropped, and reading it takes a call to [`Secret::expose`] that
//! stands out in a review. `K` tells kinds apart, so that an access token cannot go where a refresh
//! token belongs.

use std::{fmt, marker::PhantomData};

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// A secret text of kind `K`.
pub struct Secret<K> {
    text: Zeroizing<Box<str>>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Secret<K> {
    /// Takes a text into custody.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        // What has room to spare would be moved, and left behind unwiped.
        let kept = if text.len() == text.capacity() { text.into_boxed_str() } else { copy_and_wipe(&mut text) };
        Self { text: Zeroizing::new(kept), kind: PhantomData }
    }

    /// The text itself. Every call is a place to look at: it must end in a request to its owner,
    /// in a cookie, in a sealed record, or in a header for the app.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Compares in time that depends on the lengths only.
    #[must_use]
    pub fn matches(&self, other: &str) -> bool {
        self.text.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

fn copy_and_wipe(text: &mut String) -> Box<str> {
    let copy = text.as_str().into();
    text.zeroize();
    copy
}

impl<K> Clone for Secret<K> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), kind: PhantomData }
    }
}

impl<K> fmt::Debug for Secret<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Anything;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::<Anything>::new("tell nobody");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "[redacted] Some([redacted])");
    }

    #[test]
    fn matches_compares_the_whole_text() {
        let secret = Secret::<Anything>::new("abc");
        assert!(secret.matches("abc"));
        for other in ["", "ab", "abd", "abcd", "ABC"] {
            assert!(!secret.matches(other), "{other}");
        }
    }
}
