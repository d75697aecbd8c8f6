//! A form as a browser has sent it, and how it is written down until its person has signed in again.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    web::{Host, ReturnPath, Target},
};

/// Longest body that is kept: 1 MiB.
pub const LONGEST_FORM: usize = 1 << 20;

/// A form post. What people have written is nobody's business: `Debug` shows none of it.
#[derive(Clone)]
pub struct SentForm {
    /// The host that it was sent to.
    pub host: Host,
    /// Path and query that it was sent to.
    pub target: Target,
    /// Its `Content-Type`, which holds the boundary of a multipart body.
    pub content_type: String,
    /// The `Origin` that came with it: apps judge by it.
    pub origin: Option<String>,
    /// The `Referer` that came with it.
    pub referer: Option<String>,
    /// When it was sent.
    pub sent: Timestamp,
    /// Its body, byte for byte.
    pub body: Bytes,
}

/// What stands before the body; short names, as everywhere where something is sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head<'a> {
    h: &'a str,
    /// Not slices: JSON escapes the quotation mark and the backslash, which all of these may have.
    #[serde(borrow)]
    r: Cow<'a, str>,
    #[serde(borrow)]
    c: Cow<'a, str>,
    #[serde(borrow)]
    o: Option<Cow<'a, str>>,
    #[serde(borrow)]
    f: Option<Cow<'a, str>>,
    t: u64,
}

impl SentForm {
    /// Where a sign-in on the way to it leads back to; `None` where none can.
    #[must_use]
    pub fn way_back(&self) -> Option<ReturnPath> {
        ReturnPath::of(&self.target)
    }

    /// The form as bytes, behind `before`.
    pub(super) fn write(&self, before: &[u8]) -> Zeroizing<Vec<u8>> {
        let head = Head {
            h: self.host.name(),
            r: self.target.to_origin_form().into(),
            c: (&*self.content_type).into(),
            o: self.origin.as_deref().map(Cow::from),
            f: self.referer.as_deref().map(Cow::from),
            t: self.sent.millis(),
        };
        // Texts and numbers always have a JSON form; an empty one would not be read again.
        let head = serde_json::to_vec(&head).unwrap_or_default();
        let length = u32::try_from(head.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut whole = Vec::with_capacity(before.len() + length.len() + head.len() + self.body.len());
        for part in [before, &length, &head, &self.body] {
            whole.extend_from_slice(part);
        }
        Zeroizing::new(whole)
    }

    /// Reads what [`Self::write`] wrote.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (head, body) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let head: Head<'_> = serde_json::from_slice(head).ok()?;
        Some(Self {
            host: Host::parse(head.h).ok()?,
            target: Target::parse_origin_form(&head.r).ok()?,
            content_type: head.c.into_owned(),
            origin: head.o.map(Cow::into_owned),
            referer: head.f.map(Cow::into_owned),
            sent: Timestamp::from_millis(head.t),
            body: Bytes::copy_from_slice(body),
        })
    }
}

impl fmt::Debug for SentForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentForm").field("host", &self.host.name()).field("bytes", &self.body.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(target: &str, body: &'static [u8]) -> SentForm {
        SentForm {
            host: Host::parse("a.example").unwrap(),
            target: Target::parse_origin_form(target).unwrap(),
            content_type: r#"multipart/form-data; boundary="x\y""#.into(),
            origin: Some("https://a.example".into()),
            referer: None,
            sent: Timestamp::from_seconds(1_000),
            body: Bytes::from_static(body),
        }
    }

    #[test]
    fn a_form_comes_back_byte_for_byte() {
        for body in [&b"a=b"[..], b"", b"\0\xff\xfe\r\n--x\r\n"] {
            let before = form(r"/a?b=c&d=\e", body);
            let after = SentForm::read(&before.write(b"")).unwrap();
            assert_eq!(after.body, before.body);
            assert_eq!(after.target, before.target);
            assert_eq!((after.content_type, after.origin), (before.content_type, before.origin));
            assert_eq!((after.host, after.referer, after.sent), (before.host, None, before.sent));
        }
    }

    #[test]
    fn half_a_form_is_none() {
        let whole = form("/a", b"").write(b"");
        for end in 0..whole.len() {
            assert!(SentForm::read(&whole[..end]).is_none(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_as_a_form_or_as_none(bytes: Vec<u8>, length in 0_u32..40) {
            let framed = [&length.to_be_bytes()[..], &bytes].concat();
            prop_assert!(SentForm::read(&bytes).is_none());
            prop_assert!(SentForm::read(&framed).is_none());
        }
    }

    #[test]
    fn debug_shows_nothing_of_what_was_written() {
        let shown = format!("{:?}", form("/a?diary=secret", b"secret=diary"));
        assert!(!shown.contains("secret") && !shown.contains("diary"), "{shown}");
    }
}
