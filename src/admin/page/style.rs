//! The look of the page, its script, and the policy that allows both and nothing else.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};

/// The style sheet: that of all pages, and what this one needs more.
pub(super) const STYLE: &str =
    concat!(include_str!("../../../templates/pages/style.css"), include_str!("../../../templates/admin/style.css"));

/// Keeps the page up to date. Without it everything works, and a link looks again.
pub(super) const SCRIPT: &str = include_str!("../../../templates/admin/refresh.js");

/// By their hashes (CSP Level 3, section 2.3.1): no other style, no other script, and no page around this one.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

/// The content security policy of the page.
pub(in crate::admin) fn policy() -> &'static str {
    &POLICY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_end_where_they_should_and_fetch_nothing_from_elsewhere() {
        for text in [STYLE, SCRIPT] {
            for forbidden in ["</", "<!--", "url(", "@import", "http:", "https:", "innerHTML", "eval("] {
                assert!(!text.contains(forbidden), "{forbidden}");
            }
        }
        for part in ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"] {
            assert!(policy().split("; ").any(|found| found == part), "{part}");
        }
        assert!(!policy().contains("unsafe"), "{}", policy());
    }
}
