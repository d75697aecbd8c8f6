//! One `[[app.route]]`.

use http::Method;

use super::{
    allow,
    headers::{self, Header},
    report::{Entry, Fault, Place, Report},
    scopes,
    section::Section,
};
use crate::{
    apple::Service,
    identity::ScopeSet,
    policy::{Access, Allow, HeaderSet, Route, Unauthenticated},
    web::{CanonicalPath, OWN_PREFIX, PathPrefix},
};

/// A route with its place in the file.
#[derive(Clone, Debug)]
pub(super) struct RouteAt {
    /// Where its path stands, or where the route begins.
    pub(super) place: Place,
    /// Its path.
    pub(super) path: CanonicalPath,
    /// The route.
    pub(super) route: Route,
}

impl RouteAt {
    /// The route of an app that has none.
    pub(super) fn sole(place: &Place, headers: HeaderSet) -> Option<Self> {
        let path = CanonicalPath::parse("/").ok()?;
        let route = Route {
            prefix: PathPrefix::new(path.clone()),
            methods: Vec::new(),
            access: Access::Required,
            scopes: ScopeSet::new(),
            unauthenticated: Unauthenticated::Auto,
            headers,
            allow: Allow::default(),
        };
        Some(Self { place: place.clone(), path, route })
    }
}

/// Reads a route; `None` when its path is wrong.
pub(super) fn read(
    mut section: Section<'_>,
    report: &Report<'_>,
    app: &HeaderSet,
    service: Service,
) -> Option<RouteAt> {
    let path = match section.value("path") {
        Some(_) => section.parsed("path", r#""/""#, path),
        None => CanonicalPath::parse("/").ok().map(|value| Entry { value, place: section.place().clone() }),
    };
    let methods = methods(&mut section, report);
    let access = section.parsed("access", r#""required""#, access).map_or(Access::Required, |entry| entry.value);
    let scopes = scopes::read(&mut section, report, service);
    let unauthenticated = section.parsed("unauthenticated", r#""auto""#, unauthenticated);
    let own: Vec<Header> = headers::read(&mut section, report).unwrap_or_default();
    let headers = headers::of_route(&own, app, report);
    let people = section.section("allow");
    let people_place = people.place().clone();
    let allow = allow::read(people, report);
    section.finish();
    if access != Access::Required {
        let open = "lets people in without a sign-in";
        if let Some(Entry { place, .. }) = scopes.as_ref().filter(|scopes| !scopes.value.is_empty()) {
            let cure = "write access = \"required\", or remove scopes: a token is asked of people who must sign in";
            report.problem(place, format!("asks for scopes on a route that {open}"), cure);
        }
        if !allow.is_open() {
            let cure = "write access = \"required\", or remove allow: it would look as if only those people came in";
            report.problem(&people_place, format!("allows some people on a route that {open}"), cure);
        }
        if let Some(entry) = &unauthenticated {
            report.warn(&entry.place, format!("unauthenticated has no effect on a route that {open}"));
        }
    }
    let unauthenticated = unauthenticated.map_or(Unauthenticated::Auto, |entry| entry.value);
    let scopes = scopes.map(|entry| entry.value).unwrap_or_default();
    let Entry { value: path, place } = path?;
    let prefix = PathPrefix::new(path.clone());
    Some(RouteAt { place, path, route: Route { prefix, methods, access, scopes, unauthenticated, headers, allow } })
}

fn path(text: &str) -> Result<CanonicalPath, Fault> {
    if let Some(star) = text.split('/').position(|segment| matches!(segment, "*" | "**")) {
        let parent = text.split('/').take(star).collect::<Vec<_>>().join("/");
        let parent = if parent.is_empty() { "/" } else { &parent };
        let cure = format!("write \"{parent}\": a route covers whatever lies below its path");
        return Err(Fault::new("has a wildcard, which would be taken for a plain star", cure));
    }
    path_for(text, "a route", "such as \"/admin\"; it covers whatever lies below")
}

/// A path for something, as browsers send it and apps get it.
pub(super) fn path_for(text: &str, what: &str, example: &str) -> Result<CanonicalPath, Fault> {
    let path = CanonicalPath::parse(text).map_err(|why| {
        let cure = if text.contains('?') {
            format!("write the path alone: {what} does not look at the query")
        } else {
            format!("write a path as browsers send it, {example}")
        };
        Fault::new(format!("is no path for {what}: {why}"), cure)
    })?;
    if path.as_str() != text {
        return Err(Fault::new("has a second spelling", format!("write \"{path}\"")));
    }
    if text.contains(';') {
        let cure = format!("write the path without it: requests with such parameters count for {what} too");
        return Err(Fault::new("has a semicolon, which apps read in different ways", cure));
    }
    let is_own = CanonicalPath::parse(OWN_PREFIX).is_ok_and(|own| PathPrefix::new(own).may_cover(&path));
    if is_own {
        let cure = format!("choose another path: what lies below {OWN_PREFIX} never reaches an app");
        return Err(Fault::new("is the gateway's own", cure));
    }
    Ok(path)
}

fn methods(section: &mut Section<'_>, report: &Report<'_>) -> Vec<Method> {
    let mut methods = Vec::new();
    for text in section.texts("methods", r#"["GET", "POST"]"#).map(|list| list.value).unwrap_or_default() {
        let Some(entry) = section.parse(text, method) else { continue };
        if methods.contains(&entry.value) {
            report.problem(&entry.place, "is in this list twice", "remove one of the two");
        }
        if matches!(entry.value.as_str(), "ALL" | "ANY") {
            report.warn(&entry.place, "no browser sends this method; leave methods out for all");
        }
        methods.push(entry.value);
    }
    methods
}

fn method(text: &str) -> Result<Method, Fault> {
    if matches!(text, "TRACE" | "CONNECT") {
        return Err(Fault::new("is never let through", "remove it"));
    }
    let cure = "write a method in capitals, such as \"GET\"; [] means all, and GET includes HEAD";
    if text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
        return Method::from_bytes(text.as_bytes()).map_err(|_| Fault::new("is no method", cure));
    }
    let capital = text.to_ascii_uppercase();
    if capital.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
        return Err(Fault::new("is not in capitals", format!("write \"{capital}\"")));
    }
    Err(Fault::new("is no method", cure))
}

fn access(text: &str) -> Result<Access, Fault> {
    match text {
        "required" => Ok(Access::Required),
        "optional" => Ok(Access::Optional),
        "public" => Ok(Access::Public),
        _ => Err(Fault::new(
            "is no kind of access",
            "write \"required\" (people must sign in), \"optional\" (they may) or \"public\" (nobody asks)",
        )),
    }
}

fn unauthenticated(text: &str) -> Result<Unauthenticated, Fault> {
    match text {
        "auto" => Ok(Unauthenticated::Auto),
        "redirect" => Ok(Unauthenticated::Redirect),
        "401" => Ok(Unauthenticated::Status401),
        _ => Err(Fault::new("is no answer to strangers", "write \"auto\", \"redirect\" or \"401\"")),
    }
}
