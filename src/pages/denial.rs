//! Somebody is signed in, or nobody is, and that is not enough.

use askama::Template;

use super::{
    Explanation, Page, links,
    wording::{self, Permission},
};
use crate::{
    identity::{Person, ScopeSet},
    web::{Place, ReturnPath},
};

/// Why the policy said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// 401: nobody is signed in, and the request is not one that can be sent to Apple.
    SignInNeeded,
    /// 403: the person is not one of those who are let in.
    Forbidden,
    /// 403: the person's grant lacks a scope.
    ScopeMissing,
}

impl Denial {
    /// All of them, for tables and tests.
    pub const ALL: [Self; 3] = [Self::SignInNeeded, Self::Forbidden, Self::ScopeMissing];

    /// What the visitor is told.
    #[must_use]
    pub const fn explanation(self) -> Explanation {
        let (status, title, detail, advice) = match self {
            Self::SignInNeeded => (
                401,
                "You need to sign in",
                "Only people who are signed in can use this.",
                "Open the page in your browser and sign in with the Apple Account from your school.",
            ),
            Self::Forbidden => (
                403,
                "This page is not for your account",
                "Your account is not one of those that may open this page.",
                "If you have another account, sign in with that one. If you should be able to open this page, tell \
                 your school's administrator.",
            ),
            Self::ScopeMissing => (
                403,
                "A permission is missing",
                "This page needs a permission from Apple that your account did not give.",
                "Only an Administrator or Site Manager in Apple School Manager can give it. Ask one of them to open \
                 this page.",
            ),
        };
        Explanation { status, title, detail, advice }
    }
}

/// What the page for a person without access says.
#[derive(Clone, Copy, Debug)]
pub struct Forbidden<'a> {
    /// Who is signed in.
    pub person: &'a Person,
    /// The request's identifier.
    pub reference: &'a str,
    /// Where they wanted to go.
    pub return_to: &'a ReturnPath,
}

/// What the page after a step-up that did not help says.
#[derive(Clone, Copy, Debug)]
pub struct ScopeMissing<'a> {
    /// Who is signed in.
    pub person: &'a Person,
    /// The scopes that the route needs and the grant lacks.
    pub missing: &'a ScopeSet,
    /// The request's identifier.
    pub reference: &'a str,
    /// Where they wanted to go.
    pub return_to: &'a Place,
}

#[derive(Template)]
#[template(path = "pages/forbidden.html")]
struct DenialPage<'a> {
    explanation: Explanation,
    person: &'a str,
    missing: Vec<Permission<'a>>,
    /// Where Apple is asked again, when that can help.
    retry: Option<String>,
    sign_out: String,
    return_to: &'a str,
    reference: &'a str,
}

/// The page for a person who may not go further: who is signed in, and a way to be somebody else.
#[must_use]
pub fn forbidden(facts: &Forbidden<'_>) -> Page {
    let &Forbidden { person, reference, return_to } = facts;
    page(Denial::Forbidden, person, Vec::new(), None, &return_to.clone().into(), reference)
}

/// The page for a person whose grant lacks scopes even after asking Apple for them: which, and who can
/// give them.
#[must_use]
pub fn scope_missing(facts: &ScopeMissing<'_>) -> Page {
    let &ScopeMissing { person, missing, reference, return_to } = facts;
    let retry = Some(links::sign_in_at(return_to));
    page(Denial::ScopeMissing, person, wording::permissions(missing), retry, return_to, reference)
}

fn page(
    why: Denial,
    person: &Person,
    missing: Vec<Permission<'_>>,
    retry: Option<String>,
    return_to: &Place,
    reference: &str,
) -> Page {
    let explanation = why.explanation();
    let person = wording::name(person);
    let sign_out = links::at(return_to, links::SIGN_OUT);
    let return_to = return_to.path.as_str();
    let page = DenialPage { explanation, person, missing, retry, sign_out, return_to, reference };
    Page::that_leads_on(explanation.status, &page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::{explanation::check_wording, wording::tests::teacher};

    fn way_back() -> ReturnPath {
        ReturnPath::parse("/marks?class=7&x=1").unwrap()
    }

    #[test]
    fn every_denial_is_told_in_plain_words() {
        check_wording(&Denial::ALL.map(Denial::explanation));
    }

    #[test]
    fn a_person_without_access_sees_who_is_signed_in_and_can_change_that() {
        let page = forbidden(&Forbidden { person: &teacher(), reference: "ref-79", return_to: &way_back() });
        assert_eq!(page.status, 403);
        assert!(page.html.contains("teacher@school.example") && page.html.contains("ref-79"));
        assert!(page.html.contains("<form method=\"post\" action=\"/.schoolgate/sign-out\">"));
        assert!(page.html.contains("name=\"return_to\" value=\"/marks?class=7&#38;x=1\""), "{}", page.html);
    }

    #[test]
    fn a_missing_permission_has_its_plain_words_and_its_scope_name() {
        let missing = ScopeSet::parse("edu.classes.read odd.thing").unwrap();
        let facts =
            ScopeMissing { person: &teacher(), missing: &missing, reference: "ref-80", return_to: &way_back().into() };
        let page = scope_missing(&facts);
        assert_eq!(page.status, 403);
        for text in ["classes", "edu.classes.read", "odd.thing", "Site Manager", "teacher@school.example", "ref-80"] {
            assert!(page.html.contains(text), "{text}");
        }
        // Apple can be asked again without signing out, should the answer have been a slip.
        assert!(page.html.contains("href=\"/.schoolgate/sign-in?return_to=%2Fmarks%3Fclass%3D7%26x%3D1\""));
    }
}
