//! The six error codes of Apple's `ErrorResponse`.

use std::fmt;

/// What is wrong, in Apple's vocabulary (RFC 6749, section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// Malformed: a parameter is missing, repeated or not supported, or credentials come twice.
    InvalidRequest,
    /// Client id, client secret or, for the organization service, redirect URI do not match.
    InvalidClient,
    /// The code or refresh token is expired, used, revoked or of another client.
    InvalidGrant,
    /// The client may not do this; the sign-in service says it of an unregistered redirect URI.
    UnauthorizedClient,
    /// Neither a code nor a refresh token is offered.
    UnsupportedGrantType,
    /// A scope that Apple does not know.
    InvalidScope,
}

impl ErrorCode {
    /// The code as it stands in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal: the code that goes out, and the reason that only the record of calls shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) error: ErrorCode,
    pub(super) why: &'static str,
}

impl Refusal {
    pub(super) const fn new(error: ErrorCode, why: &'static str) -> Self {
        Self { error, why }
    }

    pub(super) const fn request(why: &'static str) -> Self {
        Self::new(ErrorCode::InvalidRequest, why)
    }

    pub(super) const fn client(why: &'static str) -> Self {
        Self::new(ErrorCode::InvalidClient, why)
    }

    pub(super) const fn grant(why: &'static str) -> Self {
        Self::new(ErrorCode::InvalidGrant, why)
    }
}
