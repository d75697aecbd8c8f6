//! A form that arrives without a session: kept when it may be, and the sign-in goes on in any case.

use bytes::Bytes;
use http::{HeaderName, header};
use pingora::{http::RequestHeader, proxy::Session};

use super::{only, posts};
use crate::{
    proxy::{Answer, Gateway, exchange::Facts, forwarding, objections::is_our_page},
    session::StoreError,
    signin::{Keeping, LONGEST_FORM, Sender, SentForm},
    web::{Host, Kind, Scheme},
};

/// <https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header>
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a form is not kept.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    #[error("no page of this host sent it")]
    FromElsewhere,
    #[error("it is longer than 1 MiB")]
    TooLarge,
    #[error("the browser shows no session that ever was")]
    Stranger,
    #[error("three forms of this person are kept")]
    TooMany,
    #[error("the store has no room for more forms")]
    StoreFull,
    #[error("its address is too long")]
    NoWayBack,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Gateway {
    /// Adds the receipt to the answer that leads to the sign-in, when the request is a form that may be kept.
    /// `read` is its body, when that was read before.
    ///
    /// # Errors
    /// When the client goes away.
    pub(super) async fn keep_form(
        &self,
        session: &mut Session,
        facts: &Facts,
        read: Option<Bytes>,
        answer: Answer,
    ) -> pingora::Result<Answer> {
        if facts.kind != Kind::Navigation || !posts(session.req_header(), is_form) {
            return Ok(answer);
        }
        let sender = match self.may_be_kept(session.req_header(), facts).await {
            Ok(sender) => sender,
            Err(why) => return Ok(not_kept(&why, answer)),
        };
        let body = match read {
            Some(body) => body,
            None => match short_body(session).await? {
                Some(body) => body,
                None => return Ok(not_kept(&NotKept::TooLarge, answer)),
            },
        };
        let request = session.req_header();
        let own = |name: &HeaderName| only(request, name).map(ToOwned::to_owned);
        let form = SentForm {
            host: facts.host.clone(),
            target: facts.target.clone(),
            content_type: own(&header::CONTENT_TYPE).unwrap_or_default(),
            origin: own(&header::ORIGIN),
            referer: own(&header::REFERER),
            sent: self.clock.now(),
            body,
        };
        let browser = forwarding::browser(request, facts);
        let why = match self.signin.keep_form(sender, &browser, &form).await {
            Ok(Keeping::Kept(cookies)) => {
                tracing::info!(event = "form_kept", bytes = form.body.len());
                return Ok(answer.with_cookies(&cookies));
            }
            Ok(Keeping::TooMany) => NotKept::TooMany,
            Ok(Keeping::StoreFull) => NotKept::StoreFull,
            Ok(Keeping::NoWayBack) => NotKept::NoWayBack,
            Err(error) => error.into(),
        };
        Ok(not_kept(&why, answer))
    }

    /// What can be said before the body is read, the cheapest first.
    async fn may_be_kept(&self, request: &RequestHeader, facts: &Facts) -> Result<Sender, NotKept> {
        if !is_of_this_host(request, &facts.host, self.settings.external_scheme) {
            return Err(NotKept::FromElsewhere);
        }
        let announced = only(request, &header::CONTENT_LENGTH).and_then(|value| value.parse::<u64>().ok());
        if announced.is_some_and(|length| length > LONGEST_FORM as u64) {
            return Err(NotKept::TooLarge);
        }
        self.signin.sender(&forwarding::browser(request, facts)).await?.ok_or(NotKept::Stranger)
    }
}

fn not_kept(why: &NotKept, answer: Answer) -> Answer {
    tracing::info!(event = "form_not_kept", reason = %why);
    answer
}

/// Whether a content type is one that HTML forms with fields have. `text/plain` is the third, and no app reads it.
fn is_form(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let mut boundaries =
        parts.filter_map(|part| part.split_once('=')).filter(|(name, _)| name.eq_ignore_ascii_case("boundary"));
    match (media_type.as_str(), boundaries.next(), boundaries.next()) {
        ("application/x-www-form-urlencoded", None, None) => true,
        ("multipart/form-data", Some((_, boundary)), None) => !boundary.is_empty(),
        _ => false,
    }
}

/// Whether a page of this very host sent it. What another site makes a browser post must never wait for a click of its
/// victim. Session cookies do not come with such posts, but they do come from other hosts of the same domain.
fn is_of_this_host(request: &RequestHeader, host: &Host, scheme: Scheme) -> bool {
    let origin = only(request, &header::ORIGIN);
    // A page that names no referrer sends its own forms with `null`; so does any site, by way of a redirect.
    let is_named = origin.is_some_and(|origin| origin != "null");
    let contradicts =
        request.headers.contains_key(header::ORIGIN) && origin != Some("null") && !is_our_page(request, host, scheme);
    match only(request, &SEC_FETCH_SITE) {
        Some(site) => matches!(site, "same-origin" | "none") && !contradicts,
        None => !request.headers.contains_key(SEC_FETCH_SITE) && is_named && !contradicts,
    }
}

/// The body, when it is short enough.
async fn short_body(session: &mut Session) -> pingora::Result<Option<Bytes>> {
    let mut body = Vec::new();
    while let Some(part) = session.read_request_body().await? {
        if body.len() + part.len() > LONGEST_FORM {
            return Ok(None);
        }
        body.extend_from_slice(&part);
    }
    Ok(Some(body.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_html_forms_send_is_a_form() {
        for form in [
            "application/x-www-form-urlencoded",
            "Application/X-WWW-Form-Urlencoded; charset=ISO-8859-1",
            "multipart/form-data; boundary=----x",
            "multipart/form-data;charset=utf-8;Boundary=\"x y\"",
        ] {
            assert!(is_form(form), "{form}");
        }
        for other in [
            "",
            "text/plain",
            "application/json",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/mixed; boundary=a",
            "application/x-www-form-urlencoded; boundary=a",
            "application/x-www-form-urlencoded, text/plain",
        ] {
            assert!(!is_form(other), "{other}");
        }
    }

    #[test]
    fn what_another_site_or_another_host_of_the_domain_posts_is_not_of_this_host() {
        let of_this_host = |fields: &[(&'static str, &str)]| {
            let mut request = RequestHeader::build("POST", b"/", None).unwrap();
            for (name, value) in fields {
                request.append_header(*name, *value).unwrap();
            }
            is_of_this_host(&request, &Host::parse("a.school.example").unwrap(), Scheme::Https)
        };
        let (site, origin, ours) = ("Sec-Fetch-Site", "Origin", "https://a.school.example");
        for fields in [
            &[(site, "same-origin"), (origin, ours)][..],
            &[(site, "same-origin")],
            &[(site, "none")],
            // An app that sets `Referrer-Policy: no-referrer`.
            &[(site, "same-origin"), (origin, "null")],
            // A browser of before 2023.
            &[(origin, ours)],
        ] {
            assert!(of_this_host(fields), "{fields:?}");
        }
        for fields in [
            &[][..],
            &[(origin, "null")],
            &[(origin, "")],
            &[(origin, "https://evil.example")],
            &[(origin, "http://a.school.example")],
            &[(origin, "https://b.school.example")],
            &[(origin, "https://a.school.example.evil.example")],
            &[(origin, ours), (origin, "https://evil.example")],
            &[(site, "same-site"), (origin, "https://b.school.example")],
            &[(site, "same-site"), (origin, ours)],
            &[(site, "cross-site"), (origin, ours)],
            &[(site, "cross-site")],
            &[(site, "")],
            &[(site, "same-origin"), (site, "cross-site"), (origin, ours)],
            &[(site, "same-origin"), (origin, "https://evil.example")],
            &[(site, "none"), (origin, "https://b.school.example")],
        ] {
            assert!(!of_this_host(fields), "{fields:?}");
        }
    }
}
