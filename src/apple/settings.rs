//! What an administrator decides about Apple, already checked and typed.

use std::time::Duration;

use url::Url;

use super::SigningKey;

/// Which of Apple's two services signs people in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Account & Organizational Data Sharing, `/auth/oauth2/v2/*`.
    Organization,
    /// Sign in with Apple, `/auth/*`.
    SignIn,
}

impl Service {
    /// The addresses of this service below `base`, such as `https://appleid.apple.com`. A path that
    /// `base` has itself is kept in front.
    #[must_use]
    pub fn endpoints(&self, base: &Url) -> Endpoints {
        let folder = match self {
            Self::Organization => "auth/oauth2/v2",
            Self::SignIn => "auth",
        };
        let endpoint = |name: &str| {
            let mut url = base.clone();
            url.set_path(&format!("{}/{folder}/{name}", base.path().trim_end_matches('/')));
            url.set_query(None);
            url.set_fragment(None);
            url
        };
        Endpoints {
            authorize: endpoint("authorize"),
            token: endpoint("token"),
            keys: endpoint("keys"),
            revoke: endpoint("revoke"),
        }
    }

    /// The `iss` of the notifications that this service sends. It is a name and no address: where Apple
    /// answers does not change it.
    #[must_use]
    pub fn notification_issuer(&self) -> &'static str {
        match self {
            Self::Organization => "https://appleid.apple.com/auth/oauth2/v2",
            Self::SignIn => "https://appleid.apple.com",
        }
    }

    /// The scopes that Apple documents for this service: a configuration that asks for another one is
    /// probably misspelt.
    #[must_use]
    pub fn known_scopes(&self) -> &'static [&'static str] {
        match self {
            Self::Organization => &["edu.classes.read", "edu.rosterapi.test.read", "edu.users.read"],
            // The two of Apple School Manager are values of the ID token's claim `scopes`.
            Self::SignIn => &["edu.classes.read", "edu.users.read", "email", "name", "openid"],
        }
    }
}

/// Where Apple answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Browsers go here to sign in.
    pub authorize: Url,
    /// Codes and refresh tokens are redeemed here.
    pub token: Url,
    /// The public keys of ID tokens.
    pub keys: Url,
    /// Tokens die here.
    pub revoke: Url,
}

impl Endpoints {
    /// The three that the gateway itself calls.
    pub(super) fn called(&self) -> [&Url; 3] {
        [&self.token, &self.keys, &self.revoke]
    }
}

/// How Apple sends the browser back (OAuth 2.0 Form Post Response Mode, and the core specification).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMode {
    /// A redirect with the answer in the query.
    Query,
    /// A form that posts itself, from Apple's site.
    FormPost,
}

impl ResponseMode {
    /// The value of the parameter `response_mode`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
        }
    }
}

/// Everything the room needs to know; names as in `[apple]` of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The services id: `client_id` of requests, `sub` of the client secret, `aud` of ID tokens.
    pub client_id: String,
    /// The developer team: `iss` of the client secret.
    pub team_id: String,
    /// The name of the private key: `kid` of the client secret.
    pub key_id: String,
    /// The private key itself.
    pub signing_key: SigningKey,
    /// Where Apple sends the browser back to.
    pub redirect_uri: Url,
    /// Where Apple answers.
    pub endpoints: Endpoints,
    /// Left out of the request when `None`: Apple does not document it for organizations.
    pub response_mode: Option<ResponseMode>,
    /// Whether sign-ins use PKCE (RFC 7636): Apple does not document it, so it is a choice.
    pub pkce: bool,
    /// Values of `iss` that are accepted, each as a whole; of notifications also
    /// [`Service::notification_issuer`].
    pub issuers: Vec<String>,
    /// How long one call may take, from the first byte to the last.
    pub timeout: Duration,
    /// How far Apple's clock and ours may differ.
    pub clock_skew: Duration,
    /// The key set is fetched again after this.
    pub keys_max_age: Duration,
    /// A key set of this age is still used when Apple cannot be reached.
    pub keys_max_stale: Duration,
    /// An unknown `kid`, or a failure, makes for one fetch in this time at most.
    pub keys_min_interval: Duration,
    /// Which service this is.
    pub service: Service,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn each_service_has_its_own_paths_below_the_base() {
        let organization = Service::Organization.endpoints(&base("https://appleid.apple.com"));
        assert_eq!(organization.authorize.as_str(), "https://appleid.apple.com/auth/oauth2/v2/authorize");
        assert_eq!(organization.token.as_str(), "https://appleid.apple.com/auth/oauth2/v2/token");
        assert_eq!(organization.keys.as_str(), "https://appleid.apple.com/auth/oauth2/v2/keys");
        assert_eq!(organization.revoke.as_str(), "https://appleid.apple.com/auth/oauth2/v2/revoke");
        let sign_in = Service::SignIn.endpoints(&base("http://127.0.0.1:8081/"));
        assert_eq!(sign_in.authorize.as_str(), "http://127.0.0.1:8081/auth/authorize");
        assert_eq!(sign_in.token.as_str(), "http://127.0.0.1:8081/auth/token");
        assert_eq!(sign_in.keys.as_str(), "http://127.0.0.1:8081/auth/keys");
        assert_eq!(sign_in.revoke.as_str(), "http://127.0.0.1:8081/auth/revoke");
    }

    #[test]
    fn a_base_with_a_path_keeps_it() {
        for text in ["https://proxy.example/apple", "https://proxy.example/apple/"] {
            let endpoints = Service::SignIn.endpoints(&base(text));
            assert_eq!(endpoints.keys.as_str(), "https://proxy.example/apple/auth/keys");
        }
    }

    #[test]
    fn known_scopes_are_scopes() {
        for service in [Service::Organization, Service::SignIn] {
            for scope in service.known_scopes() {
                assert!(crate::identity::ScopeSet::new().insert(scope).is_ok(), "{scope}");
            }
        }
    }
}
