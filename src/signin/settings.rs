//! What an administrator can say about signing in.

use std::time::Duration;

use super::Home;
use crate::{apple::ResponseMode, identity::ScopeSet, web::Scheme};

/// Settings of the sign-in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Scopes asked for at every sign-in; routes add theirs.
    pub scopes: ScopeSet,
    /// Where Apple sends browsers back.
    pub home: Home,
    /// How Apple sends the browser back: a form post needs a sign-in cookie that crosses sites.
    pub response_mode: Option<ResponseMode>,
    /// The scheme that browsers use, for the attributes of cookies.
    pub external_scheme: Scheme,
    /// An app never gets an access token with less life than this.
    pub refresh_before: Duration,
    /// Whether tokens are revoked at Apple when a session ends.
    pub revoke_on_sign_out: bool,
    /// Whether it counts whose a browser was: apps keep sessions of their own, or forms are kept.
    pub remembers_browsers: bool,
    /// Whether forms are kept that come after their session has died.
    pub keeps_forms: bool,
}

impl Settings {
    /// What Apple is asked for: the scopes of every sign-in, those that are `wanted`, and those that a session has.
    #[must_use]
    pub fn asks_for(&self, wanted: &ScopeSet, granted: Option<&ScopeSet>) -> ScopeSet {
        granted.into_iter().fold(self.scopes.union(wanted), |asked, granted| asked.union(granted))
    }
}
