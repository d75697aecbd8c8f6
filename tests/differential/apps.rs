//! Real apps that note what they act on.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// No app takes longer to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often another port is tried when somebody else was quicker to take it.
const TRIES: usize = 5;

/// Where an app has a page of its own.
const FOLDERS: &[&str] = &["", "/public", "/public/admin", "/admin", "/optional", "/notes", "/staff"];

/// What an app noted of one request.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// The name that the request brought along, if the app could still see it.
    pub(crate) case: String,
    /// The path, in every way in which the app may read it. The first is the plain one.
    pub(crate) readings: Vec<String>,
    pub(crate) method: String,
    /// As the app's runtime names them.
    pub(crate) headers: BTreeMap<String, String>,
}

/// A kind of app.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Gunicorn,
    Php,
    Node,
    Nginx,
}

/// A running app; it ends when this is dropped, by a panic too.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    kind: Kind,
    child: Child,
    folder: tempfile::TempDir,
}

impl App {
    pub(crate) fn start(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for place in FOLDERS {
            let place = folder.path().join(format!("site{place}"));
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join("index.html"), "noted").unwrap();
            fs::copy(root().join("app.php"), place.join("index.php")).unwrap();
        }
        for _ in 0..TRIES {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut child = command(kind, folder.path(), address).spawn().unwrap_or_else(|why| {
                panic!("{kind:?} does not start ({why}): run `scripts/setup test`, which installs what is missing")
            });
            if listens(&mut child, address) {
                return Self { address, kind, child, folder };
            }
        }
        panic!("{kind:?} does not start; {}", fs::read_to_string(folder.path().join("log")).unwrap_or_default());
    }

    /// Everything noted so far.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let bytes = fs::read(self.folder.path().join("notes")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        text.lines().map(|line| self.note(line)).collect()
    }

    fn note(&self, line: &str) -> Note {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let site = self.folder.path().join("site").display().to_string();
        let readings = value["readings"].as_array().unwrap().iter().map(text);
        Note {
            case: text(&value["case"]),
            readings: readings.map(|path| path.strip_prefix(&site).map_or(path.clone(), str::to_owned)).collect(),
            method: text(&value["method"]),
            headers: value["headers"].as_object().unwrap().iter().map(|(name, it)| (name.clone(), text(it))).collect(),
        }
    }

    /// Waits until a request has been noted: nginx does it after its answer.
    pub(crate) fn has_noted(&self, case: &str) -> bool {
        let wanted = format!("\"{case}\"");
        let file = self.folder.path().join("notes");
        eventually(|| fs::read(&file).is_ok_and(|text| String::from_utf8_lossy(&text).contains(&wanted)))
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // gunicorn has a process for its work, which it ends itself when it is asked; the shell's own kill is
        // everywhere.
        if matches!(self.kind, Kind::Gunicorn) {
            let _ = Command::new("sh").args(["-c", &format!("kill -s TERM {}", self.child.id())]).status();
            let child = &mut self.child;
            eventually(|| matches!(child.try_wait(), Ok(Some(_))));
        }
        let _ = (self.child.kill(), self.child.wait());
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/differential")
}

fn command(kind: Kind, folder: &Path, address: SocketAddr) -> Command {
    let site = folder.join("site");
    let mut command = match kind {
        Kind::Gunicorn => {
            let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/legacy/bin/python");
            let mut command = Command::new(python);
            // As careless as it can be: fields with underscores are kept, and the proxy is believed.
            command.args([
                "-B",
                "-m",
                "gunicorn",
                "--worker-class",
                "gthread",
                "--threads",
                "4",
                "--no-control-socket",
            ]);
            command.args(["--header-map", "dangerous", "--forwarder-headers", "SCRIPT_NAME,PATH_INFO"]);
            command.args(["--forwarded-allow-ips", "*", "--bind", &address.to_string(), "app:application"]);
            command.current_dir(root());
            command
        }
        Kind::Php => {
            let mut command = Command::new("php");
            command.args(["-n", "-S", &address.to_string(), "-t", site.to_str().unwrap()]);
            command
        }
        Kind::Node => {
            let mut command = Command::new("node");
            command.arg(root().join("app.js")).env("PORT", address.port().to_string());
            command
        }
        Kind::Nginx => {
            let text = fs::read_to_string(root().join("nginx.conf")).unwrap();
            let text = text.replace("@FOLDER@", folder.to_str().unwrap());
            let file = folder.join("nginx.conf");
            fs::write(&file, text.replace("@PORT@", &address.port().to_string())).unwrap();
            let mut command = Command::new("nginx");
            command.arg("-e").arg(folder.join("errors")).arg("-c").arg(&file);
            command
        }
    };
    let log = || fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    command.env("NOTES", folder.join("notes")).stdin(Stdio::null()).stdout(log()).stderr(log());
    command
}

/// Waits until the app takes connections; false when it has ended instead.
fn listens(child: &mut Child, address: SocketAddr) -> bool {
    let mut ended = false;
    let listens = eventually(|| {
        ended = matches!(child.try_wait(), Ok(Some(_)));
        ended || TcpStream::connect(address).is_ok()
    });
    listens && !ended
}

fn eventually(mut attempt: impl FnMut() -> bool) -> bool {
    #[allow(clippy::disallowed_methods, reason = "another process has its own time")]
    let start = Instant::now();
    while !attempt() {
        if start.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}
