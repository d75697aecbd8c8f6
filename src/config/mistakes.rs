//! A list of mistakes, one change of a valid file each, with what must be said about it.

use super::tests::{changed, read};

/// What stands in the place of what, the text at fault, what is wrong with it, and the cure.
type Mistake = (&'static str, &'static str, &'static str, &'static str, &'static str);

const MISTAKES: &[Mistake] = &[
    // [server]
    ("[server]", "listne = []", "listne", "no key of this section", "did you mean listen?"),
    ("\"127.0.0.1:8080\"", "\"127.0.0.1\"", "\"127.0.0.1\"", "has no port", "127.0.0.1:8080"),
    ("\"127.0.0.1:8080\"", "8080", "8080", "is a number", "listen = [\"127.0.0.1:8080\"]"),
    ("listen = [\"127.0.0.1:8080\"]", "listen = \"127.0.0.1:8080\"", "\"127.0.0.1:8080\"", "is a text", "in brackets"),
    ("\"127.0.0.1:8080\"", "", "[]", "nobody could connect", "127.0.0.1:8080"),
    ("\"127.0.0.1:8080\"", "\"0.0.0.0:80\", \"127.0.0.1:80\"", "\"127.0.0.1:80\"", "covered by another", "remove"),
    ("[server]", "admin_listen = \"9180\"", "\"9180\"", "has no address", "unix:/run"),
    ("[server]", "admin_listen = \"127.0.0.1:8080\"", "\"127.0.0.1:8080\"", "browsers connect to", "port of its own"),
    ("[server]", "external_scheme = \"ftp\"", "\"ftp\"", "neither", "write \"https\""),
    ("[server]", "trusted_proxies = [\"proxy\"]", "\"proxy\"", "neither an IP address nor", "192.0.2.0/24"),
    ("[server]", "trusted_proxies = [\"10.0.0.5/8\"]", "\"10.0.0.5/8\"", "length of a network", "\"10.0.0.0/8\""),
    ("[server]", "trusted_proxies = [\"0.0.0.0/0\"]", "\"0.0.0.0/0\"", "is everybody", "name the proxies"),
    ("[server]", "trusted_proxies = \"10.0.0.5\"", "\"10.0.0.5\"", "is a text", "in brackets"),
    ("[server]", "state_dir = \"$HOME/x\"", "\"$HOME/x\"", "not replaced", "$STATE_DIRECTORY"),
    ("[server]", "state_dir = \"$STATE_DIRECTORY\"", "\"$STATE_DIRECTORY\"", "not set", "systemd"),
    ("[server]", "shutdown_grace = 30", "30", "is a number", "shutdown_grace = \"30s\""),
    ("[server]", "header_timeout = \"0s\"", "\"0s\"", "no time at all", "above zero"),
    ("[server]", "idle_timeout = \"60\"", "\"60\"", "not a duration", "\"30s\""),
    ("[server]", "idle_timeout = \"40000d\"", "\"40000d\"", "hundred years", "365d"),
    ("[server]", "sign_in_rate_per_ip = 0", "0", "out of range", "from 1"),
    ("[server]", "sign_in_rate_per_ip = \"50\"", "\"50\"", "is a text", "without quotes"),
    ("[server]", "min_body_rate = \"0B\"", "\"0B\"", "too small", "\"1B\""),
    ("[server]", "max_header_bytes = \"32KB\"", "\"32KB\"", "not a size", "\"32KiB\""),
    ("[server]", "max_header_bytes = \"1GiB\"", "\"1GiB\"", "too large", "\"1MiB\""),
    (
        "\"memory\"",
        "\"memory\"\n[server.tls]\ncertificate_file = \"x\"",
        "[server.tls]",
        "not supported yet",
        "in front",
    ),
    // [apple]
    ("team_id = \"A1B2C3D4E5\"\n", "", "", "is missing", "team_id = \"A1B2C3D4E5\""),
    ("\"org.example.gateway\"", "\"\"", "\"\"", "is empty", "client_id ="),
    ("\"org.example.gateway\"", "\"A1B2C3D4E5.org\"", "\"A1B2C3D4E5.org\"", "contains the team_id", "first dot"),
    ("\"org.example.gateway\"", "\"org example\"", "\"org example\"", "no identifier", "copy it"),
    ("\"K1L2M3N4O5\"", "false", "false", "is a yes or no", "double quotes"),
    ("/apple.p8", "/none.p8", "\"$CREDENTIALS_DIRECTORY/none.p8\"", "is not there", "correct the path"),
    ("/apple.p8", "/other.key", "\"$CREDENTIALS_DIRECTORY/other.key\"", "is not a key file", "PRIVATE KEY"),
    ("/apple.p8", "", "\"$CREDENTIALS_DIRECTORY\"", "is not a file", "key file itself"),
    ("[apple]", "service = \"apple\"", "\"apple\"", "no service", "organization"),
    (
        "https://library.school.example/.",
        "http://library.school.example/.",
        "\"http://library.school.example/.schoolgate/callback\"",
        "not https",
        "https://",
    ),
    (
        "example/.schoolgate/callback",
        "example/callback",
        "\"https://library.school.example/callback\"",
        "another path",
        ".schoolgate/callback",
    ),
    ("[apple]", "scopes = [\"a b\"]", "\"a b\"", "more than one scope", "quotes of its own"),
    ("[apple]", "scopes = [\"a\\\\\"]", "\"a\\\\\"", "not a scope", "edu.users.read"),
    ("[apple]", "response_mode = \"post\"", "\"post\"", "no way", "form_post"),
    ("[apple]", "pkce = \"yes\"", "\"yes\"", "is a text", "pkce = true"),
    ("[apple]", "issuers = []", "[]", "no ID token", "appleid.apple.com"),
    ("[apple]", "issuers = [\"\"]", "\"\"", "no issuer", "iss"),
    ("[apple]", "base_url = \"http://apple.example\"", "\"http://apple.example\"", "is http", "https"),
    ("[apple]", "token_url = \"appleid.apple.com\"", "\"appleid.apple.com\"", "not a URL", "https"),
    ("[apple]", "clock_skew = -1", "-1", "is a number", "\"60s\""),
    ("[apple]", "keys_max_age = 1979-05-27", "1979-05-27", "is a date", "\"1h\""),
    // [session], [assertion], [log]
    (
        "\"memory\"",
        "\"redis://:hunter2@db\"",
        "\"redis://********@db\"",
        "needs encryption_key_file, which is missing",
        "encryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\"",
    ),
    (
        "\"memory\"",
        "\"redis://:h/2#?@db\"\nencryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\"",
        "\"redis://******@db\"",
        "has an @ after",
        "%2F",
    ),
    (
        "\"memory\"",
        "\"redis://a,b\"\nencryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\"",
        "\"redis://a,b\"",
        "several hosts",
        "redis+sentinel://",
    ),
    (
        "\"memory\"",
        "\"redis+sentinel://a\"\nencryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\"",
        "\"redis+sentinel://a\"",
        "no service",
        "mymaster",
    ),
    (
        "\"memory\"",
        "\"rediss:db\"\nencryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\"",
        "\"rediss:db\"",
        "no URL of Redis",
        "redis://host:6379",
    ),
    (
        "\"memory\"",
        "\"valkey://db\"\nencryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\"",
        "\"valkey://db\"",
        "no URL of Redis",
        "redis://host:6379",
    ),
    (
        "\"memory\"",
        "\"redis://db?db=1\"\nencryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\"",
        "\"redis://db?db=1\"",
        "a setting that is none",
        "password_file",
    ),
    (
        "\"memory\"",
        "\"redis://db?password_file=$CREDENTIALS_DIRECTORY/none\"\nencryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\"",
        "\"redis://db?password_file=$CREDENTIALS_DIRECTORY/none\"",
        "has a password_file that is not there",
        "correct the path",
    ),
    (
        "\"memory\"",
        "\"redis://db?password_file=$HOME/none\"\nencryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\"",
        "\"redis://db?password_file=$HOME/none\"",
        "has a file whose path begins with a variable that is not replaced",
        "$CREDENTIALS_DIRECTORY",
    ),
    (
        "\"memory\"",
        "\"rediss://db?ca_file=$CREDENTIALS_DIRECTORY/apple.p8\"\nencryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\"",
        "\"rediss://db?ca_file=$CREDENTIALS_DIRECTORY/apple.p8\"",
        "has a ca_file that is none",
        "certificate there in PEM",
    ),
    ("\"memory\"", "\"disk\"", "\"disk\"", "no place", "memory"),
    ("[session]", "idle_timeout = \"25h\"", "\"25h\"", "longer than max_lifetime", "24h"),
    ("[session]", "refresh_before = \"1h\"", "\"1h\"", "not shorter than the hour", "5m"),
    (
        "[session]",
        "encryption_key_file = \"$CREDENTIALS_DIRECTORY/other.key\"",
        "\"$CREDENTIALS_DIRECTORY/other.key\"",
        "32 bytes",
        "openssl rand",
    ),
    ("\"memory\"", "\"memory\"\n[assertion]\nenabled = \"yes\"", "\"yes\"", "is a text", "enabled = true"),
    ("\"memory\"", "\"memory\"\n[assertion]\nenable = true", "enable", "no key", "did you mean enabled"),
    ("\"memory\"", "\"memory\"\n[log]\nformat = \"xml\"", "\"xml\"", "no format", "json"),
    ("\"memory\"", "\"memory\"\n[log]\nlevel = \"debug\"", "level", "no key", "format"),
    ("\"memory\"", "\"memory\"\n[logs]", "logs", "no section", "log"),
    // [[app]]
    ("name = \"library\"\n", "", "", "is missing", "name ="),
    ("host = \"library.school.example\"\n", "", "", "is missing", "host ="),
    ("upstream = \"http://127.0.0.1:9000\"\n", "", "", "is missing", "upstream ="),
    ("\"library.school.example\"", "\"*.example\"", "\"*.example\"", "star", "whole first label"),
    (
        "\"library.school.example\"",
        "\"lib*.school.example\"",
        "\"lib*.school.example\"",
        "character",
        "\"*.school.example\"",
    ),
    (
        "\"library.school.example\"",
        "\"https://library.school.example/\"",
        "\"https://library.school.example/\"",
        "is a URL",
        "\"library.school.example\"",
    ),
    ("\"library.school.example\"", "\"bücherei.example\"", "\"bücherei.example\"", "character", "xn--"),
    (
        "\"http://127.0.0.1:9000\"",
        "\"https://my_app.school.example\"",
        "\"https://my_app.school.example\"",
        "no certificate",
        "without underscores",
    ),
    ("\"http://127.0.0.1:9000\"", "\"127.0.0.1:9000\"", "\"127.0.0.1:9000\"", "not a URL", "http://127.0.0.1:9000"),
    (
        "\"http://127.0.0.1:9000\"",
        "[\"http://a\", \"http://b\", \"HTTP://A:80/\"]",
        "\"HTTP://A:80/\"",
        "in this list twice",
        "remove one",
    ),
    ("\"http://127.0.0.1:9000\"", "[]", "[]", "is empty", "http://127.0.0.1:9000"),
    ("\"http://127.0.0.1:9000\"", "[\"http://a\", 1]", "1", "is a number", "double quotes"),
    ("\"http://127.0.0.1:9000\"", "[\"http://a\", \"b\"]", "\"b\"", "not a URL", "http://127.0.0.1:9000"),
    (
        "\"http://127.0.0.1:9000\"",
        "[\"http://a\", \"http://127.0.0.1:8080\"]",
        "\"http://127.0.0.1:8080\"",
        "gateway itself",
        "app itself",
    ),
    ("\"http://127.0.0.1:9000\"", "9000", "9000", "is a number", "double quotes"),
    (
        "\"http://127.0.0.1:9000\"",
        "\"http://localhost:8080\"",
        "\"http://localhost:8080\"",
        "gateway itself",
        "app itself",
    ),
    ("[[app]]", "upstream_ca_file = \"/none/ca.pem\"", "\"/none/ca.pem\"", "is not there", "correct the path"),
    (
        "[[app]]",
        "upstream_ca_file = \"$CREDENTIALS_DIRECTORY/other.key\"",
        "\"$CREDENTIALS_DIRECTORY/other.key\"",
        "holds no certificate",
        "BEGIN CERTIFICATE",
    ),
    (
        "[[app]]",
        "upstream_ca_file = \"$CREDENTIALS_DIRECTORY/ca.pem\"",
        "\"$CREDENTIALS_DIRECTORY/ca.pem\"",
        "vouches for nobody",
        "https://",
    ),
    ("[[app]]", "health_path = \"health\"", "\"health\"", "begin with a slash", "\"/health\""),
    ("[[app]]", "health_path = \"/a/../b\"", "\"/a/../b\"", "dot segment", "\"/health\""),
    ("[[app]]", "keep_forms = \"yes\"", "\"yes\"", "is a text", "keep_forms = true or keep_forms = false"),
    ("[[app]]", "sign_out_paths = \"/x\"", "\"/x\"", "is a text", "[\"/logout.php\"]"),
    ("[[app]]", "sign_out_paths = [\"logout.php\"]", "\"logout.php\"", "begin with a slash", "\"/logout.php\""),
    ("[[app]]", "sign_out_paths = [\"/x?a=out\"]", "\"/x?a=out\"", "no path for a sign-out", "query"),
    ("[[app]]", "sign_out_paths = [\"/%6Cogout\"]", "\"/%6Cogout\"", "second spelling", "write \"/logout\""),
    ("[[app]]", "sign_out_paths = [\"/out/*\"]", "\"/out/*\"", "wildcard", "in full"),
    ("[[app]]", "sign_out_paths = [\"/out;x\"]", "\"/out;x\"", "semicolon", "without it"),
    ("[[app]]", "sign_out_paths = [\"/\"]", "\"/\"", "start page", "\"/logout.php\""),
    ("[[app]]", "sign_out_paths = [\"/x\", \"/y\", \"/x\"]", "\"/x\"", "twice", "remove"),
    (
        "[[app]]",
        "sign_out_paths = [\"/.schoolgate/sign-out\"]",
        "\"/.schoolgate/sign-out\"",
        "gateway's own",
        "another path",
    ),
    ("[[app]]", "clear_cookies = \"x\"", "\"x\"", "is a text", "[\"PHPSESSID\"]"),
    ("[[app]]", "clear_cookies = [1]", "1", "is a number", "double quotes"),
    ("[[app]]", "clear_cookies = [\"\"]", "\"\"", "no name of a cookie", "\"PHPSESSID\""),
    ("[[app]]", "clear_cookies = [\"a b\"]", "\"a b\"", "no name of a cookie", "\"PHPSESSID\""),
    ("[[app]]", "clear_cookies = [\"a=b\"]", "\"a=b\"", "no name of a cookie", "\"PHPSESSID\""),
    ("[[app]]", "clear_cookies = [\"keks-für-alle\"]", "\"keks-für-alle\"", "no name of a cookie", "PHPSESSID"),
    ("[[app]]", "clear_cookies = [\"__host-schoolgate\"]", "\"__host-schoolgate\"", "gateway's own", "remove"),
    ("[[app]]", "clear_cookies = [\"schoolgate\"]", "\"schoolgate\"", "gateway's own", "remove"),
    ("[[app]]", "clear_cookies = [\"a\", \"A\", \"a\"]", "\"a\"", "twice", "remove"),
    ("[[app]]", "headers = { Connection = \"x\" }", "Connection", "connection", "another name"),
    ("[[app]]", "headers = { Transfer_Encoding = \"x\" }", "Transfer_Encoding", "connection", "another name"),
    ("[[app]]", "headers = { Proxy-Authorization = \"x\" }", "Proxy-Authorization", "connection", "another name"),
    ("[[app]]", "headers = { X-Forwarded-For = \"x\" }", "X-Forwarded-For", "the gateway itself", "remove"),
    ("[[app]]", "headers = { \"X A\" = \"x\" }", "\"X A\"", "no name", "X-Remote-User"),
    ("[[app]]", "headers = { X-A = \"{emial}\" }", "\"{emial}\"", "{emial}", "did you mean {email}?"),
    ("[[app]]", "headers = { X-A = \"{sub\" }", "\"{sub\"", "brace", "Bearer"),
    ("[[app]]", "headers = { X-A = 1 }", "1", "is a number", "double quotes"),
    ("[[app]]", "headers = { X-A = \"x\", x_a = \"y\" }", "x_a", "would get both", "remove one"),
    ("[[app]]", "headers = [\"X-A\"]", "[\"X-A\"]", "is a list", "braces"),
    ("[[app]]", "max_body = \"2000GiB\"", "\"2000GiB\"", "too large", "1024GiB"),
    ("[[app]]", "preserve_host = 1", "1", "is a number", "preserve_host = true"),
    // [[app.route]]
    ("\"/static\"", "\"static\"", "\"static\"", "begin with a slash", "\"/admin\""),
    ("\"/static\"", "\"/a/../b\"", "\"/a/../b\"", "dot segment", "\"/admin\""),
    ("\"/static\"", "\"/a%2fb\"", "\"/a%2fb\"", "encoded slash", "\"/admin\""),
    ("\"/static\"", "\"/a?b\"", "\"/a?b\"", "no path", "query"),
    ("\"/static\"", "\"/%61\"", "\"/%61\"", "second spelling", "write \"/a\""),
    ("\"/static\"", "\"/a/*\"", "\"/a/*\"", "wildcard", "write \"/a\""),
    ("\"/static\"", "\"/a;x\"", "\"/a;x\"", "semicolon", "without it"),
    ("\"/static\"", "\"/.schoolgate/x\"", "\"/.schoolgate/x\"", "gateway's own", "another path"),
    ("\"/static\"", "\"/\"", "\"/\"", "again, for the same methods", "merge"),
    ("\"public\"", "\"private\"", "\"private\"", "no kind of access", "required"),
    (
        "\"public\"",
        "\"public\"\nscopes = [\"edu.users.read\"]",
        "[\"edu.users.read\"]",
        "without a sign-in",
        "required",
    ),
    (
        "\"public\"",
        "\"public\"\n[app.route.allow]\nusers = [\"a\"]",
        "[app.route.allow]",
        "without a sign-in",
        "required",
    ),
    ("\"public\"", "\"public\"\nmethods = [\"get\"]", "\"get\"", "capitals", "\"GET\""),
    ("\"public\"", "\"public\"\nmethods = [\"TRACE\"]", "\"TRACE\"", "never let through", "remove"),
    ("\"public\"", "\"public\"\nmethods = [\"GET\", \"GET\"]", "\"GET\"", "twice", "remove"),
    ("path = \"/\"", "unauthenticated = \"403\"", "\"403\"", "no answer", "401"),
    (
        "path = \"/\"",
        "headers = { X_Forwarded-User = \"{sub}\" }",
        "X_Forwarded-User",
        "would get both",
        "x-forwarded-user",
    ),
    (
        "path = \"/\"",
        "allow.email_domains = [\"@school.example\"]",
        "\"@school.example\"",
        "no domain",
        "\"school.example\"",
    ),
    ("path = \"/\"", "allow.emails = [\"a@b@c.example\"]", "\"a@b@c.example\"", "one whole address", "email_domains"),
    ("path = \"/\"", "allow.users = [\"a b\"]", "\"a b\"", "not visible ASCII", "letter by letter"),
    ("path = \"/\"", "allow.organizations = [\"\"]", "\"\"", "is empty", "org_id"),
    ("path = \"/\"", "allow.groups = []", "groups", "no key", "organizations"),
    ("path = \"/\"", "allow = 1", "1", "is a number", "[app.route.allow]"),
];

#[test]
fn every_mistake_is_told_with_its_place_and_its_cure() {
    let mut wrong = String::new();
    for (from, to, found, message, cure) in MISTAKES {
        let text = changed(from, to);
        let problems = match read(&text) {
            Ok(_) => {
                wrong += &format!("{to}: accepted\n");
                continue;
            }
            Err(problems) => problems,
        };
        let list: Vec<_> = problems.iter().collect();
        let told = list.len() == 1
            && list[0].found == *found
            && list[0].message.contains(message)
            && list[0].cure.contains(cure);
        // Line and column lead to the text at fault, which may be starred out.
        let line = text.lines().nth(list[0].line - 1).unwrap_or_default();
        let there: String = line.chars().skip(list[0].column - 1).collect();
        let placed = there.starts_with(found) || found.contains("**");
        if !told || !placed {
            wrong += &format!("{to}: {found} {message}; {cure}\n{problems}\n\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
