//! The real program, `schoolgate demo`, as a stranger starts it.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// No test waits longer for the program.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running demo. It is killed when this is dropped.
pub struct Demo {
    child: Child,
    lines: mpsc::Receiver<String>,
    said: Vec<String>,
    surroundings: tempfile::TempDir,
}

/// What is left of a demo that has ended.
pub struct Ended {
    pub status: ExitStatus,
    pub said: String,
    pub complained: String,
    /// Every file and folder below its temporary folder, its home and its working directory.
    pub left_behind: Vec<PathBuf>,
}

impl Demo {
    /// On a free port, and ready.
    pub fn start() -> Self {
        let mut demo = Self::spawn(&["--listen", "127.0.0.1:0"], |_| {});
        demo.address();
        demo
    }

    /// With these arguments, whatever comes of it. Everything that it could write to is empty.
    pub fn spawn(arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let surroundings = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_schoolgate"));
        command.arg("demo").args(arguments).env_remove("RUST_LOG").env_remove("SCHOOLGATE_CONFIG");
        for (name, variable) in [("tmp", "TMPDIR"), ("home", "HOME")] {
            std::fs::create_dir(surroundings.path().join(name)).unwrap();
            command.env(variable, surroundings.path().join(name));
        }
        std::fs::create_dir(surroundings.path().join("cwd")).unwrap();
        command.current_dir(surroundings.path().join("cwd"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, said: Vec::new(), surroundings }
    }

    /// The address that it prints, without a path.
    pub fn address(&mut self) -> String {
        loop {
            let printed = self.said.iter().find_map(|line| {
                let (_, address) = line.split_once("Open this in your browser:")?;
                Some(address.trim().trim_end_matches('/').to_owned())
            });
            if let Some(address) = printed {
                return address;
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(_) => {
                    let complaints = self.complaints();
                    panic!("the demo printed no address: {:?}; {complaints}", self.said)
                }
            }
        }
    }

    /// The URL of a path.
    pub fn at(&mut self, path: &str) -> String {
        self.address() + path
    }

    /// The port of the printed address, on IPv4.
    pub fn socket(&mut self) -> SocketAddr {
        let port = self.address().rsplit(':').next().unwrap().parse().unwrap();
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// Its temporary folder, as soon as there is one.
    pub fn folder(&mut self) -> PathBuf {
        let tmp = self.surroundings.path().join("tmp");
        self.eventually(|_| Some(std::fs::read_dir(&tmp).ok()?.next()?.ok()?.path()))
    }

    /// Sends a signal: `INT`, `TERM` or `HUP`.
    pub fn signal(&self, name: &str) {
        // The shell's own kill: a small machine has no other.
        let script = format!("kill -s {name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let status = self.eventually(|demo| demo.child.try_wait().unwrap());
        let complained = self.complaints();
        self.said.extend(self.lines.iter());
        let mut left_behind = Vec::new();
        for folder in ["tmp", "home", "cwd"] {
            list(&self.surroundings.path().join(folder), &mut left_behind);
        }
        Ended { status, said: self.said.join("\n"), complained, left_behind }
    }

    /// What it wrote to stderr; call it when the program has ended or is about to.
    fn complaints(&mut self) -> String {
        let _ = self.child.kill();
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut text).unwrap();
        }
        text
    }

    fn eventually<T>(&mut self, mut attempt: impl FnMut(&mut Self) -> Option<T>) -> T {
        #[allow(clippy::disallowed_methods, reason = "another process has its own time")]
        let start = Instant::now();
        loop {
            if let Some(value) = attempt(self) {
                return value;
            }
            assert!(start.elapsed() < PATIENCE, "the demo does nothing; it said {:?}", self.said);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn list(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, into);
        }
        into.push(path);
    }
}
