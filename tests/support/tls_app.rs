//! An app that speaks TLS: certificates made for the occasion, and a front that takes the TLS off.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use schoolgate::clock::{Clock, SystemClock};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, rustls::crypto::aws_lc_rs};

/// A certificate with its key.
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    chain_pem: String,
    key_pem: String,
}

impl Certificate {
    /// The certificate itself, in DER.
    pub fn der(&self) -> &[u8] {
        &self.chain[0]
    }

    /// Key and certificates in one file, as the gateway keeps what it has ordered.
    pub fn write_together(&self, path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{}{}", self.key_pem, self.chain_pem)).unwrap();
    }

    /// Writes both files, as something that renews them does, and returns the lines of the configuration.
    pub fn write(&self, folder: &Path, name: &str) -> String {
        let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&certificate, &self.chain_pem).unwrap();
        std::fs::write(&key, &self.key_pem).unwrap();
        format!("certificate_file = \"{}\"\nprivate_key_file = \"{}\"\n", certificate.display(), key.display())
    }
}

/// An authority of a school.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// Its certificate in PEM.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The line of the configuration that trusts it.
    pub fn line(&self) -> String {
        format!("upstream_ca_file = \"{}\"", self.file().display())
    }

    /// A certificate for these names and addresses.
    pub fn signs(&self, names: &[&str]) -> Certificate {
        self.sign(params(names))
    }

    /// One whose time is over.
    pub fn signed_long_ago(&self, names: &[&str]) -> Certificate {
        let mut params = params(names);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(params)
    }

    /// One whose time has not begun.
    pub fn signed_ahead_of_time(&self, names: &[&str]) -> Certificate {
        let mut params = params(names);
        params.not_before = date_time_ymd(2090, 1, 1);
        self.sign(params)
    }

    /// One whose time is over so long from now.
    pub fn signed_for(&self, names: &[&str], time: Duration) -> Certificate {
        let mut params = params(names);
        let end = i64::try_from(SystemClock.now().plus(time).seconds()).unwrap();
        params.not_after = time::OffsetDateTime::from_unix_timestamp(end).unwrap();
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain_pem = format!("{}{}", certificate.pem(), self.issuer.pem());
        let (chain, key_pem) = (vec![certificate.der().clone()], key.serialize_pem());
        Certificate { chain, key: key.serialize_der(), chain_pem, key_pem }
    }

    /// The certificate itself, in DER.
    pub fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }
}

/// One that nobody vouches for but itself.
pub fn self_signed(names: &[&str]) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let certificate = params(names).self_signed(&key).unwrap();
    let (chain_pem, key_pem) = (certificate.pem(), key.serialize_pem());
    Certificate { chain: vec![certificate.der().clone()], key: key.serialize_der(), chain_pem, key_pem }
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// Takes the TLS off, and passes on what is inside.
pub struct TlsApp {
    pub address: SocketAddr,
    names: Arc<Mutex<Vec<Option<String>>>>,
}

impl TlsApp {
    /// In front of an app without TLS.
    pub async fn before(app: SocketAddr, certificate: Certificate) -> Self {
        Self::offering(&[], move |_| app, certificate).await
    }

    /// The same with an app for each protocol that is agreed on (RFC 7301); none when the client names none.
    pub async fn offering(
        protocols: &[&str],
        app: impl Fn(Option<&[u8]>) -> SocketAddr + Send + Sync + 'static,
        certificate: Certificate,
    ) -> Self {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificate.chain, PrivateKeyDer::try_from(certificate.key).unwrap())
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|one| one.as_bytes().to_vec()).collect();
        let app = Arc::new(app);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let names: Arc<Mutex<Vec<_>>> = Arc::default();
        let heard = Arc::clone(&names);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, heard, app) = (acceptor.clone(), Arc::clone(&heard), Arc::clone(&app));
                tokio::spawn(async move {
                    let Ok(mut near) = acceptor.accept(socket).await else { return };
                    heard.lock().unwrap().push(near.get_ref().1.server_name().map(str::to_owned));
                    let app = app(near.get_ref().1.alpn_protocol());
                    let Ok(mut far) = TcpStream::connect(app).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { address, names }
    }

    /// The name that was asked for in each handshake that came to its end.
    pub fn handshakes(&self) -> Vec<Option<String>> {
        self.names.lock().unwrap().clone()
    }
}
