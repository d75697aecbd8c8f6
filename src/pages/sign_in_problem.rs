//! A sign-in that did not work out, and the way to try again.

use askama::Template;

use super::{Explanation, Page, links};
use crate::web::Place;

/// Why somebody is not signed in although they tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInProblem {
    /// The sign-in is over ten minutes old, was used already, or began in another browser.
    Expired,
    /// The person cancelled at Apple.
    Cancelled,
    /// Apple answered with another error: the account may not use this service.
    NotAllowedByApple,
    /// The person, or Apple for them, did not give the permission that the page needs.
    PermissionNotGiven,
    /// Apple's answer has no ID token: it does not say who signed in.
    NoIdToken,
    /// The ID token did not stand up to verification.
    TokenRefused,
    /// Apple cannot be reached, is too slow, or has an error of its own.
    AppleUnavailable,
    /// Apple refuses our own credentials.
    Misconfigured,
    /// More sign-ins from one address than allowed.
    TooMany,
    /// The session cannot be kept.
    StoreUnavailable,
}

impl SignInProblem {
    /// All of them, for tables and tests.
    pub const ALL: [Self; 10] = [
        Self::Expired,
        Self::Cancelled,
        Self::NotAllowedByApple,
        Self::PermissionNotGiven,
        Self::NoIdToken,
        Self::TokenRefused,
        Self::AppleUnavailable,
        Self::Misconfigured,
        Self::TooMany,
        Self::StoreUnavailable,
    ];

    /// What the visitor is told.
    #[must_use]
    pub const fn explanation(self) -> Explanation {
        let (status, title, detail, advice) = match self {
            Self::Expired => (
                400,
                "This sign-in is no longer good",
                "It took longer than ten minutes, was used already, or began in another browser.",
                "Try again. If it happens every time, allow cookies for this site in your browser's settings.",
            ),
            Self::Cancelled => (
                403,
                "The sign-in was cancelled",
                "Apple says that you cancelled it. Nothing has changed.",
                "Try again when you are ready.",
            ),
            Self::NotAllowedByApple => (
                403,
                "Apple did not let you sign in",
                "Apple says that your account may not be used here.",
                "Try again with the Apple Account from your school. If it happens again, tell your school's administrator.",
            ),
            Self::PermissionNotGiven => (
                403,
                "The permission was not given",
                "The page you want to open needs a permission from Apple. Either you cancelled, or your account cannot \
                 give it.",
                "Only an Administrator or Site Manager in Apple School Manager can give it. Try again as one of them, \
                 or ask one of them to open this page.",
            ),
            Self::NoIdToken => (
                502,
                "Apple did not say who you are",
                "Apple let you in, but its answer has no name or number for you, so nobody was signed in.",
                "Tell your school's administrator. Trying again will probably not help.",
            ),
            Self::TokenRefused => (
                502,
                "Apple's answer could not be confirmed",
                "We could not make sure that the answer really came from Apple, so nobody was signed in.",
                "Try again. If it happens again, tell your school's administrator.",
            ),
            Self::AppleUnavailable => (
                503,
                "Apple cannot be reached right now",
                "Everybody signs in at Apple first, and Apple does not answer at the moment.",
                "Try again in a few minutes.",
            ),
            Self::Misconfigured => (
                500,
                "Sign-in is not set up correctly",
                "Apple does not recognise this school's sign-in. It is not your fault.",
                "Tell your school's administrator. Trying again will not help until it is mended.",
            ),
            Self::TooMany => (
                429,
                "Too many sign-ins at once",
                "Very many people on your network are signing in at this moment.",
                "Wait a minute, then try again.",
            ),
            Self::StoreUnavailable => (
                503,
                "Sign-in is not available right now",
                "You could not be signed in, because we cannot remember it at the moment.",
                "Try again in a few minutes. If it happens again, tell your school's administrator.",
            ),
        };
        Explanation { status, title, detail, advice }
    }
}

#[derive(Template)]
#[template(path = "pages/try_again.html")]
struct TryAgainPage<'a> {
    explanation: Explanation,
    retry: String,
    reference: &'a str,
}

/// The page after a sign-in that failed: what happened, what to do, and a button that starts anew on the
/// way to `retry`, where the person wanted to go.
#[must_use]
pub fn try_again(why: SignInProblem, retry: &Place, reference: &str) -> Page {
    let explanation = why.explanation();
    let retry = links::sign_in_at(retry);
    Page::of(explanation.status, &TryAgainPage { explanation, retry, reference })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::explanation::check_wording;

    #[test]
    fn every_problem_is_told_in_plain_words() {
        check_wording(&SignInProblem::ALL.map(SignInProblem::explanation));
    }

    #[test]
    fn every_problem_has_a_reference_and_a_way_to_where_one_wanted_to_go() {
        let retry = crate::web::ReturnPath::parse("/marks?class=7").unwrap().into();
        for it in SignInProblem::ALL {
            let page = try_again(it, &retry, "ref-78");
            assert_eq!(page.status, it.explanation().status);
            assert!(page.html.contains("href=\"/.schoolgate/sign-in?return_to=%2Fmarks%3Fclass%3D7\""), "{it:?}");
            assert!(page.html.contains("ref-78") && page.html.contains(">Try again</a>"), "{it:?}");
        }
    }
}
