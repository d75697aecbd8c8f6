//! What can go wrong with any request, whoever sent it.

use askama::Template;

use super::{Explanation, Page};

/// Why a request has no answer of an app. One line of the table below each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 400: the path, a header or the framing could be read in two ways.
    BadRequest,
    /// 400: HTTP on a port that speaks HTTPS.
    NotEncrypted,
    /// 404: no such path of the gateway's own.
    NotFound,
    /// 405: not with this method.
    MethodNotAllowed,
    /// 408: the request did not arrive in time.
    Timeout,
    /// 409: the form that was kept is on its way to the app already.
    FormSent,
    /// 410: the form that was kept is there no more.
    FormGone,
    /// 413: the body is larger than the app takes.
    TooLarge,
    /// 421: no app has this host.
    Misdirected,
    /// 431: the head is larger than the gateway takes.
    HeadTooLarge,
    /// 500: a mistake of ours.
    Internal,
    /// 502: the app refuses connections, cannot be found, or talks nonsense.
    BadGateway,
    /// 503: no copy of the app is healthy.
    Unavailable,
    /// 503: whether somebody is signed in cannot be looked up.
    SessionsUnavailable,
    /// 503: the access token is dead, and Apple gives no new one now.
    NotRenewed,
    /// 503: the app wants a signed assertion, and none can be made.
    NotVouched,
    /// 504: the app was too slow.
    GatewayTimeout,
}

impl Failure {
    /// All of them, for tables and tests.
    pub const ALL: [Self; 17] = [
        Self::BadRequest,
        Self::NotEncrypted,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::FormSent,
        Self::FormGone,
        Self::TooLarge,
        Self::Misdirected,
        Self::HeadTooLarge,
        Self::Internal,
        Self::BadGateway,
        Self::Unavailable,
        Self::SessionsUnavailable,
        Self::NotRenewed,
        Self::NotVouched,
        Self::GatewayTimeout,
    ];

    /// What the visitor is told.
    #[must_use]
    pub const fn explanation(self) -> Explanation {
        let (status, title, detail, advice) = match self {
            Self::BadRequest => (
                400,
                "This address was not understood",
                "Something in the address, or in what your browser sent with it, is not written the way it should be.",
                "Check the address for typing mistakes, or start again from the first page of the app.",
            ),
            Self::NotEncrypted => (
                400,
                "This address needs https",
                "Your browser asked without encryption, and this address answers with encryption only.",
                "Write https at the beginning of the address.",
            ),
            Self::NotFound => (
                404,
                "Page not found",
                "There is no page at this address.",
                "Check the address for typing mistakes, or go back to the page you came from.",
            ),
            Self::MethodNotAllowed => (
                405,
                "That does not work here",
                "This page cannot do what your browser asked for.",
                "Go back to the page you came from and try again from there.",
            ),
            Self::Timeout => (
                408,
                "That took too long",
                "Your browser did not send everything in time.",
                "Check your internet connection and try again.",
            ),
            Self::FormSent => (
                409,
                "Your form has been sent",
                "It was sent once, and it is not sent a second time.",
                "Open the page of the form again to see what has become of it.",
            ),
            Self::FormGone => (
                410,
                "Your form is not here any more",
                "A form is kept for ten minutes, for one person, in one browser. Either it was sent or thrown away \
                 before, or the ten minutes are over.",
                "Open the page of the form again to see whether it was sent. If it was not, please fill it in anew.",
            ),
            Self::TooLarge => (
                413,
                "That is too large to send",
                "What you sent is larger than this app accepts.",
                "Send a smaller file, or ask your school's administrator whether the limit can be raised.",
            ),
            Self::Misdirected => (
                421,
                "No app at this address",
                "No app of the school has this address.",
                "Check the address for typing mistakes, or use the link that your school gave you.",
            ),
            Self::HeadTooLarge => (
                431,
                "Your browser sent too much",
                "The address, or what your browser remembers about this site, is longer than we accept.",
                "Delete the cookies of this site in your browser's settings, then try again.",
            ),
            Self::Internal => (
                500,
                "Something went wrong",
                "An error happened on our side. It is not your fault.",
                "Try again in a moment. If it happens again, tell your school's administrator.",
            ),
            Self::BadGateway => (
                502,
                "The app cannot be reached",
                "The app you want to use does not answer, or its answer makes no sense. It may be switched off.",
                "Try again in a few minutes. If it happens again, tell your school's administrator.",
            ),
            Self::Unavailable => (
                503,
                "The app is not available right now",
                "The app you want to use is out of order or being looked after.",
                "Try again in a few minutes. If it happens again, tell your school's administrator.",
            ),
            Self::SessionsUnavailable => (
                503,
                "We cannot check who you are right now",
                "The list of the people who are signed in cannot be read at the moment.",
                "Try again in a few minutes. If it happens again, tell your school's administrator.",
            ),
            Self::NotRenewed => (
                503,
                "Apple does not answer right now",
                "This app needs a fresh permission from Apple, and Apple did not give one. You are still signed in.",
                "Try again in a few minutes.",
            ),
            Self::NotVouched => (
                503,
                "We cannot vouch for you right now",
                "This app wants our word for who you are, and we cannot give it at the moment. You are still signed in.",
                "Try again in a few minutes. If it happens again, tell your school's administrator.",
            ),
            Self::GatewayTimeout => (
                504,
                "The app did not answer in time",
                "The app you want to use took too long. It may have too much to do at the moment.",
                "Try again in a few minutes. If it happens again, tell your school's administrator.",
            ),
        };
        Explanation { status, title, detail, advice }
    }
}

#[derive(Template)]
#[template(path = "pages/failure.html")]
struct FailurePage<'a> {
    explanation: Explanation,
    reference: &'a str,
}

/// The page for a failure. `reference` is the request's identifier.
#[must_use]
pub fn failure(failure: Failure, reference: &str) -> Page {
    let explanation = failure.explanation();
    Page::of(explanation.status, &FailurePage { explanation, reference })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::explanation::check_wording;

    #[test]
    fn every_failure_is_told_in_plain_words() {
        check_wording(&Failure::ALL.map(Failure::explanation));
    }

    #[test]
    fn page_and_problem_document_say_the_same() {
        for it in Failure::ALL {
            let (page, explanation) = (failure(it, "ref-77"), it.explanation());
            let problem: serde_json::Value = serde_json::from_str(&explanation.problem_json("ref-77")).unwrap();
            assert_eq!(page.status, explanation.status);
            assert_eq!(problem["status"], page.status);
            assert_eq!(problem["title"], explanation.title);
            let text = page.html.replace("&#39;", "'");
            for words in [explanation.title, explanation.detail, explanation.advice, "ref-77"] {
                assert!(text.contains(words), "{it:?}: {words}");
                assert!(problem.to_string().contains(words), "{it:?}: {words}");
            }
        }
    }

    #[test]
    fn every_failure_has_its_status() {
        let statuses = Failure::ALL.map(|it| it.explanation().status);
        assert_eq!(statuses, [400, 400, 404, 405, 408, 409, 410, 413, 421, 431, 500, 502, 503, 503, 503, 503, 504]);
    }
}
