//! What a client of HTTP/2 can make the gateway do, and hold, for nothing.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use schoolgate::clock::Stopwatch;
use support::{
    Secured,
    http2::{
        Frames,
        frame::{self, CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE},
        head,
    },
};
use tokio::io::AsyncReadExt;

const PROTOCOL_ERROR: u32 = 1;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// The numbers of a client's streams.
fn streams() -> impl Iterator<Item = u32> {
    (1..).step_by(2)
}

/// Sends until nobody is there, and then reads why.
async fn until_it_ends(client: &mut Frames, mut frames: impl FnMut(u32) -> Vec<u8>) -> (u32, Option<u32>) {
    let (mut reader, mut writer) = tokio::io::split(&mut client.socket);
    let reading = async {
        let mut bytes = Vec::new();
        let _ =
            tokio::time::timeout(Duration::from_secs(30), reader.read_to_end(&mut bytes)).await.expect("it goes on");
        bytes
    };
    let writing = async {
        for stream in streams() {
            if tokio::io::AsyncWriteExt::write_all(&mut writer, &frames(stream)).await.is_err() {
                return stream / 2;
            }
        }
        0
    };
    let (bytes, count) = tokio::join!(reading, writing);
    (count, goaway(&bytes))
}

/// Why a connection has ended, as its last GOAWAY has it.
fn goaway(mut bytes: &[u8]) -> Option<u32> {
    let mut reason = None;
    while bytes.len() >= 9 {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        if bytes[3] == frame::GOAWAY {
            reason = Some(u32::from_be_bytes(bytes[13..17].try_into().unwrap()));
        }
        bytes = bytes.get(9 + length..).unwrap_or_default();
    }
    reason
}

#[tokio::test]
async fn cve_2023_44487_requests_that_are_taken_back_at_once_end_the_connection() {
    let world = Secured::start().await;
    let mut client = Frames::open(&world).await;
    let (count, reason) = until_it_ends(&mut client, |stream| {
        let reset = frame::bytes(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
        [frame::bytes(HEADERS, END_HEADERS | END_STREAM, stream, &head("GET", "/public/hang")), reset].concat()
    })
    .await;
    assert_eq!(reason, Some(ENHANCE_YOUR_CALM), "after {count}");
    assert!(world.echo.count() < 300, "{}", world.echo.count());
}

#[tokio::test]
async fn cve_2021_39162_cve_2021_39204_requests_that_are_taken_back_when_the_app_has_them_end_the_connection_too() {
    let world = Secured::start().await;
    let mut client = Frames::open(&world).await;
    let mut asked = 0;
    for stream in streams().take(1000) {
        client.send(HEADERS, END_HEADERS | END_STREAM, stream, &head("GET", "/public/hang")).await;
        let began = Stopwatch::start();
        while world.echo.count() == asked && began.elapsed() < Duration::from_secs(2) {
            tokio::task::yield_now().await;
        }
        if world.echo.count() == asked {
            break;
        }
        asked += 1;
        client.send(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()).await;
    }
    assert!((100..=110).contains(&asked), "{asked}");
    assert_eq!(client.end().await, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn cve_2025_8671_faults_that_make_the_gateway_reset_end_the_connection() {
    let world = Secured::start().await;
    let mut client = Frames::open(&world).await;
    let (count, reason) = until_it_ends(&mut client, |stream| {
        let fault = frame::bytes(WINDOW_UPDATE, 0, stream, &[0; 4]);
        [frame::bytes(HEADERS, END_HEADERS, stream, &head("POST", "/public/hang")), fault].concat()
    })
    .await;
    assert!(matches!(reason, Some(ENHANCE_YOUR_CALM | PROTOCOL_ERROR)), "{reason:?} after {count}");
    assert!(world.echo.count() < 300, "{}", world.echo.count());
}

#[tokio::test]
async fn nobody_is_refused_for_ever_on_one_connection() {
    let world = Secured::start().await;
    let mut client = Frames::open(&world).await;
    let (_, reason) = until_it_ends(&mut client, |stream| {
        frame::bytes(HEADERS, END_HEADERS | END_STREAM, stream, &head("GET", "/public//x"))
    })
    .await;
    assert_eq!(reason, Some(ENHANCE_YOUR_CALM));
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn cve_2024_27316_a_head_in_endless_pieces_ends_the_connection() {
    let world = Secured::start().await;
    let mut client = Frames::open(&world).await;
    client.send(HEADERS, 0, 1, &head("GET", "/public")).await;
    let (count, reason) = until_it_ends(&mut client, |_| frame::bytes(CONTINUATION, 0, 1, &[])).await;
    assert_eq!(reason, Some(ENHANCE_YOUR_CALM), "after {count}");
}

#[tokio::test]
async fn cve_2016_6581_a_small_head_that_unpacks_to_a_large_one_ends_the_connection() {
    let world = Secured::start().await;
    let mut client = Frames::open(&world).await;
    // One long field into the dynamic table, and then its number again and again.
    let mut block = [&head("GET", "/public")[..], &[0x40, 1, b'x', 0x7f, 0x81, 0x1e]].concat();
    block.extend([b'y'; 3968]);
    block.extend([0xbe; 10_000]);
    client.send(HEADERS, END_HEADERS | END_STREAM, 1, &block).await;
    assert!(client.end().await.is_some());
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn a_head_that_drips_ends_the_connection_in_time() {
    let world = Secured::with(&[("server", "header_timeout = \"1s\"")]).await;
    for begun in [
        b"PRI * HTTP".to_vec(),
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), vec![0, 0]].concat(),
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame::bytes(SETTINGS, 0, 0, &[]), {
            frame::bytes(HEADERS, 0, 1, &head("GET", "/public"))
        }]
        .concat(),
    ] {
        let mut client = Frames::silent(&world).await;
        client.write(&begun).await;
        let began = Stopwatch::start();
        client.end().await;
        assert!(began.elapsed() < Duration::from_secs(5), "{begun:?}");
    }
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_whatever_else_it_sends() {
    let world = Secured::with(&[("server", "idle_timeout = \"1s\"")]).await;
    let mut silent = Frames::silent(&world).await;
    silent.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(silent.end().await, Some(0));
    let mut client = Frames::open(&world).await;
    let (mut reader, mut writer) = tokio::io::split(&mut client.socket);
    let mut bytes = Vec::new();
    let pinging = async {
        while tokio::io::AsyncWriteExt::write_all(&mut writer, &frame::bytes(PING, 0, 0, &[0; 8])).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (read, ()) = tokio::join!(reader.read_to_end(&mut bytes), pinging);
    let _ = read;
    assert_eq!(goaway(&bytes), Some(0), "nothing was wrong with it");
}

#[tokio::test]
async fn cve_2019_9512_cve_2019_9515_whoever_reads_no_replies_is_not_read_any_more() {
    let world = Secured::start().await;
    for flood in [frame::bytes(PING, 0, 0, &[0; 8]), frame::bytes(SETTINGS, 0, 0, &[])] {
        let mut client = Frames::open(&world).await;
        let piece = flood.repeat(10_000);
        let mut written = 0;
        while tokio::time::timeout(Duration::from_secs(1), client.write(&piece)).await.unwrap_or(false) {
            written += piece.len();
            assert!(written < 100_000_000, "it takes everything");
        }
    }
}

#[tokio::test]
async fn cve_2019_9511_cve_2019_9517_an_answer_that_nobody_takes_is_not_kept() {
    let world = Secured::start().await;
    let mut client = Frames::silent(&world).await;
    client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    // SETTINGS_INITIAL_WINDOW_SIZE 0.
    client.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
    client.send(HEADERS, END_HEADERS | END_STREAM, 1, &head("GET", "/public//x")).await;
    loop {
        let (kind, stream, payload) = client.next().await.expect("the connection lives");
        if kind == RST_STREAM {
            assert_eq!((stream, payload), (1, CANCEL.to_be_bytes().to_vec()));
            break;
        }
    }
}
