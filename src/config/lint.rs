//! Routes that do what they say, but perhaps not what was meant.

use http::Method;

use super::{
    app::AppAt,
    app_sessions,
    conflict::{met, same_path},
    lint_hosts,
    report::{Entry, Report},
    route::RouteAt,
};
use crate::{apple::Service, identity::ScopeSet, policy::Access, web::CanonicalPath};

/// The methods that browsers and forms use. `GET` stands for `HEAD` too.
pub(super) const USUAL: [Method; 6] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Scopes that only some accounts of a school may grant.
const OF_THE_SCHOOL: &str = "edu.";

/// Looks at all routes.
pub(super) fn check(apps: &[AppAt], report: &Report<'_>) {
    for app in apps {
        for route in &app.routes {
            match route.route.access {
                Access::Required => {
                    falls_through(route, &app.routes, report);
                    lets_more_in(route, &app.routes, report);
                    keeps_the_token(route, report);
                }
                Access::Optional | Access::Public => opens(route, &app.routes, report),
            }
            unreachable(route, &app.routes, report);
        }
        start(app, report);
        app_sessions::lint(app, report);
    }
    lint_hosts::check(apps, report);
    school_scopes(apps, report);
}

/// With Sign in with Apple, anybody in the world can sign in: only a rule about people keeps them out.
pub(super) fn open_to_the_world(apps: &[AppAt], service: Service, report: &Report<'_>) {
    if service != Service::SignIn {
        return;
    }
    let routes = apps.iter().flat_map(|app| &app.routes);
    for route in routes.filter(|route| route.route.access == Access::Required && route.route.allow.is_open()) {
        let text = "anybody in the world with an Apple Account gets in here: add [app.route.allow] with organizations";
        report.warn(&route.place, text);
    }
}

/// An open route that takes a part out of a protected one.
fn opens(route: &RouteAt, routes: &[RouteAt], report: &Report<'_>) {
    let others = || routes.iter().filter(|other| !std::ptr::eq(*other, route));
    let shadowed = taken(route)
        .filter(|method| wins(route, routes, method))
        .find_map(|method| met(others(), method, &route.path).filter(|other| other.route.access == Access::Required));
    let Some(shadowed) = shadowed else { return };
    let (line, inner, outer) = (report.line(&shadowed.place), route.path.as_str(), shadowed.path.as_str());
    let methods = named_methods(route);
    let open = match route.route.access {
        Access::Required => return,
        Access::Optional => "needs no sign-in",
        Access::Public => "is public",
    };
    let text =
        format!("{methods}\"{inner}\" {open}, although it lies within \"{outer}\" (line {line}), which is protected");
    tell(route, shadowed, text, report);
}

/// A protected route for some methods, whose other methods meet an open one above it.
fn falls_through(route: &RouteAt, routes: &[RouteAt], report: &Report<'_>) {
    let mut open: Vec<&str> = Vec::new();
    let mut below = None;
    for method in USUAL.iter().filter(|method| !route.route.takes(method)) {
        let other = met(routes.iter(), method, &route.path)
            .filter(|other| other.route.access != Access::Required && !same_path(route, other));
        if let Some(other) = other {
            open.push(method.as_str());
            below = Some(other);
        }
    }
    if let Some(other) = below {
        let (line, path, methods) = (report.line(&other.place), route.path.as_str(), open.join(", "));
        let text = format!(
            "\"{path}\" is protected for {} only: {methods} there meets \"{}\" (line {line}), which needs no sign-in",
            names(route),
            other.path,
        );
        report.warn(&route.place, text);
    }
}

/// A protected route within one for fewer people: nothing is inherited.
fn lets_more_in(route: &RouteAt, routes: &[RouteAt], report: &Report<'_>) {
    let others = || routes.iter().filter(|other| !std::ptr::eq(*other, route));
    let around = |method: &Method| {
        met(others(), method, &route.path)
            .filter(|other| other.route.access == Access::Required && !same_path(route, other))
    };
    let Some(outer) = taken(route).filter(|method| wins(route, routes, method)).find_map(around) else { return };
    let (line, path, outside) = (report.line(&outer.place), route.path.as_str(), outer.path.as_str());
    if route.route.allow.is_open() && !outer.route.allow.is_open() {
        let text = format!(
            "\"{path}\" is for anyone who signed in, although it lies within \"{outside}\" (line {line}), which is \
             not: a route has no rules but its own"
        );
        tell(route, outer, text, report);
    }
    let dropped = outer.route.scopes.missing_from(&route.route.scopes);
    if !dropped.is_empty() {
        let text = format!("\"{path}\" does not need {dropped}, although \"{outside}\" (line {line}) does");
        report.note(&route.place, text);
    }
}

/// A scope of the school is for Apple's APIs, and only the app can ask those.
fn keeps_the_token(route: &RouteAt, report: &Report<'_>) {
    let scope = route.route.scopes.iter().find(|scope| scope.starts_with(OF_THE_SCHOOL));
    if let Some(scope) = scope.filter(|_| !route.route.headers.names_the_access_token()) {
        let text = format!(
            "no header of \"{}\" has {{access_token}}: here {scope} decides who passes, and the app can do nothing with it",
            route.path
        );
        report.note(&route.place, text);
    }
}

/// Most people begin at the start page.
fn start(app: &AppAt, report: &Report<'_>) {
    let Ok(start) = CanonicalPath::parse("/") else { return };
    if let Some(first) = app.routes.first().filter(|_| met(app.routes.iter(), &Method::GET, &start).is_none()) {
        let answer = if app.routes.iter().any(|route| route.route.prefix.depth() == 0) { "405" } else { "404" };
        let text = format!("no route of this app takes GET of \"/\", so whoever opens its host gets {answer}");
        report.note(&first.place, text);
    }
}

/// What takes a part out of the start page's rule is often meant; elsewhere it is seldom.
fn tell(route: &RouteAt, other: &RouteAt, text: String, report: &Report<'_>) {
    if other.route.prefix.depth() == 0 || same_path(route, other) {
        report.note(&route.place, text);
    } else {
        report.warn(&route.place, text);
    }
}

/// A route that loses every request to routes of the same path.
fn unreachable(route: &RouteAt, routes: &[RouteAt], report: &Report<'_>) {
    if !taken(route).any(|method| wins(route, routes, method)) {
        let path = route.path.as_str();
        report.warn(&route.place, format!("no request meets this route: others for \"{path}\" take all its methods"));
    }
}

/// Apple: only accounts with the role of administrator or site manager can authorize an app to use
/// the Roster API.
fn school_scopes(apps: &[AppAt], report: &Report<'_>) {
    let mut asking = apps.iter().flat_map(|app| &app.routes).filter_map(|route| {
        let scope = route.route.scopes.iter().find(|scope| scope.starts_with(OF_THE_SCHOOL))?;
        Some((&route.place, scope, route.path.as_str()))
    });
    let Some((place, scope, path)) = asking.next() else { return };
    let more = match asking.count() {
        0 => String::new(),
        1 => " and of one more route".to_owned(),
        many => format!(" and of {many} more routes"),
    };
    let text = format!(
        "{scope} of \"{path}\"{more}: at Apple, only administrators and site managers can authorize edu.* \
         scopes; teachers and pupils cannot pass"
    );
    report.note(place, text);
}

/// Scopes asked for at every sign-in shut out everybody who cannot authorize them.
pub(super) fn sign_in_scopes(scopes: &Entry<ScopeSet>, report: &Report<'_>) {
    if let Some(scope) = scopes.value.iter().find(|scope| scope.starts_with(OF_THE_SCHOOL)) {
        let text = format!(
            "{scope} is asked for at every sign-in, and at Apple only administrators and site managers can \
             authorize it: ask for it on the routes that need it, so that teachers and pupils can sign in"
        );
        report.warn(&scopes.place, text);
    }
}

fn taken(route: &RouteAt) -> impl Iterator<Item = &Method> {
    let named = &route.route.methods;
    if named.is_empty() { USUAL.iter() } else { named.iter() }
}

fn wins(route: &RouteAt, routes: &[RouteAt], method: &Method) -> bool {
    met(routes.iter(), method, &route.path).is_some_and(|winner| std::ptr::eq(winner, route))
}

fn names(route: &RouteAt) -> String {
    route.route.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

fn named_methods(route: &RouteAt) -> String {
    if route.route.methods.is_empty() { String::new() } else { format!("{} of ", names(route)) }
}
