//! The admin listener, on a TCP address or a unix socket.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::oneshot,
    task::JoinHandle,
};

use super::Readiness;

/// The admin listener while it runs.
#[derive(Debug)]
pub struct Admin {
    address: Option<SocketAddr>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Admin {
    /// Listens on a TCP address.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn on_tcp(address: SocketAddr, readiness: Readiness) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let serving = axum::serve(listener, router(readiness)).with_graceful_shutdown(wait(stopped));
        let task = tokio::spawn(async move {
            let _ = serving.await;
        });
        Ok(Self { address: Some(address), stop, task })
    }

    /// Listens on a unix socket that only its owner may use. A socket that nobody serves any more is
    /// replaced; anything else at that path is not.
    ///
    /// # Errors
    /// When there is something else, or the folder cannot be written to.
    pub fn on_unix(path: &Path, readiness: Readiness) -> io::Result<Self> {
        let is_dead_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
            && std::os::unix::net::UnixStream::connect(path).is_err();
        if is_dead_socket {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let (stop, stopped) = oneshot::channel();
        let serving = axum::serve(listener, router(readiness)).with_graceful_shutdown(wait(stopped));
        let task = tokio::spawn(async move {
            let _ = serving.await;
        });
        Ok(Self { address: None, stop, task })
    }

    /// The TCP address, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Ends it.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        // A client that holds its connection open does not hold up the end.
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn wait(stopped: oneshot::Receiver<()>) {
    let _ = stopped.await;
}

fn router(readiness: Readiness) -> Router {
    Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).with_state(readiness)
}

async fn livez() -> Response {
    guarded("alive\n".into_response())
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let report = readiness.report().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    guarded((status, Json(report)).into_response())
}

fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}
