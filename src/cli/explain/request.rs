//! A method and a URL, read as the gateway reads them.

use http::Method;

use super::Arguments;
use crate::web::{Host, Target, TargetError};

/// A request as the gateway would get it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) scheme: String,
    pub(super) host: Host,
    pub(super) target: Result<Target, TargetError>,
}

impl Request {
    pub(super) fn read(arguments: &Arguments) -> Result<Self, String> {
        let (text, url) = (&arguments.method, &arguments.url);
        let method = Method::from_bytes(text.as_bytes())
            .map_err(|_| format!("\"{text}\" is no method; write one in capitals, such as GET"))?;
        if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            let capital = text.to_ascii_uppercase();
            return Err(format!("\"{text}\" is not in capitals, and methods are told apart by case; write {capital}"));
        }
        let whole = "write the whole URL, such as https://library.school.example/admin";
        let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("\"{url}\" is no URL; {whole}"))?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(&*scheme, "http" | "https") {
            return Err(format!("\"{url}\" is neither http nor https; {whole}"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let host = Host::parse(&rest[..end]).map_err(|why| format!("the host \"{}\" {why}; {whole}", &rest[..end]))?;
        let target = Target::parse(url, &host);
        Ok(Self { method, scheme, host, target })
    }
}
