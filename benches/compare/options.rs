//! What can be chosen.

use std::path::PathBuf;

use clap::Parser;

/// Compares schoolgate with other proxies on this machine.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Options {
    /// Only these scenarios, separated by commas (`--list` names them).
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Only these proxies, separated by commas (`--list` names them).
    #[arg(long, value_delimiter = ',')]
    pub(crate) peers: Vec<String>,
    /// How often each proxy has its turn.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// How long a turn lasts.
    #[arg(long, default_value_t = 3)]
    pub(crate) seconds: u64,
    /// Connections at once.
    #[arg(long, default_value_t = 32)]
    pub(crate) connections: usize,
    /// The core that the proxy has for itself; the last one by default.
    #[arg(long)]
    pub(crate) proxy_core: Option<usize>,
    /// The core of the load and the upstream; the last but one by default.
    #[arg(long)]
    pub(crate) load_core: Option<usize>,
    /// Measures this program and not the one that it builds as it is shipped.
    #[arg(long)]
    pub(crate) program: Option<PathBuf>,
    /// Measures this bare pingora and not the one that it builds.
    #[arg(long)]
    pub(crate) bare: Option<PathBuf>,
    /// Writes tables, charts and figures also into docs/performance.md and docs/performance/.
    #[arg(long)]
    pub(crate) publish: bool,
    /// Names scenarios and proxies, and ends.
    #[arg(long)]
    pub(crate) list: bool,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// Whether a scenario is to be run.
    pub(crate) fn wants(&self, scenario: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == scenario)
    }

    /// Whether a proxy takes part.
    pub(crate) fn has(&self, peer: &str) -> bool {
        self.peers.is_empty()
            || self.peers.iter().any(|name| name == peer || name == peer.split('+').next().unwrap_or(peer))
    }
}
