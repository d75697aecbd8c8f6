//! What several benches need: what the system knows of other processes, and what they do with figures.
#![allow(dead_code, unreachable_pub, clippy::panic, clippy::unwrap_used, reason = "each bench uses a part of this")]

pub mod app;

use std::{ffi::OsStr, fs, net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use serde::Serialize;

/// What a browser says of itself.
pub const BROWSER: [(&str, &str); 4] = [
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    ),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Language", "de,en;q=0.7"),
    ("Accept-Encoding", "gzip, deflate, br"),
];

/// A command that runs on one core only, and ends when this program does.
pub fn pinned(core: usize, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "taskset", "--cpu-list", &core.to_string()]).arg(program);
    // Where Debian keeps web servers.
    command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
    command
}

/// Waits until somebody listens.
pub async fn listens(address: SocketAddr) {
    for _ in 0..1200 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody listens at {address}");
}

/// A process and all below it.
pub fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut at = 0;
    while let Some(parent) = family.get(at) {
        let lists = threads(*parent).into_iter().filter_map(|thread| fs::read_to_string(thread.join("children")).ok());
        let children: Vec<u32> =
            lists.flat_map(|list| list.split(' ').filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect();
        family.extend(children);
        at += 1;
    }
    family
}

/// Seconds that all threads of these processes have had of the processors.
pub fn cpu(pids: &[u32]) -> f64 {
    let times = pids
        .iter()
        .flat_map(|pid| threads(*pid))
        .filter_map(|thread| fs::read_to_string(thread.join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok());
    times.sum::<u64>() as f64 / 1e9
}

/// KiB that these processes have together, by a name of proc(5), `status`: `VmRSS`, `VmHWM`.
pub fn memory(pids: &[u32], name: &str) -> u64 {
    let of = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().nth(1)?.parse::<u64>().ok())
    };
    pids.iter().filter_map(of).sum()
}

/// Counts the most memory, `VmHWM`, anew (proc(5), `clear_refs`).
pub fn forget_peak(pids: &[u32]) {
    for pid in pids {
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

fn threads(pid: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"));
    entries.map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

/// The middle one.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<_> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Writes all figures of a bench into `target/bench`.
pub fn write(bench: &str, figures: &impl Serialize) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench");
    fs::create_dir_all(folder).unwrap();
    fs::write(format!("{folder}/{bench}.json"), serde_json::to_string_pretty(figures).unwrap() + "\n").unwrap();
}
