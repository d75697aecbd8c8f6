//! Accepts connections and keeps count of them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_util::task::TaskTracker;

use crate::{
    proxy::{self, Service},
    tls,
};

/// Most connections at once. Who comes then waits in the kernel's queue.
const MOST: usize = 20_000;

/// Wait after the system refused a connection for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// What is spoken at a listener.
#[derive(Clone)]
pub(super) enum Door {
    /// HTTP; inside TLS when there are certificates.
    Public(Option<Arc<tls::Acceptor>>),
    /// Plain HTTP, to send browsers to the other, and to answer an authority that asks for a certificate's sake.
    Redirect(Option<Arc<tls::Certificates>>),
}

/// Everything that accepted connections share.
#[derive(Clone)]
pub(super) struct Acceptor {
    service: Service,
    shut: watch::Receiver<bool>,
    tasks: TaskTracker,
    places: Arc<Semaphore>,
}

impl Acceptor {
    pub(super) fn new(service: Service, shut: watch::Receiver<bool>) -> Self {
        Self { service, shut, tasks: TaskTracker::new(), places: Arc::new(Semaphore::new(MOST)) }
    }

    /// The connections that are open.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Accepts until it is shut.
    pub(super) async fn accept_all(self, listener: TcpListener, door: Door) {
        let mut shut = self.shut.clone();
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&listener) => accepted,
                _ = shut.wait_for(|shut| *shut) => return,
            };
            match accepted {
                Ok((socket, place)) => self.serve(socket, &door, place),
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::warn!(event = "accept_failed", reason = %error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
        let (socket, _) = listener.accept().await?;
        Ok((socket, place))
    }

    fn serve(&self, socket: TcpStream, door: &Door, place: OwnedSemaphorePermit) {
        let (service, door) = (self.service.clone(), door.clone());
        self.tasks.spawn(async move {
            match door {
                Door::Public(tls) => proxy::serve(service, tls, socket).await,
                Door::Redirect(certificates) => proxy::redirect(service, certificates, socket).await,
            }
            drop(place);
        });
    }
}

/// Whether only this one connection failed.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Opens a listener.
pub(super) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}
