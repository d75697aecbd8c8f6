//! What makes a form ours. The page of another site can send a form here, but it cannot read what stands in ours: it
//! does not know the key of this process.

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::entropy::{self, Entropy};

/// What a form may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Ask what would end. It stands in every page.
    Ask,
    /// End it. It stands in the page that was asked for first, and in no other.
    End,
}

impl Deed {
    const fn word(self) -> &'static [u8] {
        match self {
            Self::Ask => b"ask",
            Self::End => b"end",
        }
    }
}

/// Gives permits, and knows them again.
pub(super) struct Permits(hmac::Key);

impl Permits {
    /// With a key that ends with the process.
    pub(super) fn new(source: &dyn Entropy) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &entropy::bytes::<32>(source)))
    }

    /// For a field of a form.
    pub(super) fn give(&self, deed: Deed) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, deed.word()))
    }

    /// Whether a form is ours, and for this.
    pub(super) fn is_ours(&self, deed: Deed, text: &str) -> bool {
        URL_SAFE_NO_PAD.decode(text).is_ok_and(|tag| hmac::verify(&self.0, deed.word(), &tag).is_ok())
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn a_permit_is_good_for_one_deed_in_one_process() {
        let (here, before) = (Permits::new(&SystemEntropy), Permits::new(&SystemEntropy));
        let (ask, end) = (here.give(Deed::Ask), here.give(Deed::End));
        assert!(here.is_ours(Deed::Ask, &ask) && here.is_ours(Deed::End, &end));
        assert!(!here.is_ours(Deed::End, &ask) && !here.is_ours(Deed::Ask, &end));
        assert!(!here.is_ours(Deed::End, &before.give(Deed::End)));
        for text in ["", "AAAA", &end[1..], &format!("{end}A")] {
            assert!(!here.is_ours(Deed::End, text), "{text}");
        }
    }
}
