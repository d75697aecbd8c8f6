//! A certificate with what stands between it and its authority, and its key: checked, and fit for a handshake.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use rustls::{crypto::aws_lc_rs::sign::any_supported_type, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use zeroize::Zeroize;

use super::PairError;
use crate::{
    clock::Timestamp,
    web::{Host, HostPattern},
};

/// How long before its end a certificate should have been renewed.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// Where a certificate stands in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Browsers refuse it until its time begins.
    Early,
    /// Its time.
    Good,
    /// It should have been renewed.
    EndsSoon,
    /// Browsers refuse it.
    Expired,
}

/// A certificate and its key, which belong together.
pub struct Pair {
    certified: Arc<CertifiedKey>,
    names: Vec<HostPattern>,
    from: Timestamp,
    until: Timestamp,
    lacks_issuer: bool,
}

impl Pair {
    /// Reads a chain and a key in PEM, whatever else stands between their blocks.
    ///
    /// # Errors
    /// When they are not what a browser would take, apart from time and trust: those only browsers can tell.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, PairError> {
        let mut certificates = Vec::new();
        for (number, found) in (1..).zip(CertificateDer::pem_slice_iter(chain)) {
            certificates.push(found.map_err(|_| PairError::BrokenCertificate(number))?);
        }
        Self::new(certificates, key)
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: &[u8]) -> Result<Self, PairError> {
        let mut certificates = Vec::new();
        for (number, der) in (1..).zip(&chain) {
            certificates.push(whole(der).ok_or(PairError::BrokenCertificate(number))?);
        }
        let first = certificates.first().ok_or(PairError::NoCertificate)?;
        for (number, two) in (2..).zip(certificates.windows(2)) {
            if two[0].issuer().as_raw() != two[1].subject().as_raw() {
                return Err(PairError::Order(number));
            }
        }
        let names = names(first);
        if names.is_empty() {
            return Err(PairError::NoName);
        }
        // RFC 5280, section 4.2.1.12: without the extension it is for everything.
        let usage = first.extended_key_usage().map_err(|_| PairError::BrokenCertificate(1))?;
        if usage.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
            return Err(PairError::NotForServers);
        }
        let moment = |seconds: i64| Timestamp::from_seconds(u64::try_from(seconds).unwrap_or(0));
        let (from, until) = (first.validity().not_before.timestamp(), first.validity().not_after.timestamp());
        let lacks_issuer = certificates.len() == 1 && first.issuer().as_raw() != first.subject().as_raw();
        let (from, until) = (moment(from), moment(until));
        drop(certificates);
        let certified = certified(chain, key)?;
        Ok(Self { certified: Arc::new(certified), names, from, until, lacks_issuer })
    }

    /// What a handshake needs.
    pub(super) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// The hosts that the certificate is for.
    #[must_use]
    pub fn names(&self) -> &[HostPattern] {
        &self.names
    }

    /// Whether the certificate is for this host.
    #[must_use]
    pub fn covers(&self, host: &Host) -> bool {
        self.names.iter().any(|name| name.covers(host))
    }

    /// Whether the certificate is for all hosts that a pattern means.
    #[must_use]
    pub fn covers_all(&self, hosts: &HostPattern) -> bool {
        hosts.one().map_or_else(|| self.names.contains(hosts), |host| self.covers(host))
    }

    /// When it begins to be valid.
    #[must_use]
    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// When it ends to be valid.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Where it stands in its time. It should have been renewed 14 days before its end; one that lives for less than
    /// 56 days, when a quarter of its life is left.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Age {
        let soon = SOON.min(self.until.since(self.from) / 4);
        if self.until <= now {
            Age::Expired
        } else if self.until <= now.plus(soon) {
            Age::EndsSoon
        } else if now < self.from {
            Age::Early
        } else {
            Age::Good
        }
    }

    /// Whether it stands alone although another signed it. Browsers know authorities, and rarely what stands between.
    #[must_use]
    pub fn lacks_issuer(&self) -> bool {
        self.lacks_issuer
    }

    /// Its names, for people and logs.
    #[must_use]
    pub fn title(&self) -> String {
        let names: Vec<_> = self.names.iter().map(ToString::to_string).collect();
        names.join(" ")
    }
}

/// Without the key.
impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("names", &self.title()).field("until", &self.until).finish_non_exhaustive()
    }
}

fn whole(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, certificate)| certificate)
}

/// RFC 9525, section 2: the subject alternative names, and never the common name.
fn names(certificate: &X509Certificate<'_>) -> Vec<HostPattern> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    extension.value.general_names.iter().filter_map(name).collect()
}

/// A name that a browser can ask for; others may stand there too.
fn name(general: &GeneralName<'_>) -> Option<HostPattern> {
    if let GeneralName::DNSName(name) = general {
        return HostPattern::parse(name).ok();
    }
    let GeneralName::IPAddress(octets) = general else { return None };
    let text = match <[u8; 4]>::try_from(*octets) {
        Ok(four) => Ipv4Addr::from(four).to_string(),
        Err(_) => format!("[{}]", Ipv6Addr::from(<[u8; 16]>::try_from(*octets).ok()?)),
    };
    HostPattern::parse(&text).ok()
}

fn certified(chain: Vec<CertificateDer<'static>>, key: &[u8]) -> Result<CertifiedKey, PairError> {
    let is_locked = || key.windows(LOCKED.len()).any(|window| window == LOCKED);
    let mut der = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| if is_locked() { PairError::LockedKey } else { PairError::NoKey })?;
    let signer = any_supported_type(&der).map_err(|_| PairError::KeyKind);
    der.zeroize();
    let certified = CertifiedKey::new(chain, signer?);
    certified.keys_match().map_err(|_| PairError::Mismatch)?;
    Ok(certified)
}

/// Of PKCS #8 with a password, and of the older form of OpenSSL's.
const LOCKED: &[u8] = b"ENCRYPTED";

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        PKCS_ED25519, PKCS_RSA_SHA256, date_time_ymd,
    };

    /// Chain and key in PEM, by no authority.
    pub(in crate::tls) fn made_for(names: &[&str]) -> (String, String) {
        signed(params(names))
    }

    pub(in crate::tls) fn params(names: &[&str]) -> CertificateParams {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
        params
    }

    pub(in crate::tls) fn signed(params: CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn read(chain: &str, key: &str) -> Result<Pair, PairError> {
        Pair::from_pem(chain.as_bytes(), key.as_bytes())
    }

    fn host(text: &str) -> Host {
        Host::parse(text).unwrap()
    }

    #[test]
    fn a_pair_knows_its_names_and_its_times() {
        let (chain, key) = made_for(&["Library.school.example", "*.apps.school.example", "192.0.2.7", "2001:db8::7"]);
        let pair = read(&chain, &key).unwrap();
        for name in ["library.school.example", "LIBRARY.school.example:8443", "a.apps.school.example", "192.0.2.7"] {
            assert!(pair.covers(&host(name)), "{name}");
        }
        assert!(pair.covers(&host("[2001:db8::7]")));
        for name in ["school.example", "apps.school.example", "a.b.apps.school.example", "192.0.2.8"] {
            assert!(!pair.covers(&host(name)), "{name}");
        }
        let all = |text: &str| pair.covers_all(&HostPattern::parse(text).unwrap());
        assert!(all("*.apps.school.example") && all("x.apps.school.example") && !all("*.school.example"));
        assert_eq!(pair.from(), Timestamp::parse("2026-01-01T00:00:00Z").unwrap());
        assert_eq!(pair.until(), Timestamp::parse("2027-01-01T00:00:00Z").unwrap());
        assert!(!pair.lacks_issuer());
    }

    #[test]
    fn a_pair_is_old_two_weeks_before_its_end_and_one_for_some_days_later() {
        let at = |day: u8, month: u8| Timestamp::parse(&format!("2026-{month:02}-{day:02}T00:00:00Z")).unwrap();
        let pair = |until: (u8, u8)| {
            let mut params = params(&["a.school.example"]);
            params.not_before = date_time_ymd(2026, 3, 1);
            params.not_after = date_time_ymd(2026, until.1, until.0);
            let (chain, key) = signed(params);
            read(&chain, &key).unwrap()
        };
        let second = |moment: Timestamp| Timestamp::from_seconds(moment.seconds() - 1);
        let long = pair((30, 6));
        assert_eq!(long.age(second(at(1, 3))), Age::Early);
        assert_eq!(long.age(at(1, 3)), Age::Good);
        assert_eq!(long.age(second(at(16, 6))), Age::Good);
        assert_eq!(long.age(at(16, 6)), Age::EndsSoon);
        assert_eq!(long.age(second(at(30, 6))), Age::EndsSoon);
        assert_eq!(long.age(at(30, 6)), Age::Expired);
        // Eight days: some authorities give no more.
        let short = pair((9, 3));
        assert_eq!(short.age(second(at(7, 3))), Age::Good);
        assert_eq!(short.age(at(7, 3)), Age::EndsSoon);
    }

    #[test]
    fn the_chain_stands_in_its_order_and_one_that_ends_early_is_noticed() {
        let (one, other) = (authority("One"), authority("Other"));
        let key = KeyPair::generate().unwrap();
        let leaf = params(&["a.school.example"]).signed_by(&key, &one).unwrap().pem();
        let key = key.serialize_pem();
        assert!(!read(&format!("{leaf}{}", one.pem()), &key).unwrap().lacks_issuer());
        assert!(read(&leaf, &key).unwrap().lacks_issuer());
        assert!(matches!(read(&format!("{leaf}{}", other.pem()), &key), Err(PairError::Order(2))));
        assert!(matches!(read(&format!("{leaf}{}{}", one.pem(), other.pem()), &key), Err(PairError::Order(3))));
        assert!(read(&format!("{}{leaf}", one.pem()), &key).is_err());
    }

    #[test]
    fn every_kind_of_key_that_browsers_know_is_taken() {
        for kind in [&PKCS_ED25519, &rcgen::PKCS_ECDSA_P384_SHA384, &PKCS_RSA_SHA256] {
            let key = KeyPair::generate_for(kind).unwrap();
            let chain = params(&["a.school.example"]).self_signed(&key).unwrap().pem();
            assert!(read(&chain, &key.serialize_pem()).is_ok());
            // In one file, as some keep it.
            let both = format!("{}{chain}", key.serialize_pem());
            assert!(read(&both, &both).is_ok());
        }
    }

    #[test]
    fn what_is_no_pair_is_refused_with_its_reason() {
        let (chain, key) = made_for(&["a.school.example"]);
        let (_, others_key) = made_for(&["a.school.example"]);
        let nameless = signed(params(&[]));
        let of_a_client = signed({
            let mut params = params(&["a.school.example"]);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params
        });
        let broken = "-----BEGIN CERTIFICATE-----\nMTIz\n-----END CERTIFICATE-----\n";
        let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let strange = "-----BEGIN PRIVATE KEY-----\nMTIz\n-----END PRIVATE KEY-----\n";
        for (chain, key, expected, of_the_key) in [
            ("", &*key, "holds no certificate", false),
            (&*key, &key, "holds no certificate", false),
            (broken, &key, "number 1", false),
            (&format!("{chain}{broken}"), &key, "number 2", false),
            (&nameless.0, &nameless.1, "no subject alternative name", false),
            (&of_a_client.0, &of_a_client.1, "not for servers", false),
            (&chain, "", "holds no private key", true),
            (&chain, &chain, "holds no private key", true),
            (&chain, &locked, "locked with a password", true),
            (&chain, strange, "of a kind", true),
            (&chain, &others_key, "does not belong", true),
        ] {
            let error = read(chain, key).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.is_of_the_key(), of_the_key, "{error}");
        }
        let pair = read(&chain, &key).unwrap();
        assert!(!format!("{pair:?}").contains("key"), "{pair:?}");
    }
}
