//! The whole file: what is accepted, what is noted, and what can only be wrong of the whole.

use std::{fs, path::Path, sync::LazyLock, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    apple::ResponseMode,
    policy::Access,
    server::{AdminAddress, StoreChoice},
    telemetry::LogFormat,
    web::Scheme,
};

pub(super) const VALID: &str = r#"[server]
listen = ["127.0.0.1:8080"]

[apple]
client_id = "org.example.gateway"
team_id = "A1B2C3D4E5"
key_id = "K1L2M3N4O5"
private_key_file = "$CREDENTIALS_DIRECTORY/apple.p8"
redirect_uri = "https://library.school.example/.schoolgate/callback"

[session]
store = "memory"

[[app]]
name = "library"
host = "library.school.example"
upstream = "http://127.0.0.1:9000"

[[app.route]]
path = "/"

[[app.route]]
path = "/static"
access = "public"
"#;

/// The certificate of an authority.
static CA: LazyLock<String> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem()
});

/// A certificate of the app's host for one year, and its key.
static TLS: LazyLock<(String, String)> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["library.school.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2027, 1, 1));
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
});

/// The section that names both.
const TLS_SECTION: &str = "\n[server.tls]\ncertificate_file = \"$CREDENTIALS_DIRECTORY/tls.pem\"\n\
    private_key_file = \"$CREDENTIALS_DIRECTORY/tls.key\"\n";

/// An encryption key.
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

pub(super) fn read(text: &str) -> Result<Loaded, Problems> {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("apple.p8");
    fs::write(&key, crate::apple::testing::client_key_pem()).unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(folder.path().join("other.key"), "c2hvcnQ=").unwrap();
    for (name, content) in [("session.key", KEY), ("redis", "hunter2\n")] {
        fs::write(folder.path().join(name), content).unwrap();
        fs::set_permissions(folder.path().join(name), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    fs::write(folder.path().join("ca.pem"), &*CA).unwrap();
    let (chain, key) = &*TLS;
    fs::write(folder.path().join("tls.pem"), chain).unwrap();
    fs::write(folder.path().join("tls.key"), key).unwrap();
    fs::set_permissions(folder.path().join("tls.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let environment =
        |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| folder.path().to_str().unwrap().to_owned());
    let read = from_text(Path::new("/etc/schoolgate/gateway.toml"), text, &environment);
    if read.is_ok() {
        obeys_the_schema(text);
    }
    read
}

/// What the gateway takes, an editor must not underline.
fn obeys_the_schema(text: &str) {
    static SCHEMA: LazyLock<jsonschema::Validator> =
        LazyLock::new(|| jsonschema::draft7::new(&keys::schema()).unwrap());
    let file = toml::from_str::<toml::Table>(text).unwrap();
    if let Err(error) = SCHEMA.validate(&serde_json::to_value(file).unwrap()) {
        panic!("{}: {error}\n{text}", error.instance_path());
    }
}

fn settings(text: &str) -> Settings {
    read(text).unwrap_or_else(|problems| panic!("{problems}")).settings
}

/// The valid file with one text in the place of another; a section header stays and gets a new line.
pub(super) fn changed(from: &str, to: &str) -> String {
    assert!(VALID.contains(from), "{from}");
    let to = if from.starts_with('[') { format!("{from}\n{to}") } else { to.to_owned() };
    VALID.replacen(from, &to, 1)
}

fn notes(text: &str) -> Vec<String> {
    read(text).unwrap_or_else(|problems| panic!("{problems}")).notes.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_left_out_has_its_default() {
    let settings = settings(VALID);
    assert_eq!(settings.admin_listen, AdminAddress::Tcp("127.0.0.1:9180".parse().unwrap()));
    assert_eq!(settings.state_dir, Path::new("/var/lib/schoolgate"));
    assert_eq!(settings.shutdown_grace, Duration::from_secs(30));
    assert_eq!(settings.log.format, LogFormat::Text);
    assert_eq!(settings.encryption_key_file, None);
    let proxy = &settings.proxy;
    assert_eq!((proxy.external_scheme, proxy.sign_in_rate_per_ip.get()), (Scheme::Https, 50));
    assert_eq!((proxy.header_timeout, proxy.idle_timeout), (Duration::from_secs(10), Duration::from_secs(60)));
    assert_eq!((proxy.min_body_rate, proxy.max_header_bytes), (1024, 32_768));
    let apple = &settings.apple;
    assert_eq!(apple.endpoints.token.as_str(), "https://appleid.apple.com/auth/oauth2/v2/token");
    assert_eq!(
        (apple.issuers.clone(), apple.response_mode, apple.pkce),
        (vec!["https://appleid.apple.com".into()], None, false)
    );
    assert_eq!((apple.timeout, apple.clock_skew), (Duration::from_secs(10), Duration::from_secs(60)));
    let keys = (apple.keys_max_age, apple.keys_max_stale, apple.keys_min_interval);
    assert_eq!(keys, (Duration::from_secs(3600), Duration::from_secs(86_400), Duration::from_secs(30)));
    let without = VALID.replace("store = \"memory\"\n", "");
    let named = VALID.replace("store = \"memory\"", "store = \"file\"");
    for text in [without, named] {
        assert!(matches!(self::settings(&text).store, StoreChoice::File), "{text}");
    }
    assert!(matches!(settings.store, StoreChoice::Memory));
    let session = settings.session;
    assert_eq!(
        (session.idle_timeout, session.max_lifetime),
        (Duration::from_secs(28_800), Duration::from_secs(86_400))
    );
    assert_eq!((settings.signin.refresh_before, settings.signin.revoke_on_sign_out), (Duration::from_secs(300), true));
    let app = settings.table.apps().next().unwrap();
    assert_eq!((app.preserve_host, app.upstream_timeout, app.max_body), (true, Duration::from_secs(60), 104_857_600));
    assert_eq!(app.routes[0].headers.names().count(), 5);
    assert_eq!(settings.assertion, None);
}

#[test]
fn every_supported_key_takes_effect() {
    let text = VALID
        .replace(
            "[apple]",
            "admin_listen = \"unix:/run/a.sock\"\nstate_dir = \"/srv/state\"\nshutdown_grace = \"0s\"\n\
             sign_in_rate_per_ip = 7\nheader_timeout = \"1s\"\nidle_timeout = \"2m\"\nmin_body_rate = \"2KiB\"\n\
             max_header_bytes = \"64KiB\"\ntrusted_proxies = []\n[log]\nformat = \"json\"\n[assertion]\nenabled = true\n\
             [apple]\nservice = \"sign-in\"\nscopes = [\"openid\"]\nresponse_mode = \"form_post\"\npkce = true\n\
             issuers = [\"https://account.apple.com\"]\nbase_url = \"http://127.0.0.1:9\"\n\
             keys_url = \"https://keys.example/x\"\ntimeout = \"3s\"\nclock_skew = \"0s\"\nkeys_max_age = \"0s\"\n\
             keys_max_stale = \"0s\"\nkeys_min_interval = \"0s\"",
        )
        .replace(
            "store = \"memory\"",
            "store = \"memory\"\nidle_timeout = \"1h\"\nmax_lifetime = \"7d\"\nrefresh_before = \"0s\"\nrevoke_on_sign_out = false",
        )
        .replace(
            "path = \"/\"\n",
            "path = \"/\"\nmethods = [\"GET\", \"POST\"]\nscopes = [\"email\"]\nunauthenticated = \"401\"\n\
             headers = { X-A = \"{sub}\", X-B = \"{email}\" }\n[app.route.allow]\nusers = [\"A.b\"]\norganizations = [\"o\"]\n",
        )
        .replace(
            "upstream = ",
            "preserve_host = false\nupstream_timeout = \"5s\"\nmax_body = \"0B\"\nheaders = { X-A = \"fixed\" }\n\
             keep_forms = true\nsign_out_paths = [\"/out\"]\nclear_cookies = [\"PHPSESSID\", \"a*b\"]\nupstream = ",
        );
    let settings = settings(&text);
    let issuer = settings.assertion.as_ref().map(|assertion| assertion.issuer.as_str());
    assert_eq!(issuer, Some("https://library.school.example"), "the origin of redirect_uri");
    assert_eq!(settings.admin_listen, AdminAddress::Unix("/run/a.sock".into()));
    assert_eq!((settings.shutdown_grace, settings.log.format), (Duration::ZERO, LogFormat::Json));
    assert_eq!(settings.proxy.max_header_bytes, 65_536);
    let endpoints = &settings.apple.endpoints;
    assert_eq!(endpoints.token.as_str(), "http://127.0.0.1:9/auth/token");
    assert_eq!(endpoints.keys.as_str(), "https://keys.example/x");
    assert_eq!((settings.apple.response_mode, settings.apple.pkce), (Some(ResponseMode::FormPost), true));
    assert_eq!(settings.signin.scopes.to_string(), "openid");
    assert!(!settings.signin.revoke_on_sign_out && settings.signin.refresh_before.is_zero());
    let app = settings.table.apps().next().unwrap();
    assert_eq!((app.preserve_host, app.max_body, app.keep_forms), (false, 0, true));
    assert!(settings.signin.keeps_forms && settings.signin.remembers_browsers);
    assert_eq!(app.sessions.sign_out_paths[0].as_str(), "/out");
    assert_eq!(app.sessions.clear_cookies, ["PHPSESSID", "a*b"]);
    let (first, second) = (&app.routes[0], &app.routes[1]);
    assert_eq!((first.methods.len(), first.access, first.headers.names().count()), (2, Access::Required, 2));
    assert!(first.headers.iter().any(|(name, _)| name == "x-b") && second.headers.names().count() == 1);
    assert_eq!(first.allow.users[0].as_str(), "A.b");
}

/// The valid file with Redis in the place of memory.
fn with_redis(url: &str) -> String {
    changed("\"memory\"", &format!("\"{url}\"\nencryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\""))
}

#[test]
fn sessions_may_be_kept_in_redis() {
    let settings = settings(&with_redis("rediss+sentinel://sg@a,b/m/2?password_file=$CREDENTIALS_DIRECTORY/redis"));
    let StoreChoice::Redis(url) = settings.store else { panic!("{:?}", settings.store) };
    assert_eq!(url.to_string(), "rediss+sentinel://a:26379,b:26379/m/2");
    assert!(settings.encryption_key_file.is_some());
    assert!(notes(&with_redis("redis://[::1]/2")).iter().all(|note| !note.contains("session")));
}

#[test]
fn a_password_of_redis_is_never_shown() {
    for url in ["redis://:hunter2@db?x", "redis://:/hunter2@db", "redis://:# 'hunter2@db", "redis://:\\\"hunter2@db/x"]
    {
        let shown = read(&with_redis(url)).unwrap_err().to_string();
        assert!(shown.contains("session.store") && !shown.contains("hunter2"), "{url}: {shown}");
    }
    let noted = notes(&with_redis("redis://:hunter2@localhost")).join("\n");
    assert!(noted.contains("warning: the password stands in this file") && !noted.contains("hunter2"), "{noted}");
}

#[test]
fn an_app_without_routes_has_one_that_needs_a_sign_in() {
    let text = &VALID[..VALID.find("[[app.route]]").unwrap()];
    let app = settings(text).table.apps().next().unwrap().clone();
    assert_eq!((app.routes.len(), app.routes[0].access, app.routes[0].prefix.as_str()), (1, Access::Required, "/"));
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_in_its_order() {
    let text = VALID.replace("8080", "x").replace("[session]", "[session]\nidle = 1").replace("\"/static\"", "\"x\"");
    let lines: Vec<_> = read(&text).unwrap_err().iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 12, 24]);
}

#[test]
fn what_is_no_toml_is_told_and_what_else_is_wrong_too() {
    let text = VALID.replace("\"org.example.gateway\"", "org.example.gateway").replace("\"memory\"", "\"disk\"");
    let problems = read(&text).unwrap_err();
    let told: Vec<_> = problems.iter().map(|problem| (problem.line, &*problem.found)).collect();
    assert_eq!(told, [(5, "org.example.gateway"), (12, "\"disk\"")], "{problems}");
    assert!(problems.to_string().contains("does not read as TOML"));
    let twice = changed("team_id =", "team_id = \"A1B2C3D4E6\"\nteam_id =");
    assert_eq!(read(&twice).unwrap_err().iter().map(|problem| problem.line).collect::<Vec<_>>(), [7]);
}

#[test]
fn a_key_outside_of_all_sections_is_told_where_it_belongs() {
    for (line, header) in
        [("max_body = \"1MiB\"", "[[app]]"), ("client_id = \"x\"", "[apple]"), ("emails = []", "[app.route.allow]")]
    {
        let problems = read(&format!("{line}\n{VALID}")).unwrap_err();
        let problem = problems.iter().next().unwrap();
        assert_eq!((problems.iter().count(), problem.line, problem.column), (1, 1, 1), "{problems}");
        assert_eq!(problem.cure, format!("write it below the header of its section: {header}"));
    }
}

#[test]
fn a_file_without_sections_names_the_sections_that_are_missing() {
    let problems = read("").unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| &*problem.key).collect();
    assert_eq!(keys, ["apple", "app"], "{problems}");
}

#[test]
fn names_and_hosts_stand_for_one_app_each() {
    let again = "[[app]]\nname = \"library\"\nhost = \"LIBRARY.school.example.:80\"\nupstream = \"http://a\"\n";
    let problems = read(&format!("{VALID}{again}")).unwrap_err();
    let told: Vec<_> = problems.iter().map(|problem| &*problem.message).collect();
    assert_eq!(told, ["is the name of another app (line 15)", "is the host of another app (line 16)"]);
}

#[test]
fn apps_have_hosts_of_their_own_and_wildcards() {
    let other = |host: &str| format!("{VALID}[[app]]\nname = \"other\"\nhost = \"{host}\"\nupstream = \"http://a\"\n");
    for host in ["grades.school.example", "*.school.example", "*.Clubs.School.Example."] {
        assert!(read(&other(host)).is_ok(), "{host}");
    }
    let twice =
        other("*.school.example") + "[[app]]\nname = \"x\"\nhost = \"*.School.example.\"\nupstream = \"http://b\"\n";
    assert_eq!(read(&twice).unwrap_err().iter().count(), 1);
}

#[test]
fn plain_http_is_for_localhost() {
    let http = changed("[server]", "external_scheme = \"http\"");
    assert_eq!(read(&http).unwrap_err().iter().count(), 2, "host and redirect_uri");
    let local = http
        .replace("https://library.school.example", "http://localhost")
        .replace("library.school.example", "localhost:8080");
    assert_eq!(settings(&local).proxy.external_scheme, Scheme::Http);
}

#[test]
fn routes_that_some_apps_take_for_one_cannot_stand_side_by_side() {
    for path in ["/STATIC", "/Static/x", "/static."] {
        let problems = read(&format!("{VALID}[[app.route]]\npath = \"{path}\"\n")).unwrap_err();
        assert!(problems.to_string().contains("refused with 400"), "{path}: {problems}");
    }
    assert!(read(&format!("{VALID}[[app.route]]\npath = \"/static2\"\n")).is_ok());
    let problems = read(&format!("{VALID}[[app.route]]\npath = \"/static/\"\n")).unwrap_err();
    assert!(problems.to_string().contains("again, for the same methods"), "{problems}");
}

#[test]
fn one_path_may_have_routes_for_different_methods() {
    let with = |methods: &str| format!("{VALID}[[app.route]]\npath = \"/static\"\nmethods = [{methods}]\n");
    assert!(read(&with("\"POST\"")).is_ok());
    let both = format!("{}[[app.route]]\npath = \"/static\"\nmethods = [\"HEAD\"]\n", with("\"GET\""));
    assert!(read(&both).is_err(), "GET includes HEAD");
}

#[test]
fn a_key_in_the_file_itself_is_refused_and_not_shown() {
    let pem = "-----BEGIN PRIVATE KEY-----MIGHAgEA-----END PRIVATE KEY-----";
    for text in [
        changed("[session]", &format!("encryption_key_file = \"{KEY}\"")),
        changed("$CREDENTIALS_DIRECTORY/apple.p8", pem),
    ] {
        let shown = read(&text).unwrap_err().to_string();
        assert!(shown.contains("is a key itself") && !shown.contains(KEY) && !shown.contains("MIGH"), "{shown}");
    }
}

#[test]
fn a_valid_file_says_what_is_odd() {
    let route = |keys: &str| format!("{VALID}[[app.route]]\n{keys}\n");
    for (text, said) in [
        (VALID.to_owned(), ":12:9: note: sessions are kept in memory and end with the process"),
        (VALID.to_owned(), ":23:8: note: \"/static\" is public, although it lies within \"/\" (line 20)"),
        (changed("127.0.0.1:8080", "0.0.0.0:8080"), "note: other machines can connect here over plain HTTP"),
        (changed("[server]", "admin_listen = \"0.0.0.0:1\""), "warning: admin_listen is open to other machines"),
        (
            changed("[server]", "trusted_proxies = [\"192.0.2.7\", \"96.0.0.0/3\"]"),
            ":2:33: warning: this is a very large network",
        ),
        (changed("\"A1B2C3D4E5\"", "\"TEAM\""), "warning: team_id has ten"),
        (changed("\"K1L2M3N4O5\"", "\"k1l2m3n4o5\""), "warning: key_id has ten"),
        (changed("[apple]", "scopes = [\"edu.usres.read\"]"), "did you mean edu.users.read?"),
        (changed("[apple]", "scopes = [\"edu.users.read\"]"), "asked for at every sign-in"),
        (changed("[apple]", "clock_skew = \"10m\""), "warning: a clock that is off"),
        (changed("[apple]", "service = \"sign-in\"\nscopes = [\"email\"]"), "form_post"),
        (changed("[session]", "refresh_before = \"30m\""), "access tokens live one hour"),
        (with_redis("redis://db"), ":12:9: warning: the way to Redis is not encrypted"),
        (route("path = \"/roster\"\nscopes = [\"edu.users.read\"]"), "only administrators and site managers"),
        (
            route("path = \"/x\"\nallow.email_domains = [\"a.example\"]"),
            "managed accounts can never match email_domains",
        ),
        (route("path = \"/x\"\nallow.emails = [\"a@a.example\"]\nallow.organizations = [\"o\"]"), "nobody can pass"),
        (
            route("path = \"/x\"\nallow.emails = [\"a@a.example\"]\nallow.email_domains = [\"b.example\"]"),
            "nobody can pass: none of these",
        ),
        (
            route("path = \"/x\"\n[[app.route]]\npath = \"/x/open\"\naccess = \"optional\""),
            "warning: \"/x/open\" needs no sign-in, although it lies within \"/x\"",
        ),
        (
            route("path = \"/static/admin\"\nmethods = [\"POST\"]"),
            "is protected for POST only: GET, PUT, PATCH, DELETE, OPTIONS there meets \"/static\"",
        ),
        (
            route("path = \"/static\"\nmethods = [\"GET\", \"POST\", \"PUT\", \"PATCH\", \"DELETE\", \"OPTIONS\"]"),
            "no request meets this route",
        ),
        (route("path = \"/x\"\nscopes = [\"edu.classes.raed\"]"), "did you mean edu.classes.read?"),
        (
            route(
                "path = \"/x\"\naccess = \"public\"\nmethods = [\"GET\"]\n[[app.route]]\npath = \"/x/y\"\nmethods = [\"POST\"]",
            ),
            "is protected for POST only: GET there meets \"/x\"",
        ),
        (
            route("path = \"/x\"\nallow.users = [\"a\"]\n[[app.route]]\npath = \"/x/y\""),
            ":29:8: warning: \"/x/y\" is for anyone who signed in, although it lies within \"/x\" (line 26), which is not",
        ),
        (
            changed("path = \"/\"\n", "path = \"/\"\nallow.users = [\"a\"]\n[[app.route]]\npath = \"/y\"\n"),
            ":23:8: note: \"/y\" is for anyone who signed in, although it lies within \"/\" (line 20), which is not",
        ),
        (
            route("path = \"/x\"\nscopes = [\"edu.users.read\"]\n[[app.route]]\npath = \"/x/y\""),
            "note: \"/x/y\" does not need edu.users.read, although \"/x\" (line 26) does",
        ),
        (
            route("path = \"/x\"\nscopes = [\"edu.users.read\"]\nheaders = { X-Forwarded-Access-Token = \"{sub}\" }"),
            "note: no header of \"/x\" has {access_token}: here edu.users.read decides who passes",
        ),
        (
            route("path = \"/x\"\nallow.organizations = []"),
            ":27:23: warning: an empty list keeps nobody out: anyone who signed in gets in",
        ),
        (
            route("path = \"/x\"\nallow.organizations = [\"*\"]"),
            ":27:23: warning: the star stands for itself here: each organization",
        ),
        (route("path = \"/x\"\nallow.users = [\"head@school.example\"]"), ":27:15: warning: users are the claim sub"),
        (route("path = \"/x\"\nallow.users = [\"000264.*\"]"), ":27:15: warning: users are the claim sub"),
        (route("path = \"/x\"\nmethods = [\"POST\", \"ANY\"]"), ":27:20: warning: no browser sends this method"),
        (
            changed("path = \"/\"", "path = \"/x\""),
            ":20:8: note: no route of this app takes GET of \"/\", so whoever opens its host gets 404",
        ),
        (changed("path = \"/\"", "path = \"/\"\nmethods = [\"POST\"]"), "whoever opens its host gets 405"),
        (changed("\"public\"", "\"public\"\nunauthenticated = \"401\""), "has no effect"),
        (
            changed("[[app]]", "sign_out_paths = [\"/out\"]").replace("path = \"/\"", "path = \"/x\""),
            ":15:19: warning: no route takes GET or POST of \"/out\"",
        ),
        (
            changed("[[app]]", "sign_out_paths = [\"/out\"]")
                .replace("path = \"/\"", "path = \"/\"\nmethods = [\"PUT\"]"),
            "warning: no route takes GET or POST of \"/out\"",
        ),
        (changed("[[app]]", "clear_cookies = [\"wordpress_*\"]"), "warning: the star stands for itself"),
    ] {
        let notes = notes(&text).join("\n");
        assert!(notes.contains(said), "{said}\n{notes}");
    }
}

/// The valid file with a second app at `*.school.example`.
fn with_a_wildcard(routes: &str) -> String {
    format!("{VALID}[[app]]\nname = \"all\"\nhost = \"*.School.example\"\nupstream = \"http://b\"\n{routes}")
}

#[test]
fn cve_2026_48794_a_host_by_name_beside_a_wildcard_says_where_their_rules_differ() {
    let at = ":16:8: note: ";
    let by_name = "at \"library.school.example\" and";
    for (routes, said) in [
        (
            "",
            format!("{at}GET of \"/static\" needs no sign-in {by_name} is for anyone who signed in at all other names"),
        ),
        (
            "[[app.route]]\naccess = \"public\"",
            format!("{at}GET of \"/\" is for anyone who signed in {by_name} needs no sign-in at all other names"),
        ),
        (
            "[[app.route]]\nallow.users = [\"a\"]",
            format!("{at}GET of \"/\" is for anyone who signed in {by_name} is for some people at all other names"),
        ),
        (
            "[[app.route]]\npath = \"/x\"",
            format!("{at}GET of \"/\" is for anyone who signed in {by_name} meets no route at all other names"),
        ),
    ] {
        let notes = notes(&with_a_wildcard(routes));
        let told: Vec<_> = notes.iter().filter(|note| note.contains("has no rules but its own")).collect();
        assert!(told.len() == 1 && told[0].contains(&said), "{said}\n{notes:#?}");
        assert!(told[0].contains("of \"*.school.example\" (line 27)"), "{told:?}");
    }
}

#[test]
fn a_host_by_name_is_silent_beside_a_wildcard_with_the_same_rules_or_of_other_names() {
    let silent = |text: &str| !notes(text).iter().any(|note| note.contains("has no rules but its own"));
    let same = "[[app.route]]\npath = \"/\"\n[[app.route]]\npath = \"/static\"\naccess = \"public\"";
    assert!(silent(&with_a_wildcard(same)));
    assert!(silent(&with_a_wildcard("").replace("*.School.example", "*.clubs.school.example")));
    assert!(silent(&with_a_wildcard("").replace("*.School.example", "news.school.example")));
}

#[test]
fn what_is_meant_so_gives_no_alarm() {
    let route = |keys: &str| format!("{VALID}[[app.route]]\n{keys}\n");
    let (people, token) = ("allow.users = [\"a\"]", "{access_token}");
    for (text, said) in [
        (route(&format!("path = \"/x\"\n{people}\n[[app.route]]\npath = \"/x/y\"\n{people}")), "is for anyone"),
        (route(&format!("path = \"/x\"\n{people}")), "is for anyone"),
        (route("path = \"/x\"\nscopes = [\"edu.users.read\"]"), token),
        (route("path = \"/x\"\nscopes = [\"edu.users.read\"]"), "does not need"),
        (route(&format!("path = \"/x\"\nallow.emails = []\n{people}")), "an empty list"),
        (VALID.to_owned(), "whoever opens its host"),
        (changed("path = \"/\"", "path = \"/\"\nmethods = [\"GET\"]"), "whoever opens its host"),
    ] {
        let notes = notes(&text).join("\n");
        assert!(!notes.contains(said), "{text}\n{notes}");
    }
}

#[test]
fn another_password_of_redis_takes_a_restart() {
    let with = |password: &str| {
        let store = format!(
            "store = \"rediss://:{password}@db\"\nencryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\""
        );
        settings(&changed("store = \"memory\"", &store))
    };
    let key = crate::server::NeedsRestart("session.store");
    assert!(with("hunter2").needs_restart(&with("hunter3")).contains(&key));
    assert!(!with("hunter2").needs_restart(&with("hunter2")).contains(&key));
}

#[test]
fn a_stand_in_for_apple_is_named_where_others_may_be_served() {
    let of = |line: &str| notes(&changed("[apple]", line)).join("\n");
    for key in ["base_url", "authorize_url", "token_url", "keys_url", "revoke_url"] {
        let said = of(&format!("{key} = \"http://127.0.0.1:9998\""));
        assert!(said.contains(": note: ") && said.contains("sign in as anybody"), "{key}: {said}");
        let said = of(&format!("{key} = \"https://127.0.0.1:9998\""));
        assert!(!said.contains("stand-in"), "{key}: {said}");
    }
    let local = changed("[apple]", "base_url = \"http://127.0.0.1:9998\"")
        .replace("[server]", "[server]\nexternal_scheme = \"http\"")
        .replace("https://library.school.example/", "http://localhost:8080/")
        .replace("host = \"library.school.example\"", "host = \"localhost\"");
    let said = notes(&local).join("\n");
    assert!(!said.contains("stand-in"), "{said}");
}

#[test]
fn an_ordinary_file_has_no_warnings() {
    let route = "[[app.route]]\npath = \"/admin\"\nmethods = [\"POST\"]\nallow.organizations = [\"o\"]\n";
    let own = "sign_out_paths = [\"/logout\", \"/static/logout\"]\nclear_cookies = [\"PHPSESSID\"]";
    let notes = notes(&format!("{}{route}", changed("[[app]]", own)));
    assert!(notes.iter().all(|note| note.contains(": note: ")), "{notes:?}");
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    let shown = || load(&path, &|_| None).unwrap_err().to_string();
    assert!(shown().contains("there is no such file"));
    fs::write(&path, b"[server]\n# \xff\n").unwrap();
    assert!(shown().contains("line 2 is not UTF-8"));
    fs::write(&path, "#".repeat(LARGEST + 1)).unwrap();
    assert!(shown().contains("larger than 1 MiB"));
}

#[test]
fn where_the_admin_listener_is_can_be_read_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        admin_address(&path, &|_| None).map_err(|problems| problems.to_string())
    };
    let tcp = |text: &str| Ok(AdminAddress::Tcp(text.parse().unwrap()));
    assert_eq!(read(""), tcp("127.0.0.1:9180"));
    assert_eq!(read("[server]\nlisten = 5\nof_tomorrow = true\n[apple]\nkey_id = 5\n[x]\n"), tcp("127.0.0.1:9180"));
    assert_eq!(read("[server]\nadmin_listen = \"[::1]:5\""), tcp("[::1]:5"));
    let unix = folder.path().join("run/admin.sock");
    assert_eq!(read("[server]\nadmin_listen = \"unix:run/admin.sock\""), Ok(AdminAddress::Unix(unix)));
    for (text, word) in [
        ("[server]\nadmin_listen = \"x\"", "server.admin_listen: \"x\" is not an address"),
        ("[server]\nadmin_listen = 9180", "server.admin_listen: 9180 is a number"),
        ("server = 5", "server: 5 is a number"),
        ("[server]\nadmin_listen = \"127.0.0.1:1\"\n[apple", "does not read as TOML"),
    ] {
        assert!(read(text).unwrap_err().contains(word), "{text}");
    }
}

/// Reads without key files, which is quick.
fn survives(text: &str) {
    match from_text(Path::new("gateway.toml"), text, &|_| None) {
        Ok(_) => obeys_the_schema(text),
        Err(problems) => assert!(problems.iter().next().is_some() && !problems.to_string().is_empty()),
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\PC|[\n\\[\\]\"'={},.#\\\\ \t\r]){0,200}") {
        survives(&text);
    }

    #[test]
    fn no_mutation_of_a_valid_file_makes_the_reader_panic(
        cuts in proptest::collection::vec((0usize..700, 0usize..30, "[\n\\[\\]\"'={},.#a0é]{0,6}"), 1..6)
    ) {
        let mut text: Vec<char> = VALID.chars().collect();
        for (at, length, new) in cuts {
            let start = at.min(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, new.chars());
        }
        survives(&text.into_iter().collect::<String>());
    }

    #[test]
    fn lines_in_any_order_never_make_the_reader_panic(order in proptest::collection::vec(0usize..24, 0..40)) {
        let lines: Vec<_> = VALID.lines().collect();
        let text: Vec<_> = order.into_iter().filter_map(|line| lines.get(line).copied()).collect();
        survives(&text.join("\n"));
    }
}

#[test]
fn a_section_with_the_wrong_brackets_is_told_once() {
    for (from, to) in
        [("[[app.route]]\npath = \"/static\"", "[app.route]\npath = \"/static\""), ("[apple]", "[[apple]]")]
    {
        let text = VALID.replace("[[app.route]]\npath = \"/\"\n", "").replace(from, to);
        let problems = read(&text).unwrap_err();
        assert_eq!(problems.iter().count(), 1, "{problems}");
    }
    let text = VALID.replace("[[app]]", "[app]").replace("[[app.route]]\n", "");
    let text = text.replace("path = \"/static\"\naccess = \"public\"", "");
    let problems = read(&text).unwrap_err();
    assert_eq!(problems.iter().count(), 1, "{problems}");
    assert!(problems.to_string().contains("in double brackets: [[app]]"), "{problems}");
}

#[test]
fn several_upstreams_and_what_goes_with_them_take_effect() {
    let text = VALID.replace(
        "upstream = \"http://127.0.0.1:9000\"",
        "upstream = [\"https://a.internal\", \"https://b.internal:8443\"]\nhealth_path = \"/health?quick\"\n\
         upstream_ca_file = \"$CREDENTIALS_DIRECTORY/ca.pem\"",
    );
    let settings = settings(&text);
    let app = settings.table.apps().next().unwrap();
    let shown: Vec<_> = app.upstreams.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["https://a.internal", "https://b.internal:8443"]);
    assert_eq!(app.health_path.as_ref().unwrap().to_origin_form(), "/health?quick");
    assert_eq!(app.upstream_authorities.as_ref().unwrap().certificates.len(), 1);
    assert_eq!(notes(&text).len(), notes(VALID).len());
}

#[test]
fn an_upstream_that_is_not_encrypted_among_others_is_noted() {
    let mixed = VALID.replace("\"http://127.0.0.1:9000\"", "[\"https://a\", \"http://b\"]");
    let noted = notes(&mixed).join("\n");
    assert!(noted.contains("this upstream is not encrypted"), "{noted}");
}

#[test]
fn a_health_path_for_one_upstream_is_noted_to_do_nothing() {
    let noted = notes(&changed("[[app]]", "health_path = \"/\"")).join("\n");
    assert!(noted.contains("health_path has no effect"), "{noted}");
}

#[test]
fn tls_takes_effect() {
    let settings = settings(&changed("\"memory\"\n", &format!("\"memory\"\n{TLS_SECTION}")));
    let tls = settings.tls.unwrap();
    let names: Vec<_> = tls.certificates.iter().map(|kept| kept.pair().title()).collect();
    assert_eq!((names, tls.redirect_listen), (vec!["library.school.example".to_owned()], vec![]));
    assert_eq!(settings.proxy.hsts.unwrap().to_string(), "max-age=31536000");
    let more = "hsts = \"0s\"\nredirect_http_listen = [\"0.0.0.0:80\"]\n[[server.tls.certificate]]\n\
        certificate_file = \"$CREDENTIALS_DIRECTORY/tls.pem\"\nprivate_key_file = \"$CREDENTIALS_DIRECTORY/tls.key\"\n";
    let settings = self::settings(&changed("\"memory\"\n", &format!("\"memory\"\n{TLS_SECTION}{more}")));
    let tls = settings.tls.unwrap();
    assert_eq!((tls.certificates.len(), tls.redirect_listen), (2, vec!["0.0.0.0:80".parse().unwrap()]));
    assert_eq!(settings.proxy.hsts, None);
    let only_more = VALID.to_owned() + &TLS_SECTION.replace("[server.tls]", "[[server.tls.certificate]]");
    assert_eq!(self::settings(&only_more).tls.unwrap().certificates.len(), 1);
    assert!(self::settings(VALID).tls.is_none() && self::settings(VALID).proxy.hsts.is_none());
}

#[test]
fn tls_that_ends_here_is_https_for_browsers() {
    let local = VALID.replace("library.school.example", "localhost").replace("https://localhost/", "http://localhost/");
    let text = local.replace("[server]", "[server]\nexternal_scheme = \"http\"") + TLS_SECTION;
    let problems = read(&text).unwrap_err().to_string();
    assert!(problems.contains("contradicts [server.tls]"), "{problems}");
}

#[test]
fn hosts_without_a_certificate_and_names_without_a_host_are_noted() {
    let text = VALID.to_owned() + TLS_SECTION;
    assert_eq!(notes(&text), notes(VALID));
    let other = text.replace("host = \"library", "host = \"wiki");
    let noted = notes(&other).join("\n");
    assert!(noted.contains("no certificate of [server.tls] is for this host"), "{noted}");
    assert!(!noted.contains("which no app has"), "the redirect URI needs it: {noted}");
    let elsewhere = text.replace("https://library", "https://sign-in");
    let noted = notes(&elsewhere).join("\n");
    assert!(noted.contains("no certificate is for sign-in.school.example, the host of redirect_uri"), "{noted}");
    let neither = other.replace("https://library", "https://wiki");
    assert!(notes(&neither).join("\n").contains("also for library.school.example, which no app has"));
    // A wildcard needs one.
    let wild = text.replace("host = \"library.school", "host = \"*.school");
    assert!(notes(&wild).join("\n").contains("no certificate of [server.tls] is for this host"));
}

#[test]
fn a_certificate_that_ends_is_noted_by_the_time() {
    let loaded = read(&(VALID.to_owned() + TLS_SECTION)).unwrap();
    let noted = |at: &str| {
        let before = loaded.notes.len();
        let notes = loaded.notes_at(Timestamp::parse(at).unwrap());
        notes.iter().find(|note| !loaded.notes.contains(note)).map(|note| {
            assert_eq!((notes.len(), note.weight), (before + 1, Weight::Warning));
            note.text.clone()
        })
    };
    assert_eq!(noted("2026-12-17T23:59:59Z"), None);
    assert!(noted("2026-12-18T00:00:00Z").unwrap().contains("expires soon, on 2027-01-01T00:00:00Z"));
    assert!(noted("2027-01-01T00:00:00Z").unwrap().contains("has expired"));
    assert!(noted("2025-12-31T00:00:00Z").unwrap().contains("begins to be valid on 2026-01-01"));
}

const ACME_SECTION: &str = "\n[server.tls.acme]\nterms_of_service_agreed = true\n";

#[test]
fn certificates_are_ordered_for_the_hosts_that_no_file_is_for() {
    let ordered = |text: &str| settings(text).tls.unwrap().acme.map(|acme| acme.names);
    let named =
        |names: &[&str]| Some(names.iter().map(|name| crate::web::Host::parse(name).unwrap()).collect::<Vec<_>>());
    let text = VALID.to_owned() + ACME_SECTION;
    assert_eq!(ordered(&text), named(&["library.school.example"]));
    let elsewhere = text.replace("host = \"library", "host = \"wiki");
    assert_eq!(ordered(&elsewhere), named(&["wiki.school.example", "library.school.example"]));
    assert_eq!(ordered(&(elsewhere + TLS_SECTION)), named(&["wiki.school.example"]));
    assert_eq!(ordered(&(text.clone() + TLS_SECTION)), None);
    let acme = settings(&text).tls.unwrap().acme.unwrap();
    assert_eq!(acme.folder, Path::new("/var/lib/schoolgate/acme"));
    assert!(acme.directory_url.starts_with("https://acme-v02.") && !acme.has_plain_http);
}

#[test]
fn no_certificate_can_be_ordered_for_a_wildcard_or_for_this_machine() {
    for (host, message) in [("*.school.example", "is a wildcard"), ("10.0.0.7", "no name"), ("localhost", "no name")] {
        let text = VALID.replace("host = \"library.school.example\"", &format!("host = \"{host}\"")) + ACME_SECTION;
        let problems = read(&text).unwrap_err().to_string();
        assert!(problems.contains(message) && problems.contains("[[server.tls.certificate]]"), "{problems}");
    }
}
