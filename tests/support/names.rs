//! Names of fields that no client may send, and the spellings in which an app may take them.

/// Names that no client may send, whatever the configuration says.
pub const RESERVED: &[&str] = &[
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-Auth-Request-Anything",
    "Remote-User",
    "Remote-Email",
    "Remote-Name",
    "Remote-Groups",
    "X-Remote-User",
    "X-Schoolgate-Organization",
    "X-Schoolgate-Scopes",
    "X-Schoolgate-Assertion",
    "X-Schoolgate-Anything",
];

/// The same name as CGI, WSGI and PHP would also take it.
pub fn spellings(name: &str) -> Vec<String> {
    let swapped = |with: &str| name.replace('-', with);
    vec![
        name.to_owned(),
        name.to_lowercase(),
        name.to_uppercase(),
        swapped("_"),
        swapped("_").to_lowercase(),
        swapped("."),
        swapped("~"),
        swapped("!"),
        name.replacen('-', "_", 1),
        format!("HTTP_{}", swapped("_").to_uppercase()),
        format!("HTTP-{name}"),
        format!("http_{}", name.to_lowercase()),
        format!("Http.{}", swapped(".")),
    ]
}

/// Fields by which apps are told another path than that of the request.
pub const PATHS: &[&str] = &[
    "X-Original-URL",
    "X-Original-URI",
    "X-Rewrite-URL",
    "X-Original-Host",
    "X-Original-Method",
    "X-Forwarded-Path",
    "X-Forwarded-Prefix",
    // gunicorn takes these two for the WSGI variables when the proxy is on the same machine.
    "Script-Name",
    "Path-Info",
    "X-Script-Name",
    "X-Path-Info",
    // Rack::Sendfile (CVE-2025-61780).
    "X-Sendfile-Type",
    "X-Accel-Mapping",
];
