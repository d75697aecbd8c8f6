//! The running gateway: build, run, drain.

mod descriptors;
mod key_file;
mod listener;
mod running;
mod settings;
mod signals;
mod store;

pub use key_file::KeyFileError;
pub use running::{Parts, Running, StartError};
pub use settings::{AdminAddress, Settings, StoreChoice};
pub use signals::{Stops, run, run_until};
pub use store::StoreProblem;
