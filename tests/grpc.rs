//! gRPC through the gateway, spoken by the library that most people use.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use support::{HOST, Secured};

/// The script in the environment that `scripts/setup test` makes.
fn peer(arguments: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/legacy/bin/python");
    assert!(python.exists(), "run scripts/setup test");
    let mut command = Command::new(python);
    command.arg(root.join("tests/grpc/peer.py")).args(arguments);
    command
}

/// A server that is killed when this is dropped, by a panic too.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_all_kinds_pass_and_what_is_protected_is_not_called() {
    let mut server = Server(peer(&["serve"]).stdout(Stdio::piped()).spawn().unwrap());
    let mut port = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let route = "[[app.route]]\npath = \"/public.Echo\"\naccess = \"public\"";
    let world = Secured::before(&format!("\"h2c://127.0.0.1:{}\"", port.trim()), &[("routes", route)]).await;
    let (target, authority) = (world.address.to_string(), world.authority.file());
    let calling = tokio::task::spawn_blocking(move || {
        peer(&["call", &target, authority.to_str().unwrap(), HOST]).output().unwrap()
    });
    let output = calling.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!({
        "say": format!("hello for {HOST}"),
        "after": "all",
        "refuse": ["NOT_FOUND", "there is no bread"],
        "count": ["0", "1", "2", "3", "4"],
        "gather": "a+b+c",
        "large": 3_000_002,
        "talk": ["WORD 0", "WORD 1", "WORD 2", "WORD 3", "WORD 4"],
        "private": "UNAUTHENTICATED",
    });
    assert_eq!(result, expected);
}
