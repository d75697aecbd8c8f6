//! Accepts connections and keeps count of them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
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

/// How a listener is asked whether it still accepts. It answers without a connection and without a place for one.
pub(super) type Asked = mpsc::Receiver<oneshot::Sender<()>>;

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
    pub(super) async fn accept_all(self, listener: TcpListener, door: Door, asked: Asked) {
        accept_all(&listener, &self.places, self.shut.clone(), asked, |socket, place| self.serve(socket, &door, place))
            .await;
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

/// Accepts a connection for each place, until it is shut.
async fn accept_all(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    mut shut: watch::Receiver<bool>,
    mut asked: Asked,
    serve: impl Fn(TcpStream, OwnedSemaphorePermit),
) {
    loop {
        let accepted = tokio::select! {
            accepted = accept(listener, places) => accepted,
            _ = shut.wait_for(|shut| *shut) => return,
            Some(answer) = asked.recv() => {
                // Who asked may have lost patience.
                let _ = answer.send(());
                continue;
            }
        };
        match accepted {
            Ok((socket, place)) => serve(socket, place),
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::warn!(event = "accept_failed", reason = %error);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (socket, _) = listener.accept().await?;
    Ok((socket, place))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_without_a_free_place_still_says_that_it_lives_and_a_shut_one_does_not() {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (shut, shuts) = watch::channel(false);
        let (ask, asked) = mpsc::channel(1);
        let none = Arc::new(Semaphore::new(0));
        let accepting = tokio::spawn(async move {
            accept_all(&listener, &none, shuts, asked, |_, _| panic!("there is no place")).await
        });
        for _ in 0..3 {
            let (answer, answered) = oneshot::channel();
            ask.send(answer).await.unwrap();
            answered.await.unwrap();
        }
        shut.send_replace(true);
        accepting.await.unwrap();
        assert!(ask.send(oneshot::channel().0).await.is_err());
        drop(client);
    }
}
