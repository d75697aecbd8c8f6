//! Why an ID token, or another token that Apple signs, is refused.

use crate::identity::NameError;

use super::CallError;

/// Each reason has its name, so that a log tells a forgery from a wrong clock. None quotes the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// There are no keys to verify with; nothing is said about the token.
    #[error("Apple's keys are unavailable, so that nobody can sign in: {0}")]
    KeysUnavailable(CallError),
    /// More than 16 KiB.
    #[error("the token is longer than 16 KiB")]
    TooLong,
    /// Not three parts with something in each.
    #[error("the token does not have three parts")]
    Parts,
    /// A part is not base64url without padding.
    #[error("a part of the token is not base64url without padding")]
    Base64,
    /// The header is not in order.
    #[error("the token's header {0}")]
    Header(HeaderFault),
    /// A member stands twice in one object of the header or the claims.
    #[error("the token has a repeated member")]
    Repeated,
    /// Apple's key set, fresh enough, does not have this key.
    #[error("the token names a key that Apple does not publish")]
    UnknownKey,
    /// The signature is not by that key.
    #[error("the token's signature is wrong")]
    Signature,
    /// The claims are not a JSON object.
    #[error("the token's claims are not a JSON object")]
    Json,
    /// A claim is missing.
    #[error("the claim `{0}` is missing")]
    Missing(&'static str),
    /// A claim has another type than it must have, or a value beyond all bounds.
    #[error("the claim `{0}` is not what it must be")]
    Odd(&'static str),
    /// `iss` is not one of `[apple] issuers`.
    #[error("the claim `iss` is not one of [apple] issuers")]
    Issuer,
    /// `aud` does not have `[apple] client_id`.
    #[error("the token is for another client: `aud` does not have [apple] client_id")]
    Audience,
    /// `azp` is not `[apple] client_id`, or is missing beside several audiences.
    #[error("the token is for another client: `azp` is not [apple] client_id")]
    AuthorizedParty,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `iat` or `nbf` lies in the future.
    #[error("the token is from the future (`{0}`): check this machine's clock, or [apple] clock_skew")]
    FromTheFuture(&'static str),
    /// `iat` of a notification is more than a day ago.
    #[error("it was issued more than a day ago: check this machine's clock")]
    Stale,
    /// `iat` is not before `exp`.
    #[error("the token ends before it begins")]
    Lifetime,
    /// `nonce` is of another sign-in.
    #[error("the claim `nonce` is not the one of this sign-in")]
    Nonce,
    /// `at_hash` is of another access token.
    #[error("the claim `at_hash` does not fit the access token")]
    AccessTokenHash,
    /// `c_hash` is of another code.
    #[error("the claim `c_hash` does not fit the code")]
    CodeHash,
    /// `sub` is no subject.
    #[error("the claim `sub` {0}")]
    Subject(NameError),
    /// `org_id` is no organization.
    #[error("the claim `org_id` {0}")]
    Organization(NameError),
}

impl VerifyError {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::KeysUnavailable(_) => "keys_unavailable",
            Self::TooLong => "too_long",
            Self::Parts => "parts",
            Self::Base64 => "base64",
            Self::Header(_) => "header",
            Self::Repeated => "repeated_member",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Json => "json",
            Self::Missing(_) => "missing_claim",
            Self::Odd(_) => "odd_claim",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::AuthorizedParty => "authorized_party",
            Self::Expired => "expired",
            Self::FromTheFuture(_) => "from_the_future",
            Self::Stale => "stale",
            Self::Lifetime => "lifetime",
            Self::Nonce => "nonce",
            Self::AccessTokenHash => "at_hash",
            Self::CodeHash => "c_hash",
            Self::Subject(_) => "subject",
            Self::Organization(_) => "organization",
        }
    }
}

/// What is wrong with the header of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// It is not a JSON object.
    #[error("is not a JSON object")]
    Json,
    /// `alg` is anything but `RS256`.
    #[error("has an `alg` other than RS256")]
    Algorithm,
    /// `typ` is there and is not `JWT`.
    #[error("has a `typ` other than JWT")]
    Type,
    /// `kid` is missing, or is not 1 to 64 visible ASCII characters.
    #[error("has no `kid` that can be looked for")]
    KeyId,
    /// It brings a key of its own, or wants something understood.
    #[error("has the member `{0}`, which is refused")]
    Refused(&'static str),
}
