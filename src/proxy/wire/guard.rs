//! The guard of one connection: who may read what, and until when.

use std::{
    fmt,
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    Alarm, Body, BodyKind, Head, Peer, Refusal, Settings, answer::Answer, head_end::HeadEnd, linger::Linger,
    outbox::Outbox, pace::Pace,
};

/// What is read at once into memory of our own. It is on the stack: an idle connection has no buffer.
pub(super) const STRIDE: usize = 4096;
/// How long an idle client may still send a request when the server drains.
pub const FAREWELL: Duration = Duration::from_secs(1);
/// How long a client may take to fetch a refusal.
const REFUSING: Duration = Duration::from_secs(3);

/// What the next head has turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A good one: [`Guard::head`] has it, and pingora may read.
    Request,
    /// None: the client has gone or was silent too long, or the server drains.
    Closed,
    /// A bad one: answer with [`Guard::refuse`].
    Refused(Refusal),
}

/// Stands between a socket and pingora.
pub struct Guard<S> {
    pub(super) socket: S,
    pub(super) peer: Peer,
    pub(super) settings: Settings,
    /// Who waits to read, and must look again when a tunnel opens.
    pub(super) reader: AtomicWaker,
    /// What has come but was not handed over: the next head, or what lies beyond the message.
    pub(super) held: BytesMut,
    pub(super) phase: Phase,
    pub(super) outbox: Outbox,
    pub(super) ended: bool,
    pub(super) refusal: Option<Refusal>,
    pub(super) linger: Option<Linger>,
    alarm: Alarm,
}

/// What the reader may have.
pub(super) enum Phase {
    /// Nothing: there is no request.
    Idle,
    /// One message.
    Message(Box<Message>),
    /// Everything: the app has taken the WebSocket.
    Tunnel,
}

/// The request that is being served.
pub(super) struct Message {
    pub(super) head: Head,
    /// What of the head is still to be read.
    pub(super) unread: Bytes,
    pub(super) body: Body,
    pub(super) pace: Pace,
    pub(super) answer: Answer,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static> Guard<S> {
    /// Guards a socket.
    #[must_use]
    pub fn new(socket: S, peer: Peer, settings: Settings) -> Self {
        Self {
            socket,
            peer,
            settings,
            reader: AtomicWaker::new(),
            held: BytesMut::new(),
            phase: Phase::Idle,
            outbox: Outbox::default(),
            ended: false,
            refusal: None,
            linger: None,
            alarm: Alarm::default(),
        }
    }

    /// The same with the first bytes of its first request, which somebody has read already.
    #[must_use]
    pub fn holding(mut self, bytes: &[u8]) -> Self {
        self.held.extend_from_slice(bytes);
        self
    }

    /// The same with other limits, from the next request on.
    #[must_use]
    pub fn under(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The head of the request that is being served; none between requests and in a tunnel.
    #[must_use]
    pub fn head(&self) -> Option<&Head> {
        match &self.phase {
            Phase::Message(message) => Some(&message.head),
            Phase::Idle | Phase::Tunnel => None,
        }
    }

    /// The bytes of a refused head, and perhaps more: for guessing what kind of answer suits, and for
    /// nothing else.
    #[must_use]
    pub fn unjudged(&self) -> &[u8] {
        &self.held
    }

    /// Why the body of the present request was refused, when it was.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// Waits for the next request: `idle_timeout` for its first byte, then `header_timeout` for all of
    /// its head. `drain` ends the waiting as long as no byte has come.
    ///
    /// When the message before was not read to its end, there is no next one.
    pub async fn next_head(&mut self, drain: &mut watch::Receiver<bool>) -> Next {
        let now = Instant::now();
        let idle_until = now + self.settings.idle_timeout;
        self.alarm.put_off(now);
        let reusable = tokio::select! {
            biased;
            reusable = self.rest() => reusable,
            () = sleep_until(idle_until) => false,
        };
        if !reusable {
            return Next::Closed;
        }
        let mut end = HeadEnd::default();
        let mut head_until = None;
        loop {
            match end.find(&self.held, self.settings.max_header_bytes) {
                Ok(Some(length)) => return self.begin(end.skipped(), length),
                Ok(None) => {}
                Err(refusal) => return Next::Refused(refusal),
            }
            if end.idle() {
                // Who asks again soon costs neither a timer nor a place among those who wait for the end.
                let soon = poll_fn(|cx| match self.poll_fill(cx) {
                    Poll::Ready(read) => Poll::Ready(Some(read)),
                    Poll::Pending => self.alarm.poll(cx).map(|()| None),
                });
                match soon.await {
                    Some(read) if read.as_ref().is_ok_and(|read| *read > 0) => continue,
                    Some(_gone) => return Next::Closed,
                    None => {}
                }
                tokio::select! {
                    biased;
                    read = self.fill() => if read.unwrap_or(0) == 0 { return Next::Closed },
                    () = sleep_until(idle_until) => return Next::Closed,
                    () = drained(drain) => return Next::Closed,
                }
            } else {
                let until = *head_until.get_or_insert_with(|| Instant::now() + self.settings.header_timeout);
                tokio::select! {
                    biased;
                    () = sleep_until(until) => return Next::Refused(Refusal::HeadTooSlow),
                    read = self.fill() => if read.unwrap_or(0) == 0 { return Next::Closed },
                }
            }
        }
    }

    /// The head needs no reader any more: its request is answered without pingora.
    pub fn settle(&mut self) {
        if let Phase::Message(message) = &mut self.phase {
            message.unread = Bytes::new();
        }
    }

    /// Writes an answer to a refused request and closes the connection.
    ///
    /// The client may still be sending. To close at once would reset the connection and could take the
    /// answer with it (RFC 9112, section 9.6), so what comes is thrown away for a while.
    pub async fn refuse(mut self, answer: &[u8]) {
        let done = timeout(REFUSING, async {
            self.outbox.write_all(&mut self.socket, answer).await?;
            poll_fn(|cx| self.poll_close(cx)).await
        });
        let _ = done.await;
    }

    /// Whether bytes of the present message were not read.
    pub(super) fn unfinished(&self) -> bool {
        match &self.phase {
            Phase::Idle | Phase::Tunnel => false,
            Phase::Message(message) => !message.unread.is_empty() || !message.body.is_done(),
        }
    }

    /// Reads into `held`, without a buffer while nothing comes.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut memory = [const { MaybeUninit::uninit() }; STRIDE];
        let mut buffer = ReadBuf::uninit(&mut memory);
        self.reader.register(cx.waker());
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
        self.held.extend_from_slice(buffer.filled());
        self.ended = buffer.filled().is_empty();
        Poll::Ready(Ok(buffer.filled().len()))
    }

    async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Ends the present message; false when the connection cannot be used again.
    async fn rest(&mut self) -> bool {
        let over = matches!(&self.phase, Phase::Idle | Phase::Message(_)) && !self.unfinished();
        if !over || self.refusal.is_some() || poll_fn(|cx| self.outbox.poll_flush(&mut self.socket, cx)).await.is_err()
        {
            return false;
        }
        self.phase = Phase::Idle;
        self.outbox.rest();
        self.free_held();
        true
    }

    fn begin(&mut self, start: usize, length: usize) -> Next {
        let head = match Head::parse_whole(&self.held[start..length]) {
            Ok(head) => head,
            Err(refusal) => return Next::Refused(refusal),
        };
        self.held.advance(length);
        self.free_held();
        let paused = head.expects_continue();
        self.phase = Phase::Message(Box::new(Message {
            unread: head.text().clone(),
            body: Body::new(head.body()),
            pace: Pace::new(if head.body() == BodyKind::None { 0 } else { self.settings.min_body_rate }, paused),
            answer: Answer::new(),
            head,
        }));
        Next::Request
    }

    /// Gives the memory back when nothing is in it; else it is kept, because it is about to be used.
    pub(super) fn free_held(&mut self) {
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
    }
}

/// Resolves a moment after the server begins to drain; also when nobody is left who could say so. A client that asks
/// again and again, as they do, is told with its next answer that the connection ends, and loses no request.
pub async fn drained(drain: &mut watch::Receiver<bool>) {
    let _ = drain.wait_for(|drains| *drains).await;
    sleep(FAREWELL).await;
}

/// Shows no byte of what was sent.
impl<S> fmt::Debug for Guard<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match &self.phase {
            Phase::Idle => "idle",
            Phase::Message(_) => "message",
            Phase::Tunnel => "tunnel",
        };
        f.debug_struct("Guard")
            .field("peer", &self.peer.remote())
            .field("phase", &phase)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}
