//! What a connection holds while nothing is said on it.

use std::sync::Arc;

use tokio::net::TcpStream;

use super::{Service, connection};
use crate::tls;

/// The size of the future that a function gives back.
fn size_of_future<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
    size_of::<F>()
}

/// A school has thousands of connections that wait. What a request needs, or HTTP/2, is in boxes of its own.
#[test]
fn a_connection_that_waits_has_no_room_for_what_only_a_request_or_http_2_needs() {
    let serve = |(service, tls, socket): (Service, Option<Arc<tls::Acceptor>>, TcpStream)| {
        connection::serve(service, tls, socket)
    };
    let size = size_of_future(serve);
    assert!(size < 6 * 1024, "{size} bytes");
}
