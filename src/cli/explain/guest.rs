//! Somebody who has signed in, as the command line describes them.

use std::{borrow::Cow, fmt};

use super::Arguments;
use crate::{
    identity::{Email, Organization, Person, ScopeSet, Subject},
    policy::{Values, Variable},
};

/// A person with a grant. It opens nothing: no session is made of it.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) person: Person,
    pub(super) scopes: ScopeSet,
}

impl Guest {
    /// Reads `--as` and what belongs to it; nobody without.
    pub(super) fn read(arguments: &Arguments) -> Result<Option<Self>, String> {
        let Some(text) = &arguments.guest else { return Ok(None) };
        let parts: Vec<_> = text.split(',').collect();
        let (subject, organization, scopes) = match parts[..] {
            [subject] => (subject, "", ""),
            [subject, organization] => (subject, organization, ""),
            [subject, organization, scopes] => (subject, organization, scopes),
            _ => {
                let cure = "write SUB,ORG,SCOPES with spaces between the scopes";
                return Err(format!("--as \"{text}\" has more than two commas; {cure}"));
            }
        };
        let fault = |what: &str, text: &str, why: &dyn fmt::Display| format!("the {what} \"{text}\" of --as {why}");
        let subject = Subject::parse(subject).map_err(|why| fault("sub", subject, &why))?;
        let organization = match organization {
            "" => None,
            text => Some(Organization::parse(text).map_err(|why| fault("org_id", text, &why))?),
        };
        let scopes = ScopeSet::parse(scopes).map_err(|_| {
            fault("list of scopes", scopes, &"is none: write scopes such as edu.users.read, separated by spaces")
        })?;
        let verified = !arguments.unverified_email;
        let email = arguments.email.clone().map(|address| Email { address: address.into(), verified });
        let person = Person { subject, organization, email, is_private_email: None, auth_time: None };
        Ok(Some(Self { person, scopes }))
    }
}

/// In one line.
impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { person, scopes } = self;
        write!(f, "{}", person.subject)?;
        match &person.organization {
            Some(organization) => write!(f, " of organization {organization}")?,
            None => write!(f, " of no organization")?,
        }
        match &person.email {
            Some(Email { address, verified: true }) => write!(f, ", {address}")?,
            Some(Email { address, verified: false }) => write!(f, ", {address} (not verified)")?,
            None => {}
        }
        if scopes.is_empty() { write!(f, ", with no scope") } else { write!(f, ", with {scopes}") }
    }
}

/// What is known, and names for what only Apple or a session can give.
impl Values for Guest {
    fn value(&self, variable: &Variable) -> Option<Cow<'_, str>> {
        let known = if let Variable::Claim(name) = variable {
            match name.as_str() {
                "sub" => self.value(&Variable::Subject),
                "org_id" => self.value(&Variable::Organization),
                "email" => self.value(&Variable::Email),
                "email_verified" => self.value(&Variable::EmailVerified),
                _ => None,
            }
        } else {
            variable.of_person(&self.person, &self.scopes)
        };
        let unknown = || match variable {
            Variable::Subject | Variable::Email | Variable::EmailVerified | Variable::Organization => None,
            Variable::Scopes => None,
            Variable::IsPrivateEmail => Some("<true or false>".into()),
            Variable::AuthTime => Some("<time of the sign-in>".into()),
            Variable::AccessToken => Some("<access token>".into()),
            Variable::AccessTokenExpiresAt => Some("<end of the access token>".into()),
            Variable::IdToken => Some("<ID token>".into()),
            Variable::SessionId => Some("<session id>".into()),
            Variable::Claim(name) => Some(format!("<claim {name}>").into()),
        };
        known.or_else(unknown)
    }
}
