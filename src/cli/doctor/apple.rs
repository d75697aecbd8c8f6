//! Apple: keys, clock, credentials, and the page that people will see.

use std::{sync::Arc, time::Duration};

use super::{
    Surroundings,
    finding::{Finding, Id},
};
use crate::{
    apple::{Apple, CallError, Difference, Objection, Service, Settings, SignInPage},
    clock::SharedClock,
    entropy::SharedEntropy,
};

/// Longest that one call may take, whatever the configuration says: whoever waits sits in front of a terminal.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks all endpoints that can be asked without anybody's token.
pub(super) async fn check(around: &Surroundings) -> Vec<Finding> {
    let settings = &around.settings.apple;
    let impatient = Settings { timeout: settings.timeout.min(PATIENCE), ..settings.clone() };
    let (clock, entropy) = (SharedClock::clone(&around.clock), SharedEntropy::clone(&around.entropy));
    let apple = match Apple::new(impatient, clock, entropy, Arc::clone(&around.metrics)) {
        Ok(apple) => apple,
        Err(why) => {
            let cure = "install the system's certificate authorities: apt-get install ca-certificates";
            return vec![Finding::ill(Id::AuthoritiesMissing, why.to_string(), cure)];
        }
    };
    let ((keys, difference), credentials, page) = tokio::join!(
        apple.probe_keys(),
        apple.probe_credentials(),
        apple.probe_sign_in(&around.settings.signin.scopes)
    );
    let clock = of_the_clock(settings, difference);
    let clock_is_off = clock.id == Id::AppleClockOff;
    let mut findings = vec![of_the_keys(settings, &keys), clock];
    findings.extend(looks(settings));
    findings.push(of_the_credentials(settings, &credentials, &page, clock_is_off));
    findings.extend(of_the_page(settings, &credentials, page));
    findings
}

fn of_the_keys(settings: &Settings, keys: &Result<usize, CallError>) -> Finding {
    let place = &settings.endpoints.keys;
    match keys {
        Ok(1) => Finding::well(Id::AppleKeys, format!("{place} gives one key")),
        Ok(count) => Finding::well(Id::AppleKeys, format!("{place} gives {count} keys")),
        Err(why @ (CallError::Unavailable(_) | CallError::Throttled { .. })) => Finding::ill(
            Id::AppleKeysUnreachable,
            format!("{place}: {why}"),
            "without Apple's keys nobody can sign in: let this machine reach that address over HTTPS (name server, \
             route, firewall); proxies of the environment are not used. If the address is not Apple's, correct [apple] \
             base_url or keys_url",
        ),
        Err(
            why
            @ (CallError::Malformed(_) | CallError::InvalidGrant | CallError::InvalidClient | CallError::Refused(_)),
        ) => Finding::ill(
            Id::AppleKeysUnusable,
            format!("{place}: {why}"),
            "correct [apple] service, base_url and keys_url: something else answers there than Apple's key set",
        ),
    }
}

fn of_the_clock(settings: &Settings, difference: Option<Difference>) -> Finding {
    let Some(difference) = difference else {
        return Finding::ill(
            Id::AppleClockUnknown,
            "Apple's answer has no date to compare this machine's clock with",
            "mend what else is said of Apple's keys, then ask again; `timedatectl` says whether the clock is set",
        );
    };
    let seconds = difference.size().as_secs();
    if difference.size() <= settings.clock_skew {
        return Finding::well(
            Id::AppleClock,
            format!("Apple's clock and this machine's agree within {} s", seconds + 1),
        );
    }
    let which = match difference {
        Difference::Behind(_) => "behind",
        Difference::Ahead(_) => "ahead of",
    };
    Finding::ill(
        Id::AppleClockOff,
        format!(
            "this machine's clock is {seconds} s {which} Apple's; clock_skew allows {} s",
            settings.clock_skew.as_secs()
        ),
        "set the clock: timedatectl set-ntp true, or start chrony or systemd-timesyncd. Until then Apple's tokens seem \
         to be of another time, and Apple may refuse the client secret",
    )
}

/// A Services ID is a name like `org.example.school.gateway`. Apple promises no form, so it is a warning.
fn looks(settings: &Settings) -> Option<Finding> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_usual = settings.client_id.contains('.')
        && settings.client_id.split('.').all(|label| !label.is_empty() && label.bytes().all(is_letter));
    (!is_usual).then(|| {
        Finding::ill(
            Id::AppleClientIdOdd,
            format!("client_id {} does not look like a Services ID", settings.client_id),
            "write the identifier of the Services ID, such as org.example.school.gateway, as it stands in Certificates, \
             Identifiers & Profiles; not its description, and not the key's or the team's",
        )
    })
}

fn of_the_credentials(
    settings: &Settings,
    outcome: &Result<(), CallError>,
    page: &SignInPage,
    clock_is_off: bool,
) -> Finding {
    let Settings { client_id, team_id, key_id, .. } = settings;
    let first = if clock_is_off { "set the clock first, which alone can be the reason; then " } else { "" };
    let three = format!(
        "Apple's answer is the same for a wrong team_id, a wrong key_id, a key file of another key, and a key without \
         the service, so compare all of them: team_id ({team_id}) is the Team ID of the membership; key_id ({key_id}) is \
         that of the key, whose file was downloaded as AuthKey_{key_id}.p8; the key has {} enabled and is not revoked. \
         private_key_file holds a key of the right kind",
        service_name(settings.service)
    );
    let both = format!(
        "client_id ({client_id}) is the Services ID of the same team; redirect_uri ({}) is registered with it, letter \
         for letter",
        settings.redirect_uri
    );
    match (outcome, page) {
        (Ok(()), _) => Finding::well(
            Id::AppleCredentials,
            "Apple takes the client credentials: client_id, team_id, key_id and private_key_file fit together",
        ),
        (Err(CallError::InvalidClient), SignInPage::Shown) => Finding::ill(
            Id::AppleSecretRefused,
            "Apple refuses the client credentials (invalid_client), and has nothing against client_id and redirect_uri",
            format!("{first}{three}"),
        ),
        (Err(CallError::InvalidClient), SignInPage::Refused { objection: Objection::ClientOrRedirect, .. }) => {
            Finding::ill(
                Id::AppleClientRefused,
                "Apple refuses the client credentials (invalid_client), and its sign-in page refuses client_id or \
                 redirect_uri too",
                format!("{first}see that {both}; only when that is right, the others can be told apart"),
            )
        }
        (
            Err(CallError::InvalidClient),
            SignInPage::Refused { objection: Objection::Scope | Objection::Other, .. } | SignInPage::Unknown(_),
        ) => Finding::ill(
            Id::AppleCredentialsRefused,
            "Apple refuses the client credentials (invalid_client), and its sign-in page does not tell whether client_id \
             is known",
            format!("{first}see that {both}. {three}"),
        ),
        (Err(why @ (CallError::Refused(_) | CallError::InvalidGrant)), _) => Finding::ill(
            Id::AppleTokenRefused,
            why.to_string(),
            "correct what it names; the credentials themselves could not be judged",
        ),
        (Err(why @ (CallError::Unavailable(_) | CallError::Throttled { .. } | CallError::Malformed(_))), _) => {
            Finding::ill(
                Id::AppleTokenUnavailable,
                format!("{}: {why}", settings.endpoints.token),
                "let this machine reach that address over HTTPS, or correct [apple] service, base_url and token_url; \
                 when Apple itself is away (https://developer.apple.com/system-status/), wait",
            )
        }
    }
}

/// Nothing, when all has been said with the credentials.
fn of_the_page(settings: &Settings, credentials: &Result<(), CallError>, page: SignInPage) -> Option<Finding> {
    let redirect_uri = &settings.redirect_uri;
    Some(match page {
        SignInPage::Shown => Finding::well(
            Id::AppleSignInPage,
            format!("Apple's sign-in page has nothing against client_id, {redirect_uri} and the scopes"),
        ),
        SignInPage::Refused { objection: Objection::ClientOrRedirect, .. } => match credentials {
            Err(CallError::InvalidClient) => return None,
            Ok(()) => Finding::ill(
                Id::AppleRedirectRefused,
                format!("Apple takes the credentials and refuses redirect_uri {redirect_uri}"),
                "register it as a Return URL of the Services ID, letter for letter, or write in redirect_uri what is \
                 registered there; a change takes Apple a few minutes",
            ),
            Err(_) => Finding::ill(
                Id::AppleRedirectRefused,
                format!("Apple refuses client_id or redirect_uri {redirect_uri}, and says the same for both"),
                "compare client_id with the Services ID, and redirect_uri with its Return URLs, letter for letter",
            ),
        },
        SignInPage::Refused { objection: Objection::Scope, .. } => Finding::ill(
            Id::AppleScopesRefused,
            "Apple refuses the scopes of [apple] scopes (invalid_scope)",
            format!(
                "correct them; the known ones of this service are {}; each must be enabled for the client in Apple's \
                 developer portal",
                settings.service.known_scopes().join(", ")
            ),
        ),
        SignInPage::Refused { status, objection: Objection::Other } => Finding::ill(
            Id::AppleSignInPageRefused,
            format!("{} answers with status {status} and no reason that is known", settings.endpoints.authorize),
            "correct [apple] service, base_url, authorize_url, response_mode and pkce; to see Apple's own words, open \
             an app in a browser",
        ),
        SignInPage::Unknown(why) => Finding::ill(
            Id::AppleSignInPageUnknown,
            format!("{} tells nothing: {why}", settings.endpoints.authorize),
            "open an app in a browser: browsers need to reach that address, this machine does not",
        ),
    })
}

fn service_name(service: Service) -> &'static str {
    match service {
        Service::Organization => "Account & Organizational Data Sharing",
        Service::SignIn => "Sign in with Apple",
    }
}
