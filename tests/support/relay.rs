//! A wire to the stand-in for Apple that remembers everything that went over it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
};

/// The bytes of one direction of one connection.
type Tape = Arc<Mutex<Vec<u8>>>;

/// Passes every byte on, both ways, and keeps a copy.
pub struct Relay {
    pub address: SocketAddr,
    tapes: Arc<Mutex<Vec<Tape>>>,
}

impl Relay {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tapes: Arc<Mutex<Vec<Tape>>> = Arc::default();
        let shelf = Arc::clone(&tapes);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(target).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                for (from, to) in [(near_in, far_out), (far_in, near_out)] {
                    let tape = Tape::default();
                    shelf.lock().unwrap().push(Arc::clone(&tape));
                    tokio::spawn(pass(from, to, tape));
                }
            }
        });
        Self { address, tapes }
    }

    /// What went over each connection, each way.
    pub fn heard(&self) -> Vec<String> {
        let tapes = self.tapes.lock().unwrap();
        tapes.iter().map(|tape| String::from_utf8_lossy(&tape.lock().unwrap()).into_owned()).collect()
    }
}

async fn pass(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, tape: Tape) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        tape.lock().unwrap().extend_from_slice(&buffer[..read]);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
