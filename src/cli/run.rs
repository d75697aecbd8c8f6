//! `schoolgate run`: the gateway in the foreground.

use std::{path::Path, process::ExitCode, sync::Arc};

use super::{load, output};
use crate::{
    clock::SystemClock,
    config::{Loaded, Weight},
    entropy::SystemEntropy,
    server,
    telemetry::{self, Log},
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
    let clock = Arc::new(SystemClock);
    let log = Log::start(&loaded.settings.log, telemetry::Level::INFO, clock, Arc::new(SystemEntropy))?;
    log.take_panics();
    for note in &loaded.notes {
        match note.weight {
            Weight::Note => tracing::info!(event = "configuration_note", "{note}"),
            Weight::Warning => tracing::warn!(event = "configuration_warning", "{note}"),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let tending = tokio::spawn(log.tend());
        let ran = server::run(loaded.settings).await;
        log.end(tending).await;
        Ok(ran?)
    })
}
