//! What the stand-in does by default, and what a switch can make it do instead.

use std::{collections::BTreeSet, time::Duration};

use super::{ErrorCode, Forgery, KeyOddity, Verified};
use crate::{clock::Timestamp, identity::ScopeSet};

/// What happens to somebody who may not authorize an app to read the roster, but is asked to. Apple does
/// not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Back to the gateway with `error=access_denied`.
    Denied,
    /// Back to the gateway with `error=user_cancelled_authorize`.
    Cancelled,
    /// A page with 403; the browser stays at Apple.
    Page,
    /// They may after all.
    Granted,
}

/// The `iss` of ID tokens that Apple is known to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// `https://appleid.apple.com`
    AppleId,
    /// `https://appleid.apple.com/auth/oauth2/v2`
    OrganizationService,
    /// `https://account.apple.com`, as on 10 June 2025.
    Account,
}

impl Issuer {
    /// The text of the claim.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AppleId => "https://appleid.apple.com",
            Self::OrganizationService => "https://appleid.apple.com/auth/oauth2/v2",
            Self::Account => "https://account.apple.com",
        }
    }
}

/// Which scopes are granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// All that were asked for.
    AsAsked,
    /// Of those that were asked for, only these.
    Only(ScopeSet),
}

/// The claim `email`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailClaim {
    /// As the person has it.
    OfPerson,
    /// Never.
    Absent,
    /// An empty text.
    Empty,
}

/// The claim `email_verified`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifiedClaim {
    /// As the person has it.
    OfPerson,
    /// This, for everybody.
    Always(Verified),
    /// Never.
    Absent,
}

/// The member `expires_in` of token answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiresIn {
    /// The lifetime in seconds.
    Number,
    /// The lifetime in seconds, as a JSON string.
    Text,
    /// Not there.
    Absent,
    /// `-1`
    Negative,
    /// `1e300`
    Huge,
}

/// The member `token_type` of token answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// `Bearer`, as in Apple's examples.
    Bearer,
    /// `bearer`, as Apple's text says.
    LowerCase,
    /// `mac`
    Other,
    /// Not there.
    Absent,
}

/// How far a revocation reaches. Apple says "the tokens and associated user authorizations".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The tokens of this one authorization.
    Grant,
    /// Every authorization of the client by the same person.
    Person,
    /// Every authorization of the client by people of the same organization.
    Organization,
}

/// What a refresh token is answered with after its revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRevocation {
    /// `invalid_grant`
    InvalidGrant,
    /// `invalid_request`, as TN3107 has it.
    InvalidRequest,
}

impl AfterRevocation {
    pub(super) const fn error(self) -> ErrorCode {
        match self {
            Self::InvalidGrant => ErrorCode::InvalidGrant,
            Self::InvalidRequest => ErrorCode::InvalidRequest,
        }
    }
}

/// When the member `user` comes with a `form_post`. It comes only for the scopes `name` and `email`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserMember {
    /// At the first authorization, as with Apple.
    First,
    /// At every one.
    Always,
    /// Never.
    Never,
}

/// What the signed text of a notification is wrapped in. Apple documents one for Sign in with Apple only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `{"payload": "..."}`
    Json,
    /// A form with the field `payload`.
    Form,
    /// Nothing.
    Bare,
}

/// The claim `events` of notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventsClaim {
    /// A list in the organization service, the one event as a JSON text in Sign in with Apple.
    OfService,
    /// A list.
    List,
    /// The one event.
    Object,
    /// The one event as a JSON text.
    Text,
    /// A list as a JSON text.
    ListText,
}

/// The header `Date` of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateHeader {
    /// By the clock of the stand-in.
    Right,
    /// So much later.
    Ahead(Duration),
    /// So much earlier.
    Behind(Duration),
    /// Something that is no date.
    Nonsense,
}

impl DateHeader {
    pub(super) fn text(self, now: Timestamp) -> String {
        let date = match self {
            Self::Right => now,
            Self::Ahead(while_) => now.plus(while_),
            Self::Behind(while_) => now.minus(while_),
            Self::Nonsense => return "soon".to_owned(),
        };
        date.to_http_date().unwrap_or_default()
    }
}

/// Everything that is not a trouble of one endpoint.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Makes every ID token, and every notification, a forged one.
    pub forgery: Option<Forgery>,
    /// Whether a code is answered with an ID token. Apple's own pages disagree.
    pub id_token_on_exchange: bool,
    /// Whether a refresh is answered with an ID token. Apple's own pages disagree.
    pub id_token_on_refresh: bool,
    /// Whether ID tokens of a refresh repeat the nonce. OpenID Connect Core, section 12.2, advises against it.
    pub nonce_on_refresh: bool,
    /// The ID token of a refresh tells of another person.
    pub other_person_on_refresh: bool,
    /// Whether a code is answered with a refresh token.
    pub refresh_token: bool,
    /// A refresh brings a new refresh token, and the old one dies.
    pub refresh_rotation: bool,
    /// The life of access tokens.
    pub access_token_lifetime: Duration,
    /// The member `expires_in`.
    pub expires_in: ExpiresIn,
    /// The member `token_type`.
    pub token_type: TokenType,
    /// Whether token answers have the member `scope`. Apple documents none.
    pub scope_member: bool,
    /// Whether ID tokens of managed accounts have the claim `scopes`.
    pub scopes_claim: bool,
    /// Which scopes are granted.
    pub granted: Granted,
    /// What happens to those who may not authorize an app to read the roster.
    pub others: Others,
    /// The claim `iss`.
    pub issuer: Issuer,
    /// The claim `email`.
    pub email: EmailClaim,
    /// The claim `email_verified`.
    pub email_verified: VerifiedClaim,
    /// Whether ID tokens have `at_hash`.
    pub at_hash: bool,
    /// Whether ID tokens that come for a code have `c_hash`.
    pub c_hash: bool,
    /// Whether ID tokens have `auth_time`.
    pub auth_time: bool,
    /// When `user` comes with a `form_post`.
    pub user_member: UserMember,
    /// Parameters that Apple does not document are refused, those of PKCE too.
    pub refuse_unknown_parameters: bool,
    /// How far a revocation reaches.
    pub revocation_reach: Reach,
    /// What a revoked refresh token is answered with.
    pub after_revocation: AfterRevocation,
    /// Oddities of the key set.
    pub key_oddities: BTreeSet<KeyOddity>,
    /// How notifications are wrapped.
    pub envelope: Envelope,
    /// The header `Date`.
    pub date: DateHeader,
    /// How the claim `events` of notifications is written.
    pub events: EventsClaim,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            forgery: None,
            id_token_on_exchange: true,
            id_token_on_refresh: true,
            nonce_on_refresh: false,
            other_person_on_refresh: false,
            refresh_token: true,
            refresh_rotation: false,
            access_token_lifetime: Duration::from_secs(3600),
            expires_in: ExpiresIn::Number,
            token_type: TokenType::Bearer,
            scope_member: false,
            scopes_claim: true,
            granted: Granted::AsAsked,
            others: Others::Denied,
            issuer: Issuer::AppleId,
            email: EmailClaim::OfPerson,
            email_verified: VerifiedClaim::OfPerson,
            at_hash: true,
            c_hash: false,
            auth_time: true,
            user_member: UserMember::First,
            refuse_unknown_parameters: false,
            revocation_reach: Reach::Grant,
            after_revocation: AfterRevocation::InvalidGrant,
            key_oddities: BTreeSet::new(),
            envelope: Envelope::Json,
            date: DateHeader::Right,
            events: EventsClaim::OfService,
        }
    }
}
