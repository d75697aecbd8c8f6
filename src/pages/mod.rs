//! Pages in plain words: one look, escaped by the compiler, without scripts and without anything from
//! elsewhere.
//!
//! Teachers and pupils read these. Every error has one [`Explanation`], which the HTML page and the
//! problem document (RFC 9457) share, and shows a reference number that an administrator finds again in
//! the log. No page holds a token, a code, a cookie or the address of an app.

mod denial;
mod explanation;
mod failure;
mod frame;
mod kept_form;
mod links;
mod page;
mod sign_in_problem;
mod signed_in;
mod signing_out;
mod style;
mod wording;

pub use denial::{Denial, Forbidden, ScopeMissing, forbidden, scope_missing};
pub use explanation::{Explanation, problem_json};
pub use failure::{Failure, failure};
pub use frame::sign_in_on_top;
pub use kept_form::{Button, OfferedForm, offered_form};
pub use page::Page;
pub use sign_in_problem::{SignInProblem, try_again};
pub use signed_in::{SignedIn, not_signed_in, signed_in};
pub use signing_out::{after_sign_out, confirm_sign_out, signed_out};
pub use style::content_security_policy;
pub use wording::Moment;

#[cfg(test)]
mod tests {
    use super::{wording::tests::teacher, *};
    use crate::{
        clock::Timestamp,
        identity::{Email, Organization, Person, ScopeSet, Subject},
        web::ReturnPath,
    };

    /// What a stranger would like to see in a page as it is.
    const HOSTILE: &str = "\"'><script>alert(1)</script><img/src=x/onerror=alert(1)>&amp;{{7*7}}";

    /// Every page there is, with the given texts wherever a text can stand.
    fn all(person: &Person, scopes: &ScopeSet, path: &ReturnPath, reference: &str) -> Vec<Page> {
        let now = Timestamp::from_seconds(1_700_000_000);
        let mut pages = vec![
            signed_in(&SignedIn { person, since: now, until: now, idle_until: None, scopes, now }),
            not_signed_in(),
            sign_in_on_top(&path.clone().into()),
            signed_out(),
            confirm_sign_out(None),
            confirm_sign_out(Some(path)),
            forbidden(&Forbidden { person, reference, return_to: path }),
            scope_missing(&ScopeMissing { person, missing: scopes, reference, return_to: &path.clone().into() }),
            offered_form(&OfferedForm {
                person,
                host: reference,
                path: path.as_str(),
                sent: now,
                until: now,
                now,
                bytes: 1,
                button: &|_| reference.to_owned(),
            }),
        ];
        pages.extend(Failure::ALL.map(|it| failure(it, reference)));
        pages.extend(SignInProblem::ALL.map(|it| try_again(it, &path.clone().into(), reference)));
        pages
    }

    fn harmless() -> Vec<Page> {
        let scopes = ScopeSet::parse("edu.users.read edu.classes.read").unwrap();
        all(&teacher(), &scopes, &ReturnPath::parse("/marks").unwrap(), "0f3a")
    }

    #[test]
    fn no_text_of_a_stranger_becomes_markup() {
        let person = Person {
            subject: Subject::parse(HOSTILE).unwrap(),
            organization: Some(Organization::parse(HOSTILE).unwrap()),
            email: Some(Email { address: HOSTILE.into(), verified: true }),
            ..teacher()
        };
        // A scope cannot hold a double quote, and a path of ours no angle bracket.
        let scopes = ScopeSet::parse(&HOSTILE.replace('"', "'")).unwrap();
        let path = ReturnPath::parse("/a?b='c'&d=1;(alert)").unwrap();
        let clean = harmless();
        let soiled = all(&person, &scopes, &path, HOSTILE);
        for (clean, soiled) in clean.iter().zip(&soiled) {
            let html = &soiled.html;
            assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
            // Quotes, too: a hostile text opens no attribute and ends none.
            for text in [HOSTILE, "\"'>", "'c'"] {
                assert!(!html.contains(text), "{text}: {html}");
            }
            assert_eq!(clean.status, soiled.status);
        }
        let shown = soiled.iter().filter(|page| page.html.contains("&#60;script&#62;")).count();
        assert_eq!(shown, soiled.len() - 5, "each page but the five without such a text shows it, escaped");
    }

    #[test]
    fn every_page_reads_well_for_those_who_listen_to_it() {
        for Page { html, .. } in harmless() {
            assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{html}");
            for (part, times) in [("<title>", 1), ("<h1>", 1), ("<main>", 1), ("<header>", 1), ("name=\"viewport\"", 1)]
            {
                assert_eq!(html.matches(part).count(), times, "{part}: {html}");
            }
            let title = html.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).unwrap().0;
            let heading = html.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>")).unwrap().0;
            assert_eq!(title, format!("{heading} · School sign-in"));
            assert!(!html.contains("tabindex") && !html.contains("autofocus"), "{html}");
        }
    }

    #[test]
    fn every_error_page_has_its_reference_number() {
        for page in harmless() {
            assert_eq!(page.status >= 400, page.html.contains("<code>0f3a</code>"), "{}", page.html);
        }
    }

    #[test]
    fn no_page_needs_a_script_or_anything_from_elsewhere() {
        for Page { html, .. } in harmless() {
            for forbidden in ["<script", "<link", "<img", "<iframe", "src=", " style=", " on", "http://", "https://"] {
                let body = html.replace(style::STYLE, "");
                let found = body.match_indices(forbidden).any(|(at, _)| {
                    // ` on` is an event handler only with an equals sign after its name.
                    forbidden != " on" || body[at + 3..].trim_start_matches(char::is_alphabetic).starts_with('=')
                });
                assert!(!found, "{forbidden}: {html}");
            }
            for link in html.split("href=\"").skip(1).chain(html.split("action=\"").skip(1)) {
                assert!(link.starts_with(crate::web::OWN_PREFIX), "{link}");
            }
        }
    }

    #[test]
    fn what_acts_is_a_form_and_what_leads_is_a_link() {
        for Page { html, policy, .. } in harmless() {
            assert_eq!(html.matches("<form").count(), html.matches("<form method=\"post\"").count(), "{html}");
            // A form that leads on to the app must not be held back (see `style`).
            let leads_on = html.contains("name=\"return_to\"") || html.contains("name=\"schoolgate-form\"");
            assert_eq!(leads_on, !policy.contains("form-action"), "{html}");
        }
    }
}
