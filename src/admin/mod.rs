//! The listener for operators: liveness and readiness. It is not reachable on the public listeners.

mod listener;
mod readiness;

pub use listener::Admin;
pub use readiness::{Readiness, Report};
