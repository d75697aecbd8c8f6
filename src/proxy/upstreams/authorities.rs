//! Who vouches for upstreams that speak TLS.

use std::sync::Arc;

use pingora::{protocols::tls::CaType, utils::tls::WrappedX509};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Certificates of authorities, in the form that pingora takes.
#[derive(Clone, Debug)]
pub(super) struct Trusted(Arc<CaType>);

impl Trusted {
    /// Exactly these; `None` when one of them is none, or there is none at all.
    pub(super) fn only(certificates: &[Vec<u8>]) -> Option<Self> {
        let read: Vec<_> = certificates.iter().map(|der| read(der)).collect::<Option<_>>()?;
        (!read.is_empty()).then(|| Self(read.into()))
    }

    /// Those of the system; `None` when it has none. What is broken among them is left out.
    pub(super) fn of_the_system() -> Option<Self> {
        let found = rustls_native_certs::load_native_certs().certs;
        let read: Vec<_> = found.iter().filter_map(|der| read(der)).collect();
        (!read.is_empty()).then(|| Self(read.into()))
    }

    pub(super) fn list(&self) -> Arc<CaType> {
        Arc::clone(&self.0)
    }
}

/// Whether this is the certificate of an authority, in DER.
#[must_use]
pub fn is_authority(der: &[u8]) -> bool {
    read(der).is_some()
}

/// Read twice, because it is read twice when a connection is made: by pingora, which would panic, and by rustls.
fn read(der: &[u8]) -> Option<WrappedX509> {
    RootCertStore::empty().add(CertificateDer::from(der)).ok()?;
    WrappedX509::try_new(der.to_vec(), |der| whole(der).ok_or(())).ok()
}

fn whole(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, certificate)| certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn what_is_no_certificate_is_refused_and_panics_nowhere() {
        let good = authority();
        assert!(is_authority(&good));
        assert!(Trusted::only(&[good.clone(), authority()]).is_some());
        for broken in [Vec::new(), b"nonsense".to_vec(), good[..good.len() - 1].to_vec(), [&good[..], &[0]].concat()] {
            assert!(!is_authority(&broken));
            assert!(Trusted::only(&[good.clone(), broken]).is_none());
        }
        assert!(Trusted::only(&[]).is_none(), "to trust nobody is not to trust the system");
    }
}
