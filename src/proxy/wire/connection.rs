//! The `Connection` field: what it may nominate for removal (RFC 9110, section 7.6.1).

use super::{
    Refusal,
    field::{list, token},
};
use crate::web::FoldedName;

/// Most options of one request. pingora answers ten nominations with an error of its own.
const MOST_OPTIONS: usize = 8;

/// Fields whose removal would change where the request ends or where it goes. What else matters, a
/// nomination does not remove (`proxy::forwarding`): that takes knowing the app.
const KEPT: [&str; 3] = ["host", "content-length", "transfer-encoding"];

/// The connection options of a request, over all its `Connection` fields.
pub(super) fn options<'a>(values: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    values.flat_map(list)
}

/// Judges the nominations.
pub(super) fn judge<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<(), Refusal> {
    for (index, option) in options(values).enumerate() {
        let name = token(option).filter(|_| index < MOST_OPTIONS).ok_or(Refusal::Nomination)?;
        if name.eq_ignore_ascii_case("close") || name.eq_ignore_ascii_case("keep-alive") {
            continue;
        }
        if KEPT.contains(&FoldedName::of(name).as_str()) {
            return Err(Refusal::Nomination);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge_one(value: &str) -> Result<(), Refusal> {
        judge([value.as_bytes()].into_iter())
    }

    #[test]
    fn what_browsers_send_is_fine() {
        for value in
            ["", "close", "Keep-Alive", "keep-alive, Upgrade", "Upgrade, HTTP2-Settings", "TE, close", ", close,"]
        {
            assert_eq!(judge_one(value), Ok(()), "{value}");
        }
    }

    #[test]
    fn fields_that_frame_or_route_cannot_be_nominated() {
        for name in ["Host", "Content-Length", "content_length", "Transfer-Encoding", "HTTP_HOST"] {
            assert_eq!(judge_one(&format!("close, {name}")), Err(Refusal::Nomination), "{name}");
        }
    }

    #[test]
    fn options_are_tokens_and_few() {
        for value in ["a b", "a;b", "\"close\"", "close, @"] {
            assert_eq!(judge_one(value), Err(Refusal::Nomination), "{value}");
        }
        assert_eq!(judge_one(&["a"; 8].join(",")), Ok(()));
        assert_eq!(judge_one(&["a"; 9].join(",")), Err(Refusal::Nomination));
        assert_eq!(judge([&b"a,a,a,a,a"[..], b"a,a,a,a"].into_iter()), Err(Refusal::Nomination));
    }
}
