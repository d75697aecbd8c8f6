//! Sessions in a file of `state_dir`: the real program is stopped, killed, and given disks and files that
//! no program wants.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use schoolgate::{
    demo::{Endpoint, Trouble},
    entropy::SystemEntropy,
    session::Sealer,
};
use support::{
    Browser, Program, Site,
    program::ask,
    world::{at, through_apple},
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// Long for a machine.
const SOON: Duration = Duration::from_secs(30);

/// The configuration of a site, with the sessions in the file.
fn with_file(site: &Site, lines: &[(&str, &str)]) -> String {
    site.configuration(lines).replace("store = \"memory\"", "store = \"file\"")
}

async fn run(site: &Site, lines: &[(&str, &str)]) -> Program {
    let mut program = site.spawn(&with_file(site, lines));
    program.started().await;
    program
}

/// Starts the program, which must not start; returns what it says.
async fn fails(site: &Site) -> String {
    site.fails(&with_file(site, &[])).await
}

async fn stop(program: Program) {
    program.terminate().await;
    let (status, log) = timeout(SOON, program.ended()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// The status of a page for a script, which is never sent to Apple.
async fn page(browser: &mut Browser) -> u16 {
    browser.fetch(&at("/page")).await.status
}

/// The status of a page, of a browser that found the program elsewhere before.
async fn page_at(browser: &mut Browser, program: &Program) -> u16 {
    browser.move_to(program.address());
    page(browser).await
}

#[tokio::test]
async fn a_restart_signs_nobody_out_and_brings_nobody_back() {
    let site = Site::start().await;
    let program = run(&site, &[]).await;
    let (mut stays, mut leaves) = (program.signed_in("teacher-1").await, program.signed_in("teacher-1").await);
    let cookies = leaves.clone();
    assert_eq!(leaves.open(&at("/.schoolgate/sign-out")).await.status, 200);
    stop(program).await;

    let program = run(&site, &[]).await;
    assert!(program.log().contains("store_opened"), "{}", program.log());
    assert_eq!(page_at(&mut stays, &program).await, 200);
    assert_eq!(page_at(&mut cookies.clone(), &program).await, 401);
    program.kill().await;

    let program = run(&site, &[]).await;
    assert_eq!(page_at(&mut stays, &program).await, 200);
    assert_eq!(page_at(&mut cookies.clone(), &program).await, 401);
}

#[tokio::test]
async fn the_file_is_the_default_and_for_its_owner_alone() {
    let site = Site::start().await;
    let mut program = site.spawn(&site.configuration(&[]).replace("store = \"memory\"\n", ""));
    program.started().await;
    let mode = |path: &str| fs::metadata(site.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("state"), mode("state/sessions.redb"), mode("state/session.key")), (0o700, 0o600, 0o600));
}

/// What browsers were told.
#[derive(Default)]
struct Told {
    signed_in: Vec<Browser>,
    signed_out: Vec<Browser>,
    /// How many answers there were.
    answers: usize,
}

/// Signs people in, and every other one out again, until the program is gone.
async fn crowd(program_at: Browser, told: Arc<Mutex<Told>>) {
    loop {
        let mut browser = program_at.clone();
        let answer = through_apple(&mut browser, "/start", "teacher-1").await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        let is_even = {
            let mut told = told.lock().await;
            told.answers += 1;
            told.signed_in.push(browser.clone());
            told.answers.is_multiple_of(2)
        };
        if is_even {
            let mut leaves = told.lock().await.signed_in.remove(0);
            let before = leaves.clone();
            // Until it is answered, nobody knows.
            assert_eq!(leaves.open(&at("/.schoolgate/sign-out")).await.status, 200);
            let mut told = told.lock().await;
            told.answers += 1;
            told.signed_out.push(before);
        }
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_kill_at_any_moment() {
    let site = Site::start().await;
    let told = Arc::new(Mutex::new(Told::default()));
    let mut program = run(&site, &[]).await;
    for round in 0..12 {
        let before = told.lock().await.answers;
        let crowd: Vec<_> = (0..6).map(|_| tokio::spawn(crowd(program.browser(), Arc::clone(&told)))).collect();
        let until = Instant::now() + SOON;
        while told.lock().await.answers < before + 1 + (round * 7) % 23 {
            assert!(Instant::now() < until && !crowd.iter().all(tokio::task::JoinHandle::is_finished), "nobody comes");
            tokio::task::yield_now().await;
        }
        program.kill().await;
        for member in crowd {
            assert!(member.await.is_err(), "its connection broke");
        }
        program = run(&site, &[]).await;
        let mut told = told.lock().await;
        let Told { signed_in, signed_out, .. } = &mut *told;
        for browser in signed_in {
            assert_eq!(page_at(browser, &program).await, 200, "round {round}: a sign-in is lost");
        }
        for browser in signed_out {
            assert_eq!(page_at(browser, &program).await, 401, "round {round}: a sign-out is undone");
        }
    }
    let told = told.lock().await;
    assert!(told.signed_in.len() > 5 && told.signed_out.len() > 5, "{}", told.answers);
}

#[tokio::test]
async fn tokens_of_who_signed_out_are_revoked_after_a_kill() {
    let site = Site::start().await;
    let program = run(&site, &[]).await;
    let mut browser = program.signed_in("teacher-1").await;
    site.apple.switches().trouble(Endpoint::Revoke, Trouble::Status(503));
    assert_eq!(browser.open(&at("/.schoolgate/sign-out")).await.status, 200);
    program.logged("revocation_delayed").await;
    // What is written after the delay is on the disk after it, too.
    program.signed_in("teacher-1").await;
    program.kill().await;
    site.apple.switches().heal(Endpoint::Revoke);
    run(&site, &[]).await.logged("\"revoked\"").await;
}

/// A file system of its own, so small that it is soon full.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: &Path) -> Self {
        fs::create_dir_all(path).unwrap();
        mount(&["-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", path.to_str().unwrap()]);
        Self(path.to_path_buf())
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }

    fn read_only(&self, is_read_only: bool) {
        mount(&["-o", if is_read_only { "remount,ro" } else { "remount,rw" }, self.0.to_str().unwrap()]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str]) {
    let output = Command::new("mount").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test needs a small disk of its own, so it must be run as root: {said}");
}

#[tokio::test]
async fn a_full_disk_turns_new_people_away_and_nobody_else_and_is_over_when_there_is_room() {
    let site = Site::start().await;
    let disk = SmallDisk::at(&site.path("state"));
    // Short, so that uses are noted all the time.
    let program = run(&site, &[("session", "idle_timeout = \"2m\"")]).await;
    let mut people = vec![program.signed_in("teacher-1").await];
    disk.fill();
    // There is room in the file itself for a few.
    let refused = loop {
        let mut browser = program.browser();
        let answer = through_apple(&mut browser, "/start", "teacher-1").await;
        if answer.status != 303 {
            break answer;
        }
        people.push(browser);
        assert!(people.len() < 2_000, "the disk does not fill");
    };
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.all("set-cookie").filter(|line| line.starts_with("__Host-schoolgate=")).count(), 0);
    program.logged("store_failed").await;
    let log = program.log();
    let line = log.lines().find(|line| line.contains("store_failed")).unwrap();
    assert!(line.contains("No space left on device") && line.contains("make room"), "{line}");
    for browser in &mut people {
        assert_eq!(page(browser).await, 200, "who is signed in goes on");
    }
    assert!(!program.log().contains("panicked"));
    let unready = ask(&site.path("admin.sock"), "GET", "/readyz").await;
    assert!(unready.status == 503 && unready.text().contains("make room"), "{}", unready.text());

    disk.make_room();
    assert_eq!(ask(&site.path("admin.sock"), "GET", "/readyz").await.status, 200);
    people.push(program.signed_in("teacher-1").await);
    program.logged("store_recovered").await;
    for browser in &mut people {
        assert_eq!(page(browser).await, 200);
    }
    // Full again, and killed.
    disk.fill();
    program.kill().await;
    let program = run(&site, &[]).await;
    for browser in &mut people {
        assert_eq!(page_at(browser, &program).await, 200, "nothing is lost");
    }
    disk.make_room();
    program.signed_in("teacher-1").await;
    stop(program).await;
}

#[tokio::test]
async fn a_disk_that_is_full_or_read_only_from_the_start_is_a_clear_error() {
    let site = Site::start().await;
    let disk = SmallDisk::at(&site.path("state"));
    disk.fill();
    let said = fails(&site).await;
    assert!(said.contains("No space left on device") && said.contains("state_dir"), "{said}");
    disk.make_room();
    assert_eq!(fs::read_dir(site.path("state")).unwrap().count(), 0, "nothing half-made is left");
    let program = run(&site, &[]).await;
    let mut browser = program.signed_in("teacher-1").await;
    stop(program).await;
    disk.read_only(true);
    let said = fails(&site).await;
    assert!(said.contains("Read-only file system") && said.contains("sessions.redb"), "{said}");
    disk.read_only(false);
    let program = run(&site, &[]).await;
    assert_eq!(page_at(&mut browser, &program).await, 200);
}

#[tokio::test]
async fn a_second_gateway_with_the_same_folder_does_not_start() {
    let site = Site::start().await;
    let program = run(&site, &[]).await;
    let mut browser = program.signed_in("teacher-1").await;
    let text = with_file(&site, &[]).replace("admin.sock", "other.sock");
    let (status, said) = site.spawn(&text).ended().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("another schoolgate is running") && said.contains("state/sessions.redb"), "{said}");
    assert_eq!(page(&mut browser).await, 200, "the first one goes on");
}

#[tokio::test]
async fn a_wrong_or_missing_key_is_an_error_and_never_a_new_start() {
    let site = Site::start().await;
    let program = run(&site, &[]).await;
    let mut browser = program.signed_in("teacher-1").await;
    stop(program).await;
    let (file, key) = (site.path("state/sessions.redb"), site.path("state/session.key"));
    let (sessions, old) = (fs::read(&file).unwrap(), fs::read_to_string(&key).unwrap());
    let new = format!("{}\n", *Sealer::new_key(&SystemEntropy));

    fs::write(&key, &new).unwrap();
    let said = fails(&site).await;
    assert!(said.contains("sealed with a key that is not in the key file"), "{said}");
    assert!(!said.contains(new.trim()), "{said}");
    assert_eq!(fs::read_to_string(&key).unwrap(), new);

    fs::remove_file(&key).unwrap();
    let said = fails(&site).await;
    assert!(said.contains("session.key is missing") && said.contains("put the key file back"), "{said}");
    assert!(!key.exists(), "no key is made");
    assert_eq!(fs::read(&file).unwrap(), sessions, "the store is as it was");

    // A change of keys: the new one before the old.
    fs::write(&key, format!("{new}{old}")).unwrap();
    let program = run(&site, &[]).await;
    assert!(program.log().contains("store_key_changed"), "{}", program.log());
    assert_eq!(page_at(&mut browser, &program).await, 200, "nobody is signed out");
    let mut later = program.signed_in("teacher-1").await;
    stop(program).await;
    fs::write(&key, &new).unwrap();
    let program = run(&site, &[]).await;
    assert_eq!(page_at(&mut later, &program).await, 200);
    assert_eq!(page_at(&mut browser, &program).await, 401, "the old key went too early: this one must sign in again");
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_stays_as_it_is() {
    let site = Site::start().await;
    let program = run(&site, &[]).await;
    let mut browser = program.signed_in("teacher-1").await;
    stop(program).await;
    let file = site.path("state/sessions.redb");
    let whole = fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let used = (4096..whole.len()).find(|at| whole[*at] != 0).unwrap();
    for (content, word) in [
        (Vec::new(), "damaged"),
        (b"rubbish".to_vec(), "no session store"),
        (vec![0; whole.len()], "no session store"),
        (whole[..whole.len() / 2].to_vec(), "damaged"),
        (flipped(20), "damaged"),
        (flipped(used), "damaged"),
    ] {
        fs::write(&file, &content).unwrap();
        let said = fails(&site).await;
        assert!(said.contains(word) && said.contains("sessions.redb") && said.contains("left as it is"), "{said}");
        assert!(fs::read(&file).unwrap() == content, "{word}: the file was changed");
    }
    fs::write(&file, &whole).unwrap();
    let program = run(&site, &[]).await;
    assert_eq!(page_at(&mut browser, &program).await, 200);
}
