//! Large bodies, either way: what is held of them at most, and what a gigabyte costs.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::{
    app::App,
    clients::{self, Stream},
    common::{cpu, forget_peak, median, memory},
    process::Memory,
    proxies::{Proxy, Which},
};

const ROUNDS: usize = 7;

/// Sizes, and how many of one size make a round.
const SIZES: [(usize, usize); 2] = [(1 << 20, 100), (100 << 20, 2)];

/// Sends bodies through each proxy in turn.
pub async fn measure(app: &App) -> Vec<Value> {
    let mut figures = Vec::new();
    println!(
        "| body | proxy | CPU s for a GiB (lowest to highest) | against nginx | most memory more than before, KiB |"
    );
    println!("|---|---|---|---|---|");
    for (tls, protocol) in [(false, ""), (true, ", TLS 1.3")] {
        let mut proxies = Vec::new();
        for which in Which::ALL {
            if let Some(proxy) = Proxy::start(which, app, tls).await {
                proxies.push((which, proxy));
            }
        }
        for (size, times) in SIZES {
            for (is_up, direction) in [(false, "down"), (true, "up")] {
                let mut taken: Vec<Vec<Taken>> = proxies.iter().map(|_| Vec::new()).collect();
                for _ in 0..ROUNDS {
                    for ((_, proxy), taken) in proxies.iter().zip(&mut taken) {
                        taken.push(round(proxy, tls, size, times, is_up).await);
                    }
                }
                let of = |which| proxies.iter().position(|(there, _)| *there == which).map(|index| &taken[index]);
                let nginx = of(Which::Nginx).map(|taken| median(taken.iter().map(|taken| taken.cpu)));
                let name = format!("{} MiB {direction}{protocol}", size >> 20);
                for ((which, _), taken) in proxies.iter().zip(&taken) {
                    let middle = median(taken.iter().map(|taken| taken.cpu));
                    let lowest = taken.iter().map(|taken| taken.cpu).fold(f64::INFINITY, f64::min);
                    let highest = taken.iter().map(|taken| taken.cpu).fold(0.0, f64::max);
                    let more = median(taken.iter().map(|taken| taken.more as f64));
                    let ratio = nginx.map_or(f64::NAN, |nginx| middle / nginx);
                    println!(
                        "| {name} | {} | {middle:.3} ({lowest:.3} to {highest:.3}) | {ratio:.2} | {more:.0} |",
                        which.name()
                    );
                    figures.push(json!({
                        "body": name, "proxy": which.name(), "cpu_seconds_per_gib": middle, "lowest": lowest,
                        "highest": highest, "against_nginx": ratio, "peak_kib_more": more,
                    }));
                }
            }
        }
    }
    println!();
    figures
}

/// What a round took.
struct Taken {
    /// CPU seconds for a GiB.
    cpu: f64,
    /// KiB more than before, at most.
    more: u64,
}

async fn round(proxy: &Proxy, tls: bool, size: usize, times: usize, is_up: bool) -> Taken {
    let client = tls.then(|| proxy.client("http/1.1"));
    let mut stream = clients::connect(proxy, client.as_ref()).await;
    clients::ask(proxy, &mut stream, "/").await;
    let before = Memory::of(&proxy.pids).rss;
    forget_peak(&proxy.pids);
    let cpu_before = cpu(&proxy.pids);
    for _ in 0..times {
        if is_up {
            upload(proxy, &mut stream, size).await;
        } else {
            clients::ask(proxy, &mut stream, &format!("/bytes/{size}")).await;
        }
    }
    let cpu = (cpu(&proxy.pids) - cpu_before) / (size * times) as f64 * f64::from(1 << 30);
    Taken { cpu, more: memory(&proxy.pids, "VmHWM").saturating_sub(before) }
}

async fn upload(proxy: &Proxy, stream: &mut dyn Stream, size: usize) {
    let head = clients::head(proxy, "POST", "/up", &format!("Content-Length: {size}\r\n"));
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'u'; 256 * 1024];
    let mut rest = size;
    while rest > 0 {
        let now = rest.min(piece.len());
        stream.write_all(&piece[..now]).await.unwrap();
        rest -= now;
    }
    stream.flush().await.unwrap();
    clients::answered(stream).await;
}
