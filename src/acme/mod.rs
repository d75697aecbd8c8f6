//! Certificates from an authority that speaks ACME (RFC 8555), got and renewed by the gateway itself.
//!
//! An [`Orderer`] decides when, and never hammers: an authority counts failures by the hour. An order proves each name
//! by a handshake (RFC 8737) or over plain HTTP, with the answers in `tls::Challenges`. The pair goes into one file of
//! `state_dir`, and to the `tls::Keeper`.

mod folder;
mod look;
mod order;
mod orderer;
mod settings;

pub use look::{Look, look};
pub use order::AcmeError;
pub use orderer::Orderer;
pub use settings::{ExternalAccount, Settings};
