//! A `Set-Cookie` of an app, read as browsers read it (RFC 6265bis, sections 5.6 and 5.7).

use super::{CanonicalPath, Host};

/// Longest value of an attribute; browsers ignore longer ones.
const LONGEST_ATTRIBUTE: usize = 1024;

/// What an app asks a browser to keep.
#[derive(Clone, Copy, Debug)]
pub struct AppSetCookie<'a> {
    name: &'a [u8],
    value: &'a [u8],
    attributes: &'a [u8],
}

/// Where a browser keeps a cookie: together with its name, this is what tells it from all others, and so
/// what a deletion must say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CookieScope {
    pub(super) path: String,
    pub(super) domain: Option<String>,
    pub(super) partitioned: bool,
}

impl CookieScope {
    /// A path of one host alone.
    #[must_use]
    pub fn host_only(path: impl Into<String>) -> Self {
        Self { path: path.into(), domain: None, partitioned: false }
    }

    /// A path of a host and of all hosts below it.
    #[must_use]
    pub fn of_domain(host: &Host, path: impl Into<String>) -> Self {
        Self { path: path.into(), domain: Some(host.name().to_owned()), partitioned: false }
    }

    /// Whether it is the whole of one host, and nothing else: the only place for a name with `__Host-`.
    #[must_use]
    pub fn is_whole_host(&self) -> bool {
        self.path == "/" && self.domain.is_none()
    }
}

impl<'a> AppSetCookie<'a> {
    /// Reads a header value; `None` when browsers would ignore it.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let end = line.iter().position(|byte| *byte == b';').unwrap_or(line.len());
        let (mut pair, attributes) = line.split_at(end);
        // A cookie without a name is sent back as its value alone, so `=a=b` comes back as `a=b`.
        while let Some(bare) = pair.trim_ascii().strip_prefix(b"=") {
            pair = bare;
        }
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let name = pair[..at].trim_ascii();
        (!name.is_empty()).then_some(Self { name, value: pair[at + 1..].trim_ascii(), attributes })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// The value, as the browser sends it back.
    #[must_use]
    pub fn value(&self) -> &'a [u8] {
        self.value
    }

    /// Everything after the value, with the semicolon that it begins with.
    #[must_use]
    pub fn attributes(&self) -> &'a [u8] {
        self.attributes
    }

    /// Where a browser keeps the cookie that came in answer to a request for `path`. `None` when it
    /// refuses it, or when the place could not be written down in an answer of ours.
    #[must_use]
    pub fn scope(&self, host: &Host, path: &CanonicalPath) -> Option<CookieScope> {
        let domain = match self.attribute(b"domain").map(|domain| domain.strip_prefix(b".").unwrap_or(domain)) {
            None | Some(b"") => None,
            Some(domain) => {
                let domain = std::str::from_utf8(domain).ok()?.to_ascii_lowercase();
                let within = host.name() == domain
                    || host.name().strip_suffix(&*domain).is_some_and(|rest| rest.ends_with('.')) && !is_address(host);
                within.then_some(Some(domain))?
            }
        };
        let path = match self.attribute(b"path").filter(|path| path.starts_with(b"/")) {
            Some(path) if path.iter().all(|byte| (b' '..=b'~').contains(byte)) => {
                String::from_utf8_lossy(path).into_owned()
            }
            Some(_) => return None,
            None => default_path(path).to_owned(),
        };
        Some(CookieScope { path, domain, partitioned: self.attribute(b"partitioned").is_some() })
    }

    /// The last attribute of this name, in lower case: it is the one that counts.
    fn attribute(&self, wanted: &[u8]) -> Option<&'a [u8]> {
        self.attributes
            .split(|byte| *byte == b';')
            .filter_map(|attribute| {
                let at = attribute.iter().position(|byte| *byte == b'=').unwrap_or(attribute.len());
                let value = attribute.get(at + 1..).unwrap_or_default().trim_ascii();
                let fine =
                    attribute[..at].trim_ascii().eq_ignore_ascii_case(wanted) && value.len() <= LONGEST_ATTRIBUTE;
                fine.then_some(value)
            })
            .next_back()
    }
}

/// RFC 6265bis, section 5.1.4: everything up to the last slash, and that one only when it stands alone.
fn default_path(path: &CanonicalPath) -> &str {
    match path.as_str().rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path.as_str()[..at],
    }
}

/// Addresses have no parents.
fn is_address(host: &Host) -> bool {
    host.name().starts_with('[') || host.name().parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope_at(host: &str, path: &str, line: &str) -> Option<(String, Option<String>)> {
        let (host, path) = (Host::parse(host).unwrap(), CanonicalPath::parse(path).unwrap());
        let scope = AppSetCookie::parse(line.as_bytes()).unwrap().scope(&host, &path)?;
        Some((scope.path, scope.domain))
    }

    fn scope(path: &str, line: &str) -> Option<(String, Option<String>)> {
        scope_at("a.school.example", path, line)
    }

    #[test]
    fn name_and_value_are_those_that_the_browser_sends_back() {
        let read = |line: &'static str| {
            let set = AppSetCookie::parse(line.as_bytes())?;
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            Some((text(set.name()), text(set.value()), text(set.attributes())))
        };
        let three = |name: &str, value: &str, rest: &str| Some((name.into(), value.into(), rest.into()));
        assert_eq!(read("PHPSESSID=abc; path=/"), three("PHPSESSID", "abc", "; path=/"));
        assert_eq!(read(" PHPSESSID = a=b "), three("PHPSESSID", "a=b", ""));
        assert_eq!(read("a=\"x\";HttpOnly"), three("a", "\"x\"", ";HttpOnly"));
        assert_eq!(read("= =PHPSESSID=1"), three("PHPSESSID", "1", ""));
        for nothing in ["", "a", "=", "=a", "; path=/", "a; b=c"] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn without_a_path_it_is_the_folder_of_the_request() {
        for (request, path) in
            [("/", "/"), ("/a", "/"), ("/a/", "/a"), ("/a/b", "/a"), ("/a/b/", "/a/b"), ("/a/b.php", "/a")]
        {
            for line in ["x=1", "x=1; Path", "x=1; Path=", "x=1; Path=app", "x=1; path=/z; PATH=\t"] {
                assert_eq!(scope(request, line), Some((path.into(), None)), "{request} {line}");
            }
        }
    }

    #[test]
    fn the_last_path_counts_as_it_is_written() {
        let path = |line: &str| scope("/a/b", line).map(|(path, _)| path);
        assert_eq!(path("x=1; Path=/App/").as_deref(), Some("/App/"));
        assert_eq!(path("x=1; path = /y ; HttpOnly; PATH=/z").as_deref(), Some("/z"));
        assert_eq!(path(&format!("x=1; Path=/{}", "y".repeat(1024))).as_deref(), Some("/a"), "browsers ignore it");
        assert_eq!(path("x=1; Path=/ü"), None, "it cannot be said in our answer");
    }

    #[test]
    fn a_domain_is_the_host_or_a_parent_of_it() {
        let domain = |line| scope("/", line).map(|(_, domain)| domain);
        for line in ["x=1; Domain=School.example", "x=1; domain=.school.example"] {
            assert_eq!(domain(line), Some(Some("school.example".into())), "{line}");
        }
        assert_eq!(domain("x=1; Domain=a.school.example"), Some(Some("a.school.example".into())));
        assert_eq!(domain("x=1; Domain="), Some(None));
        for refused in ["x=1; Domain=b.school.example", "x=1; Domain=ool.example", "x=1; Domain=z.a.school.example"] {
            assert_eq!(domain(refused), None, "{refused}");
        }
        assert_eq!(scope_at("10.0.0.1", "/", "x=1; Domain=0.0.1"), None);
        assert_eq!(scope_at("10.0.0.1", "/", "x=1; Domain=10.0.0.1"), Some(("/".into(), Some("10.0.0.1".into()))));
    }
}
