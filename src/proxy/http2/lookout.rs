//! Watches the bytes of an HTTP/2 connection for what takes too long.
//!
//! The library that reads them has no clock. A head may come in many frames (RFC 9113, section 6.10), and nothing else
//! may stand between these: whoever lets one drip holds up the whole connection. So the frames are followed here, by
//! their first nine bytes alone.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

/// `PRI * HTTP/2.0` and what follows it, before the first frame (RFC 9113, section 3.4).
const PREFACE_BYTES: u64 = 24;

/// Length, type, flags and stream (RFC 9113, section 4.1).
const HEADER_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// How many bytes of bodies a connection has brought.
pub(super) type Brought = Arc<AtomicU64>;

/// A stream that ends when its client takes too long.
#[derive(Debug)]
pub(super) struct Lookout<S> {
    socket: S,
    frames: Frames,
    head: Alarm,
    write: Alarm,
    brought: Brought,
}

impl<S> Lookout<S> {
    /// Everything but the payload of a body has `head_timeout` from its first byte, a head in all its frames; and the
    /// client must take something of what is written within `write_timeout`.
    pub(super) fn new(socket: S, head_timeout: Duration, write_timeout: Duration) -> Self {
        let (head, write) = (Alarm::new(head_timeout), Alarm::new(write_timeout));
        Self { socket, frames: Frames::new(), head, write, brought: Brought::default() }
    }

    /// The number of bytes of bodies.
    pub(super) fn brought(&self) -> Brought {
        Arc::clone(&self.brought)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lookout<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.socket).poll_read(cx, buf);
        if read.is_ready() {
            let (rested, body) = this.frames.follow(&buf.filled()[before..]);
            this.brought.fetch_add(body, Ordering::Relaxed);
            if rested {
                this.head.stop();
            }
        }
        if !this.frames.must_go_on() {
            this.head.stop();
        } else if this.head.rings(cx, read.is_pending()) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> Lookout<S> {
    fn watched<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.write.stop();
        } else if self.write.rings(cx, true) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        done
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lookout<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.socket).poll_write(cx, bytes);
        this.watched(cx, done)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.socket).poll_flush(cx);
        this.watched(cx, done)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.socket).poll_shutdown(cx);
        this.watched(cx, done)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = Pin::new(&mut this.socket).poll_write_vectored(cx, pieces);
        this.watched(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

/// Rings some time after it was first asked.
#[derive(Debug)]
struct Alarm {
    after: Duration,
    set: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    const fn new(after: Duration) -> Self {
        Self { after, set: None }
    }

    fn stop(&mut self) {
        self.set = None;
    }

    /// Sets it, unless it is set; asked when somebody waits, whether it rings.
    fn rings(&mut self, cx: &mut Context<'_>, waiting: bool) -> bool {
        let after = self.after;
        let set = self.set.get_or_insert_with(|| Box::pin(tokio::time::sleep(after)));
        match waiting {
            true => set.as_mut().poll(cx).is_ready(),
            // What comes byte by byte never makes anybody wait.
            false => set.deadline() <= Instant::now(),
        }
    }
}

/// Where in the frames a connection is.
#[derive(Debug)]
struct Frames {
    place: Place,
    /// A head has begun, and its last frame has not.
    in_head: bool,
}

#[derive(Debug)]
enum Place {
    Preface { left: u64 },
    Header { known: [u8; HEADER_BYTES], count: usize },
    Payload { left: u64, body: bool },
}

const BETWEEN: Place = Place::Header { known: [0; HEADER_BYTES], count: 0 };

impl Frames {
    const fn new() -> Self {
        Self { place: Place::Preface { left: PREFACE_BYTES }, in_head: false }
    }

    /// Whether the client owes more of what it has begun, bodies apart.
    const fn must_go_on(&self) -> bool {
        match self.place {
            Place::Preface { left } => left < PREFACE_BYTES,
            Place::Header { count, .. } => count > 0 || self.in_head,
            Place::Payload { body, .. } => !body,
        }
    }

    /// Follows the next bytes. Says whether something whole has ended in them, and how many belong to bodies.
    fn follow(&mut self, mut bytes: &[u8]) -> (bool, u64) {
        let (mut rested, mut of_bodies) = (false, 0);
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Preface { left } | Place::Payload { left, body: false } => {
                    bytes = skip(bytes, left);
                    if *left == 0 {
                        self.place = BETWEEN;
                    }
                }
                Place::Payload { left, body: true } => {
                    let before = *left;
                    bytes = skip(bytes, left);
                    of_bodies += before - *left;
                    if *left == 0 {
                        self.place = BETWEEN;
                    }
                }
                Place::Header { known, count } => {
                    known[*count] = bytes[0];
                    *count += 1;
                    bytes = &bytes[1..];
                    if *count == HEADER_BYTES {
                        let [high, middle, low, kind, flags, ..] = *known;
                        let left = u64::from(u32::from_be_bytes([0, high, middle, low]));
                        self.in_head = match kind {
                            HEADERS | CONTINUATION => flags & END_HEADERS == 0,
                            // Anything else in a head is an error, which the library finds.
                            _ => false,
                        };
                        self.place = if left == 0 { BETWEEN } else { Place::Payload { left, body: kind == DATA } };
                    }
                }
            }
            rested |= !self.must_go_on();
        }
        (rested, of_bodies)
    }
}

fn skip<'a>(bytes: &'a [u8], left: &mut u64) -> &'a [u8] {
    let here = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    *left -= here as u64;
    &bytes[here..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const TIMEOUT: Duration = Duration::from_secs(10);

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], &vec![0; payload]].concat()
    }

    fn lookout() -> (DuplexStream, Lookout<DuplexStream>) {
        let (client, server) = tokio::io::duplex(1 << 16);
        (client, Lookout::new(server, TIMEOUT, Duration::from_secs(120)))
    }

    async fn read_all(mut lookout: Lookout<DuplexStream>) -> io::ErrorKind {
        let mut bytes = [0; 4096];
        loop {
            match lookout.read(&mut bytes).await {
                Ok(0) => return io::ErrorKind::UnexpectedEof,
                Ok(_) => {}
                Err(error) => return error.kind(),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_in_all_its_frames_however_it_drips() {
        for drip in [&b"PRI"[..], &frame(HEADERS, 0, 5)[..9], &frame(HEADERS, END_HEADERS, 5)[..13], &[0, 0]] {
            let (mut client, lookout) = lookout();
            if !drip.starts_with(b"P") {
                client.write_all(PREFACE).await.unwrap();
            }
            client.write_all(drip).await.unwrap();
            let began = Instant::now();
            assert_eq!(read_all(lookout).await, io::ErrorKind::TimedOut);
            assert_eq!(began.elapsed().as_secs(), TIMEOUT.as_secs(), "{drip:?}");
        }
        let (mut client, lookout) = lookout();
        client.write_all(PREFACE).await.unwrap();
        client.write_all(&frame(HEADERS, 0, 5)).await.unwrap();
        let reading = tokio::spawn(read_all(lookout));
        let began = Instant::now();
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = client.write_all(&frame(CONTINUATION, 0, 1)).await;
        }
        assert_eq!(reading.await.unwrap(), io::ErrorKind::TimedOut);
        assert!(began.elapsed().as_secs() >= 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_rest_between_frames_and_within_bodies() {
        let (mut client, lookout) = lookout();
        let brought = lookout.brought();
        let reading = tokio::spawn(read_all(lookout));
        for part in [PREFACE, &frame(4, 0, 0), &frame(HEADERS, END_HEADERS, 7), &frame(DATA, 0, 9)[..12], &[0; 6], &[]]
        {
            client.write_all(part).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1000)).await;
            assert!(!reading.is_finished(), "{part:?}");
        }
        assert_eq!(brought.load(Ordering::Relaxed), 9);
        drop(client);
        assert_eq!(reading.await.unwrap(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test(start_paused = true)]
    async fn small_frames_that_are_cut_anywhere_are_no_drip() {
        let (mut client, lookout) = lookout();
        let reading = tokio::spawn(read_all(lookout));
        let pings = [PREFACE, &frame(6, 0, 8).repeat(50)].concat();
        // Each piece ends in the middle of a frame, and the second part of one is never ten seconds late.
        for piece in pings.chunks(20) {
            client.write_all(piece).await.unwrap();
            tokio::time::sleep(Duration::from_secs(9)).await;
        }
        assert!(!reading.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (client, server) = tokio::io::duplex(10);
        let mut lookout = Lookout::new(server, TIMEOUT, Duration::from_secs(120));
        let began = Instant::now();
        let error = lookout.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 120));
        drop(client);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(
            kinds in prop::collection::vec((0_u8..10, any::<bool>(), 0_usize..40), 0..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let frames = kinds.iter().flat_map(|(kind, ends, size)| frame(*kind, u8::from(*ends) * END_HEADERS, *size));
            let bytes: Vec<u8> = PREFACE.iter().copied().chain(frames).collect();
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            let (mut whole, mut parts) = (Frames::new(), Frames::new());
            let of_bodies = whole.follow(&bytes).1;
            prop_assert_eq!(parts.follow(first).1 + parts.follow(second).1, of_bodies);
            prop_assert_eq!(format!("{whole:?}"), format!("{parts:?}"));
            prop_assert_eq!(of_bodies, kinds.iter().filter(|(kind, ..)| *kind == DATA).map(|(.., size)| *size as u64).sum::<u64>());
        }
    }
}
