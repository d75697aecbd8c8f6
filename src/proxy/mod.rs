//! The gateway on the wire: strict framing, the pingora phases, own endpoints, answers.

mod access_log;
mod answer;
mod exchange;
mod failures;
mod forwarding;
mod gateway;
mod identity_headers;
mod judge;
mod own;
mod phases;
mod resolver;
mod response_headers;
mod settings;

pub use answer::Answer;
pub use exchange::{Exchange, Facts};
pub use gateway::Gateway;
pub use phases::Context;
pub use settings::Settings;
