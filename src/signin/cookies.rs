//! The gateway's own cookies and their names.

use crate::web::Scheme;

/// What the names of labels begin with ([`Labels`](super::Labels)). No `__Host-`: a label lives where the
/// cookie lives that it belongs to.
const LABEL_PREFIX: &str = "schoolgate-of-";

/// Names of the session cookie, of the sign-in cookies, of receipts for forms, and of labels.
#[derive(Clone, Copy, Debug)]
pub struct CookieNames {
    session: &'static str,
    login_prefix: &'static str,
    form_prefix: &'static str,
    scheme: Scheme,
}

impl CookieNames {
    /// The names for a scheme: without TLS there is neither `__Host-` nor `Secure` (RFC 6265bis,
    /// section 4.1.3.2).
    #[must_use]
    pub const fn new(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Https => Self {
                session: "__Host-schoolgate",
                login_prefix: "__Host-schoolgate-login-",
                form_prefix: "__Host-schoolgate-form-",
                scheme,
            },
            Scheme::Http => Self {
                session: "schoolgate",
                login_prefix: "schoolgate-login-",
                form_prefix: "schoolgate-form-",
                scheme,
            },
        }
    }

    /// The session cookie.
    #[must_use]
    pub const fn session(&self) -> &'static str {
        self.session
    }

    /// What the names of sign-in cookies begin with.
    #[must_use]
    pub const fn login_prefix(&self) -> &'static str {
        self.login_prefix
    }

    /// What the names of receipts for forms begin with.
    #[must_use]
    pub const fn form_prefix(&self) -> &'static str {
        self.form_prefix
    }

    /// The label of an app's cookie.
    #[must_use]
    pub fn label(&self, name: &str) -> String {
        format!("{LABEL_PREFIX}{name}")
    }

    /// Whether the cookies carry `Secure`.
    #[must_use]
    pub const fn secure(&self) -> bool {
        self.scheme.is_secure()
    }

    /// Whether a cookie of this name is the gateway's: it never goes to an app, and no app may set it.
    /// Case does not count, for browsers differ about it in prefixes.
    #[must_use]
    pub fn are_ours(&self, name: &[u8]) -> bool {
        let begins =
            |ours: &str| name.get(..ours.len()).is_some_and(|start| start.eq_ignore_ascii_case(ours.as_bytes()));
        name.eq_ignore_ascii_case(self.session.as_bytes())
            || [self.login_prefix, self.form_prefix, LABEL_PREFIX].into_iter().any(begins)
    }

    /// Whether a `Set-Cookie` of an app would set one of ours. A cookie without a name is sent back as
    /// its value alone, so `=__Host-schoolgate=x` would.
    #[must_use]
    pub fn would_be_set_by(&self, set_cookie: &[u8]) -> bool {
        let pair = set_cookie.split(|byte| *byte == b';').next().unwrap_or_default();
        let mut rest = pair.trim_ascii();
        while let Some(bare) = rest.strip_prefix(b"=") {
            rest = bare.trim_ascii();
        }
        let name = rest.split(|byte| *byte == b'=').next().unwrap_or_default();
        self.are_ours(name.trim_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_loses_prefix_and_flag() {
        let names = CookieNames::new(Scheme::Http);
        assert_eq!((names.session(), names.login_prefix(), names.secure()), ("schoolgate", "schoolgate-login-", false));
        let names = CookieNames::new(Scheme::Https);
        assert_eq!((names.session(), names.secure()), ("__Host-schoolgate", true));
    }

    #[test]
    fn an_app_cannot_set_our_cookies_in_any_spelling() {
        let names = CookieNames::new(Scheme::Https);
        for line in [
            "__Host-schoolgate=x; Path=/; Secure",
            " __Host-schoolgate = x",
            "__host-schoolgate=x",
            "=__Host-schoolgate=x",
            "= __Host-schoolgate=x; Secure",
            "__Host-schoolgate-login-abc=x",
            "__Host-Schoolgate-form-abc=x",
            "__Host-schoolgate",
            "schoolgate-of-PHPSESSID=x",
            "Schoolgate-Of-=x",
        ] {
            assert!(names.would_be_set_by(line.as_bytes()), "{line}");
        }
        for line in [
            "PHPSESSID=x",
            "__Host-schoolgates=x",
            "a=__Host-schoolgate=x",
            "",
            "=",
            "schoolgate=x",
            "schoolgate-office=1",
        ] {
            assert!(!names.would_be_set_by(line.as_bytes()), "{line}");
        }
    }
}
