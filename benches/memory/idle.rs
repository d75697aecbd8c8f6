//! Connections on which nothing is said.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    app::App,
    clients::{self, Client},
    process::Memory,
    proxies::{Proxy, Which},
    support::TlsClient,
};

/// How many connect at once.
const AT_ONCE: usize = 16;

/// What a process needs to come to rest.
const REST: Duration = Duration::from_secs(2);

/// What is open.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    name: &'static str,
    count: usize,
    what: What,
    tls: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    KeepAlive,
    Http2,
    WebSocket,
}

impl Kind {
    pub const REQUESTS: [Self; 3] = [
        Self { name: "keep-alive connection, HTTP/1.1", count: 1000, what: What::KeepAlive, tls: false },
        Self { name: "the same, TLS 1.3", count: 1000, what: What::KeepAlive, tls: true },
        Self { name: "connection of HTTP/2, TLS 1.3, after 10 streams", count: 1000, what: What::Http2, tls: true },
    ];

    pub const WEBSOCKETS: [Self; 2] = [
        Self { name: "WebSocket", count: 5000, what: What::WebSocket, tls: false },
        Self { name: "the same, TLS 1.3", count: 1000, what: What::WebSocket, tls: true },
    ];

    async fn open(self, proxy: &Proxy, tls: Option<&TlsClient>) -> Client {
        match (self.what, tls) {
            (What::KeepAlive, tls) => clients::keep_alive(proxy, tls).await,
            (What::WebSocket, tls) => clients::websocket(proxy, tls).await,
            (What::Http2, Some(tls)) => clients::http2(proxy, tls).await,
            (What::Http2, None) => panic!("HTTP/2 is spoken inside TLS"),
        }
    }

    async fn open_all(self, proxy: &Proxy, count: usize) -> Vec<Client> {
        let protocol = if self.what == What::Http2 { "h2" } else { "http/1.1" };
        let tls = self.tls.then(|| proxy.client(protocol));
        let tls = tls.as_ref();
        stream::iter(0..count).map(|_| self.open(proxy, tls)).buffer_unordered(AT_ONCE).collect().await
    }
}

/// Opens connections of each kind through each proxy.
pub async fn measure(app: &App, kinds: &[Kind]) -> Vec<Value> {
    let mut figures = Vec::new();
    println!("| idle | proxy | open | KiB each, Rss | Pss | private | of which stay when they close | before, MiB |");
    println!("|---|---|---|---|---|---|---|---|");
    for kind in kinds {
        for which in Which::ALL {
            if let Some(figure) = one(app, *kind, which).await {
                figures.push(figure);
            }
        }
    }
    println!();
    figures
}

async fn one(app: &App, kind: Kind, which: Which) -> Option<Value> {
    let Kind { name, count, .. } = kind;
    let proxy = Proxy::start(which, app, kind.tls).await?;
    // What is made once for all, and connections to the app.
    for _ in 0..3 {
        drop(kind.open_all(&proxy, 2 * AT_ONCE).await);
    }
    sleep(REST).await;
    let before = Memory::of(&proxy.pids);
    let open = kind.open_all(&proxy, count).await;
    sleep(REST).await;
    let during = Memory::of(&proxy.pids);
    drop(open);
    sleep(REST).await;
    // Others come: an allocator gives back what it has when it is asked for something.
    for _ in 0..50 {
        drop(kind.open_all(&proxy, 2 * AT_ONCE).await);
    }
    sleep(REST).await;
    let after = Memory::of(&proxy.pids);
    let each = |now: u64, before: u64| (now as f64 - before as f64) / count as f64;
    let (rss, pss) = (each(during.rss, before.rss), each(during.pss, before.pss));
    let (private, stay) = (each(during.private, before.private), each(after.rss, before.rss));
    println!(
        "| {name} | {} | {count} | {rss:.1} | {pss:.1} | {private:.1} | {stay:.1} | {:.1} |",
        which.name(),
        before.rss as f64 / 1024.0
    );
    Some(json!({
        "idle": name, "proxy": which.name(), "open": count, "rss_kib_each": rss, "pss_kib_each": pss,
        "private_kib_each": private, "rss_kib_each_after_closing": stay, "rss_kib_before": before.rss,
    }))
}
