//! The proxies whose word counts about the requests that they pass on.

use std::{net::IpAddr, sync::Arc};

use ipnet::{IpNet, Ipv4Net};

/// An IPv4 address inside IPv6 has 96 bits before it (RFC 4291, section 2.5.5.2).
const MAPPED: u8 = 96;

/// Why a text is no network of proxies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor a network.
    #[error("is neither an IP address nor a network")]
    Syntax,
    /// An address with a length that it reaches beyond, as in `10.0.0.5/8`.
    #[error("is an address with the length of a network")]
    HostBits(IpNet),
    /// Everybody. Whoever comes could then say who they are and what they ask for (CVE-2026-40575).
    #[error("is everybody")]
    Everybody,
}

/// One proxy, or a network of them. IPv4 addresses inside IPv6 are IPv4 addresses here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Reads an address, which stands for itself alone, or a network in CIDR notation.
    ///
    /// # Errors
    /// When the text is neither, or means everybody.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address.to_canonical()),
            Err(_) => text.parse::<IpNet>().map_err(|_| NetworkError::Syntax)?,
        };
        if network.addr() != network.network() {
            return Err(NetworkError::HostBits(network));
        }
        let network = canonical(network);
        if network.prefix_len() == 0 { Err(NetworkError::Everybody) } else { Ok(Self(network)) }
    }

    /// Whether it is larger than what any school or provider calls its own.
    #[must_use]
    pub fn is_vast(&self) -> bool {
        self.0.prefix_len() < if self.0.addr().is_ipv4() { 8 } else { 16 }
    }
}

/// A network of IPv4 addresses inside IPv6 is the network of those addresses.
fn canonical(network: IpNet) -> IpNet {
    let IpAddr::V4(address) = network.addr().to_canonical() else { return network };
    let Some(length) = network.prefix_len().checked_sub(if network.addr().is_ipv6() { MAPPED } else { 0 }) else {
        return network;
    };
    Ipv4Net::new(address, length).map_or(network, IpNet::V4)
}

/// Those whose `X-Forwarded-*` and PROXY headers are believed; nobody by default.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[Network]>);

impl TrustedProxies {
    /// Exactly these.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.0.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(texts: &[&str]) -> TrustedProxies {
        TrustedProxies::new(texts.iter().map(|text| Network::parse(text).unwrap()))
    }

    #[test]
    fn nobody_is_trusted_by_default() {
        for address in ["127.0.0.1", "::1", "10.0.0.1", "0.0.0.0", "::"] {
            assert!(!TrustedProxies::default().contains(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_address_counts_alone_and_a_network_with_all_that_it_has() {
        let list = trusted(&["192.0.2.7", "10.1.0.0/16", "2001:db8::1", "2001:db8:5::/48", "::ffff:198.51.100.0/120"]);
        for inside in
            ["192.0.2.7", "::ffff:192.0.2.7", "10.1.255.255", "2001:db8::1", "2001:db8:5:1::9", "198.51.100.200"]
        {
            assert!(list.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in
            ["192.0.2.8", "10.2.0.0", "10.0.255.255", "2001:db8::2", "2001:db8:6::", "198.51.101.0", "::10.1.0.1"]
        {
            assert!(!list.contains(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn an_ipv4_address_inside_ipv6_is_listed_as_what_it_is() {
        assert!(trusted(&["::ffff:192.0.2.7"]).contains("192.0.2.7".parse().unwrap()));
        assert!(!trusted(&["::/16"]).contains("192.0.2.7".parse().unwrap()));
    }

    #[test]
    fn cve_2026_40575_everybody_is_no_list_of_proxies() {
        for text in ["0.0.0.0/0", "::/0", "::ffff:0:0/96"] {
            assert_eq!(Network::parse(text), Err(NetworkError::Everybody), "{text}");
        }
        for (text, vast) in [("0.0.0.0/1", true), ("10.0.0.0/8", false), ("2000::/3", true), ("fd00::/16", false)] {
            assert_eq!(Network::parse(text).unwrap().is_vast(), vast, "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "localhost", "10.0.0.1:80", "10.0.0.0/33", "10.0.0/8", "*", "[::1]", "10.0.0.0/", " 10.0.0.1"]
        {
            assert_eq!(Network::parse(text), Err(NetworkError::Syntax), "{text:?}");
        }
        for text in ["10.0.0.5/8", "2001:db8::1/64"] {
            assert!(matches!(Network::parse(text), Err(NetworkError::HostBits(_))), "{text}");
        }
    }
}
