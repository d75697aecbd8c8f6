//! The gateway on the wire: strict framing, the pingora phases, own endpoints, answers.

mod settings;

pub use settings::Settings;
