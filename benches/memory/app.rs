//! The app behind each proxy: a page of 1 KiB, bodies of any size either way, and a WebSocket that gives back what comes.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const PAGE: [u8; 1024] = [b'x'; 1024];

/// What is written and read at once.
const PIECE: usize = 256 * 1024;

/// Lives as long as this process.
pub struct App {
    pub address: SocketAddr,
}

impl App {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket));
            }
        });
        Self { address }
    }
}

async fn serve(socket: TcpStream) {
    let _ = socket.set_nodelay(true);
    let mut socket = BufReader::with_capacity(4096, socket);
    // A proxy that goes away is nobody's fault.
    while let Ok(true) = answer(&mut socket).await {}
}

/// Answers one request; whether there may be another.
async fn answer(socket: &mut BufReader<TcpStream>) -> io::Result<bool> {
    let mut line = String::new();
    if socket.read_line(&mut line).await? == 0 {
        return Ok(false);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut key) = (0_usize, None);
    loop {
        line.clear();
        socket.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "sec-websocket-key" => key = Some(derive_accept_key(value.trim().as_bytes())),
            _other => {}
        }
    }
    if let Some(key) = key {
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
        socket.write_all(format!("{head}Sec-WebSocket-Accept: {key}\r\n\r\n").as_bytes()).await?;
        echo(socket).await?;
        return Ok(false);
    }
    let mut piece = vec![0; length.min(PIECE)];
    while length > 0 {
        let most = length.min(PIECE);
        let read = socket.read(&mut piece[..most]).await?;
        if read == 0 {
            return Ok(false);
        }
        length -= read;
    }
    let size = path.strip_prefix("/bytes/").and_then(|size| size.parse().ok()).unwrap_or(PAGE.len());
    socket.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").as_bytes()).await?;
    if size == PAGE.len() {
        socket.write_all(&PAGE).await?;
        return Ok(true);
    }
    let piece = vec![b'x'; PIECE];
    let mut rest = size;
    while rest > 0 {
        let now = rest.min(PIECE);
        socket.write_all(&piece[..now]).await?;
        rest -= now;
    }
    Ok(true)
}

async fn echo(socket: &mut BufReader<TcpStream>) -> io::Result<()> {
    loop {
        let came = socket.fill_buf().await?.to_vec();
        if came.is_empty() {
            return Ok(());
        }
        socket.consume(came.len());
        socket.write_all(&came).await?;
    }
}
