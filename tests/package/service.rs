use std::{collections::BTreeSet, fs, time::Duration};

use crate::{
    machine::eventually,
    school::School,
    support::{
        Authority, Connection, HOST, Load, RawApp, Request, TlsApp,
        load::{Arrivals, Late},
        redis::Server,
        world::at,
    },
};

/// A line of `/proc/PID/status`.
fn status_of(school: &School, name: &str) -> String {
    let status = school.machine.read(&format!("/proc/{}/status", school.pid()));
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("{status}")).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_through_a_gateway_without_rights() {
    let school = School::open(&[]).await;
    let mut teacher = school.signed_in("teacher-1").await;
    assert_eq!(teacher.open(&at("/page")).await.status, 200);
    assert_eq!(status_of(&school, "Seccomp"), "2");
    assert_eq!(status_of(&school, "NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status_of(&school, set), "0000000000000000", "{set}");
    }
    let user = school.machine.run("id --user schoolgate");
    assert_eq!(status_of(&school, "Uid").split_whitespace().collect::<Vec<_>>(), [user.trim(); 4]);
    let inside = |command: &str| {
        let said =
            format!("nsenter --target {} --mount setpriv --reuid schoolgate --clear-groups {command}", school.pid());
        school.machine.try_run(&said).status
    };
    assert_ne!(inside("touch /etc/schoolgate/mine"), 0, "it can write its configuration");
    assert_ne!(inside("cat /etc/schoolgate/apple.p8"), 0, "it can read the file of the key itself");
    assert_ne!(inside("ls /proc/1/exe"), 0, "it sees other processes");
    assert_eq!(inside("touch /var/lib/schoolgate/mine"), 0);
    assert_ne!(inside("sh -c 'cp /bin/true /var/lib/schoolgate/true && /var/lib/schoolgate/true'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_people_and_operators_do_needs_no_forbidden_system_call() {
    let school = School::open(&[("app", "keep_forms = true")]).await;
    let before = school.pid();
    let mut teacher = school.signed_in("teacher-1").await;
    let form = Request::new("POST", "/page").form(&[("grade", "1")]).header("Origin", "https://library.school.example");
    assert_eq!(teacher.send(&at("/page"), form, false).await.status, 200);
    let list = school.machine.run("schoolgate sessions list");
    assert!(list.lines().count() >= 2, "{list}");
    school.machine.run("schoolgate sessions end --all");
    assert!(!school.knows(&mut teacher).await);
    let ready = school.machine.run(
        "perl -MIO::Socket::UNIX -e '
        $s = IO::Socket::UNIX->new(Peer => \"/run/schoolgate/admin.sock\") or die;
        print $s \"GET /metrics HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n\"; print <$s>'",
    );
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    let mut teacher = school.signed_in("teacher-1").await;
    assert_eq!(teacher.open(&at("/.schoolgate/sign-out")).await.status, 200);
    school.machine.run("systemctl reload schoolgate");
    assert_eq!(school.pid(), before, "{}", school.machine.journal());
    school.machine.run("systemctl restart schoolgate");
    school.machine.run("systemctl stop schoolgate");
    assert_eq!(school.machine.property("schoolgate.service", "Result"), "success", "{}", school.machine.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_and_apps_with_tls_work_in_the_sandbox() {
    let redis = Server::start();
    let store = format!(
        "store = \"redis://127.0.0.1:{}/0\"\nencryption_key_file = \"/etc/schoolgate/session.key\"",
        redis.port()
    );
    let school = School::installed().await;
    let authority = Authority::new("School");
    let app = TlsApp::before(school.site.echo.address, authority.signs(&["localhost"])).await;
    let machine = &school.machine;
    machine.write("/etc/schoolgate/apps-ca.pem", fs::read(authority.file()).unwrap(), 0o644);
    machine.run("head -c 32 /dev/urandom | base64 >/etc/schoolgate/session.key");
    machine.run("chgrp schoolgate /etc/schoolgate/session.key && chmod 640 /etc/schoolgate/session.key");
    school.strict();
    let lines = [("session", &*store), ("app", "upstream_ca_file = \"/etc/schoolgate/apps-ca.pem\"")];
    school.configure(&lines);
    let text = school.configuration(&lines);
    let plain = format!("http://{}", school.site.echo.address);
    school.write(&text.replace(&plain, &format!("https://localhost:{}", app.address.port())));
    machine.run("systemctl start schoolgate");
    let mut teacher = school.signed_in("teacher-1").await;
    assert_eq!(teacher.open(&at("/page")).await.status, 200);
    machine.run("systemctl restart schoolgate");
    assert!(school.knows(&mut teacher).await);
    assert!(!app.handshakes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_what_is_served_and_a_wrong_one_fails_with_its_reason() {
    let school = School::open(&[]).await;
    let before = school.pid();
    assert_eq!(Request::get("/news").header("Host", "library.school.example").send(school.address).await.status, 401);
    school.write(&school.configuration(&[("routes", "[[app.route]]\npath = \"/news\"\naccess = \"public\"")]));
    school.machine.run("systemctl reload schoolgate");
    school.machine.logged("event=\"reloaded\"");
    assert_eq!(Request::get("/news").header("Host", "library.school.example").send(school.address).await.status, 200);

    school.write(&school.configuration(&[("server", "nonsense = 1")]));
    let said = school.machine.try_run("systemctl reload schoolgate");
    assert_ne!(said.status, 0, "systemctl says nothing of it");
    school.machine.logged("nonsense is no key of this section");
    assert_eq!(Request::get("/news").header("Host", "library.school.example").send(school.address).await.status, 200);
    assert_eq!((school.machine.state("schoolgate.service"), school.pid()), ("active".to_owned(), before));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_and_no_sign_in_fails_over_ten_restarts_and_an_upgrade() {
    let school = School::open(&[]).await;
    let mut teacher = school.signed_in("teacher-1").await;
    let cookie = format!("__Host-schoolgate={}", teacher.cookie(HOST, "__Host-schoolgate").unwrap());
    let request = Request::get("/page").header("Host", HOST).header("Cookie", &cookie);
    let load = Load::start(school.address, &request, 20, 500);
    let arrivals = Arrivals::start(school.address);
    let mut processes = BTreeSet::from([school.pid()]);
    for restart in 0..=10 {
        // A sign-in that begins before the restart ends after it.
        let late = Late::leaves(school.address).await;
        if restart < 10 {
            school.machine.run("systemctl restart schoolgate");
        } else {
            school.install(2);
        }
        late.comes_back().await;
        processes.insert(school.pid());
    }
    let (requests, sign_ins) = (load.stop().await, arrivals.stop().await);
    assert_eq!((requests.bad, sign_ins.bad), (Vec::new(), Vec::new()));
    assert!(requests.good > 2_000 && sign_ins.good > 10, "{} requests, {} sign-ins", requests.good, sign_ins.good);
    assert_eq!(processes.len(), 12);
    assert!(school.knows(&mut teacher).await);
    println!("{} requests, {} sign-ins during 10 restarts and an upgrade", requests.good, sign_ins.good);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_who_connects_waits_for_the_next_process() {
    let school = School::open(&[]).await;
    let mut teacher = school.signed_in("teacher-1").await;
    let before = school.pid();
    school.machine.run(&format!("kill -KILL {before}"));
    assert_eq!(school.public().await.status, 200);
    assert_ne!(school.pid(), before);
    assert!(school.knows(&mut teacher).await);
}

/// The unit's watchdog bites sooner than at a school.
fn watch_closely(school: &School) {
    school.drop_in("schoolgate.service", "watchdog", "[Service]\nWatchdogSec=2s\n");
    school.machine.run("systemctl restart schoolgate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_serves_is_left_alone_and_one_that_hangs_is_started_anew() {
    let school = School::open(&[]).await;
    assert_eq!(school.machine.property("schoolgate.service", "WatchdogUSec"), "30s");
    watch_closely(&school);
    let mut teacher = school.signed_in("teacher-1").await;
    let before = school.pid();
    let fed = || school.machine.property("schoolgate.service", "WatchdogTimestampMonotonic").parse::<u64>().unwrap();
    let begin = fed();
    eventually("it is fed for longer than its time", || (fed() > begin + 5_000_000).then_some(()));
    assert_eq!((school.pid(), school.machine.property("schoolgate.service", "NRestarts")), (before, "0".to_owned()));

    school.machine.run(&format!("kill -STOP {before}"));
    assert_eq!(school.public().await.status, 200, "who connects waits for the next process");
    assert_ne!(school.pid(), before);
    school.machine.logged("Watchdog timeout (limit 2s)!");
    assert!(school.knows(&mut teacher).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_leaves_one_alone_that_waits_for_its_streams_to_end() {
    let app = RawApp::start().await;
    let school = School::installed().await;
    let before = school.configuration(&[]);
    school.configure(&[]);
    school.write(&before.replace(&school.site.echo.address.to_string(), &app.address.to_string()));
    school.strict();
    watch_closely(&school);
    let mut stream = Connection::open(school.address).await;
    stream.write(&Request::get("/public/events").header("Host", HOST).bytes()).await;
    let (mut events, _) = app.request().await;
    events.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
    stream.until("data: 1\n\n").await;
    // It is a stream when it has lasted for a while.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    school.machine.run("systemctl stop --no-block schoolgate");
    school.machine.logged("draining_streams");
    tokio::time::sleep(Duration::from_secs(5)).await;
    events.write(b"data: 2\n\n").await;
    stream.until("data: 2\n\n").await;
    drop(events);
    eventually("it has stopped", || (school.machine.state("schoolgate.service") == "inactive").then_some(()));
    assert_eq!(school.machine.property("schoolgate.service", "Result"), "success", "{}", school.machine.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_the_service_has_stopped_it() {
    let school = School::open(&[]).await;
    school.machine.run("systemctl stop schoolgate");
    eventually("the sockets are closed", || (school.machine.state("schoolgate.socket") == "inactive").then_some(()));
    assert!(!school.listens().await);
    school.machine.run("systemctl start schoolgate");
    assert_eq!(school.public().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_starts_nothing_and_is_told_once() {
    let school = School::installed().await;
    school.configure(&[("server", "nonsense = 1")]);
    assert_ne!(school.machine.try_run("systemctl start schoolgate").status, 0);
    eventually("the sockets are closed", || (school.machine.state("schoolgate.socket") == "inactive").then_some(()));
    assert!(!school.listens().await);
    assert_eq!(school.machine.state("schoolgate.service"), "failed");
    assert_eq!(school.machine.journal().matches("nonsense is no key").count(), 1);
    school.configure(&[]);
    school.machine.run("systemctl start schoolgate");
    assert_eq!(school.public().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_there_is_named() {
    let school = School::installed().await;
    school.configure(&[]);
    fs::remove_file(school.machine.path("/etc/schoolgate/apple.p8")).unwrap();
    assert_ne!(school.machine.try_run("systemctl start schoolgate").status, 0);
    school.machine.logged("apple.p8\" is not a key file");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_by_itself_is_waited_for() {
    let mut redis = Server::start();
    let key = "encryption_key_file = \"/etc/schoolgate/session.key\"";
    let store = format!("store = \"redis://127.0.0.1:{}/0\"\n{key}", redis.port());
    let school = School::installed().await;
    school.machine.run("head -c 32 /dev/urandom | base64 >/etc/schoolgate/session.key");
    school.configure(&[("session", &store)]);
    redis.kill();
    school.machine.try_run("systemctl start --no-block schoolgate");
    redis.revive();
    eventually("it serves", || (school.machine.state("schoolgate.service") == "active").then_some(()));
    assert_eq!(school.public().await.status, 200);
}
