//! Many clients that ask again and again on connections that they keep, and count what goes wrong.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{Connection, Request};

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
