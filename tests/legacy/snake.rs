//! An app from PyPI in the environment that `scripts/setup test` makes.

use std::{
    io::{BufRead, BufReader, pipe},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

/// No app takes longer to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often another port is tried when somebody else was quicker to take it.
const TRIES: usize = 5;

/// A running app; it is killed when this is dropped, by a panic too.
pub(crate) struct Snake {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Drop for Snake {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

impl Snake {
    /// Radicale, which believes `X-Remote-User`. Its calendars are in `folder`.
    pub(crate) async fn radicale(folder: &Path) -> Self {
        for _ in 0..TRIES {
            let address = free_address();
            let folder = folder.display();
            let text = format!(
                "[server]\nhosts = {address}\n[auth]\ntype = http_x_remote_user\ndelay = 0\n\
                 [rights]\ntype = owner_only\n[storage]\nfilesystem_folder = {folder}/collections\n"
            );
            let path = format!("{folder}/radicale.conf");
            std::fs::write(&path, text).unwrap();
            let (child, said) = start(&["-m", "radicale", "--config", &path], "Radicale server ready").await;
            let snake = Self { address, child };
            match said {
                Ok(_) => return snake,
                Err(log) => assert!(log.contains("in use"), "{log}"),
            }
        }
        panic!("no port is free");
    }

    /// The Django site of `school_site.py` for `host`, which believes `Remote-User`.
    pub(crate) async fn django(folder: &Path, host: &str) -> Self {
        let script = root().join("tests/legacy/school_site.py");
        let arguments = [script.to_str().unwrap(), folder.to_str().unwrap(), host];
        let (child, said) = start(&arguments, "Listening on ").await;
        let mut snake = Self { address: free_address(), child };
        let line = said.unwrap_or_else(|log| panic!("{log}"));
        snake.address = line.trim_start_matches("Listening on ").parse().unwrap();
        snake
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts Python and waits for a line that has `ready` in it; else returns what was said before it ended.
async fn start(arguments: &[&str], ready: &'static str) -> (Child, Result<String, String>) {
    let python = root().join("target/legacy/bin/python");
    assert!(python.exists(), "{} is missing: run `scripts/setup test`, which installs the apps", python.display());
    let (reader, writer) = pipe().unwrap();
    let mut command = Command::new(python);
    // The log must not wait in a buffer, and no cache is left in the source tree.
    command.args(["-u", "-B"]).args(arguments).stdin(Stdio::null());
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let child = command.spawn().unwrap();
    // The child has the only writing ends from here on.
    drop(command);
    let (sender, mut said) = watch::channel(None);
    thread::spawn(move || {
        let mut log = String::new();
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if line.contains(ready) {
                sender.send_replace(Some(Ok(line)));
            } else {
                log.push_str(&format!("{line}\n"));
            }
        }
        sender.send_if_modified(|said| {
            let silent = said.is_none();
            *said = said.take().or(Some(Err(log)));
            silent
        });
    });
    let waited = timeout(PATIENCE, said.wait_for(Option::is_some)).await.expect("the app does not start");
    let said = waited.unwrap().clone().unwrap();
    (child, said)
}
