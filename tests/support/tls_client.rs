//! The browser's side of TLS.

use std::{io, net::SocketAddr, sync::Arc};

use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version},
};

use super::{Authority, Connection};

/// Trusts one authority, and remembers sessions as browsers do.
#[derive(Clone, Debug)]
pub struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    pub fn trusting(authority: &Authority) -> Self {
        Self::speaking(authority, &[])
    }

    /// One that offers these protocols inside TLS.
    pub fn speaking(authority: &Authority, protocols: &[&str]) -> Self {
        Self::with_root(authority.der(), protocols)
    }

    /// One that trusts whoever has this certificate.
    pub fn with_root(root: CertificateDer<'static>, protocols: &[&str]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self(Arc::new(config))
    }

    /// The handshake for a name; an address asks for none.
    pub async fn shake(&self, socket: TcpStream, name: &str) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(Arc::clone(&self.0)).connect(name, socket).await
    }

    pub async fn connect(&self, address: SocketAddr, name: &str) -> io::Result<TlsStream<TcpStream>> {
        self.shake(TcpStream::connect(address).await?, name).await
    }

    /// A connection for requests.
    pub async fn open(&self, address: SocketAddr, name: &str) -> Connection {
        Connection::over_tls(self.connect(address, name).await.unwrap())
    }

    /// The certificate that is shown for a name, in DER; `None` when the client does not take it.
    pub async fn shown(&self, address: SocketAddr, name: &str) -> Option<Vec<u8>> {
        let stream = self.connect(address, name).await.ok()?;
        Some(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
    }
}
