//! From start to a clean stop: SIGTERM and SIGINT drain, a second one ends at once. SIGHUP ends nothing.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Parts, Running, Settings, StartError, descriptors};

/// Runs a gateway until it is told to stop.
///
/// # Errors
/// When it does not start.
pub async fn run(settings: Settings) -> Result<(), StartError> {
    run_until(settings, &mut Stops::listen()?, || {}).await
}

/// Runs a gateway until one of `stops` comes; `started` is called when it listens.
///
/// # Errors
/// When it does not start.
pub async fn run_until(settings: Settings, stops: &mut Stops, started: impl FnOnce()) -> Result<(), StartError> {
    descriptors::raise_limit();
    let grace = settings.shutdown_grace;
    let running = Running::start(settings, Parts::default()).await?;
    started();
    stops.next().await;
    tokio::select! {
        () = running.drain(grace) => {}
        () = stops.next() => tracing::warn!(event = "stopped_at_once"),
    }
    Ok(())
}

/// The signals that stop a program. One that comes before [`Stops::next`] waits for it.
#[derive(Debug)]
pub struct Stops {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    hangup_stops: bool,
}

impl Stops {
    /// SIGTERM and SIGINT end the program no longer by themselves, and SIGHUP does not end it at all:
    /// whoever sends that to a service wants anything but its end.
    ///
    /// # Errors
    /// When the system refuses to tell of signals.
    pub fn listen() -> Result<Self, StartError> {
        let of = |kind| signal(kind).map_err(|why: io::Error| StartError::Signals(why));
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            hangup: of(SignalKind::hangup())?,
            hangup_stops: false,
        })
    }

    /// SIGHUP stops it too: it comes when a terminal is closed.
    #[must_use]
    pub fn and_hangup(self) -> Self {
        Self { hangup_stops: true, ..self }
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    if self.hangup_stops {
                        return;
                    }
                    tracing::warn!(event = "reload_not_supported", "restart to read the configuration again");
                }
            }
        }
    }
}
