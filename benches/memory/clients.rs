//! Those who connect, ask, and then say nothing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};

use super::{
    proxies::Proxy,
    support::{HOST, Http2, TlsClient, http2::request},
};

/// A connection, and what keeps it open.
pub enum Client {
    #[expect(dead_code, reason = "it is kept open, and nobody reads")]
    Stream(Box<dyn Stream>),
    Http2(#[allow(dead_code, reason = "it is open as long as it is there")] Http2),
}

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, inside TLS when `tls` is there.
pub async fn connect(proxy: &Proxy, tls: Option<&TlsClient>) -> Box<dyn Stream> {
    let socket = TcpStream::connect(proxy.address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    match tls {
        Some(client) => Box::new(client.shake(socket, HOST).await.unwrap()),
        None => Box::new(socket),
    }
}

/// As browsers ask, with this method for this path.
pub fn head(proxy: &Proxy, method: &str, path: &str, more: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
         (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n\
         Accept-Language: de,en;q=0.7\r\nAccept-Encoding: gzip, deflate, br\r\nOrigin: https://{HOST}\r\n\
         Cookie: {}; lang=de; theme=dark\r\n{more}\r\n",
        proxy.cookie
    )
}

/// A request and its answer, on a connection that is there.
pub async fn ask(proxy: &Proxy, stream: &mut dyn Stream, path: &str) {
    stream.write_all(head(proxy, "GET", path, "").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    answered(stream).await;
}

/// Reads an answer of known length to its end.
pub async fn answered(stream: &mut dyn Stream) {
    let (head, mut rest) = begun(stream, "HTTP/1.1 200 ").await;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut length: usize = length.expect("a length");
    length -= rest.len();
    rest.resize(length.min(256 * 1024), 0);
    while length > 0 {
        let most = length.min(rest.len());
        let read = stream.read(&mut rest[..most]).await.unwrap();
        assert!(read > 0, "the answer is cut off");
        length -= read;
    }
}

/// Reads the head of an answer, and what comes with it.
async fn begun(stream: &mut dyn Stream, expected: &str) -> (String, Vec<u8>) {
    let mut came = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        came.extend_from_slice(&piece[..read]);
        let end = came.windows(4).position(|four| four == b"\r\n\r\n");
        assert!(end.is_some() || read > 0, "{}", String::from_utf8_lossy(&came));
        if let Some(end) = end {
            let rest = came.split_off(end + 4);
            let head = String::from_utf8(came).unwrap();
            assert!(head.starts_with(expected), "{head}");
            return (head, rest);
        }
    }
}

/// A connection that has asked once.
pub async fn keep_alive(proxy: &Proxy, tls: Option<&TlsClient>) -> Client {
    let mut stream = connect(proxy, tls).await;
    ask(proxy, &mut stream, "/").await;
    Client::Stream(stream)
}

/// A WebSocket that has had a message back. pingora ends one now and then when the app's `101` is there before it has
/// noticed that the request has no body (cloudflare/pingora#946): then there is another.
pub async fn websocket(proxy: &Proxy, tls: Option<&TlsClient>) -> Client {
    loop {
        if let Some(client) = try_websocket(proxy, tls).await {
            return client;
        }
        println!("(a WebSocket ended after 101)");
    }
}

async fn try_websocket(proxy: &Proxy, tls: Option<&TlsClient>) -> Option<Client> {
    let mut stream = connect(proxy, tls).await;
    let more = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    stream.write_all(head(proxy, "GET", "/socket", more).as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let (_, rest) = begun(&mut stream, "HTTP/1.1 101 ").await;
    assert!(rest.is_empty());
    // A text of five letters, masked.
    let frame = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    stream.write_all(&frame).await.ok()?;
    stream.flush().await.ok()?;
    let mut back = [0; 11];
    stream.read_exact(&mut back).await.ok()?;
    assert_eq!(back, frame);
    Some(Client::Stream(stream))
}

/// A connection of HTTP/2 that has asked ten times at once.
pub async fn http2(proxy: &Proxy, tls: &TlsClient) -> Client {
    let mut client = Http2::over(Passing(connect(proxy, Some(tls)).await)).await;
    let mut answers = Vec::new();
    for _ in 0..10 {
        let request = request("GET", "/").header("cookie", &proxy.cookie).header("accept-language", "de,en;q=0.7");
        answers.push(client.start(request).await);
    }
    for answer in answers {
        let (head, mut body) = answer.await.unwrap().into_parts();
        assert_eq!(head.status, 200);
        while let Some(piece) = body.data().await {
            let piece: Bytes = piece.unwrap();
            body.flow_control().release_capacity(piece.len()).unwrap();
        }
    }
    Client::Http2(client)
}

/// A stream in a box, which the library of HTTP/2 takes.
struct Passing(Box<dyn Stream>);

impl AsyncRead for Passing {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Passing {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
