//! The listener for plain HTTP beside the one for HTTPS: it serves nothing, and sends browsers there.

use std::{borrow::Cow, sync::Arc};

use tokio::net::TcpStream;

use super::{
    Answer, Connections, Service,
    connection::{kind, refuse},
    entrance::{Arrival, Client, Visitor, enter},
    judge,
    lent::{Lender, Lent},
    wire::{Guard, Head, Next},
};
use crate::{entropy, pages::Failure, tls::Certificates};

/// Serves one connection: one request, read as strictly as any, and one answer. Whoever follows it goes elsewhere.
pub async fn redirect(service: Service, certificates: Option<Arc<Certificates>>, socket: TcpStream) {
    let Service { generations, mut drain, .. } = service;
    let generation = generations.now();
    let connections = &generation.connections;
    let Some(Arrival::Visitor(visitor)) = enter(socket, None, connections, &mut drain).await else { return };
    let Visitor { client, peer, begun, .. } = visitor;
    let (_, lent) = Lender::lend(client);
    let mut guard = Guard::new(lent, peer, connections.limits).holding(&begun);
    match guard.next_head(&mut drain).await {
        Next::Request => answer(guard, connections, certificates.as_deref()).await,
        Next::Refused(refusal) => refuse(guard, refusal, None, connections).await,
        Next::Closed => {}
    }
}

async fn answer(guard: Guard<Lent<Client>>, connections: &Connections, certificates: Option<&Certificates>) {
    let Some(head) = guard.head() else { return };
    let request_id = entropy::public_hex::<16>(&*connections.entropy);
    let challenge = certificates.and_then(|certificates| challenge(head, certificates));
    let answer = challenge.unwrap_or_else(|| judged(head, connections, &request_id));
    let client = guard.peer().remote().ip().to_canonical();
    tracing::info!(
        target: "schoolgate::access",
        event = "request_without_tls",
        method = %String::from_utf8_lossy(head.method().as_bytes()), host = head.host().name(),
        status = answer.status(), reason = answer.reason().map(Cow::as_ref), %client, %request_id,
    );
    let head_only = head.method().as_bytes() == b"HEAD";
    guard.refuse(&answer.to_last_bytes(&request_id, head_only)).await;
}

/// The answer to an authority that asks whether the host is ours (RFC 8555, section 8.3), while it may ask.
fn challenge(head: &Head, certificates: &Certificates) -> Option<Answer> {
    let token = head.target().path().as_str().strip_prefix("/.well-known/acme-challenge/")?;
    let answer = certificates.challenges().over_http(token)?;
    Some(Answer::new(200, "application/octet-stream", answer))
}

/// RFC 9110, section 15.4.9: 308 keeps method and body. The port is that of the redirect URI, never one that the
/// request names.
fn judged(head: &Head, connections: &Connections, request_id: &str) -> Answer {
    let Some(origin) = connections.hosts.origin(head.host()) else {
        return Answer::failure(Failure::Misdirected, kind(head), request_id).because(judge::NO_SUCH_HOST);
    };
    Answer::redirect(308, &format!("{origin}{}", head.target().to_origin_form()))
}
