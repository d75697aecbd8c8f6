//! Forms that come after their session has died: kept on the way to the sign-in (`arrival`), offered on the way back
//! (`offer`), and sent by one click as the browser would have sent them (`click`).
//!
//! What is kept, for whom and for how long is `signin`'s business; here is what a request says.

mod arrival;
mod click;
mod offer;

use http::{HeaderValue, Method, header};
use pingora::{http::ResponseHeader, proxy::Session};

use self::click::Click;
use super::{
    Answer, Gateway,
    exchange::{Exchange, Facts},
};
use crate::{
    policy::{Admission, App},
    session::Swap,
    signin::TakenForm,
    telemetry::Decision,
    web::SetCookie,
};

/// What one request has to do with forms.
#[derive(Debug, Default)]
pub(super) struct Forms {
    /// What goes to the app in the place of the click.
    taken: Option<Box<TakenForm>>,
    /// The end of receipts that were another person's.
    cookies: Vec<SetCookie>,
}

impl Forms {
    /// The form that the app gets in the place of what the browser sent.
    pub(super) fn taken(&self) -> Option<&TakenForm> {
        self.taken.as_deref()
    }

    /// Adds what an answer of the app has to say.
    ///
    /// # Errors
    /// When pingora cannot change a header.
    pub(super) fn onto(&self, response: &mut ResponseHeader) -> pingora::Result<()> {
        for cookie in self.cookies.iter().filter_map(|cookie| HeaderValue::from_str(&cookie.header_value()).ok()) {
            response.append_header(header::SET_COOKIE, cookie)?;
        }
        Ok(())
    }
}

impl Gateway {
    /// [`Self::judge`], for apps whose forms are kept: with what comes before and after.
    ///
    /// # Errors
    /// When the client goes away.
    pub(super) async fn judge_with_forms(
        &self,
        session: &mut Session,
        exchange: &Exchange,
        forms: &mut Forms,
    ) -> pingora::Result<Result<Admission, Box<Answer>>> {
        let facts = &exchange.facts;
        let Some(app) = self.table.app(&facts.host).filter(|app| app.keep_forms) else {
            return Ok(self.judge(session.req_header(), exchange).await);
        };
        let read = match click::looks_like_one(session.req_header()) {
            true => Some(click::read(session).await?),
            false => None,
        };
        if let Some(click) = read.as_deref().and_then(Click::parse) {
            return self.clicked(&click, session, exchange, forms).await;
        }
        if let Some(answer) = self.offer(session.req_header(), facts, forms).await {
            return Ok(Err(Box::new(answer.telling(Decision::KeptForm))));
        }
        Ok(match self.judge(session.req_header(), exchange).await {
            Ok(admission) => Ok(admission),
            Err(answer) => {
                let answer = answer.with_cookies(&forms.cookies);
                let begins_sign_in = answer.decision() == Decision::SignInBegun;
                Err(Box::new(match begins_sign_in && !ends_a_session(app, facts) {
                    true => self.keep_form(session, facts, read, answer).await?,
                    false => answer,
                }))
            }
        })
    }

    /// The app has not seen a byte of it: the form waits for another click.
    pub(super) async fn put_back(&self, forms: &Forms, exchange: &Exchange) {
        let Some(taken) = forms.taken().filter(|_| !exchange.is_sent()) else { return };
        match self.signin.put_back(taken).await {
            Ok(Swap::Done) => tracing::info!(event = "form_put_back"),
            Ok(swap @ (Swap::Changed | Swap::Full)) => tracing::warn!(event = "form_not_put_back", reason = ?swap),
            Err(error) => tracing::warn!(event = "form_not_put_back", reason = %error),
        }
    }
}

/// Who wanted to leave is not signed in for that, and leaves nothing to be sent.
fn ends_a_session(app: &App, facts: &Facts) -> bool {
    app.sessions.end_with(&facts.method, facts.target.path())
}

/// The one value of a field that may stand once.
fn only<'a>(request: &'a http::request::Parts, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = request.headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// Whether it is a POST of this media type. `Expect` and `Content-Encoding` are not what browsers' forms have.
fn posts(request: &http::request::Parts, is: impl FnOnce(&str) -> bool) -> bool {
    request.method == Method::POST
        && only(request, &header::CONTENT_TYPE).is_some_and(is)
        && !request.headers.contains_key(header::EXPECT)
        && !request.headers.contains_key(header::CONTENT_ENCODING)
}
