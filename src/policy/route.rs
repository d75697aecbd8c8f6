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
    /// Whether this one keeps somebody out whom `other` lets in.
    pub(super) fn asks_for_more_than(&self, other: &Self) -> bool {
        self.access == Access::Required
            && (other.access != Access::Required
                || (!self.allow.is_open() && self.allow != other.allow)
                || !self.scopes.missing_from(&other.scopes).is_empty())
    }

    /// Whether the rule applies to `method`.
    #[must_use]
    pub fn takes(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (method == Method::HEAD && self.methods.contains(&Method::GET))
    }
}
