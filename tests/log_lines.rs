//! The log under load: what a stranger cannot do to it, and what a reader that is gone cannot do to the gateway.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    io::Read,
    net::SocketAddr,
    os::{fd::AsFd, unix::process::CommandExt},
    process::Stdio,
    time::Duration,
};

use support::{Connection, HOST, Program, RawApp, Request, Site};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

const PATIENCE: Duration = Duration::from_secs(60);

fn json(log: &str) -> Vec<serde_json::Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
}

async fn refused(address: SocketAddr) {
    let mut stream = Connection::open(address).await.into_stream();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
    timeout(PATIENCE, read).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400 "));
}

#[tokio::test]
async fn ten_thousand_refused_heads_leave_a_few_lines_and_the_count_of_the_rest_and_nothing_else_is_lost() {
    let site = Site::start().await;
    let program = site.run(&[("routes", "[log]\nformat = \"json\"")]).await;
    let address = program.address();
    let flood = async {
        for _ in 0..100 {
            let many = (0..100).map(|_| tokio::spawn(refused(address)));
            for one in many.collect::<Vec<_>>() {
                one.await.unwrap();
            }
        }
    };
    let meanwhile = async {
        for number in 0..200 {
            let answer = Request::get(&format!("/public/{number}")).header("Host", HOST).send(address).await;
            assert_eq!(answer.status, 200);
        }
        let mut browser = program.browser();
        support::world::through_apple(&mut browser, "/start", "teacher-1").await;
    };
    tokio::join!(flood, meanwhile);
    // The end of the window, and not only of the program, tells what was left out.
    program.logged("\"suppressed\"").await;
    program.terminate().await;
    let lines = json(&program.ended().await.1);
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).cloned().collect::<Vec<_>>();
    let (written, summaries) = (of("refused").len(), of("suppressed"));
    let left_out: u64 = summaries
        .iter()
        .map(|line| {
            assert_eq!((&line["kind"], &line["level_of_kind"]), (&"refused".into(), &"INFO".into()), "{line}");
            line["count"].as_u64().unwrap()
        })
        .sum();
    assert_eq!(u64::try_from(written).unwrap() + left_out, 10_000, "{summaries:?}");
    // One window after the other, for as long as the flood took.
    assert!(written <= 50 * (summaries.len() + 1) && summaries.len() <= 12, "{written} {summaries:?}");
    let asked = |number: usize| of("request").iter().filter(|line| line["path"] == format!("/public/{number}")).count();
    assert_eq!((0..200).map(asked).sum::<usize>(), 200);
    assert_eq!(of("signed_in").len(), 1);
    assert!(of("lines_lost").is_empty());
}

#[tokio::test]
async fn a_stderr_that_nobody_reads_holds_up_no_request_and_not_the_end() {
    let site = Site::start().await;
    // Fills a pipe of 64 KiB, and 4 MiB behind it.
    let (requests, long) = (450, "x".repeat(16_000));
    let text = site.configuration(&[]);
    std::fs::write(site.path("gateway.toml"), text).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = Program::command(&["run", "--config", site.path("gateway.toml").to_str().unwrap()]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).spawn().unwrap();
    drop(command);
    let reading = tokio::task::spawn_blocking(move || {
        let mut said = Vec::new();
        let mut byte = [0];
        while !String::from_utf8_lossy(&said).contains("\"started\"") || byte != *b"\n" {
            reader.read_exact(&mut byte).unwrap();
            said.push(byte[0]);
        }
        (reader, String::from_utf8(said).unwrap())
    });
    let (mut reader, said) = timeout(PATIENCE, reading).await.unwrap().unwrap();
    let port = said.rsplit_once("127.0.0.1:").unwrap().1.split(']').next().unwrap().parse().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    for number in 0..requests {
        let request = Request::get(&format!("/public/{number}/{long}")).header("Host", HOST);
        assert_eq!(timeout(PATIENCE, request.send(address)).await.unwrap().status, 200, "{number}");
    }
    // Whoever reads again hears how much was lost, and then everything.
    let reading = tokio::task::spawn_blocking(move || {
        let (mut said, mut buffer) = (String::new(), vec![0; 1 << 16]);
        while !said.contains("lines_lost") || !said.contains("/public/again") {
            let read = reader.read(&mut buffer).unwrap();
            assert!(read > 0, "it ended");
            said.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        (reader, said)
    });
    while !reading.is_finished() {
        let request = Request::get("/public/again").header("Host", HOST);
        assert_eq!(request.send(address).await.status, 200);
    }
    let (reader, said) = timeout(PATIENCE, reading).await.unwrap().unwrap();
    let lost = said.lines().find(|line| line.contains("lines_lost")).unwrap();
    let lost: usize = lost.split_once("count=").unwrap().1.trim().parse().unwrap();
    let written = (0..requests).filter(|number| said.contains(&format!("path=\"/public/{number}/x"))).count();
    assert!(lost > 100 && written > 200, "{lost} lost, {written} written");
    // Nobody reads, and it has much to say: it ends all the same.
    for number in 0..requests {
        let request = Request::get(&format!("/public/{number}/{long}")).header("Host", HOST);
        assert_eq!(timeout(PATIENCE, request.send(address)).await.unwrap().status, 200, "{number}");
    }
    let kill = format!("kill -TERM {}", child.id().unwrap());
    assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    assert!(timeout(PATIENCE, child.wait()).await.expect("it waits for its reader").unwrap().success());
    drop(reader);
}

#[tokio::test]
async fn a_stderr_that_is_gone_ends_nothing() {
    let site = Site::start().await;
    let text = site.configuration(&[]);
    std::fs::write(site.path("gateway.toml"), text).unwrap();
    let mut command = Program::command(&["run", "--config", site.path("gateway.toml").to_str().unwrap()]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let socket = site.path("admin.sock");
    while tokio::net::UnixStream::connect(&socket).await.is_err() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        tokio::task::yield_now().await;
    }
    assert_eq!(support::program::ask(&socket, "GET", "/livez").await.status, 200);
    let kill = format!("kill -TERM {}", child.id().unwrap());
    assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    assert!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().success());
}

/// What the program says on a pipe that `$JOURNAL_STREAM` names, or another.
async fn said_to_the_journal(is_journal: bool) -> String {
    let site = Site::start().await;
    let text = site.configuration(&[]);
    std::fs::write(site.path("gateway.toml"), text).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let stat = rustix::fs::fstat(writer.as_fd()).unwrap();
    let inode = if is_journal { stat.st_ino } else { stat.st_ino + 1 };
    let mut command = Program::command(&["run", "--config", site.path("gateway.toml").to_str().unwrap()]);
    command.env("JOURNAL_STREAM", format!("{}:{inode}", stat.st_dev)).stdin(Stdio::null()).stdout(Stdio::null());
    command.as_std_mut().arg0("schoolgate");
    let mut child = command.stderr(writer).spawn().unwrap();
    drop(command);
    let socket = site.path("admin.sock");
    while tokio::net::UnixStream::connect(&socket).await.is_err() {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        tokio::task::yield_now().await;
    }
    support::program::ask(&socket, "DELETE", "/sessions").await;
    let kill = format!("kill -TERM {}", child.id().unwrap());
    assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    assert!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().success());
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    said
}

#[tokio::test]
async fn lines_for_the_journal_have_their_priority_in_front_and_no_time() {
    let said = said_to_the_journal(true).await;
    assert!(said.lines().count() >= 4 && said.contains("<4>") && said.contains("<6>"), "{said}");
    for line in said.lines() {
        let (priority, rest) = line.strip_prefix('<').and_then(|line| line.split_once('>')).unwrap();
        assert!(["3", "4", "6", "7"].contains(&priority) && rest.starts_with("schoolgate::"), "{line}");
    }
    assert!(!said_to_the_journal(false).await.contains("<6>"), "stderr was led elsewhere");
}

#[tokio::test]
async fn every_line_of_a_request_has_its_number_its_trace_its_client_and_its_host() {
    let site = Site::start().await;
    let program = site.run(&[("routes", "[log]\nformat = \"json\"")]).await;
    let mut browser = program.browser();
    support::world::through_apple(&mut browser, "/start", "teacher-1").await;
    browser.open(&support::world::at("/.schoolgate/sign-out")).await;
    program.logged("\"signed_out\"").await;
    program.terminate().await;
    let lines = json(&program.ended().await.1);
    for event in ["sign_in_begun", "signed_in", "signed_out", "id_token_verified", "request"] {
        let line =
            lines.iter().find(|line| line["event"] == event).unwrap_or_else(|| panic!("no {event} in {lines:#?}"));
        assert_eq!((&line["client"], &line["host"]), (&"127.0.0.1".into(), &HOST.into()), "{line}");
        let (number, trace) = (line["request_id"].as_str().unwrap(), line["trace_id"].as_str().unwrap());
        assert!(number.len() == 32 && number == trace, "{line}");
        let of_request = |other: &&serde_json::Value| other["event"] == "request" && other["request_id"] == number;
        assert_eq!(lines.iter().filter(of_request).count(), 1, "{line}");
    }
    let redeemed = lines.iter().find(|line| line["event"] == "apple_call" && line["call"] == "redeem").unwrap();
    assert!(redeemed["request_id"].is_string(), "{redeemed}");
    let told = lines.iter().map(ToString::to_string).collect::<String>();
    assert!(!told.contains(&site.apple.person("teacher-1").unwrap().subject.to_string()), "a person is in the log");
}

/// RUST_LOG takes lines away, and never what the other lines say.
#[tokio::test]
async fn a_warning_names_its_request_when_nothing_else_is_written() {
    let site = Site::start().await;
    let dead = RawApp::start().await.address;
    let app = format!(
        "[[app]]\nname = \"dead\"\nhost = \"dead.school.example\"\nupstream = \"http://{dead}\"\n[[app.route]]\npath = \"/\"\naccess = \"public\"\n[log]\ntraces = \"http://{dead}\""
    );
    std::fs::write(site.path("gateway.toml"), site.configuration(&[("routes", &*app)])).unwrap();
    let mut command = Program::command(&["run", "--config", site.path("gateway.toml").to_str().unwrap()]);
    command.env("RUST_LOG", "schoolgate::proxy=warn,schoolgate::server=info");
    let mut program = Program::watched(command);
    program.started().await;
    let answer = Request::get("/").header("Host", "dead.school.example").send(program.address()).await;
    assert_eq!(answer.status, 502);
    program.logged("event=\"upstream_unreachable\"").await;
    program.terminate().await;
    let (_, log) = program.ended().await;
    let line = log.lines().find(|line| line.contains("upstream_unreachable")).unwrap();
    let number = answer.header("x-request-id").unwrap();
    for part in [
        format!("request_id={number}"),
        format!("trace_id={number}"),
        "client=127.0.0.1".into(),
        "host=\"dead.school.example\"".into(),
    ] {
        assert!(line.contains(&part), "{part}: {line}");
    }
    assert!(!log.contains("event=\"request\""), "{log}");
}

#[tokio::test]
async fn an_app_that_wants_tls_and_is_asked_in_clear_is_told_apart() {
    let site = Site::start().await;
    let app = support::tls_app::TlsApp::before(site.echo.address, support::tls_app::self_signed(&["localhost"])).await;
    let app = format!(
        "[[app]]\nname = \"tls\"\nhost = \"tls.school.example\"\nupstream = \"http://{}\"\n\
         [[app.route]]\npath = \"/\"\naccess = \"public\"",
        app.address
    );
    let program = site.run(&[("routes", &*app)]).await;
    let answer = Request::get("/").header("Host", "tls.school.example").send(program.address()).await;
    assert_eq!(answer.status, 502);
    program.logged("event=\"upstream_failed\" app=\"tls\"").await;
    assert!(program.log().contains("if the app wants TLS, its upstream is an https:// URL"), "{}", program.log());
}

/// Nobody's request has a span, until somebody asks for the fields of one.
#[tokio::test]
async fn a_directive_that_names_a_field_of_requests_is_heard() {
    let site = Site::start().await;
    std::fs::write(site.path("gateway.toml"), site.configuration(&[])).unwrap();
    let mut command = Program::command(&["run", "--config", site.path("gateway.toml").to_str().unwrap()]);
    command.env("RUST_LOG", format!("warn,schoolgate::server=info,[request{{host={HOST}}}]=info"));
    let mut program = Program::watched(command);
    program.started().await;
    for host in ["nobody.school.example", HOST] {
        let _ = Request::get("/public/asked").header("Host", host).send(program.address()).await;
    }
    program.logged("event=\"request\"").await;
    program.terminate().await;
    let (_, log) = program.ended().await;
    let lines: Vec<_> = log.lines().filter(|line| line.contains("event=\"request\"")).collect();
    assert!(lines.len() == 1 && lines[0].contains(&format!("host={HOST:?}")), "{log}");
}
