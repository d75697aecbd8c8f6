//! The section `[apple]`.

use std::time::Duration;

use url::Url;

use super::{
    duration, key_file, lint, location,
    report::{Entry, Fault, Report},
    scopes,
    section::Section,
    surroundings::Surroundings,
};
use crate::{
    apple::{self, Endpoints, ResponseMode, Service, SigningKey},
    identity::ScopeSet,
    web::Scheme,
};

/// What `[apple]` says; without settings when something is missing or wrong.
#[derive(Debug)]
pub(super) struct Apple {
    pub(super) settings: Option<apple::Settings>,
    pub(super) service: Service,
    pub(super) scopes: ScopeSet,
}

/// Reads `[apple]`.
pub(super) fn read(
    mut section: Section<'_>,
    report: &Report<'_>,
    surroundings: &Surroundings<'_>,
    scheme: Scheme,
) -> Apple {
    if section.is_missing() {
        let cure = "add the section [apple] with client_id, team_id, key_id, private_key_file and redirect_uri; \
         gateway.toml.example shows it";
        report.missing(section.place(), "is missing", cure);
    }
    let service = service(&mut section);
    let client_id = section
        .required("client_id", r#""org.example.school.gateway""#)
        .and_then(|text| section.parse(text, identifier));
    let team_id = section.required("team_id", r#""A1B2C3D4E5""#).and_then(|text| section.parse(text, identifier));
    let key_id = section.required("key_id", r#""K1L2M3N4O5""#).and_then(|text| section.parse(text, identifier));
    check_names(report, client_id.as_ref(), team_id.as_ref(), key_id.as_ref());
    let signing_key = signing_key(&mut section, report, surroundings);
    let redirect_uri = section
        .required("redirect_uri", r#""https://library.school.example/.schoolgate/callback""#)
        .and_then(|text| section.parse(text, |text| location::redirect_uri(text, scheme)));
    let scopes = scopes::read(&mut section, report, service);
    if let Some(scopes) = &scopes {
        lint::sign_in_scopes(scopes, report);
    }
    let scopes = scopes.map(|entry| entry.value).unwrap_or_default();
    let response_mode = response_mode(&mut section, report, service, &scopes, scheme);
    let pkce = section.flag("pkce").is_some_and(|entry| entry.value);
    let issuers = issuers(&mut section, report);
    let endpoints = endpoints(&mut section, service, report, scheme);
    let mut time = |key, default: u64, example: &str, parse: fn(&str) -> Result<Duration, Fault>| {
        let default = Duration::from_secs(default);
        section.parsed(key, example, parse).map_or(default, |entry| entry.value)
    };
    let timeout = time("timeout", 10, r#""10s""#, duration::positive);
    let keys_max_age = time("keys_max_age", 3_600, r#""1h""#, duration::parse);
    let keys_max_stale = time("keys_max_stale", 86_400, r#""24h""#, duration::parse);
    let keys_min_interval = time("keys_min_interval", 30, r#""30s""#, duration::parse);
    let clock_skew = clock_skew(&mut section, report);
    section.finish();
    let settings = (|| {
        Some(apple::Settings {
            client_id: client_id?.value,
            team_id: team_id?.value,
            key_id: key_id?.value,
            signing_key: signing_key?,
            redirect_uri: redirect_uri?.value,
            endpoints: endpoints?,
            response_mode,
            pkce,
            issuers,
            timeout,
            clock_skew,
            keys_max_age,
            keys_max_stale,
            keys_min_interval,
            service,
        })
    })();
    Apple { settings, service, scopes }
}

fn service(section: &mut Section<'_>) -> Service {
    let entry = section.parsed("service", r#""organization""#, |text| match text {
        "organization" => Ok(Service::Organization),
        "sign-in" => Ok(Service::SignIn),
        _ => Err(Fault::new(
            "is no service of Apple's",
            "write \"organization\" (Account & Organizational Data Sharing) or \"sign-in\" (Sign in with Apple)",
        )),
    });
    entry.map_or(Service::Organization, |entry| entry.value)
}

fn identifier(text: &str) -> Result<String, Fault> {
    if text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        "has a character that no identifier of Apple's has",
        "copy it from your developer account: letters, digits, dots and hyphens",
    ))
}

/// Apple's team and key identifiers have ten characters. That nothing else will ever come is not
/// promised, so it is a warning.
fn check_names(
    report: &Report<'_>,
    client_id: Option<&Entry<String>>,
    team_id: Option<&Entry<String>>,
    key_id: Option<&Entry<String>>,
) {
    if let (Some(client), Some(team)) = (client_id, team_id)
        && client.value.contains(&team.value)
    {
        let cure = "write the identifier alone: in ABCDE12345.org.example.gateway it is what follows the first dot";
        report.problem(&client.place, "contains the team_id, which Apple refuses", cure);
    }
    for (name, entry) in [("team_id", team_id), ("key_id", key_id)] {
        let usual =
            |id: &str| id.len() == 10 && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if let Some(entry) = entry.filter(|entry| !usual(&entry.value)) {
            report.warn(&entry.place, format!("{name} has ten capital letters and digits at Apple, this one has not"));
        }
    }
}

fn signing_key(section: &mut Section<'_>, report: &Report<'_>, surroundings: &Surroundings<'_>) -> Option<SigningKey> {
    let path = section.required("private_key_file", r#""$CREDENTIALS_DIRECTORY/apple.p8""#)?;
    if path.value.contains("-----BEGIN") {
        let cure = "keep the key in a file that only the service can read, and write the path of that file";
        report.hidden(&path.place, Fault::new("is a key itself, which does not belong in this file", cure));
        return None;
    }
    let file = section.parse(path, |text| key_file::read(&surroundings.path(text)?))?;
    if file.value.is_open {
        report.warn(
            &file.place,
            "every user of this machine can read this key: chmod o-r it, or use LoadCredential= in the systemd unit",
        );
    }
    match SigningKey::from_pem(&file.value.text) {
        Ok(key) => Some(key),
        Err(why) => {
            // A message of the apple room is "what is wrong: what to do".
            let why = why.to_string();
            let (message, cure) = why.split_once(": ").unwrap_or((&why, "use the .p8 file as Apple gave it"));
            report.problem(&file.place, message, cure);
            None
        }
    }
}

fn response_mode(
    section: &mut Section<'_>,
    report: &Report<'_>,
    service: Service,
    scopes: &ScopeSet,
    scheme: Scheme,
) -> Option<ResponseMode> {
    let entry = section.parsed("response_mode", r#""form_post""#, |text| match text {
        "query" => Ok(ResponseMode::Query),
        "form_post" => Ok(ResponseMode::FormPost),
        _ => Err(Fault::new(
            "is no way in which browsers come back",
            "write \"query\" or \"form_post\", or leave it out",
        )),
    });
    let place = entry.as_ref().map_or_else(|| section.place().clone(), |entry| entry.place.clone());
    let mode = entry.map(|entry| entry.value);
    // Apple's server says: "response_mode must be form_post when name or email scope is requested".
    let asks_name = scopes.iter().any(|scope| matches!(scope, "name" | "email"));
    if service == Service::SignIn && asks_name && mode != Some(ResponseMode::FormPost) {
        report.warn(&place, "Apple refuses the scopes name and email without response_mode = \"form_post\"");
    }
    if mode == Some(ResponseMode::FormPost) && scheme == Scheme::Http {
        report.warn(
            &place,
            "browsers drop the cookie that form_post needs on plain http: use \"query\" with \
         external_scheme = \"http\"",
        );
    }
    mode
}

fn issuers(section: &mut Section<'_>, report: &Report<'_>) -> Vec<String> {
    let example = r#"["https://appleid.apple.com"]"#;
    let Some(list) = section.texts("issuers", example) else { return vec!["https://appleid.apple.com".into()] };
    if list.value.is_empty() {
        report.problem(&list.place, "is empty, so no ID token could be accepted", format!("write issuers = {example}"));
    }
    for entry in
        list.value.iter().filter(|entry| entry.value.is_empty() || entry.value.chars().any(char::is_whitespace))
    {
        report.problem(
            &entry.place,
            "is no issuer",
            format!("write the exact value of the claim iss: issuers = {example}"),
        );
    }
    list.value.into_iter().map(|entry| entry.value.to_owned()).collect()
}

fn endpoints(section: &mut Section<'_>, service: Service, report: &Report<'_>, scheme: Scheme) -> Option<Endpoints> {
    let mut url = |key, example: &str| {
        let entry = section.parsed(key, example, location::endpoint)?;
        // With external_scheme = "http" nobody but this machine is served.
        if scheme == Scheme::Https && entry.value.scheme() == "http" {
            report.note(
                &entry.place,
                "a stand-in on this machine takes Apple's part: whoever may listen on that port can sign in as anybody. \
                 Remove this line before people use the gateway",
            );
        }
        Some(entry.value)
    };
    let base = url("base_url", r#""https://appleid.apple.com""#);
    let single = [
        url("authorize_url", r#""https://appleid.apple.com/auth/oauth2/v2/authorize""#),
        url("token_url", r#""https://appleid.apple.com/auth/oauth2/v2/token""#),
        url("keys_url", r#""https://appleid.apple.com/auth/oauth2/v2/keys""#),
        url("revoke_url", r#""https://appleid.apple.com/auth/oauth2/v2/revoke""#),
    ];
    let base = base.or_else(|| Url::parse("https://appleid.apple.com").ok())?;
    let usual = service.endpoints(&base);
    let [authorize, token, keys, revoke] = single;
    Some(Endpoints {
        authorize: authorize.unwrap_or(usual.authorize),
        token: token.unwrap_or(usual.token),
        keys: keys.unwrap_or(usual.keys),
        revoke: revoke.unwrap_or(usual.revoke),
    })
}

fn clock_skew(section: &mut Section<'_>, report: &Report<'_>) -> Duration {
    let default = Duration::from_secs(60);
    let Some(entry) = section.parsed("clock_skew", r#""60s""#, duration::parse) else { return default };
    if entry.value > Duration::from_secs(300) {
        report.warn(&entry.place, "a clock that is off by more than five minutes should be mended (NTP), not excused");
    }
    entry.value
}
