//! Drives the stand-in over loopback, with a client that shares no code with it.

mod authorizing;
mod forgeries;
mod keys;
mod roster;
mod secrecy;
mod tokens;
mod troubles;

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use reqwest::{RequestBuilder, Response, redirect};
use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::{
    clock::{Clock, ManualClock, Timestamp},
    entropy::SystemEntropy,
};

pub(super) const CALLBACK: &str = "https://library.school.example/.schoolgate/callback";
pub(super) const CLIENT: &str = "org.example.gateway";
pub(super) const OTHER_CLIENT: &str = "org.example.other";
pub(super) const BOTH: &str = "edu.users.read edu.classes.read";

/// A stand-in with two clients, a clock that stands still, and a browser of sorts.
pub(in crate::demo) struct Rig {
    pub(in crate::demo) apple: StandIn,
    pub(super) clock: Arc<ManualClock>,
    pub(super) http: reqwest::Client,
    key: ClientKey,
}

pub(in crate::demo) async fn text(mut response: Response) -> String {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).unwrap()
}

/// Status and JSON; null, when the body is none.
pub(super) async fn json_of(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&text(response).await).unwrap_or_default())
}

impl Rig {
    pub(in crate::demo) async fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_seconds(1_700_000_000));
        let key = ClientKey::generate(&SystemEntropy).unwrap();
        let client = |id: &str| Client {
            client_id: id.into(),
            team_id: "A1B2C3D4E5".into(),
            key_id: "K1L2M3N4O5".into(),
            public_key: key.public(),
            redirect_uris: vec![CALLBACK.parse().unwrap(), "http://localhost:8080/cb".parse().unwrap()],
            local_redirects: true,
        };
        let settings = StandInSettings {
            clients: vec![client(CLIENT), client(OTHER_CLIENT)],
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
            listen: ([127, 0, 0, 1], 0).into(),
        };
        let apple = StandIn::start(settings).await.unwrap();
        let http = reqwest::Client::builder()
            .user_agent("schoolgate-tests/1")
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { apple, clock, http, key }
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(super) fn url(&self, path: &str) -> Url {
        self.apple.base_url().join(path).unwrap()
    }

    pub(super) fn secret(&self, client_id: &str) -> String {
        let now = self.clock.now().seconds();
        let claims = json!({
            "iss": "A1B2C3D4E5", "sub": client_id, "aud": "https://appleid.apple.com", "iat": now, "exp": now + 300,
        });
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("K1L2M3N4O5".into());
        let key = EncodingKey::from_ec_pem(self.key.private_pem().expose().as_bytes()).unwrap();
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    }

    /// The address of authorize, with more parameters.
    pub(super) fn authorize_url(&self, service: Service, scope: &str, more: &str) -> Url {
        let scope = scope.replace(' ', "%20");
        let callback = "https%3A%2F%2Flibrary.school.example%2F.schoolgate%2Fcallback";
        let query = format!(
            "client_id={CLIENT}&redirect_uri={callback}&response_type=code&scope={scope}&state=the-state&nonce=the-nonce{more}"
        );
        let mut url = self.url(&service.path("authorize"));
        url.set_query(Some(&query));
        url
    }

    pub(super) fn code_for(&self, person: &str, scope: &str, more: &str) -> String {
        let url = self.authorize_url(Service::Organization, scope, more);
        let returned = self.apple.authorize(&url, Choice::Person(person)).unwrap();
        returned.field("code").unwrap().to_owned()
    }

    pub(super) fn code(&self) -> String {
        self.code_for("administrator", BOTH, "")
    }

    pub(super) fn post(&self, endpoint: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        self.http.post(self.url(&Service::Organization.path(endpoint))).form(fields)
    }

    pub(super) async fn exchange(&self, code: &str) -> (u16, Value) {
        let secret = self.secret(CLIENT);
        json_of(self.post(
            "token",
            &[
                ("client_id", CLIENT),
                ("client_secret", &secret),
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", CALLBACK),
            ],
        ))
        .await
    }

    pub(super) async fn refresh(&self, token: &str) -> (u16, Value) {
        let secret = self.secret(CLIENT);
        let fields = [
            ("client_id", CLIENT),
            ("client_secret", &secret),
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
        ];
        json_of(self.post("token", &fields)).await
    }

    pub(super) async fn revoke(&self, token: &str) -> (u16, Value) {
        let secret = self.secret(CLIENT);
        json_of(self.post("revoke", &[("client_id", CLIENT), ("client_secret", &secret), ("token", token)])).await
    }

    /// Tokens of somebody who gives all scopes.
    pub(in crate::demo) async fn sign_in(&self, person: &str) -> Value {
        self.sign_in_for(person, BOTH).await
    }

    pub(in crate::demo) async fn sign_in_for(&self, person: &str, scope: &str) -> Value {
        let (status, tokens) = self.exchange(&self.code_for(person, scope, "")).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    pub(super) async fn keys(&self) -> Value {
        json_of(self.http.get(self.url("/auth/oauth2/v2/keys"))).await.1
    }

    /// Verifies as a plain client would, and gives the claims.
    pub(super) async fn verify(&self, id_token: &str) -> Option<Value> {
        let kid = jsonwebtoken::decode_header(id_token).ok()?.kid?;
        let keys = self.keys().await;
        let key = keys["keys"].as_array()?.iter().find(|key| key["kid"] == kid.as_str())?.clone();
        let key = DecodingKey::from_rsa_components(key["n"].as_str()?, key["e"].as_str()?).ok()?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        // Notifications have none.
        validation.set_required_spec_claims(&["iss", "aud"]);
        validation.set_audience(&[CLIENT]);
        validation.set_issuer(&["https://appleid.apple.com"]);
        Some(jsonwebtoken::decode::<Value>(id_token, &key, &validation).ok()?.claims)
    }

    /// The claims, whoever signed.
    pub(super) fn claims(&self, tokens: &Value) -> Value {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let payload = tokens["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }
}
