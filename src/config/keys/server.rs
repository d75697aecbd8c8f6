//! The sections `[server]` and `[server.tls]`.

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
            doc: "Where browsers connect, each an IP address and a port: plain HTTP. Let a web server with TLS stand in \
                  front.",
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
    doc: "TLS in the gateway itself. It is not supported yet, and refused: let a web server with TLS stand in front.",
    keys: &[],
};
