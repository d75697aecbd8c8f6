//! A Redis server of a test's own. `tests/support/redis.rs` uses this file too, so it knows nothing of the
//! crate.
#![allow(dead_code, unreachable_pub, reason = "each of the two uses a part of this")]

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
        Self::prepared_on(free_port(), program, options, cli, prepare)
    }

    fn prepared_on(
        port: u16,
        program: &'static str,
        options: &[&str],
        cli: &[&str],
        prepare: impl FnOnce(&Path, u16),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
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
            command.args(["--repl-diskless-sync-delay", "0"]);
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

/// An authority with a certificate for 127.0.0.1 and one for a client: `ca.pem`, `server.pem`, `server.key`,
/// `client.pem`, `client.key`.
pub fn certificates(folder: &Path) {
    let openssl = |arguments: &[&str]| {
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let key = if arguments[0] == "req" { &key[..] } else { &[] };
        let mut command = Command::new("openssl");
        let output = command.current_dir(folder).args(arguments).args(key).output();
        let output = output.expect("openssl is not installed (make setup)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").unwrap();
    openssl(&["req", "-x509", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem", "-days", "9"]);
    for name in ["server", "client"] {
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        openssl(&["req", "-subj", "/CN=x", "-keyout", &key, "-out", &request]);
        let by = ["x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "9"];
        openssl(&[&by[..], &["-extfile", "names", "-in", &request, "-out", &certificate]].concat());
    }
}

/// A server that speaks TLS alone, and wants a certificate of its clients or not.
pub fn server_with_tls(wants_certificate: bool) -> Server {
    let wants = if wants_certificate { "yes" } else { "no" };
    let options = ["--port", "0", "--tls-port", "@PORT@", "--tls-cert-file", "server.pem", "--tls-key-file"];
    let rest = ["server.key", "--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", wants];
    let cli = ["--tls", "--cacert", "@FOLDER@/ca.pem", "--cert", "@FOLDER@/client.pem", "--key", "@FOLDER@/client.key"];
    Server::prepared("redis-server", &[&options[..], &rest].concat(), &cli, |folder, _| certificates(folder))
}

/// Servers with replicas and Sentinels that watch them, under the name `school`.
#[derive(Debug)]
pub struct Sentinels {
    /// The first is the primary at the start, the others its replicas.
    pub servers: Vec<Server>,
    pub sentinels: Vec<Server>,
}

impl Sentinels {
    /// One primary, one replica, three Sentinels, all with the same password when there is one.
    pub fn start(password: Option<&str>) -> Self {
        let secret: Vec<&str> =
            password.map(|word| vec!["--requirepass", word, "--masterauth", word]).unwrap_or_default();
        let cli: Vec<&str> = password.map(|word| vec!["--no-auth-warning", "-a", word]).unwrap_or_default();
        let primary = Server::prepared("redis-server", &secret, &cli, |_, _| {});
        let port = primary.port().to_string();
        let from = format!("127.0.0.1 {port}");
        let options = [&secret[..], &["--replicaof", &from]].concat();
        let replica = Server::prepared("redis-server", &options, &cli, |_, _| {});
        replica.waits_until(&["INFO", "replication"], |said| said.contains("master_link_status:up"));
        let auth = password.map(|word| format!("sentinel auth-pass school {word}\nrequirepass {word}\n"));
        let ports = [free_port(), free_port(), free_port()];
        let id = |port: u16| format!("{port:040x}");
        // They know one another already, and look around more often than in life.
        let sentinel = |port: u16| {
            let others = ports.iter().filter(|other| **other != port);
            let others =
                others.map(|other| format!("sentinel known-sentinel school 127.0.0.1 {other} {}\n", id(*other)));
            let text = format!(
                "bind 127.0.0.1\nport {port}\nsentinel myid {}\nsentinel monitor school 127.0.0.1 {} 2\n\
                 sentinel down-after-milliseconds school 1000\nsentinel failover-timeout school 3000\n\
                 sentinel known-replica school 127.0.0.1 {}\n{}{}",
                id(port),
                primary.port(),
                replica.port(),
                others.collect::<String>(),
                auth.as_deref().unwrap_or_default()
            );
            let prepare = |folder: &Path, _| fs::write(folder.join("sentinel.conf"), text).unwrap();
            let server = Server::prepared_on(port, "redis-sentinel", &["sentinel.conf"], &cli, prepare);
            let often = ["INFO-PERIOD", "200", "PUBLISH-PERIOD", "200", "ASK-PERIOD", "200", "PING-PERIOD", "200"];
            assert_eq!(server.cli(&[&["SENTINEL", "DEBUG"], &often[..]].concat()), "OK");
            server
        };
        let sentinels: Vec<_> = ports.map(sentinel).into();
        for sentinel in &sentinels {
            sentinel.waits_until(&["SENTINEL", "CKQUORUM", "school"], |said| said.starts_with("OK 3"));
        }
        Self { servers: vec![primary, replica], sentinels }
    }

    /// The Sentinels as a URL names them.
    pub fn hosts(&self) -> String {
        hosts(&self.sentinels)
    }

    /// Waits until all Sentinels agree on a primary.
    pub fn waits_for_primary(&self, index: usize) {
        let port = self.servers[index].port().to_string();
        for sentinel in &self.sentinels {
            sentinel.waits_until(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "school"], |said| said.contains(&port));
        }
    }
}

/// A cluster of three primaries, with a replica each when one is wanted.
#[derive(Debug)]
pub struct Cluster {
    pub servers: Vec<Server>,
}

impl Cluster {
    pub fn start(has_replicas: bool) -> Self {
        let server = |_| {
            let bus = free_port().to_string();
            let options = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1000"];
            (Server::with(&options), bus)
        };
        let servers: Vec<_> = (0..if has_replicas { 6 } else { 3 }).map(server).collect();
        let ids: Vec<_> = servers.iter().map(|(server, _)| server.cli(&["CLUSTER", "MYID"])).collect();
        for (index, (server, _)) in servers.iter().enumerate() {
            assert_eq!(server.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]), "OK");
            if let Some((first, last)) = [("0", "5460"), ("5461", "10922"), ("10923", "16383")].get(index) {
                assert_eq!(server.cli(&["CLUSTER", "ADDSLOTSRANGE", first, last]), "OK");
            }
        }
        for (other, bus) in &servers[1..] {
            servers[0].0.cli(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string(), bus]);
        }
        let know_all = format!("cluster_known_nodes:{}", servers.len());
        for (server, _) in &servers {
            server.waits_until(&["CLUSTER", "INFO"], |said| said.contains(&know_all));
        }
        for (index, (server, _)) in servers.iter().enumerate().skip(3) {
            server.waits_until(&["CLUSTER", "REPLICATE", &ids[index - 3]], |said| said == "OK");
            server.waits_until(&["INFO", "replication"], |said| said.contains("master_link_status:up"));
        }
        for (server, _) in &servers {
            server.waits_until(&["CLUSTER", "INFO"], |said| said.contains("cluster_state:ok"));
        }
        Self { servers: servers.into_iter().map(|(server, _)| server).collect() }
    }

    /// The nodes as a URL names them.
    pub fn hosts(&self) -> String {
        hosts(&self.servers)
    }

    /// The node that has the slot of a key.
    pub fn node_of(&self, key: &str) -> usize {
        let slot: u16 = self.servers[0].cli(&["CLUSTER", "KEYSLOT", key]).parse().unwrap();
        usize::from(slot > 5460) + usize::from(slot > 10922)
    }
}

fn hosts(servers: &[Server]) -> String {
    servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect::<Vec<_>>().join(",")
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
