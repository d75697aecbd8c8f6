//! The assertion: a short-lived signed statement for one app of who somebody is, for apps that want to check what
//! a header says.
//!
//! The core is pure: `key_set` says which key signs now, which are published, and whether a new one is due. The edge is
//! `keeper`, which keeps the set as one sealed note beside the sessions, so that all gateways that share a store share
//! it.

mod assertions;
mod error;
mod keeper;
mod key;
mod key_set;
mod token;

pub use assertions::{Assertions, Settings};
pub use error::AssertionError;
