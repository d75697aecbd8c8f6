//! From start to a clean stop: SIGTERM and SIGINT drain, a second one ends at once. SIGHUP ends nothing.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Parts, Running, Settings, StartError, descriptors};

/// Runs a gateway until it is told to stop.
///
/// # Errors
/// When it does not start.
pub async fn run(settings: Settings) -> Result<(), StartError> {
    descriptors::raise_limit();
    let grace = settings.shutdown_grace;
    let mut stops = Stops::new()?;
    let running = Running::start(settings, Parts::default()).await?;
    stops.next().await;
    tokio::select! {
        () = running.drain(grace) => {}
        () = stops.next() => tracing::warn!(event = "stopped_at_once"),
    }
    Ok(())
}

/// The signals that stop a program.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Stops {
    fn new() -> Result<Self, StartError> {
        let listen = |kind| signal(kind).map_err(StartError::Signals);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                // Unheard it would end the process, and whoever sends it wants anything but that.
                _ = self.hang_up.recv() => tracing::warn!(event = "reload_not_supported", "restart to read the configuration again"),
            }
        }
    }
}
