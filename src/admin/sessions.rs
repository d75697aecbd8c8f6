//! The sessions as an administrator sees them: the list, and their end.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{
    Ended, Present, SessionEntry, SessionPage,
    query::{End, Page},
    reply::Refusal,
};
use crate::{
    session::{Sessions, StoreError},
    telemetry::{Ending, Metrics, still_in_request},
};

/// Shows and ends sessions.
#[derive(Clone, Debug)]
pub(super) struct SessionsEndpoint {
    sessions: Arc<Sessions>,
    present: Arc<ArcSwap<Present>>,
    metrics: Arc<Metrics>,
}

impl SessionsEndpoint {
    pub(super) fn new(sessions: Arc<Sessions>, present: Arc<ArcSwap<Present>>, metrics: Arc<Metrics>) -> Self {
        Self { sessions, present, metrics }
    }

    /// A part of the list.
    pub(super) async fn page(&self, page: &Page) -> Result<SessionPage, Refusal> {
        let listed = match &page.whose {
            Some(whose) => self.sessions.list_of(whose, page.after.as_ref(), page.most).await,
            None => self.sessions.list(page.after.as_ref(), page.most).await,
        };
        let (listed, next) = listed.map_err(|error| unavailable(&error))?;
        let refresh_before = self.present.load().refresh_before;
        Ok(SessionPage {
            sessions: listed.iter().map(|listed| SessionEntry::of(listed, refresh_before)).collect(),
            // The key of a session is the hash of its cookie, and opens nothing.
            next: next.map(|key| key.to_text()),
        })
    }

    /// Ends sessions as their people would. Once begun it goes on to its end and into the log, even when whoever
    /// asked does not wait.
    pub(super) async fn end(&self, end: End) -> Result<Ended, Refusal> {
        let this = self.clone();
        let ending = async move {
            let revoke = this.present.load().revoke;
            let outcome = this.sessions.end_all(end.whose(), revoke).await;
            let selector = end.word();
            match &outcome {
                Ok(count) => {
                    this.metrics.endings.add(Ending::Administrator, *count);
                    tracing::info!(event = "sessions_ended_by_administrator", selector, count);
                }
                Err(error) => {
                    tracing::warn!(event = "sessions_not_all_ended", selector, reason = %error);
                }
            }
            outcome
        };
        let ending = tokio::spawn(still_in_request(ending));
        match ending.await {
            Ok(Ok(ended)) => Ok(Ended { ended }),
            Ok(Err(error)) => Err(unavailable(&error)),
            Err(_) => Err(Refusal::mistake("The sessions may not all have ended. The log has more.")),
        }
    }
}

pub(super) fn unavailable(error: &StoreError) -> Refusal {
    Refusal::unavailable(format!("Try again: {error}. /readyz says when it is back."))
}
