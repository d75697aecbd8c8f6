//! The page for people on the admin listener: what it shows, whom it finds, and how it ends sessions; and that nobody
//! else's page can.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::BTreeSet, time::Duration};

use support::{Answer, Browser, HOST, Request, Site, World, program::ask, world::at};
use url::form_urlencoded::Serializer;

/// What a stranger would like to see in the page as it is.
const HOSTILE: &str = "\"'><script>alert(1)</script><img/src=x/onerror=alert(1)>&amp;{{7*7}}";

async fn get(world: &World, target: &str) -> Answer {
    Request::get(target).header("Host", &world.admin.to_string()).send(world.admin).await
}

/// Sends a form of the page as a browser does.
async fn post(world: &World, path: &str, fields: &[(&str, &str)]) -> Answer {
    let own = world.admin.to_string();
    let origin = format!("http://{own}");
    let headers = [("Host", &*own), ("Origin", &origin), ("Sec-Fetch-Site", "same-origin")];
    post_with(world, path, fields, &headers).await
}

async fn post_with(world: &World, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
    let request = Request::new("POST", path).form(fields);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    request.send(world.admin).await
}

/// The values of all fields of this name in a page.
fn fields(page: &str, name: &str) -> Vec<String> {
    let begin = format!("name=\"{name}\" value=\"");
    page.split(&begin).skip(1).map(|rest| rest.split('"').next().unwrap().replace("&#38;", "&")).collect()
}

fn field(page: &str, name: &str) -> String {
    fields(page, name).into_iter().next().unwrap_or_else(|| panic!("{name}: {page}"))
}

async fn page(world: &World, target: &str) -> String {
    let answer = get(world, target).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    answer.text()
}

/// The page that asks, for what `what` begins with.
async fn asked(world: &World, what: &str) -> String {
    let board = page(world, "/").await;
    let what = fields(&board, "what").into_iter().find(|found| found.starts_with(what)).expect("there is a button");
    let answer = post(world, "/confirm", &[("permit", &field(&board, "permit")), ("what", &what), ("q", "")]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

async fn is_in(browser: &Browser) -> bool {
    browser.clone().fetch(&at("/no-token")).await.status == 200
}

#[tokio::test]
async fn it_says_who_is_signed_in_and_how_everything_is_and_no_secret() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let person = world.apple.person("teacher-1").unwrap();
    let id = browser.fetch(&at("/.schoolgate/me")).await.json()["session_id"].as_str().unwrap().to_owned();
    world.send(Request::get("/").header("Host", "elsewhere.example")).await;
    world.clock.advance(Duration::from_secs(600));
    let html = page(&world, "/").await;
    for text in [
        person.email.as_deref().unwrap(),
        &person.subject,
        person.organization.as_deref().unwrap(),
        &id,
        "10 minutes ago",
        "in 8 hours",
        "127.0.0.1",
        "People can sign in.",
        env!("CARGO_PKG_VERSION"),
        "Apple&#39;s keys",
        "library at http://",
        "Signed in at Apple <code>signed_in</code></th><td>1</td>",
        "No app has this host <code>unknown_host</code></th><td>1</td>",
    ] {
        assert!(html.contains(text), "{text}: {html}");
    }
    let cookie = browser.cookie(HOST, "__Host-schoolgate").expect("a session");
    for secret in [&*cookie, "eyJ"] {
        assert!(!html.contains(secret), "{secret}");
    }
    // An hour later the last hour has nothing of it.
    world.clock.advance(Duration::from_secs(3600));
    assert!(!page(&world, "/").await.contains("signed_in</code>"));
}

#[tokio::test]
async fn what_strangers_write_is_text_and_no_page_may_stand_around_it() {
    let world = World::start().await;
    let mut browser = world.browser();
    let answer = browser.open(&at("/start")).await;
    let callback = world.at_apple(answer.location(), "teacher-1").await;
    let request = Request::get(&support::browser::target(&callback)).navigation().header("User-Agent", HOSTILE);
    browser.send(&callback, request, false).await;
    let query = Serializer::new(String::new()).append_pair("q", HOSTILE).finish();
    for html in [page(&world, "/").await, page(&world, &format!("/?{query}")).await, asked(&world, "id=").await] {
        assert!(html.contains("&#60;script&#62;alert(1)"), "{html}");
        for text in ["<script>alert", "<img", "\"'>"] {
            assert!(!html.contains(text), "{text}: {html}");
        }
    }
    for answer in [get(&world, "/").await, get(&world, "/?after=x").await, post(&world, "/end", &[]).await] {
        let policy = answer.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"] {
            assert!(policy.split("; ").any(|found| found == part), "{part}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), Some(value));
        }
    }
}

#[tokio::test]
async fn people_are_found_by_any_part_of_what_is_shown() {
    let world = World::start().await;
    for person in ["teacher-1", "teacher-1", "teacher-2", "outsider"] {
        world.signed_in(person).await;
    }
    let people = ["teacher-1", "outsider"].map(|id| world.apple.person(id).unwrap());
    let organization = people[0].organization.clone().unwrap();
    for (words, count) in [
        ("", 4),
        (people[0].email.as_deref().unwrap(), 2),
        (&people[0].subject, 2),
        (&people[1].subject[3..20], 1),
        (&organization, 3),
        ("127.0.0", 4),
        ("no such person", 0),
    ] {
        let query = Serializer::new(String::new()).append_pair("q", words).finish();
        let html = page(&world, &format!("/?{query}")).await;
        let found = fields(&html, "what").iter().filter(|what| what.starts_with("id=")).count();
        assert_eq!(found, count, "{words}: {html}");
    }
}

#[tokio::test]
async fn a_long_list_has_further_pages() {
    let world = World::start().await;
    for _ in 0..53 {
        world.signed_in("teacher-1").await;
        // Nobody signs in so often from one address.
        world.clock.advance(Duration::from_secs(1));
    }
    for words in ["", "127.0.0"] {
        let first = page(&world, &format!("/?q={words}")).await;
        let next = first.split("href=\"").find_map(|rest| rest.split('"').next().filter(|url| url.contains("after=")));
        let second = page(&world, &next.expect("it goes on").replace("&#38;", "&")).await;
        let ids: BTreeSet<_> =
            [first, second].iter().flat_map(|html| fields(html, "what")).filter(|what| what != "all=true").collect();
        assert_eq!(ids.len(), 53, "{words}");
    }
}

#[tokio::test]
async fn sessions_end_after_a_question_and_what_was_done_is_said() {
    let world = World::start().await;
    let mut one = world.signed_in("teacher-1").await;
    let (other, colleague, outsider) =
        (world.signed_in("teacher-1").await, world.signed_in("teacher-2").await, world.signed_in("outsider").await);
    let id = one.fetch(&at("/.schoolgate/me")).await.json()["session_id"].as_str().unwrap().to_owned();
    let confirm = asked(&world, &format!("id={id}")).await;
    for text in ["this session", "all 2 sessions of this person", "everybody of this organization: 3 in all"] {
        assert!(confirm.contains(text), "{text}: {confirm}");
    }
    assert!(is_in(&one).await, "nothing ends before it is confirmed");
    let [this, person, organization] = &fields(&confirm, "what")[..] else { panic!("{confirm}") };
    let permit = field(&confirm, "permit");
    let end = async |what: &str| {
        let answer = post(&world, "/end", &[("permit", &permit), ("what", what), ("q", "a b")]).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        answer.location().to_owned()
    };
    assert_eq!(end(this).await, "/?ended=1&q=a+b");
    assert!(page(&world, "/?ended=1").await.contains("One session has ended."));
    assert_eq!([is_in(&one).await, is_in(&other).await], [false, true]);
    assert_eq!(end(person).await, "/?ended=1&q=a+b");
    assert_eq!([is_in(&other).await, is_in(&colleague).await], [false, true]);
    assert_eq!(end(organization).await, "/?ended=1&q=a+b");
    assert_eq!([is_in(&colleague).await, is_in(&outsider).await], [false, true]);
    let everybody = asked(&world, "all=true").await;
    assert!(everybody.contains("1 in all"), "{everybody}");
    assert_eq!(end(&field(&everybody, "what")).await, "/?ended=1&q=a+b");
    assert!(!is_in(&outsider).await);
    assert!(page(&world, "/").await.contains("Nobody is signed in."));
    // What is gone is not asked about.
    let ask = field(
        &{
            world.signed_in("outsider").await;
            page(&world, "/").await
        },
        "permit",
    );
    let gone = post(&world, "/confirm", &[("permit", &ask), ("what", this), ("q", "")]).await;
    assert_eq!((gone.status, gone.location()), (303, "/?ended=0"));
}

#[tokio::test]
async fn nothing_ends_without_a_form_of_this_page_and_this_process() {
    let (world, elsewhere) = (World::start().await, World::start().await);
    let browser = world.signed_in("teacher-1").await;
    elsewhere.signed_in("teacher-1").await;
    let ask = field(&page(&world, "/").await, "permit");
    let end = field(&asked(&world, "all=true").await, "permit");
    let others = field(&asked(&elsewhere, "all=true").await, "permit");
    assert_ne!(ask, end);
    for permit in ["", "AAAA", &ask, &others, &end[..end.len() - 1]] {
        let answer = post(&world, "/end", &[("permit", permit), ("what", "all=true"), ("q", "")]).await;
        assert_eq!(answer.status, 403, "{permit}");
        assert!(answer.text().contains("Nothing has ended."), "{}", answer.text());
    }
    // The permit alone does not help the page of another site.
    let own = world.admin.to_string();
    let fields = [("permit", &*end), ("what", "all=true"), ("q", "")];
    for headers in [
        vec![("Host", &*own), ("Origin", "https://evil.example")],
        vec![("Host", &*own), ("Origin", "null")],
        vec![("Host", &*own), ("Origin", "http://127.0.0.1:3000"), ("Sec-Fetch-Site", "same-site")],
        vec![("Host", &*own), ("Sec-Fetch-Site", "cross-site")],
        vec![("Host", "evil.example"), ("Origin", "http://evil.example"), ("Sec-Fetch-Site", "same-origin")],
    ] {
        for path in ["/confirm", "/end"] {
            assert_eq!(post_with(&world, path, &fields, &headers).await.status, 403, "{headers:?}");
        }
    }
    for (fields, status) in [
        (vec![("permit", &*end)], 400),
        (vec![("permit", &*end), ("what", "")], 400),
        (vec![("permit", &*end), ("what", "all=false")], 400),
        (vec![("permit", &*end), ("what", "all=true"), ("what", "id=x")], 400),
        (vec![("permit", &*end), ("permit", &*end), ("what", "all=true")], 400),
        (vec![("permit", &*end), ("what", "all=true"), ("more", "1")], 400),
        (vec![("permit", &*end), ("what", "user=a&all=true")], 400),
    ] {
        assert_eq!(post(&world, "/end", &fields).await.status, status, "{fields:?}");
    }
    // Not a form; a form that is too large; not by GET.
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    let plain = Request::new("POST", "/end").header("Host", &own).body("text/plain", body.as_bytes());
    assert_eq!(plain.send(world.admin).await.status, 400);
    let large = "a".repeat(9_000);
    let answer = post(&world, "/end", &[("permit", &end), ("what", "all=true"), ("q", &large)]).await;
    assert_eq!(answer.status, 400);
    let answer = get(&world, &format!("/end?{body}")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert!(is_in(&browser).await);
    assert_eq!(post(&world, "/end", &fields).await.status, 303);
    assert!(!is_in(&browser).await);
}

#[tokio::test]
async fn a_page_of_another_site_cannot_read_it() {
    let world = World::start().await;
    world.signed_in("teacher-1").await;
    let own = world.admin.to_string();
    for headers in [
        vec![("Host", "evil.example")],
        vec![("Host", "evil.example:9180"), ("Sec-Fetch-Site", "same-origin")],
        vec![("Host", &*own), ("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")],
        vec![("Host", &*own), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Dest", "iframe")],
        vec![("Host", &*own), ("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "navigate")],
    ] {
        let request = headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(name, value));
        let answer = request.send(world.admin).await;
        assert_eq!(answer.status, 403, "{headers:?}");
        assert!(!answer.text().contains("permit") && !answer.text().contains("school.example"), "{}", answer.text());
    }
}

#[tokio::test]
async fn over_a_unix_socket_it_is_there_for_who_forwards_a_port_and_for_no_name_that_leads_to_that() {
    let site = Site::start().await;
    let program = site.run(&[]).await;
    program.signed_in("teacher-1").await;
    let socket = site.path("admin.sock");
    let answer = ask(&socket, "GET", "/").await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("End…"), "{}", answer.text());
    let forwarded = support::program::ask_as(&socket, "localhost:9180", "GET", "/").await;
    assert_eq!(forwarded.status, 200);
    for target in ["/", "/sessions"] {
        assert_eq!(support::program::ask_as(&socket, "evil.example:9180", "GET", target).await.status, 403);
    }
}
