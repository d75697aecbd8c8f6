//! The headers that an app gets.

use http::HeaderName;

use super::{
    report::{Entry, Fault, Report},
    section::Section,
    suggest,
};
use crate::{
    policy::{HeaderSet, Template, TemplateError},
    web::FoldedName,
};

/// Headers that belong to the connection or frame a message (RFC 9110, section 7.6.1; RFC 9112,
/// section 6), and the cookies of the browser.
const OF_THE_CONNECTION: &[&str] = &[
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that the gateway itself sets on every request.
const OF_THE_GATEWAY: &[&str] = &[
    "traceparent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
    "x-schoolgate-assertion",
];

/// The variables of templates, for suggestions.
const VARIABLES: &[&str] = &[
    "sub",
    "email",
    "email_verified",
    "is_private_email",
    "org_id",
    "scopes",
    "auth_time",
    "access_token",
    "access_token_expires_at",
    "id_token",
    "session_id",
];

/// One header with its place.
pub(super) type Header = (Entry<HeaderName>, Template);

/// Reads the key `headers`; `None` when there is none, or it is unusable as a whole.
pub(super) fn read(section: &mut Section<'_>, report: &Report<'_>) -> Option<Vec<Header>> {
    let pairs = section.pairs("headers", r#"{ X-Remote-User = "{email}" }"#)?;
    let mut headers: Vec<Header> = Vec::new();
    for (name, text) in pairs {
        let name = section.parse(name, header_name);
        let template = section.parse(text, |text| Template::parse(text).map_err(template_fault));
        let (Some(name), Some(template)) = (name, template) else { continue };
        match headers.iter().find(|(other, _)| folds_alike(&other.value, &name.value)) {
            Some((other, _)) => report.fault(&name.place, alike(report, other)),
            None => headers.push((name, template.value)),
        }
    }
    Some(headers)
}

/// What an app gets without headers of its own.
pub(super) fn of_app(own: Option<&[Header]>) -> HeaderSet {
    own.map_or_else(HeaderSet::standard, set)
}

/// What an app gets on one route. A name may replace one of the app's only when both are spelt alike.
pub(super) fn of_route(own: &[Header], app: &HeaderSet, report: &Report<'_>) -> HeaderSet {
    for (name, _) in own {
        let twin = app.names().find(|other| **other != name.value && folds_alike(other, &name.value));
        if let Some(twin) = twin {
            let cure = format!("spell it {twin} to replace that one, or choose another name");
            let message = format!("is {twin} of the app to CGI, WSGI and PHP, and the app would get both");
            report.problem(&name.place, message, cure);
        }
    }
    app.overridden_by(&set(own))
}

fn set(headers: &[Header]) -> HeaderSet {
    HeaderSet::new(headers.iter().map(|(name, template)| (name.value.clone(), template.clone())))
}

fn header_name(text: &str) -> Result<HeaderName, Fault> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
        Fault::new("is no name of a header", "write letters, digits and hyphens, such as X-Remote-User")
    })?;
    let folded = FoldedName::of(text);
    if OF_THE_CONNECTION.contains(&folded.as_str()) || folded.as_str().starts_with("proxy-") {
        return Err(Fault::new(
            "belongs to the connection, so it cannot be set",
            "choose another name, such as X-Remote-User",
        ));
    }
    if OF_THE_GATEWAY.contains(&folded.as_str()) {
        return Err(Fault::new("is set by the gateway itself", "remove it, or choose another name"));
    }
    Ok(name)
}

fn template_fault(why: TemplateError) -> Fault {
    let near = match &why {
        TemplateError::Unknown(name) => suggest::nearest(name, VARIABLES),
        TemplateError::Brace | TemplateError::Character => None,
    };
    // A message of the policy room is "what is wrong; what to do", or only the first.
    let why = why.to_string();
    let (message, cure) =
        why.split_once("; ").unwrap_or((&why, "write text and variables, such as \"Bearer {access_token}\""));
    Fault::new(message, near.map_or_else(|| cure.to_owned(), |near| format!("did you mean {{{near}}}?")))
}

fn folds_alike(one: &HeaderName, other: &HeaderName) -> bool {
    FoldedName::of(one.as_str()) == FoldedName::of(other.as_str())
}

fn alike(report: &Report<'_>, other: &Entry<HeaderName>) -> Fault {
    let line = report.line(&other.place);
    Fault::new(
        format!("is {} of line {line} to CGI, WSGI and PHP, and the app would get both", other.value),
        "remove one of the two",
    )
}
