//! Nobody is led away from the host: whatever is asked for as `return_to`, in any spelling that a
//! browser would take for another place.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{
    HOST, Request, World,
    world::{CALLBACK, at},
};
use url::Url;

/// What has been put before a host so that a check takes it for a path.
const BEFORE: &[&str] = &[
    "",
    "//",
    "///",
    "////",
    "/\\",
    "\\",
    "\\\\",
    "\\/",
    "//\\",
    "/\\/",
    "/\t/",
    "/\t\\",
    "/\n/",
    "/\r/",
    "/ /",
    " //",
    "\t//",
    "/%09/",
    "/%0a/",
    "/%0d/",
    "/%0b/",
    "/%20/",
    "/%5c",
    "/%5c%5c",
    "/%2f",
    "/%2f/",
    "/%2f%2f",
    "%2f%2f",
    "%5c%5c",
    "/%252f",
    "/%255c",
    "/%25252f/",
    "/./",
    "/.//",
    "/../",
    "/..//",
    "/.%2f/",
    "/%2e%2e//",
    "/;//",
    "/;/",
    "/.;//",
    "/..;//",
    "/x//",
    "/x/..//",
    "/x/../..//",
    "/?//",
    "/#//",
    "//;@",
    "/\u{2f}\u{2f}",
    "/\u{a0}/",
    "/\u{2028}/",
    "/\u{3002}/",
    "/\u{ff0f}",
    "/\u{ff0f}/",
    "/\u{ff3c}",
    "/\u{2044}",
    "\u{feff}//",
    "/\u{200b}/",
    "/%ef%bc%8f/",
    "/%e2%80%a8/",
    "/%00/",
    "/\0/",
    "/%c0%af/",
    "/%c0%afevil/../",
    "http:",
    "http:/",
    "http://",
    "https:",
    "https:/",
    "https://",
    "https:///",
    "https:\\\\",
    "HTTPS://",
    "hTtPs:/\\",
    "ht\ttps://",
    "java\nscript://%0aalert(1)//",
    "javascript:alert(1)//",
    "javascript://",
    "data:text/html,",
    "vbscript:",
    "blob:https://",
    "ftp://",
    "file://",
    "view-source:https://",
    "about:blank#",
    "ws://",
    "//user@",
    "//user:x@",
    "//library.school.example@",
    "//library.school.example:443@",
    "//library.school.example%40",
    "//library.school.example%00.",
    "//library.school.example\\@",
    "https://library.school.example.",
    "https://library.school.example@",
    "https://library.school.example:443@",
    "https://library.school.example%2f@",
    "https://library.school.example\\.",
    "https:library.school.example.",
    "//[::1]@",
    "//0x7f000001/",
    "//2130706433/",
    "@",
    ".",
    ":",
    "?",
    "#",
    "&",
    ";",
    "..//",
    "./",
    "/%0d%0aLocation:%20https://",
    "/%0d%0aSet-Cookie:%20a=b%0d%0a",
    "/x\r\nLocation: https://",
    "/x\nSet-Cookie: a=b ",
    "/x%0aX: ",
    "/.schoolgate/sign-out?return_to=//",
    "/.schoolgate/sign-in?return_to=//",
    "/.SCHOOLGATE/sign-out?",
    "/%2eschoolgate/sign-out?",
    "/.schoolgate;x/sign-out?",
    "/;/.schoolgate/sign-out?",
    "/.schoolgate/callback?code=1&state=",
];

/// What follows it.
const AFTER: &[&str] = &[
    "evil.example",
    "evil.example/",
    "evil.example/%2f..",
    "evil.example/..",
    "evil.example/..;/",
    "evil.example:443/",
    "evil.example?library.school.example",
    "evil.example#library.school.example",
    "evil.example%23.library.school.example",
    "evil\u{3002}example",
];

/// What led away from the peers of this program, as it was published.
const PUBLISHED: &[(&str, &str)] = &[
    ("CVE-2020-5233 oauth2-proxy", "/\\evil.example"),
    ("CVE-2020-11053 oauth2-proxy", "/%09/evil.example"),
    ("CVE-2020-11053 oauth2-proxy", "/%0A/evil.example"),
    ("CVE-2020-11053 oauth2-proxy", "/\t/evil.example"),
    ("CVE-2020-4037 oauth2-proxy", "/\\\\evil.example"),
    ("CVE-2020-4037 oauth2-proxy", "/\t/\\evil.example"),
    ("CVE-2020-4037 oauth2-proxy", "/ //evil.example"),
    ("CVE-2026-83589 oauth-proxy", "/\\evil.example"),
    ("CVE-2026-83589 oauth-proxy", "/\tevil.example"),
    ("CVE-2026-83589 oauth-proxy", "/\t\\evil.example"),
    ("CVE-2019-14857 mod_auth_openidc", "https://library.school.example.evil.example/"),
    ("CVE-2019-14857 mod_auth_openidc", "///evil.example/"),
    ("CVE-2019-20479 mod_auth_openidc", "/\\evil.example/"),
    ("CVE-2019-20479 mod_auth_openidc", "\\/evil.example/"),
    ("CVE-2021-32786 mod_auth_openidc", "https:\\\\evil.example/"),
    ("CVE-2021-32786 mod_auth_openidc", "/\\/evil.example/"),
    ("CVE-2021-39191 mod_auth_openidc", "https://evil.example/?library.school.example"),
    ("CVE-2022-23527 mod_auth_openidc", "/\t/evil.example"),
    ("CVE-2022-23527 mod_auth_openidc", "/%09//evil.example"),
    ("CVE-2021-29456 Authelia", "https://evil.example"),
    ("CVE-2021-29456 Authelia", "http://library.school.example@evil.example"),
    ("CVE-2021-29651 Pomerium", "https://evil.example/api/v1/login?jwt="),
    ("CVE-2024-21497 caddy-security", "//evil.example"),
    ("CVE-2024-21497 caddy-security", "https://evil.example/%2f.."),
];

/// Where a browser goes that gets this `Location` (the URL standard of the WHATWG is the judge).
fn lands(location: &str) -> Url {
    assert!(location.starts_with('/') && !location.starts_with("//"), "{location:?}");
    assert!(location.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{location:?}");
    Url::parse(CALLBACK).unwrap().join(location).unwrap()
}

fn stays_here(asked: &str, location: &str) {
    let url = lands(location);
    assert_eq!((url.scheme(), url.host_str(), url.port()), ("https", Some(HOST), None), "{asked:?} leads to {url}");
    assert_eq!((url.username(), url.password()), ("", None), "{asked:?} leads to {url}");
    let path = url.path().to_ascii_lowercase();
    assert!(!path.contains(".schoolgate/") || path == "/.schoolgate/", "{asked:?} leads to {url}");
}

fn query(value: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", value).finish()
}

#[tokio::test]
async fn each_published_redirect_leads_nowhere_else_at_a_sign_in_and_at_a_sign_out() {
    let world = World::start().await;
    for (id, asked) in PUBLISHED {
        // At the names that the peers use, too: they are no names here.
        for name in ["return_to", "rd", "redirect_url", "target_link_uri", "logout", "pomerium_redirect_uri"] {
            let encoded = query(asked).replacen("return_to", name, 1);
            let left = world.send(Request::get(&format!("/.schoolgate/sign-out?{encoded}"))).await;
            match left.status {
                303 => stays_here(asked, left.location()),
                status => assert_eq!((status, left.header("location")), (200, None), "{id} {asked:?}"),
            }
        }
        let mut browser = world.browser();
        let begun = browser.open(&at(&format!("/.schoolgate/sign-in?{}", query(asked)))).await;
        assert!(begun.location().starts_with(world.apple.base_url().as_str()), "{id} {asked:?}");
        let callback = world.at_apple(begun.location(), "teacher-1").await;
        let back = browser.open(&callback).await;
        assert_eq!(back.status, 303, "{id} {asked:?}");
        stays_here(asked, back.location());
        let cookie = browser.cookie(HOST, "__Host-schoolgate").unwrap();
        assert!(!back.location().contains(&cookie), "{id}: nothing that opens a session is in an address");
    }
}

#[tokio::test]
async fn a_sign_out_leads_nowhere_else() {
    let world = World::start().await;
    let mut tried = 0;
    for before in BEFORE {
        for after in AFTER {
            let asked = format!("{before}{after}");
            for encoded in [query(&asked), format!("return_to={asked}")] {
                let get = Request::get(&format!("/.schoolgate/sign-out?{encoded}"));
                let post =
                    Request::new("POST", "/.schoolgate/sign-out").body("application/x-www-form-urlencoded", encoded);
                for request in [get, post] {
                    let answer = world.send(request.header("Connection", "close")).await;
                    match answer.status {
                        303 => stays_here(&asked, answer.location()),
                        // A page without a redirect, or a target that is refused outright.
                        200 | 400 | 404 => assert_eq!(answer.header("location"), None, "{asked:?}"),
                        other => panic!("{asked:?}: {other}"),
                    }
                    assert!(answer.all("set-cookie").all(|line| line.starts_with("__Host-schoolgate=;")), "{asked:?}");
                    assert!(!answer.text().contains("evil.example"), "{asked:?}: {}", answer.text());
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 4_000, "{tried}");
    // The oracle would notice.
    for bad in ["//evil.example", "/\\evil.example", "https://evil.example"] {
        assert!(std::panic::catch_unwind(|| stays_here("", bad)).is_err(), "{bad}");
    }
    // And good ones are followed.
    for good in ["/", "/a/b?c=d", "/.schoolgate/", "/a?https://evil.example/"] {
        let answer = world.send(Request::get(&format!("/.schoolgate/sign-out?{}", query(good)))).await;
        assert_eq!((answer.status, answer.location()), (303, good));
    }
}

#[tokio::test]
async fn a_sign_in_leads_nowhere_else_after_the_way_to_apple_and_back() {
    // So many sign-ins a second are admitted from one address.
    for part in BEFORE.chunks(40) {
        let world = World::start().await;
        for before in part {
            let asked = format!("{before}evil.example/");
            let mut browser = world.browser();
            let answer = browser.open(&at(&format!("/.schoolgate/sign-in?{}", query(&asked)))).await;
            assert_eq!(answer.status, 302, "{asked:?}");
            assert!(answer.location().starts_with(world.apple.base_url().as_str()), "{asked:?}");
            let callback = world.at_apple(answer.location(), "teacher-1").await;
            let answer = browser.open(&callback).await;
            assert_eq!(answer.status, 303, "{asked:?}");
            stays_here(&asked, answer.location());
        }
    }
}

#[tokio::test]
async fn a_failed_or_stale_sign_in_and_a_challenge_lead_nowhere_else() {
    let world = World::start().await;
    let mut browser = world.browser();
    for asked in
        ["//evil.example/", "/\\evil.example", "https://evil.example", "/%09/evil.example", "javascript:alert(1)"]
    {
        let answer = browser.open(&at(&format!("/.schoolgate/sign-in?{}", query(asked)))).await;
        let state = Url::parse(answer.location()).unwrap();
        let state = state.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        for callback in [format!("{CALLBACK}?error=access_denied&state={state}"), format!("{CALLBACK}?state=x&code=y")]
        {
            let page = browser.open(&callback).await;
            assert!(matches!(page.status, 400 | 403), "{asked}");
            assert!(!page.text().contains("evil") && !page.text().contains("javascript"), "{asked}: {}", page.text());
        }
        // A callback that says where to go is not listened to.
        let page = browser
            .open(&format!("{CALLBACK}?state=x&code=y&return_to=//evil.example&redirect_uri=//evil.example"))
            .await;
        assert_eq!((page.status, page.header("location")), (400, None));
    }
    // CVE-2024-21498 and CVE-2024-21499 caddy-security: forwarded hosts and schemes went into redirects.
    for (host, forwarded) in [(HOST, "evil.example"), ("LIBRARY.school.example:8443", "evil.example")] {
        let request = Request::get("/x?y=//evil").header("Host", host).header("X-Forwarded-Host", forwarded);
        let answer = world
            .send(request.header("X-Forwarded-Proto", "javascript").header("Forwarded", "host=evil.example"))
            .await;
        let challenge = answer.header("www-authenticate").unwrap().to_owned();
        let url = challenge.split('"').nth(1).unwrap();
        let parsed = Url::parse(url).unwrap();
        assert_eq!(
            (parsed.scheme(), parsed.host_str(), parsed.path()),
            ("https", Some(HOST), "/.schoolgate/sign-in"),
            "{url}"
        );
    }
}

#[tokio::test]
async fn a_query_with_a_backslash_survives_the_way_to_apple_and_back() {
    let world = World::start().await;
    // Browsers send backslashes in queries as they are: https://url.spec.whatwg.org/#query-state
    for path in ["/files?dir=C:\\marks\\7b", "/x?\\\\evil.example", &format!("/x?{}", "\\".repeat(900))] {
        let mut browser = world.browser();
        let answer = world.through_apple(&mut browser, path, "teacher-1").await;
        assert_eq!((answer.status, answer.location()), (303, path), "{}", answer.text());
        stays_here(path, "/");
    }
    // Too long for a cookie: the path alone.
    let long = format!("/x?{}", "\\".repeat(1_900));
    let answer = world.browser().open(&at(&long)).await;
    assert!(answer.header("set-cookie").unwrap().len() < 4_096, "{}", answer.header("set-cookie").unwrap().len());
}
