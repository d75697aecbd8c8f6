//! What Apple's notifications end.

use std::time::Duration;

use super::SignIn;
use crate::{
    apple::{Event, EventKind, Notification, NotificationError, Posted},
    session::{Mark, Revoke, Selector, StoreError},
    telemetry::{Ending, NotificationOutcome},
};

/// How long a notification is remembered beyond the time in which it would be believed, should this machine's clock
/// be set back.
const LONGER: Duration = Duration::from_secs(86_400);

/// Why a notification came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum NotifyProblem {
    /// It is not believed.
    #[error(transparent)]
    Refused(#[from] NotificationError),
    /// Sessions may live on that it ends: it must come once more.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notified {
    /// Everything in it is done.
    Done,
    /// It was done before.
    Repeated,
}

impl SignIn {
    /// Does what a notification of Apple's asks for, once. It is remembered only when all of it is done, so that
    /// after a failure in the middle Apple's next try finishes the work.
    ///
    /// # Errors
    /// When nothing shows that Apple sent it, to this gateway and lately; or when the keys to tell, or the store,
    /// are not available.
    pub async fn notified(&self, body: &[u8]) -> Result<Notified, NotifyProblem> {
        let outcome = self.obey(body).await;
        self.metrics.notifications.count(match &outcome {
            Ok(Notified::Done) => NotificationOutcome::Done,
            Ok(Notified::Repeated) => NotificationOutcome::Repeated,
            Err(problem) => problem.outcome(),
        });
        outcome
    }

    async fn obey(&self, body: &[u8]) -> Result<Notified, NotifyProblem> {
        let posted = Posted::parse(body).map_err(NotificationError::Envelope)?;
        let notification = self.apple.verify_notification(&posted).await?;
        let mark = Mark::of("notification", &format!("{}\0{}", notification.issuer(), notification.id()));
        if self.sessions.is_marked(&mark).await? {
            tracing::info!(event = "notification_repeated", jti = notification.id());
            return Ok(Notified::Repeated);
        }
        for event in notification.events() {
            self.happened(event, &notification).await?;
        }
        let keep = notification.good_until().since(self.clock.now()).saturating_add(LONGER);
        self.sessions.mark(&mark, keep).await?;
        Ok(Notified::Done)
    }

    async fn happened(&self, event: &Event, notification: &Notification) -> Result<(), StoreError> {
        let mut ended = 0;
        for whose in ends(event, notification.is_of_organization()) {
            // Apple has taken the grant back already.
            ended += self.sessions.end_all(Some(&whose), Revoke::No).await?;
        }
        self.metrics.endings.add(Ending::Notification, ended);
        let Event { kind, organization, is_garbled, .. } = event;
        tracing::info!(
            event = "notification_received", jti = notification.id(), kind = %kind, ended,
            organization = organization.as_ref().map(tracing::field::display),
        );
        if *is_garbled || !is_understood(event) {
            tracing::warn!(event = "notification_not_understood", jti = notification.id(), kind = %kind);
        }
        Ok(())
    }
}

/// Whose sessions end.
///
/// A consent to the sharing of an organization's data is the organization's, whoever of its administrators Apple
/// names. Everything else is one person's: a pupil whose account is gone must not sign a school out. Without a
/// person it can only be the organization that is meant; with one whose name cannot be read it is not.
fn ends(event: &Event, is_of_organization: bool) -> Vec<Selector> {
    let names_nobody = event.subject.is_none() && !event.is_garbled;
    let whole_organization = match event.kind {
        EventKind::ConsentRevoked => is_of_organization || names_nobody,
        EventKind::AccountDeleted => names_nobody,
        EventKind::EmailDisabled | EventKind::EmailEnabled | EventKind::Unknown(_) | EventKind::Unreadable => {
            return Vec::new();
        }
    };
    let subject = event.subject.clone().map(Selector::Subject);
    let organization = event.organization.clone().filter(|_| whole_organization).map(Selector::Organization);
    subject.into_iter().chain(organization).collect()
}

/// Whether it says something that we know, about somebody.
fn is_understood(event: &Event) -> bool {
    match event.kind {
        EventKind::ConsentRevoked | EventKind::AccountDeleted => {
            event.subject.is_some() || event.organization.is_some()
        }
        EventKind::EmailDisabled | EventKind::EmailEnabled => true,
        EventKind::Unknown(_) | EventKind::Unreadable => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Organization, Subject};

    fn event(kind: EventKind, subject: Option<&str>, organization: Option<&str>) -> Event {
        Event {
            kind,
            subject: subject.map(|text| Subject::parse(text).unwrap()),
            organization: organization.map(|text| Organization::parse(text).unwrap()),
            is_garbled: false,
        }
    }

    fn subject() -> Selector {
        Selector::Subject(Subject::parse("s").unwrap())
    }

    fn organization() -> Selector {
        Selector::Organization(Organization::parse("o").unwrap())
    }

    #[test]
    fn a_consent_of_an_organization_is_everybodys_and_anything_else_one_persons() {
        let (s, o) = (Some("s"), Some("o"));
        for (kind, sub, org, of_organization, expected) in [
            (EventKind::ConsentRevoked, s, o, true, vec![subject(), organization()]),
            (EventKind::ConsentRevoked, s, o, false, vec![subject()]),
            (EventKind::ConsentRevoked, s, None, true, vec![subject()]),
            (EventKind::ConsentRevoked, None, o, true, vec![organization()]),
            (EventKind::ConsentRevoked, None, o, false, vec![organization()]),
            (EventKind::ConsentRevoked, None, None, true, vec![]),
            (EventKind::AccountDeleted, s, o, true, vec![subject()]),
            (EventKind::AccountDeleted, s, o, false, vec![subject()]),
            (EventKind::AccountDeleted, None, o, true, vec![organization()]),
            (EventKind::EmailDisabled, s, o, true, vec![]),
            (EventKind::EmailEnabled, s, o, true, vec![]),
            (EventKind::Unknown("x".into()), s, o, true, vec![]),
            (EventKind::Unreadable, s, o, true, vec![]),
        ] {
            assert_eq!(ends(&event(kind.clone(), sub, org), of_organization), expected, "{kind} {sub:?} {org:?}");
        }
    }

    #[test]
    fn a_person_whose_name_cannot_be_read_is_not_taken_for_the_whole_organization() {
        let garbled = |kind| Event { is_garbled: true, ..event(kind, None, Some("o")) };
        assert_eq!(ends(&garbled(EventKind::AccountDeleted), true), []);
        assert_eq!(ends(&garbled(EventKind::ConsentRevoked), false), []);
        assert_eq!(ends(&garbled(EventKind::ConsentRevoked), true), [organization()], "it is theirs all the same");
    }

    #[test]
    fn what_ends_nothing_and_is_no_mail_setting_is_told_as_not_understood() {
        assert!(is_understood(&event(EventKind::ConsentRevoked, Some("s"), None)));
        assert!(is_understood(&event(EventKind::EmailDisabled, None, None)));
        assert!(!is_understood(&event(EventKind::AccountDeleted, None, None)));
        assert!(!is_understood(&event(EventKind::Unknown("x".into()), Some("s"), None)));
        assert!(!is_understood(&event(EventKind::Unreadable, Some("s"), None)));
    }
}
