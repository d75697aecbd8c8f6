//! From start to a clean stop: SIGTERM and SIGINT drain, a second one ends at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Parts, Running, Settings, StartError};

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
    hangup: Option<Signal>,
}

impl Stops {
    /// SIGTERM and SIGINT end the program no longer by themselves.
    ///
    /// # Errors
    /// When the system refuses to tell of signals.
    pub fn listen() -> Result<Self, StartError> {
        Ok(Self { terminate: of(SignalKind::terminate())?, interrupt: of(SignalKind::interrupt())?, hangup: None })
    }

    /// And SIGHUP, which comes when a terminal is closed.
    ///
    /// # Errors
    /// When the system refuses to tell of signals.
    pub fn and_hangup(self) -> Result<Self, StartError> {
        Ok(Self { hangup: Some(of(SignalKind::hangup())?), ..self })
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = hangup => {}
        }
    }
}

fn of(kind: SignalKind) -> Result<Signal, StartError> {
    signal(kind).map_err(StartError::Signals)
}
