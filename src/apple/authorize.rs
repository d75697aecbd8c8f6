//! The address that a browser is sent to.

use crate::identity::ScopeSet;
use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{CodeVerifier, Nonce, Settings, State};

/// Everything but the unreserved characters of RFC 3986, section 2.3. A space becomes `%20`: Apple does
/// not take `+` for one.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What one sign-in asks for.
#[derive(Debug)]
pub struct AuthorizationRequest<'a> {
    /// Comes back with the callback.
    pub state: &'a State,
    /// Comes back inside the ID token.
    pub nonce: &'a Nonce,
    /// Scopes to ask for; none is fine.
    pub scopes: &'a ScopeSet,
    /// With PKCE: its hash goes along, and Apple wants it when the code is redeemed.
    pub verifier: Option<&'a CodeVerifier>,
}

/// RFC 6749, section 4.1.1, with the parameters that Apple documents. `scope` is always there: Apple
/// requires it even when it is empty.
pub(super) fn authorize_url(settings: &Settings, request: &AuthorizationRequest<'_>) -> String {
    let scope = request.scopes.to_string();
    let challenge = request.verifier.map(code_challenge);
    let mut fields = vec![
        ("client_id", settings.client_id.as_str()),
        ("redirect_uri", settings.redirect_uri.as_str()),
        ("response_type", "code"),
        ("scope", &scope),
        ("state", request.state.expose()),
        ("nonce", request.nonce.expose()),
    ];
    if let Some(mode) = settings.response_mode {
        fields.push(("response_mode", mode.as_str()));
    }
    if let Some(challenge) = &challenge {
        fields.push(("code_challenge", challenge));
        fields.push(("code_challenge_method", "S256"));
    }
    // As a text, for what is added needs no reading: it has no character that a URL would change. A fragment, which
    // would stand behind it, is no part of an endpoint (RFC 6749, section 3.1).
    let url = &settings.endpoints.authorize;
    let mut text = String::with_capacity(url.as_str().len() + 512);
    text.push_str(url.as_str().split('#').next().unwrap_or_default());
    let mut before = match url.query() {
        None => "?",
        Some("") => "",
        Some(_) => "&",
    };
    for (name, value) in fields {
        for part in [before, name, "="] {
            text.push_str(part);
        }
        text.extend(utf8_percent_encode(value, ENCODED));
        before = "&";
    }
    text
}

/// RFC 7636, section 4.2: `BASE64URL(SHA256(verifier))`.
fn code_challenge(verifier: &CodeVerifier) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apple::{ResponseMode, testing};
    use url::Url;

    fn url(change: impl FnOnce(&mut Settings), scopes: &str, verifier: Option<&CodeVerifier>) -> Url {
        let mut settings = testing::settings();
        change(&mut settings);
        let (state, nonce) = (State::new("the state"), Nonce::new("the+nonce"));
        let scopes = ScopeSet::parse(scopes).unwrap();
        let request = AuthorizationRequest { state: &state, nonce: &nonce, scopes: &scopes, verifier };
        let text = authorize_url(&settings, &request);
        let url = Url::parse(&text).unwrap();
        assert_eq!(url.as_str(), text, "a URL would have changed nothing");
        url
    }

    #[test]
    fn the_url_has_exactly_what_apple_documents() {
        assert_eq!(
            url(|_| (), "edu.users.read edu.classes.read", None).as_str(),
            "https://appleid.apple.com/auth/oauth2/v2/authorize?client_id=org.example.school.gateway\
             &redirect_uri=https%3A%2F%2Flibrary.school.example%2F.schoolgate%2Fcallback&response_type=code\
             &scope=edu.classes.read%20edu.users.read&state=the%20state&nonce=the%2Bnonce"
        );
    }

    #[test]
    fn scope_is_there_even_when_it_is_empty() {
        assert!(url(|_| (), "", None).as_str().contains("&scope=&"));
    }

    #[test]
    fn a_plus_sign_is_never_written() {
        assert!(!url(|_| (), "a b c", None).as_str().contains('+'));
    }

    #[test]
    fn response_mode_is_there_only_when_it_is_set() {
        assert!(!url(|_| (), "", None).as_str().contains("response_mode"));
        let form = url(|settings| settings.response_mode = Some(ResponseMode::FormPost), "", None);
        assert!(form.as_str().ends_with("&response_mode=form_post"));
        let query = url(|settings| settings.response_mode = Some(ResponseMode::Query), "", None);
        assert!(query.as_str().ends_with("&response_mode=query"));
    }

    #[test]
    fn the_challenge_is_the_example_of_rfc_7636() {
        let verifier = CodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let url = url(|_| (), "", Some(&verifier));
        assert!(
            url.as_str()
                .ends_with("&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256")
        );
        assert!(!url.as_str().contains(verifier.expose()));
    }

    fn url_at(address: &str) -> Url {
        url(|settings| settings.endpoints.authorize = Url::parse(address).unwrap(), "", None)
    }

    #[test]
    fn a_query_that_the_configured_address_has_is_kept() {
        let url = url_at("https://apple.example/a?x=1");
        assert!(url.as_str().starts_with("https://apple.example/a?x=1&client_id="));
        let url = url_at("https://apple.example/a?");
        assert!(url.as_str().starts_with("https://apple.example/a?client_id="));
        let url = url_at("https://apple.example/a#x");
        assert!(url.as_str().starts_with("https://apple.example/a?client_id=") && url.fragment().is_none());
    }
}
