//! One sign-in for many hosts: what the home does for the others, and the way on after a sign-in.

use crate::{
    pages::{self, Failure, SignInProblem},
    proxy::{
        Answer, Facts, Gateway,
        judge::{self, sessions_unavailable},
    },
    signin::{Browser, Granted, Onward, SignedOut},
    web::{Form, Kind, OWN_PREFIX, Place, ReturnPath},
};

impl Gateway {
    /// Answers, at home, a browser that another of our hosts has sent here to learn who it is.
    pub(super) async fn grant(&self, form: &Form, browser: &Browser<'_>, facts: &Facts) -> Answer {
        let again = |place| {
            let page = pages::try_again(SignInProblem::Expired, place, &facts.request_id);
            Answer::page(page).because("the wish of another host is stale, or none of ours")
        };
        let wish = form.only("wish").ok().flatten().and_then(|text| self.signin.wish(text));
        // Nobody else is ever sent anything, whatever was configured when the wish was made.
        let Some(wish) = wish.filter(|wish| self.table.app(wish.host()).is_some()) else {
            return again(&ReturnPath::root().into());
        };
        let place = self.signin.place_of(&wish);
        // Hosts send nobody here but people in a tab of their own.
        if matches!(facts.kind, Kind::Frame | Kind::Guess) {
            return judge::not_signed_in(&place, facts, self.settings.external_scheme);
        }
        match self.signin.grant(&wish, browser).await {
            Ok(Granted::Onward(onward)) => self.onward(&onward, facts),
            Ok(Granted::AskApple(session)) => match self.held_back(&place, facts) {
                Some(answer) => answer,
                None => judge::begun(&self.signin.begin_for(wish, browser, session.as_ref()), facts),
            },
            Ok(Granted::Stale) => again(&place),
            Err(error) => *sessions_unavailable(&error, facts),
        }
    }

    /// Where a person goes who wanted to leave a host where no session was left to end: to the home, for there, and
    /// at other hosts, there may be one. A script would get nowhere.
    pub(super) fn to_leave_at_home(
        &self,
        form: &Form,
        return_to: Option<&ReturnPath>,
        signed_out: &SignedOut,
        facts: &Facts,
    ) -> Option<String> {
        let has_left = signed_out.record.is_some() || form.has("done") || self.signin.home().is(&facts.host);
        (!has_left && facts.kind == Kind::Navigation).then(|| self.signin.leave_at_home(&facts.host, return_to))
    }

    /// Where a person goes who was sent home to leave.
    pub(super) fn left_at(&self, form: &Form, facts: &Facts) -> Option<String> {
        let wish = form.only("wish").ok().flatten().filter(|_| self.signin.home().is(&facts.host));
        let wish = wish.and_then(|text| self.signin.wish(text)).filter(|wish| self.table.app(wish.host()).is_some())?;
        let Place { origin, path } = self.signin.place_of(&wish);
        origin.map(|origin| format!("{origin}{path}"))
    }

    /// On to where a person wanted to go: here, or at another host that is ours.
    pub(super) fn onward(&self, onward: &Onward, facts: &Facts) -> Answer {
        match onward {
            // A home that is no app's has no page but this one.
            Onward::Here(path) if self.table.app(&facts.host).is_none() && *path == ReturnPath::root() => {
                Answer::redirect(303, OWN_PREFIX)
            }
            Onward::Here(path) => Answer::redirect(303, path.as_str()),
            Onward::Elsewhere { host, url } if self.table.app(host).is_some() => Answer::redirect(303, url),
            Onward::Elsewhere { .. } => Answer::failure(Failure::Misdirected, facts.kind, &facts.request_id)
                .because("the host of the sign-in is no app's any more"),
        }
    }
}
