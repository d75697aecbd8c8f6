//! What the sign-in counts: one word for everything that can come of it.

use super::{Finished, LeftBy, NotifyProblem, Problem};
use crate::{
    apple::{CallError, DeniedReason, NotificationError, VerifyError},
    telemetry::{Ending, NotificationOutcome, Refresh, SignInOutcome},
};

impl Problem {
    fn outcome(&self) -> SignInOutcome {
        match self {
            Self::Malformed(_) => SignInOutcome::MalformedCallback,
            Self::Stale => SignInOutcome::Stale,
            Self::Ticket(_) => SignInOutcome::BadTicket,
            Self::Denied(DeniedReason::Cancelled) => SignInOutcome::Cancelled,
            Self::Denied(DeniedReason::Other(_)) => SignInOutcome::Denied,
            Self::Call(CallError::InvalidGrant) => SignInOutcome::InvalidGrant,
            Self::Call(CallError::InvalidClient) => SignInOutcome::InvalidClient,
            Self::Call(CallError::Refused(_)) => SignInOutcome::Refused,
            Self::Call(CallError::Throttled { .. }) => SignInOutcome::Throttled,
            Self::Call(CallError::Unavailable(_)) => SignInOutcome::Unavailable,
            Self::Call(CallError::Malformed(_)) => SignInOutcome::MalformedAnswer,
            Self::NoIdToken => SignInOutcome::NoIdToken,
            Self::Verify(VerifyError::KeysUnavailable(_)) => SignInOutcome::KeysUnavailable,
            Self::Verify(_) => SignInOutcome::TokenRefused,
            Self::Store(_) => SignInOutcome::StoreUnavailable,
        }
    }
}

impl Finished {
    /// What it counts as; `success` when somebody has signed in.
    pub(super) fn outcome(&self, success: SignInOutcome) -> SignInOutcome {
        match self {
            Self::SignedIn { .. } => success,
            Self::AlreadySignedIn { .. } => SignInOutcome::AlreadySignedIn,
            Self::Failed { problem, .. } => problem.outcome(),
        }
    }
}

impl NotifyProblem {
    pub(super) fn outcome(&self) -> NotificationOutcome {
        match self {
            Self::Refused(NotificationError::KeysUnavailable(_)) => NotificationOutcome::KeysUnavailable,
            Self::Refused(NotificationError::Envelope(_)) => NotificationOutcome::Unreadable,
            Self::Refused(NotificationError::NotApples(_)) => NotificationOutcome::NotApples,
            Self::Refused(NotificationError::NotForUs(_)) => NotificationOutcome::NotForUs,
            Self::Store(_) => NotificationOutcome::StoreUnavailable,
        }
    }
}

impl LeftBy {
    pub(super) const fn ending(self) -> Ending {
        match self {
            Self::Gateway => Ending::SignOut,
            Self::App => Ending::AppSignOut,
        }
    }
}

/// A refresh that Apple did not answer with a token.
pub(super) fn failed_refresh(error: &CallError) -> Refresh {
    match error {
        CallError::InvalidGrant => Refresh::InvalidGrant,
        CallError::InvalidClient => Refresh::InvalidClient,
        CallError::Refused(_) => Refresh::Refused,
        CallError::Throttled { .. } => Refresh::Throttled,
        CallError::Unavailable(_) => Refresh::Unavailable,
        CallError::Malformed(_) => Refresh::Malformed,
    }
}
