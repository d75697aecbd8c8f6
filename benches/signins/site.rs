//! What is measured: the real program as a process of its own, the stand-in for Apple and an app beside it.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use schoolgate::{
    clock::SystemClock,
    demo::{Client, ClientKey, StandIn, StandInSettings},
    entropy::SystemEntropy,
    session::Sealer,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{process::Server, visitor::HOST};

/// Where sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    File,
    Redis,
}

impl Store {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::File => "file",
            Self::Redis => "redis",
        }
    }
}

/// Everything that runs for a measurement. It ends with this value.
pub(crate) struct Site {
    pub(crate) apple: StandIn,
    pub(crate) address: SocketAddr,
    gateway: Child,
    _redis: Option<Server>,
    _folder: tempfile::TempDir,
}

impl Site {
    /// With the sessions in a store, and further lines about Apple and the app.
    pub(crate) async fn start(store: Store, apple_lines: &str, app_lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let apple = stand_in(path).await;
        let app = app().await;
        let redis = (store == Store::Redis).then(Server::start);
        let kept = match &redis {
            Some(redis) => {
                fs::write(path.join("session.key"), &*Sealer::new_key(&SystemEntropy)).unwrap();
                let (port, folder) = (redis.port(), path.display());
                format!("store = \"redis://127.0.0.1:{port}\"\nencryption_key_file = \"{folder}/session.key\"")
            }
            None => format!("store = \"{}\"", store.name()),
        };
        let text = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin_listen = \"unix:{folder}/admin.sock\"\n\
             state_dir = \"{folder}/state\"\nsign_in_rate_per_ip = 1000000\n\
             [apple]\nbase_url = \"{base}\"\nclient_id = \"org.example.school.gateway\"\nteam_id = \"A1B2C3D4E5\"\n\
             key_id = \"K1L2M3N4O5\"\nprivate_key_file = \"{folder}/apple.p8\"\n\
             redirect_uri = \"https://{HOST}/.schoolgate/callback\"\n{apple_lines}\n\
             [session]\n{kept}\n\
             [[app]]\nname = \"library\"\nhost = \"{HOST}\"\nupstream = \"http://{app}\"\n{app_lines}\n\
             [[app.route]]\npath = \"/\"\n\
             [[app.route]]\npath = \"/token\"\nheaders = {{ X-Token = \"{{access_token}}\" }}\n",
            folder = path.display(),
            base = apple.base_url().as_str().trim_end_matches('/'),
        );
        let configuration = path.join("gateway.toml");
        fs::write(&configuration, text).unwrap();
        let program = std::env::var("SCHOOLGATE_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_schoolgate").to_owned());
        let mut gateway = Command::new(program)
            .args(["run", "--config", configuration.to_str().unwrap()])
            .env_remove("SCHOOLGATE_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let address = started(&mut gateway);
        Self { apple, address, gateway, _redis: redis, _folder: folder }
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.gateway.id()
    }

    /// The time that the processors have spent on the gateway so far.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let files = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
        Duration::from_nanos(files.map(|text| text.split(' ').next().unwrap().parse::<u64>().unwrap()).sum())
    }

    /// The memory of the gateway in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// How many connections the gateway has to Apple now.
    pub(crate) fn calls_open(&self) -> usize {
        let peer = format!("0100007F:{:04X}", self.apple.address().port());
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let mut fields = table.lines().skip(1).map(|line| line.split_whitespace().skip(2).take(2));
        // The remote address, and 01: established. Browsers of this bench have their own connections there, which
        // are not open while this is asked.
        fields.by_ref().filter(|line| line.clone().eq([peer.as_str(), "01"])).count()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.gateway);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.gateway.wait();
    }
}

/// Waits until the program listens, and goes on reading what it says, as journald would.
fn started(gateway: &mut Child) -> SocketAddr {
    let mut lines = BufReader::new(gateway.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = Vec::new();
    let address = loop {
        let line = lines.next().unwrap_or_else(|| panic!("the program does not start: {said:#?}"));
        if line.contains("\"started\"") {
            let port = line.split_once("127.0.0.1:").unwrap().1;
            break port.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse::<u16>().unwrap();
        }
        said.push(line);
    };
    std::thread::spawn(move || lines.for_each(drop));
    SocketAddr::from(([127, 0, 0, 1], address))
}

async fn stand_in(folder: &std::path::Path) -> StandIn {
    let entropy = Arc::new(SystemEntropy);
    let key = ClientKey::generate(&*entropy).unwrap();
    fs::write(folder.join("apple.p8"), key.private_pem().expose()).unwrap();
    let client = Client {
        client_id: "org.example.school.gateway".into(),
        team_id: "A1B2C3D4E5".into(),
        key_id: "K1L2M3N4O5".into(),
        public_key: key.public(),
        redirect_uris: vec![format!("https://{HOST}/.schoolgate/callback").parse().unwrap()],
        local_redirects: false,
    };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    StandIn::start(StandInSettings { clients: vec![client], clock: Arc::new(SystemClock), entropy, listen })
        .await
        .unwrap()
}

/// An app that answers everything with a kilobyte.
async fn app() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer: Arc<[u8]> =
        [b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n".as_slice(), &[b'x'; 1024]]
            .concat()
            .into();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut read = Vec::new();
                while stream.read_buf(&mut read).await.is_ok_and(|count| count > 0) {
                    if read.ends_with(b"\r\n\r\n") {
                        read.clear();
                        if stream.write_all(&answer).await.is_err() {
                            break;
                        }
                    }
                }
            });
        }
    });
    address
}
