//! A Redis server of a test's own. `tests/support/redis.rs` uses this file too, so it knows nothing of the
//! crate.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// How long a server may take to start.
const STARTING: Duration = Duration::from_secs(20);

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Stops the server when nobody holds its standard input any more: when the test process has ended, however
/// it ended.
const WARDEN: &str = r#""$@" & server=$!; echo $server > pid; read -r _; kill -KILL $server 2>/dev/null; wait $server"#;

/// A server in a folder of its own, on a port that was free. It dies with this value.
#[derive(Debug)]
pub struct Server {
    program: &'static str,
    warden: Option<Child>,
    folder: tempfile::TempDir,
    port: u16,
    options: Vec<String>,
    arguments_of_cli: Vec<String>,
}

impl Server {
    /// A plain server.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A server with further options, such as `--requirepass x`.
    pub fn with(options: &[&str]) -> Self {
        Self::prepared("redis-server", options, &[], |_, _| {})
    }

    /// A server whose options name the folder or the port: `prepare` fills the folder, `@FOLDER@` and
    /// `@PORT@` are replaced in the options. `cli` is what `redis-cli` needs to get in.
    pub fn prepared(program: &'static str, options: &[&str], cli: &[&str], prepare: impl FnOnce(&Path, u16)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        prepare(folder.path(), port);
        let filled = |texts: &[&str]| -> Vec<String> {
            let fill = |text: &&str| {
                text.replace("@FOLDER@", folder.path().to_str().unwrap()).replace("@PORT@", &port.to_string())
            };
            texts.iter().map(fill).collect()
        };
        let (options, arguments_of_cli) = (filled(options), filled(cli));
        let mut server = Self { program, warden: None, folder, port, options, arguments_of_cli };
        server.revive();
        server
    }

    /// Starts it again, on the same port with the same data.
    pub fn revive(&mut self) {
        assert!(self.warden.is_none(), "it runs");
        let _ = fs::remove_file(self.folder.path().join("pid"));
        let port = self.port.to_string();
        let mut command = Command::new("sh");
        command.args(["-c", WARDEN, "sh", self.program]).current_dir(self.folder.path());
        if self.program == "redis-server" && !self.options.iter().any(|option| option == "--tls-port") {
            command.args(["--port", &port]);
        }
        if self.program == "redis-server" {
            command.args(["--bind", "127.0.0.1", "--save", "", "--dir", ".", "--databases", "1000"]);
        }
        command.args(&self.options);
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        self.warden = Some(command.spawn().unwrap());
        let ready = self.becomes(STARTING, |server| server.answers());
        assert!(
            ready,
            "{} does not start; is it installed? (make setup, or: apt-get install redis-server redis-sentinel)\n{}",
            self.program,
            fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
        );
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        // To end of input the warden answers with SIGKILL.
        if let Some(mut warden) = self.warden.take() {
            drop(warden.stdin.take());
            // One that is stopped dies all the same.
            warden.wait().unwrap();
        }
    }

    /// Stops it in its tracks: connections stay, nothing is answered.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = fs::read_to_string(self.folder.path().join("pid")).unwrap();
        let status = Command::new("kill").args([&format!("-{name}"), pid.trim()]).status().unwrap();
        assert!(status.success());
    }

    /// What `redis-cli` says.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string()]).args(&self.arguments_of_cli).args(arguments);
        let output = command.stdin(Stdio::null()).output().expect("redis-cli is not installed (make setup)");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Waits until `redis-cli` says something of a kind.
    pub fn waits_until(&self, arguments: &[&str], is_so: impl Fn(&str) -> bool) {
        let so = self.becomes(STARTING, |server| is_so(&server.cli(arguments)));
        assert!(so, "{arguments:?}: {}", self.cli(arguments));
    }

    fn answers(&self) -> bool {
        if !self.arguments_of_cli.is_empty() {
            return self.cli(&["PING"]).contains("PONG");
        }
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut answer = [0; 5];
        stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && answer != *b"-LOAD"
    }

    fn becomes(&self, limit: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..limit.as_millis() / LOOK.as_millis() {
            if is_so(self) {
                return true;
            }
            thread::sleep(LOOK);
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
