//! `schoolgate doctor`, from outside: one thing is broken at a time, and the doctor names it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot do its work has failed")]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use schoolgate::{
    clock::Stopwatch,
    demo::{ClientKey, DateHeader, Endpoint, ErrorCode, Gate, KeyOddity, Trouble},
    entropy::SystemEntropy,
    session::Sealer,
};
use serde_json::Value;
use support::{
    Authority, Echo, HOST, Pebble, Program, RawApp, Site, TlsApp, pebble::free, redis::Server, self_signed,
    tls_app::Certificate,
};
use tokio::{io::AsyncWriteExt, net::TcpListener, process::Command, time::timeout};

/// Longest that the doctor may take, whatever is dead.
const LONGEST: Duration = Duration::from_secs(20);

/// What the doctor said.
struct Report {
    status: i32,
    findings: Vec<Value>,
}

impl Report {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let findings = serde_json::from_str(&text)
            .unwrap_or_else(|why| panic!("{why}: {text} {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "the doctor speaks on stdout only");
        Self { status: output.status.code().unwrap(), findings }
    }

    fn find(&self, id: &str) -> Option<&Value> {
        self.findings.iter().find(|finding| finding["id"] == id)
    }

    /// The finding, which must be there. Every identifier is looked for by this in some test.
    #[track_caller]
    fn has(&self, id: &str) -> &Value {
        self.find(id).unwrap_or_else(|| panic!("no {id}: {:#?}", self.findings))
    }

    #[track_caller]
    fn has_not(&self, id: &str) {
        assert!(self.find(id).is_none(), "{:#?}", self.findings);
    }

    /// What is wrong, without what only these tests' surroundings bring along.
    fn ills(&self) -> Vec<&str> {
        let is_ill = |finding: &&Value| matches!(finding["state"].as_str(), Some("warning" | "problem"));
        self.findings.iter().filter(is_ill).map(|finding| finding["id"].as_str().unwrap()).collect()
    }

    /// Nothing but this is wrong, and the exit status says so; gives back its words.
    #[track_caller]
    fn has_only(&self, id: &str) -> String {
        let finding = self.has(id);
        assert_eq!(self.ills(), [id], "{:#?}", self.findings);
        assert_eq!(self.status, 1);
        assert!(finding["cure"].as_str().is_some_and(|cure| cure.len() > 10), "{finding}");
        format!("{} {} = {}", finding["about"], finding["what"], finding["cure"])
    }

    #[track_caller]
    fn is_well(&self) {
        assert!(self.ills().is_empty(), "{:#?}", self.findings);
        assert_eq!(self.status, 0);
    }
}

/// Runs a command of the doctor within the time that it has.
async fn within_time(command: &mut Command) -> Output {
    let watch = Stopwatch::start();
    let output = timeout(Duration::from_secs(60), command.stdin(Stdio::null()).output()).await.unwrap().unwrap();
    assert!(watch.elapsed() < LONGEST, "{:?}", watch.elapsed());
    output
}

async fn doctor_at(path: &Path) -> Report {
    Report::of(&within_time(&mut Program::command(&["doctor", "--json", "--config", path.to_str().unwrap()])).await)
}

/// The doctor with this configuration.
async fn doctor(site: &Site, text: &str) -> Report {
    let path = site.path("doctor.toml");
    fs::write(&path, text).unwrap();
    doctor_at(&path).await
}

/// A site whose key is closed to others, so that nothing is wrong.
async fn site() -> Site {
    let site = Site::start().await;
    close(&site.path("apple.p8"));
    site
}

fn close(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// All that is wanted of most tests.
fn plain(site: &Site) -> String {
    site.configuration(&[])
}

/// The names in a folder and below.
fn everything(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        found.insert(path.display().to_string());
    }
    found
}

/// The file store in the place of the memory.
fn in_a_file(text: &str) -> String {
    text.replace("store = \"memory\"", "store = \"file\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_is_well_it_says_so_and_leaves_nothing_behind() {
    let site = site().await;
    let text = in_a_file(&plain(&site));
    let report = doctor(&site, &text).await;
    report.is_well();
    for id in ["apple-credentials", "apple-sign-in-page"] {
        assert_eq!(report.has(id)["cure"], Value::Null);
    }
    report.has("apple-keys");
    report.has("apple-clock");
    report.has("apple-credentials");
    report.has("apple-sign-in-page");
    report.has("upstream");
    report.has("listener");
    report.has("gateway-stopped");
    report.has("state-directory");
    report.has("store-key");
    report.has("store");
    report.has("descriptors");
    // This machine knows no such host.
    let unresolved = report.has("host-unresolvable");
    assert_eq!(unresolved["about"], "library.school.example");
    assert!(!site.path("state").exists(), "{:?}", everything(&site.path("state")));
    let apple = site.apple.calls();
    assert_eq!((apple.count(Endpoint::Exchange), apple.count(Endpoint::Revoke)), (1, 0));
    assert_eq!(apple.last(Endpoint::Exchange).unwrap().outcome.unwrap().error, Some(ErrorCode::InvalidGrant));
    assert_eq!(site.echo.count(), 1);
    let asked = &site.echo.seen()[0];
    assert_eq!((asked.header("cookie"), asked.header("x-forwarded-user")), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_a_line_for_each_finding_without_colours() {
    let site = site().await;
    let path = site.path("doctor.toml");
    fs::write(&path, plain(&site)).unwrap();
    let mut command = Program::command(&["doctor", "--config", path.to_str().unwrap()]);
    let output = within_time(&mut command).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("ok       apple-keys: http://127.0.0.1:"), "{text}");
    assert!(text.contains("note     gateway-stopped: "), "{text}");
    assert!(text.contains("\n          = "), "{text}");
    assert!(text.trim_end().lines().last().unwrap().starts_with("all is well: "), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_told_as_check_tells_it() {
    let site = site().await;
    let path = site.path("doctor.toml");
    fs::write(&path, plain(&site).replace("team_id", "teem_id")).unwrap();
    for arguments in [&["doctor"][..], &["doctor", "--json"]] {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--config", path.to_str().unwrap()]);
        let output = within_time(&mut Program::command(&arguments)).await;
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
        assert!(String::from_utf8_lossy(&output.stderr).contains("teem_id"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_team_and_a_wrong_key_are_told_from_a_wrong_client() {
    let site = site().await;
    let right = plain(&site);
    for (wrong, with) in [("A1B2C3D4E5", "A1B2C3D4E9"), ("K1L2M3N4O5", "K1L2M3N4O9")] {
        let words = doctor(&site, &right.replace(wrong, with)).await.has_only("apple-secret-refused");
        assert!(words.contains(with) && words.contains("team_id") && words.contains("AuthKey_"), "{words}");
    }
    let words = doctor(&site, &right.replace("org.example.school.gateway", "org.example.other")).await;
    let words = words.has_only("apple-client-refused");
    assert!(words.contains("org.example.other") && words.contains("redirect_uri"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_file_of_another_key_is_found_and_no_secret_is_printed() {
    let site = site().await;
    let other = ClientKey::generate(&SystemEntropy).unwrap();
    let pem = other.private_pem().expose();
    fs::write(site.path("apple.p8"), pem).unwrap();
    let report = doctor(&site, &plain(&site)).await;
    report.has_only("apple-secret-refused");
    let secret = site.apple.calls().last(Endpoint::Exchange).unwrap().value("client_secret").unwrap().to_owned();
    let said = format!("{:?}", report.findings);
    assert!(!said.contains(&secret) && pem.lines().all(|line| line.contains("-----") || !said.contains(line)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_uri_that_is_not_registered_is_found() {
    let site = site().await;
    let text = plain(&site).replace("redirect_uri = \"https://library", "redirect_uri = \"https://home");
    let words = doctor(&site, &text).await.has_only("apple-redirect-refused");
    assert!(words.contains("https://home.school.example/.schoolgate/callback"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_apple_does_not_tell_is_not_guessed() {
    let site = site().await;
    let text = plain(&site);
    site.apple.switches().trouble(Endpoint::Authorize, Trouble::Status(503));
    let report = doctor(&site, &text).await;
    report.is_well();
    report.has("apple-sign-in-page-unknown");
    let words = doctor(&site, &text.replace("A1B2C3D4E5", "A1B2C3D4E9")).await.has_only("apple-credentials-refused");
    assert!(words.contains("team_id") && words.contains("client_id") && words.contains("redirect_uri"), "{words}");
    site.apple.switches().trouble(Endpoint::Authorize, Trouble::Status(404));
    doctor(&site, &text).await.has_only("apple-sign-in-page-refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_apple_refuses_is_found() {
    let site = site().await;
    let text = plain(&site).replace("#apple#", "scopes = [\"edu.staff.read\"]");
    let report = doctor(&site, &text).await;
    // The configuration has its doubts as well.
    assert_eq!(report.ills().last(), Some(&"apple-scopes-refused"), "{:#?}", report.findings);
    assert!(report.has("apple-scopes-refused")["cure"].as_str().unwrap().contains("edu.users.read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_by_more_than_the_skew_is_found_in_both_directions() {
    let site = site().await;
    let text = plain(&site);
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    for (date, words) in [(DateHeader::Ahead(minutes(2)), "behind"), (DateHeader::Behind(minutes(2)), "ahead of")] {
        site.apple.switches().change(|behaviour| behaviour.date = date);
        let said = doctor(&site, &text).await.has_only("apple-clock-off");
        assert!(said.contains(words) && said.contains("allows 60 s"), "{said}");
        doctor(&site, &text.replace("#apple#", "clock_skew = \"5m\"")).await.is_well();
    }
    site.apple.switches().change(|behaviour| behaviour.date = DateHeader::Nonsense);
    let report = doctor(&site, &text).await;
    report.is_well();
    report.has("apple-clock-unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_fetched_or_used_are_found() {
    let site = site().await;
    let text = plain(&site);
    for trouble in [Trouble::Status(503), Trouble::TooManyRequests(None)] {
        site.apple.switches().trouble(Endpoint::Keys, trouble);
        doctor(&site, &text).await.has_only("apple-keys-unreachable");
    }
    for trouble in [Trouble::JsonArray, Trouble::Error(ErrorCode::InvalidRequest)] {
        site.apple.switches().trouble(Endpoint::Keys, trouble);
        doctor(&site, &text).await.has_only("apple-keys-unusable");
    }
    site.apple.switches().heal(Endpoint::Keys);
    site.apple.switches().key_oddities([KeyOddity::Empty]);
    doctor(&site, &text).await.has_only("apple-keys-unusable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_says_something_else_is_told_in_its_words() {
    let site = site().await;
    let text = plain(&site);
    site.apple.switches().trouble(Endpoint::Exchange, Trouble::Error(ErrorCode::UnauthorizedClient));
    let words = doctor(&site, &text).await.has_only("apple-token-refused");
    assert!(words.contains("unauthorized_client"), "{words}");
    for trouble in [Trouble::Status(500), Trouble::Html, Trouble::Redirect("/elsewhere".to_owned())] {
        site.apple.switches().trouble(Endpoint::Exchange, trouble);
        doctor(&site, &text).await.has_only("apple-token-unavailable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_world_is_told_within_twenty_seconds() {
    let site = site().await;
    let gate = Gate::closed();
    for endpoint in [Endpoint::Keys, Endpoint::Exchange, Endpoint::Authorize] {
        site.apple.switches().trouble(endpoint, Trouble::Hang(gate.clone()));
    }
    // It takes connections and never says a word.
    let key = site.path("session.key");
    fs::write(&key, Sealer::new_key(&SystemEntropy).as_bytes()).unwrap();
    close(&key);
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = listening.local_addr().unwrap();
    let store = format!("store = \"redis://{silent}\"\nencryption_key_file = \"{}\"", key.display());
    let text = plain(&site)
        .replace("store = \"memory\"", &store)
        .replace("#apple#", "timeout = \"5m\"")
        .replace(&format!("\"http://{}\"", site.echo.address), &format!("[\"http://{silent}\", \"https://{silent}\"]"))
        .replace(&format!("unix:{}", site.path("admin.sock").display()), &silent.to_string());
    let report = doctor(&site, &text).await;
    report.has("apple-keys-unreachable");
    report.has("apple-token-unavailable");
    report.has("apple-sign-in-page-unknown");
    report.has("store-away");
    report.has("upstream-silent");
    report.has("upstream-unreachable");
    report.has("gateway-silent");
    report.has_not("check-overdue");
    assert_eq!(report.status, 1);
    drop(listening);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_down_or_unknown_or_broken_is_found() {
    let site = site().await;
    let text = plain(&site);
    let upstream = format!("http://{}", site.echo.address);
    let with = |other: &str| text.replace(&upstream, other);
    let words = doctor(&site, &with("http://127.0.0.1:1")).await.has_only("upstream-unreachable");
    assert!(words.contains("library: http://127.0.0.1:1") && words.contains("refused"), "{words}");
    doctor(&site, &with("http://no-such-app.invalid:80")).await.has_only("upstream-unresolvable");

    let app = RawApp::start().await;
    let path = site.path("failing.toml");
    fs::write(&path, with(&format!("http://{}", app.address))).unwrap();
    let asking = tokio::spawn(async move { doctor_at(&path).await });
    let (mut request, head) = app.request().await;
    assert!(format!("{head:?}").contains("schoolgate-health"), "{head:?}");
    request.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n").await;
    asking.await.unwrap().has_only("upstream-fails");
}

#[tokio::test(flavor = "multi_thread")]
async fn something_that_is_no_web_server_is_found() {
    let site = site().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(b"220 mail.school.example ESMTP\r\n").await;
        }
    });
    let text = plain(&site).replace(&site.echo.address.to_string(), &address.to_string());
    doctor(&site, &text).await.has_only("upstream-silent");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_upstreams_each_is_tried_with_the_health_path() {
    let site = site().await;
    let unhealthy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = unhealthy.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = unhealthy.accept().await {
            let _ = socket.write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    let one = format!("\"http://{}\"", site.echo.address);
    let both = format!("[{one}, \"http://{address}\"]\nhealth_path = \"/health\"");
    let report = doctor(&site, &plain(&site).replace(&one, &both)).await;
    let words = report.has_only("upstream-unhealthy");
    assert!(words.contains("404") && words.contains(&address.to_string()), "{words}");
    report.has("upstream");
    assert_eq!(site.echo.seen()[0].target, "/health");
}

/// The configuration of an app that speaks TLS, at `localhost`.
fn with_tls(site: &Site, app: &TlsApp, line: &str) -> String {
    let port = app.address.port();
    plain(site)
        .replace(&format!("http://{}", site.echo.address), &format!("https://localhost:{port}"))
        .replace("#app#", line)
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_to_an_app_is_verified_as_the_gateway_does() {
    let site = site().await;
    let authority = Authority::new("School apps");
    let app = TlsApp::before(site.echo.address, authority.signs(&["localhost"])).await;
    doctor(&site, &with_tls(&site, &app, &authority.line())).await.is_well();

    let stranger = Authority::new("Somebody else");
    let words = doctor(&site, &with_tls(&site, &app, &stranger.line())).await.has_only("upstream-untrusted");
    assert!(words.contains("upstream_ca_file") && words.contains("does not hold: UnknownIssuer\""), "{words}");

    for (certificate, cure) in [
        (authority.signs(&["app.internal"]), "a name of the certificate"),
        (authority.signed_long_ago(&["localhost"]), "renew"),
        (self_signed(&["localhost"]), "authority"),
    ] {
        let app = TlsApp::before(site.echo.address, certificate).await;
        let words = doctor(&site, &with_tls(&site, &app, &authority.line())).await.has_only("upstream-untrusted");
        assert!(words.contains(cure), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_about_to_end_is_found() {
    let site = site().await;
    let authority = Authority::new("School apps");
    let app = TlsApp::before(site.echo.address, authority.signed_for(&["localhost"], Duration::from_secs(13 * 86_400)));
    let report = doctor(&site, &with_tls(&site, &app.await, &authority.line())).await;
    report.has_only("upstream-certificate-expires");
    report.has("upstream");
    let app = TlsApp::before(site.echo.address, authority.signed_for(&["localhost"], Duration::from_secs(15 * 86_400)));
    doctor(&site, &with_tls(&site, &app.await, &authority.line())).await.is_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_where_there_should_be_none_and_none_where_it_should_be_are_found() {
    let site = site().await;
    let authority = Authority::new("School apps");
    let app = TlsApp::before(site.echo.address, authority.signs(&["localhost"])).await;
    let text = plain(&site).replace(&site.echo.address.to_string(), &app.address.to_string());
    doctor(&site, &text).await.has_only("upstream-wants-tls");

    let echo = Echo::start().await;
    let https = format!("https://{}", echo.address);
    let text =
        plain(&site).replace(&format!("http://{}", site.echo.address), &https).replace("#app#", &authority.line());
    doctor(&site, &text).await.has_only("upstream-without-tls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_authorities_is_found_where_they_are_needed() {
    let site = site().await;
    let path = site.path("doctor.toml");
    let text = plain(&site).replace("http://127.0.0.1", "https://127.0.0.1");
    // Apple stays as it is.
    let text = text.replace(&format!("https://{}", site.apple.address()), &format!("http://{}", site.apple.address()));
    fs::write(&path, text).unwrap();
    let mut command = Program::command(&["doctor", "--json", "--config", path.to_str().unwrap()]);
    command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/nonexistent");
    Report::of(&within_time(&mut command).await).has_only("authorities-missing");
    let report = doctor_at(&path).await;
    report.has("authorities");
    report.has_only("upstream-without-tls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_gateway_has_its_listeners_and_its_store() {
    let site = site().await;
    let port = support::redis::free_port();
    let text = in_a_file(&plain(&site)).replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    let mut program = site.spawn(&text);
    program.started().await;
    program.signed_in("teacher-1").await;
    let before = everything(&site.path("state"));
    let report = doctor(&site, &text).await;
    report.is_well();
    report.has("gateway");
    assert!(report.has("store")["what"].as_str().unwrap().contains("running gateway"));
    assert!(report.has("listener")["what"].as_str().unwrap().contains("in use"));
    assert_eq!(before, everything(&site.path("state")));

    // It was started with another address than the file has now.
    let other = support::redis::free_port();
    let moved = text.replace(&port.to_string(), &other.to_string());
    doctor(&site, &moved).await.has_only("listener-unusable");

    // Another gateway would have another admin listener.
    let other = text.replace("/admin.sock", "/other.sock");
    let report = doctor(&site, &other).await;
    report.has("store-held");
    report.has("listener-unusable");
    report.has("gateway-stopped");
    program.kill().await;
    let report = doctor(&site, &text).await;
    report.is_well();
    let words = report.has("store")["what"].as_str().unwrap();
    assert!(words.contains("keeps 1 session"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_lacks_something_says_what() {
    let site = site().await;
    site.apple.switches().trouble(Endpoint::Keys, Trouble::Status(503));
    let text = plain(&site);
    let mut program = site.spawn(&text);
    program.started().await;
    let report = doctor(&site, &text).await;
    assert!(report.has("gateway-not-ready")["what"].as_str().unwrap().contains("Apple's keys"));
    assert_eq!(report.status, 1);
    program.freeze().await;
    let report = doctor(&site, &text).await;
    report.has("gateway-silent");
    program.thaw().await;
    drop(program);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_a_note() {
    let site = site().await;
    let text = plain(&site);
    let socket = format!("unix:{}", site.path("admin.sock").display());
    let report = doctor(&site, &text.replace(&socket, "127.0.0.1:0")).await;
    report.is_well();
    report.has("gateway-unknown");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = silent.accept().await {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
        }
    });
    doctor(&site, &text.replace(&socket, &address)).await.has_only("gateway-silent");
    let nowhere = text.replace(&socket, "unix:/nonexistent/schoolgate/admin.sock");
    doctor(&site, &nowhere).await.has_only("listener-unusable");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_somebody_else_cannot_be_listened_on() {
    let site = site().await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let text = plain(&site).replace("127.0.0.1:0", &taken);
    let words = doctor(&site, &text).await.has_only("listener-unusable");
    assert!(words.contains(&taken) && words.contains("ss -ltnp"), "{words}");
    let words = doctor(&site, &plain(&site).replace("127.0.0.1:0", "192.0.2.1:8080")).await;
    assert!(words.has_only("listener-unusable").contains("ip address"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_that_cannot_be_written_to_is_found() {
    let site = site().await;
    let state = format!("{}/state", site.path("").display()).replace("//", "/");
    let text = in_a_file(&plain(&site));
    assert!(text.contains(&format!("state_dir = \"{state}\"")), "{text}");
    let words = doctor(&site, &text.replace(&state, "/proc/schoolgate")).await;
    assert!(words.has_only("state-directory-unusable").contains("cannot be made in /proc"));
    fs::write(&state, "a file").unwrap();
    let report = doctor(&site, &text).await;
    report.has("state-directory-unusable");
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_those_of_the_user_that_runs_it() {
    let site = site().await;
    let state = site.path("state");
    fs::create_dir(&state).unwrap();
    let path = site.path("doctor.toml");
    fs::write(&path, in_a_file(&plain(&site))).unwrap();
    let report = doctor_at(&path).await;
    report.is_well();
    if report.find("run-as-root").is_none() {
        // Whoever tests without being root is somebody else already.
        fs::set_permissions(&state, fs::Permissions::from_mode(0o555)).unwrap();
        doctor_at(&path).await.has_only("state-directory-unusable");
        return;
    }
    report.has("run-as-root");
    // Somebody else may read all of it, and write nothing.
    for (path, mode) in [(site.path(""), 0o755), (site.path("apple.p8"), 0o644)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let binary = site.path("schoolgate");
    fs::copy(env!("CARGO_BIN_EXE_schoolgate"), &binary).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary);
    command.args(["doctor", "--json", "--config", path.to_str().unwrap()]);
    let report = Report::of(&within_time(&mut command).await);
    assert_eq!(report.ills(), ["configuration-warning", "state-directory-unusable"], "{:#?}", report.findings);
    report.has("configuration-warning");
    report.has_not("run-as-root");
}

#[tokio::test(flavor = "multi_thread")]
async fn few_descriptors_are_found() {
    let site = site().await;
    let path = site.path("doctor.toml");
    fs::write(&path, plain(&site)).unwrap();
    let line =
        format!("ulimit -n 256; exec {} doctor --json --config {}", env!("CARGO_BIN_EXE_schoolgate"), path.display());
    let report = Report::of(&within_time(Command::new("sh").args(["-c", &line])).await);
    assert!(report.has_only("descriptors-few").contains("256"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_open_or_lost_or_broken_is_found_and_nothing_is_mended() {
    let site = site().await;
    let text = in_a_file(&plain(&site));
    let program = site.spawn(&text);
    program.logged("\"started\"").await;
    program.kill().await;
    let key = site.path("state/session.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    doctor(&site, &text).await.has_only("store-key-open");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o640);
    close(&key);
    let right = fs::read_to_string(&key).unwrap();

    fs::write(&key, &*Sealer::new_key(&SystemEntropy)).unwrap();
    assert!(doctor(&site, &text).await.has_only("store-broken").contains("sealed with a key"));
    fs::write(&key, "rubbish").unwrap();
    let words = doctor(&site, &text).await.has_only("store-key-unusable");
    assert!(words.contains("session.key") && !words.contains("rubbish"), "{words}");
    fs::remove_file(&key).unwrap();
    assert!(doctor(&site, &text).await.has_only("store-key-unusable").contains("is missing"));
    assert!(!key.exists());

    fs::write(&key, right).unwrap();
    close(&key);
    doctor(&site, &text).await.is_well();
    let store = site.path("state/sessions.redb");
    let length = fs::metadata(&store).unwrap().len();
    fs::OpenOptions::new().write(true).open(&store).unwrap().set_len(length / 2).unwrap();
    fs::set_permissions(&store, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(doctor(&site, &text).await.has_only("store-broken").contains("damaged"));
    let metadata = fs::metadata(&store).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (length / 2, 0o644), "it was only looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_answer_is_told() {
    let site = site().await;
    fs::create_dir(site.path("state")).unwrap();
    let key = site.path("state/session.key");
    assert!(Command::new("mkfifo").arg(&key).status().await.unwrap().success());
    let path = site.path("doctor.toml");
    fs::write(&path, in_a_file(&plain(&site))).unwrap();
    assert!(doctor_at(&path).await.has_only("check-overdue").contains("the session store"));
}

/// The configuration with TLS that ends at the gateway.
fn with_section(site: &Site, lines: &str) -> String {
    site.configuration(&[("server", &format!("[server.tls]\n{lines}"))])
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_the_gateway_are_looked_at() {
    let site = site().await;
    let authority = Authority::new("School");
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let text = |certificate: &Certificate| {
        let lines = certificate.write(&site.path(""), "tls");
        close(&site.path("tls.key"));
        with_section(&site, &lines)
    };
    let report = doctor(&site, &text(&authority.signed_for(&[HOST], days(15)))).await;
    report.is_well();
    assert_eq!(report.has("certificate")["about"], HOST);
    let words =
        doctor(&site, &text(&authority.signed_for(&[HOST], days(13)))).await.has_only("certificate-expires-soon");
    assert!(words.contains(HOST), "{words}");
    doctor(&site, &text(&authority.signed_long_ago(&[HOST]))).await.has_only("certificate-expired");
    doctor(&site, &text(&authority.signed_ahead_of_time(&[HOST]))).await.has_only("certificate-early");
    // What `check` warns of: the host of the app.
    let words =
        doctor(&site, &text(&authority.signs(&["other.school.example"]))).await.has_only("configuration-warning");
    assert!(words.contains("no certificate"), "{words}");
    // And what it refuses: a file that is gone.
    let text = text(&authority.signs(&[HOST]));
    fs::remove_file(site.path("tls.key")).unwrap();
    let path = site.path("doctor.toml");
    fs::write(&path, text).unwrap();
    let output = within_time(&mut Program::command(&["doctor", "--config", path.to_str().unwrap()])).await;
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_for_plain_http_is_tried_as_well() {
    let site = site().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let lines = Authority::new("School").signs(&[HOST]).write(&site.path(""), "tls");
    close(&site.path("tls.key"));
    let address = taken.local_addr().unwrap();
    let text = with_section(&site, &format!("redirect_http_listen = [\"{address}\"]\n{lines}"));
    assert!(doctor(&site, &text).await.has_only("listener-unusable").contains(&address.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_authority_is_asked_for_is_looked_at_and_nothing_is_ordered() {
    let site = site().await;
    let pebble = Pebble::start(free(), free()).await;
    let text = with_section(&site, &pebble.section());
    let report = doctor(&site, &text).await;
    report.is_well();
    report.has("acme-directory");
    assert_eq!(report.has("certificate-not-ordered")["about"], HOST);
    report.has_not("certificate");
    assert!(!site.path("state").exists(), "{:?}", everything(&site.path("state")));

    let (authority, kept) = (Authority::new("School"), site.path("state/acme/certificate.pem"));
    authority.signs(&[HOST]).write_together(&kept);
    let report = doctor(&site, &text).await;
    report.is_well();
    assert_eq!(report.has("certificate")["about"], HOST);
    report.has_not("certificate-not-ordered");
    authority.signed_long_ago(&[HOST]).write_together(&kept);
    doctor(&site, &text).await.has_only("certificate-expired");
    authority.signs(&["other.school.example"]).write_together(&kept);
    assert!(doctor(&site, &text).await.has_only("certificate-lacks-host").contains(HOST));
    fs::write(&kept, "nonsense").unwrap();
    doctor(&site, &text).await.has_only("certificate-unusable");
    fs::remove_file(&kept).unwrap();

    let attempts = site.path("state/acme/attempts.json");
    fs::write(&attempts, r#"{"failures":3,"not_before":1800000000}"#).unwrap();
    let words = doctor(&site, &text).await.has_only("acme-fails");
    assert!(words.contains(": 3; none before 2027-01-15T08:00:00Z"), "{words}");
    fs::remove_file(&attempts).unwrap();

    // Nobody vouches for it; then it is no directory.
    let stranger = Authority::new("Somebody else");
    let untrusted = text.replace(pebble.authority.file().to_str().unwrap(), stranger.file().to_str().unwrap());
    let words = doctor(&site, &untrusted).await.has_only("acme-directory-unreachable");
    assert!(words.contains("UnknownIssuer"), "{words}");
    let elsewhere = text.replace("/dir\"", "/elsewhere\"");
    doctor(&site, &elsewhere).await.has_only("acme-directory-unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_acme_that_cannot_be_written_to_is_found() {
    let site = site().await;
    let pebble = Pebble::start(free(), free()).await;
    fs::create_dir_all(site.path("state")).unwrap();
    fs::write(site.path("state/acme"), "a file").unwrap();
    let words = doctor(&site, &with_section(&site, &pebble.section())).await.has_only("state-directory-unusable");
    assert!(words.contains("state/acme"), "{words}");
}

/// A Redis as docs/redis.md wants it, and the configuration for it.
fn redis(site: &Site, server: &Server, user: &str) -> String {
    let key = site.path("shared.key");
    if !key.exists() {
        fs::write(&key, Sealer::new_key(&SystemEntropy).as_bytes()).unwrap();
        close(&key);
    }
    let url = format!("redis://{user}127.0.0.1:{}", server.port());
    let store = format!("store = \"{url}\"\nencryption_key_file = \"{}\"", key.display());
    plain(site).replace("store = \"memory\"", &store)
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_looked_at_and_nothing_is_left_there() {
    let site = site().await;
    let mut server = Server::with(&["--appendonly", "yes"]);
    let text = redis(&site, &server, "");
    let report = doctor(&site, &text).await;
    report.is_well();
    let words = report.has("store")["what"].as_str().unwrap();
    assert!(words.starts_with("Redis ") && words.contains("allows all"), "{words}");
    assert_eq!(server.cli(&["DBSIZE"]), "0");

    server.cli(&["CONFIG", "SET", "appendonly", "no"]);
    doctor(&site, &text).await.has_only("store-forgets");
    server.cli(&["CONFIG", "SET", "appendonly", "yes"]);
    server.cli(&["CONFIG", "SET", "maxmemory", "100mb"]);
    doctor(&site, &text).await.is_well();
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    assert!(doctor(&site, &text).await.has_only("store-evicts").contains("allkeys-lru"));
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);

    server.cli(&["ACL", "SETUSER", "school", "on", ">hunter2", "~*", "&*", "+@all", "-zadd"]);
    let report = doctor(&site, &redis(&site, &server, "school:hunter2@")).await;
    let words = report.has("store-refuses")["what"].as_str().unwrap().to_owned();
    assert!(words.contains("ZADD"), "{words}");
    assert!(!format!("{:?}", report.findings).contains("hunter2"));
    let report = doctor(&site, &redis(&site, &server, "school:wrong-one@")).await;
    report.has("store-refuses");
    assert!(!format!("{:?}", report.findings).contains("wrong-one"));
    assert_eq!(server.cli(&["DBSIZE"]), "0");

    server.kill();
    doctor(&site, &text).await.has_only("store-away");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_another_key_in_redis_are_found() {
    let site = site().await;
    let server = Server::with(&["--appendonly", "yes"]);
    let text = redis(&site, &server, "");
    let mut program = site.spawn(&text);
    program.started().await;
    doctor(&site, &text).await.is_well();
    program.kill().await;
    let proof = server.cli(&["GET", "{schoolgate}:proof"]);
    fs::write(site.path("shared.key"), Sealer::new_key(&SystemEntropy).as_bytes()).unwrap();
    assert!(doctor(&site, &text).await.has_only("store-refuses").contains("not in encryption_key_file"));
    assert_eq!(server.cli(&["GET", "{schoolgate}:proof"]), proof, "it was only looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_check_warns_of_is_told_too() {
    let site = site().await;
    let text = plain(&site);
    fs::set_permissions(site.path("apple.p8"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(doctor(&site, &text).await.has_only("configuration-warning").contains("chmod o-r"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_id_that_is_no_services_id_is_odd() {
    let site = site().await;
    let report = doctor(&site, &plain(&site).replace("org.example.school.gateway", "gateway")).await;
    assert_eq!(report.ills(), ["apple-client-id-odd", "apple-client-refused"]);
    report.has("apple-client-id-odd");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_have_addresses_are_told() {
    let site = site().await;
    let app =
        format!("\n[[app]]\nname = \"here\"\nhost = \"localhost\"\nupstream = \"http://{}\"\n", site.echo.address);
    let report = doctor(&site, &format!("{}{app}", plain(&site))).await;
    assert!(report.has("hosts")["what"].as_str().unwrap().contains("localhost"), "{:#?}", report.findings);
}

/// A finding that no test brings about is one that may not exist.
#[test]
fn every_documented_finding_is_brought_about_by_a_test() {
    let quoted = |text: &str, before: &str, after: char| -> BTreeSet<String> {
        text.match_indices(before)
            .filter_map(|(at, _)| Some(text[at + before.len()..].split_once(after)?.0.to_owned()))
            .collect()
    };
    let tests = fs::read_to_string("tests/doctor.rs").unwrap();
    let tests = tests.split_once("fn where_all_is_well").unwrap().1.split_once("fn every_documented").unwrap().0;
    let looked_for: BTreeSet<_> =
        quoted(tests, ".has(\"", '"').union(&quoted(tests, ".has_only(\"", '"')).cloned().collect();
    let docs = fs::read_to_string("docs/doctor.md").unwrap();
    let documented: BTreeSet<_> =
        docs.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect();
    assert_eq!(looked_for, documented);
}
