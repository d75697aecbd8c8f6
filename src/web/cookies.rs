//! Cookies in and out (RFC 6265bis).

use std::{fmt, time::Duration};

use super::CookieScope;

/// A cookie name of ours: known at compile time but for a suffix.
pub type CookieName = String;

/// The `SameSite` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Sent with navigations from elsewhere, not with posts.
    Lax,
    /// Sent always; only for the sign-in cookie of `response_mode = "form_post"`.
    None,
}

/// What a browser sent in its `Cookie` header fields, in order, with nothing decoded.
#[derive(Clone, Default)]
pub struct CookieJar<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> CookieJar<'a> {
    /// Splits the header fields; several count as one (RFC 9113, section 8.2.3).
    pub fn parse(fields: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut pairs = Vec::new();
        for field in fields {
            let mut rest = Some(field);
            while let Some(here) = rest {
                let end = memchr::memchr(b';', here);
                rest = end.map(|end| &here[end + 1..]);
                let pair = here[..end.unwrap_or(here.len())].trim_ascii();
                if !pair.is_empty() {
                    pairs.push(match memchr::memchr(b'=', pair) {
                        Some(at) => (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()),
                        // RFC 6265bis, section 5.6: a cookie without "=" has an empty name.
                        None => (&pair[..0], pair),
                    });
                }
            }
        }
        Self(pairs)
    }

    /// Every value that `name` has, in order. More than one means that somebody planted one.
    pub fn values<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'a str> + 'n {
        self.0
            .iter()
            .filter(move |(key, _)| *key == name.as_bytes())
            .filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// Names and values of the cookies whose name begins with `prefix`.
    pub fn with_prefix<'n>(&'n self, prefix: &'n str) -> impl Iterator<Item = (&'a str, &'a str)> + 'n {
        self.0
            .iter()
            .filter_map(|(key, value)| Some((std::str::from_utf8(key).ok()?, std::str::from_utf8(value).ok()?)))
            .filter(move |(key, _)| key.starts_with(prefix))
    }

    /// The header value for the app, without the cookies that `drops` names and values; `None` when nothing
    /// is left. A pair without a name is judged as the pair that a reader would take it for.
    pub fn without(&self, drops: impl Fn(&[u8], &[u8]) -> bool) -> Option<Vec<u8>> {
        let all = self.0.iter().map(|(key, value)| key.len() + value.len() + "=; ".len()).sum();
        let mut kept = Vec::with_capacity(all);
        let mut is_first = true;
        for (key, value) in &self.0 {
            let (name, meant) = if key.is_empty() { as_read(value) } else { (*key, *value) };
            if drops(name, meant) {
                continue;
            }
            if !is_first {
                kept.extend_from_slice(b"; ");
            }
            is_first = false;
            if !key.is_empty() {
                kept.extend_from_slice(key);
                kept.push(b'=');
            }
            kept.extend_from_slice(value);
        }
        (!is_first).then_some(kept)
    }
}

/// What a reader takes a nameless pair for: `=a=b` is sent on as `a=b`.
fn as_read(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut rest = pair.trim_ascii();
    while let Some(bare) = rest.strip_prefix(b"=") {
        rest = bare.trim_ascii();
    }
    match rest.iter().position(|byte| *byte == b'=') {
        Some(at) => (rest[..at].trim_ascii(), rest[at + 1..].trim_ascii()),
        None => (rest, &rest[rest.len()..]),
    }
}

/// A `Set-Cookie` of the gateway: host-only, `Path=/`, `HttpOnly`, and `Secure` unless it is plain
/// HTTP on localhost. One type makes and deletes, so that the attributes are the same (CVE-2025-55162).
/// The value is a secret: `Debug` does not show it.
#[derive(Clone)]
pub struct SetCookie {
    name: CookieName,
    value: String,
    scope: CookieScope,
    same_site: SameSite,
    secure: bool,
    max_age: Option<Duration>,
}

impl SetCookie {
    /// A cookie that lives until the browser closes.
    pub fn new(name: impl Into<CookieName>, value: impl Into<String>, same_site: SameSite, secure: bool) -> Self {
        let scope = CookieScope::host_only("/");
        Self { name: name.into(), value: value.into(), scope, same_site, secure, max_age: None }
    }

    /// The same with a lifetime.
    #[must_use]
    pub fn lasting(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// The same for another path or domain: an app's cookie is deleted where the app has set it.
    #[must_use]
    pub fn within(mut self, scope: CookieScope) -> Self {
        self.scope = scope;
        self
    }

    /// Deletes the cookie of this name.
    pub fn deletion(name: impl Into<CookieName>, same_site: SameSite, secure: bool) -> Self {
        Self::new(name, "", same_site, secure).lasting(Duration::ZERO)
    }

    /// The header value.
    #[must_use]
    pub fn header_value(&self) -> String {
        let CookieScope { path, domain, partitioned } = &self.scope;
        let mut built = cookie::Cookie::build((&*self.name, &*self.value))
            .path(&**path)
            .http_only(true)
            .secure(self.secure)
            .partitioned(*partitioned)
            .same_site(match self.same_site {
                SameSite::Lax => cookie::SameSite::Lax,
                SameSite::None => cookie::SameSite::None,
            });
        if let Some(domain) = domain {
            built = built.domain(&**domain);
        }
        if let Some(max_age) = self.max_age {
            built =
                built.max_age(cookie::time::Duration::seconds(i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX)));
        }
        built.build().to_string()
    }
}

impl fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetCookie").field("name", &self.name).field("max_age", &self.max_age).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_cookie_headers_are_read_without_harm() {
        // CVE-2023-28625: `Cookie: =` and kin.
        let jar = CookieJar::parse([b"=; ;a;b=1; c = 2 ;d=x=y;;".as_slice(), b"b=3"]);
        assert_eq!(jar.values("b").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(jar.values("c").collect::<Vec<_>>(), ["2"]);
        assert_eq!(jar.values("d").collect::<Vec<_>>(), ["x=y"]);
        assert_eq!(jar.values("a").count(), 0);
    }

    #[test]
    fn our_cookies_do_not_reach_the_app_and_others_are_joined() {
        let jar = CookieJar::parse([
            b"__Host-schoolgate=s; PHPSESSID=1".as_slice(),
            b"x=\xff; __Host-schoolgate-login-1=t; __Host-schoolgate",
        ]);
        let ours = |name: &[u8], _: &[u8]| name.starts_with(b"__Host-schoolgate");
        assert_eq!(jar.without(ours).unwrap(), b"PHPSESSID=1; x=\xff");
        assert_eq!(CookieJar::parse([b"__Host-schoolgate=s".as_slice()]).without(ours), None);
    }

    #[test]
    fn a_pair_without_a_name_is_judged_as_what_it_will_be_read_as() {
        let jar = CookieJar::parse([b"==PHPSESSID=1=2; a; lang=de".as_slice()]);
        let judged = std::cell::RefCell::new(Vec::new());
        let kept = jar.without(|name, value| {
            judged.borrow_mut().push((name.to_vec(), value.to_vec()));
            name == b"PHPSESSID"
        });
        assert_eq!(kept.unwrap(), b"a; lang=de");
        let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
        assert_eq!(judged.into_inner(), [pair(b"PHPSESSID", b"1=2"), pair(b"a", b""), pair(b"lang", b"de")]);
    }

    #[test]
    fn a_deletion_elsewhere_says_where() {
        let host = crate::web::Host::parse("library.school.example").unwrap();
        let path = crate::web::CanonicalPath::parse("/a/b").unwrap();
        let set = crate::web::AppSetCookie::parse(b"x=1; Domain=School.example; Partitioned").unwrap();
        let gone = SetCookie::deletion("x", SameSite::Lax, true).within(set.scope(&host, &path).unwrap());
        let expected = "x=; HttpOnly; SameSite=Lax; Partitioned; Secure; Path=/a; Domain=school.example; Max-Age=0";
        assert_eq!(gone.header_value(), expected);
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}", SetCookie::new("__Host-x", "secret", SameSite::Lax, true));
        assert!(shown.contains("__Host-x") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn a_deletion_has_the_attributes_of_the_creation() {
        let made = SetCookie::new("__Host-x", "v", SameSite::Lax, true).header_value();
        let gone = SetCookie::deletion("__Host-x", SameSite::Lax, true).header_value();
        assert_eq!(made, "__Host-x=v; HttpOnly; SameSite=Lax; Secure; Path=/");
        assert_eq!(gone, "__Host-x=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0");
        assert!(!SetCookie::new("x", "v", SameSite::None, false).header_value().contains("Secure"));
    }
}
