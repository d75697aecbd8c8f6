//! Why there is no assertion.

use crate::session::StoreError;

/// Why there is no assertion.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// The store of sessions, where the keys are, cannot be used.
    #[error("the keys of the assertion cannot be read or written: {0}")]
    Store(#[from] StoreError),
    /// What the store holds is no key set that this program knows.
    #[error(
        "what the session store holds as the keys of the assertion is none; a newer schoolgate may have written it"
    )]
    Malformed,
    /// The store takes no more notes.
    #[error("the session store is full of other things, and takes no keys of the assertion")]
    Full,
    /// Others changed the set again and again at the same moment.
    #[error("the keys of the assertion change all the time")]
    Contended,
    /// The cryptographic library makes no key or does not sign.
    #[error("the cryptographic library makes no key, or does not sign")]
    Key,
    /// Nobody has looked yet.
    #[error("the keys of the assertion were not read in time")]
    Late,
}
