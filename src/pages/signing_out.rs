//! Before and after a sign-out.

use askama::Template;

use super::{Page, links};
use crate::web::{OWN_PREFIX, ReturnPath};

#[derive(Template)]
#[template(path = "pages/signed_out.html")]
struct SignedOutPage {
    sign_in: String,
}

/// The page after a sign-out that leads nowhere else. It says what the sign-out did not do: Apple's own
/// session in this browser goes on, and ends with the browser on a shared computer at best.
#[must_use]
pub fn signed_out() -> Page {
    Page::of(200, &SignedOutPage { sign_in: links::sign_in(OWN_PREFIX) })
}

/// The value of `Refresh` that leads from the sign-out to its page once more.
#[must_use]
pub fn after_sign_out() -> String {
    format!("0;url={}?done=1", links::SIGN_OUT)
}

#[derive(Template)]
#[template(path = "pages/confirm_sign_out.html")]
struct ConfirmPage<'a> {
    return_to: Option<&'a str>,
}

/// The question that a link from another site meets, so that nobody is signed out by a picture in a
/// stranger's page.
#[must_use]
pub fn confirm_sign_out(return_to: Option<&ReturnPath>) -> Page {
    let page = ConfirmPage { return_to: return_to.map(ReturnPath::as_str) };
    if return_to.is_some() { Page::that_leads_on(200, &page) } else { Page::of(200, &page) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_signed_out_is_told_about_apples_own_session() {
        let page = signed_out();
        assert_eq!(page.status, 200);
        for text in ["Apple", "close", "shared computer", "/.schoolgate/sign-in?return_to="] {
            assert!(page.html.contains(text), "{text}");
        }
    }

    #[test]
    fn the_question_posts_its_answer_and_keeps_the_way_back() {
        let page = confirm_sign_out(Some(&ReturnPath::parse("/a?b=\"'c").unwrap_or_else(ReturnPath::root)));
        assert!(page.html.contains("<form method=\"post\" action=\"/.schoolgate/sign-out\">"));
        assert!(page.html.contains("name=\"return_to\""));
        assert!(!confirm_sign_out(None).html.contains("name=\"return_to\""));
    }

    #[test]
    fn the_question_changes_nothing_by_itself() {
        for page in [confirm_sign_out(None), confirm_sign_out(Some(&ReturnPath::root()))] {
            for automatic in ["http-equiv", "<script", "<img", "<iframe", "onload"] {
                assert!(!page.html.contains(automatic), "{automatic}");
            }
        }
    }
}
