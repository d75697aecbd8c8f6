//! The gateway on the wire: strict framing, the pingora phases, own endpoints, answers.
//!
//! [`serve`] owns a client connection. For each request [`wire::Guard`] reads one head strictly, and the connection makes
//! an [`Exchange`] of it. Most requests are judged at once and go straight to their app (`straight`); of the others
//! pingora runs the phases of [`Gateway`]: judge, answer or send on. Both take the address of an app out of an
//! `Admission`, and know none without it.

mod access_log;
mod answer;
mod app_cookies;
mod connection;
mod entrance;
mod exchange;
mod failures;
mod farewell;
mod fields;
#[cfg(test)]
mod footprint;
mod forms;
mod forwarded;
mod forwarding;
mod gateway;
mod generation;
mod heartbeat;
mod hsts;
mod http2;
mod identity_headers;
mod judge;
mod lent;
mod objections;
mod own;
mod own_hosts;
mod phases;
mod prepared;
mod redirect;
mod resolver;
mod response_headers;
mod settings;
mod straight;
mod trusted_proxies;
mod upstreams;
pub mod wire;

pub use answer::Answer;
pub use connection::{Connections, Proxy, serve};
pub use exchange::{Exchange, Facts};
pub use gateway::Gateway;
pub use generation::{Generation, Generations, Service};
pub use heartbeat::answers;
pub use hsts::Hsts;
pub use own::{Endpoint, is_own};
pub use own_hosts::OwnHosts;
pub use phases::{Context, Phases};
pub use redirect::redirect;
pub use settings::Settings;
pub use trusted_proxies::{Network, NetworkError, TrustedProxies};
pub use upstreams::{Found, Probed, Upstreams, UpstreamsError, certificate_name, is_authority};
