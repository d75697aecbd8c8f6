//! The machine, and the versions of what runs on it.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use schoolgate::clock::{Clock, SystemClock};
use serde::Serialize;

use crate::ground::Ground;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) proxy_core: usize,
    pub(crate) load_core: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) system: String,
    /// When the run began, in seconds since 1970 and for people.
    pub(crate) began: u64,
    pub(crate) date: String,
    pub(crate) versions: BTreeMap<String, String>,
}

/// Envoy, where `scripts/setup bench` has put it.
pub(crate) fn envoy() -> String {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/envoy/envoy/_bin/envoy");
    if installed.exists() { installed.display().to_string() } else { "envoy".to_owned() }
}

impl Machine {
    pub(crate) fn of(ground: &Ground) -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_default().trim_matches([' ', '\t', ':', '=', '"']).to_owned()
        };
        let memory = after(&text("/proc/meminfo"), "MemTotal");
        let now = SystemClock.now();
        Self {
            cpu: after(&text("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            proxy_core: ground.proxy_core,
            load_core: ground.load_core,
            memory_gib: memory.trim_end_matches(" kB").parse::<u64>().unwrap_or_default().div_ceil(1 << 20),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            system: after(&text("/etc/os-release"), "PRETTY_NAME"),
            began: now.seconds(),
            date: now.to_http_date().unwrap_or_default(),
            versions: versions(ground),
        }
    }
}

/// The first line that each program says of its version.
fn versions(ground: &Ground) -> BTreeMap<String, String> {
    let own = ground.program.display().to_string();
    let envoy = envoy();
    let asked: [(&str, &[&str]); 9] = [
        ("schoolgate", &[&own, "--version"]),
        ("nginx", &["nginx", "-v"]),
        ("haproxy", &["haproxy", "-v"]),
        ("apache", &["apache2", "-v"]),
        ("mod_auth_openidc", &["dpkg-query", "--show", "libapache2-mod-auth-openidc"]),
        ("caddy", &["caddy", "version"]),
        ("envoy", &[&envoy, "--version"]),
        ("h2load", &["h2load", "--version"]),
        ("wrk", &["wrk", "-v"]),
    ];
    let says = |(name, command): (&str, &[&str])| {
        let (program, arguments) = command.split_first()?;
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let output = Command::new(program).args(arguments).env("PATH", path).output().ok()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim().lines().next()?.split(" Copyright").next()?.trim().to_owned();
        // Some begin with where they are.
        Some((name.to_owned(), said.trim_start_matches(*program).trim().to_owned()))
    };
    let mut versions: BTreeMap<_, _> = asked.into_iter().filter_map(says).collect();
    let lock = include_str!("../../Cargo.lock");
    let pingora = lock.split("[[package]]").find(|package| package.contains("name = \"pingora\"\n"));
    let version = pingora.and_then(|package| package.split('"').nth(3));
    versions.extend(version.map(|version| ("pingora".to_owned(), version.to_owned())));
    versions
}
