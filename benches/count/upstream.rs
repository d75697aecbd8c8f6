//! An app that says the same to everybody, as quickly as it can.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Starts it; each answer has a body of 1,024 bytes.
pub async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

async fn serve(mut stream: TcpStream) {
    let head = "HTTP/1.1 200 OK\r\nServer: app\r\nDate: Sat, 01 Aug 2026 10:00:00 GMT\r\nContent-Type: text/plain\r\n\
                Content-Length: 1024\r\nLast-Modified: Sat, 01 Aug 2026 09:00:00 GMT\r\nETag: \"6a8d-400\"\r\n\
                Accept-Ranges: bytes\r\n\r\n";
    let answer = [head.as_bytes(), &[b'x'; 1024]].concat();
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
