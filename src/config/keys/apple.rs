//! The section `[apple]`.

use super::{Change, Default, Key, Kind, Section};

/// Each address of Apple's follows `base_url` unless it is written.
const FOLLOWS: Default = Default::Means("made from `base_url` and `service`");

pub(super) const APPLE: Section = Section {
    path: "apple",
    repeats: false,
    doc: "What Apple knows the gateway by. Most of it comes from your Apple developer account \
          (docs/apple-school-manager.md).",
    keys: &[
        Key {
            name: "service",
            kind: Kind::OneOf(&[
                (
                    "organization",
                    "Account & Organizational Data Sharing, whose scopes only administrators and site managers of Apple \
                     School Manager can authorize",
                ),
                ("sign-in", "Sign in with Apple, for everybody"),
            ]),
            default: Default::Is(r#""organization""#),
            example: r#""sign-in""#,
            change: Change::Reload,
            doc: "Which service of Apple's people sign in with.",
        },
        Key {
            name: "client_id",
            kind: Kind::Text,
            default: Default::Required,
            example: r#""org.example.school.gateway""#,
            change: Change::Reload,
            doc: "The services ID, without the team in front of it.",
        },
        Key {
            name: "team_id",
            kind: Kind::Text,
            default: Default::Required,
            example: r#""A1B2C3D4E5""#,
            change: Change::Reload,
            doc: "The team: ten capital letters and digits.",
        },
        Key {
            name: "key_id",
            kind: Kind::Text,
            default: Default::Required,
            example: r#""K1L2M3N4O5""#,
            change: Change::Reload,
            doc: "The name of the key in `private_key_file`: ten capital letters and digits.",
        },
        Key {
            name: "private_key_file",
            kind: Kind::Path,
            default: Default::Required,
            example: r#""$CREDENTIALS_DIRECTORY/apple.p8""#,
            change: Change::Reload,
            doc: "The `.p8` file with the key, as Apple gave it. Only the user that runs the gateway should be able to read \
                  it.",
        },
        Key {
            name: "redirect_uri",
            kind: Kind::Text,
            default: Default::Required,
            example: r#""https://library.school.example/.schoolgate/callback""#,
            change: Change::Reload,
            doc: "Where Apple sends browsers back to. Register exactly this as a return URL at Apple. It is `https` with a \
                  domain name, and its path is `/.schoolgate/callback`; its host is an app's or one of its own.",
        },
        Key {
            name: "scopes",
            kind: Kind::Texts,
            default: Default::Is("[]"),
            example: r#"["edu.users.read"]"#,
            change: Change::Reload,
            doc: "Asked for at every sign-in; routes add theirs.",
        },
        Key {
            name: "response_mode",
            kind: Kind::OneOf(&[
                ("query", "in the address"),
                ("form_post", "in a form, which Apple asks for with the scopes `name` and `email`"),
            ]),
            default: Default::Means("not sent, and Apple chooses `query`"),
            example: r#""form_post""#,
            change: Change::Reload,
            doc: "How a browser brings back what Apple says.",
        },
        Key {
            name: "pkce",
            kind: Kind::Flag,
            default: Default::Is("false"),
            example: "true",
            change: Change::Reload,
            doc: "Binds the code to the browser a second time (RFC 7636). Apple does not document it for this service.",
        },
        Key {
            name: "issuers",
            kind: Kind::Texts,
            default: Default::Is(r#"["https://appleid.apple.com"]"#),
            example: r#"["https://appleid.apple.com", "https://account.apple.com"]"#,
            change: Change::Reload,
            doc: "The exact values of the claim `iss` that are accepted. In Apple's notifications \
                  (`/.schoolgate/notifications`) the name under which the service notifies is accepted too, which \
                  `base_url` does not change: `https://appleid.apple.com/auth/oauth2/v2` for `organization`, \
                  `https://appleid.apple.com` for `sign-in`.",
        },
        Key {
            name: "base_url",
            kind: Kind::Text,
            default: Default::Is(r#""https://appleid.apple.com""#),
            example: r#""http://127.0.0.1:9999""#,
            change: Change::Reload,
            doc: "Where Apple answers. An `https` URL; `http` only to this machine, where a stand-in may listen.",
        },
        Key {
            name: "authorize_url",
            kind: Kind::Text,
            default: FOLLOWS,
            example: r#""https://appleid.apple.com/auth/oauth2/v2/authorize""#,
            change: Change::Reload,
            doc: "Where browsers sign in, when it does not follow from `base_url`: `/auth/oauth2/v2/authorize` below it for \
                  `organization`, `/auth/authorize` for `sign-in`.",
        },
        Key {
            name: "token_url",
            kind: Kind::Text,
            default: FOLLOWS,
            example: r#""https://appleid.apple.com/auth/oauth2/v2/token""#,
            change: Change::Reload,
            doc: "Where codes are redeemed and tokens refreshed, when it does not follow from `base_url`.",
        },
        Key {
            name: "keys_url",
            kind: Kind::Text,
            default: FOLLOWS,
            example: r#""https://appleid.apple.com/auth/oauth2/v2/keys""#,
            change: Change::Reload,
            doc: "Where Apple's public keys are, when it does not follow from `base_url`.",
        },
        Key {
            name: "revoke_url",
            kind: Kind::Text,
            default: FOLLOWS,
            example: r#""https://appleid.apple.com/auth/oauth2/v2/revoke""#,
            change: Change::Reload,
            doc: "Where tokens are revoked, when it does not follow from `base_url`.",
        },
        Key {
            name: "timeout",
            kind: Kind::PositiveDuration,
            default: Default::Is(r#""10s""#),
            example: r#""5s""#,
            change: Change::Reload,
            doc: "For one call to Apple.",
        },
        Key {
            name: "clock_skew",
            kind: Kind::Duration,
            default: Default::Is(r#""60s""#),
            example: r#""30s""#,
            change: Change::Reload,
            doc: "How far the clocks of Apple and of this machine may differ.",
        },
        Key {
            name: "keys_max_age",
            kind: Kind::Duration,
            default: Default::Is(r#""1h""#),
            example: r#""30m""#,
            change: Change::Reload,
            doc: "Apple's public keys are fetched again after this.",
        },
        Key {
            name: "keys_max_stale",
            kind: Kind::Duration,
            default: Default::Is(r#""24h""#),
            example: r#""12h""#,
            change: Change::Reload,
            doc: "How long Apple's public keys are used when Apple cannot be reached.",
        },
        Key {
            name: "keys_min_interval",
            kind: Kind::Duration,
            default: Default::Is(r#""30s""#),
            example: r#""60s""#,
            change: Change::Reload,
            doc: "Apple's public keys are fetched for a key that is unknown at most this often.",
        },
    ],
};
