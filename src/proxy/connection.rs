//! One client connection: head after head, each judged before pingora sees it.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use http::Method;
use pingora::{
    apps::HttpServerApp, protocols::http::ServerSession, proxy::HttpProxy, server::configuration::ServerConf,
};
use tokio::{net::TcpStream, sync::watch};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{
    Answer, Endpoint, Exchange, Facts, Gateway, Generation, Hsts, OwnHosts, Service, Settings, TrustedProxies,
    access_log,
    entrance::{Arrival, Client, Speaker, Visitor, enter},
    forwarded::Forwarded,
    http2, judge,
    lent::{Lender, Lent},
    phases::Phases,
    straight::{Http1, Way},
    upstreams::NOBODY,
    wire::{self, Alarm, BRIEF, Guard, Head, Next, Peer, Refusal},
};
use crate::{
    crypto,
    entropy::{self, Entropy},
    pages::{self, Explanation, Failure},
    policy::Admission,
    session::{Over, Sessions},
    telemetry::{Metrics, Sampling, TraceContext, in_request},
    tls::{self, Pair},
    web::{Kind, Scheme},
};

/// pingora with our phases.
pub type Proxy = HttpProxy<Phases>;

/// Keep-alive is the guard's business; pingora only has to give the connection back.
const KEEPALIVE_SECONDS: u64 = 60;

/// A client that takes nothing of an answer for so long has gone: its place is needed.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(120);

/// A request that lasts so long is a stream: a WebSocket, events, a large download.
const STREAM: Duration = Duration::from_secs(2);

/// Puts pingora around a gateway.
pub(super) fn proxy(gateway: &Arc<Gateway>) -> Arc<Proxy> {
    crypto::install();
    // Each upstream of an app once, and once more for a connection that was closed meanwhile.
    let max_retries = gateway.upstreams.most() + 1;
    let conf = ServerConf { max_retries, ca_file: Some(NOBODY.into()), ..ServerConf::default() };
    let mut proxy = HttpProxy::new(Phases::of(gateway), Arc::new(conf));
    proxy.handle_init_modules();
    Arc::new(proxy)
}

/// Serves one connection until it ends, or has to end between two requests. With `tls` it begins with a handshake.
pub async fn serve(service: Service, tls: Option<Arc<tls::Acceptor>>, socket: TcpStream) {
    let Service { generations, mut drain, .. } = service.clone();
    let _open = generations.now().connections.metrics.opened();
    let arrived = enter(socket, tls.as_deref(), &generations.now().connections, &mut drain).await;
    match arrived {
        // In a box: else each connection of HTTP/1.1 has the room that one of HTTP/2 needs.
        Some(Arrival::Visitor(visitor)) if visitor.speaks_http2() => Box::pin(http2::serve(service, visitor)).await,
        Some(Arrival::Visitor(visitor)) => attend(service, visitor).await,
        Some(Arrival::Plain(visitor)) => turn_away(visitor, &generations.now().connections, &mut drain).await,
        None => {}
    }
}

/// How serving a request ends.
#[expect(clippy::large_enum_variant, reason = "nearly all are of the large kind, and it is not kept")]
enum End {
    /// It was answered; with what the next request may come on.
    Served(Option<Guard<Lent<Client>>>),
    /// The app has let its time pass.
    Late,
    /// Its session has ended, or may have.
    Over(Over),
}

/// Serves the requests of somebody who has been let in and speaks HTTP/1.1.
pub(super) async fn attend(service: Service, visitor: Visitor) {
    let Service { generations, mut drain, streams } = service;
    let Visitor { client, peer, speaker, begun, certificate } = visitor;
    let (lender, lent) = Lender::lend(client);
    let mut guard = Guard::new(lent, peer.clone(), generations.now().connections.limits).holding(&begun);
    let mut alarm = Alarm::default();
    loop {
        let next = guard.next_head(&mut drain).await;
        // From here to its end a request has the same rules, whatever is reloaded meanwhile.
        let generation = generations.now();
        let connections = &generation.connections;
        match next {
            Next::Request => {}
            Next::Closed => return,
            Next::Refused(refusal) => return refuse(guard, refusal, connections.hsts, connections).await,
        }
        let trusted = speaker.believed(&connections.trusted);
        let is_own = speaker == Speaker::Ourselves;
        let read = |head| facts(head, &peer, trusted, certificate.as_deref(), connections);
        let exchange = match guard.head().map(read) {
            Some(Ok(facts)) => Exchange::new(Facts { is_own, ..facts }),
            Some(Err(refusal)) => return refuse(guard, refusal, connections.hsts, connections).await,
            None => return,
        };
        let (span, traced) = access_log::spans(&exchange.facts, connections.scheme);
        let served =
            serve_one(&generation, guard, &exchange, &drain).instrument(traced.clone()).instrument(span.clone());
        // Serving ends with this block, whoever ends it: it holds the socket.
        let end = {
            let mut served = pin!(in_request(Arc::clone(&exchange) as _, served));
            alarm.put_off(exchange.born());
            let brief = tokio::select! {
                biased;
                reused = &mut served => Some(End::Served(reused)),
                () = alarm.rings() => None,
            };
            match brief {
                Some(end) => end,
                None => tokio::select! {
                    reused = served => End::Served(reused),
                    never = becomes_a_stream(&streams) => match never {},
                    () = exchange.overdue() => End::Late,
                    over = exchange.session_over(&connections.sessions) => End::Over(over),
                },
            }
        };
        let reused = match end {
            End::Served(reused) => reused,
            End::Late => {
                let last = too_late(&lender, &peer, &exchange, connections).instrument(traced).instrument(span);
                return in_request(Arc::clone(&exchange) as _, last).await;
            }
            End::Over(over) => {
                let last = cut(&lender, &peer, &exchange, connections, over).instrument(traced).instrument(span);
                return in_request(Arc::clone(&exchange) as _, last).await;
            }
        };
        match reused {
            Some(next) => guard = next.under(generations.now().connections.limits),
            None => return,
        }
    }
}

/// Counts a request that lasts among the streams, for as long as it is polled. It was not brief already.
pub(super) async fn becomes_a_stream(streams: &TaskTracker) -> Infallible {
    tokio::time::sleep(STREAM - BRIEF).await;
    let _counted = streams.token();
    std::future::pending().await
}

/// What a connection needs beside its gateway.
#[derive(Clone, Debug)]
pub struct Connections {
    pub(super) limits: wire::Settings,
    pub(super) scheme: Scheme,
    pub(super) trusted: TrustedProxies,
    sampling: Sampling,
    pub(super) sessions: Arc<Sessions>,
    pub(super) entropy: Arc<dyn Entropy>,
    metrics: Arc<Metrics>,
    pub(super) hosts: OwnHosts,
    pub(super) hsts: Option<Hsts>,
}

impl Connections {
    /// From the settings of the listeners.
    #[must_use]
    pub fn new(
        settings: &Settings,
        hosts: OwnHosts,
        sessions: Arc<Sessions>,
        entropy: Arc<dyn Entropy>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let limits = wire::Settings {
            header_timeout: settings.header_timeout,
            idle_timeout: settings.idle_timeout,
            min_body_rate: settings.min_body_rate,
            max_header_bytes: settings.max_header_bytes,
        };
        let (scheme, trusted) = (settings.external_scheme, settings.trusted_proxies.clone());
        let (sampling, hsts) = (settings.sampling, settings.hsts);
        Self { limits, scheme, trusted, sampling, sessions, entropy, metrics, hosts, hsts }
    }
}

/// Answers one request, or hands it to pingora; gives the guard back when the connection may be used again.
async fn serve_one(
    generation: &Generation,
    mut guard: Guard<Lent<Client>>,
    exchange: &Arc<Exchange>,
    drain: &watch::Receiver<bool>,
) -> Option<Guard<Lent<Client>>> {
    // pingora tells clients when the connection is about to end.
    if !*drain.borrow() {
        match Box::pin(generation.gateway.serve_straight(&mut Http1::of(&mut guard), exchange)).await {
            Way::Answered => return Some(guard),
            Way::Broken => return None,
            Way::Phases => {}
        }
    }
    let mut session = ServerSession::new_http1(Box::new(guard));
    session.set_keepalive(Some(KEEPALIVE_SECONDS));
    // The guard measures what matters; a WebSocket may be silent for as long as it likes.
    session.set_read_timeout(None);
    session.set_write_timeout(Some(WRITE_TIMEOUT));
    session.set_connection_user_context(Some(Box::new(Arc::clone(exchange))));
    let (stream, _) = generation.proxy.process_new_http(session, drain).await?.consume();
    stream.into_any().downcast().ok().map(|guard| *guard)
}

/// What the head says, and trusted proxies with it.
pub(super) fn facts(
    head: &Head,
    peer: &Peer,
    trusted: &TrustedProxies,
    certificate: Option<&Pair>,
    connections: &Connections,
) -> Result<Facts, Refusal> {
    let from = peer.asks_for(|introducer| trusted.contains(introducer));
    let Forwarded { client, hops, scheme, host, trusted } = Forwarded::read(head, from, trusted);
    // RFC 9110, section 7.4: a name that the certificate is not for must be refused, unless a trusted gateway asks.
    let certified = trusted || certificate.is_none_or(|certificate| certificate.covers(head.host()));
    let asks = Endpoint::of(head.target().path()) == Some(Endpoint::Auth);
    // Web servers ask by the name itself. Another spelling is their client's, who went around a rule that keeps it out.
    let trusted = trusted && (!asks || head.is_verbatim());
    // There it is the host of the request that is asked about, and judged with the rest of it.
    let host = host.filter(|_| !asks);
    let host = host.unwrap_or_else(|| Ok(head.host().clone())).map_err(Refusal::ForwardedHost)?;
    let entropy = &*connections.entropy;
    let request_id = entropy::public_hex::<16>(entropy);
    let before = trusted.then(|| TraceContext::go_on(head.field("traceparent"), head.field("tracestate"), entropy));
    // A trace that begins here has the number of its first request.
    let begin = || TraceContext::begin(&request_id, connections.sampling, entropy);
    let trace = before.flatten().unwrap_or_else(begin);
    Ok(Facts {
        client,
        hops,
        trusted,
        certified,
        scheme,
        version: head.version(),
        method: Method::from_bytes(head.method().as_bytes()).map_err(|_| Refusal::Method)?,
        host,
        target: head.target().clone(),
        kind: kind(head),
        websocket: head.websocket(),
        may_redirect: true,
        request_id,
        trace,
        is_own: false,
    })
}

pub(super) fn kind(head: &Head) -> Kind {
    Kind::of(|name| {
        let mut values = head.field(name);
        let only = values.next().map(|value| values.next().map_or(value, |_second| b""));
        only.map(|value| std::str::from_utf8(value).unwrap_or_default())
    })
}

/// The app has let its time pass: whoever served is gone, and the socket has come home.
async fn too_late(lender: &Lender<Client>, peer: &Peer, exchange: &Exchange, connections: &Connections) {
    let Some(socket) = lender.take() else { return };
    let answer = late(exchange, connections);
    let bytes = answer.to_last_bytes(&exchange.facts.request_id, exchange.facts.method == Method::HEAD);
    Guard::new(socket, peer.clone(), connections.limits).refuse(&bytes).await;
}

/// The answer in the place of an app that has let its time pass.
pub(super) fn late(exchange: &Exchange, connections: &Connections) -> Answer {
    if let Some((upstream, _)) = exchange.upstream() {
        upstream.timed_out();
    }
    let why = "the app did not begin to answer within upstream_timeout";
    let answer = exchange.in_place_of_the_app(Failure::GatewayTimeout, why).secured(connections.hsts);
    exchange.explain(&answer);
    access_log::line(exchange, answer.status());
    answer
}

/// The session of a stream has ended, or may have: the connection ends with it. Who has no answer yet is told why.
async fn cut(lender: &Lender<Client>, peer: &Peer, exchange: &Exchange, connections: &Connections, over: Over) {
    let (Some(socket), Some(answer)) = (lender.take(), ended(exchange, connections, &over)) else { return };
    let bytes = answer.to_last_bytes(&exchange.facts.request_id, exchange.facts.method == Method::HEAD);
    Guard::new(socket, peer.clone(), connections.limits).refuse(&bytes).await;
}

/// The answer to a request whose session has ended, or may have; `None` when another has begun.
pub(super) fn ended(exchange: &Exchange, connections: &Connections, over: &Over) -> Option<Answer> {
    let facts = &exchange.facts;
    let session = exchange.admission().and_then(Admission::session).map(|session| session.record().handle.as_str());
    tracing::info!(
        event = "stream_closed",
        session,
        reason = match over {
            Over::Ended => "the session has ended",
            Over::Doubtful(_) => "the session store cannot say whether the session lives",
        }
    );
    if let Some(status) = exchange.status() {
        access_log::line(exchange, status);
        return None;
    }
    let answer = match over {
        Over::Ended => judge::signed_out_meanwhile(facts, connections.scheme),
        Over::Doubtful(error) => *judge::sessions_unavailable(error, facts),
    };
    let answer = answer.secured(connections.hsts);
    exchange.explain(&answer);
    access_log::line(exchange, answer.status());
    Some(answer)
}

/// Somebody speaks HTTP where HTTPS is spoken: whoever mistyped an address is told so, and no request is served.
async fn turn_away(visitor: Visitor, connections: &Connections, drain: &mut watch::Receiver<bool>) {
    let Visitor { client, peer, begun, .. } = visitor;
    let (_, lent) = Lender::lend(client);
    let mut guard = Guard::new(lent, peer, connections.limits).holding(&begun);
    match guard.next_head(drain).await {
        Next::Request | Next::Refused(_) => refuse(guard, Refusal::NotEncrypted, None, connections).await,
        Next::Closed => {}
    }
}

/// A head that can be read in two ways gets an answer, and no second chance. Over plain HTTP there is no `hsts` (RFC
/// 6797, section 7.2).
pub(super) async fn refuse(
    guard: Guard<Lent<Client>>,
    refusal: Refusal,
    hsts: Option<Hsts>,
    connections: &Connections,
) {
    let looks = guard.head().map_or(guard.unjudged(), |head| head.text());
    let (answer, request_id) = refused(refusal, looks, guard.peer(), hsts, connections);
    let head_only = looks.trim_ascii_start().starts_with(b"HEAD ");
    guard.refuse(&answer.to_last_bytes(&request_id, head_only)).await;
}

/// The answer to a refused head of these looks, and its number.
pub(super) fn refused(
    refusal: Refusal,
    looks: &[u8],
    peer: &Peer,
    hsts: Option<Hsts>,
    connections: &Connections,
) -> (Answer, String) {
    connections.metrics.unreadable.count(refusal.kind());
    let request_id = entropy::public_hex::<16>(&*connections.entropy);
    let status = refusal.status();
    let client = peer.remote().ip().to_canonical();
    tracing::info!(target: "schoolgate::access", event = "refused", %client, status, reason = %refusal, %request_id);
    let mut answer = refusal_answer(refusal, guess_kind(looks), &request_id).secured(hsts);
    if let Some(allow) = refusal.allow() {
        answer = answer.with(http::header::ALLOW, allow);
    }
    (answer, request_id)
}

/// A page for somebody who mistyped an address, a problem document for everybody else.
fn refusal_answer(refusal: Refusal, kind: Kind, request_id: &str) -> Answer {
    let failure = match refusal.status() {
        _ if refusal == Refusal::NotEncrypted => Failure::NotEncrypted,
        405 => Failure::MethodNotAllowed,
        408 => Failure::Timeout,
        431 => Failure::HeadTooLarge,
        _ => Failure::BadRequest,
    };
    let explanation = Explanation { status: refusal.status(), ..failure.explanation() };
    Answer::error(&explanation, kind, request_id, || pages::failure(failure, request_id))
}

/// What a refused head would have been. Only the looks of the answer depend on it.
fn guess_kind(unjudged: &[u8]) -> Kind {
    let text = String::from_utf8_lossy(unjudged);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    Kind::of(|wanted| {
        let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_mistyped_an_address_reads_a_page() {
        let browser = b"GET /a%2fb HTTP/1.1\r\nHost: a\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\r\n";
        assert_eq!(guess_kind(browser), Kind::Navigation);
        for other in [
            &b""[..],
            b"GET / HTTP/1.1\r\n\r\nAccept: text/html\r\n",
            b"\xff\xff:\r\n",
            b"GET / HTTP/1.1\nAccept: */*\n",
        ] {
            assert_eq!(guess_kind(other), Kind::Other);
        }
    }

    #[test]
    fn every_refusal_keeps_its_status() {
        for refusal in [
            Refusal::Expectation,
            Refusal::Version,
            Refusal::HeadTooLarge,
            Refusal::MethodNotAllowed,
            Refusal::HeadTooSlow,
        ] {
            assert_eq!(refusal_answer(refusal, Kind::Other, "id").status(), refusal.status());
        }
    }
}
