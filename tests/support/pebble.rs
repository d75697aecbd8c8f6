//! Pebble, the authority for tests of those who made Let's Encrypt: it really looks at the names.

use std::{
    net::{SocketAddr, TcpListener},
    process::Stdio,
    time::Duration,
};

use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

use super::{Authority, Request, TlsClient};

/// Ends with the test.
pub struct Pebble {
    pub authority: Authority,
    api: SocketAddr,
    management: SocketAddr,
    _folder: tempfile::TempDir,
    _processes: [Child; 2],
}

/// An address where nobody listens.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Pebble {
    /// An authority for which every name leads to this machine, where it looks at these ports.
    pub async fn start(tls: SocketAddr, http: SocketAddr) -> Self {
        let (authority, folder) = (Authority::new("Pebble"), tempfile::tempdir().unwrap());
        authority.signs(&["localhost", "127.0.0.1"]).write(folder.path(), "pebble");
        let (api, management, dns, names) = (free(), free(), free(), free());
        let config = serde_json::json!({ "pebble": {
            "listenAddress": api.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": folder.path().join("pebble.pem"),
            "privateKey": folder.path().join("pebble.key"),
            "httpPort": http.port(),
            "tlsPort": tls.port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        let path = folder.path().join("pebble.json");
        std::fs::write(&path, config.to_string()).unwrap();
        let spawn = |command: &mut Command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn()
        };
        let mut resolver = Command::new("pebble-challtestsrv");
        resolver.args([
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
        ]);
        resolver.args(["-dns01", &dns.to_string(), "-management", &names.to_string()]);
        let resolver = spawn(&mut resolver).expect("pebble-challtestsrv is there: scripts/setup test");
        let mut pebble = Command::new("pebble");
        pebble.args(["-config", path.to_str().unwrap(), "-dnsserver", &dns.to_string()]);
        // It refuses one nonce in twenty to see who asks again; three in a row are given up, which would be one run in a hundred.
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "1");
        let pebble = spawn(&mut pebble).expect("pebble is there: scripts/setup test");
        for address in [api, management, names] {
            let listens = timeout(Duration::from_secs(30), async {
                while TcpStream::connect(address).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
            assert!(listens.await.is_ok(), "{address}");
        }
        Self { authority, api, management, _folder: folder, _processes: [resolver, pebble] }
    }

    /// The section of the configuration.
    pub fn section(&self) -> String {
        format!(
            "[server.tls.acme]\ndirectory_url = \"https://{}/dir\"\nca_file = \"{}\"\n\
             contact = [\"admin@school.example\"]\nterms_of_service_agreed = true\n",
            self.api,
            self.authority.file().display(),
        )
    }

    /// A client that trusts what it signs.
    pub async fn client(&self) -> TlsClient {
        let mut connection = TlsClient::trusting(&self.authority).open(self.management, "localhost").await;
        let root = Request::get("/roots/0").header("Host", "localhost").send_over(&mut connection).await;
        TlsClient::with_root(CertificateDer::from_pem_slice(&root.body).unwrap(), &[])
    }
}
