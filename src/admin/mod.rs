//! The listener for operators: liveness, readiness, metrics, and the sessions. It is not reachable on the public
//! listeners, and `guard` keeps the pages of a browser out of it.
//!
//! `listener` has the sockets, `router` finds the endpoint at a path, and `reply` gives every answer its headers. What
//! the answers hold is an interface, described in `docs/admin.md`.

mod entry;
mod guard;
mod health;
mod listener;
mod metrics;
mod page;
mod query;
mod readiness;
mod reply;
mod router;
mod sessions;

pub use entry::{Ended, SessionEntry, SessionPage};
pub use listener::Admin;
pub use readiness::Report;
pub use router::{Parts, Present};
