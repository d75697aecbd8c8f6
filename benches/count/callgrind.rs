//! Instructions of a request: the program runs in callgrind, which counts each one that it executes.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{process::Command, time::sleep};

use crate::scenario::Bench;

/// Until caches, pools and buffers are as they stay.
const WARM_UP: usize = 300;

/// How many requests one figure is the mean of, and how many figures the result is the median of.
pub const BATCH: usize = 100;
const BATCHES: usize = 7;

/// Instructions of one request: the median of the batches, and the lowest and highest.
pub struct Counted {
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
}

/// The command that runs what follows in callgrind. It writes into `folder`.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind", "--instr-atstart=no", "--collect-systime=no", "--dump-instr=no"]);
    command.arg(format!("--callgrind-out-file={}", out(folder).display()));
    command.arg(format!("--vgdb-prefix={}", folder.join("vgdb").display()));
    command
}

fn out(folder: &Path) -> PathBuf {
    folder.join("callgrind.out")
}

/// Counts the requests of a program that runs in callgrind. The last batch, with all its functions, is copied to `profile`.
pub async fn count(bench: &mut Bench<'_>, folder: &Path, profile: Option<&Path>) -> Counted {
    let callgrind = Callgrind { pid: bench.program.pid(), folder };
    callgrind.tell("instrumentation on").await;
    bench.send(WARM_UP).await;
    callgrind.dump(0).await;
    let mut figures = Vec::new();
    for batch in 1..=BATCHES {
        bench.send(BATCH).await;
        figures.push(callgrind.dump(batch).await as f64 / BATCH as f64);
    }
    if let Some(profile) = profile {
        fs::copy(callgrind.file(BATCHES), profile).expect("the profile can be written");
    }
    figures.sort_by(f64::total_cmp);
    Counted { median: figures[BATCHES / 2], lowest: figures[0], highest: figures[BATCHES - 1] }
}

struct Callgrind<'a> {
    pid: u32,
    folder: &'a Path,
}

impl Callgrind<'_> {
    /// Writes what was counted since the last time into a file, and gives back how many instructions.
    async fn dump(&self, number: usize) -> u64 {
        // What follows an answer belongs to its request.
        sleep(Duration::from_millis(100)).await;
        self.tell("dump").await;
        let text = fs::read_to_string(self.file(number)).unwrap_or_default();
        let total = text.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
        total
            .and_then(|total| total.trim().parse().ok())
            .unwrap_or_else(|| panic!("callgrind has dumped nothing: {number}"))
    }

    /// callgrind numbers its files from one.
    fn file(&self, number: usize) -> PathBuf {
        out(self.folder).with_extension(format!("out.{}", number + 1))
    }

    async fn tell(&self, word: &str) {
        let mut command = Command::new("vgdb");
        command.arg(format!("--vgdb-prefix={}", self.folder.join("vgdb").display()));
        let done = command.arg(format!("--pid={}", self.pid)).args(word.split(' ')).output().await.expect("vgdb");
        let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "vgdb {word}: {said}");
    }
}
