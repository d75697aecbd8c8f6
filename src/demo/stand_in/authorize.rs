//! Judges a request to authorize, parameter by parameter.

use url::Url;

use super::{Client, ErrorCode, Service, error_code::Refusal, fields::Fields, returned::ReturnMode};
use crate::identity::ScopeSet;

/// The parameters that Apple's pages name.
const DOCUMENTED: &[&str] = &["client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "response_mode"];

/// The scopes for reading the roster.
const EDU: &[&str] = &["edu.users.read", "edu.classes.read", "edu.rosterapi.test.read"];

/// The scopes that only Sign in with Apple knows.
const SIGN_IN: &[&str] = &["openid", "email", "name"];

/// What Apple says when name or email come by another way than a POST.
const FORM_POST_ONLY: &str = "response_mode must be form_post when name or email scope is requested.";

/// A request without fault.
pub(super) struct AuthorizeRequest {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) scopes: ScopeSet,
    pub(super) mode: ReturnMode,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) challenge: Option<String>,
}

impl AuthorizeRequest {
    /// Judges the query as it came.
    pub(super) fn parse(service: Service, query: &str, clients: &[Client], strict: bool) -> Result<Self, Refusal> {
        let fields = Fields::parse(query);
        if fields.is_malformed() {
            return Err(Refusal::request("a parameter is badly encoded"));
        }
        if fields.repeated().is_some() {
            return Err(Refusal::request("a parameter is repeated"));
        }
        if strict && fields.unknown(DOCUMENTED).is_some() {
            return Err(Refusal::request("a parameter is not supported"));
        }
        let client_id = fields.value("client_id").ok_or(Refusal::request("client_id is missing"))?;
        let client = clients
            .iter()
            .find(|client| client.client_id == client_id)
            .ok_or(Refusal::client("the client_id is unknown"))?;
        if client_id.contains(&client.team_id) {
            return Err(Refusal::client("the client_id has the Team ID in it"));
        }
        let redirect_uri = redirect_uri(&fields, client, service)?;
        match fields.value("response_type") {
            None => return Err(Refusal::request("response_type is missing")),
            Some("code") => {}
            Some(_) => return Err(Refusal::request("response_type is not code")),
        }
        let scopes = scopes(&fields, service)?;
        let mode = match fields.value("response_mode") {
            None => ReturnMode::Query,
            Some(text) => ReturnMode::parse(text).ok_or(Refusal::request("Invalid response mode"))?,
        };
        let personal = scopes.iter().any(|scope| scope == "name" || scope == "email");
        if personal && mode != ReturnMode::FormPost {
            return Err(Refusal::request(FORM_POST_ONLY));
        }
        let text = |name| fields.value(name).map(str::to_owned);
        Ok(Self {
            client_id: client_id.to_owned(),
            redirect_uri,
            scopes,
            mode,
            state: text("state"),
            nonce: text("nonce"),
            challenge: challenge(&fields)?,
        })
    }

    /// Whether the roster is asked for, which not everybody may give.
    pub(super) fn asks_for_roster(&self) -> bool {
        self.scopes.iter().any(|scope| EDU.contains(&scope))
    }

    /// Whether the person's name or address is asked for.
    pub(super) fn asks_for_person(&self) -> bool {
        self.scopes.iter().any(|scope| scope == "name" || scope == "email")
    }
}

fn redirect_uri(fields: &Fields, client: &Client, service: Service) -> Result<String, Refusal> {
    let error = match service {
        // Apple's ErrorResponse lists the redirect URI under invalid_client; TN3107 says unauthorized_client.
        Service::Organization => ErrorCode::InvalidClient,
        Service::SignIn => ErrorCode::UnauthorizedClient,
    };
    let text = fields.value("redirect_uri").ok_or(Refusal::request("redirect_uri is missing"))?;
    let registered = client.redirect_uris.iter().find(|registered| registered.as_str() == text);
    let uri: &Url = registered.ok_or(Refusal::new(error, "the redirect_uri is not registered"))?;
    match client.complaint_about(uri) {
        None => Ok(text.to_owned()),
        Some(why) => Err(Refusal::new(error, why)),
    }
}

fn scopes(fields: &Fields, service: Service) -> Result<ScopeSet, Refusal> {
    match (service, fields.raw("scope")) {
        (Service::Organization, None) => return Err(Refusal::request("scope is missing")),
        (Service::SignIn, None) => return Ok(ScopeSet::new()),
        // "Apple is very picky here": a space is %20.
        (_, Some(raw)) if raw.contains('+') => {
            return Err(Refusal::new(ErrorCode::InvalidScope, "scope has a + where %20 belongs"));
        }
        (_, Some(_)) => {}
    }
    let unknown = Refusal::new(ErrorCode::InvalidScope, "a scope is unknown");
    let scopes = ScopeSet::parse(fields.value("scope").unwrap_or_default()).map_err(|_| unknown)?;
    let known = |scope: &str| EDU.contains(&scope) || (service == Service::SignIn && SIGN_IN.contains(&scope));
    if scopes.iter().all(known) { Ok(scopes) } else { Err(unknown) }
}

/// RFC 7636, section 4.3; only S256, and 43 characters as SHA-256 gives them.
fn challenge(fields: &Fields) -> Result<Option<String>, Refusal> {
    match (fields.value("code_challenge"), fields.value("code_challenge_method")) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Refusal::request("there is a code_challenge_method without code_challenge")),
        (Some(challenge), Some("S256")) if is_hash(challenge) => Ok(Some(challenge.to_owned())),
        (Some(_), Some("S256")) => Err(Refusal::request("the code_challenge is not 43 characters of base64url")),
        (Some(_), _) => Err(Refusal::request("the code_challenge_method is not S256")),
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{demo::stand_in::ClientKey, entropy::SystemEntropy};

    const CALLBACK: &str = "https://library.school.example/.schoolgate/callback";
    const GOOD: &str =
        "client_id=org.example.gateway&response_type=code&scope=edu.users.read%20edu.classes.read&state=s&nonce=n";

    fn parse(service: Service, query: &str, strict: bool) -> Result<AuthorizeRequest, Refusal> {
        let client = Client {
            client_id: "org.example.gateway".into(),
            team_id: "A1B2C3D4E5".into(),
            key_id: "K".into(),
            public_key: ClientKey::generate(&SystemEntropy).unwrap().public(),
            redirect_uris: vec![CALLBACK.parse().unwrap(), "http://localhost/cb".parse().unwrap()],
            local_redirects: false,
        };
        AuthorizeRequest::parse(service, query, &[client], strict)
    }

    fn error(service: Service, query: &str) -> Option<ErrorCode> {
        parse(service, query, false).err().map(|refusal| refusal.error)
    }

    fn good() -> String {
        format!(
            "{GOOD}&redirect_uri={}",
            percent_encoding::utf8_percent_encode(CALLBACK, percent_encoding::NON_ALPHANUMERIC)
        )
    }

    #[test]
    fn a_request_by_the_book_is_understood() {
        let request = parse(Service::Organization, &good(), true).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(request.scopes.to_string(), "edu.classes.read edu.users.read");
        assert_eq!(
            (request.mode, request.state.as_deref(), request.nonce.as_deref()),
            (ReturnMode::Query, Some("s"), Some("n"))
        );
        assert!(request.asks_for_roster() && !request.asks_for_person());
    }

    #[test]
    fn each_missing_or_changed_parameter_is_refused() {
        for (from, to, expected) in [
            ("client_id=org.example.gateway&", "", ErrorCode::InvalidRequest),
            ("client_id=org.example.gateway", "client_id=org.example.other", ErrorCode::InvalidClient),
            ("&response_type=code", "", ErrorCode::InvalidRequest),
            ("response_type=code", "response_type=token", ErrorCode::InvalidRequest),
            ("response_type=code", "response_type=code%20id_token", ErrorCode::InvalidRequest),
            ("&scope=edu.users.read%20edu.classes.read", "", ErrorCode::InvalidRequest),
            ("edu.users.read%20", "edu.users.write%20", ErrorCode::InvalidScope),
            ("edu.users.read%20", "openid%20", ErrorCode::InvalidScope),
            ("edu.users.read%20", "edu.users.read+", ErrorCode::InvalidScope),
            ("redirect_uri=", "other=", ErrorCode::InvalidRequest),
            ("callback", "callback%2F", ErrorCode::InvalidClient),
            ("https", "HTTPS", ErrorCode::InvalidClient),
            ("&state=s", "&state=s&state=s", ErrorCode::InvalidRequest),
            ("&state=s", "&state=%zz", ErrorCode::InvalidRequest),
            ("&state=s", "&response_mode=web_message", ErrorCode::InvalidRequest),
            ("&state=s", "&code_challenge=short&code_challenge_method=S256", ErrorCode::InvalidRequest),
            ("&state=s", "&code_challenge_method=S256", ErrorCode::InvalidRequest),
        ] {
            let query = good().replacen(from, to, 1);
            assert_ne!(query, good(), "{from} is not in the request");
            assert_eq!(error(Service::Organization, &query), Some(expected), "{from} -> {to}");
        }
    }

    #[test]
    fn a_redirect_uri_on_localhost_is_refused_though_registered() {
        let query = format!("{GOOD}&redirect_uri=http%3A%2F%2Flocalhost%2Fcb");
        assert_eq!(error(Service::Organization, &query), Some(ErrorCode::InvalidClient));
        assert_eq!(error(Service::SignIn, &query), Some(ErrorCode::UnauthorizedClient));
    }

    #[test]
    fn pkce_takes_s256_only_and_nothing_where_unknown_parameters_are_refused() {
        let challenge = "A".repeat(43);
        let with = |method: &str| format!("{}&code_challenge={challenge}{method}", good());
        let s256 = with("&code_challenge_method=S256");
        assert_eq!(parse(Service::Organization, &s256, false).ok().unwrap().challenge, Some(challenge.clone()));
        assert!(parse(Service::Organization, &s256, true).is_err());
        for method in ["", "&code_challenge_method=plain"] {
            assert_eq!(error(Service::Organization, &with(method)), Some(ErrorCode::InvalidRequest));
        }
    }

    #[test]
    fn name_and_email_come_by_form_post_only() {
        let query = good().replace("edu.users.read%20edu.classes.read", "name%20email");
        assert_eq!(parse(Service::SignIn, &query, false).err().unwrap().why, FORM_POST_ONLY);
        let query = format!("{query}&response_mode=form_post");
        assert!(parse(Service::SignIn, &query, false).ok().unwrap().asks_for_person());
        assert_eq!(error(Service::Organization, &query), Some(ErrorCode::InvalidScope));
    }
}
