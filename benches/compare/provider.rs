//! An OpenID provider that signs everybody in at once: for the proxies that cannot sign in at the stand-in for Apple.

use std::{net::SocketAddr, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{StatusCode, header::LOCATION},
    response::IntoResponse,
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use schoolgate::clock::{Clock, SystemClock};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

use crate::support::{TlsApp, self_signed};

/// Where it listens.
pub(crate) const PORT: u16 = 20001;

/// Who may ask it.
pub(crate) const CLIENT: &str = "compared";
pub(crate) const SECRET: &str = "a-secret-of-nobody-0123456789";

/// Where the modulus lies in the DER of RFC 8017 of a public key of 2048 bits with the exponent 65537.
const MODULUS: std::ops::Range<usize> = 9..265;

pub(crate) struct Provider {
    /// What it is called inside TLS, for those that ask for that.
    pub(crate) secure: String,
}

#[derive(Deserialize)]
struct Authorize {
    redirect_uri: String,
    state: String,
    nonce: Option<String>,
}

#[derive(Deserialize)]
struct Exchange {
    #[serde(default)]
    code: String,
}

impl Provider {
    /// Answers as long as the runtime is there.
    pub(crate) fn start(runtime: &Runtime) -> Result<Self, String> {
        let key = Arc::new(KeyPair::generate(KeySize::Rsa2048).map_err(|error| error.to_string())?);
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async || Json(metadata())))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/userinfo", get(async || Json(json!({ "sub": "teacher-1", "email": "teacher@school.example" }))))
            .route("/jwks", get(jwks))
            .with_state(key);
        let listener = runtime.block_on(TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], PORT))));
        let listener = listener.map_err(|error| format!("port {PORT}: {error}"))?;
        runtime.spawn(async { axum::serve(listener, router).await });
        let front = TlsApp::before(SocketAddr::from(([127, 0, 0, 1], PORT)), self_signed(&["127.0.0.1"]));
        Ok(Self { secure: format!("https://{}", runtime.block_on(front).address) })
    }
}

/// What it is called.
pub(crate) fn issuer() -> String {
    format!("http://127.0.0.1:{PORT}")
}

fn metadata() -> Value {
    let at = |path: &str| format!("{}{path}", issuer());
    json!({
        "issuer": issuer(),
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    })
}

/// The code says which nonce it belongs to.
async fn authorize(Query(asked): Query<Authorize>) -> impl IntoResponse {
    let code = URL_SAFE_NO_PAD.encode(asked.nonce.unwrap_or_default());
    let back = url::Url::parse_with_params(&asked.redirect_uri, [("code", &code), ("state", &asked.state)]);
    match back {
        Ok(back) => (StatusCode::FOUND, [(LOCATION, String::from(back))]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn token(State(key): State<Arc<KeyPair>>, Form(asked): Form<Exchange>) -> impl IntoResponse {
    let now = SystemClock.now().seconds();
    let nonce = URL_SAFE_NO_PAD.decode(&asked.code).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let claims = json!({
        "iss": issuer(), "sub": "teacher-1", "aud": CLIENT, "iat": now, "exp": now + 86_400,
        "nonce": nonce, "email": "teacher@school.example", "email_verified": true, "name": "A Teacher",
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "RS256", "kid": "one", "typ": "JWT" })), part(&claims));
    let mut signature = vec![0; key.public_modulus_len()];
    match key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature) {
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Ok(()) => Json(json!({
            "access_token": "a".repeat(64), "token_type": "Bearer", "expires_in": 86_400, "refresh_token": "r".repeat(64),
            "id_token": format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)),
        }))
        .into_response(),
    }
}

async fn jwks(State(key): State<Arc<KeyPair>>) -> Json<Value> {
    let modulus = key.public_key().as_ref().get(MODULUS).unwrap_or_default();
    Json(json!({ "keys": [{
        "kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB",
    }] }))
}
