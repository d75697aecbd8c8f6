//! How the parts of the gateway are, asked at one moment.

use std::{future::Future, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{sync::watch, time::timeout};

use super::Present;
use crate::{
    apple::KeysStatus,
    assertion::AssertionError,
    session::{RevocationQueue, Sessions, StoreError},
    tls::Certificates,
};

/// Who asks for health wants an answer soon; a store that takes longer is not well.
const PATIENCE: Duration = Duration::from_secs(2);

/// Knows whom to ask.
#[derive(Clone, Debug)]
pub(super) struct Health {
    present: Arc<ArcSwap<Present>>,
    sessions: Arc<Sessions>,
    queue: RevocationQueue,
    certificates: Option<Arc<Certificates>>,
    draining: watch::Receiver<bool>,
}

/// What they said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vitals {
    /// How it stands with Apple's keys.
    pub(super) keys: KeysStatus,
    /// Whether the store can be used, or why not.
    pub(super) store: Result<(), String>,
    /// How many sessions there are.
    pub(super) sessions: Option<usize>,
    /// How many revocations wait.
    pub(super) revocations_waiting: Option<usize>,
    /// For how long the key of the assertion has signed, or why there is none; nothing where there are no assertions.
    pub(super) assertion_key: Option<Result<Duration, AssertionError>>,
    /// Whether there is a certificate to show, where TLS ends here. One that has expired is shown, too.
    pub(super) certificate: Option<bool>,
    /// Whether the gateway stops.
    pub(super) draining: bool,
}

impl Health {
    pub(super) fn new(
        present: Arc<ArcSwap<Present>>,
        sessions: Arc<Sessions>,
        queue: RevocationQueue,
        certificates: Option<Arc<Certificates>>,
        draining: watch::Receiver<bool>,
    ) -> Self {
        Self { present, sessions, queue, certificates, draining }
    }

    /// Asks everybody.
    pub(super) async fn ask(&self) -> Vitals {
        let apple = Arc::clone(&self.present.load().apple);
        let (keys, store, sessions, waiting) = tokio::join!(
            apple.keys_ready(),
            in_time(self.sessions.ready()),
            in_time(self.sessions.count()),
            in_time(self.queue.length()),
        );
        let draining = *self.draining.borrow();
        let assertion_key = self.present.load().assertions.as_ref().map(|assertions| assertions.key_age());
        let certificate = self.certificates.as_ref().map(|certificates| !certificates.expiries().is_empty());
        let (sessions, revocations_waiting) = (sessions.ok(), waiting.ok());
        Vitals { keys, store, sessions, revocations_waiting, assertion_key, certificate, draining }
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, String> {
    match timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the session store has not answered within {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_never_answers_is_not_waited_for() {
        let silence = in_time(std::future::pending::<Result<(), StoreError>>()).await;
        assert_eq!(silence, Err("the session store has not answered within 2 s".to_owned()));
        assert_eq!(in_time(async { Ok(5) }).await, Ok(5));
        let down = in_time::<()>(async { Err(StoreError::Unavailable("disk full".into())) }).await;
        assert_eq!(down, Err("the session store is not available: disk full".to_owned()));
    }
}
