//! What is measured: the real program as a process of its own, the stand-in for Apple and an app beside it.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use schoolgate::{
    clock::{SharedClock, SystemClock},
    demo::StandIn,
    entropy::SystemEntropy,
    session::Sealer,
};

use crate::{
    common,
    support::{HOST, redis::Server, world},
};

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
        let clock: SharedClock = Arc::new(SystemClock);
        let apple = world::stand_in(&clock, path, world::CALLBACK).await;
        let app = common::app::start(common::app::LITTLE).await;
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

    /// The seconds that the processors have spent on the gateway so far.
    pub(crate) fn cpu(&self) -> f64 {
        common::cpu(&[self.gateway.id()])
    }

    /// The memory of the gateway in MiB.
    pub(crate) fn memory(&self) -> u64 {
        common::memory(&[self.gateway.id()], "VmRSS") >> 10
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
