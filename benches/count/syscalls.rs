//! System calls of a request, which callgrind sees nothing of: the program runs in strace.

use std::{collections::BTreeMap, fs, path::Path};

use tokio::process::Command;

use crate::scenario::Bench;

const WARM_UP: usize = 100;
const REQUESTS: usize = 200;

/// What `write` is when it wakes a thread that waits for sockets and timers (eventfd(2)), and what is written then.
const WAKE: &str = "wake";
const ONE: &str = r#", "\1\0\0\0\0\0\0\0", 8"#;

/// The command that runs what follows in strace. It writes into `folder`.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-s", "64", "-o"]).arg(folder.join("strace")).arg("--");
    command
}

/// How often each system call happens in a request.
#[derive(Default)]
pub struct Calls {
    /// In the thread that serves.
    serving: BTreeMap<String, f64>,
    /// In all others: who writes the log, and timers.
    others: BTreeMap<String, f64>,
}

impl Calls {
    /// Those that a request needs, however threads and timers meet: without those of other threads, and those that wake
    /// threads.
    pub fn steady(&self) -> f64 {
        self.serving.iter().filter(|(name, _)| !["futex", WAKE].contains(&name.as_str())).map(|(_, times)| times).sum()
    }
}

/// Those of the thread that serves, and behind a plus those of others; the most frequent first.
impl std::fmt::Display for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        list(&self.serving, f)?;
        f.write_str(" + ")?;
        list(&self.others, f)
    }
}

fn list(calls: &BTreeMap<String, f64>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    let mut calls: Vec<_> = calls.iter().filter(|(_, times)| **times >= 0.02).collect();
    calls.sort_by(|one, other| other.1.total_cmp(one.1));
    let calls: Vec<_> = calls.iter().map(|(name, times)| format!("{name} {times:.2}")).collect();
    f.write_str(&calls.join(", "))
}

/// Counts those of a program that runs in strace, and ends it. They stand between the requests that are marked.
pub async fn count(mut bench: Bench<'_>, folder: &Path) -> Calls {
    let [begin, end] = ["begin", "end"].map(|word| format!("{}?{word}", bench.target()));
    bench.send(WARM_UP).await;
    bench.send_to(Some(&begin)).await;
    bench.send(REQUESTS - 1).await;
    bench.send_to(Some(&end)).await;
    // strace writes the rest when what it looks at is gone.
    let strace = bench.program.pid();
    let children = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap();
    assert!(Command::new("sh").args(["-c", &format!("kill -KILL {children}")]).status().await.unwrap().success());
    bench.program.ended().await;
    let trace = fs::read_to_string(folder.join("strace")).unwrap();
    let read = |line: &&str, target: &str| line.contains(&format!("\"GET {target} "));
    let between = || trace.lines().skip_while(|line| !read(line, &begin)).take_while(|line| !read(line, &end));
    let thread = |line: &str| line.split_once(' ').map_or(String::new(), |(thread, _)| thread.to_owned());
    let serving = thread(between().next().expect("the first request is in the trace"));
    let mut calls = Calls::default();
    for line in between() {
        // `PID name(arguments) = result`; a call that another thread's interrupts goes on in a line of its own.
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        if let Some((name, _)) = call.split_once('(')
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        {
            let of = if thread(line) == serving { &mut calls.serving } else { &mut calls.others };
            let name = if name == "write" && line.contains(ONE) { WAKE } else { name };
            *of.entry(name.to_owned()).or_default() += 1.0 / REQUESTS as f64;
        }
    }
    calls
}
