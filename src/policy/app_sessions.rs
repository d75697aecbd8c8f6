//! The sessions that an app keeps by itself, beside the gateway's.

use http::Method;

use crate::web::{CanonicalPath, PathPrefix};

/// How the sessions of an app end, and which cookies they live in.
#[derive(Clone, Debug, Default)]
pub struct AppSessions {
    /// Where the app signs people out.
    pub sign_out_paths: Vec<PathPrefix>,
    /// The cookies that die at a sign-out, and when another person signs in.
    pub clear_cookies: Vec<String>,
}

impl AppSessions {
    /// Whether a request signs the person out of the app. A spelling that the app could take for a
    /// sign-out path is one: when in doubt, the session ends. What lies below it is not. `HEAD` and
    /// `OPTIONS` only ask.
    #[must_use]
    pub fn end_with(&self, method: &Method, path: &CanonicalPath) -> bool {
        !matches!(*method, Method::HEAD | Method::OPTIONS) && self.sign_out_paths.iter().any(|own| own.may_be(path))
    }

    /// The cookie of this name, when it is one that dies at a sign-out.
    #[must_use]
    pub fn cookie(&self, name: &[u8]) -> Option<&str> {
        self.clear_cookies.iter().find(|own| own.as_bytes() == name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> AppSessions {
        let path = CanonicalPath::parse("/logout.php").unwrap();
        AppSessions { sign_out_paths: vec![PathPrefix::new(path)], clear_cookies: vec!["PHPSESSID".into()] }
    }

    #[test]
    fn only_what_does_something_signs_out_in_any_spelling() {
        let ends = |method: Method, path| sessions().end_with(&method, &CanonicalPath::parse(path).unwrap());
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::from_bytes(b"LOGOUT").unwrap()] {
            assert!(ends(method.clone(), "/logout.php") && ends(method, "/Logout.php;x"));
        }
        assert!(!ends(Method::HEAD, "/logout.php") && !ends(Method::OPTIONS, "/logout.php"));
        for path in ["/", "/logout.php/x", "/x/logout.php", "/logout"] {
            assert!(!ends(Method::GET, path), "{path}");
        }
    }

    #[test]
    fn names_of_cookies_differ_by_case() {
        assert_eq!(sessions().cookie(b"PHPSESSID"), Some("PHPSESSID"));
        assert_eq!((sessions().cookie(b"phpsessid"), sessions().cookie(b"PHPSESSID2")), (None, None));
    }
}
