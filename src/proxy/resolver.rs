//! Addresses of apps, resolved without blocking anybody (pingora would, and panics on failure).

use std::{io, net::SocketAddr, time::Duration};

use moka::future::Cache;

use crate::policy::Upstream;

/// How long an address is used before it is looked up again.
const KEEP: Duration = Duration::from_secs(10);

/// Looks up where apps listen.
#[derive(Debug)]
pub(super) struct Resolver {
    known: Cache<(String, u16), SocketAddr>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { known: Cache::builder().max_capacity(1_000).time_to_live(KEEP).build() }
    }
}

impl Resolver {
    /// The address that the configuration itself names.
    pub(super) fn literal(upstream: &Upstream) -> Option<SocketAddr> {
        let address = upstream.host.name().trim_matches(['[', ']']).parse().ok()?;
        Some(SocketAddr::new(address, upstream.port))
    }

    /// The first address of an app; of `localhost` the IPv4 one, where legacy apps listen.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn resolve(&self, upstream: &Upstream) -> io::Result<SocketAddr> {
        if let Some(address) = Self::literal(upstream) {
            return Ok(address);
        }
        let name = upstream.host.name();
        let look_up = async {
            let mut found: Vec<_> = tokio::net::lookup_host((name, upstream.port)).await?.collect();
            found.sort_by_key(SocketAddr::is_ipv6);
            found.first().copied().ok_or_else(|| io::Error::other("the name has no address"))
        };
        let key = (name.to_owned(), upstream.port);
        self.known.try_get_with(key, look_up).await.map_err(|error| io::Error::new(error.kind(), error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::Protocol,
        web::{Host, Scheme},
    };

    async fn resolve(host: &str) -> io::Result<SocketAddr> {
        Resolver::default()
            .resolve(&Upstream {
                scheme: Scheme::Http,
                protocol: Protocol::Negotiated,
                host: Host::parse(host).unwrap(),
                port: 80,
            })
            .await
    }

    #[tokio::test]
    async fn addresses_and_names_are_resolved_and_nonsense_is_an_error() {
        assert_eq!(resolve("127.0.0.1").await.unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(resolve("[::1]").await.unwrap().to_string(), "[::1]:80");
        assert_eq!(resolve("localhost").await.unwrap().to_string(), "127.0.0.1:80");
        assert!(resolve("no-such-name.invalid").await.is_err());
    }
}
