//! A real app as processes of its own.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::Duration,
};

use schoolgate::clock::Stopwatch;

use crate::support::Document;

/// How long an app may take to start.
const STARTING: Duration = Duration::from_secs(60);

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// What a recipe is tested with.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// The page, from the root of the repository.
    pub(crate) page: &'static str,
    /// The blocks of the page that the app is made of.
    pub(crate) blocks: &'static [&'static str],
    /// What stands in `upstream`.
    pub(crate) upstream: &'static str,
    /// The app's host.
    pub(crate) host: &'static str,
    /// A page that greets people.
    pub(crate) home: &'static str,
    /// What its answer to nobody has.
    pub(crate) nobody: &'static str,
    /// The link to the app's own sign-out, in that page or another.
    pub(crate) log_out: LogOut,
    /// Makes the app in a folder and starts it. The person has the `sub` of the page's administrator.
    pub(crate) start: fn(&Workshop<'_>) -> App,
}

/// How one leaves the app by its own means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LogOut {
    /// A link in the home page that has this in it.
    Link(&'static str),
    /// A form in the home page, with this action and Django's field against forged ones.
    Form(&'static str),
}

/// Where an app is made.
pub(crate) struct Workshop<'a> {
    pub(crate) page: &'a Document,
    pub(crate) folder: &'a Path,
    /// Of whom the page says that they run the app.
    pub(crate) administrator: &'a str,
    pub(crate) mail: &'a str,
}

impl Workshop<'_> {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a block of the page.
    pub(crate) fn place(&self, block: &str, name: &str) {
        self.write(name, self.page.block(block));
    }

    /// Runs a command of the page, line by line, with programs of the test's first in the path.
    pub(crate) fn run(&self, block: &str, places: &[(&str, &str)], programs: &Path) {
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let lines = self.page.filled(block, places);
        finish(Command::new("sh").args(["-ec", &lines]).env("PATH", path).current_dir(self.folder));
    }
}

/// A running app. Its processes end with this value, by a panic too.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    processes: Vec<Child>,
}

impl Drop for App {
    fn drop(&mut self) {
        for child in &mut self.processes {
            // With all that it has started itself: it leads a group.
            let group = rustix::process::Pid::from_child(child);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = child.wait();
        }
    }
}

impl App {
    /// Starts programs of which one will listen at the address that `commands` is told. Another address is tried when
    /// somebody else was quicker.
    pub(crate) fn start(folder: &Path, commands: impl Fn(SocketAddr) -> Vec<Command>) -> Self {
        let log = folder.join("log");
        for _ in 0..3 {
            let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
            let processes = commands(address).into_iter().map(|command| spawn(command, &log)).collect();
            let mut app = Self { address, processes };
            if app.listens() {
                return app;
            }
        }
        panic!("it does not start: {}", fs::read_to_string(log).unwrap_or_default());
    }

    /// The first line of an answer to a stranger: something may listen before the app behind it does.
    fn answers(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(b"GET / HTTP/1.0\r\nHost: school.example\r\n\r\n")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    }

    fn listens(&mut self) -> bool {
        let begun = Stopwatch::start();
        while begun.elapsed() < STARTING {
            if self.processes.iter_mut().any(|child| child.try_wait().unwrap().is_some()) {
                return false;
            }
            if self.answers().is_ok_and(|answer| answer.starts_with("HTTP/1.") && !answer.contains(" 502 ")) {
                return true;
            }
            thread::sleep(LOOK);
        }
        false
    }
}

/// Leads a group of its own, so that its children can be ended with it.
fn spawn(mut command: Command, log: &Path) -> Child {
    let output = || Stdio::from(File::options().create(true).append(true).open(log).unwrap());
    command.stdin(Stdio::null()).stdout(output()).stderr(output()).process_group(0);
    command.spawn().unwrap_or_else(|error| {
        panic!("{:?} does not start ({error}): run `scripts/setup test`, which installs it", command.get_program())
    })
}

/// Waits for the end of a command that must succeed; returns what it said.
pub(crate) fn finish(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("{:?} does not start ({error}): run `scripts/setup test`, which installs it", command.get_program())
    });
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// Something in the root of the repository.
pub(crate) fn root(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    assert!(path.exists(), "{} is missing: run `scripts/setup test`, which installs it", path.display());
    path
}

/// A port that nobody has, below those that systems give away by themselves.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 97).unwrap() * 10;
    let mut ports = std::iter::repeat_with(|| 30_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 1_500);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}
