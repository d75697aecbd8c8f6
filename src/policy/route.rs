//! One route of an app.

use http::Method;

use super::{Allow, HeaderSet};
use crate::{identity::ScopeSet, web::PathPrefix};

/// Who may pass without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nobody.
    Required,
    /// Everybody; identity is added when there is a session.
    Optional,
    /// Everybody; no session is looked at.
    Public,
}

/// What a request without a usable session gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthenticated {
    /// A redirect for a navigation, 401 for everything else.
    Auto,
    /// Always a redirect.
    Redirect,
    /// Always 401.
    Status401,
}

/// A rule for a path and everything below it.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where the rule applies.
    pub prefix: PathPrefix,
    /// The methods it applies to; empty means all. `GET` includes `HEAD`.
    pub methods: Vec<Method>,
    /// Who may pass without a session.
    pub access: Access,
    /// The scopes that the access token must carry.
    pub scopes: ScopeSet,
    /// What a request without a usable session gets.
    pub unauthenticated: Unauthenticated,
    /// The headers the app gets here: the app's, with those of the route in their place.
    pub headers: HeaderSet,
    /// Who may pass.
    pub allow: Allow,
}

impl Route {
    /// Whether the rule applies to `method`.
    #[must_use]
    pub fn takes(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (method == Method::HEAD && self.methods.contains(&Method::GET))
    }
}
