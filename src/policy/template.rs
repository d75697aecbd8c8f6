//! Header templates: what an app is told about a person.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicU64, Ordering},
};

use http::{HeaderName, HeaderValue};

use crate::identity::{Person, ScopeSet};

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace without its partner.
    #[error("has a brace without its partner; write {{{{ or }}}} for a brace itself")]
    Brace,
    /// A name that is no variable.
    #[error(
        "names {{{0}}}, which is none of sub, email, email_verified, is_private_email, org_id, scopes, auth_time, \
         access_token, access_token_expires_at, id_token, session_id and claim:NAME"
    )]
    Unknown(String),
    /// A character that no header value may have.
    #[error("has a control character")]
    Character,
}

/// A value that a template can name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    /// The claim `sub`.
    Subject,
    /// The claim `email`.
    Email,
    /// The claim `email_verified`.
    EmailVerified,
    /// The claim `is_private_email`.
    IsPrivateEmail,
    /// The claim `org_id`.
    Organization,
    /// The granted scopes, separated by spaces.
    Scopes,
    /// The claim `auth_time`, in seconds since the epoch.
    AuthTime,
    /// The access token.
    AccessToken,
    /// When the access token expires, in seconds since the epoch.
    AccessTokenExpiresAt,
    /// The ID token as Apple signed it.
    IdToken,
    /// The public handle of the session.
    SessionId,
    /// Any claim of the ID token that is a text, a number or a boolean.
    Claim(String),
}

impl Variable {
    fn parse(name: &str) -> Result<Self, TemplateError> {
        Ok(match name {
            "sub" => Self::Subject,
            "email" => Self::Email,
            "email_verified" => Self::EmailVerified,
            "is_private_email" => Self::IsPrivateEmail,
            "org_id" => Self::Organization,
            "scopes" => Self::Scopes,
            "auth_time" => Self::AuthTime,
            "access_token" => Self::AccessToken,
            "access_token_expires_at" => Self::AccessTokenExpiresAt,
            "id_token" => Self::IdToken,
            "session_id" => Self::SessionId,
            other => match other.strip_prefix("claim:") {
                Some(claim) if !claim.is_empty() => Self::Claim(claim.to_owned()),
                Some(_) | None => return Err(TemplateError::Unknown(other.to_owned())),
            },
        })
    }
}

impl Variable {
    /// Its value when it is one of a person or their grant; those of a session and its tokens, claims among them, are
    /// not.
    #[must_use]
    pub fn of_person<'a>(&self, person: &'a Person, scopes: &'a ScopeSet) -> Option<Cow<'a, str>> {
        let flag = |flag| Cow::Borrowed(if flag { "true" } else { "false" });
        let email = person.email.as_ref();
        match self {
            Self::Subject => Some(person.subject.as_str().into()),
            Self::Email => email.map(|email| Cow::Borrowed(&*email.address)),
            Self::EmailVerified => email.map(|email| flag(email.verified)),
            Self::IsPrivateEmail => person.is_private_email.map(flag),
            Self::Organization => person.organization.as_ref().map(|organization| organization.as_str().into()),
            Self::Scopes => Some(scopes.as_str().into()),
            Self::AuthTime => person.auth_time.map(|seconds| seconds.to_string().into()),
            Self::Claim(_) | Self::AccessToken | Self::AccessTokenExpiresAt | Self::IdToken | Self::SessionId => None,
        }
    }
}

/// Gives the values of variables; `None` when there is none.
pub trait Values {
    /// The value of one variable.
    fn value(&self, variable: &Variable) -> Option<Cow<'_, str>>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Variable(Variable),
}

/// A header value with places for variables, such as `Bearer {access_token}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When braces do not match, a variable is unknown, or a character may stand in no header.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.chars().any(char::is_control) {
            return Err(TemplateError::Character);
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let (name, after) = after.split_once('}').filter(|_| brace == "{").ok_or(TemplateError::Brace)?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Variable(Variable::parse(name)?));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self(pieces))
    }

    /// The header value; `None` when a value is missing or cannot stand in a header, for then the
    /// header is not sent at all. Marked sensitive, so that its `Debug` shows nothing.
    #[must_use]
    pub fn fill(&self, values: &dyn Values) -> Option<HeaderValue> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => filled.push_str(text),
                Piece::Variable(variable) => {
                    filled.push_str(&values.value(variable).filter(|value| !value.is_empty())?)
                }
            }
        }
        let mut value = HeaderValue::try_from(filled).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(variable) => Some(variable),
            Piece::Literal(_) => None,
        })
    }
}

/// The headers of a route: names with templates, each name once.
#[derive(Clone, Debug)]
pub struct HeaderSet {
    entries: Vec<(HeaderName, Template)>,
    id: u64,
    names_the_access_token: bool,
}

/// Counts the sets of this process, so that what was filled in for one is never taken for another's.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl HeaderSet {
    /// What an app without `headers` gets.
    #[must_use]
    pub fn standard() -> Self {
        let one = |name, variable| (HeaderName::from_static(name), Template(vec![Piece::Variable(variable)]));
        Self::new([
            one("x-forwarded-user", Variable::Subject),
            one("x-forwarded-email", Variable::Email),
            one("x-forwarded-access-token", Variable::AccessToken),
            one("x-schoolgate-organization", Variable::Organization),
            one("x-schoolgate-scopes", Variable::Scopes),
        ])
    }

    /// Headers of one's own; a later entry takes the place of an earlier one of the same name.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = (HeaderName, Template)>) -> Self {
        let mut kept: Vec<(HeaderName, Template)> = Vec::new();
        for (name, template) in entries {
            kept.retain(|(other, _)| *other != name);
            kept.push((name, template));
        }
        let names_the_access_token = kept
            .iter()
            .flat_map(|(_, template)| template.variables())
            .any(|variable| matches!(variable, Variable::AccessToken | Variable::AccessTokenExpiresAt));
        Self { entries: kept, id: NEXT_ID.fetch_add(1, Ordering::Relaxed), names_the_access_token }
    }

    /// This set with `others` added; the same name is replaced.
    #[must_use]
    pub fn overridden_by(&self, others: &Self) -> Self {
        Self::new(self.entries.iter().chain(&others.entries).cloned())
    }

    /// A number that no other set of this process has.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Names and templates.
    pub fn iter(&self) -> impl Iterator<Item = &(HeaderName, Template)> {
        self.entries.iter()
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.entries.iter().map(|(name, _)| name)
    }

    /// Whether an app gets the access token here, so that it must be fresh.
    #[must_use]
    pub fn names_the_access_token(&self) -> bool {
        self.names_the_access_token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Known;

    impl Values for Known {
        fn value(&self, variable: &Variable) -> Option<Cow<'_, str>> {
            match variable {
                Variable::Subject => Some("000264.Abc.RUtP".into()),
                Variable::AccessToken => Some("a1.0.x".into()),
                Variable::Claim(name) if name == "name" => Some("Zoë".into()),
                Variable::Claim(name) if name == "bad" => Some("a\r\nX-Admin: 1".into()),
                Variable::Scopes => Some("".into()),
                Variable::Email
                | Variable::EmailVerified
                | Variable::IsPrivateEmail
                | Variable::Organization
                | Variable::AuthTime
                | Variable::AccessTokenExpiresAt
                | Variable::IdToken
                | Variable::SessionId
                | Variable::Claim(_) => None,
            }
        }
    }

    fn fill(text: &str) -> Option<Vec<u8>> {
        Template::parse(text).unwrap().fill(&Known).map(|value| value.as_bytes().to_vec())
    }

    #[test]
    fn variables_are_filled_in() {
        assert_eq!(fill("Bearer {access_token}").unwrap(), b"Bearer a1.0.x");
        assert_eq!(fill("{{{sub}}}").unwrap(), b"{000264.Abc.RUtP}");
        assert_eq!(fill("{claim:name}").unwrap(), "Zoë".as_bytes());
        assert_eq!(fill("fixed").unwrap(), b"fixed");
    }

    #[test]
    fn a_header_with_a_missing_value_is_not_sent_at_all() {
        for text in ["{email}", "user {email} of {sub}", "{claim:none}", "{scopes}"] {
            assert_eq!(fill(text), None, "{text}");
        }
    }

    #[test]
    fn a_value_that_would_break_out_of_the_header_is_not_sent() {
        assert_eq!(fill("{claim:bad}"), None);
    }

    #[test]
    fn wrong_templates_are_refused() {
        for (text, why) in [
            ("{sub", TemplateError::Brace),
            ("sub}", TemplateError::Brace),
            ("{Sub}", TemplateError::Unknown("Sub".into())),
            ("{}", TemplateError::Unknown(String::new())),
            ("{claim:}", TemplateError::Unknown("claim:".into())),
            ("a\nb", TemplateError::Character),
        ] {
            assert_eq!(Template::parse(text).unwrap_err(), why, "{text:?}");
        }
    }

    #[test]
    fn a_route_overrides_headers_of_the_same_name() {
        let one = |name: &'static str, text| (HeaderName::from_static(name), Template::parse(text).unwrap());
        let app = HeaderSet::new([one("x-a", "{sub}"), one("x-b", "{email}")]);
        let both = app.overridden_by(&HeaderSet::new([one("x-a", "{access_token}")]));
        assert_eq!(both.names().count(), 2);
        assert!(both.names_the_access_token() && !app.names_the_access_token());
    }

    #[test]
    fn a_filled_header_does_not_show_itself_in_a_log() {
        let value = Template::parse("{access_token}").unwrap().fill(&Known).unwrap();
        assert_eq!(format!("{value:?}"), "Sensitive");
    }
}
