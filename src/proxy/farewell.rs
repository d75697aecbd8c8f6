//! The end of a session, as the browser is told of it; and the app's own sign-out, which ends it too.

use http::{HeaderName, HeaderValue, header};

use super::{Answer, Gateway, exchange::Exchange, fields::AnswerFields, judge::sessions_unavailable, response_headers};
use crate::{
    pages::Failure,
    policy::Admission,
    signin::{Browser, LeftBy, SignedOut},
    telemetry::Decision as Told,
    web::{Host, Kind, SetCookie},
};

/// <https://www.w3.org/TR/clear-site-data/>
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// The back button must not show what was seen before.
const CACHE: &str = "\"cache\"";

/// What an answer says beside its own when a person has gone: cookies go, and pages in the browser's caches.
#[derive(Clone, Debug)]
pub(super) struct Farewell(Vec<SetCookie>);

impl Farewell {
    /// Adds it to an answer of ours.
    #[must_use]
    pub(super) fn on(&self, answer: Answer) -> Answer {
        answer.with(CLEAR_SITE_DATA, CACHE).with_cookies(&self.0)
    }

    /// Adds it to an answer of the app, which no cache may keep: it would be shown instead of signing out.
    ///
    /// # Errors
    /// When a header cannot be changed.
    pub(super) fn onto(&self, answer: &mut impl AnswerFields) -> pingora::Result<()> {
        response_headers::forbid_storing(answer)?;
        answer.append(CLEAR_SITE_DATA, HeaderValue::from_static(CACHE))?;
        for cookie in self.0.iter().filter_map(|cookie| HeaderValue::from_str(&cookie.header_value()).ok()) {
            answer.append(header::SET_COOKIE, cookie)?;
        }
        Ok(())
    }
}

impl Gateway {
    /// What to tell a browser whose session has ended at this host.
    pub(super) fn farewell(&self, host: &Host, signed_out: SignedOut) -> Farewell {
        let mut cookies = signed_out.cookies;
        cookies.extend(self.app_cookies_to_delete(host));
        Farewell(cookies)
    }

    /// Somebody else has signed in at this host: what its app kept in the browser for whoever was here before
    /// goes, and so do the pages.
    pub(super) fn change_hands(&self, host: &Host, answer: Answer) -> Answer {
        let cookies = self.app_cookies_to_delete(host);
        if cookies.is_empty() { answer } else { Farewell(cookies).on(answer) }
    }

    fn app_cookies_to_delete(&self, host: &Host) -> Vec<SetCookie> {
        let app = self.table.app(host);
        app.map(|app| self.app_cookies.deletions(app, host, self.signin.cookie_names())).unwrap_or_default()
    }

    /// The last step before a judged request goes its way. Who asks the app for its sign-out leaves the
    /// gateway too: the session ends first and for good, whatever the app or the rules then say.
    pub(super) async fn send_off(
        &self,
        judged: Result<Admission, Box<Answer>>,
        browser: &Browser<'_>,
        exchange: &Exchange,
    ) -> Result<Admission, Box<Answer>> {
        let facts = &exchange.facts;
        if let Ok(admission) = &judged {
            self.note_owner(admission, browser, exchange).await;
        }
        let app = judged.as_ref().map_or_else(|_| self.table.app(&facts.host), |admission| Some(admission.app()));
        if !app.is_some_and(|app| app.sessions.end_with(&facts.method, facts.target.path())) {
            return judged;
        }
        if facts.kind == Kind::Guess {
            // Then the browser asks again when the person really wants to leave.
            let answer = Answer::failure(Failure::Unavailable, facts.kind, &facts.request_id);
            let answer = answer.because("a guess of the browser is nobody's wish to sign out");
            return Err(Box::new(answer.telling(Told::Objection)));
        }
        let signed_out = self.signin.sign_out(browser, LeftBy::App).await;
        let farewell = self.farewell(&facts.host, signed_out.map_err(|error| sessions_unavailable(&error, facts))?);
        match judged {
            Ok(admission) => {
                exchange.take_leave(farewell);
                Ok(admission)
            }
            Err(answer) => Err(Box::new(farewell.on(*answer))),
        }
    }
}
