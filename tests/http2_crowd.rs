//! What a crowd of connections of HTTP/2 leaves for those who come after them. The places are the process's: this stands
//! alone.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{
    Secured,
    http2::{
        Frames,
        frame::{self, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, SETTINGS},
        head, request, whole,
    },
};

/// Asks for a hundred pages and takes none of them.
async fn greedy(world: &Secured) -> Frames {
    let mut client = Frames::silent(world).await;
    client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    // SETTINGS_INITIAL_WINDOW_SIZE 0.
    client.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
    let page = head("GET", "/.schoolgate/");
    let asking = (1..).step_by(2).take(100);
    let asking: Vec<u8> =
        asking.flat_map(|stream| frame::bytes(HEADERS, END_HEADERS | END_STREAM, stream, &page)).collect();
    client.write(&asking).await;
    let mut told = 0;
    while told < 100 {
        let (kind, _, _) = client.next().await.expect("the connection lives");
        told += usize::from(matches!(kind, HEADERS | RST_STREAM));
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_connections_do_not_take_all_places() {
    let world = Secured::start().await;
    let mut crowd = Vec::new();
    for _ in 0..201 {
        crowd.push(greedy(&world).await);
    }
    let mut client = world.open().await;
    let mut together = Vec::new();
    for _ in 0..10 {
        together.push(client.start(request("GET", "/public")).await);
    }
    for response in together {
        assert_eq!(whole(response).await.expect("a place for it").status, 200);
    }
    drop(crowd);
}
