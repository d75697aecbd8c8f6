//! Files that are made of the table of keys (`src/config/keys`) and of the command line: what an editor, `man` and a
//! shell read. They are kept beside the code, so that packages and readers find them, and are what the code says.
//!
//!     UPDATE=1 cargo test --test generated
//!
//! writes them anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot do its work has failed")]

#[path = "generated/commands.rs"]
mod commands;
#[path = "generated/manual.rs"]
mod manual;
#[path = "generated/markdown.rs"]
mod markdown;
#[path = "generated/schema.rs"]
mod schema;
#[path = "generated/words.rs"]
mod words;

use std::{fs, path::PathBuf};

use clap_complete::Shell;

/// Every file, with what must be in it.
fn files() -> Vec<(&'static str, String)> {
    vec![
        ("docs/configuration.md", markdown::configuration()),
        ("docs/gateway.schema.json", schema::printed()),
        ("man/gateway.toml.5", manual::configuration()),
        ("man/schoolgate.1", commands::manual()),
        ("completions/schoolgate.bash", commands::completions(Shell::Bash)),
        ("completions/_schoolgate", commands::completions(Shell::Zsh)),
        ("completions/schoolgate.fish", commands::completions(Shell::Fish)),
    ]
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn every_generated_file_is_what_the_code_says() {
    let mut stale = Vec::new();
    for (name, text) in files() {
        if fs::read_to_string(path(name)).ok().as_ref() == Some(&text) {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            fs::write(path(name), text).unwrap();
        } else {
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "run UPDATE=1 cargo test --test generated and look at what it changes: {stale:?}");
}
