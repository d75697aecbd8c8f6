//! What an operator asks about upstreams: is each reached as a request would reach it, and if not, why?

use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use pingora::{Error, ErrorType, connectors::http::Connector};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{task, time::timeout};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{
    health,
    pool::{Asks, Pool, certificate_name},
};
use crate::{
    clock::Timestamp,
    crypto,
    policy::Upstream,
    proxy::{failures::in_short, resolver::Resolver},
    web::{Scheme, Target},
};

/// How long an app may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a name server may take.
const NAMING: Duration = Duration::from_secs(3);

/// How long a server may take to show its certificate.
const SHOWING: Duration = Duration::from_secs(2);

/// What stands in an error of TLS before what is wrong with a certificate.
const UNTRUSTED: &str = "invalid peer certificate: ";

/// One upstream, tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The name of the app.
    pub app: String,
    /// The upstream, as the configuration writes it.
    pub upstream: Upstream,
    /// How it was.
    pub found: Found,
    /// When the certificate ends that it shows.
    pub expires: Option<Timestamp>,
}

/// How an upstream was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It answers, with this status.
    Answers(u16),
    /// It answers `health_path` with this status, and so gets no requests.
    Unhealthy(u16),
    /// Its name has no address.
    Unresolvable(String),
    /// No connection.
    Unreachable(String),
    /// Its certificate does not hold.
    Untrusted(String),
    /// It does not speak TLS as it should.
    NoTls(String),
    /// It speaks TLS, and is asked without.
    WantsTls,
    /// It takes the connection and does not answer as a web server does.
    Silent(String),
}

/// Tries every upstream of these apps, in the order of their names.
pub(super) async fn all(pools: impl Iterator<Item = &Pool>, resolver: &Resolver) -> Vec<Probed> {
    let connector = health::connector();
    let members = pools.flat_map(|pool| pool.app.upstreams.iter().map(move |upstream| (pool, upstream)));
    let mut probed = join_all(members.map(|(pool, upstream)| one(&connector, resolver, pool, upstream))).await;
    probed.sort_by(|a, b| a.app.cmp(&b.app));
    probed
}

async fn one(connector: &Connector, resolver: &Resolver, pool: &Pool, upstream: &Upstream) -> Probed {
    let probed = |found, expires| Probed { app: pool.app.name.clone(), upstream: upstream.clone(), found, expires };
    let address = match timeout(NAMING, resolver.resolve(upstream)).await {
        Ok(Ok(address)) => address,
        Ok(Err(why)) => return probed(Found::Unresolvable(why.to_string()), None),
        Err(_late) => return probed(Found::Unresolvable("nobody tells the address".to_owned()), None),
    };
    let (found, leaf) = match upstream.scheme {
        Scheme::Http => (asked(connector, pool, upstream, address).await, None),
        Scheme::Https => tokio::join!(asked(connector, pool, upstream, address), shown(upstream, address)),
    };
    let expires = leaf.as_deref().and_then(end_of);
    let is_odd = |found: &Found| match found {
        Found::Silent(_) => true,
        Found::Answers(status) | Found::Unhealthy(status) => *status == 400,
        Found::Unresolvable(_) | Found::Unreachable(_) | Found::Untrusted(_) | Found::NoTls(_) | Found::WantsTls => {
            false
        }
    };
    // Servers that want TLS close the connection, or say 400.
    if upstream.scheme == Scheme::Http && is_odd(&found) && shown(upstream, address).await.is_some() {
        return probed(Found::WantsTls, None);
    }
    probed(found, expires)
}

/// Asks as a health check does; without a path to ask for, for `/`.
async fn asked(connector: &Connector, pool: &Pool, upstream: &Upstream, address: SocketAddr) -> Found {
    let connecting = async {
        let peer = pool.peer(upstream, address, Asks::Health)?;
        connector.get_http_session(&*peer).await
    };
    let mut session = match connecting.await {
        Ok((session, _)) => session,
        Err(error) => return unreached(&error, upstream.scheme),
    };
    let root = Target::parse_origin_form("/");
    let Some(target) = pool.app.health_path.as_ref().or(root.as_ref().ok()) else {
        return Found::Silent("there is nothing to ask for".to_owned());
    };
    let is_checked = pool.balancer.has_choice() && pool.app.health_path.is_some();
    match timeout(ANSWER, health::status(&mut session, target, pool, upstream)).await {
        Ok(Ok(status)) if is_checked && !matches!(status, 200..=399) => Found::Unhealthy(status),
        Ok(Ok(status)) => Found::Answers(status),
        Ok(Err(error)) => Found::Silent(in_short(&error)),
        Err(_late) => Found::Silent(format!("no answer within {} s", ANSWER.as_secs())),
    }
}

fn unreached(error: &Error, scheme: Scheme) -> Found {
    let why = in_short(error);
    let is_of_tls = matches!(
        error.etype(),
        ErrorType::TLSHandshakeFailure | ErrorType::TLSHandshakeTimedout | ErrorType::HandshakeError
    );
    let untrusted = why.split_once(UNTRUSTED).map(|(_, rest)| rest.split(", SNI: ").next().unwrap_or(rest).to_owned());
    match (scheme, untrusted) {
        (Scheme::Https, Some(why)) => Found::Untrusted(why),
        (Scheme::Https, None) if *error.etype() == ErrorType::InvalidCert => Found::Untrusted(why),
        (Scheme::Https, None) if is_of_tls => Found::NoTls(why),
        (Scheme::Http | Scheme::Https, _) => Found::Unreachable(why),
    }
}

/// The certificate that a server shows, whoever vouches for it; `None` when it speaks no TLS. The handshake is
/// broken off as soon as it is seen, so nothing is ever sent to a server that nobody vouches for.
async fn shown(upstream: &Upstream, address: SocketAddr) -> Option<Vec<u8>> {
    let name = ServerName::try_from(certificate_name(upstream)?).ok()?;
    crypto::install();
    let curious = Arc::new(Curious::default());
    let verifier = Arc::<Curious>::clone(&curious);
    let config = ClientConfig::builder().dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    let looking = task::spawn_blocking(move || -> io::Result<()> {
        let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut stream = TcpStream::connect_timeout(&address, SHOWING)?;
        stream.set_read_timeout(Some(SHOWING))?;
        stream.set_write_timeout(Some(SHOWING))?;
        connection.complete_io(&mut stream).map(drop)
    });
    // It always fails; what counts is what was seen.
    drop(timeout(SHOWING, looking).await);
    curious.0.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn end_of(leaf: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    // What ended before 1970 has ended.
    let end = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    Some(Timestamp::from_seconds(end))
}

/// Believes nobody, and remembers what it was shown.
#[derive(Debug, Default)]
struct Curious(Mutex<Option<Vec<u8>>>);

fn enough<T>() -> Result<T, rustls::Error> {
    Err(rustls::Error::General("seen".to_owned()))
}

impl ServerCertVerifier for Curious {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(leaf.to_vec());
        enough()
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        enough()
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        enough()
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
