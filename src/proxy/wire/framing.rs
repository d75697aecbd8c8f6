//! How long a body is (RFC 9112, section 6.3), when there is exactly one answer.

use super::{Refusal, Version};

/// Most digits that a length up to 2^63 - 1 can have.
const MOST_DIGITS: usize = 19;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// There is none.
    None,
    /// So many bytes; at least one.
    Length(u64),
    /// Chunks, until an empty one.
    Chunked,
}

/// Judges the framing fields of a head.
pub(super) fn body_kind<'a>(
    version: Version,
    mut lengths: impl Iterator<Item = &'a [u8]>,
    mut codings: impl Iterator<Item = &'a [u8]>,
) -> Result<BodyKind, Refusal> {
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(BodyKind::None),
        (Some(_), Some(_)) => Err(Refusal::TwoFramings),
        (Some(_), None) if lengths.next().is_some() => Err(Refusal::ContentLengthRepeated),
        (Some(length), None) => match parse_length(length)? {
            0 => Ok(BodyKind::None),
            length => Ok(BodyKind::Length(length)),
        },
        (None, Some(_)) if version == Version::Http10 => Err(Refusal::TransferEncodingVersion),
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() => {
            Ok(BodyKind::Chunked)
        }
        (None, Some(_)) => Err(Refusal::TransferEncoding),
    }
}

/// Digits alone: no sign, no list, nothing empty. Some software counts in signed 64-bit numbers, so
/// nothing above 2^63 - 1.
fn parse_length(value: &[u8]) -> Result<u64, Refusal> {
    let fine = (1..=MOST_DIGITS).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value)
        .ok()
        .filter(|_| fine)
        .and_then(|digits| digits.parse::<i64>().ok())
        .and_then(|length| u64::try_from(length).ok())
        .ok_or(Refusal::ContentLength)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(lengths: &[&str], codings: &[&str]) -> Result<BodyKind, Refusal> {
        body_kind(
            Version::Http11,
            lengths.iter().map(|text| text.as_bytes()),
            codings.iter().map(|text| text.as_bytes()),
        )
    }

    #[test]
    fn a_body_is_framed_in_one_way() {
        assert_eq!(judge(&[], &[]), Ok(BodyKind::None));
        assert_eq!(judge(&["0"], &[]), Ok(BodyKind::None));
        assert_eq!(judge(&["0042"], &[]), Ok(BodyKind::Length(42)));
        assert_eq!(judge(&["9223372036854775807"], &[]), Ok(BodyKind::Length(i64::MAX.unsigned_abs())));
        assert_eq!(judge(&[], &["Chunked"]), Ok(BodyKind::Chunked));
        assert_eq!(judge(&["5"], &["chunked"]), Err(Refusal::TwoFramings));
    }

    #[test]
    fn a_length_is_digits_alone() {
        for length in [
            "",
            "+5",
            "-1",
            "0x5",
            "5, 5",
            "5,5",
            "5 5",
            "5;",
            "5.0",
            "1e3",
            "five",
            "\u{665}",
            "9223372036854775808",
            "18446744073709551616",
            "00000000000000000005",
        ] {
            assert_eq!(judge(&[length], &[]), Err(Refusal::ContentLength), "{length}");
        }
        assert_eq!(judge(&["5", "5"], &[]), Err(Refusal::ContentLengthRepeated));
        assert_eq!(judge(&["5", "6"], &[]), Err(Refusal::ContentLengthRepeated));
    }

    #[test]
    fn the_only_transfer_coding_is_one_chunked() {
        for coding in [
            "",
            "identity",
            "gzip",
            "xchunked",
            "chunked, identity",
            "identity, chunked",
            "gzip, chunked",
            "chunked, chunked",
            "chunked,",
            ",chunked",
            "chunked;q=1",
            "\"chunked\"",
            "chunked x",
            "chunke\u{212a}",
        ] {
            assert_eq!(judge(&[], &[coding]), Err(Refusal::TransferEncoding), "{coding}");
        }
        assert_eq!(judge(&[], &["chunked", "chunked"]), Err(Refusal::TransferEncoding));
        assert_eq!(judge(&[], &["chunked", "identity"]), Err(Refusal::TransferEncoding));
        let old = body_kind(Version::Http10, std::iter::empty(), [&b"chunked"[..]].into_iter());
        assert_eq!(old, Err(Refusal::TransferEncodingVersion));
    }
}
