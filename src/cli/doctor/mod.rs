//! `schoolgate doctor`: tries everything that the gateway needs around it. It changes nothing: what it asks of Apple,
//! of apps and of the store is asked so that nothing is left there.

mod apple;
mod certificates;
mod finding;
mod gateway;
mod machine;
mod report;
mod store;
mod upstreams;

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use tokio::time::timeout;

use self::finding::{Finding, Id, State};
use super::{load, output};
use crate::{
    clock::{SharedClock, SystemClock},
    config::{Loaded, Note, Weight},
    entropy::{SharedEntropy, SystemEntropy},
    server::Settings,
    telemetry::Metrics,
};

/// Longest that one check may take; all of them run side by side.
const LIMIT: Duration = Duration::from_secs(16);

/// Of which this is for those that wait for the answer of a running gateway.
const REST: Duration = LIMIT.saturating_sub(gateway::PATIENCE);

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print a JSON array of findings, each with id, state, about, what and cure.
    #[arg(long)]
    json: bool,
}

/// What the checks share.
struct Surroundings {
    settings: Settings,
    clock: SharedClock,
    entropy: SharedEntropy,
    /// What the rooms count; nobody asks for it.
    metrics: Arc<Metrics>,
}

/// Runs all checks and prints what they find.
pub(super) fn run(path: &Path, arguments: &Arguments) -> ExitCode {
    let loaded = match load(path) {
        Ok(loaded) => loaded,
        Err(status) => return status,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => {
            output::complain(&format!("schoolgate: the system gives no room for the checks: {why}"));
            return ExitCode::FAILURE;
        }
    };
    let findings = runtime.block_on(findings(loaded));
    // A name server or a disk that does not answer still holds a thread, which is not waited for.
    runtime.shutdown_background();
    if arguments.json {
        output::say(&report::json(&findings));
    } else {
        output::say(&report::text(&findings, report::wants_colours(std::env::var("NO_COLOR").ok().as_deref())));
    }
    match findings.iter().map(|finding| finding.state).max() {
        Some(State::Warning | State::Problem) => ExitCode::FAILURE,
        Some(State::Ok | State::Note) | None => ExitCode::SUCCESS,
    }
}

async fn findings(Loaded { settings, notes, .. }: Loaded) -> Vec<Finding> {
    let clock: SharedClock = Arc::new(SystemClock);
    let metrics = Metrics::new(SharedClock::clone(&clock));
    let around = Surroundings { settings, clock, entropy: Arc::new(SystemEntropy), metrics };
    let (machine, apple, upstreams, certificates, (gateway, store)) = tokio::join!(
        limited(LIMIT, "this machine", machine::check(&around)),
        limited(LIMIT, "Apple", apple::check(&around)),
        limited(LIMIT, "upstreams", upstreams::check(&around)),
        limited(LIMIT, "certificates", certificates::check(&around)),
        async {
            // Who listens and who holds the store is well when it is the running gateway.
            let running = gateway::ask(&around.settings.admin_listen).await;
            let is_running = running.is_running;
            tokio::join!(
                limited(REST, "listeners", gateway::check(&around, running)),
                limited(REST, "the session store", store::check(&around, is_running))
            )
        },
    );
    let warnings = notes.iter().filter(|note| note.weight == Weight::Warning).map(of_the_configuration).collect();
    [warnings, machine, apple, store, upstreams, certificates, gateway].concat()
}

fn of_the_configuration(note: &Note) -> Finding {
    let about = format!("{}:{}:{}", note.file.display(), note.line, note.column);
    let cure = "change the configuration there, and see `schoolgate check`";
    Finding::ill(Id::ConfigurationWarning, &note.text, cure).about(about)
}

async fn limited(limit: Duration, what: &str, check: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    timeout(limit, check).await.unwrap_or_else(|_| {
        let found = format!("the check has no result after {} s", limit.as_secs());
        let cure = "a name server, a disk or a network file system does not answer: look at the system's log";
        vec![Finding::ill(Id::CheckOverdue, found, cure).about(what)]
    })
}
