//! The fields of a head, whoever has read it: the guard, pingora, or [`super::straight`]. What the gateway asks of a request
//! and changes in an answer, it asks and changes in one way.

use http::{HeaderName, HeaderValue, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};

use super::wire::Head;

/// The fields of a head.
pub(super) trait Fields: Sync {
    /// The values of a field, one for each line, in their order.
    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]>;

    /// The first value of a field, when it is visible ASCII.
    fn text<'a>(&'a self, name: &'a HeaderName) -> Option<&'a str> {
        self.values(name).next().and_then(visible)
    }

    /// The elements of a comma-separated list, over all fields of this name (RFC 9110, section 5.6.1).
    fn listed<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a str> {
        let values = self.values(name).filter_map(visible);
        values.flat_map(|value| value.split(',')).map(str::trim).filter(|element| !element.is_empty())
    }
}

/// The head of an app's answer, to be changed.
pub(super) trait AnswerFields: Fields {
    /// The status.
    fn status(&self) -> StatusCode;

    /// The names of all fields, in any letter case.
    fn names(&self) -> impl Iterator<Item = &str>;

    /// Takes away all fields of a name.
    fn remove(&mut self, name: &HeaderName);

    /// Adds a field.
    ///
    /// # Errors
    /// When it cannot be added.
    fn append(&mut self, name: HeaderName, value: HeaderValue) -> pingora::Result<()>;

    /// Puts a field in the place of all of its name.
    ///
    /// # Errors
    /// When it cannot be added.
    fn insert(&mut self, name: HeaderName, value: HeaderValue) -> pingora::Result<()> {
        self.remove(&name);
        self.append(name, value)
    }
}

/// Visible ASCII, blanks and tabs.
fn visible(value: &[u8]) -> Option<&str> {
    let fine = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    std::str::from_utf8(value).ok().filter(|_| fine)
}

impl Fields for Head {
    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.field(name.as_str())
    }
}

impl Fields for RequestHeader {
    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.headers.get_all(name).iter().map(HeaderValue::as_bytes)
    }
}

impl Fields for ResponseHeader {
    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.headers.get_all(name).iter().map(HeaderValue::as_bytes)
    }
}

impl AnswerFields for ResponseHeader {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.headers.keys().map(HeaderName::as_str)
    }

    fn remove(&mut self, name: &HeaderName) {
        self.remove_header(name);
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) -> pingora::Result<()> {
        self.append_header(name, value).map(drop)
    }

    fn insert(&mut self, name: HeaderName, value: HeaderValue) -> pingora::Result<()> {
        self.insert_header(name, value)
    }
}
