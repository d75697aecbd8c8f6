//! Where the demo listens: a port of this machine, wherever `localhost` leads.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::TcpListener;

/// The port when nobody names one and it is free.
const USUAL: u16 = 8080;

/// Any free port of this machine.
pub(super) const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Browsers try both for `localhost`. A stranger's program on the one that we leave out would get our visitors.
const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// How often a free port is looked for that is free on all addresses.
const TRIES: usize = 32;

/// A port of this machine.
#[derive(Debug)]
pub(super) struct Place {
    listen: Vec<SocketAddr>,
    port: u16,
    usual_was_taken: bool,
}

/// Why there is no such place.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoPlace {
    #[error(
        "port {port} is taken: another program listens on {0}. Name another port with --listen, \
         or leave --listen out: then a free one is found",
        port = .0.port()
    )]
    Taken(SocketAddr),
    #[error(
        "this system lets only administrators listen on {0}. Name a port from 1024 on with --listen, \
         or leave --listen out: then a free one is found"
    )]
    NotAllowed(SocketAddr),
    #[error("cannot listen on {0}: {1}")]
    Other(SocketAddr, io::Error),
}

/// Reads the value of `--listen`: an address of this machine and a port.
pub(super) fn parse(text: &str) -> Result<SocketAddr, String> {
    let address = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = address
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| "write an address of this machine and a port, like 127.0.0.1:8081".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "in the demo anybody may sign in as anybody, so only this machine may reach it; write 127.0.0.1:{}",
            address.port()
        ))
    }
}

impl Place {
    /// Finds a port that was free a moment ago: it must be known before the configuration is written.
    pub(super) async fn find(wanted: Option<SocketAddr>) -> Result<Self, NoPlace> {
        if let Some(address) = wanted {
            return Self::at(address).await;
        }
        match Self::at(SocketAddr::new(ANYWHERE.ip(), USUAL)).await {
            Ok(place) => Ok(place),
            Err(_) => Ok(Self { usual_was_taken: true, ..Self::at(ANYWHERE).await? }),
        }
    }

    /// At this address, and wherever else `localhost` leads.
    async fn at(address: SocketAddr) -> Result<Self, NoPlace> {
        let mut tries = if address.port() == 0 { TRIES } else { 1 };
        loop {
            tries -= 1;
            match Self::try_at(address).await {
                Err(NoPlace::Taken(_)) if tries > 0 => {}
                tried => return tried,
            }
        }
    }

    async fn try_at(address: SocketAddr) -> Result<Self, NoPlace> {
        let first = bind(address).await?;
        let port = first.local_addr().map_err(|why| NoPlace::Other(address, why))?.port();
        let mut held = vec![first];
        let mut listen = vec![SocketAddr::new(address.ip(), port)];
        for ip in LOCALHOST.into_iter().filter(|ip| *ip != address.ip()) {
            let also = SocketAddr::new(ip, port);
            match bind(also).await {
                Ok(listener) => {
                    held.push(listener);
                    listen.push(also);
                }
                // A machine without IPv6, or without IPv4: `localhost` does not lead there.
                Err(NoPlace::Other(..)) => {}
                Err(why) => return Err(why),
            }
        }
        Ok(Self { listen, port, usual_was_taken: false })
    }

    /// All addresses.
    pub(super) fn listen(&self) -> &[SocketAddr] {
        &self.listen
    }

    /// What one opens, without a path.
    pub(super) fn address(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// The same place under another name: for the second app.
    pub(super) fn other_address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Why the port is an odd one.
    pub(super) fn remark(&self) -> Option<String> {
        self.usual_was_taken.then(|| format!("Another program uses port {USUAL}, so this is at port {}.", self.port))
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, NoPlace> {
    TcpListener::bind(address).await.map_err(|why| {
        if why.kind() == io::ErrorKind::AddrInUse {
            NoPlace::Taken(address)
        } else if why.kind() == io::ErrorKind::PermissionDenied {
            NoPlace::NotAllowed(address)
        } else {
            NoPlace::Other(address, why)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_taken() {
        for (text, address) in
            [("127.0.0.1:0", "127.0.0.1:0"), ("[::1]:81", "[::1]:81"), ("localhost:8081", "127.0.0.1:8081")]
        {
            assert_eq!(parse(text).unwrap(), address.parse().unwrap());
        }
        for text in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080"] {
            assert!(parse(text).unwrap_err().ends_with("write 127.0.0.1:8080"), "{text}");
        }
        for text in ["", "8080", "localhost", "localhost:x", "school.example:80", "127.0.0.1"] {
            assert!(parse(text).unwrap_err().contains("like 127.0.0.1:8081"), "{text}");
        }
    }

    #[tokio::test]
    async fn all_addresses_have_the_port_that_is_printed() {
        let place = Place::find(Some(ANYWHERE)).await.unwrap();
        assert!(place.listen().iter().all(|address| address.port() == place.port && address.ip().is_loopback()));
        assert!(place.address().ends_with(&format!("localhost:{}", place.port)) && place.port != 0);
        assert_eq!(place.remark(), None);
    }

    #[tokio::test]
    async fn a_port_that_another_program_has_is_named() {
        for ip in LOCALHOST {
            // A machine without IPv6 has nothing to show here.
            let Ok(other) = TcpListener::bind((ip, 0)).await else { continue };
            let address = SocketAddr::new(ANYWHERE.ip(), other.local_addr().unwrap().port());
            let why = Place::find(Some(address)).await.unwrap_err().to_string();
            assert!(why.contains(&format!("port {} is taken", address.port())) && why.contains("--listen"), "{why}");
        }
    }
}
