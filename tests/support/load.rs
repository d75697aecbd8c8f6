//! Many clients that ask again and again on connections that they keep, and people who sign in meanwhile; and a count of
//! what goes wrong.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{
    Browser, Connection, Request,
    world::{at, at_apple, through_apple},
};

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
            while !*stops.borrow() {
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
