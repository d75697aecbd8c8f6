//! What systemd hears of the service (sd_notify(3)). Without systemd nobody is told.

use std::time::Duration;

use sd_notify::NotifyState;

/// It listens, and can be used.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("Serving")]);
}

/// It reads its configuration again. `Type=notify-reload` wants to know since when, on the clock of the system.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(why) => tracing::warn!(event = "systemd_not_told", reason = %why),
    }
}

/// The reload is over, well or not: what came of it stands in the status.
pub(super) fn reloaded(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It ends, which takes at most so long: the unit knows nothing of `shutdown_grace`. systemd never waits for less than
/// its own `TimeoutStopSec=`.
pub(super) fn stopping(within: Duration) {
    tell(&[NotifyState::Stopping, NotifyState::Status("Finishing what is under way")]);
    // After the message from which on it is ending, and written here: the library's number ends at 71 minutes.
    tell(&[NotifyState::Custom(&format!("EXTEND_TIMEOUT_USEC={}", within.as_micros()))]);
}

/// How often it has to be heard that the service lives (sd_watchdog_enabled(3)); never, without systemd's watchdog.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|within| !within.is_zero())
}

/// It lives.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(why) = sd_notify::notify(states) {
        tracing::warn!(event = "systemd_not_told", reason = %why);
    }
}
