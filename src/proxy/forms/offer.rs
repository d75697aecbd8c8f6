//! The page that offers a form again, to the one who wrote it.

use http::Method;
use pingora::http::RequestHeader;

use super::{
    Forms,
    click::{Click, Wish},
};
use crate::{
    pages::{self, Button, OfferedForm},
    proxy::{Answer, Gateway, exchange::Facts, forwarding},
    session::StoreError,
    signin::{FORM_LIFETIME, Waiting},
    web::{Kind, ReturnPath},
};

impl Gateway {
    /// The offer, where somebody opens the page of a form of theirs that waits; `None` when the request goes on.
    ///
    /// The rules have no say yet: a form that may not be sent any more is told so when it is sent.
    pub(super) async fn offer(&self, request: &RequestHeader, facts: &Facts, forms: &mut Forms) -> Option<Answer> {
        if facts.method != Method::GET || facts.kind != Kind::Navigation {
            return None;
        }
        match self.waiting(request, facts, forms).await {
            Ok(answer) => answer,
            // Its person opens the page again; it is another matter whether the app can be used meanwhile.
            Err(error) => {
                tracing::warn!(event = "form_not_offered", reason = %error);
                None
            }
        }
    }

    async fn waiting(
        &self,
        request: &RequestHeader,
        facts: &Facts,
        forms: &mut Forms,
    ) -> Result<Option<Answer>, StoreError> {
        let browser = forwarding::browser(request, facts);
        let prefix = self.signin.cookie_names().form_prefix();
        let place = ReturnPath::of(&facts.target).filter(|_| browser.jar.with_prefix(prefix).next().is_some());
        let Some(place) = place else { return Ok(None) };
        let Some(session) = self.signin.session_of(&browser).await? else { return Ok(None) };
        let Waiting { form, cookies } = self.signin.forms_for(&session, &browser, &place).await?;
        forms.cookies = cookies;
        let Some(kept) = form else { return Ok(None) };
        let (form, button) = (&kept.form, kept.button());
        let page = pages::offered_form(&OfferedForm {
            person: &session.record().person,
            host: facts.host.name(),
            path: facts.target.path().as_str(),
            sent: form.sent,
            until: form.sent.plus(FORM_LIFETIME),
            now: self.clock.now(),
            bytes: form.body.len(),
            button: &|what| match what {
                Button::Send => Click::value(Wish::Send, &button),
                Button::ThrowAway => Click::value(Wish::Drop, &button),
            },
        });
        tracing::info!(event = "form_offered", session = %session.record().handle);
        Ok(Some(Answer::page(page).with_cookies(&forms.cookies)))
    }
}
