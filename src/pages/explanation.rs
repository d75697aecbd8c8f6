//! What went wrong, told once: for the page and for the program.

use serde::Serialize;

/// What an error says to its visitor: short, without internals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The HTTP status.
    pub status: u16,
    /// A heading of a few words.
    pub title: &'static str,
    /// One or two sentences: what happened.
    pub detail: &'static str,
    /// One or two sentences: what to do.
    pub advice: &'static str,
}

impl Explanation {
    /// The same as a problem document (RFC 9457, section 3) for clients that are no browser tabs.
    #[must_use]
    pub fn problem_json(&self, request_id: &str) -> String {
        problem_json(self.status, self.title, &[self.detail, self.advice].join(" "), request_id)
    }
}

/// The members of a problem document. `type` is `about:blank`: the status says it all (RFC 9457,
/// section 4.2.1), and what an app's script needs to sign somebody in is in `WWW-Authenticate`.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    request_id: &'a str,
}

/// What a problem document has beside its `detail`, in bytes, so that its text grows in one piece.
const PROBLEM: usize = 192;

/// Writes the body of an `application/problem+json` (RFC 9457).
#[must_use]
pub fn problem_json(status: u16, title: &str, detail: &str, request_id: &str) -> String {
    let problem = Problem { r#type: "about:blank", title, status, detail, request_id };
    // Texts and a number always become JSON; should that change, an empty object is still one.
    let mut json = Vec::with_capacity(PROBLEM + detail.len());
    let written = serde_json::to_writer(&mut json, &problem);
    written.ok().and_then(|()| String::from_utf8(json).ok()).unwrap_or_else(|| "{}".to_owned())
}

/// What holds for every explanation of a table: the tests of each table call it.
#[cfg(test)]
pub(super) fn check_wording(explanations: &[Explanation]) {
    /// Words that mean nothing to a teacher.
    const JARGON: &[&str] = &[
        "oauth",
        "openid",
        "token",
        "cookie jar",
        "upstream",
        "proxy",
        "gateway",
        "session",
        "http",
        "redirect",
        "client",
        "nonce",
        "state",
        "json",
        "header",
        "scope",
        "schoolgate",
        "timeout",
        "invalid",
        "server",
    ];
    let mut titles: Vec<_> = explanations.iter().map(|it| it.title).collect();
    titles.sort_unstable();
    titles.dedup();
    assert_eq!(titles.len(), explanations.len(), "two errors have one title");
    for it in explanations {
        assert!((400..600).contains(&it.status), "{it:?}");
        assert!(!it.title.ends_with('.') && it.title.len() <= 60, "{it:?}");
        for sentence in [it.detail, it.advice] {
            assert!(sentence.ends_with('.') && !sentence.contains("  "), "{it:?}");
        }
        let all = format!("{} {} {}", it.title, it.detail, it.advice).to_lowercase();
        for word in JARGON {
            assert!(!all.split(|c: char| !c.is_alphabetic()).any(|found| found == *word), "{word}: {it:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_document_has_the_members_of_rfc_9457_and_a_reference() {
        let explanation = Explanation { status: 404, title: "A", detail: "B.", advice: "C." };
        let problem: serde_json::Value = serde_json::from_str(&explanation.problem_json("id-1")).unwrap();
        assert_eq!(
            problem,
            serde_json::json!({
                "type": "about:blank", "title": "A", "status": 404, "detail": "B. C.", "request_id": "id-1"
            })
        );
    }

    #[test]
    fn quotes_and_control_characters_cannot_break_out_of_a_problem_document() {
        let odd = "\"},{\"\\\u{0}\r\n</script>";
        let problem: serde_json::Value = serde_json::from_str(&problem_json(400, odd, odd, odd)).unwrap();
        for member in ["title", "detail", "request_id"] {
            assert_eq!(problem[member], odd);
        }
    }
}
