//! A small HTTP server whose wires can be cut: every connection dies while it is down, and for good when it is dropped.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{Router, serve::Listener};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

/// Whether connections are cut at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Wire(Arc<AtomicBool>);

impl Wire {
    /// Cuts all connections, open and new ones, or mends the wire for new ones.
    pub(super) fn cut(&self, cut: bool) {
        self.0.store(cut, Ordering::SeqCst);
    }

    fn alive(&self) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

/// A running server. It ends when this is dropped.
pub(super) struct Server {
    address: SocketAddr,
    wire: Wire,
    ended: Wire,
    end: CancellationToken,
}

impl Server {
    /// Opens the port; nothing is answered before [`Server::run`].
    pub(super) async fn open(listen: SocketAddr) -> io::Result<(Self, TcpListener)> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let server = Self { address, wire: Wire::default(), ended: Wire::default(), end: CancellationToken::new() };
        Ok((server, listener))
    }

    /// Answers from now on.
    pub(super) fn run(&self, listener: TcpListener, router: Router) {
        let wires = [self.wire.clone(), self.ended.clone()];
        let end = self.end.clone();
        tokio::spawn(async move {
            let serving = axum::serve(CuttableListener { listener, wires }, router);
            // It returns only when told to end, and has no error then.
            let _ = serving.with_graceful_shutdown(end.cancelled_owned()).await;
        });
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The wire that a switch may cut.
    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.cut(true);
        self.end.cancel();
    }
}

struct CuttableListener {
    listener: TcpListener,
    wires: [Wire; 2],
}

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            if self.wires.iter().all(|wire| wire.alive().is_ok()) {
                return (CuttableStream { stream, wires: self.wires.clone() }, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

struct CuttableStream {
    stream: TcpStream,
    wires: [Wire; 2],
}

impl CuttableStream {
    fn alive(&self) -> io::Result<()> {
        self.wires.iter().try_for_each(Wire::alive)
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.alive()?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.alive()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn running() -> Server {
        let (server, listener) = Server::open(([127, 0, 0, 1], 0).into()).await.unwrap();
        server.run(listener, Router::new().route("/", routing::get(|| async { "here" })));
        server
    }

    /// Whether an answer came over `stream`.
    async fn ask(stream: &mut TcpStream) -> bool {
        let mut answer = [0; 1024];
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.is_ok()
            && stream.read(&mut answer).await.is_ok_and(|length| length > 0)
    }

    #[tokio::test]
    async fn a_cut_wire_ends_open_and_new_connections_and_can_be_mended() {
        let server = running().await;
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        assert!(ask(&mut stream).await);
        server.wire().cut(true);
        assert!(!ask(&mut stream).await);
        assert!(!ask(&mut TcpStream::connect(server.address()).await.unwrap()).await);
        server.wire().cut(false);
        assert!(ask(&mut TcpStream::connect(server.address()).await.unwrap()).await);
    }

    #[tokio::test]
    async fn a_dropped_server_answers_nobody() {
        let server = running().await;
        let address = server.address();
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut stream).await);
        drop(server);
        assert!(!ask(&mut stream).await);
        if let Ok(mut stream) = TcpStream::connect(address).await {
            assert!(!ask(&mut stream).await);
        }
    }
}
