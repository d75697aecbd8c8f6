//! Identity headers, kept ready for those who are here; and the signed assertion beside them.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderName, header};

use super::{
    Answer, Gateway,
    exchange::{Exchange, Facts},
    prepared::{Entry, Header},
};
use crate::{
    assertion::AssertionError,
    pages::Failure,
    policy::{Admission, HeaderSet, Values, Variable},
    session::{ActiveSession, Record},
    telemetry::Decision as Told,
};

/// The signed assertion.
const ASSERTION: HeaderName = HeaderName::from_static("x-schoolgate-assertion");

/// What an app is told of who it is.
#[derive(Debug, Default)]
pub(super) struct Identity {
    ready: Option<Arc<Entry>>,
    assertion: Option<Header>,
}

impl Identity {
    /// The headers.
    pub(super) fn headers(&self) -> impl Iterator<Item = &Header> {
        self.ready.iter().flat_map(|ready| ready.headers()).chain(&self.assertion)
    }
}

impl Gateway {
    /// Has a judged request keep, until it is sent, all headers that tell its app whose it is.
    ///
    /// When there should be an assertion and none can be made, the request is denied: an app that wants one may take a
    /// request without it for one of nobody, or worse.
    pub(super) async fn identified(
        &self,
        judged: Result<Admission, Box<Answer>>,
        exchange: &Exchange,
    ) -> Result<Admission, Box<Answer>> {
        let admission = judged?;
        exchange.identify(self.identity_headers(&admission, &exchange.facts).await?);
        Ok(admission)
    }

    /// The headers of the route, and the assertion for the host of `facts`. None without a session.
    async fn identity_headers(&self, admission: &Admission, facts: &Facts) -> Result<Identity, Box<Answer>> {
        let Some(session) = admission.session() else { return Ok(Identity::default()) };
        let set = &admission.route().headers;
        let ready = Some(self.headers.of(set.id(), session, || fill(set, session)));
        let mut assertion = None;
        if let Some(assertions) = &self.assertions {
            // Without the port that the request names: the port of all hosts is that of the redirect URI.
            let audience = self.signin.home().origin_of(&facts.host);
            let value = assertions.of(session, audience).await;
            assertion = Some((ASSERTION, value.map_err(|error| not_vouched(&error, facts))?));
        }
        Ok(Identity { ready, assertion })
    }
}

/// The answer where an assertion, or the keys that apps check it with, cannot be had.
pub(super) fn not_vouched(error: &AssertionError, facts: &Facts) -> Box<Answer> {
    tracing::warn!(event = "assertion_unavailable", reason = %error);
    let answer = Answer::failure(Failure::NotVouched, facts.kind, &facts.request_id);
    Box::new(answer.with(header::RETRY_AFTER, "5").telling(Told::AssertionUnavailable))
}

fn fill(set: &HeaderSet, session: &ActiveSession) -> Box<[Header]> {
    let values = RecordValues(session.record());
    set.iter().filter_map(|(name, template)| Some((name.clone(), template.fill(&values)?))).collect()
}

/// The values of a session.
struct RecordValues<'a>(&'a Record);

impl Values for RecordValues<'_> {
    fn value(&self, variable: &Variable) -> Option<Cow<'_, str>> {
        let Record { handle, person, id_token, grant, .. } = self.0;
        match variable {
            Variable::AccessToken => Some(grant.access_token.expose().into()),
            Variable::AccessTokenExpiresAt => Some(grant.access_expires_at.seconds().to_string().into()),
            Variable::IdToken => id_token.raw(person).map(|token| token.expose().to_owned().into()),
            Variable::Claim(name) => id_token.claims(person).remove(name).map(Cow::Owned),
            Variable::SessionId => Some(handle.as_str().into()),
            Variable::Subject
            | Variable::Email
            | Variable::EmailVerified
            | Variable::IsPrivateEmail
            | Variable::Organization
            | Variable::Scopes
            | Variable::AuthTime => variable.of_person(person, &grant.scopes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{policy::Template, session::testing::active_session};

    fn filled(template: &str) -> Option<String> {
        let session = active_session("anna", "edu.users.read edu.classes.read");
        let set = HeaderSet::new([(HeaderName::from_static("x-test"), Template::parse(template).unwrap())]);
        fill(&set, &session).first().map(|(_, value)| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_session_fills_the_templates() {
        for (template, value) in [
            ("{sub}", "anna"),
            ("{scopes}", "edu.classes.read edu.users.read"),
            ("Bearer {access_token}", "Bearer access-1"),
            ("{access_token_expires_at}", "4600"),
            ("{session_id}", "anna"),
            ("{id_token}", "raw"),
        ] {
            assert_eq!(filled(template).as_deref(), Some(value));
        }
    }

    #[test]
    fn what_a_session_does_not_know_is_not_sent() {
        for template in ["{email}", "{email_verified}", "{is_private_email}", "{org_id}", "{auth_time}", "{claim:role}"]
        {
            assert_eq!(filled(template), None, "{template}");
        }
    }
}
