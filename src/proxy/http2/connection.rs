//! One HTTP/2 connection: its requests, side by side, and what it may cost.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, Connection, SendResponse},
};
use http::{Method, Request};
use pingora::{apps::HttpServerApp, protocols::http::ServerSession};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, SemaphorePermit, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::Instrument;

use super::{
    lookout::{Brought, Lookout},
    reply::Reply,
    stream::{Slowness, Stream},
    voice::Voice,
};
use crate::proxy::{
    Answer, Exchange, Generation, Service, access_log,
    connection::{self, WRITE_TIMEOUT},
    entrance::{Speaker, Visitor},
    lent::{Lender, Lent},
    straight::Way,
    wire::{self, BRIEF, Head, Peer, Transcript},
};
use crate::{
    telemetry::{in_request, in_request_now},
    tls::Pair,
};

/// Most requests of one connection at a time.
const MOST_STREAMS: u32 = 100;

/// So many bytes of one body are taken before the app has taken them.
const STREAM_WINDOW: u32 = 128 * 1024;

/// The same for all bodies of one connection.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Most bytes of one answer that wait for the client.
const MOST_UNSENT: usize = 64 * 1024;

/// Most requests that were taken back before anybody has looked at them (CVE-2023-44487).
const MOST_TAKEN_BACK: usize = 20;

/// Most streams that the library has to reset for a fault of the client (CVE-2025-8671).
const MOST_FAULTS: usize = 100;

/// From so many wasted requests on, most must be worth their while.
const PATIENCE: usize = 100;

/// How long a client has to say goodbye.
const PARTING: Duration = Duration::from_secs(3);

/// Most requests over all connections: each costs about what a connection of HTTP/1.1 costs.
const MOST_PLACES: usize = 20_000;

/// Places for requests, over all connections.
static PLACES: Semaphore = Semaphore::const_new(MOST_PLACES);

/// Serves one connection until it ends. When the gateway drains, requests under way have their answers, and no others
/// are taken.
pub(in crate::proxy) async fn serve(service: Service, visitor: Visitor) {
    let Visitor { client, peer, speaker, certificate, .. } = visitor;
    let mut drain = service.drain.clone();
    let limits = service.generations.now().connections.limits;
    let socket = Lookout::new(client, limits.header_timeout, WRITE_TIMEOUT);
    let guest = Guest { service, peer, speaker, certificate, brought: socket.brought() };
    // In boxes: what is needed for a while has no room for the whole life of the connection.
    let handshake = Box::pin(timeout(limits.idle_timeout, options(limits).handshake(socket)));
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        // What comes with the preface has its answer: nobody could know that it was not processed.
        () = wire::drained(&mut drain) => return,
    };
    let Ok(Ok(connection)) = shaken else { return };
    let serving = Serving { connection, streams: JoinSet::new(), tally: Tally::default(), leaving: false };
    Box::new(serving).run(&guest, drain).await;
}

/// What the library is told of our limits.
fn options(limits: wire::Settings) -> Builder {
    let mut options = Builder::new();
    // A little more than we take, counted as RFC 9113, section 6.5.2, has it: who is over our limit gets our answer.
    // Who is over this one gets a bare 431 from the library, and at four times as much the connection ends.
    let list = u32::try_from(limits.max_header_bytes.saturating_mul(2)).unwrap_or(u32::MAX).saturating_add(8 * 1024);
    options
        .max_header_list_size(list)
        .max_concurrent_streams(MOST_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(MOST_UNSENT)
        .max_pending_accept_reset_streams(MOST_TAKEN_BACK)
        .max_local_error_reset_streams(Some(MOST_FAULTS));
    options
}

/// What all requests of a connection share.
#[derive(Clone)]
struct Guest {
    service: Service,
    peer: Peer,
    speaker: Speaker,
    certificate: Option<Arc<Pair>>,
    brought: Brought,
}

/// How a request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It had its answer, or the app has failed it.
    Served,
    /// It could be read in two ways, or was taken back: work for nothing.
    Wasted,
}

/// What a client makes of its requests.
#[derive(Debug, Default)]
pub(super) struct Tally {
    begun: usize,
    wasted: usize,
}

impl Tally {
    /// Notes an end. Says whether the client asks too much: browsers take requests back too, but not most of them.
    pub(super) fn note(&mut self, end: End) -> bool {
        self.begun += 1;
        self.wasted += usize::from(end == End::Wasted);
        end == End::Wasted && self.wasted >= PATIENCE && self.wasted * 2 > self.begun
    }
}

/// A connection and its requests.
struct Serving<S> {
    connection: Connection<Lookout<S>, Bytes>,
    streams: JoinSet<End>,
    tally: Tally,
    /// No more requests are taken.
    leaving: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> Serving<S> {
    async fn run(mut self: Box<Self>, guest: &Guest, mut drain: watch::Receiver<bool>) {
        let mut until = Instant::now() + guest.idle_timeout();
        loop {
            tokio::select! {
                biased;
                Some(ended) = self.streams.join_next(), if !self.streams.is_empty() => {
                    let enough = ended.is_ok_and(|end| self.tally.note(end));
                    if enough {
                        return self.enough(guest).await;
                    }
                    if self.streams.is_empty() {
                        until = Instant::now() + if self.leaving { self.farewell() } else { guest.idle_timeout() };
                    }
                }
                () = drained(&mut drain), if !self.leaving => until = self.leave(),
                () = sleep_until(until), if self.streams.is_empty() => match self.leaving {
                    true => break,
                    false => until = self.leave(),
                },
                accepted = self.connection.accept() => match accepted {
                    Some(Ok((request, respond))) => {
                        if self.begin(guest, request, respond) {
                            return self.enough(guest).await;
                        }
                    }
                    Some(Err(_)) | None => break,
                },
            }
        }
        drop(self.connection);
        // They find out by themselves, and have their lines in the log.
        while self.streams.join_next().await.is_some() {}
    }

    /// Tells the client that no more requests are taken; says until when it may say goodbye, if it has none.
    fn leave(&mut self) -> Instant {
        self.connection.graceful_shutdown();
        self.leaving = true;
        Instant::now() + self.farewell()
    }

    /// What was answered may still be on its way.
    fn farewell(&self) -> Duration {
        if self.connection.has_streams() { WRITE_TIMEOUT } else { PARTING }
    }

    /// Begins with a request; says whether the client asks too much.
    fn begin(&mut self, guest: &Guest, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> bool {
        let under_way = self.streams.len();
        let generation = guest.service.generations.now();
        let place = PLACES.try_acquire().ok().filter(|_| under_way < share(PLACES.available_permits()));
        // A connection that was let in may always ask for one thing.
        if place.is_none() && under_way > 0 {
            // RFC 9113, section 8.7: nothing was done, and the client may ask again.
            respond.send_reset(Reason::REFUSED_STREAM);
            // The library counts streams that were reset no more, but our work for them may go on. That others have
            // taken the places is not this client's fault.
            return under_way >= MOST_STREAMS as usize && self.tally.note(End::Wasted);
        }
        self.streams.spawn(guest.clone().answer(generation, request, respond, place));
        false
    }

    /// The client is told why, and has no second chance on this connection.
    async fn enough(mut self: Box<Self>, guest: &Guest) {
        let client = guest.peer.remote().ip().to_canonical();
        tracing::info!(event = "http2_refused", %client, reason = "most requests were malformed or taken back");
        self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        let _ = timeout(PARTING, async { while let Some(Ok(_)) = self.connection.accept().await {} }).await;
        drop(self.connection);
        while self.streams.join_next().await.is_some() {}
    }
}

impl Guest {
    fn idle_timeout(&self) -> Duration {
        self.service.generations.now().connections.limits.idle_timeout
    }

    /// One request, from its head to the end of its answer.
    async fn answer(
        self,
        generation: Arc<Generation>,
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        _place: Option<SemaphorePermit<'static>>,
    ) -> End {
        let connections = &generation.connections;
        let (parts, body) = request.into_parts();
        let voice = Voice::Silent(respond);
        let transcript = Transcript::of(&parts);
        let trusted = self.speaker.believed(&connections.trusted);
        let read = transcript.read(connections.limits.max_header_bytes).and_then(|head| {
            let facts = connection::facts(&head, &self.peer, trusted, self.certificate.as_deref(), connections)?;
            Ok((head, facts))
        });
        let (head, facts) = match read {
            Ok(read) => read,
            Err(refusal) => {
                let looks = transcript.unjudged();
                let (answer, request_id) =
                    connection::refused(refusal, looks, &self.peer, connections.hsts, connections);
                voice.last_words(Some(&answer), &request_id, parts.method == Method::HEAD).await;
                return End::Wasted;
            }
        };
        let exchange = Exchange::new(facts);
        let (span, traced) = access_log::spans(&exchange.facts, connections.scheme);
        let within = |word: &dyn Fn() -> Option<Answer>| {
            in_request_now(Arc::clone(&exchange) as _, || span.in_scope(|| traced.in_scope(word)))
        };
        let slowness =
            Slowness::new(connections.limits.min_body_rate, head.expects_continue(), Arc::clone(&self.brought));
        let (lender, voice) = Lender::lend(voice);
        let served = self.serve(&generation, &head, &exchange, body, slowness, voice);
        let served = served.instrument(traced.clone()).instrument(span.clone());
        // Serving ends with this block, whoever ends it: it holds the voice.
        let last_word = {
            let mut served = pin!(in_request(Arc::clone(&exchange) as _, served));
            let is_brief = tokio::select! {
                biased;
                _ = &mut served => true,
                () = sleep(BRIEF) => false,
            };
            if is_brief {
                None
            } else {
                tokio::select! {
                    _ = served => None,
                    never = connection::becomes_a_stream(&self.service.streams) => match never {},
                    () = exchange.overdue() => Some(within(&|| Some(connection::late(&exchange, connections)))),
                    over = exchange.session_over(&connections.sessions) => {
                        Some(within(&|| connection::ended(&exchange, connections, &over)))
                    }
                }
            }
        };
        let Some(last_word) = last_word else {
            let reset = lender.take().is_some_and(|mut voice| voice.was_reset());
            return if reset { End::Wasted } else { End::Served };
        };
        if let Some(voice) = lender.take() {
            let facts = &exchange.facts;
            voice.last_words(last_word.as_ref(), &facts.request_id, facts.method == Method::HEAD).await;
        }
        End::Served
    }
}

impl Guest {
    /// Answers a request, or hands it to pingora.
    async fn serve(
        &self,
        generation: &Generation,
        head: &Head,
        exchange: &Arc<Exchange>,
        body: RecvStream,
        slowness: Slowness,
        voice: Lent<Voice>,
    ) {
        let mut reply = Reply::to(head, voice);
        if body.is_end_stream() {
            match Box::pin(generation.gateway.serve_straight(&mut reply, exchange)).await {
                Way::Answered | Way::Broken => return,
                Way::Phases => {}
            }
        }
        // The head was read: it can be one of pingora's.
        let Ok(stream) = Stream::new(head, Arc::clone(exchange), body, slowness, reply.into_voice()) else { return };
        let mut session = ServerSession::new_custom(Box::new(stream));
        session.set_write_timeout(Some(WRITE_TIMEOUT));
        generation.proxy.process_new_http(session, &self.service.drain).await;
    }
}

/// How many requests a connection may have under way while so many places are free. Few connections cannot take them
/// all: the fewer are left, the fewer each gets.
pub(super) const fn share(free: usize) -> usize {
    let share = (MOST_STREAMS as usize * free).div_ceil(MOST_PLACES);
    if share > 1 { share } else { 1 }
}

/// Resolves when the server drains; also when nobody is left who could say so.
async fn drained(drain: &mut watch::Receiver<bool>) {
    let _ = drain.wait_for(|drains| *drains).await;
}
