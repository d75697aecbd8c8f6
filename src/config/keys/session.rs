//! The sections `[session]` and `[assertion]`.

use super::{Change, Default, Key, Kind, Section};

pub(super) const SESSION: Section = Section {
    path: "session",
    repeats: false,
    doc: "Sessions: where they are kept, and how long (docs/sessions.md).",
    keys: &[
        Key {
            name: "store",
            kind: Kind::Text,
            default: Default::Is(r#""file""#),
            example: r#""rediss://redis.school.example""#,
            change: Change::Restart,
            doc: "Where sessions are kept. `\"file\"`: in `sessions.redb` in `state_dir`; they survive a restart and a crash. \
                  `\"memory\"`: nowhere; a restart signs everybody out. `\"redis://HOST\"`, or `\"rediss://HOST\"` with TLS: several \
                  gateways share them (docs/redis.md), and `encryption_key_file` must be written. `redis+sentinel://` and \
                  `redis+cluster://` are understood too.",
        },
        Key {
            name: "idle_timeout",
            kind: Kind::PositiveDuration,
            default: Default::Is(r#""8h""#),
            example: r#""1h""#,
            change: Change::Reload,
            doc: "A session ends when it is not used for so long. Not longer than `max_lifetime`.",
        },
        Key {
            name: "max_lifetime",
            kind: Kind::PositiveDuration,
            default: Default::Is(r#""24h""#),
            example: r#""7d""#,
            change: Change::Reload,
            doc: "A session ends after so long in any case.",
        },
        Key {
            name: "refresh_before",
            kind: Kind::Duration,
            default: Default::Is(r#""5m""#),
            example: r#""10m""#,
            change: Change::Reload,
            doc: "An app never gets an access token with less life than this. Less than the hour that a token of Apple's \
                  lives.",
        },
        Key {
            name: "revoke_on_sign_out",
            kind: Kind::Flag,
            default: Default::Is("true"),
            example: "false",
            change: Change::Reload,
            doc: "Whether signing out also revokes the tokens at Apple.",
        },
        Key {
            name: "encryption_key_file",
            kind: Kind::Path,
            default: Default::Means(
                "`session.key` in `state_dir`, made at the first start; with Redis it must be written",
            ),
            example: r#""$CREDENTIALS_DIRECTORY/session.key""#,
            change: Change::Restart,
            doc: "The file of the key that seals sessions and cookies: 32 bytes in base64 (`openssl rand -base64 32`). A \
                  second line may hold the key before it, so that a change signs nobody out (docs/sessions.md). With Redis \
                  it is the same for all gateways.",
        },
    ],
};

pub(super) const ASSERTION: Section = Section {
    path: "assertion",
    repeats: false,
    doc: "A signed statement for apps that do not want to trust a plain header (docs/assertion.md).",
    keys: &[Key {
        name: "enabled",
        kind: Kind::Flag,
        default: Default::Is("false"),
        example: "true",
        change: Change::Reload,
        doc: "Whether each request of somebody who is signed in also carries `X-Schoolgate-Assertion`: who it is, signed \
              for this app and for five minutes. The keys are at `/.schoolgate/jwks.json`.",
    }],
};
