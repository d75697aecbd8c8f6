//! Where Apple's servers tell that somebody took their consent back, or is gone.

use http::header;
use pingora::proxy::Session;

use super::body;
use crate::{
    apple::NotificationError,
    pages::Explanation,
    proxy::{Answer, Facts, Gateway, judge::sessions_unavailable},
    signin::NotifyProblem,
    web::Kind,
};

/// What a stranger hears who posts something. The log has the reason: a forger learns nothing here.
const REFUSED: Explanation = Explanation {
    status: 400,
    title: "This is no notification for this gateway",
    detail: "Only what Apple has signed for this gateway within the last day counts here.",
    advice: "The gateway's log has the reason, under the number of this request.",
};

/// What Apple hears when its keys are not to be had.
const NO_KEYS: Explanation = Explanation {
    status: 503,
    title: "The notification cannot be verified right now",
    detail: "The keys that would show who signed it are not available.",
    advice: "Send it again later.",
};

/// Seconds until keys that are missing may be there: by default they are asked for twice a minute.
const KEYS_LATER: &str = "30";

impl Gateway {
    /// Answers a posted notification. Whoever posts is a program, whatever its headers say: it gets no page, no
    /// cookie and no redirect.
    ///
    /// # Errors
    /// When the client goes away.
    pub(super) async fn notified(&self, session: &mut Session, facts: &Facts) -> pingora::Result<Answer> {
        let facts = &Facts { kind: Kind::Other, ..facts.clone() };
        let body = match body::whole(session).await? {
            Ok(body) => body,
            Err(why) => {
                let answer = Answer::failure(why.failure(), facts.kind, &facts.request_id);
                return Ok(answer.because(why.as_str()));
            }
        };
        Ok(match self.signin.notified(&body).await {
            Ok(_) => Answer::new(200, "text/plain; charset=utf-8", ""),
            Err(NotifyProblem::Store(error)) => *sessions_unavailable(&error, facts),
            Err(NotifyProblem::Refused(error)) => {
                tell(&error);
                match error.is_transient() {
                    true => Answer::problem(&NO_KEYS, &facts.request_id).with(header::RETRY_AFTER, KEYS_LATER),
                    false => Answer::problem(&REFUSED, &facts.request_id),
                }
            }
        })
    }
}

/// Anybody can post rubbish. What Apple has signed and is refused all the same is for somebody to look at.
fn tell(error: &NotificationError) {
    let outcome = error.outcome();
    match error {
        NotificationError::Envelope(_) | NotificationError::NotApples(_) => {
            tracing::info!(event = "notification_refused", outcome, reason = %error);
        }
        NotificationError::NotForUs(_) | NotificationError::KeysUnavailable(_) => {
            tracing::warn!(event = "notification_refused", outcome, reason = %error);
        }
    }
}
