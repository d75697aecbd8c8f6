//! The program from outside: arguments in, text and exit status out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot do its work has failed")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use tempfile::TempDir;

const VALID: &str = r#"
[server]
listen = ["127.0.0.1:8080"]

[apple]
client_id = "org.example.school.gateway"
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
headers = { X-Remote-User = "{sub}" }

[[app.route]]
path = "/"

[[app.route]]
path = "/static"
access = "public"

[[app.route]]
path = "/catalogue"
methods = ["GET"]
access = "optional"

[[app.route]]
path = "/roster"
scopes = ["edu.users.read"]
headers = { Authorization = "Bearer {access_token}" }
allow.organizations = ["org-1"]

[[app]]
name = "news"
host = "news.school.example"
upstream = "http://127.0.0.1:9001"

[[app.route]]
path = "/pub"
methods = ["GET"]
access = "public"
"#;

/// A folder with the key file that the configurations name.
struct Folder(TempDir);

impl Folder {
    /// Writes a certificate for these names, and its key.
    fn certify(&self, certificate: &str, key: &str, names: &[&str]) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        self.certify_with(certificate, key, rcgen::CertificateParams::new(names).unwrap());
    }

    fn certify_with(&self, certificate: &str, key: &str, params: rcgen::CertificateParams) {
        let pair = rcgen::KeyPair::generate().unwrap();
        fs::write(self.0.path().join(certificate), params.self_signed(&pair).unwrap().pem()).unwrap();
        fs::write(self.0.path().join(key), pair.serialize_pem()).unwrap();
    }

    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("apple.p8");
        fs::write(&key, apple_key()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        Self(folder)
    }

    fn write(&self, text: &str) -> PathBuf {
        let path = self.0.path().join("gateway.toml");
        fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &Path)]) -> Answer {
        let output = Command::new(env!("CARGO_BIN_EXE_schoolgate"))
            .args(arguments)
            .env_clear()
            .env("CREDENTIALS_DIRECTORY", self.0.path())
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let answer = Answer {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        if answer.status == 0 && arguments.contains(&"check") {
            self.obeys_the_schema();
        }
        answer
    }

    /// What `check` calls valid, an editor must not underline.
    fn obeys_the_schema(&self) {
        let Ok(text) = fs::read_to_string(self.0.path().join("gateway.toml")) else { return };
        let file = serde_json::to_value(toml::from_str::<toml::Table>(&text).unwrap()).unwrap();
        if let Err(error) = jsonschema::draft7::validate(&schoolgate::config::keys::schema(), &file) {
            panic!("{}: {error}", error.instance_path());
        }
    }

    /// Explains one request to the valid configuration.
    fn explain(&self, method: &str, url: &str) -> Answer {
        let path = self.write(VALID);
        self.run(&["explain", method, url, "--config", path.to_str().unwrap()])
    }
}

#[derive(Debug)]
struct Answer {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Answer {
    /// The words after a label of `explain`.
    #[track_caller]
    fn says(&self, label: &str) -> &str {
        let start = format!("  {label} ");
        let line = self.stdout.lines().find(|line| line.starts_with(&start));
        line.unwrap_or_else(|| panic!("no {label} in {self:#?}"))[start.len()..].trim()
    }
}

/// A key as Apple hands it out: PKCS#8 in PEM, EC on P-256.
fn apple_key() -> String {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(key.as_ref()))
}

#[test]
fn check_prints_a_valid_configuration_as_a_table() {
    let folder = Folder::new();
    let path = folder.write(VALID);
    let answer = folder.run(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!((answer.status, &*answer.stderr), (0, ""), "{answer:#?}");
    let words: Vec<Vec<&str>> = answer.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in [
        "HOST UPSTREAM",
        "ROUTE METHODS ACCESS SCOPES PEOPLE",
        "library.school.example http://127.0.0.1:9000",
        "/ all required - anyone who signed in",
        "/static all public - everybody",
        "/catalogue GET optional - everybody",
        "/roster all required edu.users.read 1 organization",
        "news.school.example http://127.0.0.1:9001",
        "/pub GET public - everybody",
    ] {
        assert!(words.contains(&row.split(' ').collect()), "{row}\n{}", answer.stdout);
    }
    assert!(answer.stdout.contains("note: sessions are kept in memory and end with the process"));
    assert!(answer.stdout.contains("gateway.toml:25:8: note: \"/static\" is public"), "{}", answer.stdout);
    assert!(answer.stdout.ends_with("gateway.toml is valid: 2 apps, 5 routes, 0 warnings\n"), "{}", answer.stdout);
    assert!(!answer.stdout.contains("PRIVATE KEY"));
}

/// The valid configuration with everything that makes a table wide.
fn with_wide_apps() -> String {
    let wide = r#"
[[app]]
name = "clubs"
host = "*.clubs.of-the-upper-school.school.example"
upstream = ["https://one.clubs.internal:8443", "https://two.clubs.internal:8443"]

[[app.route]]
path = "/"
methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
scopes = ["edu.users.read", "edu.classes.read"]
headers = { X-Remote-User = "{sub}", X-Mail = "{email}", X-Since = "{auth_time}", Authorization = "Bearer {access_token}" }

[app.route.allow]
organizations = ["org-1", "org-2"]
users = ["000123.abc"]
emails = ["head@school.example"]
"#;
    format!("{VALID}{wide}")
}

#[test]
fn the_table_of_check_fits_a_terminal_of_80_columns() {
    let folder = Folder::new();
    let path = folder.write(&with_wide_apps());
    let answer = folder.run(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(answer.status, 0, "{answer:#?}");
    let table: Vec<_> = answer.stdout.lines().take_while(|line| !line.contains("gateway.toml:")).collect();
    assert!(table.len() > 15 && table.iter().all(|line| line.chars().count() <= 80), "{}", table.join("\n"));
    let words: Vec<Vec<&str>> = table.iter().map(|line| line.split_whitespace().collect()).collect();
    for row in [
        "*.clubs.of-the-upper-school.school.example https://one.clubs.internal:8443",
        "https://two.clubs.internal:8443",
        "/ GET required edu.classes.read 2 organizations and",
        "POST edu.users.read 1 user and",
        "PUT 1 email",
        "OPTIONS",
    ] {
        assert!(words.contains(&row.split(' ').collect()), "{row}\n{}", table.join("\n"));
    }
}

#[test]
fn explain_says_what_somebody_who_has_signed_in_gets() {
    let folder = Folder::new();
    let path = folder.write(&with_wide_apps());
    let config = ["--config", path.to_str().unwrap()];
    let (library, clubs) = ("https://library.school.example", "https://chess.clubs.of-the-upper-school.school.example");
    let roster = format!("{library}/roster");
    for (url, who, gets) in [
        (roster.as_str(), &["000123.abc,org-1,edu.users.read"][..], "let in"),
        (&roster, &["000123.abc,org-1,"], "lacks edu.users.read, so Apple is asked for edu.users.read:"),
        (
            &roster,
            &["000123.abc,org-1,edu.classes.read"],
            "lacks edu.users.read, so Apple is asked for edu.classes.read edu.users.read:",
        ),
        (&roster, &["000123.abc,,"], "403: their organization is none of those above"),
        (&roster, &["000123.abc,ORG-1,edu.users.read"], "403: their organization is none of those above"),
        (library, &["000123.abc"], "let in"),
        (
            &format!("{library}/static/x"),
            &["000123.abc"],
            "let in; no session is looked at, and the app is not told who it is",
        ),
        (&format!("{library}/catalogue"), &["000123.abc"], "let in, and the app is told who it is"),
        (clubs, &["x,org-2"], "403: they are none of the users above"),
        (clubs, &["000123.abc,org-2"], "403: they have no address, as far as --as says; add --email to judge by one"),
        (clubs, &["000123.abc,org-2", "--email", "a@evil@school.example"], "403: their address is none of those above"),
        (
            clubs,
            &["000123.abc,org-2", "--email", "head@school.example", "--unverified-email"],
            "403: Apple does not vouch for their address, so no rule about addresses lets them in",
        ),
        (clubs, &["000123.abc,org-2,edu.users.read edu.classes.read", "--email", "Head@school.example"], "let in"),
    ] {
        let answer = folder.run(&[&["explain", "GET", url, "--as"], who, &config].concat());
        assert_eq!((answer.status, &*answer.stderr), (0, ""), "{answer:#?}");
        assert_eq!(answer.says("gets"), gets, "{url} {who:?}\n{}", answer.stdout);
        let subject = who[0].split(',').next().unwrap();
        assert!(answer.says("signed in").starts_with(&format!("{subject} of ")), "{}", answer.stdout);
        let reaches = gets.starts_with("let in");
        assert_eq!(answer.stdout.contains("none: the request does not reach the app"), !reaches, "{}", answer.stdout);
        assert_eq!(answer.stdout.contains("\n  always "), reaches, "{}", answer.stdout);
    }
}

#[test]
fn explain_tells_each_kind_of_request_what_it_gets_and_the_app_what_it_is_told() {
    let folder = Folder::new();
    let path = folder.write(&with_wide_apps());
    let explain =
        |arguments: &[&str]| folder.run(&[&["explain"], arguments, &["--config", path.to_str().unwrap()]].concat());
    let clubs = "https://chess.clubs.of-the-upper-school.school.example/?a=b";
    let answer = explain(&["GET", clubs, "--as", "000123.abc,org-2", "--email", "head@school.example"]);
    for line in [
        "upstreams   take turns while they are healthy",
        "tls         certificates of https upstreams are verified",
        "host        *.clubs.of-the-upper-school.school.example covers it",
        "no session  a page in a tab: sent to Apple (302)",
        "            a page in a frame: 401, a page with a button",
        "            a script, a picture, a WebSocket: 401, with the way",
        "            a prefetch: 401\n",
        "sign-in     by way of library.school.example, the host of redirect_uri",
        "when Apple was asked and did not grant it: 403, and no loop",
    ] {
        assert!(answer.stdout.contains(line), "{line}\n{}", answer.stdout);
    }
    let scopes = "000123.abc,org-2,edu.users.read edu.classes.read";
    let answer = explain(&["GET", clubs, "--as", scopes, "--email", "head@school.example"]);
    for line in [
        "X-Remote-User: 000123.abc\n",
        "X-Mail: head@school.example\n",
        "X-Since: <time of the sign-in>\n",
        "Authorization: Bearer <access token>\n",
    ] {
        assert!(answer.stdout.contains(line), "{line}\n{}", answer.stdout);
    }
    let answer = explain(&["POST", "https://library.school.example/", "--as", "000123.abc,org-2"]);
    assert!(answer.stdout.contains("X-Remote-User: 000123.abc\n") && answer.stdout.contains("(303)"), "{answer:#?}");
    let answer = explain(&["GET", "https://library.school.example/.schoolgate/sign-in?return_to=/roster/x"]);
    assert_eq!((answer.says("then"), answer.says("asks for")), ("/roster/x of this host", "edu.users.read"));
    let answer = explain(&["GET", "https://library.school.example/.schoolgate/sign-in?return_to=//evil.example"]);
    assert_eq!((answer.says("then"), answer.says("asks for")), ("/ of this host", "no scope"));
    assert!(answer.says("note").contains("no path of this host"), "{answer:#?}");
    let answer = explain(&["GET", "https://library.school.example/.schoolgate/auth"]);
    assert_eq!(answer.says("note"), "403 for everybody: trusted_proxies is empty");
    let kept = with_wide_apps().replacen("[[app]]\n", "[[app]]\nkeep_forms = true\n", 1);
    let path = folder.write(&kept);
    for (method, kept) in [("POST", true), ("GET", false)] {
        let url = "https://library.school.example/";
        let answer = folder.run(&["explain", method, url, "--config", path.to_str().unwrap()]);
        assert_eq!(answer.stdout.contains("is kept for ten minutes"), kept, "{}", answer.stdout);
    }
    // A home that is no app's.
    let home =
        with_wide_apps().replace("https://library.school.example/.school", "https://login.school.example/.school");
    let path = folder.write(&home);
    let answer = folder.run(&["explain", "GET", "https://login.school.example/", "--config", path.to_str().unwrap()]);
    assert!(answer.says("answer").starts_with("421: the host of redirect_uri is no app's"), "{answer:#?}");
}

#[test]
fn explain_refuses_a_person_who_cannot_be() {
    let folder = Folder::new();
    let path = folder.write(VALID);
    for (who, why) in [
        (&["--as", ""][..], "the sub \"\" of --as is empty"),
        (&["--as", ",org-1,"], "the sub \"\" of --as is empty"),
        (&["--as", "a b"], "the sub \"a b\" of --as has a character that is not visible ASCII"),
        (&["--as", "a,b\tc"], "the org_id"),
        (&["--as", "a,b,c\"d"], "the list of scopes"),
        (&["--as", "a,b,edu.users.read,edu.classes.read"], "more than two commas"),
        (&["--email", "a@b.example"], "--as"),
        (&["--as", "a", "--unverified-email"], "--email"),
    ] {
        let url = ["explain", "GET", "https://library.school.example/", "--config", path.to_str().unwrap()];
        let answer = folder.run(&[&url[..], who].concat());
        assert_eq!((answer.status, &*answer.stdout), (2, ""), "{who:?}: {answer:#?}");
        assert!(answer.stderr.contains(why), "{who:?}: {}", answer.stderr);
    }
}

/// The valid configuration with an app that keeps sessions of its own.
fn with_app_sessions() -> String {
    let keys = "sign_out_paths = [\"/logout.php\", \"/static/out\"]\nclear_cookies = [\"PHPSESSID\", \"remember_me\"]\nheaders";
    VALID.replacen("headers", keys, 1)
}

#[test]
fn check_prints_how_the_sessions_of_apps_end() {
    let folder = Folder::new();
    let path = folder.write(&with_app_sessions());
    let answer = folder.run(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!((answer.status, &*answer.stderr), (0, ""), "{answer:#?}");
    let words: Vec<Vec<&str>> = answer.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in
        ["HOST SIGN-OUT PATHS CLEARED COOKIES", "library.school.example /logout.php /static/out PHPSESSID remember_me"]
    {
        assert!(words.contains(&row.split(' ').collect()), "{row}\n{}", answer.stdout);
    }
    assert!(answer.stdout.ends_with("2 apps, 5 routes, 0 warnings\n"), "{}", answer.stdout);
}

#[test]
fn explain_names_the_assertion_where_an_app_gets_one() {
    let folder = Folder::new();
    let path = folder.write(&format!("[assertion]\nenabled = true\n{VALID}"));
    let explain = |url: &str| folder.run(&["explain", "GET", url, "--config", path.to_str().unwrap()]);
    let line = "X-Schoolgate-Assertion: signed by https://library.school.example for https://library.school.example";
    let answer = explain("https://library.school.example/");
    assert!(answer.stdout.contains(line), "{answer:#?}");
    let keys = "https://library.school.example/.schoolgate/jwks.json";
    assert!(explain(keys).says("answer").contains("is checked with"), "{answer:#?}");
    let without = folder.explain("GET", "https://library.school.example/");
    assert!(!without.stdout.contains("Assertion"), "{without:#?}");
    assert!(folder.explain("GET", keys).says("answer").contains("there are none"));
}

#[test]
fn explain_says_that_a_path_signs_out_and_whom_cookies_are_for() {
    let folder = Folder::new();
    let path = folder.write(&with_app_sessions());
    let explain = |method, url| folder.run(&["explain", method, url, "--config", path.to_str().unwrap()]);
    let ends = "the gateway's session ends first; the answer deletes the gateway's cookies, PHPSESSID, remember_me";
    for url in [
        "https://library.school.example/logout.php?x",
        "https://library.school.example/Logout.php",
        "https://library.school.example/static/out",
    ] {
        assert_eq!(explain("GET", url).says("sign-out"), ends, "{url}");
        assert!(!explain("HEAD", url).stdout.contains("sign-out"), "{url}");
    }
    let answer = explain("GET", "https://library.school.example/logout.php/x");
    assert!(!answer.stdout.contains("sign-out"), "{answer:#?}");
    assert_eq!(answer.says("cookies"), "PHPSESSID, remember_me: only for whom the app has set them");
    let path = folder.write(&with_app_sessions().replace("/static/out", "/STATIC"));
    let answer =
        folder.run(&["explain", "POST", "https://library.school.example/STATIC", "--config", path.to_str().unwrap()]);
    assert!(answer.says("answer").starts_with("400") && answer.says("sign-out") == ends, "{answer:#?}");
    let plain = folder.explain("GET", "https://library.school.example/logout.php");
    assert!(!plain.stdout.contains("sign-out") && !plain.stdout.contains("cookies"), "{plain:#?}");
}

#[test]
fn ten_mistakes_are_told_at_once_with_place_text_and_cure() {
    let folder = Folder::new();
    let path = folder.write(
        r#"[server]
listen = ["127.0.0.1"]
idle_timout = "60s"
header_timeout = "ten"
trusted_proxies = ["10.0.0.1/8"]
[apple]
client_id = 5
team_id = "A1B2C3D4E5"
key_id = "K1L2M3N4O5"
private_key_file = "$CREDENTIALS_DIRECTORY/other.p8"
redirect_uri = "https://192.0.2.7/.schoolgate/callback"
[session]
store = "redis://:hunter2@db:6379"
[[app]]
host = "library.school.example"
upstream = "https://my_app:9000"
[[app.route]]
path = "/a//b"
"#,
    );
    let path = path.to_str().unwrap();
    for command in [vec!["check"], vec!["run"], vec!["explain", "GET", "https://library.school.example/"]] {
        let answer = folder.run(&[&command[..], &["--config", path]].concat());
        assert_eq!((answer.status, &*answer.stdout), (2, ""), "{answer:#?}");
        for (place, found, cure) in [
            ("2:11", "\"127.0.0.1\" has no port", "\"127.0.0.1:8080\""),
            ("3:1", "idle_timout is no key", "did you mean idle_timeout?"),
            ("4:18", "\"ten\" is not a duration", "\"30s\""),
            ("5:20", "\"10.0.0.1/8\" is an address with the length", "\"10.0.0.0/8\""),
            ("7:13", "5 is a number", "client_id = \"org.example"),
            ("10:20", "other.p8\" is not there", "put the file there"),
            ("11:16", "callback\" has an IP address", "https://library.school.example/.schoolgate/callback"),
            ("13:9", "\"redis://********@db:6379\" needs encryption_key_file", "openssl rand -base64 32"),
            ("14:1", "app.name is missing", "name = \"library\""),
            ("16:12", "\"https://my_app:9000\" has a host that no certificate", "without underscores"),
            ("18:8", "\"/a//b\" is no path", "such as \"/admin\""),
        ] {
            let start = format!("{path}:{place}: error: ");
            let told = answer.stderr.split("\n\n").find(|told| told.starts_with(&start));
            let told = told.unwrap_or_else(|| panic!("{place} in\n{}", answer.stderr));
            assert!(told.contains(found) && told.contains('^') && told.contains(cure), "{told}");
        }
        assert!(answer.stderr.ends_with(": 11 errors\n"), "{}", answer.stderr);
        assert!(!answer.stderr.contains("hunter2"));
    }
}

#[test]
fn a_file_that_is_not_there_is_named_and_how_to_name_another() {
    let folder = Folder::new();
    for command in [&["check"][..], &["run"], &["explain", "GET", "https://a.example/"]] {
        let answer = folder.run(&[command, &["--config", "/nowhere/gateway.toml"]].concat());
        assert_eq!(answer.status, 2);
        assert!(answer.stderr.starts_with("/nowhere/gateway.toml: error: there is no such file"), "{answer:#?}");
        assert!(answer.stderr.contains("--config PATH") && answer.stderr.contains("gateway.toml.example"));
    }
}

#[test]
fn the_configuration_is_that_of_the_argument_else_of_the_variable_else_of_etc() {
    let folder = Folder::new();
    let path = folder.write(VALID);
    let variable = [("SCHOOLGATE_CONFIG", path.as_path())];
    assert_eq!(folder.run_with(&["check"], &variable).status, 0);
    let wrong = [("SCHOOLGATE_CONFIG", Path::new("/nowhere"))];
    assert_eq!(folder.run_with(&["check", "--config", path.to_str().unwrap()], &wrong).status, 0);
    assert_eq!(folder.run_with(&["--config", path.to_str().unwrap(), "check"], &wrong).status, 0);
    assert!(folder.run_with(&["check"], &wrong).stderr.starts_with("/nowhere: error"));
    if !Path::new("/etc/schoolgate/gateway.toml").exists() {
        assert!(folder.run(&["check"]).stderr.starts_with("/etc/schoolgate/gateway.toml: error"));
    }
}

#[test]
fn the_example_is_valid_and_has_no_warnings() {
    let folder = Folder::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/gateway.toml.example");
    let answer = folder.run(&["check", "--config", example]);
    assert_eq!((answer.status, &*answer.stderr), (0, ""), "{answer:#?}");
    assert!(answer.stdout.ends_with(" 0 warnings\n"), "{}", answer.stdout);
}

/// Every key that the example shows as a comment is a key, with the value that it has by default.
#[test]
fn what_the_example_shows_as_comments_can_be_written() {
    let folder = Folder::new();
    fs::write(folder.0.path().join("session.key"), STANDARD.encode([7; 32])).unwrap();
    folder.certify("fullchain.pem", "privkey.pem", &["library.school.example", "wiki.school.example"]);
    folder.certify("wildcard.pem", "wildcard.key", &["*.apps.school.example"]);
    folder.certify("acme-ca.pem", "acme-ca.key", &["ca.school.example"]);
    fs::write(folder.0.path().join("acme-account.key"), STANDARD.encode([7; 32])).unwrap();
    let example = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/gateway.toml.example")).unwrap();
    let uncommented: String = example
        .lines()
        // `#:schema` speaks to editors.
        .filter(|line| !line.starts_with("#:"))
        .map(|line| if line.starts_with('#') && !line.starts_with("# ") { line.trim_start_matches('#') } else { line })
        .map(|line| format!("{}\n", line.replace("/etc/schoolgate/tls", "$CREDENTIALS_DIRECTORY")))
        .collect();
    let path = folder.write(&uncommented);
    let answer = folder.run(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!((answer.status, &*answer.stderr), (0, ""), "{answer:#?}");
}

#[test]
fn check_looks_at_certificates() {
    let folder = Folder::new();
    let section = "\n[server.tls]\ncertificate_file = \"$CREDENTIALS_DIRECTORY/c.pem\"\n\
        private_key_file = \"$CREDENTIALS_DIRECTORY/c.key\"\n";
    let check = || {
        let example = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/gateway.toml.example")).unwrap();
        let path = folder.write(&example.replacen("\n[apple]", &format!("{section}\n[apple]"), 1));
        folder.run(&["check", "--config", path.to_str().unwrap()])
    };
    let missing = check();
    assert_eq!(missing.status, 2);
    assert!(
        missing.stderr.contains("server.tls.certificate_file: ") && missing.stderr.contains("c.pem"),
        "{missing:#?}"
    );
    folder.certify("c.pem", "c.key", &["library.school.example"]);
    assert_eq!(check().status, 0);
    assert!(!check().stdout.contains("expired"));
    // One that was valid for a year, long ago.
    let mut params = rcgen::CertificateParams::new(vec!["elsewhere.school.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    folder.certify_with("c.pem", "c.key", params);
    let answer = check();
    assert_eq!(answer.status, 0, "{answer:#?}");
    for told in [
        "the certificate for elsewhere.school.example has expired, on 2021-01-01T00:00:00Z",
        "no certificate of [server.tls] is for this host",
        "also for elsewhere.school.example, which no app has",
        "every user of this machine can read the key",
    ] {
        assert!(answer.stdout.contains(told), "{told}: {}", answer.stdout);
    }
}

#[test]
fn check_prints_the_schema_without_a_configuration() {
    let folder = Folder::new();
    let answer = folder.run(&["check", "--schema"]);
    assert_eq!((answer.status, &*answer.stderr), (0, ""), "{answer:#?}");
    let schema: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    let listen = &schema["properties"]["server"]["properties"]["listen"];
    assert_eq!(listen["default"], serde_json::json!(["127.0.0.1:8080"]));
    assert!(listen["description"].as_str().unwrap().contains("takes effect at the next restart"));
}

#[test]
fn explain_tells_what_a_request_meets() {
    let folder = Folder::new();
    let answer = folder.explain("GET", "https://LIBRARY.school.example:443/roster/5?x=1");
    assert_eq!((answer.status, &*answer.stderr), (0, ""), "{answer:#?}");
    assert_eq!(answer.says("app"), "library at http://127.0.0.1:9000");
    assert_eq!(answer.says("route"), "/roster (all methods)");
    assert_eq!(answer.says("path"), "/roster/5?x=1 goes to the app");
    assert_eq!(answer.says("access"), "required");
    assert_eq!(answer.says("no session"), "a page in a tab: sent to Apple (302)");
    assert!(answer.says("scopes").starts_with("edu.users.read"));
    assert_eq!(answer.says("people"), "organization: org-1");
    assert_eq!(answer.says("headers"), "X-Remote-User: {sub}");
    assert!(answer.stdout.contains("  Authorization: Bearer {access_token}\n"));
    assert!(answer.says("always").contains("X-Forwarded-For"));
}

#[test]
fn explain_follows_method_and_path_as_the_gateway_does() {
    let folder = Folder::new();
    let catalogue = "https://library.school.example/catalogue/1";
    assert_eq!(folder.explain("GET", catalogue).says("access"), "optional");
    let post = folder.explain("POST", catalogue);
    assert_eq!(post.says("route"), "/ (all methods)");
    assert!(post.says("no session").contains("(303)"));
    let public = folder.explain("GET", "https://library.school.example/%73tatic/a.css");
    assert_eq!((public.says("access"), public.says("path")), ("public", "/static/a.css goes to the app"));
    assert!(public.says("no session").starts_with("let in"));
    assert_eq!(public.says("headers"), "none that say who it is");
    let http = folder.explain("GET", "http://library.school.example/");
    assert!(http.says("note").contains("https"));
}

#[test]
fn explain_tells_the_refusal_with_its_status_and_its_reason() {
    let folder = Folder::new();
    for (method, url, answer) in [
        ("GET", "https://library.school.example/a/../roster", "400: the path has a dot segment"),
        ("GET", "https://library.school.example/a%2fb", "400: the path has an encoded slash"),
        ("GET", "https://library.school.example//", "400: the path has an empty segment"),
        ("GET", "https://library.school.example/ROSTER", "400: some apps would read this path as one of /roster"),
        ("GET", "https://library.school.example/roster;x/y", "400: some apps"),
        ("GET", "https://library.school.example/#top", "400: the target has a fragment"),
        ("GET", "https://grades.school.example/", "421: no app has this host"),
        ("GET", "https://news.school.example/", "404: no route covers this path; there are /pub"),
        ("POST", "https://news.school.example/pub", "405: no route here takes POST; /pub takes GET"),
        ("TRACE", "https://library.school.example/", "405: TRACE and CONNECT"),
        ("GET", "https://library.school.example/.schoolgate/me", "the gateway's own: who is signed in"),
        ("GET", "https://library.school.example/.schoolgate/x", "404: "),
        ("POST", "https://library.school.example/.schoolgate/me", "405: "),
        ("HEAD", "https://library.school.example/.schoolgate/sign-out", "405: the gateway's own, for GET, POST only"),
        ("POST", "https://library.school.example/.schoolgate/notifications", "the gateway's own: takes Apple's"),
        ("GET", "https://library.school.example/.schoolgate/notifications", "405: the gateway's own, for POST only"),
        ("GET", "https://gateway.internal/.schoolgate/auth", "the gateway's own: tells web servers in trusted_proxies"),
        ("POST", "https://library.school.example/.schoolgate/auth", "405: the gateway's own, for GET, HEAD only"),
        ("GET", "https://grades.school.example/.schoolgate/me", "421: "),
    ] {
        let told = folder.explain(method, url);
        assert_eq!(told.status, 0, "{told:#?}");
        assert!(told.says("answer").starts_with(answer), "{method} {url}\n{}", told.stdout);
    }
}

#[test]
fn explain_refuses_what_is_no_request() {
    let folder = Folder::new();
    for (method, url, why) in [
        ("get", "https://library.school.example/", "write GET"),
        ("G T", "https://library.school.example/", "no method"),
        ("GET", "library.school.example/", "whole URL"),
        ("GET", "/roster", "whole URL"),
        ("GET", "ftp://library.school.example/", "neither http nor https"),
        ("GET", "https://lib rary/", "no host name has"),
        ("GET", "https:///x", "is empty"),
    ] {
        let told = folder.explain(method, url);
        assert_eq!((told.status, &*told.stdout), (2, ""), "{told:#?}");
        assert!(told.stderr.contains(why), "{}", told.stderr);
    }
}

#[test]
fn every_command_has_help_and_wrong_usage_is_status_2() {
    let folder = Folder::new();
    for command in [
        &[][..],
        &["run"],
        &["check"],
        &["explain"],
        &["doctor"],
        &["demo"],
        &["sessions"],
        &["sessions", "list"],
        &["sessions", "end"],
    ] {
        let answer = folder.run(&[command, &["--help"]].concat());
        assert_eq!((answer.status, &*answer.stderr), (0, ""), "{command:?}");
        assert!(answer.stdout.contains("Usage: schoolgate"), "{}", answer.stdout);
    }
    assert_eq!(folder.run(&["--version"]).stdout, format!("schoolgate {}\n", env!("CARGO_PKG_VERSION")));
    for wrong in [&[][..], &["chek"], &["check", "--confg", "x"], &["explain", "GET"], &["demo", "--listen", "x"]] {
        assert_eq!(folder.run(wrong).status, 2, "{wrong:?}");
    }
}

#[test]
fn run_says_why_it_cannot_start() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let state = folder.0.path().join("state");
    fs::create_dir(&state).unwrap();
    let server = format!("admin_listen = \"127.0.0.1:0\"\nstate_dir = \"{}\"\n\n[apple]", state.display());
    let path = folder.write(&VALID.replace("127.0.0.1:8080", &address).replace("[apple]", &server));
    let answer = folder.run(&["run", "--config", path.to_str().unwrap()]);
    assert_eq!((answer.status, &*answer.stdout), (1, ""), "{answer:#?}");
    assert!(answer.stderr.contains(&format!("schoolgate: cannot listen on {address}")), "{}", answer.stderr);
    assert!(answer.stderr.contains("sessions are kept in memory"), "{}", answer.stderr);
}

#[test]
fn the_configuration_in_the_readme_is_valid() {
    let folder = Folder::new();
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once("```toml\n").expect("an example");
    let example = rest.split("```").next().unwrap();
    let example = example.replace("/etc/schoolgate/apple.p8", "$CREDENTIALS_DIRECTORY/apple.p8");
    let path = folder.write(&example);
    let answer = folder.run(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    assert!(answer.stdout.ends_with(" 0 warnings\n"), "{}", answer.stdout);
}
