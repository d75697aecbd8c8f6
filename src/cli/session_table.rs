//! The list of sessions for people, within a hundred columns.

use std::time::Duration;

use super::output::{columns, fitted, harmless};
use crate::{admin::SessionEntry, clock::Timestamp};

/// Columns of a terminal that everybody has.
const WIDTH: usize = 100;

/// Columns for the name of a person.
const NAME: usize = 33;

/// One line for each session with what one looks for, and what belongs to it below.
pub(super) fn table(sessions: &[SessionEntry], now: Timestamp) -> String {
    let title = ["ID", "WHO", "SIGNED IN", "LAST SEEN", "ENDS", "NEXT REFRESH"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(title).chain(sessions.iter().map(|session| row(session, now))).collect();
    let text = columns(&rows);
    let mut lines = text.lines();
    let mut table = format!("{}\n", lines.next().unwrap_or_default());
    for (line, session) in lines.zip(sessions) {
        table.push_str(&format!("{line}\n"));
        for detail in details(session) {
            table.push_str(&format!("    {}\n", fitted(&detail, WIDTH - 4)));
        }
    }
    table
}

fn row(session: &SessionEntry, now: Timestamp) -> [String; 6] {
    let who = session.email.as_deref().unwrap_or(&session.sub);
    let refresh = match session.next_refresh.as_deref() {
        None => "never".to_owned(),
        Some(text) if Timestamp::parse(text).is_some_and(|moment| moment <= now) => "at next use".to_owned(),
        Some(text) => when(text, now),
    };
    [
        harmless(&session.id),
        fitted(&harmless(who), NAME),
        when(&session.signed_in_at, now),
        when(&session.last_seen, now),
        when(&session.expires_at, now),
        refresh,
    ]
}

fn details(session: &SessionEntry) -> Vec<String> {
    let mut lines = vec![format!("user {}, from {}", harmless(&session.sub), harmless(&session.address))];
    let organization = session.org_id.as_deref().map(|organization| format!("organization {}", harmless(organization)));
    let scopes = Some(&session.scopes).filter(|scopes| !scopes.is_empty());
    let scopes = scopes.map(|scopes| format!("scopes {}", harmless(&scopes.join(" "))));
    let of_apple: Vec<_> = organization.into_iter().chain(scopes).collect();
    if !of_apple.is_empty() {
        lines.push(of_apple.join(", "));
    }
    lines.extend(session.user_agent.as_deref().map(harmless));
    lines
}

/// How long ago, or how long until.
fn when(text: &str, now: Timestamp) -> String {
    let Some(moment) = Timestamp::parse(text) else { return harmless(text) };
    if moment > now { format!("in {}", span(moment.since(now))) } else { format!("{} ago", span(now.since(moment))) }
}

fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn typical() -> SessionEntry {
        let at = |seconds: i64| Timestamp::from_seconds(1_700_000_000_u64.saturating_add_signed(seconds)).to_string();
        SessionEntry {
            id: "9f2c44aa01b3c8de".into(),
            sub: "001514.0685fcddf96a4871a7dcf841d95a7e54.2233".into(),
            email: Some("teacher-1@school.example".into()),
            org_id: Some("7f3a2c1e-6b5d-4e0f-9a8b-1c2d3e4f5a6b".into()),
            signed_in_at: at(-3599),
            last_seen: at(-3541),
            expires_at: at(47 * 3600 + 59 * 60),
            address: "2001:db8:85a3:8d3:1319:8a2e:370:7348".into(),
            user_agent: Some("Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) ".repeat(5)),
            scopes: vec!["edu.classes.read".into(), "edu.users.read".into()],
            access_token_expires_at: at(3600),
            next_refresh: Some(at(3300)),
        }
    }

    #[test]
    fn a_typical_session_fits_a_hundred_columns_with_all_there_is_to_know() {
        let text = table(&[typical(), typical()], NOW);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "ID                WHO                       SIGNED IN   LAST SEEN   ENDS     NEXT REFRESH",
                "9f2c44aa01b3c8de  teacher-1@school.example  59 min ago  59 min ago  in 47 h  in 55 min",
                "    user 001514.0685fcddf96a4871a7dcf841d95a7e54.2233, from 2001:db8:85a3:8d3:1319:8a2e:370:7348",
                "    organization 7f3a2c1e-6b5d-4e0f-9a8b-1c2d3e4f5a6b, scopes edu.classes.read edu.users.read",
                "    Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) Moz…",
            ]
        );
        assert_eq!(lines.len(), 9);
    }

    #[test]
    fn long_names_are_cut_in_the_first_line_and_whole_below() {
        let session = SessionEntry { email: None, ..typical() };
        let text = table(&[session], NOW);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.contains("  001514.0685fcddf96a4871a7dcf841d…  "), "{text}");
        assert!(text.contains("user 001514.0685fcddf96a4871a7dcf841d95a7e54.2233,"), "{text}");
    }

    #[test]
    fn what_is_not_there_takes_no_line() {
        let (org_id, user_agent, scopes) = (None, None, Vec::new());
        let session = SessionEntry { org_id, user_agent, scopes, next_refresh: None, ..typical() };
        let text = table(&[session], NOW);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.lines().nth(1).unwrap().ends_with("  never"), "{text}");
    }

    #[test]
    fn a_refresh_that_is_due_happens_at_the_next_use() {
        let session = SessionEntry { next_refresh: Some(NOW.to_string()), ..typical() };
        assert!(table(&[session], NOW).contains("  at next use\n"));
    }

    #[test]
    fn nothing_in_a_session_moves_the_cursor_or_makes_a_line_of_its_own() {
        let evil = "a\u{1b}]0;x\u{7}\r\nID  b\u{9b}2J".to_owned();
        let session = SessionEntry {
            id: evil.clone(),
            sub: evil.clone(),
            email: Some(evil.clone()),
            org_id: Some(evil.clone()),
            signed_in_at: evil.clone(),
            last_seen: evil.clone(),
            expires_at: evil.clone(),
            address: evil.clone(),
            user_agent: Some(evil.clone()),
            scopes: vec![evil.clone()],
            access_token_expires_at: evil.clone(),
            next_refresh: Some(evil),
        };
        let text = table(&[session], NOW);
        assert!(!text.chars().any(|letter| letter != '\n' && letter.is_control()), "{text:?}");
        assert_eq!(text.lines().count(), 5, "{text}");
    }

    #[test]
    fn spans_are_told_in_one_unit() {
        for (seconds, told) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (172_799, "47 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), told);
        }
    }
}
