//! A form that was sent after its session had died, offered to the one who sent it.

use askama::Template;

use super::{
    Page,
    wording::{self, Moment},
};
use crate::{clock::Timestamp, identity::Person};

/// What a button of the page does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Button {
    /// Sends the form.
    Send,
    /// Throws it away.
    ThrowAway,
}

/// What the page says: to whom, to which page, when and how much; and nothing of what was written.
#[derive(Clone, Copy)]
pub struct OfferedForm<'a> {
    /// Who is signed in.
    pub person: &'a Person,
    /// The host that the form was sent to.
    pub host: &'a str,
    /// The path there, without the query.
    pub path: &'a str,
    /// When it was sent.
    pub sent: Timestamp,
    /// When it is there no more.
    pub until: Timestamp,
    /// The present moment.
    pub now: Timestamp,
    /// How long its body is.
    pub bytes: usize,
    /// What each button says when it is pressed.
    pub button: &'a dyn Fn(Button) -> String,
}

#[derive(Template)]
#[template(path = "pages/kept_form.html")]
struct OfferPage<'a> {
    name: &'a str,
    host: &'a str,
    path: &'a str,
    sent: Moment,
    left: String,
    size: String,
    send: String,
    drop: String,
}

/// The page that stands in the place of the app's until its person has said what shall become of the form.
///
/// Its buttons post to the address that the browser shows: no address is written into the page.
#[must_use]
pub fn offered_form(facts: &OfferedForm<'_>) -> Page {
    let &OfferedForm { person, host, path, sent, until, now, bytes, button } = facts;
    let page = OfferPage {
        name: wording::name(person),
        host,
        path,
        sent: Moment::of(sent, now),
        left: wording::at_least(until.since(now)),
        size: wording::size(bytes),
        send: button(Button::Send),
        drop: button(Button::ThrowAway),
    };
    Page::that_leads_on(200, &page)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pages::wording::tests::teacher;

    fn page(path: &str) -> Page {
        let sent = Timestamp::from_seconds(1_700_000_000);
        offered_form(&OfferedForm {
            person: &teacher(),
            host: "a.example",
            path,
            sent,
            until: sent.plus(Duration::from_secs(600)),
            now: sent.plus(Duration::from_secs(200)),
            bytes: 12_345,
            button: &|button| format!("{button:?}"),
        })
    }

    #[test]
    fn it_says_who_where_when_and_how_much() {
        let html = page("/marks").html;
        for text in ["teacher@school.example", "a.example/marks", "3 minutes ago", "12 kB", "another 6 minutes"] {
            assert!(html.contains(text), "{text}: {html}");
        }
        assert!(html.contains("name=\"schoolgate-form\" value=\"Send\">Send it now"), "{html}");
        assert!(html.contains("name=\"schoolgate-form\" value=\"ThrowAway\">Throw it away"), "{html}");
    }

    /// mod_auth_openidc wrote the address into a script of such a page.
    #[test]
    fn cve_2021_32792_an_address_is_text_and_the_page_has_no_script() {
        let html = page("/a'-alert(1)-'\"><script>alert(1)</script>").html;
        assert!(!html.contains("<script") && !html.contains("action=") && !html.contains("'-alert"), "{html}");
        assert!(html.contains("&#60;script&#62;"), "{html}");
    }
}
