//! What the operator may set.

use std::time::Duration;

/// Limits of one client connection, as `[server]` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For a whole request head, from its first byte, however slowly it drips.
    pub header_timeout: Duration,
    /// For a connection without a request.
    pub idle_timeout: Duration,
    /// Bytes a second that a body must bring after its first ten seconds; 0 for no such rule.
    pub min_body_rate: u64,
    /// Most bytes of a request head, request line and last empty line included.
    pub max_header_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            min_body_rate: 1024,
            max_header_bytes: 32 * 1024,
        }
    }
}
