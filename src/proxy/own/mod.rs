//! The gateway's own paths, on every host.

mod auth;
mod body;
mod elsewhere;
mod hosts;
mod jwks;
mod notifications;
mod original;

use std::sync::LazyLock;

use http::{Method, header};
use pingora::{http::RequestHeader, proxy::Session};

pub(super) use self::elsewhere::is_from_elsewhere;
use super::{Answer, Gateway, exchange::Facts, forwarding, judge::sessions_unavailable};
use crate::{
    apple::{CallError, DeniedReason, VerifyError},
    pages::{self, Denial, Failure, ScopeMissing, SignInProblem, SignedIn},
    session::{ActiveSession, Device, StoreError},
    signin::{AtApple, Browser, Finished, LeftBy, Owner, Problem},
    telemetry::OwnPath,
    web::{CanonicalPath, Form, Kind, OWN_PREFIX, PathPrefix, Place, ReturnPath},
};

/// The event of the same number has more.
const SIGN_IN_FAILED: &str = "the sign-in came to nothing";

static OWN: LazyLock<Option<PathPrefix>> = LazyLock::new(|| CanonicalPath::parse(OWN_PREFIX).ok().map(PathPrefix::new));

/// Whether a path is the gateway's own, in any spelling that an app could take for it. It never
/// reaches an app.
#[must_use]
pub fn is_own(path: &CanonicalPath) -> bool {
    OWN.as_ref().is_none_or(|own| own.may_cover(path))
}

/// One of the gateway's own paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The page that says who is signed in.
    Home,
    /// The same as JSON.
    Me,
    /// Starts a sign-in.
    SignIn,
    /// Takes Apple's answer.
    Callback,
    /// Ends the session.
    SignOut,
    /// Takes a ticket from the home.
    Session,
    /// Tells web servers whether a request may go to its app.
    Auth,
    /// Takes Apple's notifications.
    Notifications,
    /// The keys of the assertion.
    Jwks,
}

impl Endpoint {
    /// The one at a path; only exact paths are served.
    #[must_use]
    pub fn of(path: &CanonicalPath) -> Option<Self> {
        Some(match path.as_str().strip_prefix(OWN_PREFIX)? {
            "" => Self::Home,
            "me" => Self::Me,
            "sign-in" => Self::SignIn,
            "callback" => Self::Callback,
            "sign-out" => Self::SignOut,
            "session" => Self::Session,
            "auth" => Self::Auth,
            "notifications" => Self::Notifications,
            "jwks.json" => Self::Jwks,
            _ => return None,
        })
    }

    /// The methods that it takes, as `Allow` lists them.
    #[must_use]
    pub fn allows(self) -> &'static str {
        match self {
            Self::Home | Self::Me | Self::SignIn | Self::Auth | Self::Jwks => "GET, HEAD",
            // No HEAD: these do something.
            Self::Callback | Self::SignOut => "GET, POST",
            Self::Session => "GET",
            Self::Notifications => "POST",
        }
    }

    /// Whether it takes a method.
    #[must_use]
    pub fn takes(self, method: &Method) -> bool {
        self.allows().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// What a request for one of the gateway's own paths counts as.
pub(super) fn counted(path: &CanonicalPath) -> OwnPath {
    match Endpoint::of(path) {
        Some(Endpoint::Home) => OwnPath::Home,
        Some(Endpoint::Me) => OwnPath::Me,
        Some(Endpoint::SignIn) => OwnPath::SignIn,
        Some(Endpoint::Callback) => OwnPath::Callback,
        Some(Endpoint::SignOut) => OwnPath::SignOut,
        Some(Endpoint::Session) => OwnPath::Session,
        Some(Endpoint::Auth) => OwnPath::Auth,
        Some(Endpoint::Notifications) => OwnPath::Notifications,
        Some(Endpoint::Jwks) => OwnPath::Jwks,
        None => OwnPath::Unknown,
    }
}

impl Gateway {
    /// Answers a request for one of the gateway's own paths.
    ///
    /// # Errors
    /// When the body of a form cannot be read.
    pub(super) async fn answer_own(&self, session: &mut Session, facts: &Facts) -> pingora::Result<Answer> {
        let fail = |failure| Answer::failure(failure, facts.kind, &facts.request_id);
        let Some(endpoint) = Endpoint::of(facts.target.path()) else {
            return Ok(fail(Failure::NotFound).because("the gateway has no such path"));
        };
        // Whoever may not ask there at all hears that first.
        if endpoint != Endpoint::Auth && !endpoint.takes(&facts.method) {
            let answer = fail(Failure::MethodNotAllowed).because("the gateway's own path does not take the method");
            return Ok(answer.with(header::ALLOW, endpoint.allows()));
        }
        let form = match endpoint {
            // A program's, and no form: read where it is judged.
            // And whatever follows a question mark changes nothing of the keys.
            Endpoint::Auth | Endpoint::Notifications | Endpoint::Jwks => Ok(Form::default()),
            Endpoint::Home
            | Endpoint::Me
            | Endpoint::SignIn
            | Endpoint::Callback
            | Endpoint::Session
            | Endpoint::SignOut => body::form(session, facts).await?,
        };
        let form = match form {
            Ok(form) => form,
            Err(why) => return Ok(fail(why.failure()).because(why.as_str())),
        };
        let request = session.req_header();
        let browser = forwarding::browser(request, facts);
        let answered = match endpoint {
            Endpoint::Home => self.home(&browser).await,
            Endpoint::Me => self.me(&browser, facts).await,
            Endpoint::SignIn => self.start_sign_in(&form, &browser, facts).await,
            Endpoint::Callback => Ok(self.callback(&form, &browser, device(request, facts), facts).await),
            Endpoint::Session => {
                let ticket = form.only("ticket").ok().flatten();
                Ok(self.finished(self.signin.arrive(ticket, &browser).await, &browser, facts).await)
            }
            Endpoint::SignOut => self.leave(&form, &browser, request, facts).await,
            Endpoint::Auth => Ok(self.forward_auth(request, facts).await),
            Endpoint::Notifications => return self.notified(session, facts).await,
            Endpoint::Jwks => Ok(self.jwks(facts).await),
        };
        Ok(answered.unwrap_or_else(|error| *sessions_unavailable(&error, facts)))
    }

    async fn home(&self, browser: &Browser<'_>) -> Result<Answer, StoreError> {
        let Some(session) = self.signin.session_of(browser).await? else {
            return Ok(Answer::page(pages::not_signed_in()));
        };
        let (record, sessions) = (session.record(), self.signin.sessions());
        let now = self.clock.now();
        Ok(Answer::page(pages::signed_in(&SignedIn {
            person: &record.person,
            since: record.created,
            until: sessions.expires_at(&session),
            idle_until: Some(now.plus(sessions.idle_timeout())),
            scopes: &record.grant.scopes,
            now,
        })))
    }

    async fn me(&self, browser: &Browser<'_>, facts: &Facts) -> Result<Answer, StoreError> {
        let Some(session) = self.signin.session_of(browser).await? else {
            let url = format!("{}://{}{OWN_PREFIX}sign-in", self.settings.external_scheme, facts.host);
            return Ok(Answer::problem(&Denial::SignInNeeded.explanation(), &facts.request_id)
                .because("nobody is signed in")
                .with(header::WWW_AUTHENTICATE, &format!("Schoolgate sign_in=\"{url}\"")));
        };
        Ok(Answer::new(200, "application/json", self.description(&session).to_string()))
    }

    /// Who is signed in; never a token.
    fn description(&self, session: &ActiveSession) -> serde_json::Value {
        let record = session.record();
        let person = &record.person;
        serde_json::json!({
            "sub": person.subject.as_str(),
            "email": person.email.as_ref().map(|email| &email.address),
            "email_verified": person.email.as_ref().map(|email| email.verified),
            "org_id": person.organization.as_ref().map(|organization| organization.as_str()),
            "scopes": record.grant.scopes.iter().collect::<Vec<_>>(),
            "session_id": record.handle.as_str(),
            "signed_in_at": record.created.to_string(),
            "expires_at": self.signin.sessions().expires_at(session).to_string(),
        })
    }

    /// Asks for the scopes of the page that the person comes from or goes to.
    async fn start_sign_in(&self, form: &Form, browser: &Browser<'_>, facts: &Facts) -> Result<Answer, StoreError> {
        if form.has("wish") && self.signin.home().is(&facts.host) {
            return Ok(self.grant(form, browser, facts).await);
        }
        let return_to = return_to(form).unwrap_or_else(ReturnPath::root);
        let scopes = self.table.scopes_to_open(&facts.host, &return_to);
        // While nobody knows whether there is one, nobody is sent to Apple: what comes back could not be kept, and
        // the sign-in would not know what it replaces.
        let session = self.signin.session_of(browser).await?;
        // Who is signed in and asks for it all the same wants to be asked by Apple.
        let at_apple = if session.is_some() { AtApple::Always } else { AtApple::IfNeeded };
        Ok(self.to_apple(&scopes, session.as_ref(), return_to, at_apple, facts, browser))
    }

    async fn callback(&self, form: &Form, browser: &Browser<'_>, device: Device, facts: &Facts) -> Answer {
        self.finished(self.signin.finish(form, browser, device).await, browser, facts).await
    }

    /// The answer to whoever comes back from Apple or from the home.
    async fn finished(&self, finished: Finished, browser: &Browser<'_>, facts: &Facts) -> Answer {
        match finished {
            Finished::SignedIn { cookies, onward, was_theirs } => {
                let answer = self.onward(&onward, facts).with_cookies(&cookies);
                if was_theirs { answer } else { self.change_hands(&facts.host, answer) }
            }
            Finished::AlreadySignedIn { onward } => self.onward(&onward, facts),
            Finished::Failed { problem, cookies, place } => {
                tracing::info!(event = "sign_in_failed", reason = %problem);
                // Whoever comes back from Apple is a person in a tab, whatever the headers say.
                self.not_signed_in(&problem, &place, browser, facts).await.with_cookies(&cookies)
            }
        }
    }

    /// The page after a sign-in that came to nothing. Who was asked for a permission and did not give it is
    /// told about that permission, and that they are still signed in when they are.
    async fn not_signed_in(&self, problem: &Problem, place: &Place, browser: &Browser<'_>, facts: &Facts) -> Answer {
        let reference = &*facts.request_id;
        let mut told = for_visitors(problem);
        if matches!(problem, Problem::Denied(_)) {
            let host = place.host().unwrap_or(&facts.host);
            let needed = self.table.scopes_to_open(host, &place.path);
            // A session that cannot be read is none: this page says less, and nothing wrong.
            if let Ok(Some(session)) = self.signin.session_of(browser).await {
                let person = &session.record().person;
                let missing = &needed.missing_from(&session.record().grant.scopes);
                if !missing.is_empty() {
                    let facts = ScopeMissing { person, missing, reference, return_to: place };
                    return Answer::page(pages::scope_missing(&facts)).because(SIGN_IN_FAILED);
                }
            }
            // Apple documents one error for both: that the person cancelled, and that they may not agree.
            if !needed.is_empty() {
                told = SignInProblem::PermissionNotGiven;
            }
        }
        let answer = Answer::page(pages::try_again(told, place, reference)).because(SIGN_IN_FAILED);
        if matches!(problem, Problem::Store(_)) { answer.with(header::RETRY_AFTER, "5") } else { answer }
    }

    async fn leave(
        &self,
        form: &Form,
        browser: &Browser<'_>,
        request: &RequestHeader,
        facts: &Facts,
    ) -> Result<Answer, StoreError> {
        let (return_to, back) = (return_to(form), self.left_at(form, facts));
        if is_from_elsewhere(request, facts) {
            return Ok(match (back, self.signin.owner_of(browser).await) {
                // There is nothing to ask about.
                (Some(back), Owner::Nobody) => Answer::redirect(303, &back),
                (Some(_) | None, _) => Answer::page(pages::confirm_sign_out(return_to.as_ref())),
            });
        }
        let signed_out = self.signin.sign_out(browser, LeftBy::Gateway).await?;
        let at_home = self.to_leave_at_home(form, return_to.as_ref(), &signed_out, facts);
        let answer = match (return_to, at_home) {
            _ if back.is_some() => Answer::redirect(303, back.as_deref().unwrap_or(OWN_PREFIX)),
            (Some(_), Some(home)) => Answer::redirect(303, &home),
            // The forms of our pages that lead nowhere may not be led to another host.
            (None, Some(home)) => Answer::page(pages::signed_out()).with(header::REFRESH, &format!("0;url={home}")),
            (Some(path), None) => Answer::redirect(303, path.as_str()),
            // The page that is left goes into the browser's memory of pages only after what is cleared here.
            // So the browser comes once more: then it leaves nothing but a page of ours.
            (None, None) if signed_out.record.is_some() && facts.kind == Kind::Navigation => {
                Answer::page(pages::signed_out()).with(header::REFRESH, &pages::after_sign_out())
            }
            (None, None) => Answer::page(pages::signed_out()),
        };
        Ok(self.farewell(&facts.host, signed_out).on(answer))
    }
}

/// What a person signs in on, for the list of sessions.
fn device(request: &RequestHeader, facts: &Facts) -> Device {
    let user_agent = request.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Device::new(facts.client, user_agent)
}

/// Where somebody wants to go, when that is a place of ours.
fn return_to(form: &Form) -> Option<ReturnPath> {
    form.only("return_to").ok().flatten().and_then(ReturnPath::parse)
}

/// What the person is told; the log has the rest.
fn for_visitors(problem: &Problem) -> SignInProblem {
    match problem {
        Problem::Malformed(_) | Problem::Stale | Problem::Ticket(_) => SignInProblem::Expired,
        Problem::Denied(DeniedReason::Cancelled) => SignInProblem::Cancelled,
        Problem::Denied(DeniedReason::Other(_)) => SignInProblem::NotAllowedByApple,
        Problem::NoIdToken => SignInProblem::NoIdToken,
        Problem::Verify(VerifyError::KeysUnavailable(_)) => SignInProblem::AppleUnavailable,
        Problem::Verify(_) => SignInProblem::TokenRefused,
        Problem::Call(CallError::InvalidClient) => SignInProblem::Misconfigured,
        Problem::Call(CallError::InvalidGrant) => SignInProblem::Expired,
        Problem::Call(CallError::Refused(_)) => SignInProblem::NotAllowedByApple,
        Problem::Call(CallError::Throttled { .. } | CallError::Unavailable(_) | CallError::Malformed(_)) => {
            SignInProblem::AppleUnavailable
        }
        Problem::Store(_) => SignInProblem::StoreUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::parse(text).unwrap()
    }

    #[test]
    fn every_spelling_of_the_own_prefix_is_ours_and_only_exact_paths_are_served() {
        for text in [
            "/.schoolgate",
            "/.schoolgate/",
            "/.schoolgate/me",
            "/.SchoolGate/me",
            "/%2eschoolgate/x",
            "/.schoolgate;x/me",
            "/.schoolgate./me",
        ] {
            assert!(is_own(&path(text)), "{text}");
        }
        for text in ["/", "/schoolgate/", "/.schoolgates/", "/x/.schoolgate/"] {
            assert!(!is_own(&path(text)), "{text}");
        }
        assert_eq!(Endpoint::of(&path("/.schoolgate/sign-out")), Some(Endpoint::SignOut));
        for text in
            ["/.schoolgate", "/.schoolgate/me/", "/.Schoolgate/me", "/.schoolgate/other", "/.schoolgate/sign-out;x"]
        {
            assert_eq!(Endpoint::of(&path(text)), None, "{text}");
        }
    }
}
