//! `schoolgate explain METHOD URL`: what a request would meet, by the code that judges real ones.

use std::{path::Path, process::ExitCode};

use http::Method;

use super::{USAGE, describe, load, output};
use crate::{
    config::Loaded,
    policy::{Access, App, Lookup, Miss, Route},
    proxy::{Endpoint, is_own},
    web::{CanonicalPath, Host, OWN_PREFIX, Target, TargetError},
};

/// Headers that every app gets, on every route (contract, section 5).
const ALWAYS: &str = "X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id, traceparent";

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The method in capitals, such as GET.
    method: String,
    // A doc comment would be a link in the documentation of the crate.
    #[arg(help = "The whole URL, such as https://library.school.example/admin?page=2")]
    url: String,
}

/// Lines of the answer: what, and the words.
type Lines = Vec<[String; 2]>;

/// Explains one request.
pub(super) fn run(path: &Path, arguments: &Arguments) -> ExitCode {
    let request = match Request::read(arguments) {
        Ok(request) => request,
        Err(why) => {
            output::complain(&format!("error: {why}"));
            return ExitCode::from(USAGE);
        }
    };
    match load(path) {
        Ok(loaded) => {
            let title = format!("{} {}\n\n", arguments.method, arguments.url);
            output::say(&(title + &output::columns(&explain(&loaded, &request))));
            ExitCode::SUCCESS
        }
        Err(status) => status,
    }
}

/// A request as the gateway would get it.
#[derive(Debug)]
struct Request {
    method: Method,
    scheme: String,
    host: Host,
    target: Result<Target, TargetError>,
}

impl Request {
    fn read(arguments: &Arguments) -> Result<Self, String> {
        let (text, url) = (&arguments.method, &arguments.url);
        let method = Method::from_bytes(text.as_bytes())
            .map_err(|_| format!("\"{text}\" is no method; write one in capitals, such as GET"))?;
        if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            let capital = text.to_ascii_uppercase();
            return Err(format!("\"{text}\" is not in capitals, and methods are told apart by case; write {capital}"));
        }
        let whole = "write the whole URL, such as https://library.school.example/admin";
        let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("\"{url}\" is no URL; {whole}"))?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(&*scheme, "http" | "https") {
            return Err(format!("\"{url}\" is neither http nor https; {whole}"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let host = Host::parse(&rest[..end]).map_err(|why| format!("the host \"{}\" {why}; {whole}", &rest[..end]))?;
        let target = Target::parse(url, &host);
        Ok(Self { method, scheme, host, target })
    }
}

fn explain(loaded: &Loaded, request: &Request) -> Lines {
    let mut lines = Lines::new();
    let external = loaded.settings.proxy.external_scheme;
    if request.scheme != external.as_str() {
        let text = format!("browsers use {external} here (external_scheme); the scheme changes nothing below");
        add(&mut lines, "note", text);
    }
    // The order is that of the gateway: the method, the target, its own paths, the table.
    match &request.target {
        _ if matches!(request.method, Method::TRACE | Method::CONNECT) => {
            add(&mut lines, "answer", "405: TRACE and CONNECT are never let through".into());
        }
        Err(why) => add(&mut lines, "answer", format!("400: {why}")),
        Ok(target) if is_own(target.path()) => own(&mut lines, loaded, request, target),
        Ok(target) => match loaded.settings.table.find(&request.host, &request.method, target.path()) {
            Ok(lookup) => met(&mut lines, loaded, &lookup, request, target),
            Err(miss) => missed(&mut lines, loaded, request, target.path(), miss),
        },
    }
    lines
}

fn own(lines: &mut Lines, loaded: &Loaded, request: &Request, target: &Target) {
    let endpoint = Endpoint::of(target.path());
    // Web servers call the gateway by any name.
    let known = loaded.settings.table.app(&request.host).is_some() || is_redirect_host(loaded, &request.host);
    if !known && endpoint != Some(Endpoint::Auth) {
        return add(lines, "answer", unknown_host(loaded));
    }
    let Some(endpoint) = endpoint else {
        let text = format!("404: what lies below {OWN_PREFIX} is the gateway's own, and this is nothing of it");
        return add(lines, "answer", text);
    };
    let what = match endpoint {
        Endpoint::Home => "a page: who is signed in, and a button to sign out",
        Endpoint::Me => "who is signed in, as JSON; 401 without a session",
        Endpoint::SignIn => "starts a sign-in",
        Endpoint::Callback => "takes Apple's answer",
        Endpoint::SignOut => "ends the session",
        Endpoint::Jwks if loaded.settings.assertion.is_some() => "the keys that X-Schoolgate-Assertion is checked with",
        Endpoint::Jwks => "the keys of X-Schoolgate-Assertion, of which there are none ([assertion] enabled)",
        Endpoint::Session => "takes a ticket from the host of redirect_uri, where people sign in",
        Endpoint::Auth => {
            "tells web servers in trusted_proxies whether a request may go to its app (docs/forward-auth.md)"
        }
        Endpoint::Notifications => "takes Apple's notifications, which end sessions",
    };
    let answer = if endpoint.takes(&request.method) {
        format!("the gateway's own: {what}; it never reaches an app")
    } else {
        format!("405: the gateway's own, for {} only", endpoint.allows())
    };
    add(lines, "answer", answer);
}

fn is_redirect_host(loaded: &Loaded, host: &Host) -> bool {
    loaded.settings.apple.redirect_uri.host_str() == Some(host.name())
}

fn met(lines: &mut Lines, loaded: &Loaded, lookup: &Lookup, request: &Request, target: &Target) {
    let (app, route, method) = (lookup.app(), lookup.route(), &request.method);
    add(lines, "app", format!("{} at {}", app.name, describe::upstreams(app)));
    if let Some(turns) = describe::turns(app) {
        add(lines, "upstreams", turns);
    }
    add(lines, "route", format!("{} ({})", route.prefix.as_str(), methods(route)));
    add(lines, "path", format!("{} goes to the app", target.to_origin_form()));
    add(lines, "access", describe::access(route.access).into());
    add(lines, "no session", describe::strangers(route, method));
    people(lines, route);
    headers(lines, route, assertion(loaded, &request.host).as_deref());
    add(lines, "always", ALWAYS.into());
    if !app.sessions.clear_cookies.is_empty() {
        add(lines, "cookies", format!("{}: only for whom the app has set them", app.sessions.clear_cookies.join(", ")));
    }
    sign_out(lines, app, method, target.path());
}

/// What becomes of the gateway's session on the app's own sign-out.
fn sign_out(lines: &mut Lines, app: &App, method: &Method, path: &CanonicalPath) {
    if app.sessions.end_with(method, path) {
        let mut cookies = vec!["the gateway's cookies".to_owned()];
        cookies.extend(app.sessions.clear_cookies.iter().cloned());
        let text = format!("the gateway's session ends first; the answer deletes {}", cookies.join(", "));
        add(lines, "sign-out", text);
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

/// What the assertion says, when there are any.
fn assertion(loaded: &Loaded, host: &Host) -> Option<String> {
    let issuer = &loaded.settings.assertion.as_ref()?.issuer;
    let audience = loaded.settings.signin.home.origin_of(host);
    Some(format!("X-Schoolgate-Assertion: signed by {issuer} for {audience}"))
}

fn headers(lines: &mut Lines, route: &Route, assertion: Option<&str>) {
    let condition = match route.access {
        Access::Required => "",
        Access::Optional => " (when there is a session)",
        Access::Public => return add(lines, "headers", "none that say who it is".into()),
    };
    let mut what = "headers";
    for (name, template) in route.headers.iter() {
        add(lines, what, format!("{}: {}{condition}", describe::header_name(name), describe::template(template)));
        what = "";
    }
    if let Some(assertion) = assertion {
        add(lines, what, format!("{assertion}{condition}"));
        what = "";
    }
    if what == "headers" {
        add(lines, what, "none that say who it is".into());
    }
}

fn missed(lines: &mut Lines, loaded: &Loaded, request: &Request, path: &CanonicalPath, miss: Miss) {
    let app = loaded.settings.table.app(&request.host);
    if let Some(app) = app {
        add(lines, "app", app.name.clone());
    }
    let routes = || app.into_iter().flat_map(|app| &app.routes);
    let listed = |prefixes: Vec<&str>| prefixes.join(", ");
    let answer = match miss {
        Miss::Host => unknown_host(loaded),
        Miss::Path => {
            format!(
                "404: no route covers this path; there are {}",
                listed(routes().map(|route| route.prefix.as_str()).collect())
            )
        }
        Miss::Method => {
            let covering = routes().filter(|route| route.prefix.covers(path));
            let methods: Vec<_> =
                covering.map(|route| format!("{} takes {}", route.prefix.as_str(), describe::methods(route))).collect();
            format!("405: no route here takes {}; {}", request.method, methods.join(", "))
        }
        Miss::Ambiguous => {
            let lenient = loaded.settings.table.mistakable(&request.host, &request.method, path);
            let prefixes = lenient.iter().map(|route| route.prefix.as_str()).collect();
            format!(
                "400: some apps would read this path as one of {}, and it would be judged by another route",
                listed(prefixes)
            )
        }
    };
    add(lines, "answer", answer);
    if let Some(app) = app {
        sign_out(lines, app, &request.method, path);
    }
}

fn unknown_host(loaded: &Loaded) -> String {
    let hosts: Vec<_> = loaded.settings.table.apps().map(|app| app.host.to_string()).collect();
    format!("421: no app has this host; there are {}", hosts.join(", "))
}

fn add(lines: &mut Lines, what: &str, words: String) {
    lines.push([format!("  {what}"), words]);
}
