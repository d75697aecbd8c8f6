//! Real apps that note what they act on.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// No app takes longer to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often another port is tried.
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
    /// PHP's own web server.
    Php,
    /// PHP behind nginx, by FastCGI, as PHP-FPM is.
    PhpBehindNginx,
    Node,
    Nginx,
}

/// A running app; it ends when this is dropped, by a panic too.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    kind: Kind,
    child: Child,
    _behind: Option<Behind>,
    folder: tempfile::TempDir,
}

impl App {
    pub(crate) fn start(kind: Kind) -> Self {
        let started = (0..TRIES).find_map(|_| Self::attempt(kind));
        started.unwrap_or_else(|| panic!("{kind:?} does not start"))
    }

    /// On a port that was free a moment ago.
    fn attempt(kind: Kind) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        for place in FOLDERS {
            let place = folder.path().join(format!("site{place}"));
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join("index.html"), "noted").unwrap();
            fs::copy(root().join("app.php"), place.join("index.php")).unwrap();
        }
        let behind = matches!(kind, Kind::PhpBehindNginx).then(|| Behind::php(folder.path()));
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = command(kind, folder.path(), address).spawn().unwrap_or_else(|why| {
            panic!("{kind:?} does not start ({why}): run `scripts/setup test`, which installs what is missing")
        });
        let mut app = Self { address, kind, child, _behind: behind, folder };
        app.is_there().then_some(app)
    }

    /// Waits until the app has noted a request: somebody else may have been quicker to take the port.
    fn is_there(&mut self) -> bool {
        eventually(|| self.has_ended() || self.notes_a_request()) && !self.has_ended()
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    fn notes_a_request(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address) else { return false };
        let request = "GET /public/ HTTP/1.1\r\nHost: app\r\nX-Case: first\r\nConnection: close\r\n\r\n";
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read(&mut [0; 1024]));
        self.has_noted("first")
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

    /// Whether a request has been noted: nginx does it after its answer.
    pub(crate) fn has_noted(&self, case: &str) -> bool {
        let wanted = format!("\"{case}\"");
        let text = fs::read(self.folder.path().join("notes")).unwrap_or_default();
        String::from_utf8_lossy(&text).contains(&wanted)
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

/// What works behind a web server.
struct Behind(Child);

impl Behind {
    fn php(folder: &Path) -> Self {
        let socket = folder.join("php");
        let mut command = Command::new("php-cgi");
        command.args(["-n", "-b", socket.to_str().unwrap()]).env("NOTES", folder.join("notes"));
        // It would end itself after 500 requests.
        command.env("PHP_FCGI_MAX_REQUESTS", "0");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("scripts/setup test installs php-cgi");
        assert!(eventually(|| std::os::unix::net::UnixStream::connect(&socket).is_ok()), "php-cgi does not listen");
        Self(child)
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
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
        Kind::Nginx | Kind::PhpBehindNginx => {
            let name = if matches!(kind, Kind::Nginx) { "nginx.conf" } else { "nginx-php.conf" };
            let text = fs::read_to_string(root().join(name)).unwrap();
            let text = text.replace("@FOLDER@", folder.to_str().unwrap());
            let file = folder.join("nginx.conf");
            fs::write(&file, text.replace("@PORT@", &address.port().to_string())).unwrap();
            // Not everybody's PATH leads there.
            let debians = Path::new("/usr/sbin/nginx");
            let mut command = Command::new(if debians.exists() { debians } else { Path::new("nginx") });
            command.arg("-e").arg(folder.join("errors")).arg("-c").arg(&file);
            command
        }
    };
    command.env("NOTES", folder.join("notes")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
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
