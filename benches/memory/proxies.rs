//! The programs that are compared, each with and without TLS.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::{Child, Command};

use super::{
    app::App,
    common::{family, listens},
    support::{Authority, Browser, HOST, Program, TlsClient, pebble::free, world},
};

/// What stands before the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Schoolgate,
    Pingora,
    Nginx,
}

impl Which {
    pub const ALL: [Self; 3] = [Self::Schoolgate, Self::Pingora, Self::Nginx];

    pub fn name(self) -> &'static str {
        match self {
            Self::Schoolgate => "schoolgate",
            Self::Pingora => "bare pingora",
            Self::Nginx => "nginx",
        }
    }
}

/// A running proxy; it is killed when this is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    pub pids: Vec<u32>,
    /// What a request of somebody who has signed in carries.
    pub cookie: String,
    /// For TLS.
    pub authority: Authority,
    _running: Running,
    _folder: tempfile::TempDir,
}

enum Running {
    Gateway { _program: Program, _apple: Box<schoolgate::demo::StandIn> },
    Other { _child: Child },
}

impl Proxy {
    /// Starts one; `None` when it cannot do TLS, or is not there.
    pub async fn start(which: Which, app: &App, tls: bool) -> Option<Self> {
        let (authority, folder) = (Authority::new("School"), tempfile::tempdir().unwrap());
        let certificate = authority.signs(&[HOST]).write(folder.path(), "proxy");
        let started = match which {
            Which::Schoolgate => Some(gateway(folder.path(), app, tls.then_some(&certificate), &authority).await),
            Which::Pingora if tls => None,
            Which::Pingora => pass_through(app).await,
            Which::Nginx => nginx(folder.path(), app, tls).await,
        };
        let (address, pids, cookie, running) = started?;
        Some(Self { address, pids, cookie, authority, _running: running, _folder: folder })
    }

    /// A client that agrees on one protocol.
    pub fn client(&self, protocol: &str) -> TlsClient {
        TlsClient::speaking(&self.authority, &[protocol])
    }
}

type Started = (SocketAddr, Vec<u32>, String, Running);

/// The gateway, with somebody who has signed in at the stand-in.
async fn gateway(folder: &Path, app: &App, certificate: Option<&String>, authority: &Authority) -> Started {
    let clock: schoolgate::clock::SharedClock = std::sync::Arc::new(schoolgate::clock::SystemClock);
    let apple = world::stand_in(&clock, folder, world::CALLBACK).await;
    let tls = certificate.map(|certificate| format!("[server.tls]\n{certificate}")).unwrap_or_default();
    let server = format!("idle_timeout = \"1h\"\n{tls}");
    let lines = [("server", server.as_str()), ("app", "max_body = \"1GiB\"")];
    let text = world::configuration(folder, &apple, &app.address.to_string(), &lines);
    let path = folder.join("gateway.toml");
    fs::write(&path, text).unwrap();
    let program = env::var("SCHOOLGATE").unwrap_or_else(|_| env!("CARGO_BIN_EXE_schoolgate").into());
    let mut command = Command::new(program);
    command.args(["run", "--config", path.to_str().unwrap()]).kill_on_drop(true);
    for variable in ["SCHOOLGATE_CONFIG", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "RUST_LOG"] {
        command.env_remove(variable);
    }
    let mut program = Program::watched(command);
    program.started().await;
    let mut browser = match certificate {
        Some(_) => Browser::new(program.address()).with_tls(TlsClient::speaking(authority, &["http/1.1"])),
        None => Browser::new(program.address()),
    };
    let answer = world::through_apple(&mut browser, "/", "teacher-1").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let cookie = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    let (address, pids) = (program.address(), vec![program.pid()]);
    (address, pids, cookie, Running::Gateway { _program: program, _apple: Box::new(apple) })
}

async fn pass_through(app: &App) -> Option<Started> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_schoolgate")).with_file_name("examples").join("pass-through");
    if !program.exists() {
        println!("(without bare pingora: cargo build --release --locked --example pass-through)");
        return None;
    }
    let address = free();
    let mut command = Command::new(program);
    command.args([address.to_string(), app.address.to_string()]);
    let child = spawn(command);
    listens(address).await;
    let pids = vec![child.id().unwrap()];
    Some((address, pids, String::new(), Running::Other { _child: child }))
}

async fn nginx(folder: &Path, app: &App, tls: bool) -> Option<Started> {
    let (address, base, app) = (free(), folder.display(), app.address);
    let tls = match tls {
        true => format!(
            "listen {address} ssl http2; ssl_certificate {base}/proxy.pem; ssl_certificate_key {base}/proxy.key; \
             ssl_protocols TLSv1.3;"
        ),
        false => format!("listen {address};"),
    };
    // As a proxy that passes bodies on as they come; nothing goes to the disk.
    let text = format!(
        "worker_processes 1; daemon off; pid {base}/pid; error_log {base}/error.log; user root;
         worker_rlimit_nofile 20000; events {{ worker_connections 19000; }}
         http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 3600s; client_max_body_size 0;
         client_body_temp_path {base}/1; proxy_temp_path {base}/2; fastcgi_temp_path {base}/3;
         uwsgi_temp_path {base}/4; scgi_temp_path {base}/5;
         map $http_upgrade $upgrading {{ default upgrade; '' ''; }}
         upstream app {{ server {app}; keepalive 128; keepalive_requests 100000000; }}
         server {{ {tls} location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_read_timeout 3600s;
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upgrading;
         proxy_request_buffering off; proxy_max_temp_file_size 0; }} }} }}"
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, text).unwrap();
    if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().await.is_err() {
        println!("(without nginx, which is not there)");
        return None;
    }
    let mut command = Command::new("nginx");
    command.args(["-c", path.to_str().unwrap()]);
    let child = spawn(command);
    listens(address).await;
    let pids = family(child.id().unwrap());
    Some((address, pids, String::new(), Running::Other { _child: child }))
}

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}
