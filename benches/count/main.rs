//! What a request costs, in figures that are the same on a machine that is busy: instructions (callgrind) and system calls
//! (strace). `make count`, or of one scenario
//!
//!     make count ARGS="authenticated --profile target/authenticated.callgrind"
//!     callgrind_annotate target/authenticated.callgrind
//!
//! It fails when a figure is more than 5 % above the one in `expected.toml`; `UPDATE=1` writes them anew.
//! `--gateway FILE` and `--bare FILE` count other programs than those of the profile `bench`, `--counts-only` compares with
//! nothing.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "it speaks, or ends"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../tests/support/mod.rs"]
mod support;

mod callgrind;
mod guard;
mod scenario;
mod syscalls;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use guard::Kept;
use scenario::{Bench, Programs, SCENARIOS, Scenario, Who};
use support::Site;

/// The kinds of figures.
const INSTRUCTIONS: &str = "instructions";
const SYSTEM_CALLS: &str = "system-calls";

/// What the app says in each answer.
const APP: &str = "Server: app\r\nDate: Sat, 01 Aug 2026 10:00:00 GMT\r\nContent-Type: text/plain\r\n\
                   Content-Length: 1024\r\nLast-Modified: Sat, 01 Aug 2026 09:00:00 GMT\r\nETag: \"6a8d-400\"\r\n\
                   Accept-Ranges: bytes\r\n";

/// What the command line asks for.
struct Asked {
    scenarios: Vec<&'static Scenario>,
    programs: Programs,
    profile: Option<PathBuf>,
    counts_only: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("\n{why}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let asked = asked(env::args().skip(1).filter(|argument| argument != "--bench"))?;
    if env::consts::ARCH != "x86_64" {
        return Err(format!("figures are kept of x86_64, and this is {}", env::consts::ARCH));
    }
    for tool in ["valgrind", "vgdb", "strace"] {
        if Command::new(tool).arg("--version").output().is_err() {
            return Err(format!("{tool} is missing: `scripts/setup count` installs it"));
        }
    }
    let site = Site::start().await;
    let upstream = common::app::start(APP).await;
    let mut counted = Kept::new();
    println!(
        "| a request | instructions | lowest and highest batch | of bare pingora | system calls but to wake threads: all + those of other threads |\n|---|---|---|---|---|"
    );
    let mut bare = None;
    for scenario in &asked.scenarios {
        let folder = tempfile::tempdir().unwrap();
        let start = |tool| Bench::start(scenario, &asked.programs, &site, upstream, tool);
        let mut bench = start(callgrind::command(folder.path())).await;
        let instructions = callgrind::count(&mut bench, folder.path(), asked.profile.as_deref()).await;
        // The next one takes its socket.
        bench.program.kill().await;
        let calls = syscalls::count(start(syscalls::command(folder.path())).await, folder.path()).await;
        if scenario.who == Who::Bare {
            bare = Some(instructions.median);
        }
        let ratio = bare.map_or("".into(), |bare| format!("{:.3}", instructions.median / bare));
        let spread = [instructions.lowest, instructions.highest]
            .map(|one| format!("{:+.2} %", (one / instructions.median - 1.0) * 100.0));
        println!(
            "| {} | {:.0} | {} | {ratio} | {:.2}: {calls} |",
            scenario.name,
            instructions.median,
            spread.join(" "),
            calls.steady()
        );
        // What pingora costs is not ours to keep.
        if scenario.who == Who::Gateway {
            let mut note =
                |kind: &str, figure| counted.entry(kind.into()).or_default().insert(scenario.name.into(), figure);
            note(INSTRUCTIONS, instructions.median.round());
            note(SYSTEM_CALLS, calls.steady().round());
        }
    }
    if let Some(profile) = &asked.profile {
        println!("\n{} requests are in {}: callgrind_annotate shows it", callgrind::BATCH, profile.display());
    }
    if asked.counts_only { Ok(()) } else { judge(counted) }
}

/// Compares with what is kept, or keeps it.
fn judge(counted: Kept) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("benches/count/expected.toml");
    let text = fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
    let mut kept = guard::read(&text)?;
    let mut failures = Vec::new();
    if env::var_os("UPDATE").is_some() {
        for (kind, figures) in counted {
            kept.entry(kind).or_default().extend(figures);
        }
        fs::write(&path, guard::write(&text, &kept)).map_err(|why| format!("{}: {why}", path.display()))?;
    } else {
        for (kind, figures) in &counted {
            let verdict = guard::compare(kind, figures, &kept);
            verdict.hints.iter().for_each(|hint| println!("\n{hint}"));
            failures.extend(verdict.failures);
        }
    }
    let changelog = fs::read_to_string(root.join("CHANGELOG.md")).map_err(|why| format!("CHANGELOG.md: {why}"))?;
    failures.extend(guard::unsaid(&kept, &changelog));
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

fn asked(mut arguments: impl Iterator<Item = String>) -> Result<Asked, String> {
    let gateway = PathBuf::from(env!("CARGO_BIN_EXE_schoolgate"));
    // `cargo bench` makes no examples: `make count` does.
    let bare = gateway.with_file_name("examples").join("pass-through");
    let programs = Programs { gateway, bare };
    let mut asked = Asked { scenarios: Vec::new(), programs, profile: None, counts_only: false };
    while let Some(argument) = arguments.next() {
        let mut file = || arguments.next().map(PathBuf::from).ok_or(format!("{argument} FILE"));
        match argument.as_str() {
            "--profile" => asked.profile = Some(file()?),
            "--gateway" => asked.programs.gateway = file()?,
            "--bare" => asked.programs.bare = file()?,
            "--counts-only" => asked.counts_only = true,
            name => {
                let named = SCENARIOS.iter().find(|scenario| scenario.name == name);
                let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
                asked.scenarios.push(named.ok_or_else(|| format!("{name} is none of {}", names.join(", ")))?);
            }
        }
    }
    if asked.scenarios.is_empty() {
        asked.scenarios.extend(SCENARIOS);
    }
    if asked.profile.is_some() && asked.scenarios.len() > 1 {
        return Err("--profile FILE and the name of one scenario".into());
    }
    Ok(asked)
}
