//! `schoolgate run`: the gateway in the foreground.

use std::{path::Path, process::ExitCode};

use super::{load, output};
use crate::{
    config::{self, Loaded, Note, Weight},
    server::{self, Settings},
    telemetry,
};

/// Loads the configuration and runs the gateway until it is told to stop.
pub(super) fn run(path: &Path) -> ExitCode {
    match load(path) {
        Ok(loaded) => match start(path, loaded) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                output::complain(&format!("schoolgate: {why}"));
                ExitCode::FAILURE
            }
        },
        Err(status) => status,
    }
}

fn start(path: &Path, loaded: Loaded) -> Result<(), Box<dyn std::error::Error>> {
    telemetry::init(loaded.settings.log_format, telemetry::Level::INFO)?;
    tell(&loaded.notes);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(server::run(loaded.settings, &mut || reread(path)))?)
}

/// The settings of the file as it is now.
fn reread(path: &Path) -> Result<Settings, String> {
    let loaded = config::load(path, &|name| std::env::var(name).ok()).map_err(|problems| {
        let mut count = 0;
        for problem in problems.iter() {
            count += 1;
            tracing::error!(
                event = "configuration_problem",
                line = problem.line,
                column = problem.column,
                key = problem.key,
                found = problem.found,
                cure = problem.cure,
                "{}",
                problem.message
            );
        }
        let things = if count == 1 { "one thing" } else { "several things" };
        format!("{things} in {} must be mended: schoolgate check shows where", path.display())
    })?;
    tell(&loaded.notes);
    Ok(loaded.settings)
}

/// What there is to know about a valid file.
fn tell(notes: &[Note]) {
    for note in notes {
        match note.weight {
            Weight::Note => tracing::info!(event = "configuration_note", "{note}"),
            Weight::Warning => tracing::warn!(event = "configuration_warning", "{note}"),
        }
    }
}
