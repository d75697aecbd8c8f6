//! pingora with nothing around it: what a request costs at least in a proxy that is made of it.
//! `pass-through LISTEN UPSTREAM [--log] [--tls CERTIFICATE KEY]`: both addresses; a line for each request to stderr;
//! HTTP/1.1 and HTTP/2 inside TLS 1.3.
#![allow(clippy::expect_used, clippy::print_stderr, reason = "it serves, or ends")]

use std::{env, net::SocketAddr};

use async_trait::async_trait;
use pingora::{
    listeners::tls::TlsSettings,
    proxy::{ProxyHttp, Session, http_proxy_service},
    server::{Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};

/// The allocator of the program that it is compared with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct PassThrough {
    upstream: SocketAddr,
    log: bool,
}

#[async_trait]
impl ProxyHttp for PassThrough {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }

    async fn logging(&self, session: &mut Session, _: Option<&pingora::Error>, (): &mut ()) {
        if self.log {
            let status = session.response_written().map_or(0, |answer| answer.status.as_u16());
            eprintln!("{} {status} {}", session.request_summary(), session.body_bytes_sent());
        }
    }
}

fn main() {
    let mut arguments = env::args().skip(1);
    let mut address = || arguments.next().and_then(|text| text.parse::<SocketAddr>().ok()).expect("an address");
    let (listen, upstream) = (address(), address());
    let options: Vec<_> = arguments.collect();
    // The cryptography of the program that it is compared with.
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("the first one");
    let conf = ServerConf { threads: 1, upstream_keepalive_pool_size: 1024, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let log = options.iter().any(|option| option == "--log");
    let mut service = http_proxy_service(&server.configuration, PassThrough { upstream, log });
    match options.iter().position(|option| option == "--tls").map(|at| &options[at + 1..]) {
        Some([certificate, key, ..]) => {
            let mut settings = TlsSettings::intermediate(certificate, key).expect("a certificate and its key");
            settings.enable_h2();
            service.add_tls_with_settings(&listen.to_string(), None, settings);
        }
        _ => service.add_tcp(&listen.to_string()),
    }
    server.add_service(service);
    server.run_forever();
}
