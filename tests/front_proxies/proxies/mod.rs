//! The web servers: what is theirs alone.

mod apache;
mod caddy;
mod haproxy;
mod nginx;

pub(crate) use apache::APACHE;
pub(crate) use caddy::CADDY;
pub(crate) use haproxy::HAPROXY;
pub(crate) use nginx::NGINX;

use crate::front::Proxy;

/// All of them.
pub(crate) const ALL: [&Proxy; 4] = [&APACHE, &CADDY, &HAPROXY, &NGINX];
