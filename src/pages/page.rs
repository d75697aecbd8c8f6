//! A page, ready to be sent.

use askama::Template;

use super::style;

/// What is sent when a template fails, which only the machine running out of memory can cause.
const BARE: &str = "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>Something went wrong</title>\
    <h1>Something went wrong</h1><p>Please try again in a moment.</p></html>";

/// A page with its status. It is UTF-8, `text/html`, and must be sent with its own policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The document.
    pub html: String,
    /// The value of `Content-Security-Policy` for this page.
    pub policy: &'static str,
}

impl Page {
    /// Renders a page whose forms, if any, end at the gateway.
    pub(super) fn of(status: u16, template: &impl Template) -> Self {
        Self::with_policy(status, template, style::content_security_policy())
    }

    /// Renders a page whose form leads on to an app, and from there perhaps to Apple.
    pub(super) fn that_leads_on(status: u16, template: &impl Template) -> Self {
        Self::with_policy(status, template, style::policy_that_leads_on())
    }

    /// Renders a page for a frame in anybody's page.
    pub(super) fn in_frames(status: u16, template: &impl Template) -> Self {
        Self::with_policy(status, template, style::policy_in_frames())
    }

    fn with_policy(status: u16, template: &impl Template, policy: &'static str) -> Self {
        match template.render() {
            Ok(html) => Self { status, html, policy },
            Err(_) => Self { status: 500, html: BARE.to_owned(), policy },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    struct Broken;

    impl fmt::Display for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }

    #[derive(Template)]
    #[template(source = "{{ broken }}", ext = "html")]
    struct Failing {
        broken: Broken,
    }

    #[test]
    fn a_template_that_fails_becomes_a_bare_page_and_no_panic() {
        let page = Page::of(200, &Failing { broken: Broken });
        assert_eq!(page.status, 500);
        assert!(page.html.contains("<h1>Something went wrong</h1>"));
    }
}
