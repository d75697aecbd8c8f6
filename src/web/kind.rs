//! The kind of a request: may it be answered with a redirect to Apple?

use self::Cell::{Absent as ABSENT, Accepts, Any as ANY, Is, Mentions, Present as PRESENT};

/// What a request looks like to the person who caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A page that opens in a tab: a redirect leads a person somewhere.
    Navigation,
    /// A page inside another: a person reads it, but Apple shows itself in no frame.
    Frame,
    /// A page that the browser fetches in case somebody will want it: nobody has asked for anything yet.
    Guess,
    /// Anything else (fetch, image, WebSocket, an API client): a redirect leads nowhere.
    Other,
}

/// What stands at the head of each column of [`TABLE`]: the field that is looked at, the first of several that
/// is there.
const COLUMNS: [&[&str]; 7] = [
    &["Upgrade"],
    &["Sec-Purpose"],
    &["Purpose", "X-Purpose", "X-Moz"],
    &["Sec-Fetch-Mode"],
    &["Sec-Fetch-Dest"],
    &["Accept"],
    &["X-Requested-With"],
];

/// The table of `docs/requests.md`, which a test compares with this one. The first line that fits counts; what
/// fits none is [`Kind::Other`].
#[rustfmt::skip]
const TABLE: &[([Cell; 7], Kind)] = &[
    // Upgrade   Sec-Purpose  Purpose…          Sec-Fetch-Mode   Sec-Fetch-Dest   Accept              X-Requested-With
    ([PRESENT,   ANY,         ANY,              ANY,             ANY,             ANY,                ANY   ], Kind::Other),
    ([ANY,       PRESENT,     ANY,              ANY,             ANY,             ANY,                ANY   ], Kind::Guess),
    ([ANY,       ANY,         Mentions(GUESS),  ANY,             ANY,             ANY,                ANY   ], Kind::Guess),
    ([ANY,       ANY,         ANY,              Is(NAVIGATE),    Is(DOCUMENT),    ANY,                ANY   ], Kind::Navigation),
    ([ANY,       ANY,         ANY,              Is(NAVIGATE),    Is(FRAME),       ANY,                ANY   ], Kind::Frame),
    ([ANY,       ANY,         ANY,              ABSENT,          ABSENT,          Accepts(HTML),      ABSENT], Kind::Navigation),
];

/// <https://www.w3.org/TR/fetch-metadata/#sec-fetch-mode-header>
const NAVIGATE: &[&str] = &["navigate"];

/// <https://www.w3.org/TR/fetch-metadata/#sec-fetch-dest-header>
const DOCUMENT: &[&str] = &["document"];

/// The destinations of navigations that end inside a page.
const FRAME: &[&str] = &["iframe", "frame", "embed", "object", "fencedframe"];

/// What browsers said before there was `Sec-Purpose`, and some still say.
const GUESS: &[&str] = &["prefetch", "prerender", "preview"];

const HTML: &str = "text/html";

/// What a line of the table wants of a field.
#[derive(Clone, Copy, Debug)]
enum Cell {
    /// It is not looked at.
    Any,
    /// It is not there.
    Absent,
    /// It is there, whatever it says.
    Present,
    /// It is one of these.
    Is(&'static [&'static str]),
    /// It has one of these words in it.
    Mentions(&'static [&'static str]),
    /// It names this media type.
    Accepts(&'static str),
}

impl Cell {
    fn fits(self, value: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => value.is_none(),
            Self::Present => value.is_some(),
            // A `Sec-Fetch` field is a token of RFC 9651, whose letters have one case.
            Self::Is(those) => value.is_some_and(|value| those.contains(&value)),
            Self::Mentions(those) => {
                value.map(str::to_ascii_lowercase).is_some_and(|value| those.iter().any(|word| value.contains(word)))
            }
            Self::Accepts(media_type) => value.is_some_and(|value| accepts(value, media_type)),
        }
    }
}

impl Kind {
    /// The kind of a request, of which `field` knows the values. What cannot be read, or stands twice, is there
    /// and fits nothing.
    #[must_use]
    pub fn of<'a>(field: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        let values = COLUMNS.map(|names| names.iter().find_map(|name| field(name)));
        let line = TABLE.iter().find(|(cells, _)| cells.iter().zip(values).all(|(cell, value)| cell.fits(value)));
        line.map_or(Self::Other, |(_, kind)| *kind)
    }

    /// Whether a person reads the answer: then it is a page.
    #[must_use]
    pub const fn is_read(self) -> bool {
        match self {
            Self::Navigation | Self::Frame => true,
            Self::Guess | Self::Other => false,
        }
    }
}

fn accepts(accept: &str, media_type: &str) -> bool {
    let ranges = accept.split(',').filter_map(|range| range.split(';').next());
    ranges.map(str::trim).any(|range| range.eq_ignore_ascii_case(media_type))
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    /// What Chromium sends: `tests/browser/kinds.rs` asks it.
    const CHROMIUM: &str = include_str!("../../tests/browser/kinds.txt");

    /// From public documentation: MDN's pages about `Sec-Purpose` and about the default values of `Accept`. Safari has
    /// sent `Sec-Fetch` fields since 16.4 (Apple's release notes), Firefox since 90.
    const OTHERS: &str = "\
        Firefox 116, a prefetch | Guess | Sec-Fetch-Mode: no-cors | Sec-Fetch-Dest: empty | Sec-Purpose: prefetch | Accept: */*
        Firefox 114, a prefetch | Guess | Sec-Fetch-Mode: no-cors | Sec-Fetch-Dest: empty | X-Moz: prefetch | Accept: */*
        Firefox 89, a page | Navigation | Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8
        Firefox 89, an image | Other | Accept: image/webp,*/*
        Safari, a page | Navigation | Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
        Safari, an image | Other | Accept: image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5
        Safari 4, its top sites | Guess | X-Purpose: preview | Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
        curl | Other | Accept: */*
        jQuery | Other | Accept: text/html, */*; q=0.01 | X-Requested-With: XMLHttpRequest";

    impl fmt::Display for Cell {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let or = |those: &[&str]| {
                let (last, first) = those.split_last().unwrap();
                let first: Vec<_> = first.iter().map(|one| format!("`{one}`")).collect();
                if first.is_empty() { format!("`{last}`") } else { format!("{} or `{last}`", first.join(", ")) }
            };
            match self {
                Self::Any => Ok(()),
                Self::Absent => f.write_str("absent"),
                Self::Present => f.write_str("there"),
                Self::Is(those) => f.write_str(&or(those)),
                Self::Mentions(those) => write!(f, "has {}", or(those)),
                Self::Accepts(media_type) => write!(f, "has `{media_type}`"),
            }
        }
    }

    fn of(fields: &[(&str, &str)]) -> Kind {
        Kind::of(|wanted| fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value))
    }

    #[test]
    fn the_table_in_the_documentation_is_this_one() {
        let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
        let or = |names: &&[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let mut lines = vec![line(&[COLUMNS.iter().map(or).collect(), vec!["kind".to_owned()]].concat())];
        lines.push(line(&vec!["---".to_owned(); COLUMNS.len() + 1]));
        for (cells, kind) in TABLE {
            let cells = cells.iter().map(ToString::to_string);
            lines.push(line(&cells.chain([format!("{kind:?}")]).collect::<Vec<_>>()));
        }
        lines.push(line(&[vec![String::new(); COLUMNS.len()], vec![format!("{:?}", Kind::Other)]].concat()));
        let table = lines.join("\n").replace("|  ", "| ");
        let documentation = include_str!("../../docs/requests.md");
        assert!(documentation.contains(&format!("\n\n{table}\n\n")), "docs/requests.md should have\n{table}");
    }

    #[test]
    fn what_browsers_send_is_what_it_is() {
        let mut kinds = Vec::new();
        for row in CHROMIUM.lines().chain(OTHERS.lines()).filter(|line| !line.starts_with('#')) {
            let cells: Vec<_> = row.split(" | ").map(str::trim).collect();
            let fields: Vec<_> = cells[2..].iter().map(|field| field.split_once(": ").unwrap()).collect();
            let kind = of(&fields);
            assert_eq!(format!("{kind:?}"), cells[1], "{row}");
            kinds.push(kind);
        }
        assert_eq!(kinds.len(), 31);
        for kind in [Kind::Navigation, Kind::Frame, Kind::Guess, Kind::Other] {
            assert!(kinds.contains(&kind), "{kind:?}");
        }
    }

    #[test]
    fn only_a_page_that_opens_in_a_tab_is_a_navigation() {
        let fetch = |mode, dest| [("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest), ("Accept", "text/html")];
        assert_eq!(of(&fetch("navigate", "document")), Kind::Navigation);
        for (mode, dest, kind) in [
            ("navigate", "frame", Kind::Frame),
            ("navigate", "fencedframe", Kind::Frame),
            ("navigate", "Document", Kind::Other),
            ("navigate", "document, iframe", Kind::Other),
            ("NAVIGATE", "document", Kind::Other),
            ("navigate", "", Kind::Other),
            ("", "", Kind::Other),
            ("no-cors", "iframe", Kind::Other),
            ("cors", "document", Kind::Other),
        ] {
            assert_eq!(of(&fetch(mode, dest)), kind, "{mode} {dest}");
        }
        for half in [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")] {
            assert_eq!(of(&[half, ("Accept", "text/html")]), Kind::Other, "{half:?}");
        }
        for upgrade in ["websocket", "h2c", ""] {
            let all = [&fetch("navigate", "document")[..], &[("Upgrade", upgrade)]].concat();
            assert_eq!(of(&all), Kind::Other, "{upgrade}");
        }
    }

    #[test]
    fn without_fetch_metadata_the_accept_header_tells() {
        for (accept, kind) in [
            ("application/xhtml+xml, Text/HTML;q=0.9", Kind::Navigation),
            ("*/*", Kind::Other),
            ("application/json", Kind::Other),
            ("text/htmlx", Kind::Other),
            ("", Kind::Other),
        ] {
            assert_eq!(of(&[("Accept", accept)]), kind, "{accept}");
        }
        assert_eq!(of(&[]), Kind::Other);
        assert_eq!(of(&[("Accept", "text/html"), ("X-Requested-With", "")]), Kind::Other);
    }

    #[test]
    fn a_guess_is_a_guess_whatever_else_it_says() {
        for said in [
            ("Sec-Purpose", "prefetch"),
            ("Sec-Purpose", "prefetch;prerender"),
            ("Sec-Purpose", "prefetch;anonymous-client-ip"),
            ("Sec-Purpose", "what comes next"),
            ("Purpose", "prefetch"),
            ("Purpose", "Prerender"),
            ("X-Moz", "prefetch"),
            ("X-Purpose", "preview"),
        ] {
            for dest in ["document", "iframe", "empty"] {
                assert_eq!(
                    of(&[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", dest), said]),
                    Kind::Guess,
                    "{said:?}"
                );
            }
            assert_eq!(of(&[("Accept", "text/html"), said]), Kind::Guess, "{said:?}");
        }
        // Something else that is called so.
        assert_eq!(of(&[("Accept", "text/html"), ("Purpose", "homework")]), Kind::Navigation);
    }
}
