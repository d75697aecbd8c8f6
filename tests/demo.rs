//! `schoolgate demo` as a stranger runs it: what it prints, what it refuses, and that it leaves nothing behind.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    net::{SocketAddr, TcpListener},
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
};

use schoolgate::demo::PERSON_HEADER;
use support::{Answer, Browser, Demo, Ended, Request, browser::target};

/// Goes to the stand-in as `person` and back.
async fn sign_in(browser: &mut Browser, demo: &mut Demo, path: &str, person: &str) -> Answer {
    let answer = browser.open(&demo.at(path)).await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    let url = url::Url::parse(answer.location()).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], url.port().unwrap()));
    let request = Request::get(&target(answer.location())).header("Host", &address.to_string());
    let callback = request.header(PERSON_HEADER, person).send(address).await;
    assert_eq!(callback.status, 302, "{}", callback.text());
    let answer = browser.open(callback.location()).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    browser.open(&demo.at(answer.location())).await
}

#[track_caller]
fn assert_clean(ended: &Ended) {
    assert_eq!(ended.status.code(), Some(0), "{:?} {}", ended.status.signal(), ended.complained);
    assert!(ended.left_behind.is_empty(), "{:?}", ended.left_behind);
    assert!(ended.said.ends_with("The demo has ended. Its folder is deleted."), "{}", ended.said);
    assert_eq!(ended.complained, "");
}

#[tokio::test]
async fn a_stranger_reads_what_to_do_and_it_works() {
    let mut demo = Demo::start();
    let mut browser = Browser::new(demo.socket());
    let home = browser.open(&demo.at("/")).await;
    assert_eq!(home.status, 200);
    assert!(home.text().contains("This page is for everybody"));
    let grades = sign_in(&mut browser, &mut demo, "/grades", "teacher-1").await;
    assert!(grades.text().contains("tilda.brightwater@larkspur.school.example"), "{}", grades.text());
    let classes = sign_in(&mut browser, &mut demo, "/admin/classes", "site-manager").await;
    assert!(classes.text().contains("Pip Marrowby"), "{}", classes.text());
    demo.signal("INT");
    let ended = demo.end();
    assert_clean(&ended);
    for text in ["stand-in for Apple", "Grades", "Class lists", "Log out", "gateway.toml", "Ctrl-C", "RUST_LOG=info"] {
        assert!(ended.said.contains(text), "{text}: {}", ended.said);
    }
    assert!(ended.said.lines().all(|line| line.chars().count() <= 120), "{}", ended.said);
}

#[tokio::test]
async fn whoever_takes_the_consent_back_at_the_stand_in_is_signed_out() {
    let mut demo = Demo::start();
    let (mut tilda, mut jasper) = (Browser::new(demo.socket()), Browser::new(demo.socket()));
    for (browser, person) in [(&mut tilda, "teacher-1"), (&mut jasper, "teacher-2")] {
        assert_eq!(sign_in(browser, &mut demo, "/grades", person).await.status, 200);
    }
    let apple = Browser::new(demo.socket()).open(&demo.at("/grades")).await.location().to_owned();
    let apple = SocketAddr::from(([127, 0, 0, 1], url::Url::parse(&apple).unwrap().port().unwrap()));
    let choose = |person: &'static str| {
        let request = Request::new("POST", "/stand-in/tell").header("Host", "127.0.0.1").form(&[("person", person)]);
        async move { request.send(apple).await.text() }
    };
    let page = choose("teacher-1").await;
    assert!(page.contains("was told, and answered 200"), "{page}");
    assert_eq!(tilda.open(&demo.at("/grades")).await.status, 302);
    assert_eq!(jasper.open(&demo.at("/grades")).await.status, 200);
    choose("school").await;
    assert_eq!(jasper.open(&demo.at("/grades")).await.status, 302);
    demo.signal("INT");
    let ended = demo.end();
    assert_clean(&ended);
    assert!(ended.said.contains(&format!("http://{apple}/stand-in/tell")), "{}", ended.said);
}

#[test]
fn each_signal_ends_it_all_and_the_folder_is_gone() {
    for signal in ["INT", "TERM", "HUP"] {
        let mut demo = Demo::start();
        let (folder, socket) = (demo.folder(), demo.socket());
        assert!(folder.join("gateway.toml").is_file() && folder.join("apple.p8").is_file());
        let mode = folder.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "the key is nobody else's to read: {mode:o}");
        demo.signal(signal);
        assert_clean(&demo.end());
        assert!(!folder.exists());
        TcpListener::bind(socket).expect("the port is free again");
    }
}

#[test]
fn a_signal_while_it_starts_leaves_nothing_behind_either() {
    for signal in ["INT", "TERM"] {
        let mut demo = Demo::spawn(&["--listen", "127.0.0.1:0"], |_| {});
        demo.folder();
        demo.signal(signal);
        assert_clean(&demo.end());
    }
}

#[tokio::test]
async fn two_demos_do_not_get_into_each_others_way() {
    let (mut one, mut other) = (Demo::spawn(&[], |_| {}), Demo::spawn(&[], |_| {}));
    assert_ne!(one.address(), other.address());
    for demo in [&mut one, &mut other] {
        let mut browser = Browser::new(demo.socket());
        let page = sign_in(&mut browser, demo, "/grades", "teacher-2").await;
        assert!(page.text().contains("jasper.quillfeather"), "{}", page.text());
    }
    one.signal("INT");
    assert_clean(&one.end());
    let mut browser = Browser::new(other.socket());
    let page = sign_in(&mut browser, &mut other, "/grades", "pupil-12").await;
    assert!(page.text().contains("zinnia.omarsh"), "{}", page.text());
    other.signal("INT");
    assert_clean(&other.end());
}

#[tokio::test]
async fn localhost_is_the_demo_whatever_it_leads_to() {
    let mut demo = Demo::start();
    let port = demo.socket().port();
    let host = format!("localhost:{port}");
    assert_eq!(Request::get("/").header("Host", &host).send(demo.socket()).await.status, 200);
    // A machine without IPv6 has no second address.
    if TcpListener::bind("[::1]:0").is_ok() {
        let six = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port));
        assert_eq!(Request::get("/").header("Host", &host).send(six).await.status, 200);
    }
}

#[test]
fn a_taken_port_is_told_with_the_cure() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let ended = Demo::spawn(&["--listen", &address], |_| {}).end();
    assert_eq!(ended.status.code(), Some(1));
    let port = other.local_addr().unwrap().port();
    assert!(ended.complained.starts_with(&format!("schoolgate: port {port} is taken")), "{}", ended.complained);
    assert!(ended.complained.contains("--listen") && !ended.complained.contains("os error"), "{}", ended.complained);
    assert!(ended.left_behind.is_empty() && ended.said.is_empty(), "{}", ended.said);
}

#[test]
fn it_never_listens_for_other_machines() {
    for (address, cure) in
        [("0.0.0.0:8099", "127.0.0.1:8099"), ("[::]:8099", "127.0.0.1:8099"), ("school.example:80", "127.0.0.1:8081")]
    {
        let ended = Demo::spawn(&["--listen", address], |_| {}).end();
        assert_eq!(ended.status.code(), Some(2), "{}", ended.complained);
        assert!(ended.complained.contains(cure), "{}", ended.complained);
        assert!(ended.left_behind.is_empty());
    }
}

#[test]
fn a_missing_temporary_folder_is_told_with_its_name() {
    let ended = Demo::spawn(&["--listen", "127.0.0.1:0"], |command| {
        command.env("TMPDIR", "/nowhere/at/all");
    })
    .end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.complained.contains("/nowhere/at/all") && ended.complained.contains("TMPDIR"),
        "{}",
        ended.complained
    );
}

#[tokio::test]
async fn an_odd_folder_and_a_proxy_in_the_environment_do_no_harm() {
    let outer = tempfile::tempdir().unwrap();
    // Longer than the path of a Unix socket may be.
    let odd = outer.path().join(format!("Ärger \"mit\" \\ {}", "x".repeat(120)));
    std::fs::create_dir(&odd).unwrap();
    let mut demo = Demo::spawn(&["--listen", "127.0.0.1:0"], |command| {
        command.env("TMPDIR", &odd);
        for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env(variable, "http://127.0.0.1:1");
        }
    });
    let mut browser = Browser::new(demo.socket());
    let page = sign_in(&mut browser, &mut demo, "/admin/classes", "administrator").await;
    assert!(page.text().contains("Zinnia O’Marsh"), "{}", page.text());
    demo.signal("TERM");
    assert_clean(&demo.end());
    assert_eq!(std::fs::read_dir(&odd).unwrap().count(), 0);
}
