//! The canonical request path: judged, logged and sent on as one and the same value.

use std::{borrow::Cow, fmt};

/// Why a path is refused: its meaning could differ between the gateway and an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It is not absolute.
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// White space, a control character, a backslash, a quote, or something beyond ASCII, unencoded.
    #[error("the path has a character that must be percent-encoded")]
    Character,
    /// `%` without two hexadecimal digits.
    #[error("the path has a percent sign that is not followed by two hexadecimal digits")]
    Percent,
    /// A slash, a backslash or a control character, percent-encoded, once or several times over.
    #[error("the path has an encoded slash, backslash or control character")]
    Encoded,
    /// Bytes that only a lenient decoder takes for a character (RFC 3629, section 3).
    #[error("the path has an overlong UTF-8 sequence")]
    Overlong,
    /// `.` or `..`, in any encoding.
    #[error("the path has a dot segment")]
    DotSegment,
    /// `//`.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// Percent signs encoded again and again: nobody means that, and each layer costs time to look at.
    #[error("the path is percent-encoded more than {MOST_LAYERS} times over")]
    Layers,
}

/// How many times over a path may be percent-encoded. Without a limit the work would grow with the
/// square of the length: 32 KiB of `%252525...` have sixteen thousand layers.
const MOST_LAYERS: usize = 4;

/// A path that means the same to everybody.
///
/// Percent-encoded unreserved characters are decoded and hexadecimal digits are upper case (RFC 3986,
/// section 6.2.2); nothing else is changed. What cannot be read in one way only is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CanonicalPath {
    text: Box<str>,
}

impl CanonicalPath {
    /// Reads the path of a request target, without its query.
    ///
    /// # Errors
    /// When the meaning of the path could differ between the gateway and an app.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        let rest = raw.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
        let mut text = String::with_capacity(raw.len());
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            if segment.is_empty() && segments.peek().is_some() {
                return Err(PathError::EmptySegment);
            }
            text.push('/');
            append_segment(segment, &mut text)?;
        }
        Ok(Self { text: text.into() })
    }

    /// The path as the app gets it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn segments(&self) -> impl Iterator<Item = &str> {
        self.text[1..].split('/')
    }

    /// Its segments as an app sees them.
    pub(super) fn decoded(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        self.segments().map(decoded)
    }

    /// Its segments as a lenient app would read them.
    pub(super) fn loose(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        self.segments().filter_map(loose)
    }

    /// The same without the scripts that leave the rest of the path to themselves.
    pub(super) fn behind_scripts(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        behind_scripts(self.loose())
    }

    /// Whether something stands before the last segment that may be the name of a script.
    pub(super) fn may_name_a_script(&self) -> bool {
        self.text.trim_end_matches('/').rsplit_once('/').is_some_and(|(before, _)| before.contains(['.', '%']))
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A rule's path: it matches itself and whatever lies below, on a segment boundary.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPrefix {
    path: CanonicalPath,
    pub(super) segments: Box<[Box<[u8]>]>,
    /// The segments as a lenient app would read them.
    pub(super) loose: Box<[Box<[u8]>]>,
    /// And those that are left when scripts leave the rest of the path to themselves.
    pub(super) behind: Box<[Box<[u8]>]>,
}

impl PathPrefix {
    /// A prefix from a canonical path; a trailing slash does not count.
    #[must_use]
    pub fn new(path: CanonicalPath) -> Self {
        let trimmed = path.text.strip_suffix('/').unwrap_or(&path.text);
        let segments = || trimmed.split('/').skip(1);
        let exact = segments().map(|segment| decoded(segment).into()).collect();
        let loose: Box<[Box<[u8]>]> = segments().filter_map(loose).map(Into::into).collect();
        let behind = behind_scripts(loose.iter().map(|segment| Cow::from(&**segment))).map(Into::into).collect();
        Self { segments: exact, loose, behind, path }
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.path.as_str()
    }

    /// Number of segments: the longest match wins.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.segments.len()
    }

    /// Whether `path` is this one or lies below it.
    #[must_use]
    pub fn covers(&self, path: &CanonicalPath) -> bool {
        let mut segments = path.decoded();
        self.segments.iter().all(|rule| segments.next().is_some_and(|segment| *segment == **rule))
    }

    /// Whether an app might think so: one that drops path parameters (`/admin;x=1`, and `/;x/admin`,
    /// where nothing is left of a segment), ignores letter case (`/ADMIN`), or trailing dots and blanks
    /// (`/admin.`), decodes twice (`/%2561dmin`), or takes a decoded `?` or `#` for the end (`/admin%3F`).
    #[must_use]
    pub fn may_cover(&self, path: &CanonicalPath) -> bool {
        let mut segments = path.loose();
        self.covers(path) || self.loose.iter().all(|rule| segments.next().is_some_and(|segment| *segment == **rule))
    }

    /// Whether an app might think so whose scripts get what follows them (RFC 3875, section 4.1.5): to many a front
    /// controller `/index.php/admin` and `/admin` are one.
    #[must_use]
    pub fn may_cover_behind_a_script(&self, path: &CanonicalPath) -> bool {
        // Nearly all paths end here.
        if !self.names_a_script() && !path.may_name_a_script() {
            return false;
        }
        let mut segments = path.behind_scripts();
        self.behind.iter().all(|rule| segments.next().is_some_and(|segment| *segment == **rule))
    }

    /// Whether it names a script that leaves the rest of the path to itself.
    pub(super) fn names_a_script(&self) -> bool {
        self.behind.len() < self.loose.len()
    }

    /// Whether the path of another rule was written for a place of this one, by the name of its script or without.
    #[must_use]
    pub fn means_a_place_of(&self, other: &Self) -> bool {
        other.may_cover_behind_a_script(&self.path)
    }

    /// Whether an app might take `path` for this very one: as [`Self::may_cover`], with nothing below it.
    #[must_use]
    pub fn may_be(&self, path: &CanonicalPath) -> bool {
        let mut segments = path.loose();
        self.loose.iter().all(|rule| segments.next().is_some_and(|segment| *segment == **rule))
            && segments.next().is_none()
    }
}

/// A segment as a lenient app might read it; `None` when it would see nothing there.
fn loose(segment: &str) -> Option<Cow<'_, [u8]>> {
    // Nearly all segments are read in one way only.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && !b"%;?#".contains(&byte);
    if segment.bytes().all(is_plain) && !segment.ends_with('.') {
        return Some(Cow::from(segment.as_bytes())).filter(|segment| !segment.is_empty());
    }
    let mut bytes = segment.as_bytes().to_vec();
    // A canonical path has few layers.
    while let Some(next) = next_layer(&bytes) {
        bytes = next;
    }
    let bare = bytes.split(|byte| b";?#".contains(byte)).next().unwrap_or_default();
    let end = bare.iter().rposition(|byte| !b". ".contains(byte)).map_or(0, |last| last + 1);
    let bare = &bare[..end];
    (!bare.is_empty()).then(|| match std::str::from_utf8(bare) {
        // Both ways, because some letters meet in one case only: `ſ` and `s`, the Kelvin sign and `k`.
        Ok(text) if !text.is_ascii() => text.to_uppercase().to_lowercase().into_bytes().into(),
        Ok(_) | Err(_) => bare.to_ascii_lowercase().into(),
    })
}

/// The names of scripts that servers run, and hand the rest of the path to.
const SCRIPTS: &[&str] = &[
    "php", "php3", "php4", "php5", "php7", "php8", "phtml", "phar", "cgi", "fcgi", "pl", "py", "wsgi", "cfm", "asp",
    "aspx", "jsp",
];

/// Loose segments without the scripts that others follow.
fn behind_scripts<'a>(segments: impl Iterator<Item = Cow<'a, [u8]>>) -> impl Iterator<Item = Cow<'a, [u8]>> {
    let mut segments = segments.peekable();
    std::iter::from_fn(move || {
        loop {
            let segment = segments.next()?;
            let extension = segment.rsplit(|byte| *byte == b'.').next().filter(|found| found.len() < segment.len());
            let is_script = extension.is_some_and(|found| SCRIPTS.iter().any(|script| script.as_bytes() == found));
            if !is_script || segments.peek().is_none() {
                return Some(segment);
            }
        }
    })
}

/// The bytes decoded once more; `None` when that changes nothing.
fn next_layer(bytes: &[u8]) -> Option<Vec<u8>> {
    bytes
        .contains(&b'%')
        .then(|| percent_encoding::percent_decode(bytes).collect())
        .filter(|next: &Vec<u8>| next != bytes)
}

/// What an app sees after it has percent-decoded a canonical segment.
fn decoded(segment: &str) -> Cow<'_, [u8]> {
    percent_encoding::percent_decode_str(segment).into()
}

fn append_segment(segment: &str, text: &mut String) -> Result<(), PathError> {
    if segment.bytes().all(is_plain) {
        // One layer, which nobody reads in another way.
        text.push_str(segment);
        return if is_dots(segment.as_bytes()) { Err(PathError::DotSegment) } else { Ok(()) };
    }
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => append_encoded(hex_digit(rest.next())? << 4 | hex_digit(rest.next())?, text),
            b'\\' | b'"' | b'<' | b'>' | b'`' | b'#' | b'?' => return Err(PathError::Character),
            visible if visible.is_ascii_graphic() => text.push(visible as char),
            _ => return Err(PathError::Character),
        }
    }
    check_meaning(segment)
}

/// Whether a character stands for itself.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'%' | b'\\' | b'"' | b'<' | b'>' | b'`' | b'#' | b'?')
}

fn append_encoded(byte: u8, text: &mut String) {
    use std::fmt::Write;
    // RFC 3986, section 2.3: unreserved characters mean the same with and without encoding.
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        text.push(byte as char);
    } else {
        let _ = write!(text, "%{byte:02X}");
    }
}

fn hex_digit(byte: Option<u8>) -> Result<u8, PathError> {
    let digit = byte.and_then(|byte| (byte as char).to_digit(16)).ok_or(PathError::Percent)?;
    u8::try_from(digit).map_err(|_| PathError::Percent)
}

/// Decodes again and again, as a chain of careless apps would, and looks at every layer.
fn check_meaning(segment: &str) -> Result<(), PathError> {
    let mut layer = segment.as_bytes().to_vec();
    for _ in 0..=MOST_LAYERS {
        let next: Vec<u8> = percent_encoding::percent_decode(&layer).collect();
        if next.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0..=0x1f | 0x7f)) {
            return Err(PathError::Encoded);
        }
        if next
            .windows(2)
            .any(|pair| matches!(pair, [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]))
        {
            return Err(PathError::Overlong);
        }
        if is_dots(&next) {
            return Err(PathError::DotSegment);
        }
        if next == layer {
            return Ok(());
        }
        layer = next;
    }
    Err(PathError::Layers)
}

/// Whether a segment is `.` or `..`; `..;x` is `..` to an app that knows path parameters.
fn is_dots(segment: &[u8]) -> bool {
    matches!(segment.split(|byte| *byte == b';').next(), Some(b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(raw: &str) -> String {
        CanonicalPath::parse(raw).unwrap().to_string()
    }

    fn prefix(raw: &str) -> PathPrefix {
        PathPrefix::new(CanonicalPath::parse(raw).unwrap())
    }

    #[test]
    fn ordinary_paths_stay_as_they_are() {
        for raw in [
            "/",
            "/a",
            "/a/",
            "/a/b.html",
            "/a%20b",
            "/%E9t%C3%A9",
            "/~u/@me:x;v=1/!$&'()*+,=",
            "/a.b/..c/d..",
            "/...",
            "/50%25",
        ] {
            assert_eq!(canonical(raw), raw);
        }
    }

    #[test]
    fn unreserved_characters_are_decoded_and_digits_are_upper_case() {
        assert_eq!(canonical("/%61dmin%2d%5f%7E/%c3%a9"), "/admin-_~/%C3%A9");
    }

    #[test]
    fn a_path_that_could_mean_two_things_is_refused() {
        use PathError::*;
        for (raw, why) in [
            ("", NotAbsolute),
            ("admin", NotAbsolute),
            ("*", NotAbsolute),
            ("//", EmptySegment),
            ("//admin", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a//", EmptySegment),
            ("/a/../b", DotSegment),
            ("/..", DotSegment),
            ("/.", DotSegment),
            ("/./a", DotSegment),
            ("/a/.", DotSegment),
            ("/%2e/a", DotSegment),
            ("/%2E%2e/a", DotSegment),
            ("/.%2e", DotSegment),
            ("/%252e%252e/a", DotSegment),
            ("/%25252e/a", DotSegment),
            ("/..;/a", DotSegment),
            ("/..;x=1/a", DotSegment),
            ("/.;/a", DotSegment),
            ("/..%3b/a", DotSegment),
            ("/a%2fb", Encoded),
            ("/a%2Fb", Encoded),
            ("/a%252fb", Encoded),
            ("/a%5cb", Encoded),
            ("/a%00", Encoded),
            ("/a%2500", Encoded),
            ("/a%0d%0ab", Encoded),
            ("/a%7f", Encoded),
            ("/a%c0%afb", Overlong),
            ("/%c0%ae%c0%ae/a", Overlong),
            ("/%e0%80%af", Overlong),
            ("/%f0%80%80%af", Overlong),
            ("/a%", Percent),
            ("/a%2", Percent),
            ("/a%zz", Percent),
            ("/%u002e", Percent),
            ("/a\\b", Character),
            ("/a b", Character),
            ("/a\tb", Character),
            ("/a\0", Character),
            ("/a\u{7f}", Character),
            ("/é", Character),
            ("/a#b", Character),
            ("/a\"b", Character),
            ("/<a>", Character),
            ("/%252525252561", Layers),
        ] {
            assert_eq!(CanonicalPath::parse(raw), Err(why), "{raw:?}");
        }
    }

    #[test]
    fn a_path_encoded_thousands_of_times_over_costs_no_more_than_another() {
        // At every layer two bytes vanish: looked at to the end, this would take minutes.
        let raw = format!("/%{}", "25".repeat(16_000));
        assert_eq!(CanonicalPath::parse(&raw), Err(PathError::Layers));
        assert_eq!(canonical("/a%25252520b"), "/a%25252520b");
    }

    #[test]
    fn a_prefix_covers_itself_and_what_lies_below_on_a_segment_boundary() {
        let admin = prefix("/admin");
        for path in ["/admin", "/admin/", "/admin/x", "/%61dmin"] {
            assert!(admin.covers(&CanonicalPath::parse(path).unwrap()), "{path}");
        }
        for path in ["/", "/administrator", "/x/admin", "/ADMIN", "/admin;x"] {
            assert!(!admin.covers(&CanonicalPath::parse(path).unwrap()), "{path}");
        }
        assert!(prefix("/").covers(&CanonicalPath::parse("/x").unwrap()));
        assert!(prefix("/admin/").covers(&CanonicalPath::parse("/admin").unwrap()));
        assert_eq!(prefix("/a@b").depth(), 1);
        assert!(prefix("/a@b").covers(&CanonicalPath::parse("/a%40b").unwrap()));
    }

    #[test]
    fn a_prefix_may_cover_what_a_lenient_app_would_take_for_it() {
        let admin = prefix("/admin");
        for path in [
            "/admin",
            "/ADMIN",
            "/admin;x=1/y",
            "/Admin.",
            "/admin%20",
            "/admin%3bx",
            "/%2561dmin",
            "/%252561dmin/x",
            "/admin%3fx",
            "/admin%23x",
            "/;x/admin",
            "/;/admin",
            "/%3b/admin",
            "/%20/admin",
        ] {
            assert!(admin.may_cover(&CanonicalPath::parse(path).unwrap()), "{path}");
        }
        for path in ["/administrator", "/;x", "/x/admin", "/", "/%25admin", "/x;/admin"] {
            assert!(!admin.may_cover(&CanonicalPath::parse(path).unwrap()), "{path}");
        }
        for (rule, path) in [("/%C3%BCbung", "/%C3%9Cbung"), ("/books", "/boo%E2%84%AA%C5%BF"), ("/%FF", "/%FF;x")] {
            assert!(prefix(rule).may_cover(&CanonicalPath::parse(path).unwrap()), "{rule} {path}");
        }
    }

    #[test]
    fn what_follows_a_script_may_be_a_path_of_its_own() {
        let path = |text: &str| CanonicalPath::parse(text).unwrap();
        for (rule, met) in [
            ("/admin", "/index.php/admin"),
            ("/admin", "/INDEX.PHP/Admin;x/y"),
            ("/admin", "/index%252ephp/admin"),
            ("/admin", "/index.php;x/admin"),
            ("/admin", "/app.cgi/index.php/admin"),
            ("/a/admin", "/a/index.php/admin/x"),
            ("/a/admin", "/index.php/a/index.php/admin"),
            // Whose rule names the script is asked for without it, too.
            ("/index.php/admin", "/admin"),
            ("/index.php/admin", "/other.php/admin"),
        ] {
            assert!(prefix(rule).may_cover_behind_a_script(&path(met)), "{rule} {met}");
        }
        for (rule, met) in [
            ("/admin", "/index.php/x/admin"),
            ("/admin", "/index.html/admin"),
            ("/admin", "/php/admin"),
            ("/admin", "/.php"),
            ("/admin", "/x.y/admin"),
            ("/admin", "/index.php"),
            ("/admin", "/index.php/"),
            ("/admin", "/index.php/administrator"),
            // A script at the end is what is asked for.
            ("/wp-admin/install.php", "/wp-admin/x"),
            ("/login.php", "/x"),
            ("/login.php", "/login.php/x"),
        ] {
            let is_met = prefix(rule).may_cover_behind_a_script(&path(met));
            assert!(!is_met || prefix(rule).covers(&path(met)), "{rule} {met}");
        }
        assert!(prefix("/index.php/admin").means_a_place_of(&prefix("/admin")));
        assert!(prefix("/admin/x").means_a_place_of(&prefix("/index.php/admin")));
        assert!(!prefix("/index.php").means_a_place_of(&prefix("/admin")));
    }

    #[test]
    fn a_path_is_taken_for_another_with_nothing_below_it() {
        let logout = prefix("/app/logout.php");
        for path in [
            "/app/logout.php",
            "/app/logout.php/",
            "/APP/Logout.PHP",
            "/app/logout.php;x",
            "/app/logout.php.",
            "/app/logout%252ephp",
            "/app/logout.php%3fx",
            "/;/app/logout.php",
        ] {
            assert!(logout.may_be(&CanonicalPath::parse(path).unwrap()), "{path}");
        }
        for path in ["/app/logout.php/x", "/app", "/logout.php", "/app/logout.phps", "/x/app/logout.php", "/"] {
            assert!(!logout.may_be(&CanonicalPath::parse(path).unwrap()), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_path_is_its_own_canonical_path(raw in "/[ -~]{0,40}") {
            if let Ok(path) = CanonicalPath::parse(&raw) {
                prop_assert_eq!(CanonicalPath::parse(path.as_str()).unwrap(), path.clone());
                prop_assert!(path.as_str().starts_with('/') && !path.as_str().starts_with("//"));
            }
        }
    }
}
