//! The web servers: what is theirs alone.

mod apache;
mod caddy;
mod haproxy;
mod nginx;

pub(crate) use apache::APACHE;
pub(crate) use caddy::{CADDY, CADDY_IN_FRONT};
pub(crate) use haproxy::HAPROXY;
pub(crate) use nginx::{NGINX, NGINX_IN_FRONT};

use crate::front::Proxy;

/// Where the web servers ask the gateway.
pub(crate) const FORWARD_AUTH: &str = "docs/forward-auth.md";

/// Where they stand in front of it.
pub(crate) const IN_FRONT: &str = "docs/trusted-proxies.md";

/// All that ask.
pub(crate) const ALL: [&Proxy; 4] = [&APACHE, &CADDY, &HAPROXY, &NGINX];

/// All that stand in front.
pub(crate) const ALL_IN_FRONT: [&Proxy; 2] = [&CADDY_IN_FRONT, &NGINX_IN_FRONT];
