//! From a request to an admission, or to the answer that it gets instead.

use std::fmt::Write;

use http::header;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    Answer, Gateway,
    exchange::{Exchange, Facts},
    fields::Fields,
    forwarding,
};
use crate::{
    identity::ScopeSet,
    pages::{self, Denial, Explanation, Failure, Forbidden, Page, ScopeMissing, SignInProblem},
    policy::{Access, Admission, Decision, Lookup, Miss, Obstacle, Unmet, decide},
    session::{ActiveSession, StoreError},
    signin::{AtApple, Begun, Browser, RenewProblem},
    telemetry::Decision as Told,
    web::{Kind, OWN_PREFIX, Place, ReturnPath, Scheme},
};

/// What stays as it is in a query value, inside a quoted string.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

impl Gateway {
    /// The way of every request that is meant for an app: the rules, what stands against it, what the app is told of
    /// who it is, and the app's own sign-out.
    pub(super) async fn judge(&self, request: &impl Fields, exchange: &Exchange) -> Result<Admission, Box<Answer>> {
        let facts = &exchange.facts;
        let browser = forwarding::browser(request, facts);
        let judged = self.admit(exchange, &browser).await.and_then(|admission| {
            let objection = self.objection(request, facts, &admission);
            objection.map_or(Ok(admission), |answer| Err(Box::new(answer)))
        });
        // Before the app's own sign-out: what it says of who it was has to be said all the same.
        let judged = self.identified(judged, exchange).await;
        self.send_off(judged, &browser, exchange).await
    }

    /// Admits a request, or says what it gets instead. The answer is boxed: most requests have none.
    async fn admit(&self, exchange: &Exchange, browser: &Browser<'_>) -> Result<Admission, Box<Answer>> {
        let facts = &exchange.facts;
        let found = self.table.find(&facts.host, &facts.method, facts.target.path());
        let lookup = found.map_err(|miss| self.missed(miss, facts))?;
        exchange.meets(lookup.number());
        let session = match lookup.route().access {
            Access::Public => None,
            Access::Optional | Access::Required => {
                self.signin.session_of(browser).await.map_err(|error| sessions_unavailable(&error, facts))?
            }
        };
        match decide(lookup.clone(), facts.kind, session.as_ref()) {
            Decision::Admit(admission) => match self.freshened(&admission, facts).await? {
                Freshened::Same => Ok(admission),
                Freshened::Changed(session) => match decide(lookup, facts.kind, session.as_ref()) {
                    Decision::Admit(admission) => Ok(admission),
                    Decision::TurnAway(why) => Err(self.turn_away(why, session.as_ref(), facts, browser)),
                },
            },
            Decision::TurnAway(why) => Err(self.turn_away(why, session.as_ref(), facts, browser)),
        }
    }

    /// A token with enough life left, when the app is to get one.
    async fn freshened(&self, admission: &Admission, facts: &Facts) -> Result<Freshened, Box<Answer>> {
        let Some(session) = admission.session().filter(|_| admission.route().headers.names_the_access_token()) else {
            return Ok(Freshened::Same);
        };
        if self.signin.serves(session) {
            return Ok(Freshened::Same);
        }
        match self.signin.fresh(session.clone()).await {
            Ok(fresh) if fresh.record().generation == session.record().generation => Ok(Freshened::Same),
            Ok(fresh) => Ok(Freshened::Changed(Some(fresh))),
            Err(RenewProblem::Ended) => Ok(Freshened::Changed(None)),
            Err(RenewProblem::Unavailable { retry_after }) => {
                let seconds = retry_after.as_secs().max(1).to_string();
                let answer = Answer::failure(Failure::NotRenewed, facts.kind, &facts.request_id);
                let answer = answer.because("the access token has expired, and Apple gives no new one now");
                let answer = answer.telling(Told::TokenUnavailable);
                Err(Box::new(answer.with(header::RETRY_AFTER, &seconds)))
            }
            Err(RenewProblem::Store(error)) => Err(sessions_unavailable(&error, facts)),
        }
    }

    /// The answer to a request that meets no route.
    fn missed(&self, miss: Miss, facts: &Facts) -> Box<Answer> {
        let fail = |failure| Answer::failure(failure, facts.kind, &facts.request_id);
        Box::new(match miss {
            Miss::Host => misdirected(facts),
            Miss::Path => fail(Failure::NotFound).because("no route covers the path").telling(Told::NoRoute),
            // RFC 9110, section 15.5.6: the origin server MUST generate an Allow header field.
            Miss::Method => fail(Failure::MethodNotAllowed)
                .because("no route of this path takes the method")
                .with(header::ALLOW, &self.table.methods_at(&facts.host, facts.target.path()))
                .telling(Told::MethodNotTaken),
            Miss::Ambiguous => fail(Failure::BadRequest)
                .because("some apps would read this path as that of another route")
                .telling(Told::AmbiguousPath),
        })
    }

    /// The answer to a request that is not admitted.
    pub(super) fn turn_away(
        &self,
        why: Obstacle,
        session: Option<&ActiveSession>,
        facts: &Facts,
        browser: &Browser<'_>,
    ) -> Box<Answer> {
        Box::new(match why {
            Obstacle::SignIn { lookup, redirect } => self.sign_in(&lookup, None, redirect, facts, browser),
            Obstacle::StepUp { lookup, missing, redirect } => match session {
                Some(session) if missing.is_within(&session.record().asked) => {
                    scope_missing(&missing, &lookup, session, facts)
                }
                session => self.sign_in(&lookup, session.map(|session| (session, &missing)), redirect, facts, browser),
            },
            Obstacle::NotAllowed { lookup, unmet } => not_allowed(unmet, &lookup, session, facts),
        })
    }

    /// To Apple, or 401 with the way there.
    fn sign_in(
        &self,
        lookup: &Lookup,
        step_up: Option<(&ActiveSession, &ScopeSet)>,
        redirect: bool,
        facts: &Facts,
        browser: &Browser<'_>,
    ) -> Answer {
        let return_to = ReturnPath::of(&facts.target).unwrap_or_else(ReturnPath::root);
        if redirect && facts.may_redirect {
            let session = step_up.map(|(session, _)| session);
            return self.to_apple(&lookup.route().scopes, session, return_to, AtApple::IfNeeded, facts, browser);
        }
        let (place, scheme) = (return_to.into(), self.settings.external_scheme);
        let Some((_, missing)) = step_up else { return not_signed_in(&place, facts, scheme) };
        // RFC 6750, section 3.1, under our own scheme.
        let before = format!("Schoolgate error=\"insufficient_scope\", scope=\"{missing}\", sign_in=\"");
        let challenge = sign_in_url(&before, scheme, facts, &place, "\"");
        let answer = unauthorized(Denial::ScopeMissing, &challenge, &place, facts);
        answer.because(format!("the session does not have {missing}")).telling(Told::ScopeNeeded)
    }

    /// The redirect to Apple, with the cookies of the sign-in.
    pub(super) fn to_apple(
        &self,
        scopes: &ScopeSet,
        session: Option<&ActiveSession>,
        return_to: ReturnPath,
        at_apple: AtApple,
        facts: &Facts,
        browser: &Browser<'_>,
    ) -> Answer {
        match self.held_back(&return_to.clone().into(), facts) {
            Some(answer) => answer,
            None => begun(&self.signin.begin(browser, session, scopes, return_to, at_apple), facts),
        }
    }

    /// The answer to a request that does not get to Apple, whatever was decided before: to one in a frame, to a guess
    /// of the browser, and to one sign-in too many from one address.
    pub(super) fn held_back(&self, retry: &Place, facts: &Facts) -> Option<Answer> {
        if matches!(facts.kind, Kind::Frame | Kind::Guess) {
            return Some(not_signed_in(retry, facts, self.settings.external_scheme));
        }
        if self.sign_ins.admits(facts.client) {
            return None;
        }
        self.metrics.rate_limited.inc();
        tracing::info!(event = "sign_in_rate_exceeded");
        let explanation = SignInProblem::TooMany.explanation();
        let page = || pages::try_again(SignInProblem::TooMany, retry, &facts.request_id);
        let answer = Answer::error(&explanation, facts.kind, &facts.request_id, page);
        let answer = answer.because("more sign-ins from this address than sign_in_rate_per_ip");
        Some(answer.with(header::RETRY_AFTER, "1").telling(Told::RateLimited))
    }
}

/// The reason of a 421.
pub(super) const NO_SUCH_HOST: &str = "no app has this host";

/// The answer to a request for a host that no app has.
pub(super) fn misdirected(facts: &Facts) -> Answer {
    let answer = Answer::failure(Failure::Misdirected, facts.kind, &facts.request_id);
    answer.because(NO_SUCH_HOST).telling(Told::UnknownHost)
}

/// The answer to a request on a connection whose certificate is for other hosts (RFC 9110, section 7.4).
pub(super) fn uncertified(facts: &Facts) -> Answer {
    let answer = Answer::failure(Failure::Misdirected, facts.kind, &facts.request_id);
    answer.because("the certificate of this connection is not for this host").telling(Told::UnknownHost)
}

/// The redirect of a sign-in that has begun.
pub(super) fn begun(begun: &Begun, facts: &Facts) -> Answer {
    // RFC 9700, section 4.12: never 307, which would send a form on to Apple.
    let status = if matches!(facts.method, http::Method::GET | http::Method::HEAD) { 302 } else { 303 };
    Answer::redirect(status, &begun.location).with_cookies(&begun.cookies).telling(Told::SignInBegun)
}

/// 401 with the way to sign in.
pub(super) fn not_signed_in(place: &Place, facts: &Facts, scheme: Scheme) -> Answer {
    let challenge = sign_in_url("Schoolgate sign_in=\"", scheme, facts, place, "\"");
    let answer = unauthorized(Denial::SignInNeeded, &challenge, place, facts);
    answer.because("nobody is signed in").telling(Told::SignInNeeded)
}

fn unauthorized(denial: Denial, challenge: &str, place: &Place, facts: &Facts) -> Answer {
    let explanation = Explanation { status: 401, ..denial.explanation() };
    let page = || match facts.kind {
        Kind::Frame => Page { status: 401, ..pages::sign_in_on_top(place) },
        Kind::Navigation | Kind::Guess | Kind::Other => Page { status: 401, ..pages::not_signed_in() },
    };
    Answer::error(&explanation, facts.kind, &facts.request_id, page).with(header::WWW_AUTHENTICATE, challenge)
}

/// Where to sign in: `before` and `after` stand around it.
fn sign_in_url(before: &str, scheme: Scheme, facts: &Facts, place: &Place, after: &str) -> String {
    let mut text = String::with_capacity(before.len() + after.len() + place.path.as_str().len() + 128);
    text.push_str(before);
    match &place.origin {
        // Into a text nothing fails to be written.
        Some(origin) => drop(write!(text, "{origin}")),
        None => drop(write!(text, "{scheme}://{}", facts.host)),
    }
    text.push_str(OWN_PREFIX);
    text.push_str("sign-in?return_to=");
    text.extend(utf8_percent_encode(place.path.as_str(), QUERY_VALUE));
    text.push_str(after);
    text
}

/// The answer to a request whose session ended while the app was still at work.
pub(super) fn signed_out_meanwhile(facts: &Facts, scheme: Scheme) -> Answer {
    let return_to = ReturnPath::of(&facts.target).unwrap_or_else(ReturnPath::root);
    not_signed_in(&return_to.into(), facts, scheme)
}

/// What came of asking for a fresh token.
enum Freshened {
    /// The session is as it was.
    Same,
    /// It has a new token, or it has ended.
    Changed(Option<ActiveSession>),
}

pub(super) fn sessions_unavailable(error: &StoreError, facts: &Facts) -> Box<Answer> {
    tracing::error!(event = "store_unavailable", reason = %error);
    let answer = Answer::failure(Failure::SessionsUnavailable, facts.kind, &facts.request_id);
    let answer = answer.because("the session store does not answer");
    Box::new(answer.with(header::RETRY_AFTER, "5").telling(Told::StoreUnavailable))
}

/// The log says which kind of rule it was; the address of a person is in no log.
fn not_allowed(unmet: Unmet, lookup: &Lookup, session: Option<&ActiveSession>, facts: &Facts) -> Answer {
    let return_to = ReturnPath::of(&facts.target).unwrap_or_else(ReturnPath::root);
    let Some(session) = session else {
        return Answer::failure(Failure::Internal, facts.kind, &facts.request_id);
    };
    let person = &session.record().person;
    let organization = person.organization.as_ref().map(|organization| organization.as_str());
    tracing::info!(
        event = "not_allowed", reason = unmet.as_str(),
        app = lookup.app().name, route = lookup.route().prefix.as_str(),
        session = %session.record().handle, organization,
    );
    let page = || pages::forbidden(&Forbidden { person, reference: &facts.request_id, return_to: &return_to });
    let answer = Answer::error(&Denial::Forbidden.explanation(), facts.kind, &facts.request_id, page);
    answer.because(unmet.as_str()).telling(Told::NotAllowed)
}

/// Apple was asked already and did not grant it: 403, and no loop.
fn scope_missing(missing: &ScopeSet, lookup: &Lookup, session: &ActiveSession, facts: &Facts) -> Answer {
    let return_to = &ReturnPath::of(&facts.target).unwrap_or_else(ReturnPath::root).into();
    let person = &session.record().person;
    tracing::info!(
        event = "scope_missing", reason = "Apple was asked and did not grant it", %missing,
        app = lookup.app().name, route = lookup.route().prefix.as_str(),
        session = %session.record().handle,
    );
    let page = || pages::scope_missing(&ScopeMissing { person, missing, reference: &facts.request_id, return_to });
    let answer = Answer::error(&Denial::ScopeMissing.explanation(), facts.kind, &facts.request_id, page);
    answer.because(format!("Apple was asked for {missing} and did not grant it")).telling(Told::ScopeNotGranted)
}
