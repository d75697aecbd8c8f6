//! The Debian package on a Debian 12: a machine boots with systemd as process 1, the package is installed as an operator
//! would, and people sign in while the gateway runs inside its sandbox.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    reason = "a test"
)]

mod deb;
mod machine;
mod school;
#[path = "../support/mod.rs"]
mod support;

/// What the documents tell to do.
mod documents;
/// What dpkg does.
mod installing;
/// What an operator reads.
mod journal;
/// What the gateway's own TLS does.
mod secured;
/// What systemd does.
mod service;
