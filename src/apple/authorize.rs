//! The address that a browser is sent to.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::identity::ScopeSet;

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
pub(super) fn authorize_url(settings: &Settings, request: &AuthorizationRequest<'_>) -> Url {
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
    let mut url = settings.endpoints.authorize.clone();
    let mut query = String::with_capacity(512);
    query.push_str(url.query().unwrap_or_default());
    for (name, value) in fields {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        query.extend(utf8_percent_encode(value, ENCODED));
    }
    url.set_query(Some(&query));
    url
}

/// RFC 7636, section 4.2: `BASE64URL(SHA256(verifier))`.
fn code_challenge(verifier: &CodeVerifier) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apple::{ResponseMode, testing};

    fn url(change: impl FnOnce(&mut Settings), scopes: &str, verifier: Option<&CodeVerifier>) -> Url {
        let mut settings = testing::settings();
        change(&mut settings);
        let (state, nonce) = (State::new("the state"), Nonce::new("the+nonce"));
        let scopes = ScopeSet::parse(scopes).unwrap();
        authorize_url(&settings, &AuthorizationRequest { state: &state, nonce: &nonce, scopes: &scopes, verifier })
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

    #[test]
    fn a_query_that_the_configured_address_has_is_kept() {
        let url =
            url(|settings| settings.endpoints.authorize = Url::parse("https://apple.example/a?x=1").unwrap(), "", None);
        assert!(url.as_str().starts_with("https://apple.example/a?x=1&client_id="));
    }
}
