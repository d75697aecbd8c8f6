//! `schoolgate explain METHOD URL`: what a request would meet, by the code that judges real ones.

mod guest;
mod request;
mod route;

use std::{path::Path, process::ExitCode};

use http::Method;

use self::{guest::Guest, request::Request};
use super::{USAGE, describe, load, output};
use crate::{
    config::Loaded,
    policy::Miss,
    proxy::{Endpoint, is_own},
    web::{CanonicalPath, Form, Host, OWN_PREFIX, ReturnPath, Target},
};

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The method in capitals, such as GET.
    method: String,
    // A doc comment would be a link in the documentation of the crate.
    #[arg(help = "The whole URL, such as https://library.school.example/admin?page=2")]
    url: String,
    #[arg(
        long = "as",
        value_name = "SUB,ORG,SCOPES",
        help = "Somebody who has signed in: sub, org_id (may be empty), and the granted scopes, separated by spaces"
    )]
    guest: Option<String>,
    #[arg(long, value_name = "ADDRESS", requires = "guest", help = "Their email address, for which Apple vouches")]
    email: Option<String>,
    #[arg(long, requires = "email", help = "Apple does not vouch for the address, as with Managed Apple Accounts")]
    unverified_email: bool,
}

/// Lines of the answer: what, and the words.
type Lines = Vec<[String; 2]>;

/// Explains one request.
pub(super) fn run(path: &Path, arguments: &Arguments) -> ExitCode {
    let read = Request::read(arguments).and_then(|request| Ok((request, Guest::read(arguments)?)));
    let (request, guest) = match read {
        Ok(read) => read,
        Err(why) => {
            output::complain(&format!("error: {why}"));
            return ExitCode::from(USAGE);
        }
    };
    match load(path) {
        Ok(loaded) => {
            let title = format!("{} {}\n\n", arguments.method, arguments.url);
            output::say(&(title + &output::columns(&explain(&loaded, &request, guest.as_ref()))));
            ExitCode::SUCCESS
        }
        Err(status) => status,
    }
}

fn explain(loaded: &Loaded, request: &Request, guest: Option<&Guest>) -> Lines {
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
        Ok(target) if is_own(target.path()) => own(&mut lines, loaded, request, target, guest),
        Ok(target) => match loaded.settings.table.find(&request.host, &request.method, target.path()) {
            Ok(lookup) => route::met(&mut lines, loaded, &lookup, request, target, guest),
            Err(miss) => missed(&mut lines, loaded, request, target.path(), miss),
        },
    }
    lines
}

fn own(lines: &mut Lines, loaded: &Loaded, request: &Request, target: &Target, guest: Option<&Guest>) {
    let endpoint = Endpoint::of(target.path());
    // Web servers call the gateway by any name.
    let known = loaded.settings.table.app(&request.host).is_some() || loaded.settings.signin.home.is(&request.host);
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
    if endpoint == Endpoint::SignIn && endpoint.takes(&request.method) {
        sign_in(lines, loaded, request, target, guest);
    }
    if endpoint == Endpoint::Auth && loaded.settings.proxy.trusted_proxies.is_nobody() {
        add(lines, "note", "403 for everybody: trusted_proxies is empty".into());
    }
}

/// Where a sign-in that starts here leads, and what it asks of Apple.
fn sign_in(lines: &mut Lines, loaded: &Loaded, request: &Request, target: &Target, guest: Option<&Guest>) {
    let form = Form::parse(target.query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let named = form.only("return_to").ok().flatten();
    let path = named.and_then(ReturnPath::parse);
    if let (Some(named), None) = (named, &path) {
        add(lines, "note", format!("return_to={named} is no path of this host: / is taken instead"));
    }
    let path = path.unwrap_or_else(ReturnPath::root);
    add(lines, "then", format!("{} of this host", path.as_str()));
    let wanted = loaded.settings.table.scopes_to_open(&request.host, &path);
    let asked = loaded.settings.signin.asks_for(&wanted, guest.map(|guest| &guest.scopes));
    add(lines, "asks for", if asked.is_empty() { "no scope".into() } else { asked.to_string() });
    by_way_of_home(lines, loaded, &request.host);
}

/// Apple knows one host only.
fn by_way_of_home(lines: &mut Lines, loaded: &Loaded, host: &Host) {
    let home = &loaded.settings.signin.home;
    if !home.is(host) {
        let text =
            format!("by way of {}, the host of redirect_uri: who is signed in there comes back at once", home.host());
        add(lines, "sign-in", text);
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
        Miss::Host if loaded.settings.signin.home.is(&request.host) => {
            format!("421: the host of redirect_uri is no app's, and serves only what lies below {OWN_PREFIX}")
        }
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
        route::sign_out(lines, app, &request.method, path);
    }
}

fn unknown_host(loaded: &Loaded) -> String {
    let hosts: Vec<_> = loaded.settings.table.apps().map(|app| app.host.to_string()).collect();
    format!("421: no app has this host; there are {}", hosts.join(", "))
}

fn add(lines: &mut Lines, what: &str, words: String) {
    lines.push([format!("  {what}"), words]);
}
