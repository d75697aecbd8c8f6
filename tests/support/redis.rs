//! Redis for the black-box tests: real servers of each test's own.

#[path = "../../src/session/store/redis/process.rs"]
mod process;

pub use process::{Cluster, Sentinels, Server, free_port};
