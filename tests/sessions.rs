//! `schoolgate sessions`: what an administrator types, and what comes of it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::BTreeSet, fs, path::Path, sync::Arc, time::Duration};

use schoolgate::{
    clock::{SystemClock, Timestamp},
    identity::{Person, ScopeSet, Subject},
    secret::Secret,
    session::{Device, Grant, Handle, IdToken, Lifetimes, MemoryStore, Record, SessionKey, Store, Stored},
};
use serde_json::Value;
use support::{
    Browser, Program, Relay, Site, World,
    program::ask,
    world::{START, at},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// What a command has printed, and how it ended.
#[derive(Debug)]
struct Said {
    status: i32,
    out: String,
    err: String,
}

/// Runs `schoolgate sessions` with a configuration.
async fn sessions(config: &Path, arguments: &[&str]) -> Said {
    let arguments = [&["sessions"], arguments, &["--config", config.to_str().unwrap()]].concat();
    let output = Program::command(&arguments).output().await.unwrap();
    Said {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What a command that goes well prints.
async fn done(config: &Path, arguments: &[&str]) -> String {
    let said = sessions(config, arguments).await;
    assert_eq!((said.status, &*said.err), (0, ""), "{said:#?}");
    said.out
}

async fn listed(config: &Path, arguments: &[&str]) -> Vec<Value> {
    let json = done(config, &[&["list", "--json"], arguments].concat()).await;
    serde_json::from_str::<Vec<Value>>(&json).unwrap_or_else(|why| panic!("{why}: {json}"))
}

/// The status of the browser's next request, which a script makes.
async fn next(browser: &Browser) -> u16 {
    browser.clone().fetch(&at("/")).await.status
}

async fn id_of(browser: &Browser) -> String {
    let me = browser.clone().fetch(&at("/.schoolgate/me")).await.json();
    me["session_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn sessions_are_listed_and_ended_over_a_unix_socket() {
    let site = Site::start().await;
    let program = site.run(&[]).await;
    let config = site.path("gateway.toml");
    assert_eq!(done(&config, &["list"]).await, "no sessions\n");
    assert_eq!(done(&config, &["list", "--json"]).await, "[]\n");
    assert_eq!(done(&config, &["end", "--all"]).await, "0 sessions ended\n");

    let [one, other, colleague, outsider] = [
        program.signed_in("teacher-1").await,
        program.signed_in("teacher-1").await,
        program.signed_in("teacher-2").await,
        program.signed_in("outsider").await,
    ];
    let (teacher, stranger) = (site.apple.person("teacher-1").unwrap(), site.apple.person("outsider").unwrap());
    let organization = teacher.organization.clone().unwrap();
    let (id, text) = (id_of(&one).await, done(&config, &["list"]).await);
    for part in ["ID  ", "NEXT REFRESH", &*id, &teacher.subject, &stranger.subject, &organization, "127.0.0.1", " ago"]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(text.ends_with("\n\n4 sessions\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert_eq!(listed(&config, &[]).await.len(), 4);
    for (arguments, count) in [
        (["--user", &*teacher.subject], 2),
        (["--organization", &*organization], 3),
        (["--user", "nobody"], 0),
        (["--organization", &*teacher.subject], 0),
    ] {
        assert_eq!(listed(&config, &arguments).await.len(), count, "{arguments:?}");
    }
    let newest = &listed(&config, &["--user", &stranger.subject]).await[0];
    assert_eq!(newest["id"], id_of(&outsider).await);
    assert_eq!(newest["org_id"], Value::Null);

    assert_eq!(done(&config, &["end", &id]).await, "1 session ended\n");
    assert_eq!([next(&one).await, next(&other).await], [401, 200]);
    let again = sessions(&config, &["end", &id]).await;
    assert_eq!((again.status, &*again.out), (1, ""), "{again:#?}");
    assert!(again.err.contains(&format!("there is no session {id}")) && again.err.contains("sessions list"));

    assert_eq!(done(&config, &["end", "--user", &teacher.subject]).await, "1 session ended\n");
    assert_eq!([next(&other).await, next(&colleague).await], [401, 200]);
    assert_eq!(done(&config, &["end", "--user", "nobody"]).await, "0 sessions ended\n");
    assert_eq!(done(&config, &["end", "--organization", &organization]).await, "1 session ended\n");
    assert_eq!([next(&colleague).await, next(&outsider).await], [401, 200]);
    assert_eq!(done(&config, &["end", "--all"]).await, "1 session ended\n");
    assert_eq!(next(&outsider).await, 401);
    assert_eq!(done(&config, &["list"]).await, "no sessions\n");
}

/// A configuration that says where the admin listener of a world is, and nothing else.
fn pointing_to(world: &World, folder: &Path) -> std::path::PathBuf {
    let path = folder.join("gateway.toml");
    fs::write(&path, format!("[server]\nadmin_listen = \"{}\"\n", world.admin)).unwrap();
    path
}

fn record(number: u64) -> (SessionKey, Stored) {
    let now = Timestamp::from_seconds(START);
    let person = Person {
        subject: Subject::parse(&format!("person-{}", number % 2)).unwrap(),
        organization: None,
        email: None,
        is_private_email: None,
        auth_time: None,
    };
    let record = Record {
        handle: Handle::parse(&format!("{number:016x}")).unwrap(),
        id_token: IdToken::new(&Secret::new("raw"), &person),
        person,
        grant: Grant {
            access_token: Secret::new("access"),
            access_expires_at: now.plus(Duration::from_secs(3600)),
            refresh_token: None,
            refreshed_at: None,
            scopes: ScopeSet::new(),
        },
        asked: ScopeSet::new(),
        device: Device::new([192, 0, 2, 7].into(), Some("Test/1.0")),
        created: now,
        generation: 0,
    };
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    (SessionKey::from_bytes(key), Stored { record: Arc::new(record), last_seen: now })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_sessions_are_listed_to_the_last_one_over_tcp() {
    let lifetimes =
        Lifetimes { idle_timeout: Duration::from_secs(8 * 3600), max_lifetime: Duration::from_secs(86_400) };
    let store = Arc::new(MemoryStore::new(lifetimes, Arc::new(SystemClock)));
    for number in 1..=2_300 {
        let (key, stored) = record(number);
        store.insert(key, stored).await.unwrap();
    }
    let world = World::with_store(store).await;
    let folder = tempfile::tempdir().unwrap();
    let config = pointing_to(&world, folder.path());
    let all = listed(&config, &[]).await;
    let ids: BTreeSet<_> = all.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((all.len(), ids.len()), (2_300, 2_300));
    assert_eq!(listed(&config, &["--user", "person-0"]).await.len(), 1_150);
    let text = done(&config, &["list"]).await;
    assert!(text.ends_with("\n\n2300 sessions\n") && text.contains("  never\n"));
    assert_eq!(done(&config, &["end", "--user", "person-1"]).await, "1150 sessions ended\n");
    assert_eq!(done(&config, &["end", "--all"]).await, "1150 sessions ended\n");
}

#[tokio::test]
async fn a_gateway_that_does_not_run_is_named_with_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.toml");
    // Taken and given back, so that nobody is there.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let socket = folder.path().join("admin.sock").display().to_string();
    for address in [free.to_string(), format!("unix:{socket}")] {
        fs::write(&config, format!("[server]\nadmin_listen = \"{address}\"\n")).unwrap();
        for arguments in [&["list"][..], &["list", "--json"], &["end", "--all"], &["end", "x"]] {
            let said = sessions(&config, arguments).await;
            assert_eq!((said.status, &*said.out), (1, ""), "{said:#?}");
            for part in [&*address, "Is the gateway running", "admin_listen", config.to_str().unwrap()] {
                assert!(said.err.contains(part), "{part} in {}", said.err);
            }
        }
    }
}

/// Something that is not the gateway: it answers every connection with the same bytes.
async fn impostor(answer: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer).await;
        }
    });
    address
}

#[tokio::test]
async fn whatever_else_listens_there_is_not_believed_and_writes_nothing_to_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.toml");
    for (answer, word) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..], "is not the admin listener"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "is not the admin listener"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "is not the admin listener"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "is not the admin listener"),
        (b"", "broke before there was an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{", "is not the admin listener"),
        (
            b"HTTP/1.1 503 No\r\nConnection: close\r\n\r\n{\"detail\":\"\\u001b[2J\\u009b31mdown\"}",
            "says no (503 Service Unavailable): \u{fffd}[2J\u{fffd}31mdown",
        ),
    ] {
        fs::write(&config, format!("[server]\nadmin_listen = \"{}\"\n", impostor(answer).await)).unwrap();
        for arguments in [["list", "--json"], ["end", "--all"]] {
            let said = sessions(&config, &arguments).await;
            assert_eq!((said.status, &*said.out), (1, ""), "{said:#?}");
            assert!(said.err.contains(word), "{word:?} in {}", said.err);
            assert!(!said.err.contains(['\u{1b}', '\u{9b}']), "{:?}", said.err);
        }
    }
    let entry = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"next\":null,\"sessions\":[{\"id\":\"a\\u001b[2J\",\
        \"sub\":\"b\\u202ec\",\"email\":\"d\\u009b1me\",\"org_id\":null,\"signed_in_at\":\"\\r\\nx\",\"last_seen\":\"\",\
        \"expires_at\":\"\",\"address\":\"\\u0007\",\"user_agent\":\"\\u001b]0;t\\u0007\",\"scopes\":[\"\\u001bc\"],\
        \"access_token_expires_at\":\"\",\"next_refresh\":null}]}";
    fs::write(&config, format!("[server]\nadmin_listen = \"{}\"\n", impostor(entry).await)).unwrap();
    for arguments in [&["list"][..], &["list", "--json"]] {
        let text = done(&config, arguments).await;
        let obeyed = |letter: char| letter != '\n' && (letter.is_control() || letter == '\u{202e}');
        assert!(!text.contains(obeyed), "{text:?}");
        assert!(text.contains("[2J"), "{text:?}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.toml");
    fs::write(&config, format!("[server]\nadmin_listen = \"{}\"\n", listener.local_addr().unwrap())).unwrap();
    let endless = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Who answers before there is a question is hung up on.
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut asked).await.unwrap() > 0, "no question comes");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut written = 0;
        while stream.write_all(&[b' '; 64 * 1024]).await.is_ok() {
            written += 64 * 1024;
            assert!(written < 256 << 20, "it reads and reads");
        }
    });
    let said = sessions(&config, &["list"]).await;
    assert!(said.status == 1 && said.err.contains("is not the admin listener"), "{said:#?}");
    endless.await.unwrap();
}

#[tokio::test]
async fn nothing_but_the_address_is_read_from_the_configuration() {
    let site = Site::start().await;
    let program = site.run(&[]).await;
    let browser = program.signed_in("teacher-1").await;
    let config = site.path("gateway.toml");
    // An administrator who may not read the keys, with a file that a newer version understands.
    fs::remove_file(site.path("apple.p8")).unwrap();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("[session]\n", "[session]\nof_tomorrow = true\n")).unwrap();
    assert_eq!(listed(&config, &[]).await.len(), 1);
    assert_eq!(done(&config, &["end", "--all"]).await, "1 session ended\n");
    assert_eq!(next(&browser).await, 401);
}

#[tokio::test]
async fn what_cannot_be_meant_is_status_2_and_ends_nothing() {
    let site = Site::start().await;
    let program = site.run(&[]).await;
    let browser = program.signed_in("teacher-1").await;
    let (config, id) = (site.path("gateway.toml"), id_of(&browser).await);
    for arguments in [
        &[][..],
        &["end"],
        &["end", &id, "--all"],
        &["end", "--user", "a", "--organization", "b"],
        &["end", "--user", "a", "--all"],
        &["end", &id, &id],
        &["end", "--user", ""],
        &["end", "--user", "a b"],
        &["end", ""],
        &["end", "--organization", "\u{e9}"],
        &["list", "--user", "a", "--organization", "b"],
        &["list", &id],
        &["list", "--all"],
        &["kill", "--all"],
    ] {
        let said = sessions(&config, arguments).await;
        assert_eq!((said.status, &*said.out), (2, ""), "{arguments:?}: {said:#?}");
        assert!(!said.err.is_empty());
    }
    for (text, word) in [
        ("[server]\nadmin_listen = \"nowhere\"\n", "server.admin_listen: \"nowhere\""),
        ("[server]\nadmin_listen = \"127.0.0.1:0\"\n", "port 0"),
        ("[server\n", "does not read as TOML"),
        ("[server]\nadmin_listen = \"unix:$STATE_DIRECTORY/a.sock\"\n", "STATE_DIRECTORY, which is not set"),
    ] {
        let wrong = site.path("wrong.toml");
        fs::write(&wrong, text).unwrap();
        let said = sessions(&wrong, &["end", "--all"]).await;
        assert_eq!((said.status, &*said.out), (2, ""), "{said:#?}");
        assert!(said.err.contains(word) && said.err.contains("wrong.toml"), "{word} in {}", said.err);
    }
    let said = sessions(Path::new("/nowhere/gateway.toml"), &["list"]).await;
    assert!(said.status == 2 && said.err.contains("there is no such file"), "{said:#?}");
    assert_eq!(next(&browser).await, 200);
}

/// Every token that went over the wire to Apple, and every cookie of the browsers.
fn secrets(relay: &Relay, browsers: &[&Browser]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for heard in relay.heard() {
        for kind in ["access_token", "refresh_token", "id_token"] {
            let before = format!("\"{kind}\":\"");
            let values = heard.split(&before).skip(1).filter_map(|rest| rest.split('"').next());
            // A token is as secret in parts.
            found.extend(values.flat_map(|token| token.split('.')).filter(|part| part.len() >= 16).map(str::to_owned));
        }
    }
    for browser in browsers {
        let cookie = browser.cookie(support::HOST, "__Host-schoolgate").unwrap();
        assert_eq!(cookie.len(), 43);
        found.insert(cookie);
    }
    found
}

#[tokio::test]
async fn no_token_and_no_cookie_is_in_anything_that_an_operator_sees() {
    let site = Site::start().await;
    let relay = Relay::to(site.apple.address()).await;
    let apple = site.apple.base_url();
    let text =
        site.configuration(&[]).replace(apple.as_str().trim_end_matches('/'), &format!("http://{}", relay.address));
    let mut program = site.spawn(&text);
    program.started().await;
    let [one, other] = [program.signed_in("teacher-1").await, program.signed_in("administrator").await];
    let (config, socket) = (site.path("gateway.toml"), site.path("admin.sock"));
    let mut seen = vec![done(&config, &["list"]).await, done(&config, &["list", "--json"]).await];
    for (method, target) in [
        ("GET", "/sessions?limit=1"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/livez"),
        ("DELETE", "/sessions?all=1"),
        ("DELETE", "/sessions?id=x"),
    ] {
        let answer = ask(&socket, method, target).await;
        seen.push(format!("{:?} {}", answer.headers, answer.text()));
    }
    let secrets = secrets(&relay, &[&one, &other]);
    seen.push(done(&config, &["end", "--all"]).await);
    seen.push(sessions(&config, &["end", "x"]).await.err);
    seen.push(program.log());
    // Two people with an access token, a refresh token and an ID token in three parts each, and two cookies; the
    // head of an ID token may be the same for both.
    assert!(secrets.len() >= 11, "{}", secrets.len());
    for text in seen {
        assert!(text.len() > 4);
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "a secret is in {text}");
        }
    }
}
