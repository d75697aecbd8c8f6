//! The handshake with a browser.

use std::{io, sync::Arc, time::Duration};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::{Ticketer, default_provider},
    server::NoServerSessionStorage,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Certificates, Pair, challenges};

/// What is spoken inside TLS, the best first (RFC 7301). A client that speaks none of it is turned away.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// How a record of a handshake begins (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// Whether a connection that begins with this byte begins with a handshake.
#[must_use]
pub fn begins_handshake(first: u8) -> bool {
    first == HANDSHAKE
}

/// Does handshakes. TLS 1.2 and 1.3 with the suites of rustls, all of which have forward secrecy and AEAD.
#[derive(Clone)]
pub struct Acceptor {
    inner: TlsAcceptor,
    certificates: Arc<Certificates>,
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Secured<S> {
    /// The connection.
    pub stream: Box<TlsStream<S>>,
    /// The pair for the name that the client asked for.
    pub pair: Option<Arc<Pair>>,
}

/// Why there is no connection. What strangers send is nothing to worry about.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Not in its time.
    #[error("it took too long")]
    TooSlow,
    /// An authority has seen what it asked for, and nothing is spoken.
    #[error("an authority asked whether the name is ours")]
    Challenge,
    /// Another version, no suite in common, no certificate, nonsense, or the client has gone.
    #[error("{0}")]
    Failed(#[from] io::Error),
}

impl Acceptor {
    /// Who comes gets one of these.
    ///
    /// # Errors
    /// When the system gives no randomness for the keys of tickets.
    pub fn new(certificates: Arc<Certificates>) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Certificates>::clone(&certificates));
        config.alpn_protocols = PROTOCOLS.iter().chain(&[challenges::PROTOCOL]).map(|name| name.to_vec()).collect();
        // Sessions go on by tickets whose keys change every six hours; nothing is kept here. No request comes before
        // the end of a handshake (`max_early_data_size` is 0), because it could be sent again by others.
        config.ticketer = Ticketer::new()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { inner: TlsAcceptor::from(Arc::new(config)), certificates })
    }

    /// The handshake, which may take so long.
    ///
    /// # Errors
    /// When it fails.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: S,
        within: Duration,
    ) -> Result<Secured<S>, HandshakeError> {
        let handshake = Box::pin(self.inner.accept(socket));
        let stream = Box::new(timeout(within, handshake).await.map_err(|_| HandshakeError::TooSlow)??);
        let connection = stream.get_ref().1;
        if connection.alpn_protocol() == Some(challenges::PROTOCOL) {
            return Err(HandshakeError::Challenge);
        }
        // rustls does not say which it was. Of two for one name, both are for that name.
        let pair = self.certificates.pick(connection.server_name(), |_| true);
        Ok(Secured { stream, pair })
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{tls::pair::tests::made_for, web::Host};
    use rustls::{ClientConfig, RootCertStore};
    use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
    use tokio_rustls::TlsConnector;

    const NAME: &str = "a.school.example";

    /// What came of a client that offers these protocols: the certificate that it was shown, in DER, and what was agreed.
    async fn shake(
        acceptor: &Acceptor,
        offered: &[&str],
    ) -> (Option<Vec<u8>>, Result<Option<Vec<u8>>, HandshakeError>) {
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let seen = Arc::new(seen::Seen::default());
        config.dangerous().set_certificate_verifier(Arc::<seen::Seen>::clone(&seen));
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let (near, far) = tokio::io::duplex(1 << 16);
        let name = ServerName::try_from(NAME).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let (_, accepted) = tokio::join!(connector.connect(name, far), acceptor.accept(near, Duration::from_secs(9)));
        let agreed = accepted.map(|secured| secured.stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec));
        (seen.taken(), agreed)
    }

    #[tokio::test]
    async fn an_authority_alone_sees_the_answer_and_nothing_is_spoken_with_it() {
        let (chain, key) = made_for(&[NAME]);
        let own = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap().to_vec();
        let pair = Arc::new(Pair::from_pem(chain.as_bytes(), key.as_bytes()).unwrap());
        let certificates = Arc::new(Certificates::new(vec![pair]));
        let acceptor = Acceptor::new(Arc::clone(&certificates)).unwrap();
        // Nobody has asked for it.
        let (shown, agreed) = shake(&acceptor, &["acme-tls/1"]).await;
        assert!(shown.is_none() && agreed.is_err());
        certificates.challenges().answer_in_handshake(&Host::parse(NAME).unwrap(), &[7; 32]).unwrap();
        let (shown, agreed) = shake(&acceptor, &["acme-tls/1"]).await;
        assert!(shown.is_some_and(|shown| shown != own), "the answer");
        assert!(matches!(agreed, Err(HandshakeError::Challenge)));
        for offered in [
            &[][..],
            &["h2", "http/1.1"],
            &["http/1.1"],
            &["acme-tls/1", "h2"],
            &["acme-tls/1", "http/1.1"],
            &["h2", "acme-tls/1"],
        ] {
            let (shown, agreed) = shake(&acceptor, offered).await;
            assert_eq!(shown.as_ref(), Some(&own), "{offered:?}");
            let expected = PROTOCOLS.iter().find(|ours| offered.iter().any(|name| name.as_bytes() == **ours));
            assert_eq!(agreed.unwrap().as_deref(), expected.copied(), "{offered:?}");
        }
        let (shown, agreed) = shake(&acceptor, &["acme-tls/1", "ftp"]).await;
        assert_eq!(shown.as_ref(), Some(&own));
        assert!(matches!(agreed, Err(HandshakeError::Challenge)));
    }

    /// A client that takes every certificate, and remembers it.
    mod seen {
        use rustls::{
            DigitallySignedStruct, Error, SignatureScheme,
            client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
            crypto::aws_lc_rs::default_provider,
        };
        use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
        use std::sync::Mutex;

        #[derive(Debug, Default)]
        pub(super) struct Seen(Mutex<Option<Vec<u8>>>);

        impl Seen {
            pub(super) fn taken(&self) -> Option<Vec<u8>> {
                self.0.lock().unwrap().take()
            }
        }

        impl ServerCertVerifier for Seen {
            fn verify_server_cert(
                &self,
                certificate: &CertificateDer<'_>,
                _: &[CertificateDer<'_>],
                _: &ServerName<'_>,
                _: &[u8],
                _: UnixTime,
            ) -> Result<ServerCertVerified, Error> {
                *self.0.lock().unwrap() = Some(certificate.to_vec());
                Ok(ServerCertVerified::assertion())
            }

            fn verify_tls12_signature(
                &self,
                _: &[u8],
                _: &CertificateDer<'_>,
                _: &DigitallySignedStruct,
            ) -> Result<HandshakeSignatureValid, Error> {
                Ok(HandshakeSignatureValid::assertion())
            }

            fn verify_tls13_signature(
                &self,
                _: &[u8],
                _: &CertificateDer<'_>,
                _: &DigitallySignedStruct,
            ) -> Result<HandshakeSignatureValid, Error> {
                Ok(HandshakeSignatureValid::assertion())
            }

            fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
                default_provider().signature_verification_algorithms.supported_schemes()
            }
        }
    }
}
