//! Figures: measured in child processes, printed as a table, written as JSON.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::common;

/// What a child says when it is to be killed.
const DONE: &str = "kill me";

/// Says a figure to the parent.
pub(crate) fn say(part: &str, what: &str, figure: f64, unit: &str) {
    println!("{}", json!({ "part": part, "what": what, "figure": figure, "unit": unit }));
}

/// Lets the parent kill this process.
pub(crate) async fn ask_to_be_killed() {
    println!("{DONE}");
    std::future::pending().await
}

/// What the children have said.
#[derive(Default)]
pub(crate) struct Figures(Vec<Value>);

impl Figures {
    /// Runs a child.
    pub(crate) fn of(&mut self, arguments: &[&str]) {
        if self.0.is_empty() {
            println!("| part | what | figure |\n|---|---|---|");
        }
        let mut child = Command::new(env::current_exe().unwrap());
        let mut child = child.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut is_killed = false;
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            if line == DONE {
                child.kill().unwrap();
                is_killed = true;
                break;
            }
            self.take(serde_json::from_str(&line).unwrap());
        }
        assert!(child.wait().unwrap().success() || is_killed, "{arguments:?} has failed");
    }

    fn take(&mut self, said: Value) {
        let figure = said["figure"].as_f64().unwrap();
        let figure = if figure < 10.0 { format!("{figure:.2}") } else { format!("{figure:.0}") };
        let (part, what) = (said["part"].as_str().unwrap(), said["what"].as_str().unwrap());
        println!("| {part} | {what} | {figure} {} |", said["unit"].as_str().unwrap());
        self.0.push(said);
    }

    /// A figure of the parent's own.
    pub(crate) fn note(&mut self, part: &str, what: &str, figure: f64, unit: &str) {
        self.take(json!({ "part": part, "what": what, "figure": figure, "unit": unit }));
    }

    /// Writes all of them.
    pub(crate) fn write(&self) {
        common::write("scale", &self.0);
    }
}

/// Memory of this process in bytes.
pub(crate) fn resident() -> f64 {
    common::memory(&[std::process::id()], "VmRSS") as f64 * 1024.0
}

pub(crate) const MEBI: f64 = 1_048_576.0;

/// CPU time of this thread.
pub(crate) fn busy() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
