//! What the system knows of the memory of other processes.

use std::fs;

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
