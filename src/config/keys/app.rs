//! The sections `[[app]]`, `[[app.route]]` and `[app.route.allow]`.

use super::{Change, Default, Key, Kind, Section};

pub(super) const APP: Section = Section {
    path: "app",
    repeats: true,
    doc: "One section for each app. People sign in once for all of them, whatever their hosts (docs/hosts.md).",
    keys: &[
        Key {
            name: "name",
            kind: Kind::Text,
            default: Default::Required,
            example: r#""library""#,
            change: Change::Reload,
            doc: "What the app is called in the log and on pages. At most 64 characters; each app has its own.",
        },
        Key {
            name: "host",
            kind: Kind::Text,
            default: Default::Required,
            example: r#""library.school.example""#,
            change: Change::Reload,
            doc: "The host in the browser; case, port and a trailing dot do not count. Or `\"*.school.example\"`: every name \
                  with one label more, all of which must lead to this gateway (docs/hosts.md).",
        },
        Key {
            name: "upstream",
            kind: Kind::TextOrTexts,
            default: Default::Required,
            example: r#"["https://app1.internal", "https://app2.internal:8443"]"#,
            change: Change::Reload,
            doc: "Where the app listens: `http://` or `https://`, a host, and a port when it is not 80 or 443; `h2c://` for \
                  HTTP/2 without TLS. Of several, those that are healthy take turns (docs/upstreams.md).",
        },
        Key {
            name: "health_path",
            kind: Kind::Text,
            default: Default::Means("to accept a connection is enough"),
            example: r#""/health""#,
            change: Change::Reload,
            doc: "What each of several upstreams is asked for every few seconds (docs/upstreams.md).",
        },
        Key {
            name: "upstream_ca_file",
            kind: Kind::Path,
            default: Default::Means("the authorities that the system trusts"),
            example: r#""/etc/schoolgate/apps-ca.pem""#,
            change: Change::Reload,
            doc: "Certificates in PEM that vouch for `https` upstreams in the place of the system's authorities. What an \
                  upstream shows is always verified, by the host name that stands in `upstream`.",
        },
        Key {
            name: "preserve_host",
            kind: Kind::Flag,
            default: Default::Is("true"),
            example: "false",
            change: Change::Reload,
            doc: "Whether the app sees the host in the browser. `false`: it sees the host of `upstream`.",
        },
        Key {
            name: "upstream_timeout",
            kind: Kind::PositiveDuration,
            default: Default::Is(r#""60s""#),
            example: r#""5m""#,
            change: Change::Reload,
            doc: "To the first byte of the answer. Above it: 504.",
        },
        Key {
            name: "max_body",
            kind: Kind::Size,
            default: Default::Is(r#""100MiB""#),
            example: r#""1GiB""#,
            change: Change::Reload,
            doc: "Largest request body, up to `\"1024GiB\"`. Above it: 413.",
        },
        Key {
            name: "headers",
            kind: Kind::Headers,
            default: Default::Means(
                "`X-Forwarded-User`, `X-Forwarded-Email`, `X-Forwarded-Access-Token`, `X-Schoolgate-Organization` and \
                 `X-Schoolgate-Scopes`",
            ),
            example: r#"{ X-Remote-User = "{sub}", X-Remote-Email = "{email}" }"#,
            change: Change::Reload,
            doc: "What the app is told about a person. The values may name `{sub}`, `{email}`, `{email_verified}`, \
                  `{is_private_email}`, `{org_id}`, `{scopes}`, `{auth_time}`, `{access_token}`, `{access_token_expires_at}`, \
                  `{id_token}`, `{session_id}` and `{claim:NAME}`. A header with a missing value is not sent. No client can \
                  set them.",
        },
        Key {
            name: "keep_forms",
            kind: Kind::Flag,
            default: Default::Is("false"),
            example: "true",
            change: Change::Reload,
            doc: "Whether a form that is sent after the session has died is kept, sealed, for ten minutes, and offered again \
                  to the same person after the sign-in. Up to 1 MiB, files included (docs/forms.md).",
        },
        Key {
            name: "sign_out_paths",
            kind: Kind::Texts,
            default: Default::Is("[]"),
            example: r#"["/logout.php"]"#,
            change: Change::Reload,
            doc: "The app's own pages to sign out: they are proxied, and the gateway's session ends with them \
                  (docs/app-sessions.md).",
        },
        Key {
            name: "clear_cookies",
            kind: Kind::Texts,
            default: Default::Is("[]"),
            example: r#"["PHPSESSID"]"#,
            change: Change::Reload,
            doc: "Cookies in which the app keeps sessions of its own. They die at every sign-out, and when another person \
                  signs in on the same browser; and the app gets them only in requests of the person for whom it set them \
                  (docs/app-sessions.md).",
        },
    ],
};

pub(super) const ROUTE: Section = Section {
    path: "app.route",
    repeats: true,
    doc: "Routes of the app above it: who may go where (docs/routes.md). The longest path wins. An app without routes has \
          one: `path = \"/\"`, `access = \"required\"`.",
    keys: &[
        Key {
            name: "path",
            kind: Kind::Text,
            default: Default::Is(r#""/""#),
            example: r#""/admin""#,
            change: Change::Reload,
            doc: "The path that the route covers, with whatever lies below it. A path that an app may take for one of a \
                  stricter route (`/ADMIN`, `/admin;x`, `/index.php/admin`) is refused; `schoolgate explain` says why.",
        },
        Key {
            name: "methods",
            kind: Kind::Texts,
            default: Default::Is("[]"),
            example: r#"["GET", "POST"]"#,
            change: Change::Reload,
            doc: "The methods that the route is for, in capitals; `GET` includes `HEAD`. None: all.",
        },
        Key {
            name: "access",
            kind: Kind::OneOf(&[
                ("required", "people must sign in"),
                ("optional", "everybody comes in, and the app is told who it is when somebody has signed in"),
                ("public", "everybody comes in, and nobody is asked or told"),
            ]),
            default: Default::Is(r#""required""#),
            example: r#""public""#,
            change: Change::Reload,
            doc: "Whether it takes a sign-in.",
        },
        Key {
            name: "scopes",
            kind: Kind::Texts,
            default: Default::Is("[]"),
            example: r#"["edu.users.read"]"#,
            change: Change::Reload,
            doc: "Permissions of Apple's that the access token must carry here. Whoever has not given them is sent to Apple \
                  once more.",
        },
        Key {
            name: "unauthenticated",
            kind: Kind::OneOf(&[
                ("auto", "people are sent to Apple, scripts get 401"),
                ("redirect", "scripts are sent to Apple too"),
                ("401", "nobody is sent to Apple"),
            ]),
            default: Default::Is(r#""auto""#),
            example: r#""401""#,
            change: Change::Reload,
            doc: "What becomes of a request without a session (docs/requests.md).",
        },
        Key {
            name: "headers",
            kind: Kind::Headers,
            default: Default::Means("what the app gets everywhere"),
            example: r#"{ Authorization = "Bearer {access_token}" }"#,
            change: Change::Reload,
            doc: "Headers beside those of the app; the same name replaces it.",
        },
    ],
};

pub(super) const ALLOW: Section = Section {
    path: "app.route.allow",
    repeats: false,
    doc: "The people whom the route above it is for. All kinds that are given must match; none given: anyone who signed in, \
          which with `service = \"sign-in\"` is anybody in the world with an Apple Account.",
    keys: &[
        Key {
            name: "organizations",
            kind: Kind::Texts,
            default: Default::Is("[]"),
            example: r#"["7f3a2c1e-6b5d-4e0f-9a8b-1c2d3e4f5a6b"]"#,
            change: Change::Reload,
            doc: "Organizations of Apple School Manager: the claim `org_id`.",
        },
        Key {
            name: "users",
            kind: Kind::Texts,
            default: Default::Is("[]"),
            example: r#"["000264.UDRoeTAxVUppaHdNQU5HYWN6MEU5VDRUWFVQU1BV.RUtP"]"#,
            change: Change::Reload,
            doc: "People: the claim `sub`, letter by letter.",
        },
        Key {
            name: "emails",
            kind: Kind::Texts,
            default: Default::Is("[]"),
            example: r#"["head@school.example"]"#,
            change: Change::Reload,
            doc: "Addresses that Apple has verified, which managed accounts do not have.",
        },
        Key {
            name: "email_domains",
            kind: Kind::Texts,
            default: Default::Is("[]"),
            example: r#"["school.example"]"#,
            change: Change::Reload,
            doc: "Domains of addresses that Apple has verified. Subdomains count as domains of their own.",
        },
    ],
};
