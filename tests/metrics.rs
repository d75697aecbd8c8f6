//! What Prometheus is told: that everything that happens is counted, under the names that `docs/metrics.md` promises.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Request, World};

#[tokio::test]
async fn show() {
    let world = World::start().await;
    let mut b = world.signed_in("teacher-1").await;
    b.open(&support::world::at("/")).await;
    world.send(Request::get("/")).await;
    let answer = Request::get("/metrics").header("Host", &world.admin.to_string()).send(world.admin).await;
    println!("{}", answer.text());
}
