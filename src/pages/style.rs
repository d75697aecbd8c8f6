//! The look of all pages, and the policy that allows it and nothing else.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};

/// The style sheet, exactly as it stands between `<style>` and `</style>`.
pub(super) const STYLE: &str = include_str!("../../templates/pages/style.css");

/// Allows our style sheet by its hash (CSP Level 3, section 2.3.1) and neither scripts, images, frames
/// nor anything from another address.
static STAYS_HERE: LazyLock<String> = LazyLock::new(|| format!("{}; form-action 'self'", *LEADS_ON));

/// The same for the page that is meant for frames, in whosever page they are.
static FRAMED: LazyLock<String> = LazyLock::new(|| STAYS_HERE.replace("frame-ancestors 'none'", "frame-ancestors *"));

/// The same without `form-action`. Browsers apply that directive to every redirect that follows a form,
/// too: a sign-out that leads back to an app, and from there to Apple, would end at a dead button.
static LEADS_ON: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'")
});

/// The content security policy of everything the gateway answers itself, except where a [`Page`] has
/// another.
///
/// [`Page`]: super::Page
#[must_use]
pub fn content_security_policy() -> &'static str {
    &STAYS_HERE
}

/// The policy of a page whose form leads on to an app.
pub(super) fn policy_that_leads_on() -> &'static str {
    &LEADS_ON
}

/// The policy of the page that may stand in anybody's frame: it says nothing about anybody, and its one link does
/// no more than any link to the gateway.
pub(super) fn policy_in_frames() -> &'static str {
    &FRAMED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pages, web::ReturnPath};

    #[test]
    fn the_hash_in_the_policy_is_that_of_the_style_in_the_page() {
        for page in [pages::not_signed_in(), pages::confirm_sign_out(Some(&ReturnPath::root()))] {
            let (_, rest) = page.html.split_once("<style>").unwrap();
            let (style, _) = rest.split_once("</style>").unwrap();
            let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
            assert!(page.policy.contains(&format!("style-src 'sha256-{hash}';")), "{}", page.policy);
            assert_eq!(page.html.matches("<style").count(), 1);
        }
    }

    #[test]
    fn the_policy_forbids_everything_else() {
        for part in ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"] {
            assert!(content_security_policy().split("; ").any(|found| found == part), "{part}");
        }
        assert!(!content_security_policy().contains("unsafe"));
        assert!(content_security_policy().bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
    }

    #[test]
    fn only_a_page_whose_form_leads_on_may_follow_redirects_elsewhere() {
        assert!(!policy_that_leads_on().contains("form-action"));
        assert!(pages::confirm_sign_out(None).policy.contains("form-action 'self'"));
        assert!(!pages::confirm_sign_out(Some(&ReturnPath::root())).policy.contains("form-action"));
    }

    #[test]
    fn the_style_cannot_end_its_own_element_and_fetches_nothing() {
        for forbidden in ["</", "<!--", "url(", "@import", "@font-face"] {
            assert!(!STYLE.contains(forbidden), "{forbidden}");
        }
    }

    /// Relative luminance of `#rrggbb` (WCAG 2.2).
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn text_stands_out_from_its_ground_in_light_and_in_dark() {
        let palettes: Vec<_> = STYLE.split(":root {").skip(1).collect();
        assert_eq!(palettes.len(), 2);
        for palette in palettes {
            let colour = |name: &str| {
                let (_, rest) = palette.split_once(&format!("--{name}: ")).unwrap();
                luminance(rest.split_once(';').unwrap().0)
            };
            for (text, ground) in [
                ("text", "ground"),
                ("text", "card"),
                ("text", "note"),
                ("soft", "ground"),
                ("soft", "card"),
                ("accent", "ground"),
                ("accent", "card"),
                ("on-accent", "accent"),
            ] {
                let (one, two) = (colour(text), colour(ground));
                let contrast = (one.max(two) + 0.05) / (one.min(two) + 0.05);
                // Level AA of WCAG 2.2, success criterion 1.4.3.
                assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
            }
        }
    }
}
