//! `schoolgate run`: the gateway in the foreground.

use std::{path::Path, process::ExitCode, sync::Arc};

use super::{USAGE, load, output};
use crate::{
    clock::SystemClock,
    config::{self, Loaded, Note, Weight},
    entropy::SystemEntropy,
    server::{self, Settings, StartError},
    telemetry::{self, Log},
};

/// Loads the configuration and runs the gateway until it is told to stop.
pub(super) fn run(path: &Path) -> ExitCode {
    match load(path) {
        Ok(loaded) => match start(path, loaded) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                output::complain(&format!("schoolgate: {why}"));
                // systemd does not try again then.
                match why.downcast_ref::<StartError>().is_some_and(StartError::is_of_the_configuration) {
                    true => ExitCode::from(USAGE),
                    false => ExitCode::FAILURE,
                }
            }
        },
        Err(status) => status,
    }
}

fn start(path: &Path, loaded: Loaded) -> Result<(), Box<dyn std::error::Error>> {
    let clock = Arc::new(SystemClock);
    let log = Log::start(&loaded.settings.log, telemetry::Level::INFO, clock, Arc::new(SystemEntropy))?;
    log.take_panics();
    tell(&loaded.notes);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let path = path.to_owned();
    let ran = runtime.block_on(async {
        let tending = tokio::spawn(log.tend());
        let ran = server::run(loaded.settings, Arc::new(move || reread(&path))).await;
        log.end(tending).await;
        ran
    });
    // A file that never ends to be read again holds nothing up.
    runtime.shutdown_background();
    Ok(ran?)
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
