//! The sections `[server]`, `[server.tls]` and `[[server.tls.certificate]]`.

use super::{Change, Default, Key, Kind, Section};

pub(super) const SERVER: Section = Section {
    path: "server",
    repeats: false,
    doc: "Where the gateway listens, and what holds for every connection.",
    keys: &[
        Key {
            name: "listen",
            kind: Kind::Texts,
            default: Default::Is(r#"["127.0.0.1:8080"]"#),
            example: r#"["127.0.0.1:8080", "[::1]:8080"]"#,
            change: Change::Restart,
            doc: "Where browsers connect, each an IP address and a port: HTTPS where there is a section \
                  `[server.tls]`, else plain HTTP for a web server with TLS in front.",
        },
        Key {
            name: "admin_listen",
            kind: Kind::Text,
            default: Default::Is(r#""127.0.0.1:9180""#),
            example: r#""unix:/run/schoolgate/admin.sock""#,
            change: Change::Restart,
            doc: "For operators: health, metrics, and the sessions (docs/admin.md). An IP address and a port, or `unix:` \
                  and the path of a socket, which only the user that runs the gateway may use. It has no login, so it \
                  belongs on this machine. Two gateways on one machine need one each, and a `state_dir` each.",
        },
        Key {
            name: "external_scheme",
            kind: Kind::OneOf(&[
                ("https", "browsers come over TLS"),
                ("http", "for trying things out; refused unless every host is `localhost` or `127.0.0.1`"),
            ]),
            default: Default::Is(r#""https""#),
            example: r#""https""#,
            change: Change::Reload,
            doc: "What browsers use, whatever stands between them and the gateway.",
        },
        Key {
            name: "trusted_proxies",
            kind: Kind::Texts,
            default: Default::Is("[]"),
            example: r#"["127.0.0.1", "10.20.0.0/16"]"#,
            change: Change::Reload,
            doc: "Proxies in front of the gateway: addresses and networks whose `X-Forwarded-For`, `-Proto` and `-Host` \
                  and whose PROXY headers are believed, and who may ask `/.schoolgate/auth` (docs/trusted-proxies.md). \
                  Nobody by default. For a web server on this machine write `[\"127.0.0.1\"]`.",
        },
        Key {
            name: "state_dir",
            kind: Kind::Path,
            default: Default::Means("`$STATE_DIRECTORY`, which systemd sets, else `/var/lib/schoolgate`"),
            example: r#""/srv/schoolgate""#,
            change: Change::Restart,
            doc: "Where the gateway keeps what must outlive it: the key that seals its cookies and sessions \
                  (`session.key`), and the sessions (`sessions.redb`). Both are made at the first start, by the user that \
                  runs the gateway.",
        },
        Key {
            name: "shutdown_grace",
            kind: Kind::Duration,
            default: Default::Is(r#""30s""#),
            example: r#""2m""#,
            change: Change::Reload,
            doc: "How long requests in flight may go on when the gateway is told to stop.",
        },
        Key {
            name: "sign_in_rate_per_ip",
            kind: Kind::Count,
            default: Default::Is("50"),
            example: "100",
            change: Change::Reload,
            doc: "New sign-ins a second from one address. A whole school may share one. What is above it is answered with \
                  429.",
        },
        Key {
            name: "header_timeout",
            kind: Kind::PositiveDuration,
            default: Default::Is(r#""10s""#),
            example: r#""5s""#,
            change: Change::Reload,
            doc: "For a whole request head, however slowly it drips. Then the connection is closed.",
        },
        Key {
            name: "idle_timeout",
            kind: Kind::PositiveDuration,
            default: Default::Is(r#""60s""#),
            example: r#""30s""#,
            change: Change::Reload,
            doc: "How long a connection may stay open without a request.",
        },
        Key {
            name: "min_body_rate",
            kind: Kind::Size,
            default: Default::Is(r#""1KiB""#),
            example: r#""4KiB""#,
            change: Change::Reload,
            doc: "Bytes a second of a request body, after its first ten seconds. From `\"1B\"` to `\"1GiB\"`. WebSockets \
                  and answers are not meant.",
        },
        Key {
            name: "max_header_bytes",
            kind: Kind::Size,
            default: Default::Is(r#""32KiB""#),
            example: r#""64KiB""#,
            change: Change::Reload,
            doc: "The largest head of a request, target included. From `\"1KiB\"` to `\"1MiB\"`. What is larger is \
                  answered with 431.",
        },
    ],
};

pub(super) const TLS: Section = Section {
    path: "server.tls",
    repeats: false,
    doc: "TLS at every address of `listen` (docs/tls.md). Without this section they speak plain HTTP, and a web server with \
          TLS stands in front. The files are looked at every ten seconds: what has changed is in use without a reload, and \
          what is broken is not.",
    keys: &[
        Key {
            name: "certificate_file",
            kind: Kind::Path,
            default: Default::Means("needed, unless there is a section `[[server.tls.certificate]]`"),
            example: r#""/etc/schoolgate/tls/fullchain.pem""#,
            change: Change::Reload,
            doc: "The certificate in PEM, and behind it those between it and its authority. It is for whoever asks for a \
                  name that no certificate has, too.",
        },
        Key {
            name: "private_key_file",
            kind: Kind::Path,
            default: Default::Means("needed beside `certificate_file`"),
            example: r#""/etc/schoolgate/tls/privkey.pem""#,
            change: Change::Reload,
            doc: "Its key in PEM, without a password: ECDSA, Ed25519, or RSA of 2048 bits or more.",
        },
        Key {
            name: "redirect_http_listen",
            kind: Kind::Texts,
            default: Default::Is("[]"),
            example: r#"["[::]:80"]"#,
            change: Change::Restart,
            doc: "Where plain HTTP is spoken, to send browsers to HTTPS with 308 and to do nothing else.",
        },
        Key {
            name: "hsts",
            kind: Kind::Duration,
            default: Default::Is(r#""365d""#),
            example: r#""30d""#,
            change: Change::Reload,
            doc: "For how long browsers shall come by HTTPS only (Strict-Transport-Security), in the place of what an app \
                  says about it. `\"0s\"`: the gateway says nothing, and apps may.",
        },
    ],
};

pub(super) const CERTIFICATE: Section = Section {
    path: "server.tls.certificate",
    repeats: true,
    doc: "One section for each further certificate. A browser gets the one that has the name that it asks for, else one \
          with a wildcard for it, else the first.",
    keys: &[
        Key {
            name: "certificate_file",
            kind: Kind::Path,
            default: Default::Required,
            example: r#""/etc/schoolgate/tls/fullchain.pem""#,
            change: Change::Reload,
            doc: "As in `[server.tls]`.",
        },
        Key {
            name: "private_key_file",
            kind: Kind::Path,
            default: Default::Required,
            example: r#""/etc/schoolgate/tls/privkey.pem""#,
            change: Change::Reload,
            doc: "As in `[server.tls]`.",
        },
    ],
};

pub(super) const ACME: Section = Section {
    path: "server.tls.acme",
    repeats: false,
    doc: "A certificate that the gateway orders and renews by itself, for every host of an app and of `redirect_uri` that \
          no file has a certificate for (docs/tls.md). For one gateway: several with one Redis need files.",
    keys: &[
        Key {
            name: "terms_of_service_agreed",
            kind: Kind::Flag,
            default: Default::Required,
            example: "true",
            change: Change::Reload,
            doc: "That you agree to the terms of the authority. Without it nothing is ordered.",
        },
        Key {
            name: "directory_url",
            kind: Kind::Text,
            default: Default::Is(r#""https://acme-v02.api.letsencrypt.org/directory""#),
            example: r#""https://ca.school.example/acme/acme/directory""#,
            change: Change::Restart,
            doc: "The authority. Let's Encrypt by default.",
        },
        Key {
            name: "contact",
            kind: Kind::Texts,
            default: Default::Is("[]"),
            example: r#"["admin@school.example"]"#,
            change: Change::Restart,
            doc: "Whom the authority may write to.",
        },
        Key {
            name: "ca_file",
            kind: Kind::Path,
            default: Default::Means("the authorities that the system trusts"),
            example: r#""/etc/schoolgate/apps-ca.pem""#,
            change: Change::Restart,
            doc: "The certificate in PEM that vouches for the directory itself, when the authority is a private one.",
        },
        Key {
            name: "external_account_key_id",
            kind: Kind::Text,
            default: Default::Means("none; some authorities want one"),
            example: r#""kid-1""#,
            change: Change::Restart,
            doc: "The key identifier of an account that one has at the authority (external account binding).",
        },
        Key {
            name: "external_account_key_file",
            kind: Kind::Path,
            default: Default::Means("needed beside `external_account_key_id`"),
            example: r#""$CREDENTIALS_DIRECTORY/acme.key""#,
            change: Change::Restart,
            doc: "The file with its HMAC key, as the authority shows it.",
        },
    ],
};
