//! Which certificate a browser gets.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{
    Pair,
    challenges::{self, Challenges},
};
use crate::{
    clock::Timestamp,
    web::{Host, HostPattern},
};

/// All pairs in use. They are changed whole; a connection keeps the one that it began with.
#[derive(Debug)]
pub struct Certificates {
    table: ArcSwap<Table>,
    challenges: Challenges,
}

/// When a certificate ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The names that it is for, with blanks between them.
    pub names: String,
    /// The end.
    pub until: Timestamp,
}

#[derive(Debug, Default)]
struct Table {
    /// In their order; the first is for whoever asks for no name, or for one that nobody knows.
    pairs: Vec<Arc<Pair>>,
    by_name: HashMap<Host, Vec<Arc<Pair>>>,
    /// By the name below which a wildcard stands.
    below: HashMap<Host, Vec<Arc<Pair>>>,
}

impl Certificates {
    /// The first pair is for whoever asks for no name, or for one that nobody knows.
    #[must_use]
    pub fn new(pairs: Vec<Arc<Pair>>) -> Self {
        Self { table: ArcSwap::from_pointee(Table::new(pairs)), challenges: Challenges::default() }
    }

    /// Puts others in their place, all at once.
    pub fn replace(&self, pairs: Vec<Arc<Pair>>) {
        self.table.store(Arc::new(Table::new(pairs)));
    }

    /// What an authority is answered that asks whether a name is ours.
    #[must_use]
    pub fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    /// When each of them ends.
    #[must_use]
    pub fn expiries(&self) -> Vec<Expiry> {
        let of = |pair: &Arc<Pair>| Expiry { names: pair.title(), until: pair.until() };
        self.table.load().pairs.iter().map(of).collect()
    }

    /// The pair for a name that a browser asks for, if it asks for one; `fits` says whether the browser can verify
    /// a pair's signatures. There may be two for one name, with keys of two kinds.
    pub(super) fn pick(&self, name: Option<&str>, fits: impl Fn(&Pair) -> bool) -> Option<Arc<Pair>> {
        let table = self.table.load();
        let candidates = table.candidates(name);
        candidates.iter().find(|pair| fits(pair)).or(candidates.first()).cloned()
    }
}

impl Table {
    fn new(pairs: Vec<Arc<Pair>>) -> Self {
        let mut table = Self::default();
        for pair in &pairs {
            for name in pair.names() {
                let (map, host) = match name {
                    HostPattern::One(host) => (&mut table.by_name, host),
                    HostPattern::Below(parent) => (&mut table.below, parent),
                };
                map.entry(host.clone()).or_default().push(Arc::clone(pair));
            }
        }
        Self { pairs, ..table }
    }

    /// The name itself, then a wildcard one label above it, then the first of all.
    fn candidates(&self, name: Option<&str>) -> &[Arc<Pair>] {
        let host = name.and_then(|name| Host::parse(name).ok());
        let by_name = host.as_ref().and_then(|host| self.by_name.get(host));
        let below = || host.as_ref().and_then(|host| self.below.get(host.parent()?));
        by_name.or_else(below).map_or(self.pairs.get(..1).unwrap_or_default(), Vec::as_slice)
    }
}

/// Whether a client that takes these signatures takes the pair's.
pub(super) fn signs(pair: &Pair, offered: &[SignatureScheme]) -> bool {
    pair.certified().key.choose_scheme(offered).is_some()
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // RFC 8737, section 3: an authority offers this protocol and no other. Who offers others as well could speak them.
        if hello.alpn().is_some_and(|offered| offered.eq([challenges::PROTOCOL])) {
            return self.challenges.in_handshake(hello.server_name()?);
        }
        let pair = self.pick(hello.server_name(), |pair| signs(pair, hello.signature_schemes()))?;
        Some(Arc::clone(pair.certified()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::pair::tests::{made_for, params};
    use rcgen::KeyPair;

    fn pair(names: &[&str]) -> Arc<Pair> {
        let (chain, key) = made_for(names);
        Arc::new(Pair::from_pem(chain.as_bytes(), key.as_bytes()).unwrap())
    }

    fn picked(certificates: &Certificates, name: Option<&str>) -> String {
        certificates.pick(name, |_| true).unwrap().title()
    }

    #[test]
    fn a_name_goes_before_a_wildcard_and_that_before_the_first() {
        let certificates = Certificates::new(vec![
            pair(&["first.school.example"]),
            pair(&["*.school.example"]),
            pair(&["library.school.example"]),
        ]);
        for (name, expected) in [
            (Some("library.school.example"), "library.school.example"),
            (Some("LIBRARY.school.example"), "library.school.example"),
            (Some("wiki.school.example"), "*.school.example"),
            (Some("first.school.example"), "first.school.example"),
            (Some("a.wiki.school.example"), "first.school.example"),
            (Some("school.example"), "first.school.example"),
            (Some("elsewhere.example"), "first.school.example"),
            (None, "first.school.example"),
        ] {
            assert_eq!(picked(&certificates, name), expected, "{name:?}");
        }
    }

    #[test]
    fn of_two_for_one_name_a_browser_gets_the_one_that_it_can_verify() {
        let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let chain = params(&["a.school.example"]).self_signed(&ed25519).unwrap().pem();
        let ed25519 = Arc::new(Pair::from_pem(chain.as_bytes(), ed25519.serialize_pem().as_bytes()).unwrap());
        let ecdsa = pair(&["a.school.example"]);
        let certificates = Certificates::new(vec![ed25519.clone(), ecdsa.clone()]);
        let pick = |offered: &[SignatureScheme]| {
            certificates.pick(Some("a.school.example"), |pair| signs(pair, offered)).unwrap()
        };
        assert!(Arc::ptr_eq(&pick(&[SignatureScheme::ECDSA_NISTP256_SHA256]), &ecdsa));
        assert!(Arc::ptr_eq(&pick(&[SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256]), &ed25519));
        assert!(Arc::ptr_eq(&pick(&[]), &ed25519));
    }

    #[test]
    fn they_are_changed_whole_and_there_may_be_none() {
        let certificates = Certificates::new(Vec::new());
        assert!(certificates.pick(None, |_| true).is_none() && certificates.expiries().is_empty());
        certificates.replace(vec![pair(&["a.school.example"])]);
        assert_eq!(picked(&certificates, Some("b.school.example")), "a.school.example");
        let until = Timestamp::parse("2027-01-01T00:00:00Z").unwrap();
        assert_eq!(certificates.expiries(), [Expiry { names: "a.school.example".into(), until }]);
    }
}
