//! Apple as an OAuth and OpenID provider: every endpoint, every token, and the one HTTP client.
//! (STUB: the real room is merged from its branch.)
#![allow(missing_docs)]
use crate::{clock::*, entropy::SharedEntropy, identity::*, secret::Secret, web::Form};
use std::time::Duration;
use url::Url;
#[derive(Debug)]
pub enum A {}
#[derive(Debug)]
pub enum B {}
#[derive(Debug)]
pub enum C {}
#[derive(Debug)]
pub enum D {}
#[derive(Debug)]
pub enum E {}
#[derive(Debug)]
pub enum F {}
#[derive(Debug)]
pub enum G {}
pub type AuthorizationCode = Secret<A>;
pub type AccessToken = Secret<B>;
pub type RefreshToken = Secret<C>;
pub type RawIdToken = Secret<D>;
pub type Nonce = Secret<E>;
pub type State = Secret<F>;
pub type CodeVerifier = Secret<G>;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Organization,
    SignIn,
}
impl Service {
    pub fn endpoints(&self, _base: &Url) -> Endpoints {
        todo!()
    }
    pub fn known_scopes(&self) -> &'static [&'static str] {
        todo!()
    }
}
#[derive(Clone, Debug)]
pub struct Endpoints {
    pub authorize: Url,
    pub token: Url,
    pub keys: Url,
    pub revoke: Url,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMode {
    Query,
    FormPost,
}
#[derive(Clone, Debug)]
pub struct SigningKey;
#[derive(Debug, thiserror::Error)]
#[error("key")]
pub struct KeyError;
impl SigningKey {
    pub fn from_pem(_pem: &str) -> Result<Self, KeyError> {
        todo!()
    }
}
#[derive(Clone, Debug)]
pub struct Settings {
    pub client_id: String,
    pub team_id: String,
    pub key_id: String,
    pub signing_key: SigningKey,
    pub redirect_uri: Url,
    pub endpoints: Endpoints,
    pub response_mode: Option<ResponseMode>,
    pub pkce: bool,
    pub issuers: Vec<String>,
    pub timeout: Duration,
    pub clock_skew: Duration,
    pub keys_max_age: Duration,
    pub keys_max_stale: Duration,
    pub keys_min_interval: Duration,
    pub service: Service,
}
pub struct AuthorizationRequest<'a> {
    pub state: &'a State,
    pub nonce: &'a Nonce,
    pub scopes: &'a ScopeSet,
    pub verifier: Option<&'a CodeVerifier>,
}
#[derive(Debug)]
pub enum DeniedReason {
    Cancelled,
    Other(String),
}
#[derive(Debug)]
pub enum Callback {
    Granted { state: State, code: AuthorizationCode },
    Denied { state: State, error: DeniedReason },
}
#[derive(Debug, thiserror::Error)]
#[error("callback")]
pub struct CallbackError;
impl Callback {
    pub fn parse(_form: &Form) -> Result<Self, CallbackError> {
        todo!()
    }
}
#[derive(Debug)]
pub struct TokenAnswer {
    pub access_token: AccessToken,
    pub expires_at: Timestamp,
    pub refresh_token: Option<RefreshToken>,
    pub id_token: Option<RawIdToken>,
    pub scope: Option<ScopeSet>,
}
#[derive(Debug, Clone)]
pub enum Revocable {
    Refresh(RefreshToken),
    Access(AccessToken),
}
pub struct Expected<'a> {
    pub nonce: &'a Nonce,
    pub code: &'a AuthorizationCode,
    pub access_token: &'a AccessToken,
}
#[derive(Debug)]
pub struct VerifiedIdToken(Person, RawIdToken);
impl VerifiedIdToken {
    pub fn person(&self) -> &Person {
        &self.0
    }
    pub fn scopes(&self) -> Option<&ScopeSet> {
        None
    }
    pub fn raw(&self) -> &RawIdToken {
        &self.1
    }
    pub fn expires_at(&self) -> Timestamp {
        todo!()
    }
    #[cfg(test)]
    pub fn for_tests(person: Person) -> Self {
        Self(person, Secret::new("raw"))
    }
}
#[derive(Debug, Clone, thiserror::Error)]
#[error("call")]
pub enum CallError {
    InvalidGrant,
    InvalidClient,
    Refused(String),
    Throttled { retry_after: Option<Duration> },
    Unavailable(String),
    Malformed(String),
}
#[derive(Debug, thiserror::Error)]
#[error("verify")]
pub enum VerifyError {
    KeysUnavailable,
    Other,
}
#[derive(Debug)]
pub struct Apple;
impl Apple {
    pub fn new(_s: Settings, _c: SharedClock, _e: SharedEntropy) -> Result<Self, CallError> {
        todo!()
    }
    pub fn settings(&self) -> &Settings {
        todo!()
    }
    pub fn authorize_url(&self, _r: &AuthorizationRequest<'_>) -> Url {
        todo!()
    }
    pub async fn redeem(&self, _c: &AuthorizationCode, _v: Option<&CodeVerifier>) -> Result<TokenAnswer, CallError> {
        todo!()
    }
    pub async fn refresh(&self, _t: &RefreshToken) -> Result<TokenAnswer, CallError> {
        todo!()
    }
    pub async fn revoke(&self, _t: &Revocable) -> Result<(), CallError> {
        todo!()
    }
    pub async fn verify(&self, _t: &RawIdToken, _e: &Expected<'_>) -> Result<VerifiedIdToken, VerifyError> {
        todo!()
    }
}
#[derive(Debug)]
pub struct KeysStatus;
impl KeysStatus {
    pub fn problem(&self) -> Option<String> {
        None
    }
}
impl Apple {
    pub async fn keys_ready(&self) -> KeysStatus {
        KeysStatus
    }
    pub async fn warm_keys(&self) {}
}
