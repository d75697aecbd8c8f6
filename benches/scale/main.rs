//! What many sessions cost: memory for each, and whether a look gets slower. `cargo bench --bench scale -- sessions`, or
//! with another number than 1,000,000 `cargo bench --bench scale -- sessions 1000`; `TMPDIR` says on which disk the file
//! is. It starts a `redis-server` of its own, without persistence. Prints a table, and writes `target/bench/scale.json`.
//!
//! `-- requests` lets wrk send whole requests through gateways with one session and with many; `CORES=3,2` says which core
//! the gateways have, and which one wrk and the app.
//!
//! `-- file`, `-- redis` and `-- memory` do a part of it. Each part runs in a process of its own, so that its memory is
//! its own, and so that one can be killed. Times are CPU seconds of the asking thread where nothing else is said: who
//! else uses the machine does not count.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "it speaks, or ends")]

#[path = "../common/mod.rs"]
mod common;
mod figures;
mod file;
mod memory;
mod people;
mod redis;
mod requests;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::{env, path::Path};

use figures::Figures;

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sessions in the file at a start.
const AT_START: usize = 100_000;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let number = |text: &str| text.replace(['_', ','], "").parse::<usize>().expect("a number of sessions");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // The parts, each a process.
        ["in-memory", count] => runtime().block_on(memory::measure(number(count))),
        ["ticks", count, looks] => memory::ticks(number(count), number(looks)),
        ["in-redis", count] => runtime().block_on(redis::measure(number(count))),
        ["fill", folder, count] => runtime().block_on(file::fill(Path::new(folder), number(count))),
        ["start", folder, how] => runtime().block_on(file::start(Path::new(folder), how)),
        ["serve", configuration, count] => runtime().block_on(requests::serve(Path::new(configuration), number(count))),
        ["look", folder, count] => runtime().block_on(file::look(Path::new(folder), number(count))),
        // What people call.
        [] | ["sessions"] => all(&["memory", "file", "redis"], 1_000_000),
        ["sessions", count] => all(&["memory", "file", "redis"], number(count)),
        [part @ ("memory" | "file" | "redis" | "requests")] => all(&[part], 1_000_000),
        [part @ ("memory" | "file" | "redis" | "requests"), count] => all(&[part], number(count)),
        _ => panic!("cargo bench --bench scale -- [sessions|memory|file|redis|requests] [number of sessions]"),
    }
}

fn all(parts: &[&str], most: usize) {
    let mut figures = Figures::default();
    if parts.contains(&"memory") {
        for count in [1, 10_000, 1_000_000].into_iter().filter(|count| *count < most).chain([most]) {
            figures.of(&["in-memory", &count.to_string()]);
        }
    }
    if parts.contains(&"file") {
        file::all(&mut figures, AT_START.min(most), most);
    }
    if parts.contains(&"redis") {
        figures.of(&["in-redis", &most.to_string()]);
    }
    if parts.contains(&"requests") {
        requests::measure(&mut figures, most);
    }
    figures.write();
}
