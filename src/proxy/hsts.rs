//! Strict Transport Security (RFC 6797): a browser that was here comes back by HTTPS only.

use std::{fmt, time::Duration};

/// For how long browsers shall remember it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts(Duration);

impl Hsts {
    /// For so long, in whole seconds; `None` for less than one. To say zero would make browsers forget, and is not
    /// the same as to say nothing.
    #[must_use]
    pub fn lasting(while_: Duration) -> Option<Self> {
        (while_.as_secs() > 0).then_some(Self(while_))
    }
}

/// The value of the header. Of hosts below this one it says nothing: they may be others'.
impl fmt::Display for Hsts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "max-age={}", self.0.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_seconds_or_not_at_all() {
        let told = |millis| Hsts::lasting(Duration::from_millis(millis)).map(|hsts| hsts.to_string());
        assert_eq!(told(31_536_000_000).as_deref(), Some("max-age=31536000"));
        assert_eq!(told(1_999).as_deref(), Some("max-age=1"));
        assert_eq!((told(0), told(999)), (None, None));
    }
}
