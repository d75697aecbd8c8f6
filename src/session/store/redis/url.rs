//! Where Redis is: the URL of `[session] store`.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};

use crate::secret::Secret;

/// Marks the password of Redis.
#[derive(Debug)]
pub(super) enum PasswordKind {}

/// The password of Redis.
pub(super) type Password = Secret<PasswordKind>;

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    /// Its name or address, an IPv6 address without brackets.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Whom to ask for the server that holds the sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Topology {
    /// It is this one.
    One(Node),
    /// These know it by the name of a service.
    Sentinel {
        /// The Sentinels.
        nodes: Vec<Node>,
        /// The service.
        service: String,
    },
    /// Each node of the cluster knows it.
    Cluster(Vec<Node>),
}

/// The files of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tls {
    /// The authority that signed the servers' certificates, when it is not one of the system's.
    pub(super) ca_file: Option<PathBuf>,
    /// Our certificate and its key, when the servers want one.
    pub(super) client: Option<(PathBuf, PathBuf)>,
}

/// Where Redis is and how to get in. `Display` leaves user and password out.
#[derive(Clone, Debug)]
pub struct RedisUrl {
    /// Whom to ask.
    pub(super) topology: Topology,
    /// The number of the database.
    pub(super) database: u32,
    /// The user of an ACL; without one it is Redis' `default`.
    pub(super) user: Option<String>,
    /// The password, when it stands in the URL.
    pub(super) password: Option<Password>,
    /// The file that holds the password; read again for each connection.
    pub(super) password_file: Option<PathBuf>,
    /// TLS.
    pub(super) tls: Option<Tls>,
}

impl RedisUrl {
    /// Whether a text is meant to be such a URL.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("redis") || text.starts_with("valkey")
    }

    /// The same with other paths: relative ones begin somewhere, and variables are replaced.
    ///
    /// # Errors
    /// The first that `change` gives.
    pub fn map_files<E>(mut self, change: impl Fn(&Path) -> Result<PathBuf, E>) -> Result<Self, E> {
        let tls = self.tls.iter_mut().flat_map(|tls| {
            let client = tls.client.iter_mut().flat_map(|(certificate, key)| [certificate, key]);
            tls.ca_file.iter_mut().chain(client)
        });
        for file in self.password_file.iter_mut().chain(tls) {
            *file = change(file)?;
        }
        Ok(self)
    }

    /// The files, each with the name of its setting, and whether it holds a secret.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path, bool)> {
        let client = self.tls.iter().filter_map(|tls| tls.client.as_ref()).flat_map(|(certificate, key)| {
            [("certificate_file", certificate.as_path(), false), ("private_key_file", key.as_path(), true)]
        });
        let authority = self.tls.iter().filter_map(|tls| Some(("ca_file", tls.ca_file.as_deref()?, false)));
        let password = self.password_file.iter().map(|file| ("password_file", file.as_path(), true));
        password.chain(authority).chain(client)
    }

    /// Whether the password stands in the URL.
    #[must_use]
    pub fn has_own_password(&self) -> bool {
        self.password.is_some()
    }

    /// What tells a password of the URL from another, and nothing else about it.
    #[must_use]
    pub fn password_mark(&self) -> Option<[u8; 32]> {
        let password = self.password.as_ref()?;
        let mut mark = [0; 32];
        mark.copy_from_slice(digest(&SHA256, password.expose().as_bytes()).as_ref());
        Some(mark)
    }

    /// Whether the way is encrypted.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether everything stays on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.nodes().iter().all(|node| {
            node.host == "localhost"
                || node.host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
                || node.host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
        })
    }

    fn nodes(&self) -> &[Node] {
        match &self.topology {
            Topology::One(node) => std::slice::from_ref(node),
            Topology::Sentinel { nodes, .. } | Topology::Cluster(nodes) => nodes,
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.topology {
            Topology::One(_) => "",
            Topology::Sentinel { .. } => "+sentinel",
            Topology::Cluster(_) => "+cluster",
        };
        let secure = if self.tls.is_some() { "s" } else { "" };
        let nodes: Vec<_> = self.nodes().iter().map(ToString::to_string).collect();
        write!(f, "redis{secure}{kind}://{}", nodes.join(","))?;
        match &self.topology {
            Topology::One(_) => write!(f, "/{}", self.database),
            Topology::Sentinel { service, .. } => write!(f, "/{service}/{}", self.database),
            Topology::Cluster(_) => Ok(()),
        }
    }
}
