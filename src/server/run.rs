//! From start to a clean stop, and the reloads in between.

use std::{sync::Arc, time::Duration};

use super::{
    NeedsRestart, Parts, Running, Settings, Signals, StartError, Told, descriptors, notify, sockets::Sockets, watchdog,
};
use crate::telemetry::Reload;

/// Reads the configuration again; says in a few words why it is not used, once the details are in the log.
pub type Reread = Arc<dyn Fn() -> Result<Settings, String> + Send + Sync>;

/// Runs a gateway as a service until it is told to stop. It takes the listening sockets that systemd holds for it,
/// and tells systemd how it is.
///
/// # Errors
/// When it does not start.
pub async fn run(settings: Settings, reread: Reread) -> Result<(), StartError> {
    let mut signals = Signals::listen()?;
    let parts = Parts { sockets: Sockets::of_systemd()?, ..Parts::default() };
    run_with(settings, parts, &mut signals, reread, (notify::ready, notify::watchdog())).await
}

/// Runs a gateway until a signal stops it; `started` is called when it listens.
///
/// # Errors
/// When it does not start.
pub async fn run_until(settings: Settings, signals: &mut Signals, started: impl FnOnce()) -> Result<(), StartError> {
    let nothing: Reread = Arc::new(|| Err("there is nothing to read again".to_owned()));
    run_with(settings, Parts::default(), signals, nothing, (started, None)).await
}

async fn run_with(
    settings: Settings,
    parts: Parts,
    signals: &mut Signals,
    reread: Reread,
    (started, watched): (impl FnOnce(), Option<Duration>),
) -> Result<(), StartError> {
    descriptors::raise_limit();
    let mut running = Running::start(settings, parts).await?;
    started();
    // To the very end: a gateway that drains must not be killed.
    let _fed = watched.map(|within| watchdog::Fed::start(running.pulse().clone(), within));
    while signals.next().await == Told::Reload {
        notify::reloading();
        tokio::select! {
            biased;
            said = reload(&mut running, &reread) => notify::reloaded(&said),
            // It has not begun to change anything: there is nothing to await in that.
            () = signals.stop() => break,
        }
    }
    notify::stopping(running.longest_drain());
    let grace = running.grace();
    tokio::select! {
        () = running.drain(grace) => {}
        () = signals.stop() => tracing::warn!(event = "stopped_at_once"),
    }
    Ok(())
}

/// Serves by the configuration as it is now, if it is good. Gives back what came of it, in a sentence.
async fn reload(running: &mut Running, reread: &Reread) -> String {
    // On a thread of its own: a file that hangs must not keep a signal from being heard.
    let reread = Arc::clone(reread);
    let read = tokio::task::spawn_blocking(move || reread()).await;
    let reloaded = match read.unwrap_or_else(|_| Err("reading it has failed".to_owned())) {
        Ok(settings) => running.reload(settings).await.map_err(|why| why.to_string()),
        Err(why) => Err(why),
    };
    running.metrics().reloads.count(if reloaded.is_ok() { Reload::Done } else { Reload::Refused });
    match reloaded {
        Err(reason) => {
            tracing::error!(event = "reload_refused", reason, "the configuration before goes on");
            format!("The last reload was refused: {reason}")
        }
        Ok(waiting) if waiting.is_empty() => {
            tracing::info!(event = "reloaded");
            "Reloaded".to_owned()
        }
        Ok(waiting) => {
            for NeedsRestart(key) in &waiting {
                tracing::warn!(event = "restart_needed", key, "this change needs a restart; the value before goes on");
            }
            let keys: Vec<_> = waiting.iter().map(|NeedsRestart(key)| *key).collect();
            tracing::info!(event = "reloaded", restart_needed = keys.join(" "));
            format!("Reloaded; a restart is needed for {}", keys.join(", "))
        }
    }
}
