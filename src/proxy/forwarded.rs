//! What trusted proxies tell about a request that they pass on: `X-Forwarded-For`, `-Proto`, `-Host`.
//!
//! Only the exact names count, and only from who is listed. An alias such as `X_Forwarded_For`, and `Forwarded`
//! (RFC 7239), is believed from nobody: a proxy that sets the one may well pass on its client's other.

use std::net::{IpAddr, SocketAddr};

use super::{TrustedProxies, wire::Head};
use crate::web::{Host, HostError, Scheme};

/// Most proxies that one request may have come through.
const MOST_HOPS: usize = 32;

/// How a request came here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Forwarded {
    /// The nearest address that is no trusted proxy, or the last one that a trusted proxy vouches for.
    pub(super) client: IpAddr,
    /// The proxies between it and us, the nearest last; none when the client connected itself.
    pub(super) hops: Vec<IpAddr>,
    /// The scheme that the nearest proxy saw.
    pub(super) scheme: Option<Scheme>,
    /// The host that the nearest proxy was asked for.
    pub(super) host: Option<Result<Host, HostError>>,
    /// Whether the peer is a trusted proxy.
    pub(super) trusted: bool,
}

impl Forwarded {
    /// A request that came from its peer, whatever it says.
    fn direct(peer: IpAddr) -> Self {
        Self { client: peer.to_canonical(), hops: Vec::new(), scheme: None, host: None, trusted: false }
    }

    /// Reads what the head says, when the peer is listed.
    pub(super) fn read(head: &Head, peer: IpAddr, trusted: &TrustedProxies) -> Self {
        let direct = Self::direct(peer);
        if !trusted.contains(direct.client) {
            return direct;
        }
        let (client, hops) = client(direct.client, trusted, head.field("x-forwarded-for"));
        let scheme = last(head.field("x-forwarded-proto")).and_then(scheme);
        let host = last(head.field("x-forwarded-host")).map(host);
        Self { client, hops, scheme, host, trusted: true }
    }
}

/// Walks from the nearest proxy away from us as long as one trusted proxy vouches for the next. Who is not
/// trusted is the client: what stands left of it is its own invention.
fn client<'a>(peer: IpAddr, trusted: &TrustedProxies, lines: impl Iterator<Item = &'a [u8]>) -> (IpAddr, Vec<IpAddr>) {
    let (mut client, mut hops) = (peer, Vec::new());
    // RFC 9110, section 5.2: several field lines are one list. An empty entry is not skipped, as section 5.6.1
    // would have it: it is the place of an address that a proxy did not know, and not of the one to its left.
    let lines: Vec<_> = lines.collect();
    for entry in lines.iter().rev().flat_map(|line| line.split(|byte| *byte == b',').rev()) {
        let Some(next) = address(entry).filter(|_| trusted.contains(client) && hops.len() < MOST_HOPS) else { break };
        hops.push(client);
        client = next;
    }
    hops.reverse();
    (client, hops)
}

/// An address, with or without a port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    let address = text.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()?;
    Some(address.to_canonical())
}

/// The last value of a list over several lines: the nearest proxy adds at the end.
fn last<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    lines.last()?.rsplit(|byte| *byte == b',').next().map(<[u8]>::trim_ascii)
}

/// RFC 3986, section 3.1: schemes are case-insensitive.
fn scheme(text: &[u8]) -> Option<Scheme> {
    [Scheme::Http, Scheme::Https].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
}

fn host(text: &[u8]) -> Result<Host, HostError> {
    Host::parse(std::str::from_utf8(text).map_err(|_| HostError::Character)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::Network;
    use proptest::prelude::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn listed() -> TrustedProxies {
        TrustedProxies::new(["10.0.0.0/8", "2001:db8:a::/48"].map(|text| Network::parse(text).unwrap()))
    }

    fn read_from(peer: IpAddr, fields: &[(&str, &str)]) -> Forwarded {
        let mut text = String::from("GET / HTTP/1.1\r\nHost: a.example\r\n");
        for (name, value) in fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        Forwarded::read(&Head::parse(text.as_bytes(), 32 << 10).unwrap().unwrap().0, peer, &listed())
    }

    fn read(fields: &[(&str, &str)]) -> Forwarded {
        read_from(PEER, fields)
    }

    /// The client and the hops for one `X-Forwarded-For`.
    fn walked(lines: &[&str]) -> String {
        let fields: Vec<_> = lines.iter().map(|line| ("X-Forwarded-For", *line)).collect();
        let Forwarded { client, hops, .. } = read(&fields);
        [client].iter().chain(&hops).map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_first_address_from_the_right_that_is_no_trusted_proxy_is_the_client() {
        for (line, expected) in [
            ("203.0.113.9", "203.0.113.9 10.0.0.1"),
            ("6.6.6.6, 203.0.113.9", "203.0.113.9 10.0.0.1"),
            ("6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9 10.0.0.2 10.0.0.1"),
            ("10.9.9.9, 203.0.113.9,10.0.0.3 ,\t10.0.0.2", "203.0.113.9 10.0.0.3 10.0.0.2 10.0.0.1"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3 10.0.0.2 10.0.0.1"),
            ("203.0.113.9:4711", "203.0.113.9 10.0.0.1"),
            ("2001:db8::9", "2001:db8::9 10.0.0.1"),
            ("[2001:db8::9]:4711, 2001:db8:a::1", "2001:db8::9 2001:db8:a::1 10.0.0.1"),
            ("::ffff:203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9 10.0.0.2 10.0.0.1"),
        ] {
            assert_eq!(walked(&[line]), expected, "{line}");
        }
    }

    #[test]
    fn cve_2024_47070_an_entry_that_is_no_address_stops_the_walk() {
        for line in [
            "",
            ",",
            "unknown",
            "203.0.113.9, unix:",
            "203.0.113.9,",
            "203.0.113.9 ,, ",
            "for=203.0.113.9",
            "203.0.113.9;x",
            "[2001:db8::9]",
            "203.0.113.009",
            "203.0.113.9:x",
            "0x7f.1",
            "203.0.113.9 203.0.113.9",
            "\"203.0.113.9\"",
            "203.0.113.9/32",
            "library.school.example",
            "\u{661}.1.1.1",
        ] {
            assert_eq!(walked(&[line]), "10.0.0.1", "{line:?}");
        }
        assert_eq!(walked(&["203.0.113.9, -, 10.0.0.2"]), "10.0.0.2 10.0.0.1");
    }

    #[test]
    fn several_lines_are_one_list() {
        assert_eq!(walked(&["6.6.6.6", "203.0.113.9", "10.0.0.2"]), "203.0.113.9 10.0.0.2 10.0.0.1");
        assert_eq!(walked(&["203.0.113.9, 10.0.0.3", "10.0.0.2"]), "203.0.113.9 10.0.0.3 10.0.0.2 10.0.0.1");
        assert_eq!(walked(&["203.0.113.9", ""]), "10.0.0.1");
    }

    #[test]
    fn a_request_may_come_through_so_many_proxies_and_no_more() {
        let line = vec!["10.0.0.2"; 500].join(",");
        assert_eq!(read(&[("X-Forwarded-For", &line)]).hops.len(), MOST_HOPS);
    }

    #[test]
    fn cve_2023_36456_cve_2024_21494_who_is_not_listed_is_the_client_whatever_it_says() {
        let peer = "203.0.113.9".parse().unwrap();
        let said = [("X-Forwarded-For", "10.0.0.2"), ("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "b.example")];
        assert_eq!(read_from(peer, &said), Forwarded::direct(peer));
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(read_from(mapped, &said).client.to_string(), "10.0.0.2");
    }

    #[test]
    fn neither_aliases_nor_forwarded_are_believed() {
        for name in ["X_Forwarded_For", "X.Forwarded.For", "HTTP_X_FORWARDED_FOR", "Forwarded", "X-Real-IP"] {
            let said = read(&[(name, "203.0.113.9"), ("X_Forwarded_Host", "b.example"), ("X_Forwarded_Proto", "http")]);
            assert_eq!(said, Forwarded { trusted: true, ..Forwarded::direct(PEER) }, "{name}");
        }
    }

    #[test]
    fn the_last_scheme_counts_when_it_is_one() {
        let scheme =
            |lines: &[&str]| read(&lines.iter().map(|line| ("X-Forwarded-Proto", *line)).collect::<Vec<_>>()).scheme;
        assert_eq!(scheme(&["http"]), Some(Scheme::Http));
        assert_eq!(scheme(&["http, HTTPS"]), Some(Scheme::Https));
        assert_eq!(scheme(&["https", "http"]), Some(Scheme::Http));
        for odd in ["", "https,", "ftp", "https://", "javascript", "https http", "wss"] {
            assert_eq!(scheme(&[odd]), None, "{odd}");
        }
    }

    #[test]
    fn the_last_host_counts_and_must_be_one() {
        let host = |lines: &[&str]| {
            let said = read(&lines.iter().map(|line| ("X-Forwarded-Host", *line)).collect::<Vec<_>>());
            said.host.map(|host| host.map(|host| host.to_string()))
        };
        assert_eq!(host(&[]), None);
        assert_eq!(host(&["evil.example, B.example:8443"]), Some(Ok("b.example:8443".into())));
        assert_eq!(host(&["evil.example", "b.example"]), Some(Ok("b.example".into())));
        for odd in ["", "b.example,", "b.example/x", "user@b.example", "b example", "http://b.example", "\u{e9}"] {
            assert!(matches!(host(&[odd]), Some(Err(_))), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn nobody_left_of_the_client_is_believed(left in "[ -~]{0,60}", client in any::<u32>(), hops in 0..5_u8) {
            let client = IpAddr::from(std::net::Ipv4Addr::from(client | 0x8000_0000));
            let right: String = (0..hops).map(|hop| format!(", 10.0.0.{}", 200 - hop)).collect();
            let said = read(&[("X-Forwarded-For", &format!("{left},{client}{right}"))]);
            prop_assert_eq!((said.client, said.hops.len()), (client, usize::from(hops) + 1));
        }

        #[test]
        fn whatever_is_said_every_hop_is_a_trusted_proxy(line in "[ -~]{0,80}") {
            let said = read(&[("X-Forwarded-For", &line)]);
            prop_assert!(said.hops.iter().all(|hop| listed().contains(*hop)));
            prop_assert!(said.hops.is_empty() == (said.client == PEER) || said.hops.last() == Some(&PEER));
        }
    }
}
