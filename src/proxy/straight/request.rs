//! A request as an app gets it, written from the head that was judged.

use crate::{
    policy::App,
    proxy::{
        exchange::Facts,
        forwarding::{self, is_stripped},
        prepared::Header,
        wire::Head,
    },
    web::Scheme,
};

/// Fields of one hop (RFC 9110, section 7.6.1), and those that are written anew.
const NOT_COPIED: [&str; 12] = [
    "host",
    "cookie",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// What the gateway says of a request.
pub(super) struct FromGateway<'a, I> {
    pub(super) host: &'a str,
    /// The cookies that the app may have.
    pub(super) cookies: Option<Vec<u8>>,
    pub(super) facts: &'a Facts,
    pub(super) scheme: Scheme,
    pub(super) span_id: &'a str,
    pub(super) identity: I,
}

/// The bytes for the app: what clients may say, as they said it, and what the gateway says.
pub(super) fn to_bytes<'a>(head: &Head, app: &App, told: FromGateway<'a, impl Iterator<Item = &'a Header>>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(head.text().len() + 1024);
    bytes.extend_from_slice(head.request_line());
    let mut add = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    };
    add("Host", told.host.as_bytes());
    for (name, value) in head.fields() {
        if !NOT_COPIED.iter().any(|other| other.eq_ignore_ascii_case(name)) && !is_stripped(app, name) {
            add(name, value);
        }
    }
    if let Some(cookies) = &told.cookies {
        add("Cookie", cookies);
    }
    let describe = forwarding::describe(told.facts, told.scheme, told.span_id, |name, value| {
        add(name, value.as_bytes());
        Ok::<_, std::convert::Infallible>(())
    });
    let Ok(()) = describe;
    for (name, value) in told.identity {
        add(name.as_str(), value.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}
