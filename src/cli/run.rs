//! `schoolgate run`: the gateway in the foreground.

use std::{path::Path, process::ExitCode};

use super::{load, output};
use crate::{
    config::{Loaded, Weight},
    server, telemetry,
};

/// Loads the configuration and runs the gateway until it is told to stop.
pub(super) fn run(path: &Path) -> ExitCode {
    match load(path) {
        Ok(loaded) => match start(loaded) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                output::complain(&format!("schoolgate: {why}"));
                ExitCode::FAILURE
            }
        },
        Err(status) => status,
    }
}

fn start(loaded: Loaded) -> Result<(), Box<dyn std::error::Error>> {
    telemetry::init(loaded.settings.log_format, telemetry::Level::INFO)?;
    for note in &loaded.notes {
        match note.weight {
            Weight::Note => tracing::info!(event = "configuration_note", "{note}"),
            Weight::Warning => tracing::warn!(event = "configuration_warning", "{note}"),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(server::run(loaded.settings))?)
}
