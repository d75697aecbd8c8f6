//! Many clients that ask again and again on connections that they keep, and people who sign in meanwhile; and a count of
//! what goes wrong.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use h2::{
    Reason,
    client::{ResponseFuture, SendRequest},
};
use tokio::{
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{
    Browser, Connection, HOST, Request, TlsClient,
    world::{at, at_apple, through_apple},
};

/// Requests at a time on a connection of HTTP/2.
const TOGETHER: u32 = 3;

/// Clients at work.
pub struct Load {
    stop: watch::Sender<bool>,
    clients: Vec<JoinHandle<Count>>,
}

/// What came of their requests.
#[derive(Debug, Default)]
pub struct Count {
    /// Answers with status 200.
    pub good: u64,
    /// Everything else, in words.
    pub bad: Vec<String>,
}

impl Load {
    /// So many `clients` that send `request`, `a_second` of them together.
    pub fn start(address: SocketAddr, request: &Request, clients: u32, a_second: u32) -> Self {
        let (stop, stops) = watch::channel(false);
        let pause = Duration::from_secs(1) * clients / a_second;
        let bytes = request.bytes();
        let client = |_| tokio::spawn(ask(address, bytes.clone(), pause, stops.clone()));
        Self { stop, clients: (0..clients).map(client).collect() }
    }

    /// The same over TLS and HTTP/2, `GET` of a path at the app's host, [`TOGETHER`] requests at a time on each
    /// connection. The clients ask again what was certainly not processed (RFC 9113, section 8.7), and nothing else.
    pub fn over_http2(
        address: SocketAddr,
        tls: &TlsClient,
        path: &str,
        cookie: &str,
        (clients, a_second): (u32, u32),
    ) -> Self {
        let (stop, stops) = watch::channel(false);
        let pause = Duration::from_secs(1) * clients * TOGETHER / a_second;
        let request = super::http2::request("GET", path).header("cookie", cookie).body(()).unwrap();
        let client = |_| {
            let visitor = Visitor { address, tls: tls.clone(), request: request.clone(), kept: None };
            tokio::spawn(visitor.ask(pause, stops.clone()))
        };
        Self { stop, clients: (0..clients).map(client).collect() }
    }

    /// Waits for the last answers.
    pub async fn stop(self) -> Count {
        self.stop.send_replace(true);
        let mut all = Count::default();
        for client in self.clients {
            let Count { good, bad } = client.await.unwrap();
            all.good += good;
            all.bad.extend(bad);
        }
        all
    }
}

/// People who sign in, one after the other.
pub struct Arrivals {
    stop: watch::Sender<bool>,
    task: JoinHandle<Count>,
}

impl Arrivals {
    pub fn start(address: SocketAddr) -> Self {
        let (stop, stops) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut count = Count::default();
            // All come from one address, which may begin 50 sign-ins a second (sign_in_rate_per_ip).
            let mut tick = interval(Duration::from_millis(40));
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !*stops.borrow() {
                tick.tick().await;
                let answer = through_apple(&mut Browser::new(address), "/start", "pupil-1").await;
                if (answer.status, answer.header("location")) == (303, Some("/start")) {
                    count.good += 1;
                } else {
                    count.bad.push(format!("{answer:?}"));
                }
            }
            count
        });
        Self { stop, task }
    }

    /// Waits for the last of them.
    pub async fn stop(self) -> Count {
        self.stop.send_replace(true);
        self.task.await.unwrap()
    }
}

/// Somebody who is at Apple, and comes back later.
pub struct Late {
    browser: Browser,
    authorize: String,
}

impl Late {
    pub async fn leaves(address: SocketAddr) -> Self {
        let mut browser = Browser::new(address);
        let authorize = browser.open(&at("/start")).await.location().to_owned();
        Self { browser, authorize }
    }

    pub async fn comes_back(mut self) {
        let back = at_apple(&self.authorize, "teacher-2").await;
        let answer = self.browser.open(&back).await;
        assert_eq!((answer.status, answer.location()), (303, "/start"), "{}", answer.text());
    }
}

async fn ask(address: SocketAddr, request: Vec<u8>, pause: Duration, stop: watch::Receiver<bool>) -> Count {
    let (mut count, mut kept) = (Count::default(), None);
    let mut tick = interval(pause);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stop.borrow() {
        tick.tick().await;
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => match TcpStream::connect(address).await {
                Ok(stream) => Connection::over(stream),
                Err(why) => {
                    count.bad.push(format!("cannot connect: {why}"));
                    continue;
                }
            },
        };
        connection.write(&request).await;
        match connection.try_answer().await {
            Some(answer) if answer.status == 200 => {
                count.good += 1;
                if answer.header("connection") != Some("close") {
                    kept = Some(connection);
                }
            }
            Some(answer) => count.bad.push(format!("{answer:?}")),
            None => count.bad.push("no answer".into()),
        }
    }
    count
}

/// A client of HTTP/2.
struct Visitor {
    address: SocketAddr,
    tls: TlsClient,
    request: http::Request<()>,
    kept: Option<SendRequest<Bytes>>,
}

/// How a request went.
enum Went {
    Well,
    /// The gateway says that it was not processed.
    Unprocessed,
    Wrong(String),
}

impl Visitor {
    async fn ask(mut self, pause: Duration, stop: watch::Receiver<bool>) -> Count {
        let mut count = Count::default();
        let mut tick = interval(pause);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*stop.borrow() {
            tick.tick().await;
            let mut left = TOGETHER;
            while left > 0 {
                let begun = match self.begin(left).await {
                    Ok(begun) => begun,
                    Err(why) => {
                        count.bad.push(why);
                        break;
                    }
                };
                for went in join_all(begun.into_iter().map(went)).await {
                    match went {
                        Went::Well => count.good += 1,
                        Went::Unprocessed => continue,
                        Went::Wrong(why) => count.bad.push(why),
                    }
                    left -= 1;
                }
            }
        }
        count
    }

    /// Sends so many requests, or fewer on a connection that ends: then the others go over the next.
    async fn begin(&mut self, many: u32) -> Result<Vec<ResponseFuture>, String> {
        let mut begun = Vec::new();
        while begun.is_empty() {
            let mut connection = match self.kept.take() {
                Some(connection) => connection,
                None => {
                    let stream = self.tls.connect(self.address, HOST).await;
                    let stream = stream.map_err(|why| format!("cannot connect: {why}"))?;
                    let shaken = h2::client::handshake(stream).await;
                    let (connection, driver) = shaken.map_err(|why| format!("no HTTP/2: {why}"))?;
                    tokio::spawn(driver);
                    connection
                }
            };
            for _ in 0..many {
                let Ok(ready) = connection.clone().ready().await else { break };
                connection = ready;
                let Ok((response, _)) = connection.send_request(self.request.clone(), true) else { break };
                begun.push(response);
            }
            // One that ends is not ready for more.
            self.kept = (begun.len() == many as usize).then_some(connection);
        }
        Ok(begun)
    }
}

async fn went(response: ResponseFuture) -> Went {
    let read = async {
        let mut response = response.await?;
        while let Some(piece) = response.body_mut().data().await {
            let length = piece?.len();
            let _ = response.body_mut().flow_control().release_capacity(length);
        }
        Ok::<_, h2::Error>(response.status())
    };
    match read.await {
        Ok(http::StatusCode::OK) => Went::Well,
        Ok(status) => Went::Wrong(format!("status {status}")),
        Err(why) if why.is_remote() && why.reason() == Some(Reason::REFUSED_STREAM) => Went::Unprocessed,
        Err(why) if why.is_remote() && why.is_go_away() && why.reason() == Some(Reason::NO_ERROR) => Went::Unprocessed,
        Err(why) => Went::Wrong(format!("{why:?}")),
    }
}
