//! One `[[app]]`.

use std::time::Duration;

use super::{
    app_sessions::{self, AppSessionsAt},
    duration, headers,
    report::{Entry, Fault, Report},
    route::{self, RouteAt},
    section::Section,
    size,
    surroundings::Surroundings,
    upstream::{self, UpstreamsAt},
};
use crate::{apple::Service, policy::App, web::HostPattern};

/// An app with the places of what other sections must agree with.
#[derive(Debug)]
pub(super) struct AppAt {
    pub(super) name: Option<Entry<String>>,
    pub(super) host: Option<Entry<HostPattern>>,
    pub(super) upstreams: UpstreamsAt,
    pub(super) routes: Vec<RouteAt>,
    pub(super) sessions: AppSessionsAt,
    preserve_host: bool,
    upstream_timeout: Duration,
    max_body: u64,
    keep_forms: bool,
}

/// Largest request body that may be allowed.
const LARGEST_BODY: (u64, &str) = (1 << 40, "1024GiB");

impl AppAt {
    /// The app for the table; `None` when something was wrong.
    pub(super) fn into_app(self) -> Option<App> {
        let routes = self.routes.into_iter().map(|one| one.route).collect();
        let UpstreamsAt { list, authorities, health_path } = self.upstreams;
        let upstreams = list?.into_iter().map(|upstream| upstream.value).collect();
        let mut app = App::new(self.name?.value, self.host?.value, upstreams, routes);
        app.upstream_authorities = authorities;
        app.health_path = health_path;
        app.preserve_host = self.preserve_host;
        app.upstream_timeout = self.upstream_timeout;
        app.max_body = self.max_body;
        app.keep_forms = self.keep_forms;
        Some(app.keeping(self.sessions.into_sessions()))
    }
}

/// Reads an app.
pub(super) fn read(
    mut section: Section<'_>,
    report: &Report<'_>,
    surroundings: &Surroundings<'_>,
    service: Service,
) -> AppAt {
    let place = section.place().clone();
    let name = section.required("name", r#""library""#).and_then(|text| section.parse(text, name));
    let host = section.required("host", r#""library.school.example""#).and_then(|text| section.parse(text, host));
    let upstreams = upstream::read(&mut section, report, surroundings);
    let preserve_host = section.flag("preserve_host").is_none_or(|entry| entry.value);
    let upstream_timeout = section
        .parsed("upstream_timeout", r#""60s""#, duration::positive)
        .map_or(Duration::from_secs(60), |entry| entry.value);
    let max_body = section
        .parsed("max_body", r#""100MiB""#, |text| size::between(text, (0, "0B"), LARGEST_BODY))
        .map_or(100 << 20, |entry| entry.value);
    let sessions = app_sessions::read(&mut section, report);
    let keep_forms = section.flag("keep_forms").is_some_and(|entry| entry.value);
    let own = headers::read(&mut section, report);
    let headers = headers::of_app(own.as_deref());
    let sections = section.sections("route").unwrap_or_default();
    let mut routes: Vec<RouteAt> = Vec::new();
    if sections.is_empty() {
        routes.extend(RouteAt::sole(&place, headers.clone()));
    }
    routes.extend(sections.into_iter().filter_map(|section| route::read(section, report, &headers, service)));
    section.finish();
    AppAt { name, host, upstreams, routes, sessions, preserve_host, upstream_timeout, max_body, keep_forms }
}

fn name(text: &str) -> Result<String, Fault> {
    if text.chars().count() <= 64 && text.trim() == text && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(Fault::new("is no name that reads well in a log", "write at most 64 characters, such as \"library\""))
}

fn host(text: &str) -> Result<HostPattern, Fault> {
    if let Some((_, rest)) = text.split_once("://") {
        let bare = rest.split('/').next().unwrap_or_default();
        return Err(Fault::new("is a URL", format!("write the host alone: \"{bare}\"")));
    }
    HostPattern::parse(text).map_err(|why| {
        let cure = if text.contains('*') {
            "write a star for the whole first label, such as \"*.school.example\": it stands for names like \
             a.school.example, not for school.example and not for a.b.school.example"
        } else if text.is_ascii() {
            "write a host name, such as \"library.school.example\""
        } else {
            "write the name as DNS has it, beginning with xn--"
        };
        Fault::new(why.to_string(), cure)
    })
}
