//! What the words of the metrics mean, in a few more.

use crate::telemetry::{CallOutcome, Decision, SignInOutcome, StoreOutcome, UpstreamNews};

use super::overview::Tone;

/// How a sign-in ended.
pub(super) const fn sign_in(outcome: SignInOutcome) -> &'static str {
    match outcome {
        SignInOutcome::SignedIn => "Signed in at Apple",
        SignInOutcome::HandedOver => "Handed over to another host",
        SignInOutcome::AlreadySignedIn => "Came too late, and was signed in already",
        SignInOutcome::MalformedCallback => "Apple's answer cannot be read",
        SignInOutcome::Stale => "Too late, or begun in another browser",
        SignInOutcome::BadTicket => "The ticket for another host is not good",
        SignInOutcome::Cancelled => "The person changed their mind",
        SignInOutcome::Denied => "Apple said no for the person",
        SignInOutcome::InvalidGrant => "Apple does not take the code any more",
        SignInOutcome::InvalidClient => "Apple refuses our key or client",
        SignInOutcome::Refused => "Apple refuses the request",
        SignInOutcome::Throttled => "Apple wants fewer calls",
        SignInOutcome::Unavailable => "Apple cannot be reached",
        SignInOutcome::MalformedAnswer => "Apple's answer cannot be used",
        SignInOutcome::NoIdToken => "Apple says not who it is",
        SignInOutcome::KeysUnavailable => "Apple's keys are not there",
        SignInOutcome::TokenRefused => "What Apple says of the person does not hold",
        SignInOutcome::StoreUnavailable => "The session store does not answer",
    }
}

/// Why somebody was turned away.
pub(super) const fn refusal(decision: Decision) -> &'static str {
    match decision {
        Decision::Admitted => "Let in",
        Decision::SignInBegun => "Sent to the sign-in",
        Decision::SignInNeeded => "Nobody is signed in",
        Decision::ScopeNeeded => "A permission is missing, and Apple was not asked yet",
        Decision::ScopeNotGranted => "A permission that Apple did not give",
        Decision::NotAllowed => "The rules keep this person out",
        Decision::RateLimited => "Too many sign-ins from one address",
        Decision::UnknownHost => "No app has this host",
        Decision::NoRoute => "No route covers the path",
        Decision::MethodNotTaken => "No route takes the method",
        Decision::AmbiguousPath => "The path could be read as that of another route",
        Decision::Objection => "Something else in the request stands against it",
        Decision::KeptForm => "A kept form",
        Decision::TokenUnavailable => "The access token is dead, and Apple gives no new one",
        Decision::StoreUnavailable => "The session store does not answer",
        Decision::AssertionUnavailable => "No assertion can be made",
        Decision::Failed => "A mistake of the gateway's",
    }
}

/// How a call to Apple went.
pub(super) const fn call(outcome: CallOutcome) -> (Tone, &'static str) {
    match outcome {
        CallOutcome::Done => (Tone::Good, "Answers"),
        // Somebody's code or grant is over: that is how it should be.
        CallOutcome::InvalidGrant => (Tone::Good, "Answers: a code or grant is over"),
        CallOutcome::InvalidClient => (Tone::Bad, "Refuses our key or client"),
        CallOutcome::Refused => (Tone::Care, "Refused a request"),
        CallOutcome::Throttled => (Tone::Care, "Wants fewer calls"),
        CallOutcome::Unavailable => (Tone::Bad, "Cannot be reached"),
        CallOutcome::Malformed => (Tone::Bad, "Its answer cannot be used"),
    }
}

/// How the store answered.
pub(super) const fn store(outcome: StoreOutcome) -> &'static str {
    match outcome {
        StoreOutcome::Answered => "answered",
        StoreOutcome::Unavailable => "did not answer",
        StoreOutcome::Unreadable => "a record opens with no key",
    }
}

/// What was heard of an upstream.
pub(super) const fn upstream(news: UpstreamNews) -> &'static str {
    match news {
        UpstreamNews::Answered => "answered a request",
        UpstreamNews::Checked => "passed a check",
        UpstreamNews::CheckFailed => "failed a check",
        UpstreamNews::Unreachable => "could not be reached",
        UpstreamNews::TimedOut => "did not answer in time",
        UpstreamNews::Broken => "the connection broke",
    }
}
