//! The kind of a request: may it be answered with a redirect to Apple?

/// What a request looks like to the person who caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A page that opens in a tab: a redirect leads a person somewhere.
    Navigation,
    /// Anything else (fetch, image, frame, WebSocket, an API client): a redirect leads nowhere.
    Other,
}

/// The header fields that tell; absent ones are `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct KindFacts<'a> {
    /// `Sec-Fetch-Mode`.
    pub fetch_mode: Option<&'a str>,
    /// `Sec-Fetch-Dest`.
    pub fetch_dest: Option<&'a str>,
    /// `Accept`.
    pub accept: Option<&'a str>,
    /// Whether there is an `X-Requested-With`.
    pub requested_with: bool,
    /// Whether the request asks for an upgrade, as WebSockets do.
    pub upgrade: bool,
}

impl Kind {
    /// The table of the contract, section 4.
    #[must_use]
    pub fn of(facts: &KindFacts<'_>) -> Self {
        let navigation = match (facts.fetch_mode, facts.fetch_dest) {
            _ if facts.upgrade => false,
            (None, None) => facts.accept.is_some_and(accepts_html) && !facts.requested_with,
            (mode, dest) => mode == Some("navigate") && dest == Some("document"),
        };
        if navigation { Self::Navigation } else { Self::Other }
    }
}

fn accepts_html(accept: &str) -> bool {
    accept
        .split(',')
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(mode: &'static str, dest: &'static str) -> KindFacts<'static> {
        KindFacts { fetch_mode: Some(mode), fetch_dest: Some(dest), accept: Some("text/html"), ..KindFacts::default() }
    }

    #[test]
    fn only_a_page_that_opens_in_a_tab_is_a_navigation() {
        assert_eq!(Kind::of(&fetch("navigate", "document")), Kind::Navigation);
        for (mode, dest) in [
            ("navigate", "iframe"),
            ("navigate", "frame"),
            ("cors", "empty"),
            ("no-cors", "image"),
            ("websocket", "websocket"),
        ] {
            assert_eq!(Kind::of(&fetch(mode, dest)), Kind::Other, "{mode} {dest}");
        }
        let upgrade = KindFacts { upgrade: true, ..fetch("navigate", "document") };
        assert_eq!(Kind::of(&upgrade), Kind::Other);
        let half = KindFacts { fetch_mode: Some("navigate"), ..KindFacts::default() };
        assert_eq!(Kind::of(&half), Kind::Other);
    }

    #[test]
    fn without_fetch_metadata_the_accept_header_tells() {
        let accept = |accept| KindFacts { accept, ..KindFacts::default() };
        assert_eq!(Kind::of(&accept(Some("application/xhtml+xml, Text/HTML;q=0.9"))), Kind::Navigation);
        for other in [None, Some("*/*"), Some("application/json"), Some("text/htmlx")] {
            assert_eq!(Kind::of(&accept(other)), Kind::Other, "{other:?}");
        }
        let xhr = KindFacts { requested_with: true, ..accept(Some("text/html")) };
        assert_eq!(Kind::of(&xhr), Kind::Other);
    }
}
