//! The commands of `docs/operations.md`, `sessions.md` and `upstreams.md`, run as they are printed on the real program, with
//! a `systemctl` that knows it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use support::{
    Browser, Document, Program, Site,
    world::{at, through_apple},
};
use tokio::process::Command;

const PAGE: &str = "docs/operations.md";

/// What systemd would do with a unit of one process.
const SYSTEMCTL: &str = r#"#!/bin/sh
pid=$(cat "$SITE/pid")
case "$1" in
show) echo "$pid" ;;
reload) kill -HUP "$pid" ;;
stop | restart)
    kill -TERM "$pid"
    while [ -d "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status"; do sleep 0.02; done
    ;;
start) ;;
*) exit 1 ;;
esac
"#;

/// Copies nothing from under a process that goes on: at the wrong moment such a copy is damaged, and mostly it is not.
const CP: &str = r#"#!/bin/sh
state=$(sed -n 's/^State:.\(.\).*/\1/p' "/proc/$(cat "$SITE/pid")/status" 2>/dev/null)
case "$state" in
"" | T | Z | X) exec /bin/cp "$@" ;;
*) exit 1 ;;
esac
"#;

/// A site that keeps its sessions in the file.
fn configuration(site: &Site) -> String {
    site.configuration(&[("server", "sign_in_rate_per_ip = 10000")]).replace("store = \"memory\"", "store = \"file\"")
}

async fn start(site: &Site) -> Program {
    let mut program = site.spawn(&configuration(site));
    program.started().await;
    fs::write(site.path("pid"), program.pid().to_string()).unwrap();
    program
}

/// Runs a block of the page; returns what it said.
async fn run(site: &Site, block: &str, places: &[(&str, &str)]) -> String {
    run_of(PAGE, site, block, places).await
}

/// The same of another page.
async fn run_of(page: &str, site: &Site, block: &str, places: &[(&str, &str)]) -> String {
    let programs = site.path("programs");
    fs::create_dir_all(&programs).unwrap();
    let schoolgate = format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_schoolgate"));
    for (name, text) in [("systemctl", SYSTEMCTL), ("cp", CP), ("schoolgate", &schoolgate)] {
        fs::write(programs.join(name), text).unwrap();
        fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let lines = Document::of(page).filled(block, places);
    let mut command = Command::new("sh");
    command.args(["-c", &lines]).env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()));
    command.env("SITE", site.path("")).current_dir(site.path("")).env("SCHOOLGATE_CONFIG", site.path("gateway.toml"));
    let output = command.output().await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{block}: {said}");
    said
}

async fn page(browser: &mut Browser) -> u16 {
    browser.fetch(&at("/page")).await.status
}

/// People who come and go until they are told to stop; how many have signed in. Each request must be answered.
async fn crowd(address: std::net::SocketAddr, over: Arc<AtomicBool>) -> usize {
    let mut signed_in = 0;
    while !over.load(Ordering::SeqCst) {
        let mut browser = Browser::new(address);
        let answer = through_apple(&mut browser, "/start", "pupil-7").await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert_eq!(page(&mut browser).await, 200);
        signed_in += 1;
    }
    signed_in
}

#[tokio::test]
async fn a_backup_is_made_under_load_and_restored_as_the_page_says() {
    let site = Site::start().await;
    let program = start(&site).await;
    let (state, copy) = (site.path("state"), site.path("backup"));
    let places =
        [("/var/lib/schoolgate", state.to_str().unwrap()), ("/root/schoolgate-backup", copy.to_str().unwrap())];
    let (mut teacher, mut pupil) = (program.signed_in("teacher-1").await, program.signed_in("pupil-8").await);

    let over = Arc::new(AtomicBool::new(false));
    let crowds: Vec<_> = (0..4).map(|_| tokio::spawn(crowd(program.address(), Arc::clone(&over)))).collect();
    for times in 0..5 {
        let _ = fs::remove_dir_all(&copy);
        run(&site, "backup", &places).await;
        // Each copy opens, whatever was being written when it was made.
        let name = format!("copy{times}");
        fs::rename(&copy, site.path(&name)).unwrap();
        let text = configuration(&site)
            .replace(&format!("\"{}\"", state.display()), &format!("\"{}\"", site.path(&name).display()))
            .replace("admin.sock", &format!("{name}.sock"));
        let mut restored = site.spawn_as(&name, &text);
        restored.started().await;
        let mut same = teacher.clone();
        same.move_to(restored.address());
        assert_eq!(page(&mut same).await, 200, "copy {times}");
        restored.kill().await;
        fs::remove_file(site.path(&format!("{name}.toml"))).unwrap();
    }
    run(&site, "backup", &places).await;
    over.store(true, Ordering::SeqCst);
    let mut signed_in = 0;
    for crowd in crowds {
        signed_in += crowd.await.expect("nobody notices a backup");
    }
    assert!(signed_in > 20, "only {signed_in} sign-ins while it ran");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&copy), mode(&copy.join("session.key"))), (0o700, 0o600));

    // Since then one has signed out, and another has come.
    let mut before = teacher.clone();
    teacher.open(&at("/.schoolgate/sign-out")).await;
    assert_eq!(page(&mut before).await, 401);
    let mut late = program.signed_in("teacher-2").await;
    assert_eq!(page(&mut late).await, 200);
    run(&site, "restore", &places).await;
    assert_eq!(program.ended().await.0.code(), Some(0));
    let program = start(&site).await;
    for browser in [&mut before, &mut pupil, &mut late] {
        browser.move_to(program.address());
    }
    assert_eq!((page(&mut before).await, page(&mut pupil).await, page(&mut late).await), (200, 200, 401));
    run(&site, "end", &[]).await;
    assert_eq!((page(&mut before).await, page(&mut pupil).await), (401, 401));
    program.terminate().await;
}

#[tokio::test]
async fn another_key_of_apples_is_taken_over_without_signing_anybody_out() {
    let site = Site::start().await;
    let program = start(&site).await;
    let mut teacher = program.signed_in("teacher-1").await;
    fs::rename(site.path("apple.p8"), site.path("apple-2.p8")).unwrap();
    site.rewrite(&configuration(&site).replace("apple.p8", "apple-2.p8"));
    let said = run(&site, "apple-key", &[]).await;
    assert!(said.contains("library.school.example"), "{said}");
    program.logged("\"reloaded\"").await;
    assert_eq!(page(&mut teacher).await, 200);
    program.signed_in("teacher-2").await;
}

#[tokio::test]
async fn what_is_looked_at_before_an_upgrade_says_what_is_there() {
    let site = Site::start().await;
    let _program = start(&site).await;
    let said = run(&site, "check", &[]).await;
    assert!(said.contains("library.school.example"), "{said}");
    assert!(said.contains("302"), "a stranger is sent to Apple: {said}");
}

#[tokio::test]
async fn another_key_of_sessions_signs_nobody_out() {
    let site = Site::start().await;
    let program = start(&site).await;
    let mut teacher = program.signed_in("teacher-1").await;
    let state = site.path("state");
    // The tests have no user of that name.
    let places = [("/var/lib/schoolgate", state.to_str().unwrap()), ("chown schoolgate:", "chown \"$(id -u)\":")];
    run_of("docs/sessions.md", &site, "key", &places).await;
    let (status, log) = program.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(fs::read_to_string(state.join("session.key")).unwrap().lines().count(), 2);
    let program = start(&site).await;
    assert!(program.log().contains("store_key_changed"), "{}", program.log());
    teacher.move_to(program.address());
    assert_eq!(page(&mut teacher).await, 200);
}

#[tokio::test]
async fn an_authority_for_apps_is_made_as_the_page_says() {
    const UPSTREAMS: &str = "docs/upstreams.md";
    let site = Site::start().await;
    run_of(UPSTREAMS, &site, "authority", &[]).await;
    let mut verify = Command::new("openssl");
    verify.args(["verify", "-CAfile", "apps-ca.pem", "-verify_hostname", "app1.internal", "app1.pem"]);
    assert!(verify.current_dir(site.path("")).status().await.unwrap().success());
    // And the lines of gateway.toml take it.
    let text = site.configuration(&[]);
    let authority = site.path("apps-ca.pem");
    let app =
        Document::of(UPSTREAMS).filled("gateway.toml", &[("/etc/schoolgate/apps-ca.pem", authority.to_str().unwrap())]);
    let text = format!("{}{app}", &text[..text.find("[[app]]").unwrap()]);
    let loaded = schoolgate::config::from_text(&site.path("gateway.toml"), &text, &|_| None);
    assert!(loaded.is_ok(), "{}", loaded.err().unwrap());
}

#[test]
fn every_block_that_is_said_to_be_tested_is() {
    for (page, used) in [
        (PAGE, &["apple-key", "backup", "check", "end", "restore"][..]),
        ("docs/sessions.md", &["key"]),
        ("docs/upstreams.md", &["authority", "gateway.toml"]),
    ] {
        let document = Document::of(page);
        let printed: BTreeSet<&str> = document.names().into_iter().collect();
        assert_eq!(printed, used.iter().copied().collect(), "{page}");
    }
}
