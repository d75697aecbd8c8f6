//! What has to be done from time to time: notes of use written, dead sessions swept, watched ones looked at.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{SessionKey, Sessions, StoreError, watches::Over};
use crate::clock::Timestamp;

/// How often notes of use are written. What a killed process has not written is lost; the session then
/// seems to have been idle for so much longer.
const WRITE_EVERY: Duration = Duration::from_secs(10);

/// How often what has ended by itself is swept.
const SWEEP_EVERY: Duration = Duration::from_secs(300);

/// How often watched sessions are looked at: a stream ends within a second of its session.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A watched session of which nobody knows any more whether it is live counts as ended after so long. With
/// what the cache may trust before, that is within five seconds.
const DOUBT: Duration = Duration::from_secs(1);

/// Notes that are written in one step.
const BATCH: usize = 1_000;

/// Sessions in doubt, and since when.
type Doubted = HashMap<SessionKey, Timestamp>;

impl Sessions {
    /// Tends the sessions for as long as it is polled.
    pub async fn tend(self: Arc<Self>) {
        let writing = async {
            // Much more often than a session can end for want of use.
            let every = WRITE_EVERY.min(self.idle_timeout() / 20).max(Duration::from_millis(100));
            loop {
                self.clock.sleep(every).await;
                self.write_seen().await;
            }
        };
        let sweeping = async {
            loop {
                self.clock.sleep(SWEEP_EVERY).await;
                if let Err(error) = self.near.store().sweep(self.clock.now()).await {
                    tracing::warn!(event = "sweep_failed", reason = %error);
                }
            }
        };
        let looking = async {
            let mut doubted = Doubted::new();
            loop {
                self.clock.sleep(LOOK_EVERY).await;
                doubted = self.look_at_watched(&doubted).await;
            }
        };
        tokio::join!(writing, sweeping, looking);
    }

    /// Writes when sessions were last used.
    pub async fn write_seen(&self) {
        let notes = self.seen.take();
        for batch in notes.chunks(BATCH) {
            if let Err(error) = self.near.store().touch(batch).await {
                tracing::warn!(event = "last_seen_delayed", reason = %error);
                // Once more with the next ones.
                batch.iter().for_each(|(key, moment)| self.seen.note(*key, *moment));
            }
        }
    }

    /// Tells those who watch sessions that have ended by themselves, or in a process that was not heard, or
    /// that have been in doubt for too long. Gives back which are in doubt now.
    async fn look_at_watched(&self, doubted: &Doubted) -> Doubted {
        let mut in_doubt = Doubted::new();
        let mut broken: Option<StoreError> = None;
        for key in self.watches.keys() {
            // One call that fails is enough: each of the others would wait for as long.
            let found = match &broken {
                Some(error) if self.near.known_for_sure(&key, self.clock.now()).is_none() => Err(error.clone()),
                Some(_) | None => self.look(&key).await.map(|(stored, _)| stored),
            };
            match found {
                Ok(Some(_)) => {}
                Ok(None) => self.watches.end(&key),
                Err(error) => {
                    let now = self.clock.now();
                    let since = doubted.get(&key).copied().unwrap_or(now);
                    if now.since(since) >= DOUBT {
                        self.watches.tell(&key, Over::Doubtful(error.clone()));
                    } else {
                        in_doubt.insert(key, since);
                    }
                    broken = Some(error);
                }
            }
        }
        in_doubt
    }
}
