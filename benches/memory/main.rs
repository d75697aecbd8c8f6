//! What a connection costs while nothing is said on it, and what a large body costs: resident memory and CPU seconds of
//! the gateway, of pingora with nothing around it, and of nginx, each a process of its own before the same app.
//!
//! `cargo bench --bench memory`, or a part of it: `cargo bench --bench memory -- idle websockets bodies`. Another
//! program than the one that was just built, which has no link-time optimisation: `SCHOOLGATE=path`. (`cargo bench` puts its own
//! where `cargo build --release` puts the shipped one: copy that first.) The tables go to standard output, all figures to `target/bench/memory.json`.
#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it speaks, or ends"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../tests/support/mod.rs"]
mod support;

mod app;
mod bodies;
mod clients;
mod idle;
mod process;
mod proxies;

use std::env;

use serde_json::{Value, json};

use self::{app::App, idle::Kind};

fn main() {
    schoolgate::crypto::install();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let parts: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    common::write("memory", &runtime.block_on(measure(&parts)));
}

async fn measure(parts: &[String]) -> Value {
    // Each connection has a descriptor here, and a WebSocket another one at the app.
    rustix::process::setrlimit(rustix::process::Resource::Nofile, most_descriptors()).unwrap();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let app = App::start().await;
    let (mut idle, mut bodies) = (Vec::new(), Vec::new());
    if wanted("idle") {
        idle.extend(idle::measure(&app, &Kind::REQUESTS).await);
    }
    if wanted("websockets") {
        idle.extend(idle::measure(&app, &Kind::WEBSOCKETS).await);
    }
    if wanted("bodies") {
        bodies = bodies::measure(&app).await;
    }
    json!({ "idle": idle, "bodies": bodies })
}

fn most_descriptors() -> rustix::process::Rlimit {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum }
}
