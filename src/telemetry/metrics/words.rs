//! What is counted, by name. `docs/metrics.md` tells operators what each word means.

use super::word::{LabelSet, Word, words};

words! {
    /// What became of a request for an app.
    Decision as "decision" {
        /// It may go to its app.
        Admitted = "admitted",
        /// The browser was sent to a sign-in, or to Apple for more scopes.
        SignInBegun = "sign_in_begun",
        /// 401: nobody is signed in.
        SignInNeeded = "sign_in_needed",
        /// 401: the session lacks a scope.
        ScopeNeeded = "scope_needed",
        /// 403: Apple was asked for a scope and did not grant it.
        ScopeNotGranted = "scope_not_granted",
        /// 403: the rules of the route keep this person out.
        NotAllowed = "not_allowed",
        /// 429: more sign-ins from one address than `sign_in_rate_per_ip`.
        RateLimited = "rate_limited",
        /// 421: no app has this host.
        UnknownHost = "unknown_host",
        /// 404: no route covers the path.
        NoRoute = "no_route",
        /// 405: no route of the path takes the method.
        MethodNotTaken = "method_not_taken",
        /// 400: the path could be read as that of another route.
        AmbiguousPath = "ambiguous_path",
        /// Something else in the request stands against it: too large a body, a foreign WebSocket, `Destination`.
        Objection = "objection",
        /// A kept form was offered, thrown away or gone.
        KeptForm = "kept_form",
        /// 503: the access token is dead, and Apple gives no new one.
        TokenUnavailable = "token_unavailable",
        /// 503: the session store does not answer.
        StoreUnavailable = "store_unavailable",
        /// 503: no assertion can be made.
        AssertionUnavailable = "assertion_unavailable",
        /// A mistake of the gateway's.
        Failed = "failed",
    }
}

impl Decision {
    /// Whether somebody was turned away.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        match self {
            Self::Admitted | Self::SignInBegun | Self::KeptForm => false,
            Self::SignInNeeded
            | Self::ScopeNeeded
            | Self::ScopeNotGranted
            | Self::NotAllowed
            | Self::RateLimited
            | Self::UnknownHost
            | Self::NoRoute
            | Self::MethodNotTaken
            | Self::AmbiguousPath
            | Self::Objection
            | Self::TokenUnavailable
            | Self::StoreUnavailable
            | Self::AssertionUnavailable
            | Self::Failed => true,
        }
    }
}

words! {
    /// One of the gateway's own paths.
    OwnPath as "path" {
        /// The page that says who is signed in.
        Home = "home",
        /// The same as JSON.
        Me = "me",
        /// Starts a sign-in.
        SignIn = "sign_in",
        /// Takes Apple's answer.
        Callback = "callback",
        /// Ends the session.
        SignOut = "sign_out",
        /// Takes a ticket.
        Session = "session",
        /// Forward-auth.
        Auth = "auth",
        /// Apple's notifications.
        Notifications = "notifications",
        /// The keys of the assertion.
        Jwks = "jwks",
        /// There is no such path.
        Unknown = "unknown",
    }
}

words! {
    /// What came of a sign-in that came back from Apple or from the home.
    SignInOutcome as "reason" {
        /// Somebody has signed in at Apple.
        SignedIn = "signed_in",
        /// The home handed somebody over to another host.
        HandedOver = "handed_over",
        /// It came too late, and the browser has a session.
        AlreadySignedIn = "already_signed_in",
        /// Apple's answer cannot be read in one way only.
        MalformedCallback = "malformed_callback",
        /// It belongs to no sign-in under way in this browser.
        Stale = "stale",
        /// The ticket of another host is not good.
        BadTicket = "bad_ticket",
        /// The person changed their mind.
        Cancelled = "cancelled",
        /// Apple said no for them.
        Denied = "denied",
        /// Apple takes the code no more.
        InvalidGrant = "invalid_grant",
        /// Apple refuses the client's credentials.
        InvalidClient = "invalid_client",
        /// Apple refuses the request.
        Refused = "refused",
        /// Apple wants fewer calls.
        Throttled = "throttled",
        /// Apple cannot be reached.
        Unavailable = "unavailable",
        /// Apple's answer cannot be used.
        MalformedAnswer = "malformed_answer",
        /// Apple's answer has no ID token.
        NoIdToken = "no_id_token",
        /// There are no keys to verify the ID token with.
        KeysUnavailable = "keys_unavailable",
        /// The ID token does not hold.
        TokenRefused = "token_refused",
        /// The session store does not answer.
        StoreUnavailable = "store_unavailable",
    }
}

impl SignInOutcome {
    /// Whether nobody has signed in.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self.outcome() == Self::FAILED
    }

    const FAILED: &'static str = "failed";

    fn outcome(self) -> &'static str {
        match self {
            Self::SignedIn | Self::HandedOver | Self::AlreadySignedIn => self.word(),
            Self::MalformedCallback
            | Self::Stale
            | Self::BadTicket
            | Self::Cancelled
            | Self::Denied
            | Self::InvalidGrant
            | Self::InvalidClient
            | Self::Refused
            | Self::Throttled
            | Self::Unavailable
            | Self::MalformedAnswer
            | Self::NoIdToken
            | Self::KeysUnavailable
            | Self::TokenRefused
            | Self::StoreUnavailable => Self::FAILED,
        }
    }

    /// Both labels: how it ended, and why.
    pub(super) fn with_outcome(self) -> LabelSet {
        let reason = if self.is_failure() { self.word() } else { "" };
        vec![("outcome", self.outcome().to_owned()), (Self::LABEL, reason.to_owned())]
    }
}

words! {
    /// One of Apple's endpoints.
    AppleEndpoint as "endpoint" {
        /// The key set.
        Keys = "keys",
        /// Codes and refresh tokens for access tokens.
        Token = "token",
        /// Revocation.
        Revoke = "revoke",
    }
}

words! {
    /// What came of a call to Apple.
    CallOutcome as "outcome" {
        /// What was asked for.
        Done = "ok",
        /// The code or refresh token is no good any more.
        InvalidGrant = "invalid_grant",
        /// The client's credentials are wrong.
        InvalidClient = "invalid_client",
        /// Apple understood and refused.
        Refused = "refused",
        /// Too many calls.
        Throttled = "throttled",
        /// Apple could not be reached, or was not itself.
        Unavailable = "unavailable",
        /// An answer that cannot be used.
        Malformed = "malformed",
    }
}

words! {
    /// What came of the refresh of an access token.
    Refresh as "outcome" {
        /// There is a new token.
        Refreshed = "refreshed",
        /// There is one, and the store does not take it.
        NotKept = "not_kept",
        /// The session had no refresh token, and ended.
        NoRefreshToken = "no_refresh_token",
        /// Apple ended the grant, and so the session ended.
        InvalidGrant = "invalid_grant",
        /// The client's credentials are wrong.
        InvalidClient = "invalid_client",
        /// Apple understood and refused.
        Refused = "refused",
        /// Too many calls.
        Throttled = "throttled",
        /// Apple could not be reached.
        Unavailable = "unavailable",
        /// An answer that cannot be used.
        Malformed = "malformed",
    }
}

words! {
    /// What ended a session.
    Ending as "cause" {
        /// The gateway's own sign-out.
        SignOut = "sign_out",
        /// The app's.
        AppSignOut = "app_sign_out",
        /// Somebody with the admin listener.
        Administrator = "administrator",
        /// A notification of Apple's.
        Notification = "notification",
        /// Apple takes its refresh token no more, or there is none.
        GrantEnded = "grant_ended",
        /// A new sign-in in the same browser.
        Replaced = "replaced",
    }
}

words! {
    /// What came of one try to revoke a token at Apple.
    RevocationOutcome as "outcome" {
        /// The token is dead.
        Done = "done",
        /// Another try will come.
        Delayed = "delayed",
        /// Apple will never revoke it as asked: given up.
        Refused = "refused",
        /// A week has passed: given up.
        Expired = "expired",
        /// The store did not keep it, and its only try failed: given up.
        Lost = "lost",
    }
}

words! {
    /// What came of something that was posted as a notification of Apple's.
    NotificationOutcome as "outcome" {
        /// Everything in it is done.
        Done = "done",
        /// It was done before.
        Repeated = "repeated",
        /// The body has no signed text.
        Unreadable = "unreadable",
        /// Nothing shows that Apple sent it.
        NotApples = "not_apples",
        /// Apple signed it, but not for this gateway, or not now.
        NotForUs = "not_for_us",
        /// There are no keys to verify it with.
        KeysUnavailable = "keys_unavailable",
        /// The session store does not answer.
        StoreUnavailable = "store_unavailable",
    }
}

words! {
    /// What came of reading the configuration again.
    Reload as "outcome" {
        /// It is in force.
        Done = "done",
        /// It is wrong, and the one before goes on.
        Refused = "refused",
    }
}

words! {
    /// What is asked of the session store.
    StoreCall as "call" {
        /// A look at something.
        Read = "read",
        /// A change.
        Write = "write",
    }
}

words! {
    /// How the session store answered.
    StoreOutcome as "outcome" {
        /// As it should.
        Answered = "ok",
        /// It cannot be reached, or cannot write.
        Unavailable = "unavailable",
        /// A record does not open with any key.
        Unreadable = "unreadable",
    }
}

words! {
    /// What came of a request that was meant for an upstream.
    UpstreamOutcome as "outcome" {
        /// 101: a WebSocket, or another protocol.
        Switched = "1xx",
        /// It answered with a status from 200 on.
        Success = "2xx",
        /// From 300 on.
        Redirect = "3xx",
        /// From 400 on.
        ClientError = "4xx",
        /// From 500 on.
        ServerError = "5xx",
        /// No connection could be made.
        Unreachable = "unreachable",
        /// No answer began within `upstream_timeout`.
        TimedOut = "timeout",
        /// The connection broke, before the answer or in the middle of it.
        Broken = "broken",
    }
}

impl UpstreamOutcome {
    /// The class of a status.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            0..200 => Self::Switched,
            200..300 => Self::Success,
            300..400 => Self::Redirect,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}

words! {
    /// What was last heard of an upstream.
    UpstreamNews as "news" {
        /// It answered a request.
        Answered = "answered",
        /// It passed a check.
        Checked = "checked",
        /// It failed a check.
        CheckFailed = "check_failed",
        /// No connection could be made.
        Unreachable = "unreachable",
        /// No answer began in time.
        TimedOut = "timeout",
        /// The connection broke.
        Broken = "broken",
    }
}
