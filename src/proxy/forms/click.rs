//! The click on a button of the offer: a post to the form's own address, with nothing in it but what the button says.
//!
//! It goes where the form went, so that what the app then shows has the address that it would have had: relative links
//! and forms without an address of their own work, and the rules judge the very request that is sent.

use bytes::Bytes;
use http::header;
use pingora::{http::RequestHeader, proxy::Session};

use super::{Forms, only, posts};
use crate::{
    pages::Failure,
    policy::Admission,
    proxy::{Answer, Gateway, exchange::Exchange, forwarding, judge::sessions_unavailable, own::is_from_elsewhere},
    signin::{Found, SentForm, Taken},
    telemetry::Decision,
    web::{Form, Kind, ReturnPath},
};

/// The field that the buttons have.
const FIELD: &str = "schoolgate-form";

/// What the buttons say first.
const SEND: &str = "send";
const DROP: &str = "drop";

/// How long the body of a click is: field, word, twelve bytes and thirty-two bytes in base64, and what stands between
/// them. A post of any other length is the app's.
const LENGTH: usize = FIELD.len() + 1 + SEND.len() + 1 + 16 + 1 + 43;

/// What becomes of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// It is sent.
    Send,
    /// It is thrown away.
    Drop,
}

/// What a button says.
pub(super) struct Click {
    wish: Wish,
    id: String,
    token: String,
}

impl Click {
    /// What the button for a form says.
    pub(super) fn value(wish: Wish, (id, token): &(String, String)) -> String {
        let word = match wish {
            Wish::Send => SEND,
            Wish::Drop => DROP,
        };
        format!("{word}.{id}.{token}")
    }

    /// Reads a body; `None` when it is the app's.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let form = Form::parse(body).ok().filter(|form| form.names().count() == 1)?;
        let mut parts = form.only(FIELD).ok()??.split('.');
        let wish = match parts.next()? {
            SEND => Wish::Send,
            DROP => Wish::Drop,
            _ => return None,
        };
        let (id, token) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        parts.next().is_none().then_some(Self { wish, id, token })
    }
}

/// Whether a head can be that of a click, so that its body is worth a look.
pub(super) fn looks_like_one(request: &RequestHeader) -> bool {
    let length = only(request, &header::CONTENT_LENGTH).and_then(|value| value.parse().ok());
    length == Some(LENGTH)
        && posts(request, |content_type| content_type.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Reads the few bytes of what may be a click. pingora has them too, and sends them on when they are the app's: they
/// are what it would send again if an upstream went away.
///
/// # Errors
/// When the client goes away.
pub(super) async fn read(session: &mut Session) -> pingora::Result<Bytes> {
    session.as_mut().enable_retry_buffering();
    let mut body = Vec::with_capacity(LENGTH);
    while let Some(part) = session.read_request_body().await? {
        body.extend_from_slice(&part);
    }
    Ok(body.into())
}

impl Gateway {
    /// Does what a button says. The form is judged as if it came now, and taken out only when it may go.
    ///
    /// # Errors
    /// When pingora cannot change a header.
    pub(super) async fn clicked(
        &self,
        click: &Click,
        session: &mut Session,
        exchange: &Exchange,
        forms: &mut Forms,
    ) -> pingora::Result<Result<Admission, Box<Answer>>> {
        let facts = &exchange.facts;
        let fail = |failure| {
            let answer = Answer::failure(failure, facts.kind, &facts.request_id);
            Ok(Err(Box::new(answer.telling(Decision::KeptForm))))
        };
        let request = session.req_header();
        let browser = forwarding::browser(request, facts);
        let place = ReturnPath::of(&facts.target);
        let receipt = self.signin.receipt(&browser, &click.id, &click.token);
        // Another site knows no token. That a page of a browser asks, and not a script in it, is judged all the same.
        let is_ours = facts.kind == Kind::Navigation && !is_from_elsewhere(request, facts);
        let (Some(place), Some(receipt), true) = (place, receipt, is_ours) else { return fail(Failure::FormGone) };
        let found = match click.wish {
            Wish::Send if receipt.is_for(&place) => self.signin.find_form(receipt, &browser).await,
            Wish::Send => return fail(Failure::FormGone),
            Wish::Drop => match self.signin.throw_form_away(&receipt).await {
                Ok(cookie) => {
                    tracing::info!(event = "form_thrown_away", reason = "its person wants it");
                    return Ok(Err(Box::new(
                        Answer::redirect(303, place.as_str()).with_cookies(&[cookie]).telling(Decision::KeptForm),
                    )));
                }
                Err(error) => Err(error),
            },
        };
        let kept = match found {
            Ok(Found::Kept(kept)) => kept,
            Ok(Found::Sent) => return fail(Failure::FormSent),
            Ok(Found::Gone) => return fail(Failure::FormGone),
            Err(error) => return Ok(Err(sessions_unavailable(&error, facts))),
        };
        restore(session.req_header_mut(), &kept.form)?;
        let admission = match self.judge(session.req_header(), exchange).await {
            Ok(admission) => admission,
            Err(answer) => return Ok(Err(answer)),
        };
        let Some(person) = admission.session() else { return fail(Failure::FormGone) };
        match self.signin.take_form(kept, person).await {
            Ok(Taken::Form(taken)) => {
                tracing::info!(
                    event = "form_sent", app = %admission.app().name, session = %person.record().handle,
                    bytes = taken.form.body.len(),
                );
                forms.taken = Some(taken);
                Ok(Ok(admission))
            }
            Ok(Taken::Sent) => fail(Failure::FormSent),
            Ok(Taken::Gone) => fail(Failure::FormGone),
            Err(error) => Ok(Err(sessions_unavailable(&error, facts))),
        }
    }
}

/// Makes the head of the click that of the form.
fn restore(request: &mut RequestHeader, form: &SentForm) -> pingora::Result<()> {
    request.set_raw_path(form.target.to_origin_form().as_bytes())?;
    request.insert_header(header::CONTENT_TYPE, &*form.content_type)?;
    request.insert_header(header::CONTENT_LENGTH, form.body.len())?;
    for (name, value) in [(header::ORIGIN, &form.origin), (header::REFERER, &form.referer)] {
        match value {
            Some(value) => request.insert_header(name, &**value)?,
            None => drop(request.remove_header(&name)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(value: &str) -> Vec<u8> {
        url::form_urlencoded::Serializer::new(String::new()).append_pair(FIELD, value).finish().into_bytes()
    }

    fn head(fields: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("POST", b"/", None).unwrap();
        for (name, value) in fields {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    #[test]
    fn a_click_comes_back_from_its_body_which_has_one_length() {
        let button = ("i".repeat(16), "-".repeat(43));
        for wish in [Wish::Send, Wish::Drop] {
            let body = body(&Click::value(wish, &button));
            assert_eq!(body.len(), LENGTH);
            let click = Click::parse(&body).unwrap();
            assert_eq!((click.wish, &click.id, &click.token), (wish, &button.0, &button.1));
        }
    }

    proptest! {
        #[test]
        fn a_click_that_is_read_is_the_one_that_was_written(id in "[A-Za-z0-9_-]{1,20}", token in "[A-Za-z0-9_-]{1,50}", noise: Vec<u8>) {
            let click = Click::parse(&body(&Click::value(Wish::Drop, &(id.clone(), token.clone())))).unwrap();
            prop_assert_eq!((click.wish, click.id, click.token), (Wish::Drop, id, token));
            prop_assert!(Click::parse(&noise).is_none());
        }
    }

    #[test]
    fn what_is_not_exactly_a_click_is_the_apps() {
        for value in ["", "send", "send.a", "send.a.b.c", "Send.a.b", "keep.a.b", ".a.b"] {
            assert!(Click::parse(&body(value)).is_none(), "{value}");
        }
        for other in [&b"schoolgate-form=send.a.b&x=y"[..], b"schoolgate-form=send.a.b&schoolgate-form=send.a.b", b"x"]
        {
            assert!(Click::parse(other).is_none());
        }
        let (length, form) = (&*LENGTH.to_string(), "application/x-www-form-urlencoded");
        assert!(looks_like_one(&head(&[("Content-Length", length), ("Content-Type", form)])));
        for other in [
            &[("Content-Length", length)][..],
            &[("Content-Type", form)],
            &[("Content-Length", "5"), ("Content-Type", form)],
            &[("Content-Length", length), ("Content-Type", "text/plain")],
            &[("Content-Length", length), ("Content-Type", form), ("Content-Type", form)],
            &[("Content-Length", length), ("Content-Type", form), ("Expect", "100-continue")],
        ] {
            assert!(!looks_like_one(&head(other)), "{other:?}");
        }
    }
}
