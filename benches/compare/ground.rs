//! What all proxies stand on: cores, ports, a folder, certificates, the app behind them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tokio::runtime::Runtime;

use crate::{
    common::pinned,
    options::Options,
    process::Process,
    provider::Provider,
    support::{Authority, Request, TlsClient, redis::Server},
};

/// Where the app listens. The proxies have the ports after it.
pub(crate) const UPSTREAM: u16 = 20000;

pub(crate) struct Ground {
    pub(crate) folder: PathBuf,
    pub(crate) proxy_core: usize,
    pub(crate) load_core: usize,
    pub(crate) program: PathBuf,
    pub(crate) bare: PathBuf,
    pub(crate) runtime: Runtime,
    pub(crate) tls: TlsClient,
    /// Started when the first proxy needs one.
    pub(crate) provider: OnceLock<Provider>,
    pub(crate) redis: OnceLock<Server>,
    app: Option<Process>,
}

impl Ground {
    /// Lays it out, with the app running.
    pub(crate) fn lay(options: &Options) -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join("target/bench/compare");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("www")).map_err(|error| format!("{}: {error}", folder.display()))?;
        for (name, size) in [("1k.txt", 1024), ("1m.bin", 1_000_000), ("100m.bin", 100_000_000)] {
            write(&folder.join("www").join(name), &"x".repeat(size))?;
        }
        let authority = Authority::new("schoolgate compares");
        authority.signs(&["localhost", "library.school.example"]).write(&folder, "tls");
        let both = format!("{}{}", read(&folder.join("tls.pem"))?, read(&folder.join("tls.key"))?);
        write(&folder.join("tls.both.pem"), &both)?;
        let (program, bare) = programs(options, &folder)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let mut ground = Self {
            folder,
            proxy_core: options.proxy_core.unwrap_or(cores.saturating_sub(1)),
            load_core: options.load_core.unwrap_or(cores.saturating_sub(2)),
            program,
            bare,
            runtime: runtime.map_err(|error| error.to_string())?,
            tls: TlsClient::trusting(&authority),
            provider: OnceLock::new(),
            redis: OnceLock::new(),
            app: None,
        };
        let configuration = ground.fill("upstream.conf", include_str!("proxies/upstream.conf"), &[])?;
        let mut command = pinned(ground.load_core, "nginx");
        command.arg("-c").arg(configuration);
        ground.app = Some(Process::start(command, &ground.folder.join("upstream.log"), UPSTREAM)?);
        Ok(ground)
    }

    /// A configuration with its marks replaced, as a file.
    pub(crate) fn fill(&self, name: &str, text: &str, marks: &[(&str, &str)]) -> Result<PathBuf, String> {
        let folder = self.folder.display().to_string();
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let text = marks.iter().fold(text.to_owned(), |text, (mark, value)| text.replace(&format!("@{mark}@"), value));
        let text =
            text.replace("@FOLDER@", &folder).replace("@UPSTREAM@", &UPSTREAM.to_string()).replace("@USER@", user);
        let path = self.folder.join(name);
        write(&path, &text)?;
        Ok(path)
    }

    /// How many requests the app has had, this one not counted.
    pub(crate) fn count(&self) -> Result<u64, String> {
        let address = ([127, 0, 0, 1], UPSTREAM).into();
        let answer = self.runtime.block_on(Request::get("/count").header("Host", "app").send(address));
        let requests =
            answer.text().lines().nth(2).and_then(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
        requests.map(|requests| requests - 1).ok_or_else(|| format!("the app counts {}", answer.text()))
    }
}

/// The program and the bare pingora: those that are named, else as they are shipped, and out of reach of whoever builds
/// meanwhile.
fn programs(options: &Options, folder: &Path) -> Result<(PathBuf, PathBuf), String> {
    if let (Some(program), Some(bare)) = (&options.program, &options.bare) {
        return Ok((program.clone(), bare.clone()));
    }
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--locked", "--bin", "schoolgate", "--example", "pass-through"]);
    // What cargo tells this program of itself would be news to the build scripts, and all would be built anew.
    for (name, _) in std::env::vars_os() {
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_TARGET_TMPDIR"];
        if told.iter().any(|begin| name.to_string_lossy().starts_with(begin)) {
            command.env_remove(name);
        }
    }
    let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("{command:?}: {status}"));
    }
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release");
    let keep = |from: PathBuf, name: &str| {
        // Each proxy has a folder of its name beside this one.
        let to = folder.join("programs").join(name);
        fs::create_dir_all(folder.join("programs")).map_err(|error| format!("{}: {error}", folder.display()))?;
        fs::copy(&from, &to).map_err(|error| format!("{}: {error}", from.display()))?;
        Ok::<_, String>(to)
    };
    let program = options.program.clone().map_or_else(|| keep(built.join("schoolgate"), "schoolgate"), Ok)?;
    let bare = options.bare.clone().map_or_else(|| keep(built.join("examples/pass-through"), "pass-through"), Ok)?;
    Ok((program, bare))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

pub(crate) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
