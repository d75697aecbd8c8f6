//! A real pingora over the guard, with a real app behind it, on loopback sockets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{body::Body as AppBody, extract::Request, routing::any};
use bytes::Bytes;
use pingora::{
    apps::HttpServerApp,
    http::ResponseHeader,
    protocols::http::ServerSession,
    proxy::{HttpProxy, ProxyHttp, Session},
    server::configuration::ServerConf,
    upstreams::peer::HttpPeer,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::timeout,
};

use super::{Guard, Head, Next, Peer, Settings};

const SOON: Duration = Duration::from_secs(10);
const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Answers below `/own` itself and hands everything else to the app.
struct Gateway {
    app: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, session: &mut Session, (): &mut ()) -> pingora::Result<bool> {
        let path = session.req_header().uri.path().to_owned();
        if !path.starts_with("/own") {
            return Ok(false);
        }
        let client = session.client_addr().unwrap().as_inet().unwrap().ip().to_string();
        let stream = session.stream().unwrap().as_any().downcast_ref::<Guard<TcpStream>>().unwrap();
        let seen = stream.head().map(Head::method).unwrap().to_owned();
        let body = Bytes::from(format!("own {client} {seen}"));
        let mut head = ResponseHeader::build(200, None)?;
        head.insert_header("Content-Length", body.len())?;
        session.write_response_header(Box::new(head), false).await?;
        session.write_response_body(Some(body), true).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.app, false, String::new())))
    }
}

/// Echoes what it got, in one line each; `/hang` never answers and tells when it began and was given up.
async fn serve_app(listener: TcpListener, news: mpsc::UnboundedSender<&'static str>) {
    struct Gone(mpsc::UnboundedSender<&'static str>);
    impl Drop for Gone {
        fn drop(&mut self) {
            let _ = self.0.send("given up");
        }
    }
    let echo = any(|request: Request<AppBody>| async move {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let fields = head.headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap_or("?")));
        let fields = fields.collect::<Vec<_>>().join(" ");
        format!("{} {} [{fields}] {}", head.method, head.uri, String::from_utf8_lossy(&body))
    });
    let hang = any(move |_: Request<AppBody>| {
        let gone = Gone(news.clone());
        async move {
            gone.0.send("begun").unwrap();
            std::future::pending::<()>().await;
            drop(gone);
        }
    });
    axum::serve(listener, axum::Router::new().route("/hang", hang).fallback(echo)).await.unwrap();
}

/// Switches protocols and then sends back whatever comes.
async fn serve_tunnels(listener: TcpListener) {
    while let Ok((mut socket, _)) = listener.accept().await {
        tokio::spawn(async move {
            read_head(&mut socket).await;
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
            socket.write_all(answer).await.unwrap();
            let mut bytes = vec![0; 4096];
            while let Ok(read @ 1..) = socket.read(&mut bytes).await {
                socket.write_all(&bytes[..read]).await.unwrap();
            }
        });
    }
}

/// The accept loop and the keep-alive loop, as the server will have them.
async fn serve_gateway(listener: TcpListener, gateway: Gateway) {
    let mut proxy = HttpProxy::new(gateway, Arc::new(ServerConf::default()));
    proxy.handle_init_modules();
    let proxy = Arc::new(proxy);
    while let Ok((socket, _)) = listener.accept().await {
        let proxy = proxy.clone();
        tokio::spawn(async move {
            let (_sender, shutdown) = watch::channel(false);
            let mut drain = shutdown.clone();
            let peer = Peer::of(&socket).unwrap();
            let mut guard = Guard::new(socket, peer, Settings::default());
            loop {
                match guard.next_head(&mut drain).await {
                    Next::Closed => break,
                    Next::Refused(refusal) => {
                        let answer = format!("HTTP/1.1 {} {refusal}\r\nConnection: close\r\n\r\n", refusal.status());
                        break guard.refuse(answer.as_bytes()).await;
                    }
                    Next::Request => {
                        let session = ServerSession::new_http1(Box::new(guard));
                        let Some(reused) = proxy.process_new_http(session, &shutdown).await else { break };
                        let (stream, _) = reused.consume();
                        guard = *stream.into_any().downcast::<Guard<TcpStream>>().unwrap();
                    }
                }
            }
        });
    }
}

struct House {
    address: SocketAddr,
    news: mpsc::UnboundedReceiver<&'static str>,
}

impl House {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = listener.local_addr().unwrap();
        let (sender, news) = mpsc::unbounded_channel();
        tokio::spawn(serve_app(listener, sender));
        Self::before(app, news).await
    }

    async fn with_tunnels() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = listener.local_addr().unwrap();
        tokio::spawn(serve_tunnels(listener));
        Self::before(app, mpsc::unbounded_channel().1).await
    }

    async fn before(app: SocketAddr, news: mpsc::UnboundedReceiver<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_gateway(listener, Gateway { app }));
        Self { address, news }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

async fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(SOON, socket.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Reads an answer; status and body.
async fn read_answer(socket: &mut TcpStream) -> (u16, String) {
    let head = read_head(socket).await.to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    timeout(SOON, socket.read_exact(&mut body)).await.unwrap().unwrap();
    (head[9..12].parse().unwrap(), String::from_utf8(body).unwrap())
}

async fn read_to_end(socket: &mut TcpStream) -> String {
    let mut rest = String::new();
    timeout(SOON, socket.read_to_string(&mut rest)).await.unwrap().unwrap();
    rest
}

#[tokio::test]
async fn one_connection_serves_proxied_own_and_uploaded_requests_in_turn() {
    let house = House::open().await;
    let mut client = house.connect().await;
    for round in 0..3 {
        let head = format!("GET /a/%41?{round} HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        let (status, body) = read_answer(&mut client).await;
        assert_eq!((status, body), (200, format!("GET /a/A?{round} [host=a.example x-one=1] ")));

        client.write_all(b"GET /own HTTP/1.1\r\nHost: a.example\r\n\r\n").await.unwrap();
        assert_eq!(read_answer(&mut client).await, (200, "own 127.0.0.1 GET".into()));

        let chunked = "POST /up HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n";
        client.write_all(chunked.as_bytes()).await.unwrap();
        client.write_all(b"6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n").await.unwrap();
        let (_, body) = read_answer(&mut client).await;
        assert_eq!(body, "POST /up [host=a.example transfer-encoding=chunked] hello world");

        client.write_all(b"PUT /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc").await.unwrap();
        assert!(read_answer(&mut client).await.1.ends_with("[host=a.example content-length=3] abc"));
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_one_by_one_and_the_bad_one_ends_it() {
    let house = House::open().await;
    let mut client = house.connect().await;
    let stream = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGET /own HTTP/1.1\r\nHost: a\r\n\r\n\
        POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\ny\r\n0\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n\
        GET /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nz";
    client.write_all(stream.as_bytes()).await.unwrap();
    assert!(read_answer(&mut client).await.1.starts_with("POST /1 "));
    assert!(read_answer(&mut client).await.1.starts_with("own"));
    assert!(read_answer(&mut client).await.1.ends_with(" y"));
    assert!(read_answer(&mut client).await.1.starts_with("GET /3 "));
    let rest = read_to_end(&mut client).await;
    assert_eq!(rest, "HTTP/1.1 400 there is more than one Content-Length\r\nConnection: close\r\n\r\n");
}

#[tokio::test]
async fn a_large_upload_and_its_echo_arrive_whole() {
    let house = House::open().await;
    let (mut reader, mut writer) = house.connect().await.into_split();
    let sending = tokio::spawn(async move {
        let head = b"POST /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
        writer.write_all(head).await.unwrap();
        let data = "z".repeat(70_000);
        for _ in 0..20 {
            writer.write_all(format!("{:x}\r\n{data}\r\n", data.len()).as_bytes()).await.unwrap();
        }
        writer.write_all(b"0\r\n\r\n").await.unwrap();
        writer
    });
    let mut answer = String::new();
    timeout(SOON, reader.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer.bytes().filter(|byte| *byte == b'z').count(), 1_400_000);
    sending.await.unwrap();
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_and_then_the_answer() {
    let house = House::open().await;
    let mut client = house.connect().await;
    let head = "POST /up HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 100 "));
    client.write_all(b"body").await.unwrap();
    assert!(read_answer(&mut client).await.1.ends_with(" body"));
    // pingora does not use such a connection again: the interim answer came before the body was read.
    assert_eq!(read_to_end(&mut client).await, "");
}

#[tokio::test]
async fn the_app_hears_when_the_client_gives_up() {
    let mut house = House::open().await;
    for beyond in ["", "GET /next HTTP/1.1\r\n"] {
        let mut client = house.connect().await;
        client.write_all(format!("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n{beyond}").as_bytes()).await.unwrap();
        assert_eq!(timeout(SOON, house.news.recv()).await.unwrap(), Some("begun"));
        drop(client);
        assert_eq!(timeout(SOON, house.news.recv()).await.unwrap(), Some("given up"));
    }
}

#[tokio::test]
async fn broken_chunks_never_become_a_second_request() {
    let house = House::open().await;
    let mut client = house.connect().await;
    let head = "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write_all(format!("{head}1\r\nx\r\n1\nGET /own HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The connection may end with a reset: what counts is that nothing was answered twice.
    let _ = timeout(SOON, client.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(!answer.contains("own") && !answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn an_upgrade_to_something_else_is_an_ordinary_request() {
    let house = House::open().await;
    let mut client = house.connect().await;
    let fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    for _ in 0..2 {
        client.write_all(format!("GET /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut client).await, (200, "GET /x [host=a] ".into()));
    }
    // An app that declines a WebSocket leaves an ordinary connection too.
    client.write_all(format!("GET /x HTTP/1.1\r\nHost: a\r\n{WEBSOCKET}\r\n").as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut client).await.0, 200);
    client.write_all(b"GET /own HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut client).await.0, 200);
}

#[tokio::test]
async fn a_websocket_carries_bytes_both_ways() {
    let house = House::with_tunnels().await;
    let mut client = house.connect().await;
    // What is sent before the switch waits for it.
    client.write_all(format!("GET /ws HTTP/1.1\r\nHost: a\r\n{WEBSOCKET}\r\nearly").as_bytes()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101 "));
    let mut bytes = [0; 5];
    timeout(SOON, client.read_exact(&mut bytes)).await.unwrap().unwrap();
    assert_eq!(&bytes, b"early");
    for _ in 0..3 {
        client.write_all(b"\x81\x03\0\xff\n").await.unwrap();
        timeout(SOON, client.read_exact(&mut bytes)).await.unwrap().unwrap();
        assert_eq!(&bytes, b"\x81\x03\0\xff\n");
    }
}

#[tokio::test]
async fn an_app_that_switches_unasked_is_not_believed() {
    let house = House::with_tunnels().await;
    for fields in ["", "Connection: Upgrade\r\nUpgrade: h2c\r\n"] {
        let mut client = house.connect().await;
        client
            .write_all(format!("GET /ws HTTP/1.1\r\nHost: a\r\n{fields}\r\nGET /own HTTP/1.1\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        let _ = timeout(SOON, client.read_to_end(&mut answer)).await.unwrap();
        assert!(!String::from_utf8_lossy(&answer).contains("101"), "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn an_own_answer_to_an_upload_arrives_though_the_upload_goes_on() {
    let house = House::open().await;
    let (mut reader, mut writer) = house.connect().await.into_split();
    let sending = tokio::spawn(async move {
        writer.write_all(b"POST /own HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n").await.unwrap();
        for _ in 0..80 {
            writer.write_all(&[b'u'; 100_000]).await.unwrap();
        }
        writer
    });
    // The answer is read only after everything was sent: a reset on the way would have thrown it away.
    let _writer = timeout(SOON, sending).await.unwrap().unwrap();
    let mut answer = String::new();
    timeout(SOON, reader.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("own 127.0.0.1 POST"), "{answer}");
}

#[tokio::test]
async fn old_clients_are_served_too() {
    let house = House::open().await;
    let mut client = house.connect().await;
    client.write_all(b"GET /old HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(&mut client).await, (200, "GET /old [host=a] ".into()));
    client.write_all(b"GET http://A/own HTTP/1.0\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(read_to_end(&mut client).await.ends_with("own 127.0.0.1 GET"));
}
