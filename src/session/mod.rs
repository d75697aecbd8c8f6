//! Sessions: identifier, record, lifetimes, stores, and the proof that one is live.
//!
//! A browser holds a [`SessionId`]; a store knows only its hash, the [`SessionKey`]. [`Sessions`]
//! opens an identifier into an [`ActiveSession`], and nothing else can make one.

mod active;
mod id;
mod manager;
mod memory;
mod record;
mod revocation;
mod seal;
mod store;
#[cfg(test)]
pub(crate) mod testing;

pub use active::ActiveSession;
pub use id::{Handle, SessionId, SessionKey};
pub use manager::{NewSession, Sessions, Settings};
pub use memory::MemoryStore;
pub use record::{Grant, Record};
pub use revocation::{Revocation, RevocationQueue, Revoker, Verdict};
pub use seal::{KeyProblem, OpenError, Sealer};
pub use store::{Store, StoreError, Stored};
