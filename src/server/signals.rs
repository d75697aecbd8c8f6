//! From start to a clean stop: SIGTERM and SIGINT drain, a second one ends at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Parts, Running, Settings, StartError};

/// Runs a gateway until it is told to stop.
///
/// # Errors
/// When it does not start.
pub async fn run(settings: Settings) -> Result<(), StartError> {
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
}

impl Stops {
    fn new() -> Result<Self, StartError> {
        let listen = |kind| signal(kind).map_err(StartError::Signals);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
