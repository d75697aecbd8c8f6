//! The gateway on the wire: strict framing, the pingora phases, own endpoints, answers.

pub mod wire;
