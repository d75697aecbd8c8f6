//! What can go wrong in a call to Apple, told by whose fault it is.

use std::{fmt, time::Duration};

use super::tokens::sanitised;
use crate::telemetry::{CallOutcome, Word};

/// Why a call gave nothing. `Display` speaks to the operator: the cause, the key, the cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The code or the refresh token is no good any more. The only error that ends a session.
    #[error(
        "Apple takes the code or refresh token for invalid: it was used, has expired or was revoked (invalid_grant)"
    )]
    InvalidGrant,
    /// The client credentials are wrong: the operator's fault, never a visitor's.
    #[error(
        "Apple refuses the client credentials (invalid_client): check [apple] key_id, team_id, private_key_file, \
         client_id, that redirect_uri is registered, and that this machine's clock is right"
    )]
    InvalidClient,
    /// Apple understood and refused.
    #[error("Apple refuses the request ({0}): {cure}", cure = .0.cure())]
    Refused(OAuthCode),
    /// Too many calls.
    #[error("Apple asks to call less often (429){}", later(.retry_after))]
    Throttled {
        /// When Apple wants to hear from us again.
        retry_after: Option<Duration>,
    },
    /// Apple could not be reached, or was not itself. Later it may be.
    #[error("Apple is unavailable: {0}")]
    Unavailable(Unavailable),
    /// Apple answered 200 with something that cannot be used.
    #[error("Apple's answer cannot be used: {0}")]
    Malformed(Malformed),
}

impl CallError {
    /// A stable word for logs.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        self.kind().word()
    }

    /// What metrics count it as.
    #[must_use]
    pub fn kind(&self) -> CallOutcome {
        match self {
            Self::InvalidGrant => CallOutcome::InvalidGrant,
            Self::InvalidClient => CallOutcome::InvalidClient,
            Self::Refused(_) => CallOutcome::Refused,
            Self::Throttled { .. } => CallOutcome::Throttled,
            Self::Unavailable(_) => CallOutcome::Unavailable,
            Self::Malformed(_) => CallOutcome::Malformed,
        }
    }

    /// Reads the member `error` of an error answer (RFC 6749, section 5.2). Compared as a whole.
    pub(super) fn of_code(code: &str) -> Self {
        match code {
            "invalid_grant" => Self::InvalidGrant,
            "invalid_client" => Self::InvalidClient,
            "invalid_request" => Self::Refused(OAuthCode::InvalidRequest),
            "unauthorized_client" => Self::Refused(OAuthCode::UnauthorizedClient),
            "unsupported_grant_type" => Self::Refused(OAuthCode::UnsupportedGrantType),
            "invalid_scope" => Self::Refused(OAuthCode::InvalidScope),
            other => Self::Refused(OAuthCode::Other(sanitised(other))),
        }
    }
}

impl From<Unavailable> for CallError {
    fn from(why: Unavailable) -> Self {
        Self::Unavailable(why)
    }
}

impl From<Malformed> for CallError {
    fn from(why: Malformed) -> Self {
        Self::Malformed(why)
    }
}

fn later(retry_after: &Option<Duration>) -> String {
    retry_after.map(|wait| format!(", again in {} s", wait.as_secs())).unwrap_or_default()
}

/// An OAuth error code other than `invalid_grant` and `invalid_client`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OAuthCode {
    /// A parameter is missing, unsupported or malformed; or the grant was revoked (TN3107).
    InvalidRequest,
    /// The client may not use this kind of grant.
    UnauthorizedClient,
    /// Apple does not know this kind of grant.
    UnsupportedGrantType,
    /// A scope is unknown, or not enabled for this client.
    InvalidScope,
    /// A code that Apple does not document; at most 64 plain characters.
    Other(String),
}

impl OAuthCode {
    fn cure(&self) -> &'static str {
        match self {
            Self::InvalidRequest => {
                "it is malformed, has a parameter that Apple does not know (try [apple] pkce = false), or the grant was revoked"
            }
            Self::UnauthorizedClient => {
                "check that [apple] client_id may use this [apple] service, in Apple's developer portal"
            }
            Self::UnsupportedGrantType => "check [apple] service and token_url",
            Self::InvalidScope => {
                "check [apple] scopes and the scopes of routes, and that each is enabled in Apple's developer portal"
            }
            Self::Other(_) => "this code is not documented by Apple",
        }
    }
}

impl fmt::Display for OAuthCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::Other(code) => code,
        })
    }
}

/// Why there is no answer of Apple's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// No connection: the cause as the system tells it.
    #[error("no connection ({0}): check the network, name resolution and [apple] base_url")]
    Connect(String),
    /// Not within `[apple] timeout`.
    #[error("no answer within [apple] timeout")]
    Timeout,
    /// The connection broke.
    #[error("the connection broke ({0})")]
    Broken(String),
    /// A redirect, which is never followed: the body would go to somebody else.
    #[error("it redirects (status {0}), which is not followed: check [apple] base_url")]
    Redirect(u16),
    /// A status that says nothing about the request.
    #[error("it answers with status {0}{hint}", hint = wrong_address(*.0))]
    Status(u16),
    /// HTML, or something else that is not JSON.
    #[error("it answers with something that is not JSON (status {0}): a maintenance page, or a proxy in between")]
    NotJson(u16),
    /// More bytes than any answer has.
    #[error("its answer is too large")]
    TooLarge,
    /// The client secret could not be signed.
    #[error("the client secret could not be signed")]
    NotSigned,
    /// The task that made the call was stopped.
    #[error("the call was interrupted")]
    Interrupted,
}

fn wrong_address(status: u16) -> &'static str {
    match status {
        404 | 405 => ": check [apple] service and base_url",
        403 => ": something between here and Apple may block the call",
        _ => "",
    }
}

/// What is wrong with an answer that says 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// JSON, but no object.
    #[error("it is no JSON object")]
    NotAnObject,
    /// A member stands twice in one object.
    #[error("it has a repeated member")]
    Repeated,
    /// A member is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member has another type, or a value beyond all bounds.
    #[error("`{0}` is not what it must be")]
    Odd(&'static str),
    /// A token of another type than bearer.
    #[error("`token_type` is not bearer")]
    TokenType,
    /// A key set without any key that can be used.
    #[error("the key set has no key that can be used")]
    NoKeys,
    /// A key set with more keys than are looked at.
    #[error("the key set has too many keys")]
    TooManyKeys,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_compared_as_a_whole() {
        for code in ["Invalid_Grant", "invalid_grant ", "x invalid_grant", "", "invalid_grant\n"] {
            assert!(matches!(CallError::of_code(code), CallError::Refused(OAuthCode::Other(_))), "{code:?}");
        }
    }

    #[test]
    fn the_operator_is_told_what_to_check() {
        assert_eq!(
            CallError::InvalidClient.to_string(),
            "Apple refuses the client credentials (invalid_client): check [apple] key_id, team_id, private_key_file, \
             client_id, that redirect_uri is registered, and that this machine's clock is right"
        );
        assert!(
            CallError::of_code("invalid_scope")
                .to_string()
                .starts_with("Apple refuses the request (invalid_scope): check [apple] scopes")
        );
        let wait = CallError::Throttled { retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(wait.to_string(), "Apple asks to call less often (429), again in 7 s");
    }

    #[test]
    fn a_wrong_address_is_named_as_such() {
        let text = |status| CallError::from(Unavailable::Status(status)).to_string();
        assert_eq!(text(404), "Apple is unavailable: it answers with status 404: check [apple] service and base_url");
        assert_eq!(text(503), "Apple is unavailable: it answers with status 503");
    }

    #[test]
    fn a_strange_code_cannot_break_a_log_line() {
        let CallError::Refused(code) = CallError::of_code("a\r\nb") else { panic!() };
        assert_eq!(code.to_string(), "a??b");
    }
}
