//! Sessions: identifier, record, lifetimes, stores, and the proof that one is live.
//!
//! A browser holds a [`SessionId`]; a store knows only its hash, the [`SessionKey`]. [`Sessions`]
//! opens an identifier into an [`ActiveSession`], and nothing else can make one.

mod active;
mod codec;
mod ending;
mod id;
mod id_token;
mod lifetimes;
mod listing;
mod manager;
mod near;
mod record;
mod revocation;
mod revocation_queue;
mod seal;
mod seen;
mod store;
mod tend;
#[cfg(test)]
pub(crate) mod testing;
mod watches;

pub use active::ActiveSession;
pub use codec::{Codec, SealedRecord};
pub use ending::Revoke;
pub use id::{Handle, SessionId, SessionKey};
pub use id_token::IdToken;
pub use lifetimes::{Lifetimes, LiveLifetimes};
pub use listing::Listed;
pub use manager::{NewSession, Sessions};
pub use record::{Device, Grant, Record};
pub use revocation::{Revocation, Waiting};
pub use revocation_queue::{RevocationQueue, Revoker, Verdict};
pub use seal::{KeyProblem, OpenError, Sealer, Tag};
pub use store::{
    Edition, End, FileLook, FileStore, FileStoreError, Holder, LONGEST_NOTE, Lease, Listener, MOST_OF_NOTES,
    MOST_WAITING, Mark, MemoryStore, MeteredStore, Note, NoteName, Queue, RedisLook, RedisRefuses, RedisStore,
    RedisTrouble, RedisUrl, Removal, SealedNote, Selector, Sharing, Store, StoreError, Stored, Swap, UrlProblem,
};
pub use watches::Over;
