//! schoolgate and other proxies on this machine, side by side. `make bench`, or
//! `cargo bench --profile dev --bench compare -- --only auth --peers nginx,bare,schoolgate --rounds 5 --seconds 4`.
//! docs/performance.md says how it measures and what came of it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it speaks")]

#[path = "../common/mod.rs"]
mod common;
mod figures;
mod goals;
mod ground;
mod load;
mod machine;
mod measure;
mod options;
mod process;
mod provider;
mod proxies;
mod publish;
mod report;
mod scenarios;
#[path = "../../tests/support/mod.rs"]
mod support;
mod svg;

use std::{collections::BTreeMap, process::ExitCode};

use clap::Parser;
use schoolgate::clock::Stopwatch;
use serde::Serialize;

use self::{
    figures::Outcome, goals::Goal, ground::Ground, machine::Machine, measure::Field, options::Options, proxies::PEERS,
    scenarios::SCENARIOS,
};

/// Everything of a run, as it stands in the file.
#[derive(Debug, Serialize)]
struct Run {
    command: String,
    machine: Machine,
    rounds: usize,
    seconds: u64,
    connections: usize,
    /// How long it took.
    took_s: u64,
    goals: Vec<Goal>,
    outcomes: Vec<Outcome>,
    /// Proxies that could not be started, and why.
    absent: BTreeMap<String, String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        list();
        return ExitCode::SUCCESS;
    }
    compare(&options).map_or_else(
        |error| {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn list() {
    println!("scenarios:");
    for scenario in SCENARIOS {
        println!("  {:14} {}: {}", scenario.name, scenario.title, scenario.contestants.join(", "));
    }
    println!("proxies:");
    for peer in PEERS {
        println!("  {:18} {}", peer.name, peer.title);
    }
}

fn compare(options: &Options) -> Result<(), String> {
    let unknown = options.only.iter().find(|name| SCENARIOS.iter().all(|scenario| scenario.name != **name));
    if let Some(name) = unknown {
        return Err(format!("there is no scenario {name:?}; --list names them"));
    }
    if options.publish && !(options.only.is_empty() && options.peers.is_empty()) {
        return Err("--publish writes everything anew: not with --only or --peers".to_owned());
    }
    let stopwatch = Stopwatch::start();
    let ground = Ground::lay(options)?;
    let machine = Machine::of(&ground);
    println!("{} with {} cores, Linux {}, {}", machine.cpu, machine.cores, machine.kernel, machine.date);
    let mut field = Field::default();
    let mut outcomes = Vec::new();
    for scenario in SCENARIOS.iter().filter(|scenario| options.wants(scenario.name)) {
        let rows = field.run(&ground, options, scenario)?;
        let outcome = Outcome { scenario: scenario.name.to_owned(), title: scenario.title.to_owned(), rows };
        println!("\n{} ({})\n{}", outcome.title, outcome.scenario, report::text(&report::table(&outcome)));
        outcomes.push(outcome);
    }
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let run = Run {
        command: format!("cargo bench --locked --profile dev --bench compare -- {}", arguments.join(" ")),
        machine,
        rounds: options.rounds,
        seconds: options.seconds,
        connections: options.connections,
        took_s: stopwatch.elapsed().as_secs(),
        goals: goals::goals(&outcomes),
        outcomes,
        absent: field.absent,
    };
    let path = ground.folder.parent().unwrap_or(&ground.folder).join("compare.json");
    let json = serde_json::to_string_pretty(&run).map_err(|error| error.to_string())? + "\n";
    ground::write(&path, &json)?;
    if options.publish {
        publish::publish(&run, &json)?;
    }
    println!("{}\n{} s; all figures in {}", report::text(&report::judged(&run.goals)), run.took_s, path.display());
    Ok(())
}
