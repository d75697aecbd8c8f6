//! What an administrator can say about connections.

use std::{num::NonZeroU32, time::Duration};

use super::{Hsts, TrustedProxies};
use crate::{telemetry::Sampling, web::Scheme};

/// Settings of the public listeners.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The scheme that browsers use.
    pub external_scheme: Scheme,
    /// Whose `X-Forwarded-*` are believed.
    pub trusted_proxies: TrustedProxies,
    /// New sign-ins a second from one address.
    pub sign_in_rate_per_ip: NonZeroU32,
    /// For a whole request head, however slowly it drips.
    pub header_timeout: Duration,
    /// For a connection without a request.
    pub idle_timeout: Duration,
    /// Bytes a second of a request body, after its first ten seconds.
    pub min_body_rate: u64,
    /// Head of a request, target included, in bytes.
    pub max_header_bytes: usize,
    /// What browsers are told about HTTPS, where TLS ends here. Whoever ends it elsewhere says it there.
    pub hsts: Option<Hsts>,
    /// Which traces are recorded.
    pub sampling: Sampling,
}
