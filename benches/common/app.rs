//! An app that says the same to everybody, as quickly as it can.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What it says in its answers, where that does not matter.
pub const LITTLE: &str = "Content-Type: text/plain\r\nContent-Length: 1024\r\n";

/// Starts it; each answer has these headers, and a body of 1,024 bytes.
pub async fn start(headers: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
    let answer: Arc<[u8]> = [head.as_bytes(), &[b'x'; 1024]].concat().into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&answer)));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, answer: Arc<[u8]>) {
    let (mut held, mut buffer) = (Vec::new(), [0; 8192]);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        held.extend_from_slice(&buffer[..read]);
        // Requests have no bodies here.
        while let Some(end) = held.windows(4).position(|four| four == b"\r\n\r\n") {
            held.drain(..end + 4);
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}
