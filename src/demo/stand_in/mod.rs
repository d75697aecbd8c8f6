//! The stand-in for Apple: as strict as Apple is known to be, and as unreliable as a test wants.
//!
//! It serves both families of paths, `/auth/oauth2/v2/*` and `/auth/*`, a Roster API, a page on which one picks a
//! person, and one on which a person takes their consent back. Everything else is 404: discovery, userinfo, introspection and logout too.

mod answer;
mod authorize;
mod behaviour;
mod calls;
mod client;
mod client_secret;
mod consent;
mod error_code;
mod fields;
mod forgery;
mod forging;
mod gate;
mod grants;
mod id_token;
mod inside;
mod jws;
mod key_ring;
mod notification;
mod pages;
mod people;
mod reception;
mod returned;
mod revoke;
mod roster;
mod routes;
mod school;
mod service;
mod signing_key;
mod switches;
mod telling;
#[cfg(test)]
pub(super) mod tests;
mod token;
mod trouble;

use std::{fmt, io, net::SocketAddr, sync::Arc};

use url::Url;

use self::{consent::Decision, inside::Inside};
use super::listener::Server;
use crate::{clock::SharedClock, entropy::SharedEntropy};

pub use behaviour::{
    AfterRevocation, Behaviour, DateHeader, EmailClaim, Envelope, EventsClaim, ExpiresIn, Granted, Issuer, Others,
    Reach, TokenType, UserMember, VerifiedClaim,
};
pub use calls::{Call, Calls, Outcome};
pub use client::{Client, ClientKey, ClientPublicKey};
pub use consent::Choice;
pub use error_code::ErrorCode;
pub use forgery::Forgery;
pub use gate::Gate;
pub use notification::Notice;
pub use people::{Persona, Role, Verified};
pub use returned::{ReturnMode, Returned};
pub use service::Service;
pub use switches::{KeyOddity, Switches};
pub use trouble::{Endpoint, RetryHeader, Trouble};

/// With this header on `GET authorize`, a test without a browser says whom it picks: [`Persona::id`], or `cancel`.
/// The answer is what the browser would get after the page.
pub const PERSON_HEADER: &str = "x-stand-in-person";

/// What a stand-in needs.
pub struct StandInSettings {
    /// Who is registered.
    pub clients: Vec<Client>,
    /// The clock that everything expires by.
    pub clock: SharedClock,
    /// Where codes, tokens and names of keys come from.
    pub entropy: SharedEntropy,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// A running stand-in. It ends when this is dropped.
pub struct StandIn {
    inside: Arc<Inside>,
    server: Server,
    base_url: Url,
}

impl StandIn {
    /// Makes keys, opens the port and answers from then on.
    ///
    /// # Errors
    /// When the port cannot be opened, or a key cannot be made.
    pub async fn start(settings: StandInSettings) -> io::Result<Self> {
        let (server, listener) = Server::open(settings.listen).await?;
        let base_url = Url::parse(&format!("http://{}", server.address())).map_err(io::Error::other)?;
        let wire = server.wire().clone();
        // Keys take a while the first time, and other tasks may be waiting for this thread.
        let making = tokio::task::spawn_blocking(move || Inside::new(settings, wire));
        let inside = Arc::new(making.await.map_err(io::Error::other)??);
        server.run(listener, routes::router(Arc::clone(&inside)));
        Ok(Self { inside, server, base_url })
    }

    /// The address in place of `https://appleid.apple.com` and of `https://api-school.apple.com`.
    #[must_use]
    pub fn base_url(&self) -> Url {
        self.base_url.clone()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The switches to misbehave.
    #[must_use]
    pub fn switches(&self) -> &Switches {
        &self.inside.switches
    }

    /// The record of every call.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        &self.inside.calls
    }

    /// Everybody who can sign in.
    #[must_use]
    pub fn people(&self) -> &[Persona] {
        self.inside.school.people()
    }

    /// Somebody by the short name.
    #[must_use]
    pub fn person(&self, id: &str) -> Option<&Persona> {
        self.inside.school.person(id)
    }

    /// Whether the authorization that a code was redeemed for, in the last five minutes, still stands: its tokens
    /// are worth something until it is revoked.
    #[must_use]
    pub fn stands(&self, code: &str) -> bool {
        self.inside.grants().stands(code)
    }

    /// Adds a key that signs from now on, beside the old ones; at most five stay.
    pub fn rotate_keys(&self) {
        if let Err(error) = self.inside.keys().rotate(&*self.inside.entropy) {
            tracing::error!(event = "stand_in_keys_kept", reason = %error);
        }
    }

    /// Throws all keys away for new ones: what the old ones signed verifies no more.
    pub fn replace_keys(&self) {
        if let Err(error) = self.inside.keys().replace(&*self.inside.entropy) {
            tracing::error!(event = "stand_in_keys_kept", reason = %error);
        }
    }

    /// Does what a browser would do at this address of `authorize`, without HTTP: picks, and says what would be
    /// brought back.
    ///
    /// # Errors
    /// When the request is refused with a page: with what code. A role that is refused with a page
    /// ([`Others::Page`]) is `unauthorized_client` here.
    pub fn authorize(&self, address: &Url, choice: Choice<'_>) -> Result<Returned, ErrorCode> {
        let path = address.path();
        let service = Service::ALL.into_iter().find(|service| service.path("authorize") == path);
        let service = service.ok_or(ErrorCode::InvalidRequest)?;
        let request = pages::judge(&self.inside, service, address.query().unwrap_or_default());
        match consent::decide(&self.inside, request.map_err(|refusal| refusal.error)?, choice) {
            Decision::Return(returned) => Ok(returned),
            Decision::NotForYou => Err(ErrorCode::UnauthorizedClient),
            Decision::Nobody => Err(ErrorCode::InvalidRequest),
        }
    }

    /// The signed body of a notification to `client_id`, for a test to post.
    #[must_use]
    pub fn notification(&self, service: Service, client_id: &str, notice: &Notice) -> String {
        notification::body(&self.inside, service, client_id, notice)
    }

    /// Posts the body of a notification to the gateway that listens at `to`, without TLS, and is known as `host`.
    /// Gives back the status of its answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send_notification(&self, to: SocketAddr, host: &str, body: &str) -> io::Result<u16> {
        notification::send(to, host, body).await
    }
}

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandIn").field("address", &self.server.address()).finish_non_exhaustive()
    }
}
