//! Who may ask: programs, and pages of this listener's own; no page of another site in somebody's browser.
//!
//! The listener has no login: whoever reaches its address may use it. A browser on that machine reaches it too, and
//! does what the pages in it say. So what only such a page causes is refused:
//!
//! - a host name in `Host`. A site can let its own name lead to this address (DNS rebinding), and its pages then
//!   count as ours; but an address, or `localhost`, is nobody's to give away. Any port will do: it may have been
//!   forwarded. A unix socket is no safer: with `ssh -L` a port of somebody's machine leads to it. There a name
//!   without a dot will do as well, which programs make up and no site can have.
//! - an `Origin` that is not this listener's: browsers send it with every request of a page that could change
//!   something (<https://fetch.spec.whatwg.org/#origin-header>).
//! - a `Sec-Fetch-Site` that names another site: a link, a picture, a script.

use std::net::Ipv4Addr;

use http::{HeaderName, Version, header, request::Parts};

use super::reply::Refusal;
use crate::web::Host;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// Over TCP, as a browser could.
    Tcp,
    /// Over a unix socket.
    Unix,
}

/// Lets programs in.
pub(super) fn check(head: &Parts, via: Via) -> Result<(), Refusal> {
    let host = named(head, via)?;
    if let Some(origin) = only(head, header::ORIGIN)?
        && !is_own(origin, host.as_ref())
    {
        return Err(Refusal::forbidden("A page of another site asks (Origin). Pages may not; ask with a program."));
    }
    match only(head, HeaderName::from_static("sec-fetch-site"))? {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(Refusal::forbidden(
            "A page of another site leads here (Sec-Fetch-Site). Write the address into the address bar, or ask with \
             a program.",
        )),
    }
}

/// The host by which the listener was asked, when it is one that nobody else can have.
fn named(head: &Parts, via: Via) -> Result<Option<Host>, Refusal> {
    let Some(text) = only(head, header::HOST)? else {
        // Browsers always send one (RFC 9112, section 3.2). Health checks that speak HTTP/1.0 do not, nor do programs
        // that ask a socket without a name.
        return match (head.version, via) {
            (Version::HTTP_10, _) | (_, Via::Unix) => Ok(None),
            (_, Via::Tcp) => Err(Refusal::bad("The request has no Host.")),
        };
    };
    // The authority of an absolute target counts for Host (RFC 9112, section 3.2.2): none may be a name.
    for text in [Some(text), head.uri.authority().map(http::uri::Authority::as_str)].into_iter().flatten() {
        let host = Host::parse(text).map_err(|why| Refusal::bad(format!("The Host {why}.")))?;
        let is_made_up = via == Via::Unix && is_made_up(host.name());
        if !is_made_up && !is_nobody_elses(&host) {
            return Err(Refusal::forbidden(
                "Host is a name that a site could have let lead here. Ask by IP address, or as localhost.",
            ));
        }
    }
    Ok(Host::parse(text).ok())
}

/// Programs that ask a socket make up a name. No site has one without a dot, and a browser takes one that begins with a
/// digit for an address.
fn is_made_up(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic()) && !name.contains('.')
}

fn is_nobody_elses(host: &Host) -> bool {
    // `Host` takes brackets around an IPv6 address only.
    host.name() == "localhost" || host.name().starts_with('[') || host.name().parse::<Ipv4Addr>().is_ok()
}

fn is_own(origin: &str, host: Option<&Host>) -> bool {
    let (Some(own), Some(theirs)) = (host, origin.strip_prefix("http://")) else { return false };
    let Ok(theirs) = Host::parse(theirs) else { return false };
    theirs == *own && theirs.port().unwrap_or(80) == own.port().unwrap_or(80)
}

/// The value of a header that may stand once, as text.
fn only(head: &Parts, name: HeaderName) -> Result<Option<&str>, Refusal> {
    let mut values = head.headers.get_all(&name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str() {
        Ok(text) if values.next().is_none() => Ok(Some(text)),
        Ok(_) | Err(_) => Err(Refusal::bad(format!("The header {name} is repeated or unreadable."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, StatusCode};

    fn checked(via: Via, target: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        check(&head, via).err().map(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn an_address_or_localhost_is_asked_and_no_other_name() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:9180",
            "localhost",
            "LOCALHOST:1234",
            "localhost.",
            "[::1]:9180",
            "10.0.0.5:9180",
            "0.0.0.0",
        ] {
            assert_eq!(checked(Via::Tcp, "/", &[("host", host)]), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9180",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evil.localhost",
            "127.1",
            "0x7f000001",
            "2130706433",
        ] {
            for via in [Via::Tcp, Via::Unix] {
                assert_eq!(checked(via, "/", &[("host", host)]), Some(403), "{host}");
            }
        }
        for host in ["", "::1", "a b", "127.0.0.1:x", "127.0.0.1, evil.example", "user@127.0.0.1"] {
            for via in [Via::Tcp, Via::Unix] {
                assert_eq!(checked(via, "/", &[("host", host)]), Some(400), "{host}");
            }
        }
    }

    #[test]
    fn a_host_that_is_missing_repeated_or_contradicted_by_the_target_is_refused() {
        assert_eq!(checked(Via::Tcp, "/", &[]), Some(400));
        assert_eq!(checked(Via::Tcp, "/", &[("host", "localhost"), ("host", "evil.example")]), Some(400));
        assert_eq!(checked(Via::Tcp, "http://evil.example/sessions", &[("host", "localhost")]), Some(403));
        assert_eq!(checked(Via::Tcp, "http://localhost/sessions", &[("host", "evil.example")]), Some(403));
        assert_eq!(checked(Via::Unix, "/", &[]), None);
        assert_eq!(checked(Via::Unix, "/", &[("host", "schoolgate")]), None);
        assert_eq!(checked(Via::Tcp, "/", &[("host", "schoolgate")]), Some(403));
        assert_eq!(checked(Via::Unix, "/", &[("host", "evil.example")]), Some(403));
        let (head, ()) = Request::get("/livez").version(Version::HTTP_10).body(()).unwrap().into_parts();
        assert_eq!(check(&head, Via::Tcp), Ok(()));
    }

    #[test]
    fn a_page_of_another_origin_is_refused_over_either_kind_of_socket() {
        for via in [Via::Tcp, Via::Unix] {
            let own = [("host", "127.0.0.1:9180"), ("origin", "http://127.0.0.1:9180")];
            assert_eq!(checked(via, "/", &own), None);
            for origin in [
                "https://evil.example",
                "http://127.0.0.1",
                "http://127.0.0.1:3000",
                "https://127.0.0.1:9180",
                "http://localhost:9180",
                "null",
                "",
            ] {
                let headers = [("host", "127.0.0.1:9180"), ("origin", origin)];
                assert_eq!(checked(via, "/", &headers), Some(403), "{origin}");
            }
            let twice = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://evil.example")];
            assert_eq!(checked(via, "/", &twice), Some(400));
        }
    }

    #[test]
    fn what_another_site_leads_to_is_refused() {
        for (site, expected) in [
            ("none", None),
            ("same-origin", None),
            ("same-site", Some(403)),
            ("cross-site", Some(403)),
            ("", Some(403)),
            ("None", Some(403)),
        ] {
            for via in [Via::Tcp, Via::Unix] {
                let headers = [("host", "localhost:9180"), ("sec-fetch-site", site)];
                assert_eq!(checked(via, "/", &headers), expected, "{site}");
            }
        }
        assert_eq!(Refusal::forbidden("").status, StatusCode::FORBIDDEN);
    }
}
