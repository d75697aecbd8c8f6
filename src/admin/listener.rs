//! The admin listener, on a TCP address or a unix socket.

use std::{
    convert::Infallible,
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::{
    either::Either,
    sync::{CancellationToken, DropGuard},
};

use super::{Parts, guard::Via, router::Router};

/// Most connections at once. Who comes then waits in the kernel's queue.
const MOST: usize = 256;

/// Connections that wait in the kernel's queue.
const BACKLOG: u32 = 128;

/// For a whole head, and between two requests of a connection.
const HEAD: Duration = Duration::from_secs(30);

/// Largest head of a request.
const LARGEST_HEAD: usize = 16 * 1024;

/// How long answers under way may take when the listener ends.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Wait after the system refused a connection for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// The admin listener while it runs.
#[derive(Debug)]
pub struct Admin {
    address: Option<SocketAddr>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Admin {
    /// Listens on a TCP address.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn on_tcp(address: SocketAddr, parts: Parts) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self::start(Socket::Tcp(listener), Some(address), parts))
    }

    /// Listens on a unix socket that only its owner may use. A socket that nobody serves any more is
    /// replaced; anything else at that path is not.
    ///
    /// # Errors
    /// When there is something else, or the folder cannot be written to.
    pub fn on_unix(path: &Path, parts: Parts) -> io::Result<Self> {
        let is_dead_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
            && std::os::unix::net::UnixStream::connect(path).is_err();
        if is_dead_socket {
            fs::remove_file(path)?;
        }
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        // Before anybody can connect.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(Self::start(Socket::Unix(socket.listen(BACKLOG)?), None, parts))
    }

    fn start(socket: Socket, address: Option<SocketAddr>, parts: Parts) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(accept_all(socket, Arc::new(Router::new(parts)), stop.clone()));
        Self { address, stop: stop.drop_guard(), task }
    }

    /// The TCP address, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Ends it. A client that holds its connection open does not hold up the end.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    fn via(&self) -> Via {
        match self {
            Self::Tcp(_) => Via::Tcp,
            Self::Unix(_) => Via::Unix,
        }
    }

    async fn accept(&self) -> io::Result<Either<TcpStream, UnixStream>> {
        Ok(match self {
            Self::Tcp(listener) => Either::Left(listener.accept().await?.0),
            Self::Unix(listener) => Either::Right(listener.accept().await?.0),
        })
    }
}

/// Accepts until it is told to stop, or the [`Admin`] is dropped.
async fn accept_all(socket: Socket, router: Arc<Router>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = socket.accept(), if connections.len() < MOST => match accepted {
                Ok(stream) => {
                    connections.spawn(serve(stream, Arc::clone(&router), socket.via(), stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(event = "accept_failed", listener = "admin", reason = %error);
                    sleep(PAUSE).await;
                }
            },
        }
    }
    drop(socket);
    let _ = timeout(LAST_ANSWERS, async { while connections.join_next().await.is_some() {} }).await;
}

/// Answers on one connection until it ends.
async fn serve(stream: Either<TcpStream, UnixStream>, router: Arc<Router>, via: Via, stop: CancellationToken) {
    let answer = service_fn(move |request| {
        let router = Arc::clone(&router);
        async move { Ok::<_, Infallible>(router.answer(request, via).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(stream), answer)
    );
    // Whatever ends a connection is its client's affair.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::Present,
        apple::testing,
        clock::{ManualClock, SharedClock, Timestamp},
        entropy::{SharedEntropy, SystemEntropy},
        session::{MemoryStore, RevocationQueue, Revoke, Sessions, testing::lifetimes},
        telemetry::Metrics,
    };
    use arc_swap::ArcSwap;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::watch,
    };

    fn parts() -> Parts {
        let clock: SharedClock = ManualClock::at(Timestamp::from_seconds(1_000));
        let entropy: SharedEntropy = Arc::new(SystemEntropy);
        let apple = Arc::new(testing::apple(testing::settings(), ManualClock::at(testing::NOW)));
        let store = Arc::new(MemoryStore::new(lifetimes(), Arc::clone(&clock)));
        let sessions =
            Sessions::new(lifetimes(), Arc::<MemoryStore>::clone(&store), Arc::clone(&clock), Arc::clone(&entropy));
        let queue = RevocationQueue::new(
            store,
            Arc::<crate::apple::Apple>::clone(&apple),
            Arc::clone(&clock),
            Arc::clone(&entropy),
            Metrics::new(Arc::clone(&clock)),
            sessions.bell(),
        );
        let (_, draining) = watch::channel(false);
        let present = Present {
            apple,
            refresh_before: Duration::ZERO,
            revoke: Revoke::No,
            assertions: None,
            since: clock.now(),
            needs_restart: Vec::new(),
        };
        let present = Arc::new(ArcSwap::from_pointee(present));
        let metrics = Metrics::new(Arc::clone(&clock));
        Parts { present, sessions, queue, metrics, clock, entropy, certificates: None, draining }
    }

    async fn rest(stream: &mut UnixStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    const ASK: &[u8] = b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_whole_request_is_closed_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let admin = Admin::on_unix(&path, parts()).unwrap();
        for begun in [&b""[..], b"GET /livez HTTP/1.1\r\nHost: x\r\n"] {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream.write_all(begun).await.unwrap();
            assert!(timeout(HEAD - Duration::from_secs(1), stream.readable()).await.is_err(), "closed too early");
            let said = timeout(Duration::from_secs(2), rest(&mut stream)).await.expect("it is closed");
            assert!(!said.contains("alive"), "{said}");
        }
        admin.stop().await;
    }

    #[tokio::test]
    async fn no_more_connections_than_there_are_places_and_whoever_waits_gets_one_that_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let _admin = Admin::on_unix(&path, parts()).unwrap();
        let mut all = Vec::new();
        for _ in 0..MOST {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream.write_all(b"GET /livez HTTP/1.1\r\n\r\n").await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            // It is served, and keeps its place.
            all.push(stream);
        }
        let mut late = UnixStream::connect(&path).await.unwrap();
        late.write_all(ASK).await.unwrap();
        assert!(timeout(Duration::from_millis(200), late.readable()).await.is_err(), "one too many was served");
        drop(all.pop());
        assert!(rest(&mut late).await.ends_with("alive\n"));
    }

    #[tokio::test]
    async fn it_ends_with_idle_clients_around_and_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let admin = Admin::on_unix(&path, parts()).unwrap();
        let mut idle = UnixStream::connect(&path).await.unwrap();
        idle.write_all(b"GET /livez HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(idle.read(&mut [0; 1024]).await.unwrap() > 0);
        timeout(LAST_ANSWERS * 10, admin.stop()).await.expect("it ends");
        assert_eq!(rest(&mut idle).await, "");
        assert!(UnixStream::connect(&path).await.is_err());
        // A socket that nobody serves any more is replaced.
        let admin = Admin::on_unix(&path, parts()).unwrap();
        assert!(Admin::on_unix(&path, parts()).is_err(), "one that somebody serves is not");
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(ASK).await.unwrap();
        assert!(rest(&mut stream).await.ends_with("alive\n"));
        drop(admin);
        while UnixStream::connect(&path).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}
