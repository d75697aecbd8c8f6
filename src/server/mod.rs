//! The running gateway: build, run, drain.

mod settings;

pub use settings::{AdminAddress, Settings};
