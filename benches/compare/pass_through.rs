//! pingora with nothing around it: what a request costs at least in a proxy that is made of it.
//! `pass-through LISTEN UPSTREAM`, both addresses.
#![allow(clippy::expect_used, reason = "it serves, or ends")]

use std::{env, net::SocketAddr};

use async_trait::async_trait;
use pingora::{
    proxy::{ProxyHttp, Session, http_proxy_service},
    server::{Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};

/// The allocator of the program that it is compared with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct PassThrough(SocketAddr);

#[async_trait]
impl ProxyHttp for PassThrough {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.0, false, String::new())))
    }
}

fn main() {
    let mut addresses = env::args().skip(1);
    let mut address = || addresses.next().and_then(|text| text.parse::<SocketAddr>().ok()).expect("an address");
    let (listen, upstream) = (address(), address());
    let conf = ServerConf { threads: 1, upstream_keepalive_pool_size: 1024, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, PassThrough(upstream));
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    server.run_forever();
}
