//! Asks a running gateway over its admin listener.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_util::either::Either;

use super::output;
use crate::server::AdminAddress;

/// Time to connect.
const CONNECT: Duration = Duration::from_secs(5);

/// Time for an answer: to end all sessions of a large district takes a while.
const ANSWER: Duration = Duration::from_secs(600);

/// Largest answer: a page of the list has 1,000 sessions.
const LARGEST: usize = 16 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// Nobody is there.
    #[error("nobody answers at {0} ({1}). Is the gateway running, with this configuration?")]
    Nobody(String, io::Error),
    /// The unix socket is not for this user.
    #[error(
        "this user may not use {0}: only the user that runs the gateway may, and root. Try: runuser -u schoolgate -- \
         schoolgate sessions ..."
    )]
    NotAllowed(String),
    /// It does not answer.
    #[error("{0} does not answer")]
    Silent(String),
    /// It hangs up.
    #[error("the connection to {0} broke before there was an answer ({1}); the gateway's log may say why")]
    Broken(String, hyper::Error),
    /// It talks, but not as our listener does.
    #[error("what answers at {0} is not the admin listener of this version of schoolgate")]
    NotOurs(String),
    /// It says no.
    #[error("the gateway at {0} says no ({1}): {2}")]
    No(String, StatusCode, String),
}

/// The admin listener, seen from outside.
#[derive(Debug)]
pub(super) struct AdminListener(AdminAddress);

/// The same for a command that does nothing else meanwhile.
#[derive(Debug)]
pub(super) struct AdminClient {
    listener: AdminListener,
    runtime: tokio::runtime::Runtime,
}

/// The member of a problem document that says what is wrong.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl AdminClient {
    /// Asks at the address that the gateway listens on.
    ///
    /// # Errors
    /// When the system gives no room for it.
    pub(super) fn new(address: AdminAddress) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { listener: AdminListener::at(address), runtime })
    }

    /// Asks for something, such as `/sessions?limit=5`.
    ///
    /// # Errors
    /// See [`AskError`].
    pub(super) fn ask<T: DeserializeOwned>(&self, method: &Method, target: &str) -> Result<T, AskError> {
        let (status, body) = self.runtime.block_on(self.listener.exchange(method, target, ANSWER))?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|_| AskError::NotOurs(self.listener.name()));
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(AskError::No(self.listener.name(), status, output::harmless(&problem.detail))),
            Err(_) => Err(AskError::NotOurs(self.listener.name())),
        }
    }
}

impl AdminListener {
    /// Where it can be reached that listens on this address.
    pub(super) fn at(address: AdminAddress) -> Self {
        Self(reachable(address))
    }

    /// Its address in words.
    pub(super) fn name(&self) -> String {
        match &self.0 {
            AdminAddress::Tcp(address) => address.to_string(),
            AdminAddress::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// Asks, and waits so long for the answer.
    ///
    /// # Errors
    /// See [`AskError`]; [`AskError::No`] is left to the caller.
    pub(super) async fn exchange(
        &self,
        method: &Method,
        target: &str,
        patience: Duration,
    ) -> Result<(StatusCode, Bytes), AskError> {
        let stream = match timeout(CONNECT, self.connect()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(why)) if why.kind() == io::ErrorKind::PermissionDenied => {
                return Err(AskError::NotAllowed(self.name()));
            }
            Ok(Err(why)) => return Err(AskError::Nobody(self.name(), why)),
            Err(_) => return Err(AskError::Silent(self.name())),
        };
        match timeout(patience, self.talk(stream, method, target)).await {
            Ok(answer) => answer,
            Err(_) => Err(AskError::Silent(self.name())),
        }
    }

    async fn connect(&self) -> io::Result<Either<TcpStream, UnixStream>> {
        Ok(match &self.0 {
            AdminAddress::Tcp(address) => Either::Left(TcpStream::connect(address).await?),
            AdminAddress::Unix(path) => Either::Right(UnixStream::connect(path).await?),
        })
    }

    /// One request on a connection of its own.
    async fn talk(
        &self,
        stream: Either<TcpStream, UnixStream>,
        method: &Method,
        target: &str,
    ) -> Result<(StatusCode, Bytes), AskError> {
        let not_ours = || AskError::NotOurs(self.name());
        let broken = |why: hyper::Error| {
            if why.is_parse() { not_ours() } else { AskError::Broken(self.name(), why) }
        };
        let host = match &self.0 {
            AdminAddress::Tcp(address) => address.to_string(),
            AdminAddress::Unix(_) => "localhost".to_owned(),
        };
        let request = Request::builder().method(method).uri(target).header(header::HOST, host);
        let request = request.body(Empty::<Bytes>::new()).map_err(|_| not_ours())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        driver.abort();
        Ok((status, body.map_err(|_| not_ours())?.to_bytes()))
    }
}

/// Who listens on every address of the machine is asked on the one that stays inside it.
fn reachable(address: AdminAddress) -> AdminAddress {
    match address {
        AdminAddress::Tcp(address) if address.ip().is_unspecified() => {
            let inside = match address.ip() {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            };
            AdminAddress::Tcp(SocketAddr::new(inside, address.port()))
        }
        AdminAddress::Tcp(_) | AdminAddress::Unix(_) => address,
    }
}

/// A path with a query, from names and values of any kind.
pub(super) fn target(path: &str, fields: &[(&str, &str)]) -> String {
    if fields.is_empty() {
        return path.to_owned();
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    format!("{path}?{query}")
}

/// Whether the address can be known beforehand: port 0 is one that the system chooses.
pub(super) fn is_known(address: &AdminAddress) -> bool {
    match address {
        AdminAddress::Tcp(address) => address.port() != 0,
        AdminAddress::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(text: &str) -> AdminAddress {
        AdminAddress::Tcp(text.parse().unwrap())
    }

    #[test]
    fn a_listener_on_every_address_is_asked_inside_the_machine() {
        assert_eq!(reachable(tcp("0.0.0.0:9180")), tcp("127.0.0.1:9180"));
        assert_eq!(reachable(tcp("[::]:9180")), tcp("[::1]:9180"));
        assert_eq!(reachable(tcp("10.0.0.5:9180")), tcp("10.0.0.5:9180"));
        assert!(!is_known(&tcp("127.0.0.1:0")) && is_known(&tcp("127.0.0.1:1")));
    }

    #[test]
    fn no_value_adds_a_parameter() {
        assert_eq!(target("/sessions", &[]), "/sessions");
        assert_eq!(target("/s", &[("user", "a&all=true#x y")]), "/s?user=a%26all%3Dtrue%23x+y");
    }
}
