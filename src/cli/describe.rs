//! Apps and routes in words.

use std::borrow::Cow;

use http::{HeaderName, Method};

use crate::{
    identity::{Organization, Subject},
    policy::{Access, Allow, App, Route, Template, Values, Variable, redirects},
    web::Kind,
};

/// The methods of a route.
pub(super) fn methods(route: &Route) -> String {
    if route.methods.is_empty() {
        return "all".into();
    }
    route.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(" ")
}

/// The access of a route, as the file writes it.
pub(super) fn access(access: Access) -> &'static str {
    match access {
        Access::Required => "required",
        Access::Optional => "optional",
        Access::Public => "public",
    }
}

/// Who may pass, in few words.
pub(super) fn people(route: &Route) -> String {
    match route.access {
        Access::Required if route.allow.is_open() => "anyone who signed in".into(),
        Access::Required => {
            kinds(&route.allow).iter().map(|(kind, list)| count(kind, list.len())).collect::<Vec<_>>().join(" and ")
        }
        Access::Optional | Access::Public => "everybody".into(),
    }
}

/// The kinds of people that a route names, with each of them.
pub(super) fn kinds(allow: &Allow) -> Vec<(&'static str, Vec<&str>)> {
    [
        ("organization", allow.organizations.iter().map(Organization::as_str).collect()),
        ("user", allow.users.iter().map(Subject::as_str).collect()),
        ("email", allow.emails.iter().map(String::as_str).collect::<Vec<_>>()),
        ("email domain", allow.email_domains.iter().map(String::as_str).collect()),
    ]
    .into_iter()
    .filter(|(_, list)| !list.is_empty())
    .collect()
}

/// "1 user", "3 users".
pub(super) fn count(noun: &str, number: usize) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Where an app listens.
pub(super) fn upstreams(app: &App) -> String {
    app.upstreams.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// How requests are shared out, when an app has several upstreams.
pub(super) fn turns(app: &App) -> Option<String> {
    let asked = match &app.health_path {
        Some(target) => format!("each is asked for {}", target.to_origin_form()),
        None => "each is tried for a connection".into(),
    };
    (app.upstreams.len() > 1).then(|| format!("take turns while they are healthy: {asked} every few seconds"))
}

/// What somebody without a session gets on a route.
pub(super) fn strangers(route: &Route, method: &Method) -> Vec<String> {
    match route.access {
        Access::Public => vec!["let in; no session is looked at".into()],
        Access::Optional => vec!["let in, and the app is not told who it is".into()],
        Access::Required => answers(route, method),
    }
}

/// What each kind of request gets that cannot go on without a visit to Apple.
pub(super) fn answers(route: &Route, method: &Method) -> Vec<String> {
    let redirect = if matches!(*method, Method::GET | Method::HEAD) { 302 } else { 303 };
    let answer = |kind| {
        let (who, refused) = match kind {
            Kind::Navigation => ("a page in a tab", "401, a page that says so"),
            Kind::Frame => ("a page in a frame", "401, a page with a button that signs in in the whole window"),
            Kind::Other => ("a script, a picture, a WebSocket", "401, with the way to sign in in WWW-Authenticate"),
            Kind::Guess => ("a prefetch", "401"),
        };
        match redirects(route.unauthenticated, kind) {
            true => format!("{who}: sent to Apple ({redirect})"),
            false => format!("{who}: {refused}"),
        }
    };
    [Kind::Navigation, Kind::Frame, Kind::Other, Kind::Guess].map(answer).into()
}

/// A header name as people write it; on the wire, case does not count.
pub(super) fn header_name(name: &HeaderName) -> String {
    let mut capital = true;
    let letter = |letter: char| {
        let shown = if capital { letter.to_ascii_uppercase() } else { letter };
        capital = !letter.is_ascii_alphanumeric();
        shown
    };
    name.as_str().chars().map(letter).collect()
}

/// A template as the file writes it.
pub(super) fn template(template: &Template) -> String {
    let value = template.fill(&Names);
    value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

/// Fills a template with its own variables.
struct Names;

impl Values for Names {
    fn value(&self, variable: &Variable) -> Option<Cow<'_, str>> {
        Some(match variable {
            Variable::Subject => "{sub}".into(),
            Variable::Email => "{email}".into(),
            Variable::EmailVerified => "{email_verified}".into(),
            Variable::IsPrivateEmail => "{is_private_email}".into(),
            Variable::Organization => "{org_id}".into(),
            Variable::Scopes => "{scopes}".into(),
            Variable::AuthTime => "{auth_time}".into(),
            Variable::AccessToken => "{access_token}".into(),
            Variable::AccessTokenExpiresAt => "{access_token_expires_at}".into(),
            Variable::IdToken => "{id_token}".into(),
            Variable::SessionId => "{session_id}".into(),
            Variable::Claim(name) => format!("{{claim:{name}}}").into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_reads_as_it_was_written() {
        for text in [
            "Bearer {access_token}",
            "{sub} {email} {email_verified} {is_private_email} {org_id} {scopes} {auth_time}",
            "{access_token_expires_at} {id_token} {session_id} {claim:name}",
            "fixed",
        ] {
            assert_eq!(template(&Template::parse(text).unwrap()), text);
        }
    }

    #[test]
    fn a_header_name_has_its_capitals() {
        assert_eq!(header_name(&HeaderName::from_static("x-remote-user")), "X-Remote-User");
        assert_eq!(header_name(&HeaderName::from_static("remote_user")), "Remote_User");
    }

    #[test]
    fn counts_have_their_plural() {
        assert_eq!(
            (count("user", 1), count("note", 0), count("error", 2)),
            ("1 user".into(), "0 notes".into(), "2 errors".into())
        );
    }
}
