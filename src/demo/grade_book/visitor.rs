//! Who somebody is, as the request headers say. There is no other way for this app to know.

use axum::http::HeaderMap;

use crate::secret::Secret;

/// The headers that are shown; the access token is not one of them.
const SHOWN: &[&str] = &[
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Schoolgate-Organization",
    "X-Schoolgate-Scopes",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-For",
    "X-Request-Id",
];

/// A kind of secret: the token for the Roster API.
pub(super) enum AccessToken {}

/// Somebody, or nobody.
pub(super) struct Visitor {
    user: Option<String>,
    email: Option<String>,
    access_token: Option<Secret<AccessToken>>,
    headers: Vec<(&'static str, String)>,
}

impl Visitor {
    /// Believes the headers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Self {
            user: text("x-forwarded-user"),
            email: text("x-forwarded-email"),
            access_token: text("x-forwarded-access-token").map(Secret::new),
            headers: SHOWN.iter().filter_map(|name| Some((*name, text(name)?))).collect(),
        }
    }

    /// Whether there is a name at all.
    pub(super) fn is_somebody(&self) -> bool {
        self.user.is_some()
    }

    /// What the visitor is called.
    pub(super) fn name(&self) -> &str {
        match (&self.user, &self.email) {
            (Some(_), Some(email)) => email,
            (Some(user), None) => user,
            (None, _) => "nobody",
        }
    }

    /// Whether the name is only a number, for want of an address.
    pub(super) fn is_a_number(&self) -> bool {
        self.is_somebody() && self.email.is_none()
    }

    /// The headers about the visitor.
    pub(super) fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// The token for the Roster API.
    pub(super) fn access_token(&self) -> Option<&Secret<AccessToken>> {
        self.access_token.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(headers: &[(&'static str, &str)]) -> Visitor {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Visitor::of(&headers)
    }

    #[test]
    fn without_a_user_header_it_is_nobody() {
        for headers in [&[][..], &[("x-forwarded-email", "a@b.example")], &[("x-remote-user", "a")]] {
            assert_eq!(visitor(headers).name(), "nobody");
        }
    }

    #[test]
    fn the_address_is_the_name_when_there_is_one() {
        assert_eq!(visitor(&[("x-forwarded-user", "1.a.b")]).name(), "1.a.b");
        assert_eq!(
            visitor(&[("x-forwarded-user", "1.a.b"), ("x-forwarded-email", "a@b.example")]).name(),
            "a@b.example"
        );
    }

    #[test]
    fn the_access_token_is_not_among_the_headers_that_are_shown() {
        let visitor = visitor(&[("x-forwarded-user", "a"), ("x-forwarded-access-token", "secret")]);
        assert!(visitor.headers().iter().all(|(_, value)| value != "secret"));
        assert!(visitor.access_token().unwrap().matches("secret"));
    }
}
