//! Who wants to know at once that a session has ended: connections that stay open.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, watch};

use super::SessionKey;

/// Sessions that somebody watches.
#[derive(Debug, Default)]
pub(super) struct Watches {
    watched: Mutex<HashMap<SessionKey, watch::Sender<bool>>>,
    stirred: Notify,
}

/// Resolves when its session has ended.
#[derive(Debug)]
pub(super) struct Watch(watch::Receiver<bool>);

impl Watch {
    /// Resolves when the session has ended, here or in another process, or by itself.
    pub(super) async fn ended(mut self) {
        // The sender goes away only after it has told.
        let _ = self.0.wait_for(|ended| *ended).await;
    }
}

impl Watches {
    fn watched(&self) -> MutexGuard<'_, HashMap<SessionKey, watch::Sender<bool>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches a session.
    pub(super) fn watch(&self, key: &SessionKey) -> Watch {
        Watch(self.watched().entry(*key).or_insert_with(|| watch::Sender::new(false)).subscribe())
    }

    /// A session has ended.
    pub(super) fn end(&self, key: &SessionKey) {
        if let Some(sender) = self.watched().remove(key) {
            sender.send_replace(true);
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
