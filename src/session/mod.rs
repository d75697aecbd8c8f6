//! Sessions: identifier, record, lifetimes, stores, and the proof that one is live.
//!
//! A browser holds a [`SessionId`]; a store knows only its hash, the [`SessionKey`]. [`Sessions`]
//! opens an identifier into an [`ActiveSession`], and nothing else can make one.

mod active;
mod codec;
mod id;
mod lifetimes;
mod manager;
mod record;
mod revocation;
mod revocation_queue;
mod seal;
mod store;
#[cfg(test)]
pub(crate) mod testing;

pub use active::ActiveSession;
pub use codec::{Codec, SealedRecord};
pub use id::{Handle, SessionId, SessionKey};
pub use lifetimes::Lifetimes;
pub use manager::{Listed, NewSession, Revoke, Sessions};
pub use record::{Grant, Origin, Record};
pub use revocation::{Revocation, Waiting};
pub use revocation_queue::{RevocationQueue, Revoker, Verdict};
pub use seal::{KeyProblem, OpenError, Sealer, Tag};
pub use store::{
    End, FileStore, FileStoreError, Holder, Lease, Listener, MOST_WAITING, Mark, MemoryStore, Queue, Removal, Selector,
    Sharing, Store, StoreError, Stored,
};
