//! How slowly a body may come, and what is kept of it, on a clock that a test moves. The rest is in `tests/http2*.rs`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use pingora::protocols::http::custom::server::Session;
use tokio::time::Instant;

use super::{
    connection::End,
    lookout::Lookout,
    stream::{Slowness, Stream},
    voice::Voice,
};
use crate::proxy::{
    Exchange,
    exchange::tests::facts,
    lent::Lender,
    wire::{Refusal, Transcript},
};

const LONG: Duration = Duration::from_secs(1000);

/// Requests as pingora would read them.
async fn pair(requests: usize) -> (SendRequest<Bytes>, Vec<h2::SendStream<Bytes>>, Vec<Stream>) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let client = tokio::spawn(async move {
        let (mut client, connection) = h2::client::handshake(near).await.unwrap();
        tokio::spawn(connection);
        let mut bodies = Vec::new();
        for _ in 0..requests {
            let request = Request::post("https://a.example/x").body(()).unwrap();
            bodies.push(client.send_request(request, false).unwrap().1);
        }
        (client, bodies)
    });
    let lookout = Lookout::new(far, LONG, LONG);
    let brought = lookout.brought();
    let mut connection = h2::server::handshake::<_>(lookout).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..requests {
        let (request, respond) = connection.accept().await.unwrap().unwrap();
        let (parts, body) = request.into_parts();
        let head = Transcript::of(&parts).read(4096).unwrap();
        let (_, voice) = Lender::lend(Voice::Silent(respond));
        let slowness = Slowness::new(1024, false, Arc::clone(&brought));
        streams.push(Stream::new(&head, Exchange::new(facts("/x")), body, slowness, voice).unwrap());
    }
    tokio::spawn(async move { while connection.accept().await.is_some() {} });
    let (client, bodies) = client.await.unwrap();
    (client, bodies, streams)
}

/// Takes pieces until there is no more, and says why.
async fn read_all(stream: &mut Stream) -> Option<Refusal> {
    loop {
        match stream.read_body_bytes().await {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return error.root_cause().downcast_ref().copied(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_given_up() {
    let (_client, mut bodies, mut streams) = pair(1).await;
    let dripping = tokio::spawn(async move {
        loop {
            bodies[0].send_data("x".into(), false).unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let began = Instant::now();
    assert_eq!(read_all(&mut streams[0]).await, Some(Refusal::BodyTooSlow));
    assert!((10..12).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    dripping.abort();
}

#[tokio::test(start_paused = true)]
async fn a_body_may_wait_for_another_of_its_connection_as_long_as_that_one_comes() {
    let (_client, mut bodies, mut streams) = pair(2).await;
    let (mut other, mut slow) = (streams.pop().unwrap(), streams.pop().unwrap());
    tokio::spawn(async move { while other.read_body_bytes().await.is_ok_and(|piece| piece.is_some()) {} });
    let began = Instant::now();
    let slow = tokio::spawn(async move { read_all(&mut slow).await });
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bodies[1].send_data(vec![0; 1200].into(), false).unwrap();
        assert!(!slow.is_finished(), "{:?}", began.elapsed());
    }
    assert_eq!(slow.await.unwrap(), Some(Refusal::BodyTooSlow), "now nothing comes any more");
    assert!(began.elapsed() < Duration::from_secs(81));
}

#[tokio::test(start_paused = true)]
async fn beside_an_answer_a_client_may_be_silent() {
    let (_client, mut bodies, mut streams) = pair(1).await;
    let head = pingora::http::ResponseHeader::build(200, None).unwrap();
    streams[0].write_response_header(Box::new(head), false).await.unwrap();
    let mut stream = streams.pop().unwrap();
    let reading = tokio::spawn(async move { read_all(&mut stream).await });
    tokio::time::sleep(Duration::from_secs(100_000)).await;
    assert!(!reading.is_finished());
    bodies[0].send_data("bye".into(), true).unwrap();
    assert_eq!(reading.await.unwrap(), None);
}

#[tokio::test]
async fn what_an_app_may_be_sent_a_second_time_is_small_and_whole() {
    let (_client, mut bodies, mut streams) = pair(1).await;
    let stream = &mut streams[0];
    stream.enable_retry_buffering();
    assert_eq!((stream.get_retry_buffer(), stream.retry_buffer_truncated()), (None, false));
    bodies[0].send_data(vec![1; 1000].into(), false).unwrap();
    assert_eq!(stream.read_body_bytes().await.unwrap().unwrap().len(), 1000);
    assert_eq!(stream.get_retry_buffer().unwrap(), vec![1; 1000]);
    bodies[0].send_data(vec![1; 65_000].into(), true).unwrap();
    while stream.read_body_bytes().await.unwrap().is_some() {}
    assert_eq!((stream.get_retry_buffer(), stream.retry_buffer_truncated()), (None, true));
}

#[test]
fn browsers_take_requests_back_and_only_somebody_else_most_of_them() {
    use super::connection::Tally;
    let mut tally = Tally::default();
    for _ in 0..10_000 {
        assert!(!tally.note(End::Served) && !tally.note(End::Wasted), "every other one");
    }
    let mut tally = Tally::default();
    let noted: Vec<bool> = (0..100).map(|_| tally.note(End::Wasted)).collect();
    assert_eq!(noted.iter().position(|enough| *enough), Some(99));
}
