//! Apple as an OAuth and OpenID provider: every endpoint, every token, and the one HTTP client.
//!
//! [`Apple`] is the way in. Whatever Apple or a browser says is parsed here, strictly, before anybody
//! else sees it: a [`Callback`], a [`TokenAnswer`], a [`VerifiedIdToken`]. Both services, Account &
//! Organizational Data Sharing and Sign in with Apple, run through the same code and differ only in
//! their [`Endpoints`].
//!
//! Read in this order: `settings`, `authorize`, `callback`, `client`, then what the client leans on:
//! `client_secret`, `transport`, `answer`, `token_answer`, and for ID tokens `compact`, `claims`,
//! `id_token`, `key`, `key_set`, `key_cache`, `key_ring`; for notifications `posted` and `notification`; `report`
//! is what the log gets, and `probe` what an operator asks.

mod answer;
mod authorize;
mod call_error;
mod callback;
mod claims;
mod client;
mod client_secret;
mod compact;
mod id_token;
mod json;
mod key;
mod key_cache;
mod key_ring;
mod key_set;
mod notification;
mod posted;
mod probe;
mod report;
mod settings;
mod signing_key;
mod token_answer;
mod tokens;
mod transport;
mod verify_error;

#[cfg(test)]
mod forgeries;
#[cfg(test)]
pub(crate) mod testing;

pub use authorize::AuthorizationRequest;
pub use call_error::{CallError, Malformed, OAuthCode, Unavailable};
pub use callback::{Callback, CallbackError, DeniedReason};
pub use claims::kept_claims;
pub use client::{Apple, BuildError, Revocable};
pub use id_token::{Expected, VerifiedIdToken};
pub use key_ring::KeysStatus;
pub use notification::{Event, EventKind, Notification, NotificationError};
pub use posted::{EnvelopeFault, Posted};
pub use probe::{Difference, Objection, SignInPage};
pub use settings::{Endpoints, ResponseMode, Service, Settings};
pub use signing_key::{KeyError, SigningKey};
pub use token_answer::TokenAnswer;
pub use tokens::{
    AccessToken, AuthorizationCode, CodeVerifier, Nonce, RawIdToken, RawNotification, RefreshToken, State, kind,
};
pub use verify_error::{HeaderFault, VerifyError};
