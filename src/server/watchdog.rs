//! systemd's watchdog: it is fed for as long as requests are really served, and restarts the service when they are not.
//!
//! What is asked is the gateway's own work: every listener accepts, and a request is answered. Neither the store nor
//! Apple nor an app is asked, for a restart mends none of them; and nobody needs a place among the connections for it,
//! so that a flood of them is no reason for a restart.

use std::{future::Future, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{listener::Asked, notify};
use crate::proxy::{self, Generations};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// A listener is gone before its time.
    #[error("a listener accepts nothing more")]
    Listener,
    /// The answer to our own request is not what it should be.
    #[error("a request of the gateway's own was answered wrongly")]
    Answer,
    /// Something does not answer.
    #[error("a listener, or a request of the gateway's own, was not answered in time")]
    Silence,
}

/// Everything that has to be alive for requests to be served.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    generations: Generations,
    listeners: Vec<mpsc::Sender<oneshot::Sender<()>>>,
    shut: watch::Receiver<bool>,
}

impl Pulse {
    /// Without a listener yet; `shut` says when listeners may end.
    pub(super) fn new(generations: Generations, shut: watch::Receiver<bool>) -> Self {
        Self { generations, listeners: Vec::new(), shut }
    }

    /// One more listener, which answers what comes by this.
    pub(super) fn of_a_listener(&mut self) -> Asked {
        let (sender, asked) = mpsc::channel(1);
        self.listeners.push(sender);
        asked
    }

    /// Asks everybody. It does not resolve while somebody is silent.
    async fn beat(&self) -> Result<(), Trouble> {
        for listener in &self.listeners {
            let (answer, answered) = oneshot::channel();
            let asked = listener.send(answer).await.is_ok();
            // In a drain listeners end, and one that was asked may end before it answers.
            if !(asked && answered.await.is_ok() || *self.shut.borrow()) {
                return Err(Trouble::Listener);
            }
        }
        if proxy::answers(&self.generations).await { Ok(()) } else { Err(Trouble::Answer) }
    }
}

/// The watchdog is fed until this is dropped.
#[derive(Debug)]
pub(super) struct Fed(JoinHandle<()>);

impl Fed {
    /// Feeds a watchdog that bites when it gets nothing `within` this time.
    pub(super) fn start(pulse: Pulse, within: Duration) -> Self {
        Self(tokio::spawn(async move { feed(within, || pulse.beat(), notify::alive).await }))
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Twice in its time (sd_watchdog_enabled(3)) the watchdog is fed, if all is well.
async fn feed<F: Future<Output = Result<(), Trouble>>>(within: Duration, beat: impl Fn() -> F, fed: impl Fn()) {
    let every = within / 2;
    // What comes later than this comes too late for the meal after it, too.
    let patience = every * 3 / 4;
    let mut meals = interval(every);
    meals.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        meals.tick().await;
        match timeout(patience, beat()).await.unwrap_or(Err(Trouble::Silence)) {
            Ok(()) => fed(),
            Err(reason) => tracing::warn!(event = "watchdog_not_fed", %reason, "systemd restarts what stays like this"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        sync::atomic::{AtomicBool, Ordering},
    };

    use super::*;

    const WITHIN: Duration = Duration::from_secs(30);

    /// How often the watchdog is fed within a while.
    async fn meals<F: Future<Output = Result<(), Trouble>>>(span: Duration, beat: impl Fn() -> F) -> u32 {
        let count = Cell::new(0);
        let fed = || count.set(count.get() + 1);
        assert!(timeout(span, feed(WITHIN, beat, fed)).await.is_err(), "it goes on for ever");
        count.get()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_fed_twice_in_its_time_while_all_is_well() {
        assert_eq!(meals(WITHIN * 10 - Duration::from_secs(1), || async { Ok(()) }).await, 20);
        // Also when it takes a while to be sure.
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(11)).await;
            Ok(())
        };
        assert_eq!(meals(WITHIN * 10, slow).await, 20);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_not_fed_while_something_hangs_or_is_wrong_and_again_afterwards() {
        assert_eq!(meals(WITHIN * 10, std::future::pending).await, 0);
        assert_eq!(meals(WITHIN * 10, || async { Err(Trouble::Answer) }).await, 0);
        let well = AtomicBool::new(false);
        let at_the_second_try = || async {
            if !well.swap(true, Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            Ok(())
        };
        assert_eq!(meals(WITHIN - Duration::from_secs(1), at_the_second_try).await, 1);
    }
}
