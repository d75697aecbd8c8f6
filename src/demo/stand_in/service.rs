//! The two families of paths.

use super::ErrorCode;

/// Which of Apple's services is spoken to. They differ in paths and in a few rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Account & Organizational Data Sharing: `/auth/oauth2/v2/*`.
    Organization,
    /// Sign in with Apple: `/auth/*`.
    SignIn,
}

impl Service {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Organization, Self::SignIn];

    /// The path of an endpoint.
    pub(super) fn path(self, endpoint: &str) -> String {
        match self {
            Self::Organization => format!("/auth/oauth2/v2/{endpoint}"),
            Self::SignIn => format!("/auth/{endpoint}"),
        }
    }

    /// The name in forms.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::SignIn => "sign-in",
        }
    }

    /// What the token endpoint says when the redirect URI is not that of the authorization. The organization
    /// service lists it under `invalid_client`.
    pub(super) const fn redirect_mismatch(self) -> ErrorCode {
        match self {
            Self::Organization => ErrorCode::InvalidClient,
            Self::SignIn => ErrorCode::InvalidGrant,
        }
    }
}
