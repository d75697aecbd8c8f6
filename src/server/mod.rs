//! The running gateway: build, run, drain.

mod descriptors;
mod key_file;
mod listener;
mod running;
mod settings;
mod signals;
mod store;

pub use key_file::{KeyFileError, session_key, session_key_file};
pub use running::{Parts, Running, StartError};
pub use settings::{AdminAddress, Settings, StoreChoice};
pub use signals::{Stops, run, run_until};
pub use store::StoreProblem;
