//! A page inside another page, for somebody who has to sign in first.

use askama::Template;

use super::{Page, links};
use crate::web::Place;

#[derive(Template)]
#[template(path = "pages/frame.html")]
struct FramePage {
    sign_in: String,
}

/// The page for a frame, with a link that opens on top. Apple shows itself in no frame, and nobody should type a
/// password into one. It may stand in anybody's page, so it says nothing about anybody: the same to those who are
/// signed in without the permission that is needed.
#[must_use]
pub fn sign_in_on_top(place: &Place) -> Page {
    Page::in_frames(200, &FramePage { sign_in: links::sign_in_at(place) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::ReturnPath;

    #[test]
    fn its_one_link_opens_on_top_and_leads_back_to_the_page_of_the_frame() {
        let page = sign_in_on_top(&ReturnPath::parse("/marks?class=7").unwrap().into());
        let link = "href=\"/.schoolgate/sign-in?return_to=%2Fmarks%3Fclass%3D7\" target=\"_top\"";
        assert!(page.html.contains(link), "{}", page.html);
        assert_eq!((page.html.matches("href").count(), page.html.matches("<form").count()), (1, 0), "{}", page.html);
    }

    #[test]
    fn it_alone_may_stand_in_frames() {
        let page = sign_in_on_top(&ReturnPath::root().into());
        assert!(page.policy.split("; ").any(|part| part == "frame-ancestors *"), "{}", page.policy);
        assert!(!page.policy.contains("frame-ancestors 'none'"), "{}", page.policy);
        for part in ["default-src 'none'", "base-uri 'none'", "form-action 'self'"] {
            assert!(page.policy.split("; ").any(|found| found == part), "{part}: {}", page.policy);
        }
    }
}
