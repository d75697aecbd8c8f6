//! What connections hold while nothing is said on them.

use std::sync::Arc;

use tokio::net::TcpStream;

use super::{Service, connection, entrance::Visitor, http2};
use crate::tls;

/// The size of what a function's future holds.
fn of<A, R>(_: impl FnOnce(A) -> R) -> usize {
    size_of::<R>()
}

#[test]
fn a_connection_without_a_request_holds_little() {
    let serve = |(service, tls, socket): (Service, Option<Arc<tls::Acceptor>>, TcpStream)| {
        connection::serve(service, tls, socket)
    };
    let attend = |(service, visitor): (Service, Visitor)| connection::attend(service, visitor);
    let http2 = |(service, visitor): (Service, Visitor)| http2::serve(service, visitor);
    println!("serve {} attend {} http2 {}", of(serve), of(attend), of(http2));
    assert!(of(serve) < 1);
}
