//! Who wants to know at once that a session has ended: connections that stay open.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};

use super::{SessionKey, StoreError};

/// Sessions that somebody watches.
#[derive(Debug, Default)]
pub(super) struct Watches {
    watched: Mutex<HashMap<SessionKey, watch::Sender<Option<Over>>>>,
    stirred: Notify,
}

/// Why a watch is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// The session has ended: here, in another process, or by itself.
    Ended,
    /// Nobody can say any more whether it lives.
    Doubtful(StoreError),
}

/// Resolves when its session has ended.
#[derive(Debug)]
pub(super) struct Watch(watch::Receiver<Option<Over>>);

impl Watch {
    /// Resolves when the session has ended, or is in doubt for too long.
    pub(super) async fn over(mut self) -> Over {
        // The sender goes away only after it has told.
        let over = self.0.wait_for(Option::is_some).await.ok().and_then(|over| over.clone());
        over.unwrap_or(Over::Ended)
    }
}

impl Watches {
    fn watched(&self) -> MutexGuard<'_, HashMap<SessionKey, watch::Sender<Option<Over>>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches a session.
    pub(super) fn watch(&self, key: &SessionKey) -> Watch {
        Watch(self.watched().entry(*key).or_insert_with(|| watch::Sender::new(None)).subscribe())
    }

    /// A session has ended.
    pub(super) fn end(&self, key: &SessionKey) {
        self.tell(key, Over::Ended);
    }

    /// What is known of a session counts no more.
    pub(super) fn tell(&self, key: &SessionKey, over: Over) {
        if let Some(sender) = self.watched().remove(key) {
            sender.send_replace(Some(over));
        }
        self.stir();
    }

    /// Which sessions are watched by somebody.
    pub(super) fn keys(&self) -> Vec<SessionKey> {
        let mut watched = self.watched();
        watched.retain(|_, sender| sender.receiver_count() > 0);
        watched.keys().copied().collect()
    }

    /// Some session has changed.
    pub(super) fn stir(&self) {
        self.stirred.notify_waiters();
    }

    /// Resolves at the next change of any session that this process hears of.
    pub(super) async fn stirred(&self) {
        self.stirred.notified().await;
    }
}
