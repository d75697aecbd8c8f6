//! An HTTP/2 client on the bare library: what is sent is what the test says.

use std::time::Duration;

use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, Method};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use super::{HOST, Secured};

/// No test waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection with its many requests.
pub struct Http2 {
    pub requests: SendRequest<Bytes>,
    /// How it ends.
    pub ended: JoinHandle<Result<(), h2::Error>>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer2 {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl Answer2 {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next().map(|value| value.to_str().unwrap());
        assert_eq!(values.next(), None, "{name} stands twice");
        first
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A request for the app's host.
pub fn request(method: &str, path: &str) -> http::request::Builder {
    let uri = format!("https://{HOST}{path}");
    http::Request::builder()
        .version(http::Version::HTTP_2)
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(uri)
}

/// A request for a page in a tab.
pub fn navigation(path: &str) -> http::request::Builder {
    request("GET", path).header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document")
}

impl Http2 {
    /// Over a stream on which HTTP/2 was agreed.
    pub async fn over<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static>(socket: S) -> Self {
        let (requests, connection) = h2::client::handshake(socket).await.unwrap();
        Self { requests, ended: tokio::spawn(connection) }
    }

    /// Begins a request, whose body the test writes.
    pub async fn begin(&mut self, request: http::request::Builder) -> (ResponseFuture, SendStream<Bytes>) {
        self.requests = self.requests.clone().ready().await.unwrap();
        self.requests.send_request(request.body(()).unwrap(), false).unwrap()
    }

    /// Sends a request without a body.
    pub async fn start(&mut self, request: http::request::Builder) -> ResponseFuture {
        self.requests = self.requests.clone().ready().await.unwrap();
        self.requests.send_request(request.body(()).unwrap(), true).unwrap().0
    }

    /// The answer to a request, or why the stream was reset.
    pub async fn try_send(&mut self, request: http::request::Builder) -> Result<Answer2, Option<Reason>> {
        whole(self.start(request).await).await
    }

    pub async fn send(&mut self, request: http::request::Builder) -> Answer2 {
        self.try_send(request).await.expect("an answer")
    }

    /// The answer to a request with a body.
    pub async fn post(&mut self, request: http::request::Builder, body: impl Into<Bytes>) -> Answer2 {
        let (response, mut stream) = self.begin(request).await;
        let writing = tokio::spawn({
            let body = body.into();
            async move { write(&mut stream, body, true).await }
        });
        let answer = whole(response).await.expect("an answer");
        let _ = writing.await;
        answer
    }

    /// Why the connection has ended, once it has.
    pub async fn end(self) -> Option<Reason> {
        drop(self.requests);
        let ended = timeout(PATIENCE, self.ended).await.expect("the connection goes on").unwrap();
        ended.err().and_then(|error| error.reason())
    }
}

/// Writes a body as fast as it is taken.
pub async fn write(stream: &mut SendStream<Bytes>, mut body: Bytes, end: bool) -> Result<(), h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len().min(1 << 16));
        while stream.capacity() == 0 {
            match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(room) => drop(room?),
                None => return Ok(()),
            }
        }
        let piece = body.split_to(stream.capacity().min(body.len()));
        stream.send_data(piece, false)?;
    }
    if end { stream.send_data(Bytes::new(), true) } else { Ok(()) }
}

/// The rest of an answer.
pub async fn rest(mut body: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), Option<Reason>> {
    let mut bytes = Vec::new();
    while let Some(piece) = timeout(PATIENCE, body.data()).await.expect("no more of the answer comes") {
        let piece = piece.map_err(|error| error.reason())?;
        let _ = body.flow_control().release_capacity(piece.len());
        bytes.extend_from_slice(&piece);
    }
    let trailers = body.trailers().await.map_err(|error| error.reason())?;
    Ok((bytes, trailers))
}

/// A whole answer, or why the stream was reset.
pub async fn whole(response: ResponseFuture) -> Result<Answer2, Option<Reason>> {
    let response = timeout(PATIENCE, response).await.expect("no answer comes").map_err(|error| error.reason())?;
    let (head, body) = response.into_parts();
    let (body, trailers) = rest(body).await?;
    Ok(Answer2 { status: head.status.as_u16(), headers: head.headers, body, trailers })
}

/// Types of frames (RFC 9113, section 6).
pub mod frame {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;

    /// A frame as it is written.
    pub fn bytes(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }
}

/// A connection of which the test writes every frame.
pub struct Frames {
    pub socket: TlsStream<TcpStream>,
}

impl Frames {
    /// Before a byte is written.
    pub async fn silent(world: &Secured) -> Self {
        Self { socket: world.client(&["h2"]).connect(world.address, HOST).await.unwrap() }
    }

    /// With preface and empty settings.
    pub async fn open(world: &Secured) -> Self {
        let mut frames = Self::silent(world).await;
        frames.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        frames.send(frame::SETTINGS, 0, 0, &[]).await;
        frames
    }

    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).await.is_ok() && self.socket.flush().await.is_ok()
    }

    /// Says whether anybody is there.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.write(&frame::bytes(kind, flags, stream, payload)).await
    }

    /// The next frame: type, stream and payload; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let reading = async {
            let mut head = [0; 9];
            self.socket.read_exact(&mut head).await.ok()?;
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            self.socket.read_exact(&mut payload).await.ok()?;
            Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
        };
        timeout(PATIENCE, reading).await.expect("the connection goes on")
    }

    /// Reads to the end of the connection. Says why it ended, as the last GOAWAY has it.
    pub async fn end(&mut self) -> Option<u32> {
        let mut reason = None;
        while let Some((kind, _, payload)) = self.next().await {
            if kind == frame::GOAWAY {
                reason = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        reason
    }
}

/// A head in HPACK without its compression: `GET` or `POST` of a path at the app's host.
pub fn head(method: &str, path: &str) -> Vec<u8> {
    let mut block = vec![if method == "GET" { 0x82 } else { 0x83 }, 0x87];
    for (index, value) in [(0x04, path), (0x01, HOST)] {
        block.extend([index, u8::try_from(value.len()).unwrap()]);
        block.extend(value.bytes());
    }
    block
}
