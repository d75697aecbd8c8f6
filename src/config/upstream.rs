//! Where an app listens: `upstream`, `upstream_ca_file` and `health_path`.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{
    address, key_file,
    report::{Entry, Fault, Report},
    section::Section,
    surroundings::Surroundings,
};
use crate::{
    policy::{Authorities, Upstream},
    proxy,
    web::{Scheme, Target},
};

/// Largest file of certificates that is read: all authorities of a system are a quarter of this.
const LARGEST: u64 = 1 << 20;

/// What an app says about its upstreams.
#[derive(Debug)]
pub(super) struct UpstreamsAt {
    /// Each with its place; `None` when something was wrong.
    pub(super) list: Option<Vec<Entry<Upstream>>>,
    pub(super) authorities: Option<Authorities>,
    pub(super) health_path: Option<Target>,
}

/// Reads the three keys.
pub(super) fn read(section: &mut Section<'_>, report: &Report<'_>, surroundings: &Surroundings<'_>) -> UpstreamsAt {
    let list = list(section, report);
    let file = section
        .parsed("upstream_ca_file", r#""/etc/schoolgate/apps-ca.pem""#, |text| authorities(&surroundings.path(text)?));
    let health_path = section.parsed("health_path", r#""/""#, health_path);
    if let Some(list) = &list {
        agree(list, file.as_ref(), health_path.as_ref(), report);
    }
    UpstreamsAt { list, authorities: file.map(|file| file.value), health_path: health_path.map(|path| path.value) }
}

fn list(section: &mut Section<'_>, report: &Report<'_>) -> Option<Vec<Entry<Upstream>>> {
    let example = r#""http://127.0.0.1:9000""#;
    if section.value("upstream").is_none() {
        // Says that it is missing.
        section.required("upstream", example);
        return None;
    }
    let texts = section.one_or_more("upstream", example)?;
    if texts.value.is_empty() {
        report.problem(&texts.place, "is empty", format!("write upstream = {example}"));
        return None;
    }
    let count = texts.value.len();
    let mut list: Vec<Entry<Upstream>> = Vec::new();
    for text in texts.value {
        let Some(one) = section.parse(text, address::upstream) else { continue };
        if list.iter().any(|other| other.value == one.value) {
            report.problem(&one.place, "is in this list twice", "remove one: each gets the same share of requests");
        } else {
            list.push(one);
        }
    }
    // A list with a wrong item is not a shorter list.
    (list.len() == count).then_some(list)
}

/// Keys that do nothing, or not what they seem to.
fn agree(
    list: &[Entry<Upstream>],
    file: Option<&Entry<Authorities>>,
    health_path: Option<&Entry<Target>>,
    report: &Report<'_>,
) {
    let plain = |one: &&Entry<Upstream>| one.value.scheme == Scheme::Http;
    match (list.iter().find(plain), list.iter().any(|one| !plain(&one))) {
        (Some(one), true) => {
            report.warn(&one.place, "this upstream is not encrypted, although others of the app are: write https://");
        }
        (_, false) => {
            if let Some(file) = file {
                let cure = "write https:// in upstream, or remove upstream_ca_file";
                report.problem(&file.place, "vouches for nobody, because no upstream is https", cure);
            }
        }
        (None, true) => {}
    }
    if let Some(path) = health_path.filter(|_| list.len() == 1) {
        report
            .note(&path.place, "health_path has no effect: an app with one upstream is not asked, every request tries");
    }
}

fn health_path(text: &str) -> Result<Target, Fault> {
    let cure = "write a path of the app that answers without a sign-in of its own, such as \"/\" or \"/health\"";
    if !text.starts_with('/') {
        return Err(Fault::new("does not begin with a slash", cure));
    }
    Target::parse_origin_form(text).map_err(|why| Fault::new(format!("is no path to ask for: {why}"), cure))
}

/// The certificates of a file in PEM, each of which pingora and rustls can read.
fn authorities(path: &Path) -> Result<Authorities, Fault> {
    let shown = path.display();
    let text = bytes(path)?;
    let cure = "put the certificate of the authority there in PEM, as -----BEGIN CERTIFICATE-----";
    let mut certificates = Vec::new();
    for (number, found) in (1..).zip(CertificateDer::pem_slice_iter(&text)) {
        let der = found.map(|der| der.to_vec()).ok().filter(|der| proxy::is_authority(der));
        let broken = || Fault::new(format!("has a certificate that cannot be read, number {number}: {shown}"), cure);
        certificates.push(der.ok_or_else(broken)?);
    }
    if certificates.is_empty() {
        return Err(Fault::new(format!("holds no certificate: {shown}"), cure));
    }
    Ok(Authorities { certificates })
}

fn bytes(path: &Path) -> Result<Vec<u8>, Fault> {
    let unreadable = |error: io::Error| key_file::cannot_read(path, &error);
    let file = File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(Fault::new(format!("is not a file: {}", path.display()), "write the path of the file itself"));
    }
    let mut text = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LARGEST {
        return Err(Fault::new(format!("is larger than 1 MiB: {}", path.display()), "check the path"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn certificate() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem()
    }

    fn read(content: impl AsRef<[u8]>) -> Result<usize, Fault> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        fs::write(&path, content).unwrap();
        authorities(&path).map(|found| found.certificates.len())
    }

    #[test]
    fn one_certificate_or_several_are_read_whatever_stands_between_them() {
        assert_eq!(read(certificate()).unwrap(), 1);
        assert_eq!(read(format!("Subject: CN=x\n{}\n# the old one\n{}", certificate(), certificate())).unwrap(), 2);
    }

    #[test]
    fn a_file_without_a_certificate_or_with_a_broken_one_is_refused_and_named() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        for (content, message) in [
            (String::new(), "holds no certificate: /"),
            ("nonsense".to_owned(), "holds no certificate: /"),
            (key, "holds no certificate: /"),
            (certificate() + "-----BEGIN CERTIFICATE-----\nMTIz\n-----END CERTIFICATE-----\n", "number 2: /"),
            (certificate().replace('M', "%"), "number 1: /"),
            (certificate() + &" ".repeat(1 << 20), "is larger than 1 MiB: /"),
        ] {
            let fault = read(&content).unwrap_err();
            assert!(fault.message.contains(message), "{}", fault.message);
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(authorities(&folder.path().join("none")).unwrap_err().message.starts_with("is not there"));
        assert!(authorities(folder.path()).unwrap_err().message.starts_with("is not a file"));
    }

    #[test]
    fn a_health_path_is_what_a_browser_could_ask_for() {
        for text in ["/", "/health", "/health?full=1"] {
            assert_eq!(health_path(text).unwrap().to_origin_form(), text);
        }
        for text in ["", "health", "http://a/", "/a b", "/../x", "/a#b", "/a\r\nX: y"] {
            assert!(health_path(text).is_err(), "{text:?}");
        }
    }
}
