//! The running gateway: build, run, drain.

mod core;
mod current;
mod descriptors;
mod key_file;
mod listener;
mod restart;
mod running;
mod serving;
mod settings;
mod signals;
mod store;

pub use key_file::KeyFileError;
pub use restart::NeedsRestart;
pub use running::{Parts, Running, StartError};
pub use settings::{AdminAddress, Settings, StoreChoice, Tls};
pub use signals::{Stops, run, run_until};
pub use store::StoreProblem;
