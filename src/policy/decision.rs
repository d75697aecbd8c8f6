//! The decision, and the proof that it was a yes.

use std::sync::Arc;

use super::{Access, App, Lookup, Route, Unauthenticated, Unmet};
use crate::{
    identity::{Person, ScopeSet},
    session::ActiveSession,
    web::Kind,
};

/// The proof that policy let a request through. Only [`decide`] makes one, and the upstream's address
/// is to be had from nowhere else.
#[derive(Clone, Debug)]
pub struct Admission {
    lookup: Lookup,
    session: Option<ActiveSession>,
}

impl Admission {
    /// The app to send the request to.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.lookup.app
    }

    /// The route that let it through.
    #[must_use]
    pub fn route(&self) -> &Route {
        self.lookup.route()
    }

    /// The number of the route, as [`Lookup::number`] has it.
    #[must_use]
    pub fn number(&self) -> usize {
        self.lookup.number()
    }

    /// The session whose identity the app gets; never one on a public route.
    #[must_use]
    pub fn session(&self) -> Option<&ActiveSession> {
        self.session.as_ref()
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It goes to the app.
    Admit(Admission),
    /// It does not.
    TurnAway(Obstacle),
}

/// What stands between a request and its app.
#[derive(Clone, Debug)]
pub enum Obstacle {
    /// It needs a sign-in first.
    SignIn {
        /// The route, which says what scopes to ask for.
        lookup: Lookup,
        /// Whether to redirect, or to answer 401.
        redirect: bool,
    },
    /// It needs scopes that the session does not have.
    StepUp {
        /// The route, which says what scopes to ask for.
        lookup: Lookup,
        /// What the session lacks.
        missing: ScopeSet,
        /// Whether to redirect, or to answer 401.
        redirect: bool,
    },
    /// The person is not among those whom the route allows.
    NotAllowed {
        /// The route.
        lookup: Lookup,
        /// The kind of rule that keeps them out.
        unmet: Unmet,
    },
}

/// What a route says to somebody. It is no proof: [`decide`] makes that, from a session that is live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They may pass.
    Pass,
    /// They have to sign in first.
    SignIn,
    /// They need scopes that they do not have.
    StepUp(ScopeSet),
    /// They are not among those whom the route allows.
    NotAllowed(Unmet),
}

impl Verdict {
    /// Judges a person with the scopes that Apple granted, or a stranger.
    #[must_use]
    pub fn of(route: &Route, who: Option<(&Person, &ScopeSet)>) -> Self {
        match (route.access, who) {
            (Access::Public | Access::Optional, _) => Self::Pass,
            (Access::Required, None) => Self::SignIn,
            (Access::Required, Some((person, granted))) => {
                let missing = route.scopes.missing_from(granted);
                // Who is not let in anyway is not asked for a permission first.
                match route.allow.unmet(person) {
                    Some(unmet) => Self::NotAllowed(unmet),
                    None if !missing.is_empty() => Self::StepUp(missing),
                    None => Self::Pass,
                }
            }
        }
    }
}

/// Whether somebody who has to sign in is sent to Apple, or gets 401. `docs/requests.md` has the same table.
#[must_use]
pub const fn redirects(setting: Unauthenticated, kind: Kind) -> bool {
    match (setting, kind) {
        // Apple shows itself in no frame, and nobody signs in because a browser guesses.
        (_, Kind::Frame | Kind::Guess) | (Unauthenticated::Status401, _) => false,
        (Unauthenticated::Auto | Unauthenticated::Redirect, Kind::Navigation) => true,
        (setting, Kind::Other) => matches!(setting, Unauthenticated::Redirect),
    }
}

/// Judges a request that meets the route of `lookup`. `session` is what its cookie opened; a public
/// route does not look at it, so there is no need to open one there.
#[must_use]
pub fn decide(lookup: Lookup, kind: Kind, session: Option<&ActiveSession>) -> Decision {
    let route = lookup.route();
    let redirect = redirects(route.unauthenticated, kind);
    let who = session.map(|session| (&session.record().person, &session.record().grant.scopes));
    match Verdict::of(route, who) {
        Verdict::Pass => {
            let session = session.filter(|_| route.access != Access::Public).cloned();
            Decision::Admit(Admission { lookup, session })
        }
        Verdict::SignIn => Decision::TurnAway(Obstacle::SignIn { lookup, redirect }),
        Verdict::StepUp(missing) => Decision::TurnAway(Obstacle::StepUp { lookup, missing, redirect }),
        Verdict::NotAllowed(unmet) => Decision::TurnAway(Obstacle::NotAllowed { lookup, unmet }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::{
            Table,
            table::tests::{app_of, app_with, route},
        },
        session::testing::active_session,
        web::{CanonicalPath, Host},
    };
    use http::Method;

    fn judged(table: &Table, path: &str, kind: Kind, session: Option<&ActiveSession>) -> Decision {
        let (host, path) = (Host::parse("a.example").unwrap(), CanonicalPath::parse(path).unwrap());
        decide(table.find(&host, &Method::GET, &path).unwrap(), kind, session)
    }

    #[test]
    fn public_routes_let_everybody_through_and_look_at_no_session() {
        let table = Table::new([app_with("a.example", &[("/", "public")])]);
        let session = active_session("anna", "");
        let Decision::Admit(admission) = judged(&table, "/", Kind::Other, Some(&session)) else { panic!() };
        assert!(admission.session().is_none());
    }

    #[test]
    fn optional_routes_add_the_session_when_there_is_one() {
        let table = Table::new([app_with("a.example", &[("/", "optional")])]);
        let session = active_session("anna", "");
        let admitted = |session| matches!(judged(&table, "/", Kind::Other, session), Decision::Admit(a) if a.session().is_some() == session.is_some());
        assert!(admitted(Some(&session)) && admitted(None));
    }

    #[test]
    fn required_routes_need_a_session_and_only_navigations_are_redirected() {
        let table = Table::new([app_with("a.example", &[("/", "required")])]);
        assert!(matches!(
            judged(&table, "/", Kind::Navigation, None),
            Decision::TurnAway(Obstacle::SignIn { redirect: true, .. })
        ));
        assert!(matches!(
            judged(&table, "/", Kind::Other, None),
            Decision::TurnAway(Obstacle::SignIn { redirect: false, .. })
        ));
        let session = active_session("anna", "");
        assert!(matches!(judged(&table, "/", Kind::Other, Some(&session)), Decision::Admit(_)));
    }

    #[test]
    fn who_is_sent_to_apple_is_what_the_documentation_says() {
        let settings = [Unauthenticated::Auto, Unauthenticated::Redirect, Unauthenticated::Status401];
        let documentation = include_str!("../../docs/requests.md");
        for kind in [Kind::Navigation, Kind::Frame, Kind::Guess, Kind::Other] {
            let answers = settings.map(|setting| {
                let rule = Route { unauthenticated: setting, ..route("/", "required") };
                let table = Table::new([app_of("a.example", vec![rule])]);
                match judged(&table, "/", kind, None) {
                    Decision::TurnAway(Obstacle::SignIn { redirect: true, .. }) => "to Apple",
                    Decision::TurnAway(Obstacle::SignIn { redirect: false, .. }) => "401",
                    Decision::Admit(_) | Decision::TurnAway(_) => "something else",
                }
            });
            let line = format!("\n| {kind:?} | {} |", answers.join(" | "));
            assert!(documentation.contains(&line), "docs/requests.md should have {line}");
        }
    }

    #[test]
    fn a_session_without_the_scopes_of_the_route_must_step_up() {
        let scopes = ScopeSet::parse("edu.classes.read edu.users.read").unwrap();
        let table = Table::new([app_of("a.example", vec![Route { scopes, ..route("/", "required") }])]);
        let session = active_session("anna", "edu.users.read");
        let Decision::TurnAway(Obstacle::StepUp { missing, .. }) =
            judged(&table, "/", Kind::Navigation, Some(&session))
        else {
            panic!()
        };
        assert_eq!(missing.to_string(), "edu.classes.read");
        let session = active_session("anna", "edu.users.read edu.classes.read");
        assert!(matches!(judged(&table, "/", Kind::Other, Some(&session)), Decision::Admit(_)));
    }

    #[test]
    fn a_person_who_is_not_allowed_is_refused_before_any_step_up() {
        let allow =
            crate::policy::Allow { users: vec![crate::identity::Subject::parse("bob").unwrap()], ..Default::default() };
        let scopes = ScopeSet::parse("edu.users.read").unwrap();
        let table = Table::new([app_of("a.example", vec![Route { allow, scopes, ..route("/", "required") }])]);
        let session = active_session("anna", "");
        assert!(matches!(
            judged(&table, "/", Kind::Navigation, Some(&session)),
            Decision::TurnAway(Obstacle::NotAllowed { unmet: Unmet::User, .. })
        ));
    }
}
