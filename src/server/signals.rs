//! The signals that a service is told with: SIGTERM and SIGINT stop it, SIGHUP has it read its configuration again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::StartError;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// To end in order.
    Stop,
    /// To read the configuration again.
    Reload,
}

/// The signals of this process. One that comes before [`Signals::next`] waits for it.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    hangup_stops: bool,
}

impl Signals {
    /// From now on none of the three ends the program by itself.
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
    pub async fn next(&mut self) -> Told {
        tokio::select! {
            biased;
            () = told(&mut self.terminate) => Told::Stop,
            () = told(&mut self.interrupt) => Told::Stop,
            () = told(&mut self.hangup) => if self.hangup_stops { Told::Stop } else { Told::Reload },
        }
    }

    /// Waits until it is told to stop, and hears nothing else.
    pub async fn stop(&mut self) {
        while self.next().await != Told::Stop {}
    }
}

/// The signal has come.
async fn told(signal: &mut Signal) {
    // The system tells of signals for as long as the program runs; an end is not one.
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}
