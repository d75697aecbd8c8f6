//! Why a request is refused before anybody else has seen it.

use std::io;

use crate::{
    telemetry::Unreadable,
    web::{HostError, TargetError},
};

/// Why a message is refused, in words for the operator.
///
/// All of it is what a stranger can cause: it is logged at `debug` and no higher. The connection ends
/// with every refusal, because nobody can tell where the next request would begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// HTTP on a port that speaks HTTPS.
    #[error("the request is not encrypted, and this port speaks HTTPS")]
    NotEncrypted,
    /// The request line is not `method SP target SP version`.
    #[error("the request line is not a method, a target and a version with one space between them")]
    RequestLine,
    /// The method is not made of capital letters and hyphens.
    #[error("the method is not one to 32 capital letters and hyphens")]
    Method,
    /// `TRACE` or `CONNECT`.
    #[error("the method is TRACE or CONNECT")]
    MethodNotAllowed,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    #[error("the HTTP version is neither 1.1 nor 1.0")]
    Version,
    /// The target can be read in two ways.
    #[error("the request target is refused: {0}")]
    Target(TargetError),
    /// The target is too long for the URI type that pingora uses, or has a character that it does not take.
    #[error("the request target is too long, or has a character that must be percent-encoded")]
    TargetUnusable,
    /// CR without LF, or LF without CR.
    #[error("a line ends in a bare CR or a bare LF")]
    BareLineBreak,
    /// A control character other than HTAB.
    #[error("the head has a control character")]
    ControlCharacter,
    /// A line that continues the one before (RFC 9112, section 5.2).
    #[error("a field line is folded")]
    FoldedLine,
    /// No colon, an empty name, or a character in it that no token has, white space included.
    #[error("a field line has no proper name")]
    FieldName,
    /// A name that an app may take for a framing field, such as `Transfer_Encoding`.
    #[error("a field name is an alias of a field that frames or routes the request")]
    Alias,
    /// More than 100 fields.
    #[error("the head has more than 100 fields")]
    TooManyFields,
    /// More bytes than `max_header_bytes`.
    #[error("the head is larger than max_header_bytes")]
    HeadTooLarge,
    /// The head was not complete within `header_timeout`.
    #[error("the head was not complete within header_timeout")]
    HeadTooSlow,
    /// No `Host`.
    #[error("there is no Host")]
    HostMissing,
    /// More than one `Host`.
    #[error("there is more than one Host")]
    HostRepeated,
    /// A `Host` that is none.
    #[error("Host {0}")]
    Host(HostError),
    /// A `Host` beside an `:authority` that it does not equal (RFC 9113, section 8.3.1).
    #[error("Host is not what :authority says")]
    HostDiffers,
    /// A `:scheme` other than `https`: HTTP/2 is spoken within TLS only.
    #[error(":scheme is not https")]
    Scheme,
    /// White space around a value, in HTTP/2 (RFC 9113, section 8.2.1).
    #[error("a field value begins or ends in white space")]
    FieldValue,
    /// A field of one connection of HTTP/1.1, in HTTP/2 (RFC 9113, section 8.2.2).
    #[error("a field of HTTP/1.1 connections in an HTTP/2 request")]
    HopByHop,
    /// The `X-Forwarded-Host` of a trusted proxy that is none.
    #[error("X-Forwarded-Host {0}")]
    ForwardedHost(HostError),
    /// A `Content-Length` that is not digits alone, or counts beyond 2^63 - 1.
    #[error("Content-Length is not digits alone, or too large")]
    ContentLength,
    /// More than one `Content-Length`, equal or not.
    #[error("there is more than one Content-Length")]
    ContentLengthRepeated,
    /// Anything but exactly one `chunked`.
    #[error("Transfer-Encoding is not exactly one \"chunked\"")]
    TransferEncoding,
    /// `Transfer-Encoding` in HTTP/1.0, which knows none (RFC 9112, section 6.1).
    #[error("Transfer-Encoding in an HTTP/1.0 request")]
    TransferEncodingVersion,
    /// Both ways to frame a body.
    #[error("Content-Length beside Transfer-Encoding")]
    TwoFramings,
    /// `Connection` with something that is no token, with too many, or naming a field that matters.
    #[error("Connection names a field that it must not name, too many, or no token")]
    Nomination,
    /// An expectation other than `100-continue`.
    #[error("Expect is not 100-continue")]
    Expectation,
    /// `Upgrade: websocket` without the rest of the handshake (RFC 6455, section 4.2.1).
    #[error("the WebSocket handshake is not well-formed")]
    Handshake,
    /// A chunk size that is not one to 16 hexadecimal digits, or too large.
    #[error("a chunk size is not hexadecimal digits alone, or too large")]
    ChunkSize,
    /// A chunk extension that is too long or has a character beyond printable ASCII.
    #[error("a chunk extension is too long or has an odd character")]
    ChunkExtension,
    /// No CRLF where a chunk or a chunk's line ends.
    #[error("a chunk does not end in CRLF")]
    ChunkEnd,
    /// A trailer section that is malformed, too large, or names a field that belongs in a head.
    #[error("the trailer section is malformed, too large, or names a field that belongs in the head")]
    Trailer,
    /// The body came more slowly than `min_body_rate`.
    #[error("the body came more slowly than min_body_rate")]
    BodyTooSlow,
}

impl Refusal {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::NotEncrypted
            | Self::RequestLine
            | Self::Method
            | Self::Target(_)
            | Self::TargetUnusable
            | Self::BareLineBreak
            | Self::ControlCharacter
            | Self::FoldedLine
            | Self::FieldName
            | Self::Alias
            | Self::HostMissing
            | Self::HostRepeated
            | Self::Host(_)
            | Self::HostDiffers
            | Self::Scheme
            | Self::FieldValue
            | Self::HopByHop
            | Self::ForwardedHost(_)
            | Self::ContentLength
            | Self::ContentLengthRepeated
            | Self::TransferEncoding
            | Self::TransferEncodingVersion
            | Self::TwoFramings
            | Self::Nomination
            | Self::Handshake
            | Self::ChunkSize
            | Self::ChunkExtension
            | Self::ChunkEnd
            | Self::Trailer => 400,
            Self::MethodNotAllowed => 405,
            Self::HeadTooSlow | Self::BodyTooSlow => 408,
            Self::Expectation => 417,
            Self::TooManyFields | Self::HeadTooLarge => 431,
            Self::Version => 505,
        }
    }

    /// What metrics count it as.
    #[must_use]
    pub const fn kind(self) -> Unreadable {
        match self {
            Self::RequestLine => Unreadable::RequestLine,
            Self::Method | Self::MethodNotAllowed => Unreadable::Method,
            Self::Version => Unreadable::Version,
            Self::Target(_) | Self::TargetUnusable | Self::Scheme => Unreadable::Target,
            Self::HostMissing | Self::HostRepeated | Self::HostDiffers | Self::Host(_) | Self::ForwardedHost(_) => {
                Unreadable::Host
            }
            Self::BareLineBreak
            | Self::ControlCharacter
            | Self::FoldedLine
            | Self::FieldName
            | Self::FieldValue
            | Self::HopByHop
            | Self::Alias => Unreadable::Field,
            Self::ContentLength
            | Self::ContentLengthRepeated
            | Self::TransferEncoding
            | Self::TransferEncodingVersion
            | Self::TwoFramings => Unreadable::Framing,
            Self::Nomination => Unreadable::Nomination,
            Self::Expectation => Unreadable::Expectation,
            Self::Handshake => Unreadable::Handshake,
            Self::NotEncrypted => Unreadable::NotEncrypted,
            Self::TooManyFields | Self::HeadTooLarge => Unreadable::TooLarge,
            Self::HeadTooSlow | Self::BodyTooSlow => Unreadable::TooSlow,
            Self::ChunkSize | Self::ChunkExtension | Self::ChunkEnd | Self::Trailer => Unreadable::Chunk,
        }
    }

    /// The `Allow` field that a 405 must carry (RFC 9110, section 15.5.6).
    #[must_use]
    pub const fn allow(self) -> Option<&'static str> {
        match self.status() {
            405 => Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            _ => None,
        }
    }

    /// The refusal inside an error of [`Guard`](super::Guard)'s stream, when that was the reason.
    #[must_use]
    pub fn within(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// A refusal in the middle of a body, for whoever reads it.
impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.status() {
            408 => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_can_be_found_again_inside_an_io_error() {
        let error = io::Error::from(Refusal::BodyTooSlow);
        assert_eq!((error.kind(), Refusal::within(&error)), (io::ErrorKind::TimedOut, Some(Refusal::BodyTooSlow)));
        assert_eq!(Refusal::within(&io::Error::from(io::ErrorKind::InvalidData)), None);
        assert_eq!(io::Error::from(Refusal::ChunkSize).kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn only_a_forbidden_method_says_what_is_allowed() {
        assert!(Refusal::MethodNotAllowed.allow().is_some_and(|allow| !allow.contains("TRACE")));
        assert_eq!(Refusal::Method.allow(), None);
    }
}
