//! An HTTP/1.1 client that hides nothing.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

/// No test waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request to be sent as it is written here.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The headers of a page that opens in a tab.
    pub fn navigation(self) -> Self {
        self.header("Sec-Fetch-Mode", "navigate").header("Sec-Fetch-Dest", "document").header("Accept", "text/html")
    }

    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body("application/x-www-form-urlencoded", encoded)
    }

    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name))
    }

    pub fn target(&self) -> &str {
        &self.target
    }

    /// The head as it stands here, for a test that writes the body itself.
    pub fn head_bytes(&self) -> Vec<u8> {
        (self.lines() + "\r\n").into_bytes()
    }

    fn lines(&self) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut text = self.lines();
        if !self.body.is_empty() || self.method == "POST" {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        [text.into_bytes(), self.body.clone()].concat()
    }

    /// Sends it on a connection of its own to somebody who may be gone, or go in the middle of it.
    pub async fn try_send(&self, address: SocketAddr) -> Result<Answer, Unanswered> {
        let stream = TcpStream::connect(address).await.map_err(|_| Unanswered::NotSent)?;
        let mut connection = Connection::over(stream);
        connection.write(&self.bytes()).await;
        connection.try_answer().await.ok_or(Unanswered::Lost)
    }

    /// Sends it on a connection of its own.
    pub async fn send(&self, address: SocketAddr) -> Answer {
        self.send_over(&mut Connection::open(address).await).await
    }

    /// Sends it on a connection that is there.
    pub async fn send_over(&self, connection: &mut Connection) -> Answer {
        connection.write(&self.bytes()).await;
        // An answer to HEAD has the length of a body and no body (RFC 9110, section 9.3.2).
        if self.method == "HEAD" { connection.head().await } else { connection.answer().await }
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Nobody was there: nothing has happened.
    NotSent,
    /// Nobody knows what has happened.
    Lost,
    /// The answer was that nobody can say at this moment.
    Unavailable,
}

/// An answer.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.text())
    }
}

impl Answer {
    /// The value of a header that stands once at most.
    pub fn header<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.all(name);
        let first = values.next();
        assert_eq!(values.next(), None, "{name} stands twice");
        first
    }

    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = name.to_owned();
        self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(&name)).map(|(_, value)| value.as_str())
    }

    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no Location in {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// A connection that is written to and read from by hand.
pub struct Connection {
    stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    held: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// Over a socket that is there already: the app's end of a connection, for one.
    pub fn over(stream: TcpStream) -> Self {
        Self { stream: Either::Left(stream), held: Vec::new() }
    }

    /// Inside TLS.
    pub fn over_tls(stream: TlsStream<TcpStream>) -> Self {
        Self { stream: Either::Right(Box::new(stream)), held: Vec::new() }
    }

    /// The socket, from which nothing was read that has not been handed out.
    pub fn into_stream(self) -> TcpStream {
        assert!(self.held.is_empty(), "{:?}", String::from_utf8_lossy(&self.held));
        match self.stream {
            Either::Left(stream) => stream,
            Either::Right(_) => panic!("it is TLS"),
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        // The other end may have closed already; what it said is still to be read.
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// Reads one answer; `None` when the connection ends before it.
    pub async fn try_answer(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = self.take_answer(false) {
                return Some(answer);
            }
            if !self.fill().await {
                return self.take_answer(true);
            }
        }
    }

    pub async fn answer(&mut self) -> Answer {
        self.try_answer().await.expect("an answer")
    }

    /// Reads a head alone, for streams.
    pub async fn head(&mut self) -> Answer {
        while !self.held.windows(4).any(|four| four == b"\r\n\r\n") {
            assert!(self.fill().await, "the connection ended before a head");
        }
        let (status, headers, end) = parse_head(&self.held).unwrap();
        self.held.drain(..end);
        Answer { status, headers, body: Vec::new() }
    }

    /// Everything up to and with `end`.
    pub async fn until(&mut self, end: &str) -> String {
        loop {
            let found = self.held.windows(end.len()).position(|window| window == end.as_bytes());
            if let Some(at) = found {
                return String::from_utf8(self.held.drain(..at + end.len()).collect()).unwrap();
            }
            assert!(
                self.fill().await,
                "the connection ended before {end:?}: {:?}",
                self.held.escape_ascii().to_string()
            );
        }
    }

    /// So many bytes.
    pub async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.held.len() < length {
            assert!(self.fill().await, "the connection ended after {} of {length} bytes", self.held.len());
        }
        self.held.drain(..length).collect()
    }

    /// The next bytes, whatever they are; empty at the end.
    pub async fn some(&mut self) -> Vec<u8> {
        if self.held.is_empty() {
            self.fill().await;
        }
        std::mem::take(&mut self.held)
    }

    /// Everything up to the end of the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.held)
    }

    async fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("the other end is silent");
        let read = read.unwrap_or(0);
        self.held.extend_from_slice(&buffer[..read]);
        read > 0
    }

    fn take_answer(&mut self, ended: bool) -> Option<Answer> {
        let (status, headers, start) = parse_head(&self.held)?;
        if status == 100 {
            self.held.drain(..start);
            return self.take_answer(ended);
        }
        let field =
            |name: &str| headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
        let (body, used) = if matches!(status, 101 | 204 | 304) {
            (Vec::new(), 0)
        } else if field("transfer-encoding").is_some() {
            dechunk(&self.held[start..])?
        } else if let Some(length) = field("content-length") {
            let length: usize = length.parse().unwrap();
            let body = self.held.get(start..start + length).or_else(|| ended.then(|| &self.held[start..]))?;
            (body.to_vec(), body.len())
        } else if ended {
            (self.held[start..].to_vec(), self.held.len() - start)
        } else {
            return None;
        };
        self.held.drain(..start + used);
        Some(Answer { status, headers, body })
    }
}

/// Status, headers, and where the body begins.
type Head = (u16, Vec<(String, String)>, usize);

fn parse_head(bytes: &[u8]) -> Option<Head> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..end - 4]).into_owned();
    let mut lines = text.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Some((status, headers, end))
}

fn dechunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = bytes[at..].windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[at..at + line]).ok()?.trim(), 16).ok()?;
        at += line + 2;
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}

/// The value of a parameter in a URL's query.
pub fn query(url: &str, name: &str) -> Option<String> {
    url::Url::parse(url).unwrap().query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
