//! `schoolgate demo`: everything on this machine, with no account and no configuration.

use std::{net::SocketAddr, process::ExitCode};

use super::output;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to listen; open the printed address in a browser.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

/// Starts the demo.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    output::complain(&format!("the demo on {} cannot be started by this build", arguments.listen));
    ExitCode::FAILURE
}
