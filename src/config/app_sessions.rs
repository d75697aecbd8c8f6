//! The sessions that an app keeps by itself: `sign_out_paths` and `clear_cookies`.

use http::Method;

use super::{
    app::AppAt,
    conflict::met,
    report::{Entry, Fault, Report},
    route,
    section::Section,
};
use crate::{
    policy::AppSessions,
    signin::CookieNames,
    web::{CanonicalPath, PathPrefix, Scheme},
};

/// Longest name of a cookie. Browsers take up to 4096 bytes with the value.
const LONGEST_NAME: usize = 256;

/// The two keys with their places.
#[derive(Debug, Default)]
pub(super) struct AppSessionsAt {
    paths: Vec<Entry<CanonicalPath>>,
    cookies: Vec<Entry<String>>,
}

impl AppSessionsAt {
    /// The settings for the table.
    pub(super) fn into_sessions(self) -> AppSessions {
        AppSessions {
            sign_out_paths: self.paths.into_iter().map(|path| PathPrefix::new(path.value)).collect(),
            clear_cookies: self.cookies.into_iter().map(|cookie| cookie.value).collect(),
        }
    }
}

/// Reads the keys.
pub(super) fn read(section: &mut Section<'_>, report: &Report<'_>) -> AppSessionsAt {
    AppSessionsAt {
        paths: list(section, report, "sign_out_paths", r#"["/logout.php"]"#, sign_out_path),
        cookies: list(section, report, "clear_cookies", r#"["PHPSESSID"]"#, cookie),
    }
}

/// Reads a list in which nothing stands twice.
fn list<T: PartialEq>(
    section: &mut Section<'_>,
    report: &Report<'_>,
    key: &'static str,
    example: &str,
    parse: fn(&str) -> Result<T, Fault>,
) -> Vec<Entry<T>> {
    let mut list: Vec<Entry<T>> = Vec::new();
    for text in section.texts(key, example).map(|texts| texts.value).unwrap_or_default() {
        let Some(entry) = section.parse(text, parse) else { continue };
        if list.iter().any(|other| other.value == entry.value) {
            report.problem(&entry.place, "is in this list twice", "remove one of the two");
        }
        list.push(entry);
    }
    list
}

fn sign_out_path(text: &str) -> Result<CanonicalPath, Fault> {
    if text.split('/').any(|segment| matches!(segment, "*" | "**")) {
        let cure = "write each page in full, such as \"/logout.php\"";
        return Err(Fault::new("has a wildcard, which would be taken for a plain star", cure));
    }
    let path = route::path_for(text, "a sign-out", "such as \"/logout.php\"")?;
    let is_start = CanonicalPath::parse("/").is_ok_and(|start| PathPrefix::new(path.clone()).may_be(&start));
    if is_start {
        let cure = "write the page behind the app's own link to sign out, such as \"/logout.php\"";
        return Err(Fault::new("is the start page of the app, which would sign everybody out", cure));
    }
    Ok(path)
}

/// RFC 6265, section 4.1.1: a token.
fn cookie(text: &str) -> Result<String, Fault> {
    let cure = "write its name as the browser's list of cookies shows it, such as \"PHPSESSID\"";
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || text.len() > LONGEST_NAME || !text.bytes().all(is_token) {
        return Err(Fault::new("is no name of a cookie", cure));
    }
    let is_ours = |scheme| CookieNames::new(scheme).are_ours(text.as_bytes());
    if is_ours(Scheme::Https) || is_ours(Scheme::Http) {
        return Err(Fault::new("is the gateway's own, which goes at every sign-out anyway", "remove it"));
    }
    Ok(text.to_owned())
}

/// Looks at what is allowed but odd.
pub(super) fn lint(app: &AppAt, report: &Report<'_>) {
    let AppSessionsAt { paths, cookies } = &app.sessions;
    for path in paths {
        let met = |method| met(app.routes.iter(), &method, &path.value).is_some();
        if !met(Method::GET) && !met(Method::POST) {
            let text = format!(
                "no route takes GET or POST of \"{}\": the gateway's session ends there, and the app's does not",
                path.value
            );
            report.warn(&path.place, text);
        }
    }
    for cookie in cookies.iter().filter(|cookie| cookie.value.contains('*')) {
        report.warn(&cookie.place, "the star stands for itself here: each cookie must be named in full");
    }
}
