//! The section `[server.tls.acme]`.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use url::Url;
use zeroize::Zeroizing;

use super::{
    app::AppAt,
    key_file,
    report::{Fault, Place, Report},
    section::Section,
    surroundings::Surroundings,
    tls::Tls,
};
use crate::{
    acme::{ExternalAccount, Settings},
    web::Host,
};

/// Let's Encrypt.
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// The folder below `state_dir`.
const FOLDER: &str = "acme";

/// What the section says.
#[derive(Debug)]
pub(super) struct Acme {
    directory_url: String,
    contact: Vec<String>,
    ca_file: Option<PathBuf>,
    external_account: Option<ExternalAccount>,
}

/// Reads the section; `None` when there is none.
pub(super) fn read(mut section: Section<'_>, report: &Report<'_>, surroundings: &Surroundings<'_>) -> Option<Acme> {
    let agreed = section.flag("terms_of_service_agreed");
    let directory_url = section.parsed("directory_url", &format!("{DIRECTORY:?}"), directory);
    let mail = r#"["admin@school.example"]"#;
    let contact = section.texts("contact", mail).map_or_else(Vec::new, |list| list.value);
    let contact = contact.into_iter().filter_map(|text| section.parse(text, address)).map(|entry| entry.value);
    let contact: Vec<_> = contact.collect();
    let ca_file =
        section.parsed("ca_file", r#""/etc/schoolgate/acme-ca.pem""#, |text| authority(&surroundings.path(text)?));
    let key_id = section.text("external_account_key_id", r#""kid-1""#);
    let key = section.parsed("external_account_key_file", r#""$CREDENTIALS_DIRECTORY/acme.key""#, |text| {
        binding(&surroundings.path(text)?)
    });
    let external_account = match (key_id, key) {
        (Some(key_id), Some(key)) => Some(ExternalAccount { key_id: key_id.value.to_owned(), key: key.value }),
        (None, None) => None,
        (Some(alone), None) => {
            alone_is_nothing(&alone.place, "external_account_key_file", report);
            None
        }
        (None, Some(alone)) => {
            alone_is_nothing(&alone.place, "external_account_key_id", report);
            None
        }
    };
    if !section.is_there() {
        return None;
    }
    let cure = "read the terms of the authority, and write terms_of_service_agreed = true";
    match agreed {
        Some(agreed) if !agreed.value => {
            report.problem(&agreed.place, "does not agree, so nothing can be ordered", cure)
        }
        Some(_) => {}
        None => {
            let place =
                Place { key: format!("{}.terms_of_service_agreed", section.place().key), ..section.place().clone() };
            if section.value("terms_of_service_agreed").is_none() {
                report.missing(&place, "is missing", cure);
            }
        }
    }
    section.finish();
    let directory_url = directory_url.map_or_else(|| DIRECTORY.to_owned(), |entry| entry.value);
    Some(Acme { directory_url, contact, ca_file: ca_file.map(|entry| entry.value), external_account })
}

fn alone_is_nothing(place: &Place, other: &str, report: &Report<'_>) {
    // A key that is there and wrong has been told.
    if report.is_clean() {
        report.problem(place, format!("has no {other} beside it"), format!("add {other}, or remove this line"));
    }
}

impl Acme {
    pub(super) fn settings(&self, names: Vec<Host>, state_dir: &Path, has_plain_http: bool) -> Settings {
        Settings {
            directory_url: self.directory_url.clone(),
            contact: self.contact.clone(),
            ca_file: self.ca_file.clone(),
            external_account: self.external_account.clone(),
            names,
            folder: state_dir.join(FOLDER),
            has_plain_http,
        }
    }

    /// What no authority gives a certificate for in this way.
    pub(super) fn check(&self, tls: &Tls, apps: &[AppAt], report: &Report<'_>) {
        for host in apps.iter().filter_map(|app| app.host.as_ref()).filter(|host| !tls.covers(&host.value)) {
            let cure = "name a certificate for it in [[server.tls.certificate]]";
            match host.value.one() {
                None => report.problem(
                    &host.place,
                    "is a wildcard, and [server.tls.acme] cannot order a certificate for one: that takes a proof in the DNS",
                    cure,
                ),
                Some(one) if one.is_local() || one.name().ends_with(|last: char| last.is_ascii_digit() || last == ']') => {
                    report.problem(&host.place, "is no name that an authority gives a certificate for", cure);
                }
                Some(_) => {}
            }
        }
    }
}

fn directory(text: &str) -> Result<String, Fault> {
    let cure = format!("write the URL of the authority's directory, such as {DIRECTORY:?}");
    let url = Url::parse(text).map_err(|_| Fault::new("is not a URL", cure.clone()))?;
    match url.scheme() == "https" && url.has_host() {
        true => Ok(text.to_owned()),
        false => Err(Fault::new("is not an https URL", cure)),
    }
}

fn address(text: &str) -> Result<String, Fault> {
    let address = text.strip_prefix("mailto:").unwrap_or(text);
    let fine = address.split_once('@').is_some_and(|(name, host)| !name.is_empty() && Host::parse(host).is_ok());
    if !fine || !address.is_ascii() || address.contains([' ', '?', ',']) {
        return Err(Fault::new("is no address of electronic mail", "write one, such as \"admin@school.example\""));
    }
    Ok(format!("mailto:{address}"))
}

fn authority(path: &Path) -> Result<PathBuf, Fault> {
    use rustls_pki_types::{CertificateDer, pem::PemObject};
    let text = std::fs::read(path).map_err(|why| key_file::cannot_read(path, &why))?;
    let cure = "put the certificate of the authority there in PEM, as -----BEGIN CERTIFICATE-----";
    match CertificateDer::from_pem_slice(&text) {
        Ok(_) => Ok(path.to_owned()),
        Err(_) => Err(Fault::new(format!("holds no certificate: {}", path.display()), cure)),
    }
}

/// The key of an external account, in base64url as authorities show it.
fn binding(path: &Path) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let file = key_file::read(path)?;
    let decoded = URL_SAFE_NO_PAD.decode(file.text.trim().trim_end_matches('=')).ok().filter(|key| !key.is_empty());
    let cure = "put the HMAC key there as the authority shows it";
    decoded
        .map(Zeroizing::new)
        .ok_or_else(|| Fault::new(format!("holds no key in base64url: {}", path.display()), cure))
}
