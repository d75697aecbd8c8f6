//! The `Connection` field: what it may nominate for removal (RFC 9110, section 7.6.1).

use super::{
    Refusal,
    field::{list, token},
};
use crate::web::FoldedName;

/// Most options of one request. pingora answers ten nominations with an error of its own.
const MOST_OPTIONS: usize = 8;

/// Fields that a client must not have removed between the gateway, which read them, and the app.
const KEPT: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "content-type",
    "content-encoding",
    "cookie",
    "authorization",
    "origin",
    "forwarded",
];

/// The same, by how they begin: `Connection: X-Forwarded-Host` has cost others their own headers
/// (CVE-2025-48865).
const KEPT_PREFIXES: [&str; 4] = ["x-forwarded-", "x-schoolgate-", "x-auth-request-", "sec-"];

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
        let folded = FoldedName::of(name);
        let name = folded.as_str();
        if KEPT.contains(&name) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
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
    fn fields_that_matter_cannot_be_nominated() {
        for name in [
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "Cookie",
            "Authorization",
            "X-Forwarded-For",
            "X-Forwarded-User",
            "x_forwarded_host",
            "HTTP_COOKIE",
            "X-Schoolgate-User",
            "Sec-WebSocket-Key",
            "Sec-Fetch-Mode",
            "Forwarded",
            "Origin",
            "Content-Type",
        ] {
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
