//! A request of the gateway's own: the strict reader, pingora, our phases, and an answer.
//! It asks neither an app nor the store, needs no place among the connections and no descriptor, and goes on while the
//! gateway drains: it tells whether requests are served, and not how the rest of the world is.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    sync::watch,
};
use tokio_util::{either::Either, task::TaskTracker};

use super::{
    Generations, Service,
    connection::attend,
    entrance::{Speaker, Visitor},
    wire::Peer,
};

/// No host may have this name (RFC 2606, section 2).
const REQUEST: &[u8] = b"HEAD / HTTP/1.1\r\nHost: watchdog.invalid\r\nConnection: close\r\n\r\n";

/// How the answer begins.
const ANSWER: &[u8] = b"HTTP/1.1 421 ";

/// What goes either way at once, and the most that is read of the answer.
const ROOM: usize = 8 * 1024;

/// Whether a request is answered as it should be. It does not resolve while that hangs.
pub async fn answers(generations: &Generations) -> bool {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (mut asker, client) = duplex(ROOM);
    let visitor = Visitor {
        client: Either::Right(Either::Right(client)),
        // It has no descriptor, and pingora finds no statistics.
        peer: Peer::new(-1, nowhere, nowhere),
        speaker: Speaker::Ourselves,
        begun: Vec::new(),
        certificate: None,
    };
    // Nobody tells it that the gateway drains.
    let (_on, drain) = watch::channel(false);
    let service = Service { generations: generations.clone(), drain, streams: TaskTracker::new() };
    let asking = async move {
        let mut answer = [0; ANSWER.len()];
        let asked = asker.write_all(REQUEST).await.is_ok();
        let begun = asked && asker.read_exact(&mut answer).await.is_ok();
        // To its end: what serves it should come to an end, too.
        let rest = tokio::io::copy(&mut asker.take(ROOM as u64), &mut tokio::io::sink()).await;
        begun && rest.is_ok() && answer == ANSWER
    };
    let ((), answered) = tokio::join!(attend(service, visitor), asking);
    answered
}
