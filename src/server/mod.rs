//! The running gateway: build, run, reload, drain.
//!
//! `core` lives as long as the process; `serving` is what a reload replaces; `running` holds both.

mod core;
mod current;
mod descriptors;
mod key_file;
mod listener;
mod notify;
mod restart;
mod run;
mod running;
mod serving;
mod settings;
mod signals;
mod sockets;
mod start_error;
mod store;
mod watchdog;

pub use key_file::{KeyFileError, session_key, session_key_file};
pub use restart::NeedsRestart;
pub use run::{Reread, run, run_until};
pub use running::{Parts, Running};
pub use settings::{AdminAddress, Settings, StoreChoice, Tls};
pub use signals::{Signals, Told};
pub use sockets::Sockets;
pub use start_error::StartError;
pub use store::StoreProblem;
