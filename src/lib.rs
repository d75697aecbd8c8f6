//! schoolgate puts Apple School Manager single sign-on in front of web apps that cannot be changed.
//!
//! `docs/architecture.md` shows the rooms and which may use which; `tests/architecture.rs` holds them
//! to it.

pub mod acme;
pub mod admin;
pub mod apple;
pub mod assertion;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod demo;
pub mod entropy;
pub mod identity;
pub mod pages;
pub mod policy;
pub mod proxy;
pub mod secret;
pub mod server;
pub mod session;
pub mod signin;
pub mod telemetry;
pub mod tls;
pub mod web;
