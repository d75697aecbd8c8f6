//! What is asked for, by whom, and what must come back.

use crate::common::BROWSER;

/// One comparison.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) contestants: &'static [&'static str],
    pub(crate) who: Who,
    pub(crate) path: &'static str,
    /// The length of the body of an answer that the app gives.
    pub(crate) size: usize,
    pub(crate) how: How,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Somebody who is signed in, with three cookies of the app.
    SignedIn,
    /// With nineteen.
    TwentyCookies,
    /// With some that make 4 KB together.
    FourKilobytes,
    /// Nobody: a page of everybody.
    Anybody,
    /// Nobody, who opens a page: sent away to sign in.
    StrangersPage,
    /// Nobody's script: 401.
    StrangersScript,
}

/// Which load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// As many requests as go on all connections.
    Full,
    /// Large answers on so many connections, or a large file that is posted on them.
    Bulk { connections: usize, body: Option<&'static str> },
    /// HTTP/2.
    Http2 { connections: usize, streams: usize },
    /// At half of the rate that the slowest of them reaches, or at half of its own.
    Half { own: bool },
}

const PLAIN: &[&str] = &["nginx", "bare", "schoolgate"];
const FOUR: &[&str] = &["nginx", "haproxy", "bare", "schoolgate"];
const IN_TLS: &[&str] = &["nginx+tls", "haproxy+tls", "bare+tls", "schoolgate+tls"];
const LITTLE: &str = "/1k.txt";
const MEGABYTE: usize = 1_000_000;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "auth",
        title: "Authenticated GET",
        contestants: &[
            "nginx",
            "haproxy",
            "bare",
            "schoolgate",
            "schoolgate+file",
            "schoolgate+redis",
            "auth_request",
            "envoy",
            "mod_auth_openidc",
            "caddy",
        ],
        ..USUAL
    },
    Scenario {
        name: "log",
        title: "Authenticated GET, with access logs",
        contestants: &["nginx+log", "bare+log", "schoolgate+log"],
        ..USUAL
    },
    Scenario { name: "public", title: "Public GET", who: Who::Anybody, path: "/public/1k.txt", ..USUAL },
    Scenario { name: "redirect", title: "A stranger opens a page: 302", who: Who::StrangersPage, ..USUAL },
    Scenario { name: "unauthorized", title: "A stranger's script: 401", who: Who::StrangersScript, ..USUAL },
    Scenario { name: "cookies", title: "20 cookies", contestants: FOUR, who: Who::TwentyCookies, ..USUAL },
    Scenario { name: "cookie4k", title: "4 KB of cookies", contestants: FOUR, who: Who::FourKilobytes, ..USUAL },
    Scenario { name: "tls", title: "TLS 1.3, HTTP/1.1", contestants: IN_TLS, ..USUAL },
    Scenario {
        name: "http2",
        title: "TLS 1.3, HTTP/2, 100 streams",
        contestants: IN_TLS,
        how: How::Http2 { connections: 1, streams: 100 },
        ..USUAL
    },
    Scenario { name: "down1m", title: "1 MB down", path: "/1m.bin", size: MEGABYTE, how: bulk(32, None), ..TRANSFER },
    Scenario {
        name: "down100m",
        title: "100 MB down",
        path: "/100m.bin",
        size: 100 * MEGABYTE,
        how: bulk(4, None),
        ..TRANSFER
    },
    Scenario { name: "up1m", title: "1 MB up", how: bulk(32, Some("1m.bin")), ..TRANSFER },
    Scenario { name: "up100m", title: "100 MB up", how: bulk(4, Some("100m.bin")), ..TRANSFER },
    Scenario {
        name: "routes",
        title: "1, 100 and 1,000 routes",
        contestants: &["schoolgate+routes=1", "schoolgate+routes=100", "schoolgate+routes=1000"],
        path: "/department-0050/reports/1k.txt",
        ..USUAL
    },
    Scenario { name: "half", title: "At half of the rate of the slowest", how: How::Half { own: false }, ..USUAL },
    Scenario { name: "half-own", title: "Each at half of its own rate", how: How::Half { own: true }, ..USUAL },
];

const USUAL: Scenario =
    Scenario { name: "", title: "", contestants: PLAIN, who: Who::SignedIn, path: LITTLE, size: 1024, how: How::Full };

const TRANSFER: Scenario = Scenario { contestants: FOUR, path: "/upload", size: 0, ..USUAL };

const fn bulk(connections: usize, body: Option<&'static str>) -> How {
    How::Bulk { connections, body }
}

impl Scenario {
    /// What a browser sends, with the cookies of a session.
    pub(crate) fn headers(&self, authority: &str, session: &str) -> Vec<(String, String)> {
        let page = self.who == Who::StrangersPage;
        let fetched = if page { ("navigate", "document") } else { ("cors", "empty") };
        let cookies = self.cookies(session);
        let others = [
            ("Sec-Fetch-Mode", fetched.0),
            ("Sec-Fetch-Dest", fetched.1),
            ("Sec-Fetch-Site", "same-origin"),
            ("Cookie", &cookies),
        ];
        let headers = [&[("Host", authority)], &BROWSER[..], &others].concat();
        headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn cookies(&self, session: &str) -> String {
        let own = "a=b; lang=de; theme=dark";
        let several = |count: usize, length: usize| {
            (0..count).map(|number| format!("; name_{number:02}={}", "v".repeat(length))).collect::<String>()
        };
        match self.who {
            Who::SignedIn => format!("{session}; {own}"),
            Who::TwentyCookies => format!("{session}{}", several(19, 24)),
            Who::FourKilobytes => {
                let room = 4096 - session.len() - "; rest=".len();
                let most = several(7, 500);
                format!("{session}{most}; rest={}", "v".repeat(room - most.len()))
            }
            Who::Anybody | Who::StrangersPage | Who::StrangersScript => own.to_owned(),
        }
    }

    /// The status of one who checks who comes, when it is not the app's.
    pub(crate) const fn refusal(&self) -> Option<u16> {
        match self.who {
            Who::StrangersPage => Some(302),
            Who::StrangersScript => Some(401),
            Who::SignedIn | Who::TwentyCookies | Who::FourKilobytes | Who::Anybody => None,
        }
    }

    /// The bytes of the body of one request or answer, where they are what matters.
    pub(crate) fn transferred(&self) -> Option<u64> {
        match self.how {
            How::Bulk { body: Some("100m.bin"), .. } => Some(100 * MEGABYTE as u64),
            How::Bulk { body: Some(_), .. } => Some(MEGABYTE as u64),
            How::Bulk { body: None, .. } => Some(self.size as u64),
            How::Full | How::Http2 { .. } | How::Half { .. } => None,
        }
    }
}
