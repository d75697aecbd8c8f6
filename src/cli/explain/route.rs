//! What a route does with a request.

use http::Method;

use super::{Guest, Lines, Request, add, by_way_of_home};
use crate::{
    cli::describe,
    config::Loaded,
    policy::{Access, App, Lookup, Route, Unmet, Verdict},
    web::{CanonicalPath, Host, Scheme, Target},
};

/// Headers that every app gets, on every route.
const ALWAYS: &str = "X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id, traceparent";

/// A request that meets a route.
pub(super) fn met(
    lines: &mut Lines,
    loaded: &Loaded,
    lookup: &Lookup,
    request: &Request,
    target: &Target,
    guest: Option<&Guest>,
) {
    let (app, route, method) = (lookup.app(), lookup.route(), &request.method);
    add(lines, "app", format!("{} at {}", app.name, describe::upstreams(app)));
    if let Some(turns) = describe::turns(app) {
        add(lines, "upstreams", turns);
    }
    if app.upstreams.iter().any(|upstream| upstream.scheme == Scheme::Https) {
        let authorities = if app.upstream_authorities.is_some() { "those of upstream_ca_file" } else { "the system's" };
        add(lines, "tls", format!("certificates of https upstreams are verified by authorities: {authorities}"));
    }
    if app.host.one().is_none() {
        add(lines, "host", format!("{} covers it, and no app has it by name", app.host));
    }
    add(lines, "route", format!("{} ({})", route.prefix.as_str(), methods(route)));
    add(lines, "path", format!("{} goes to the app", target.to_origin_form()));
    add(lines, "access", describe::access(route.access).into());
    listed(lines, "no session", describe::strangers(route, method));
    if route.access == Access::Required {
        by_way_of_home(lines, loaded, &request.host);
        if app.keep_forms && *method == Method::POST {
            let text =
                "one that comes after the session has died is kept for ten minutes, and offered after the sign-in";
            add(lines, "form", text.into());
        }
    }
    people(lines, route);
    let verdict = guest.map(|guest| judged(lines, loaded, route, method, guest));
    headers(lines, route, guest, verdict.as_ref(), assertion(loaded, &request.host));
    if verdict.is_none_or(|verdict| verdict == Verdict::Pass) {
        add(lines, "always", ALWAYS.into());
    }
    if !app.sessions.clear_cookies.is_empty() {
        add(lines, "cookies", format!("{}: only for whom the app has set them", app.sessions.clear_cookies.join(", ")));
    }
    sign_out(lines, app, method, target.path());
}

/// What becomes of the gateway's session on the app's own sign-out.
pub(super) fn sign_out(lines: &mut Lines, app: &App, method: &Method, path: &CanonicalPath) {
    if app.sessions.end_with(method, path) {
        let mut cookies = vec!["the gateway's cookies".to_owned()];
        cookies.extend(app.sessions.clear_cookies.iter().cloned());
        let text = format!("the gateway's session ends first; the answer deletes {}", cookies.join(", "));
        add(lines, "sign-out", text);
    }
}

/// Several lines under one label.
fn listed(lines: &mut Lines, label: &str, words: Vec<String>) {
    for (index, words) in words.into_iter().enumerate() {
        add(lines, if index == 0 { label } else { "" }, words);
    }
}

fn methods(route: &Route) -> String {
    if route.methods.is_empty() { "all methods".into() } else { format!("{} only", describe::methods(route)) }
}

fn people(lines: &mut Lines, route: &Route) {
    if route.access != Access::Required {
        return;
    }
    let scopes = match route.scopes.is_empty() {
        true => "none".to_owned(),
        false => format!("{}; a session without them is sent to Apple for them", route.scopes),
    };
    add(lines, "scopes", scopes);
    let kinds = describe::kinds(&route.allow);
    if kinds.is_empty() {
        return add(lines, "people", "anyone who signed in".into());
    }
    let mut what = "people";
    for (kind, list) in kinds {
        add(lines, what, format!("{kind}: {}", list.join(", ")));
        what = "and";
    }
    add(lines, "others", "403".into());
}

/// What somebody who has signed in gets, as the gateway itself would judge it.
fn judged(lines: &mut Lines, loaded: &Loaded, route: &Route, method: &Method, guest: &Guest) -> Verdict {
    add(lines, "signed in", guest.to_string());
    let verdict = Verdict::of(route, Some((&guest.person, &guest.scopes)));
    let words = match &verdict {
        Verdict::Pass => vec![
            match route.access {
                Access::Required => "let in",
                Access::Optional => "let in, and the app is told who it is",
                Access::Public => "let in; no session is looked at, and the app is not told who it is",
            }
            .to_owned(),
        ],
        Verdict::StepUp(missing) => {
            let asked = loaded.settings.signin.asks_for(&route.scopes, Some(&guest.scopes));
            let mut words = vec![format!("lacks {missing}, so Apple is asked for {asked}:")];
            words.extend(describe::answers(route, method));
            words.push("when Apple was asked and did not grant it: 403, and no loop".to_owned());
            words
        }
        Verdict::NotAllowed(unmet) => vec![
            format!("403: {}", kept_out(*unmet, guest)),
            format!("the log says not_allowed with reason=\"{}\"", unmet.as_str()),
        ],
        // For whoever has no session.
        Verdict::SignIn => describe::answers(route, method),
    };
    listed(lines, "gets", words);
    verdict
}

fn kept_out(unmet: Unmet, guest: &Guest) -> &'static str {
    let has_email = guest.person.email.is_some();
    match unmet {
        Unmet::Organization => "their organization is none of those above",
        Unmet::User => "they are none of the users above",
        Unmet::EmailNotVerified => "Apple does not vouch for their address, so no rule about addresses lets them in",
        Unmet::Email if has_email => "their address is none of those above",
        Unmet::EmailDomain if has_email => "their address is in none of the domains above",
        Unmet::Email | Unmet::EmailDomain => "they have no address, as far as --as says; add --email to judge by one",
    }
}

/// What the assertion says, when there are any.
fn assertion(loaded: &Loaded, host: &Host) -> Option<String> {
    let issuer = &loaded.settings.assertion.as_ref()?.issuer;
    let audience = loaded.settings.signin.home.origin_of(host);
    Some(format!("X-Schoolgate-Assertion: signed by {issuer} for {audience}"))
}

fn headers(
    lines: &mut Lines,
    route: &Route,
    guest: Option<&Guest>,
    verdict: Option<&Verdict>,
    assertion: Option<String>,
) {
    if verdict.is_some_and(|verdict| *verdict != Verdict::Pass) {
        return add(lines, "headers", "none: the request does not reach the app".into());
    }
    let condition = match (route.access, guest) {
        (Access::Required, _) | (Access::Optional, Some(_)) => "",
        (Access::Optional, None) => " (when there is a session)",
        (Access::Public, _) => return add(lines, "headers", "none that say who it is".into()),
    };
    let told = route.headers.iter().map(|(name, template)| {
        let name = describe::header_name(name);
        match guest {
            None => format!("{name}: {}{condition}", describe::template(template)),
            Some(guest) => match template.fill(guest) {
                Some(value) => format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())),
                None => format!("{name} is not sent: {} has no value", describe::template(template)),
            },
        }
    });
    let told: Vec<_> = told.chain(assertion.map(|assertion| assertion + condition)).collect();
    listed(lines, "headers", if told.is_empty() { vec!["none that say who it is".into()] } else { told });
}
