//! An app that speaks HTTP/2 alone, and that the test plays.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{Request, Response};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    time::timeout,
};

/// No test waits longer for a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request as the app has it, and the number of its connection.
pub struct Asked {
    pub request: Request<RecvStream>,
    pub respond: SendResponse<Bytes>,
    pub connection: usize,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.request.headers().get_all(name).iter();
        let first = values.next().map(|value| value.to_str().unwrap());
        assert_eq!(values.next(), None, "{name} stands twice");
        first
    }

    /// Answers with a short text.
    pub fn say(mut self, status: u16, text: &'static str) {
        let head = Response::builder().status(status).body(()).unwrap();
        self.respond.send_response(head, false).unwrap().send_data(text.into(), true).unwrap();
    }

    /// All bytes of the body.
    pub async fn body(&mut self) -> Result<Vec<u8>, h2::Error> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.request.body_mut().data().await {
            let piece = piece?;
            self.request.body_mut().flow_control().release_capacity(piece.len())?;
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

/// Listens; the test answers.
pub struct Http2App {
    pub address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Asked>,
    leave: watch::Sender<usize>,
}

impl Http2App {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let (leave, leaving) = watch::channel(0);
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((socket, _)) = listener.accept().await {
                number += 1;
                let (connection, sender, mut leaving) = (number, sender.clone(), leaving.clone());
                tokio::spawn(async move {
                    let Ok(mut served) = h2::server::handshake(socket).await else { return };
                    let mut stays = true;
                    loop {
                        let accepted = tokio::select! {
                            accepted = served.accept() => accepted,
                            left = async { leaving.wait_for(|last| *last == connection).await.is_ok() }, if stays => {
                                stays = false;
                                if left {
                                    served.graceful_shutdown();
                                }
                                continue;
                            }
                        };
                        let Some(Ok((request, respond))) = accepted else { return };
                        let _ = sender.send(Asked { request, respond, connection });
                    }
                });
            }
        });
        Self { address, requests, leave }
    }

    /// The next request.
    pub async fn asked(&mut self) -> Asked {
        timeout(PATIENCE, self.requests.recv()).await.expect("nobody asks the app").expect("the app has ended")
    }

    /// Whether nobody has asked yet.
    pub fn is_left_alone(&mut self) -> bool {
        self.requests.try_recv().is_err()
    }

    /// A connection takes no more requests.
    pub fn leave(&self, connection: usize) {
        self.leave.send_replace(connection);
    }
}
