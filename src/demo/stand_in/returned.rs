//! What the browser brings back to the gateway, and by which way.

use askama::Template;
use axum::http::StatusCode;
use url::form_urlencoded;

use super::answer::Answer;

/// The way back: `response_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnMode {
    /// A GET with the fields in the query; when `response_mode` is absent, too.
    Query,
    /// A GET with the fields behind `#`, which no server sees.
    Fragment,
    /// A POST across sites, sent by a script or a button.
    FormPost,
}

impl ReturnMode {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "query" => Some(Self::Query),
            "fragment" => Some(Self::Fragment),
            "form_post" => Some(Self::FormPost),
            _ => None,
        }
    }
}

/// The fields on their way back. They hold a code: this type has no `Debug`.
#[derive(Clone)]
pub struct Returned {
    redirect_uri: String,
    mode: ReturnMode,
    fields: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "demo/form_post.html")]
struct FormPost<'a> {
    redirect_uri: &'a str,
    fields: &'a [(&'static str, String)],
}

impl Returned {
    pub(super) fn new(redirect_uri: String, mode: ReturnMode, fields: Vec<(&'static str, String)>) -> Self {
        Self { redirect_uri, mode, fields }
    }

    /// The way back.
    #[must_use]
    pub fn mode(&self) -> ReturnMode {
        self.mode
    }

    /// The redirect URI.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The value of a field: `code`, `state`, `error` or `user`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// The fields as a query, or as the body of a form.
    #[must_use]
    pub fn encoded(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.fields).finish()
    }

    /// The address that the browser goes to; for a form, where it is posted.
    #[must_use]
    pub fn location(&self) -> String {
        let uri = &self.redirect_uri;
        match self.mode {
            ReturnMode::Query => format!("{uri}{}{}", if uri.contains('?') { '&' } else { '?' }, self.encoded()),
            ReturnMode::Fragment => format!("{uri}#{}", self.encoded()),
            ReturnMode::FormPost => uri.clone(),
        }
    }

    /// The answer that makes the browser go.
    pub(super) fn answer(&self) -> Answer {
        let why = if self.field("code").is_some() { "authorized" } else { "sent back with an error" };
        match self.mode {
            ReturnMode::Query | ReturnMode::Fragment => Answer::redirect(StatusCode::FOUND, &self.location(), why),
            ReturnMode::FormPost => {
                let page = FormPost { redirect_uri: &self.redirect_uri, fields: &self.fields };
                Answer::page(StatusCode::OK, page.render().unwrap_or_default(), why)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returned(uri: &str, mode: ReturnMode) -> Returned {
        Returned::new(uri.into(), mode, vec![("code", "c&d".into()), ("state", "\"><script>".into())])
    }

    #[test]
    fn each_way_back_carries_the_fields_in_its_own_place() {
        let encoded = "code=c%26d&state=%22%3E%3Cscript%3E";
        assert_eq!(returned("https://a/cb", ReturnMode::Query).location(), format!("https://a/cb?{encoded}"));
        assert_eq!(returned("https://a/cb?x=1", ReturnMode::Query).location(), format!("https://a/cb?x=1&{encoded}"));
        assert_eq!(returned("https://a/cb", ReturnMode::Fragment).location(), format!("https://a/cb#{encoded}"));
        assert_eq!(returned("https://a/cb", ReturnMode::FormPost).location(), "https://a/cb");
    }

    #[test]
    fn a_state_cannot_break_out_of_the_form() {
        let page = String::from_utf8(returned("https://a/cb", ReturnMode::FormPost).answer().body).unwrap();
        assert!(!page.contains("\"><script>"), "{page}");
        assert!(page.contains("<noscript>") && page.contains("action=\"https://a/cb\""));
    }
}
