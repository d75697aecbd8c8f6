//! TLS towards browsers: certificates by name, kept fresh, and the handshake.
//!
//! A [`Pair`] is a certificate with its key, checked; it comes from [`Files`] as a [`Kept`]. [`Certificates`] picks
//! the pair for the name that a browser asks for, and a [`Keeper`] looks after the files: what changes on disk is in
//! use seconds later, and what is broken never is. An [`Acceptor`] does the handshake.

mod acceptor;
mod certificates;
mod challenges;
mod files;
mod keeper;
mod pair;
mod pair_error;

pub use acceptor::{Acceptor, HandshakeError, Secured, begins_handshake};
pub use certificates::{Certificates, Expiry};
pub use challenges::{ChallengeError, Challenges};
pub use files::{Files, Kept};
pub use keeper::Keeper;
pub use pair::{Age, Pair};
pub use pair_error::PairError;
