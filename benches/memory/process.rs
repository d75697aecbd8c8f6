//! What the system knows of another process.

use std::{fs, path::PathBuf};

/// Memory in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub rss: u64,
    pub pss: u64,
    pub private: u64,
}

impl Memory {
    pub fn of(pids: &[u32]) -> Self {
        pids.iter().fold(Self::default(), |sum, pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
            let field = |name: &str| number(&text, name);
            Self {
                rss: sum.rss + field("Rss:"),
                pss: sum.pss + field("Pss:"),
                private: sum.private + field("Private_Clean:") + field("Private_Dirty:"),
            }
        })
    }
}

fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Forgets how much memory a process had at most.
pub fn forget_peak(pids: &[u32]) {
    for pid in pids {
        fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    }
}

/// The most KiB that they have had since.
pub fn peak(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| number(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap(), "VmHWM:")).sum()
}

/// CPU seconds of all threads.
pub fn cpu(pids: &[u32]) -> f64 {
    let threads = pids.iter().flat_map(|pid| files(&format!("/proc/{pid}/task")));
    let nanos = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    nanos.sum::<u64>() as f64 / 1e9
}

/// A process and its children.
pub fn family(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = text.split_whitespace().map(|child| child.parse().unwrap());
    std::iter::once(pid).chain(children).collect()
}

fn files(folder: &str) -> Vec<PathBuf> {
    fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}
