//! A form that comes after its session has died is kept for the one who wrote it, and for nobody else, and is sent once.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{sync::Arc, time::Duration};

use schoolgate::{
    clock::SystemClock,
    session::{LONGEST_NOTE, Lifetimes, MemoryStore, NoteName, Store, Swap},
};
use support::{
    Answer, Browser, Connection, District, HOST, Program, RawApp, Request, Site, World,
    echo::Seen,
    program::ask,
    redis::Server,
    world::{at, at_apple},
};

const KEEP: &[(&str, &str)] = &[("app", "keep_forms = true")];
const FORM: &str = "application/x-www-form-urlencoded";
const TEACHER: &str = "teacher-1";

/// What a browser says of a form on a page of the app.
fn post(target: &str) -> Request {
    let request = Request::new("POST", target).navigation().header("Sec-Fetch-Site", "same-origin");
    request.header("Origin", &format!("https://{HOST}")).header("Referer", &at("/write?x=1"))
}

async fn school() -> World {
    World::with(KEEP).await
}

/// A browser whose session an administrator has just ended.
async fn signed_out(world: &World, person: &str) -> Browser {
    let browser = world.signed_in(person).await;
    end_sessions(world).await;
    world.echo.forget();
    browser
}

async fn end_sessions(world: &World) {
    let request = Request::new("DELETE", "/sessions?all=true").header("Host", &world.admin.to_string());
    let answer = request.send(world.admin).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Names of the receipts that a browser has.
fn receipts(browser: &Browser) -> Vec<String> {
    let names = browser.cookie_names(HOST).into_iter();
    names.filter(|name| name.starts_with("__Host-schoolgate-form-")).collect()
}

/// Sends a form that must lead to the sign-in, as ever.
async fn sends(browser: &mut Browser, request: Request) -> Answer {
    let url = at(request.target());
    let answer = browser.send(&url, request, false).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer
}

/// Signs in on the way that an answer leads, and opens the page at its end.
async fn comes_back(browser: &mut Browser, answer: &Answer, person: &str) -> Answer {
    let callback = at_apple(answer.location(), person).await;
    let answer = browser.open(&callback).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let url = at(answer.location());
    browser.open(&url).await
}

/// Signs in at the start page.
async fn signs_in(browser: &mut Browser, person: &str) {
    let answer = browser.open(&at("/.schoolgate/sign-in?return_to=/start")).await;
    let callback = at_apple(answer.location(), person).await;
    assert_eq!(browser.open(&callback).await.status, 303);
}

fn is_offer(answer: &Answer) -> bool {
    answer.status == 200 && answer.text().contains("<h1>Your form was kept</h1>")
}

/// What the button of an offer says.
fn button(offer: &Answer, word: &str) -> String {
    assert!(is_offer(offer), "{offer:?}");
    let html = offer.text();
    let start = format!("value=\"{word}.");
    let rest = html.split_once(&start).unwrap_or_else(|| panic!("{html}")).1;
    format!("{word}.{}", rest.split('"').next().unwrap())
}

/// The click on a button, as a browser sends it from a page without referrer.
fn click(target: &str, value: &str) -> Request {
    let request = Request::new("POST", target).navigation().header("Sec-Fetch-Site", "same-origin");
    request.header("Origin", "null").form(&[("schoolgate-form", value)])
}

async fn presses(browser: &mut Browser, target: &str, value: &str) -> Answer {
    browser.send(&at(target), click(target, value), false).await
}

/// What the app got by POST.
fn posts(world: &World) -> Vec<Seen> {
    world.echo.seen().into_iter().filter(|seen| seen.method == "POST").collect()
}

/// The whole way of one form; what the app got.
async fn goes_through(world: &World, request: Request, target: &str) -> Seen {
    let mut browser = signed_out(world, TEACHER).await;
    let answer = sends(&mut browser, request).await;
    let offer = comes_back(&mut browser, &answer, TEACHER).await;
    assert_eq!(posts(world).len(), 0, "nothing is sent without a click");
    let answer = presses(&mut browser, target, &button(&offer, "send")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut posts = posts(world);
    assert_eq!(posts.len(), 1);
    posts.remove(0)
}

/// A form that must not be kept: no receipt, and no offer after the sign-in.
async fn is_not_kept(world: &World, browser: &mut Browser, request: Request) {
    let before = receipts(browser);
    let answer = sends(browser, request).await;
    assert_eq!(receipts(browser), before);
    let answer = comes_back(browser, &answer, TEACHER).await;
    assert!(!is_offer(&answer), "{answer:?}");
    assert_eq!(posts(world).len(), 0);
}

/// A multipart body with a text in an old encoding and a file with every byte there is.
fn homework() -> (&'static str, Vec<u8>) {
    let mut body = b"------B0und\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nGr\xfc\xdfe\r\n\
        ------B0und\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\xe4.bin\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n"
        .to_vec();
    body.extend((0..300_000_u32).map(|number| (number % 256) as u8));
    body.extend_from_slice(b"\r\n------B0und--\r\n");
    ("multipart/form-data; boundary=----B0und", body)
}

#[tokio::test]
async fn a_form_is_offered_after_the_sign_in_and_one_click_sends_it_as_it_was() {
    let world = school().await;
    let seen =
        goes_through(&world, post("/save?id=7").form(&[("essay", "Grüße & more"), ("a", "b")]), "/save?id=7").await;
    assert_eq!((seen.target.as_str(), &*seen.bytes), ("/save?id=7", &b"essay=Gr%C3%BC%C3%9Fe+%26+more&a=b"[..]));
    let header = |name: &'static str| seen.header(name).map(ToOwned::to_owned);
    assert_eq!(header("content-type").as_deref(), Some(FORM));
    assert_eq!(header("content-length"), Some(seen.bytes.len().to_string()));
    assert_eq!(header("transfer-encoding"), None);
    assert_eq!(header("origin"), Some(format!("https://{HOST}")));
    assert_eq!(header("referer"), Some(at("/write?x=1")));
    assert_eq!(header("x-forwarded-user"), Some(world.subject(TEACHER)));
    assert_eq!(header("cookie"), None, "a receipt never goes to the app");
}

#[tokio::test]
async fn files_and_old_encodings_come_through_byte_for_byte() {
    let world = school().await;
    let (content_type, body) = homework();
    let seen = goes_through(&world, post("/upload").body(content_type, body.clone()), "/upload").await;
    assert_eq!(seen.header("content-type"), Some(content_type));
    assert!(seen.bytes == body, "{} bytes of {}", seen.bytes.len(), body.len());
    world.echo.forget();
    let latin = b"name=Gr\xfc\xdfe&x=%FC".to_vec();
    let seen = goes_through(
        &world,
        post("/x").body("application/x-www-form-urlencoded; charset=ISO-8859-1", latin.clone()),
        "/x",
    )
    .await;
    assert_eq!(&*seen.bytes, &*latin);
}

#[tokio::test]
async fn a_form_may_have_a_mebibyte_and_not_a_byte_more() {
    let world = school().await;
    let body = vec![b'x'; 1 << 20];
    let seen = goes_through(&world, post("/x").body(FORM, body.clone()), "/x").await;
    assert!(seen.bytes == body);
    world.echo.forget();
    let mut browser = signed_out(&world, TEACHER).await;
    is_not_kept(&world, &mut browser, post("/x").body(FORM, vec![b'x'; (1 << 20) + 1])).await;
}

#[tokio::test]
async fn a_form_in_chunks_is_kept_too_and_arrives_with_its_length() {
    let world = school().await;
    for (pieces, is_kept) in [(3, true), (17, false)] {
        let mut browser = signed_out(&world, TEACHER).await;
        let session = browser.cookie(HOST, "__Host-schoolgate").unwrap();
        let piece = vec![b'y'; 1 << 16];
        let mut bytes = post("/chunks")
            .header("Host", HOST)
            .header("Content-Type", FORM)
            .header("Cookie", &format!("__Host-schoolgate={session}"))
            .header("Transfer-Encoding", "chunked")
            .head_bytes();
        for _ in 0..pieces {
            bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            bytes.extend_from_slice(&piece);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        let mut connection = Connection::open(world.address).await;
        connection.write(&bytes).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        for line in answer.all("set-cookie") {
            browser.set_by(&at("/chunks"), line);
        }
        assert_eq!(receipts(&browser).len(), usize::from(is_kept), "{pieces}");
        let page = comes_back(&mut browser, &answer, TEACHER).await;
        assert_eq!(is_offer(&page), is_kept);
        if is_kept {
            assert_eq!(presses(&mut browser, "/chunks", &button(&page, "send")).await.status, 200);
            let seen = world.echo.last();
            assert_eq!((seen.body, seen.header("transfer-encoding")), (pieces << 16, None));
            assert_eq!(seen.header("content-length"), Some(&*(pieces << 16).to_string()));
        }
        world.echo.forget();
    }
}

#[tokio::test]
async fn a_form_without_fields_is_sent_without_a_body() {
    let world = school().await;
    let seen = goes_through(&world, post("/delete/7").body(FORM, ""), "/delete/7").await;
    assert_eq!((seen.body, seen.header("content-length")), (0, Some("0")));
}

/// mod_auth_openidc crashed on it.
#[tokio::test]
async fn cve_2025_3891_a_post_without_a_body_and_without_a_type_is_no_form() {
    let world = school().await;
    let mut browser = signed_out(&world, TEACHER).await;
    is_not_kept(&world, &mut browser, post("/x")).await;
    for content_type in
        ["", ";", "multipart/form-data", "multipart/form-data; boundary=", "text/plain", "application/json"]
    {
        let mut browser = signed_out(&world, TEACHER).await;
        is_not_kept(&world, &mut browser, post("/x").body(content_type, "")).await;
    }
}

/// mod_auth_openidc wrote what came with the request into a script.
#[tokio::test]
async fn cve_2021_32792_nothing_of_a_request_becomes_markup_of_the_offer() {
    let world = school().await;
    let target = "/a'%22%3E%3Cscript%3Ealert(1)%3C/script%3E?x='%22%3E%3Cscript%3Ealert(2)%3C/script%3E";
    let mut browser = signed_out(&world, TEACHER).await;
    let hostile = "'\"></form><script>alert(3)</script>";
    let answer = sends(&mut browser, post(target).form(&[(hostile, hostile)])).await;
    let offer = comes_back(&mut browser, &answer, TEACHER).await;
    let html = offer.text();
    assert!(is_offer(&offer) && !html.contains("<script") && !html.contains("alert(3)"), "{html}");
    assert!(!html.contains("/a'") && !html.contains("?x="), "{html}");
    let policy = offer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(offer.header("cache-control"), Some("no-store"));
    assert_eq!(presses(&mut browser, target, &button(&offer, "send")).await.status, 200);
    assert_eq!(posts(&world)[0].target, target);
}

#[tokio::test]
async fn after_ten_minutes_there_is_nothing_left() {
    let world = school().await;
    for (seconds, is_there) in [(599, true), (600, false)] {
        let mut browser = signed_out(&world, TEACHER).await;
        sends(&mut browser, post("/x").form(&[("a", "b")])).await;
        world.clock.advance(Duration::from_secs(seconds));
        signs_in(&mut browser, TEACHER).await;
        assert_eq!(is_offer(&browser.open(&at("/x")).await), is_there, "{seconds}");
    }
    // Offered in time, pressed too late.
    let mut browser = signed_out(&world, TEACHER).await;
    let answer = sends(&mut browser, post("/y").form(&[("a", "b")])).await;
    let offer = comes_back(&mut browser, &answer, TEACHER).await;
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(presses(&mut browser, "/y", &button(&offer, "send")).await.status, 410);
    assert_eq!(posts(&world).len(), 0);
}

#[tokio::test]
async fn another_person_never_gets_it_and_ends_it_without_a_word() {
    let world = school().await;
    // What is known of the old session: a record that ended by itself; nothing but marks.
    for ends_by_itself in [true, false] {
        let mut browser = world.signed_in("pupil-1").await;
        match ends_by_itself {
            true => world.clock.advance(Duration::from_secs(9 * 3600)),
            false => end_sessions(&world).await,
        }
        world.echo.forget();
        let answer = sends(&mut browser, post("/diary").form(&[("dear", "diary")])).await;
        let receipt = browser.clone();
        assert_eq!(receipts(&browser).len(), 1);
        let page = comes_back(&mut browser, &answer, "pupil-12").await;
        assert_eq!((page.status, page.text().as_str()), (200, "seen 0"), "{ends_by_itself}");
        assert_eq!(receipts(&browser), Vec::<String>::new(), "{ends_by_itself}");
        // Not even its own person, with the receipt, finds it now.
        let mut own = receipt;
        signs_in(&mut own, "pupil-1").await;
        assert!(!is_offer(&own.open(&at("/diary")).await));
        assert_eq!(posts(&world).len(), 0);
    }
}

#[tokio::test]
async fn another_person_who_is_asked_for_a_permission_gets_nothing_either() {
    let world = school().await;
    let mut browser = world.signed_in("teacher-1").await;
    world.echo.forget();
    let answer = sends(&mut browser, post("/classes/new").form(&[("name", "7b")])).await;
    assert_eq!(receipts(&browser).len(), 1);
    let page = comes_back(&mut browser, &answer, "administrator").await;
    assert_eq!((page.status, page.text().as_str()), (200, "seen 0"));
    assert_eq!(receipts(&browser), Vec::<String>::new());
    assert_eq!(posts(&world).len(), 0);
}

#[tokio::test]
async fn another_person_cannot_press_the_button_either() {
    let world = school().await;
    let mut browser = signed_out(&world, "pupil-1").await;
    let answer = sends(&mut browser, post("/diary").form(&[("dear", "diary")])).await;
    let offer = comes_back(&mut browser, &answer, "pupil-1").await;
    let button = button(&offer, "send");
    // In a second tab somebody else signs in, and nothing is opened in between.
    end_sessions(&world).await;
    signs_in(&mut browser, "pupil-12").await;
    assert_eq!(presses(&mut browser, "/diary", &button).await.status, 410);
    assert_eq!(posts(&world).len(), 0);
}

#[tokio::test]
async fn another_browser_of_the_same_person_never_gets_it() {
    let world = school().await;
    let mut browser = signed_out(&world, TEACHER).await;
    let answer = sends(&mut browser, post("/x").form(&[("a", "b")])).await;
    let mut other = world.signed_in(TEACHER).await;
    assert!(!is_offer(&other.open(&at("/x")).await));
    let offer = comes_back(&mut browser, &answer, TEACHER).await;
    let button = button(&offer, "send");
    assert_eq!(presses(&mut other, "/x", &button).await.status, 410);
    assert_eq!(posts(&world).len(), 0);
    assert_eq!(presses(&mut browser, "/x", &button).await.status, 200);
}

#[tokio::test]
async fn a_form_is_sent_once_however_often_somebody_clicks() {
    let world = school().await;
    let mut browser = signed_out(&world, TEACHER).await;
    let answer = sends(&mut browser, post("/x").form(&[("a", "b")])).await;
    let button = button(&comes_back(&mut browser, &answer, TEACHER).await, "send");
    let clicks: Vec<_> = (0..20)
        .map(|_| {
            let (mut browser, button) = (browser.clone(), button.clone());
            tokio::spawn(async move { presses(&mut browser, "/x", &button).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for click in clicks {
        statuses.push(click.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200], vec![409; 19]].concat());
    assert_eq!(posts(&world).len(), 1);
    let reloaded = presses(&mut browser, "/x", &button).await;
    assert!(reloaded.status == 409 && reloaded.text().contains("Your form has been sent"), "{reloaded:?}");
    assert_eq!(browser.open(&at("/x")).await.text(), "seen 0", "and it is not offered again");
    assert_eq!(posts(&world).len(), 1);
}

#[tokio::test]
async fn a_form_that_is_thrown_away_is_gone_and_its_page_opens() {
    let world = school().await;
    let mut browser = signed_out(&world, TEACHER).await;
    let answer = sends(&mut browser, post("/x?y=z").form(&[("a", "b")])).await;
    let offer = comes_back(&mut browser, &answer, TEACHER).await;
    let answer = presses(&mut browser, "/x?y=z", &button(&offer, "drop")).await;
    assert_eq!((answer.status, answer.location()), (303, "/x?y=z"));
    assert_eq!(receipts(&browser), Vec::<String>::new());
    assert_eq!(browser.open(&at("/x?y=z")).await.text(), "seen 0");
    assert_eq!(presses(&mut browser, "/x?y=z", &button(&offer, "send")).await.status, 410);
    assert_eq!(posts(&world).len(), 0);
}

#[tokio::test]
async fn whoever_signs_out_on_purpose_leaves_no_form_behind() {
    for way in ["/.schoolgate/sign-out", "/logout.php"] {
        let world = World::with(&[("app", "keep_forms = true\nsign_out_paths = [\"/logout.php\"]")]).await;
        let mut browser = signed_out(&world, TEACHER).await;
        sends(&mut browser, post("/x").form(&[("a", "b")])).await;
        let mut kept = browser.clone();
        signs_in(&mut browser, TEACHER).await;
        assert!(is_offer(&browser.clone().open(&at("/x")).await));
        browser.open(&at(way)).await;
        assert_eq!(receipts(&browser), Vec::<String>::new(), "{way}");
        signs_in(&mut kept, TEACHER).await;
        assert!(!is_offer(&kept.open(&at("/x")).await), "{way}: the note is gone too");
        // Nor is the wish to leave kept and offered.
        end_sessions(&world).await;
        let answer = kept.send(&at("/logout.php"), post("/logout.php").form(&[("out", "1")]), false).await;
        assert_eq!(answer.status, 303);
        assert_eq!(receipts(&kept), Vec::<String>::new(), "{way}");
    }
}

#[tokio::test]
async fn strangers_keep_nothing() {
    let world = school().await;
    let mut stranger = world.browser();
    is_not_kept(&world, &mut stranger, post("/x").form(&[("a", "b")])).await;
    // A cookie that never was a session, in the form of one, and two of them.
    for value in ["x", &"A".repeat(43)] {
        let mut stranger = world.browser();
        stranger.set_cookie(HOST, "__Host-schoolgate", value);
        is_not_kept(&world, &mut stranger, post("/x").form(&[("a", "b")])).await;
    }
    let browser = signed_out(&world, TEACHER).await;
    let real = browser.cookie(HOST, "__Host-schoolgate").unwrap();
    let planted = format!("__Host-schoolgate={real}; __Host-schoolgate={}", "A".repeat(43));
    let request = post("/x").header("Host", HOST).header("Cookie", &planted).form(&[("a", "b")]);
    let answer = request.send(world.address).await;
    assert_eq!(answer.status, 303);
    assert!(!answer.all("set-cookie").any(|line| line.contains("schoolgate-form-")), "{answer:?}");
}

#[tokio::test]
async fn a_form_of_another_site_is_never_kept_for_a_click_of_its_victim() {
    let world = school().await;
    let browser = signed_out(&world, TEACHER).await;
    let (site, origin) = ("Sec-Fetch-Site", "Origin");
    let ours = &*format!("https://{HOST}");
    for fields in [
        &[(site, "cross-site"), (origin, "https://evil.example")][..],
        // Another host of the same domain: there the session cookie does come.
        &[(site, "same-site"), (origin, "https://evil.school.example")],
        &[(site, "same-site"), (origin, "null")],
        &[(site, "same-origin"), (origin, "https://evil.school.example")],
        &[(origin, "https://evil.school.example")],
        &[(origin, "null")],
        &[],
    ] {
        // A browser that sends the cookie with everything, as some once did, keeps nothing either.
        for sends_no_lax_cookie in [true, false] {
            let mut browser = browser.clone();
            let form = Request::new("POST", "/grades").navigation().form(&[("grade", "1")]);
            let form = fields.iter().fold(form, |form, (name, value)| form.header(name, value));
            let answer = browser.send(&at("/grades"), form, sends_no_lax_cookie).await;
            assert_eq!(answer.status, 303, "{answer:?}");
            assert_eq!(receipts(&browser), Vec::<String>::new(), "{fields:?}");
        }
    }
    let mut browser = browser;
    sends(&mut browser, Request::new("POST", "/grades").navigation().header(origin, ours).form(&[("grade", "1")]))
        .await;
    assert_eq!(receipts(&browser).len(), 1, "the same from a page of this host is kept");
}

#[tokio::test]
async fn a_form_waits_when_apple_posts_the_browser_back() {
    let world = World::with(&[KEEP, &[("apple", "response_mode = \"form_post\"")]].concat()).await;
    let mut browser = world.browser();
    let posted_back = async |browser: &mut Browser, authorize: &str| {
        let [code, state] = world.posted_by_apple(authorize).await;
        let callback =
            Request::new("POST", "/.schoolgate/callback").navigation().header("Sec-Fetch-Site", "cross-site");
        let callback = callback.form(&[("code", &code), ("state", &state)]);
        let answer = browser.send(&at("/.schoolgate/callback"), callback, true).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        browser.open(&at(answer.location())).await
    };
    let answer = browser.open(&at("/start")).await;
    posted_back(&mut browser, answer.location()).await;
    end_sessions(&world).await;
    let answer = sends(&mut browser, post("/x").form(&[("a", "b")])).await;
    let offer = posted_back(&mut browser, answer.location()).await;
    assert_eq!(presses(&mut browser, "/x", &button(&offer, "send")).await.status, 200);
    assert_eq!(&*world.echo.last().bytes, b"a=b");
}

#[tokio::test]
async fn another_site_cannot_press_the_button() {
    let world = school().await;
    let mut browser = signed_out(&world, TEACHER).await;
    let answer = sends(&mut browser, post("/x").form(&[("a", "b")])).await;
    let button = button(&comes_back(&mut browser, &answer, TEACHER).await, "send");
    let (word_and_id, token) = button.rsplit_once('.').unwrap();
    // Without the token, which no other page can know.
    let guess = format!("{word_and_id}.{}", "A".repeat(token.len()));
    assert_eq!(presses(&mut browser, "/x", &guess).await.status, 410);
    // With it, and by way of another page, a frame or a script.
    let request = |fields: &[(&str, &str)]| {
        let start = Request::new("POST", "/x").form(&[("schoolgate-form", &button)]);
        fields.iter().fold(start, |request, (name, value)| request.header(name, value))
    };
    let navigate = ("Sec-Fetch-Mode", "navigate");
    for fields in [
        &[navigate, ("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Site", "cross-site")][..],
        &[navigate, ("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")],
        &[("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-Site", "same-origin")],
        &[("Accept", "text/html"), ("Origin", "https://evil.example")],
    ] {
        assert_eq!(browser.send(&at("/x"), request(fields), false).await.status, 410, "{fields:?}");
    }
    // Nor at another address.
    assert_eq!(presses(&mut browser, "/y", &button).await.status, 410);
    assert_eq!(presses(&mut browser, "/x?y", &button).await.status, 410);
    assert_eq!(posts(&world).len(), 0);
    assert_eq!(presses(&mut browser, "/x", &button).await.status, 200);
}

#[tokio::test]
async fn a_post_of_the_app_that_looks_like_a_click_goes_on_to_the_app_or_is_kept() {
    let world = school().await;
    let mut browser = world.signed_in(TEACHER).await;
    let body = "x".repeat(81);
    assert_eq!(browser.send(&at("/x"), post("/x").body(FORM, body.clone()), false).await.status, 200);
    assert_eq!(&*world.echo.last().bytes, body.as_bytes());
    world.echo.forget();
    let seen = goes_through(&world, post("/x").body(FORM, body.clone()), "/x").await;
    assert_eq!(&*seen.bytes, body.as_bytes());
}

#[tokio::test]
async fn the_rules_judge_the_form_when_it_is_sent() {
    let world = World::with(&[("app", "keep_forms = true\nmax_body = \"100B\"")]).await;
    // Nobody but one may post here, and who comes back is not that one.
    let mut browser = signed_out(&world, TEACHER).await;
    let answer = sends(&mut browser, post("/staff/x").form(&[("a", "b")])).await;
    let offer = comes_back(&mut browser, &answer, TEACHER).await;
    let answer = presses(&mut browser, "/staff/x", &button(&offer, "send")).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.text().contains("This page is not for your account"), "{}", answer.text());
    // Larger than the app takes.
    let mut browser = signed_out(&world, TEACHER).await;
    let answer = sends(&mut browser, post("/x").body(FORM, "x".repeat(101))).await;
    let offer = comes_back(&mut browser, &answer, TEACHER).await;
    assert_eq!(presses(&mut browser, "/x", &button(&offer, "send")).await.status, 413);
    // Signed out once more: the sign-in comes first, and the form still waits behind it.
    let mut browser = signed_out(&world, TEACHER).await;
    let answer = sends(&mut browser, post("/x").form(&[("a", "b")])).await;
    let offer = comes_back(&mut browser, &answer, TEACHER).await;
    end_sessions(&world).await;
    let answer = presses(&mut browser, "/x", &button(&offer, "send")).await;
    assert_eq!((answer.status, receipts(&browser).len()), (303, 1), "the click itself is no form to keep");
    assert_eq!(posts(&world).len(), 0);
    let offer = comes_back(&mut browser, &answer, TEACHER).await;
    assert_eq!(presses(&mut browser, "/x", &button(&offer, "send")).await.status, 200);
    assert_eq!(&*world.echo.last().bytes, b"a=b");
}

#[tokio::test]
async fn a_form_that_needs_one_more_permission_waits_for_it() {
    let world = school().await;
    let mut browser = world.signed_in("administrator").await;
    world.echo.forget();
    let answer = sends(&mut browser, post("/classes/new").form(&[("name", "7b")])).await;
    let offer = comes_back(&mut browser, &answer, "administrator").await;
    assert_eq!(presses(&mut browser, "/classes/new", &button(&offer, "send")).await.status, 200);
    let seen = world.echo.last();
    assert_eq!(
        (&*seen.bytes, seen.header("x-schoolgate-scopes").unwrap().contains("edu.classes.read")),
        (&b"name=7b"[..], true)
    );
}

#[tokio::test]
async fn whatever_ended_the_session_the_form_is_kept() {
    let world = World::with(&[("app", "keep_forms = true"), ("session", "max_lifetime = \"12h\"")]).await;
    for away in [8 * 3600, 30 * 3600] {
        let mut browser = world.signed_in(TEACHER).await;
        world.clock.advance(Duration::from_secs(away));
        // What has ended by itself is swept from time to time; then only marks tell that it has lived.
        world.clock.advance(Duration::from_secs(301));
        tokio::task::yield_now().await;
        world.echo.forget();
        let answer = sends(&mut browser, post("/x").form(&[("a", "b")])).await;
        let offer = comes_back(&mut browser, &answer, TEACHER).await;
        assert_eq!(presses(&mut browser, "/x", &button(&offer, "send")).await.status, 200, "{away}");
        assert_eq!(&*world.echo.last().bytes, b"a=b");
    }
}

#[tokio::test]
async fn what_is_no_form_of_a_page_in_a_tab_is_answered_as_ever() {
    let world = school().await;
    let mut browser = signed_out(&world, TEACHER).await;
    let script = Request::new("POST", "/x").header("Sec-Fetch-Mode", "cors").header("Sec-Fetch-Dest", "empty");
    let frame = Request::new("POST", "/x").header("Sec-Fetch-Mode", "navigate").header("Sec-Fetch-Dest", "iframe");
    for request in [script, frame] {
        let request = request.header("Sec-Fetch-Site", "same-origin").form(&[("a", "b")]);
        assert_eq!(browser.send(&at("/x"), request, false).await.status, 401);
    }
    let put = Request::new("PUT", "/x").navigation().header("Sec-Fetch-Site", "same-origin").form(&[("a", "b")]);
    assert_eq!(browser.send(&at("/x"), put, false).await.status, 303);
    assert_eq!(receipts(&browser), Vec::<String>::new());
}

#[tokio::test]
async fn three_forms_are_kept_of_one_session_and_the_oldest_makes_room() {
    let world = school().await;
    let mut browser = signed_out(&world, TEACHER).await;
    let session = browser.clone();
    for number in 0..4 {
        let target = format!("/{number}");
        sends(&mut browser, post(&target).form(&[("number", &*number.to_string())])).await;
        world.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(receipts(&browser).len(), 3);
    // A program that throws its receipts away has no more of them for that.
    let mut program = session;
    let answer = program.send(&at("/x"), post("/x").form(&[("a", "b")]), false).await;
    assert!(!answer.all("set-cookie").any(|line| line.contains("schoolgate-form-")), "{answer:?}");
    signs_in(&mut browser, TEACHER).await;
    for number in 0..4 {
        let target = format!("/{number}");
        let page = browser.open(&at(&target)).await;
        assert_eq!(is_offer(&page), number > 0, "{number}");
        if number > 0 {
            assert_eq!(presses(&mut browser, &target, &button(&page, "send")).await.status, 200);
        }
    }
    let bodies: Vec<_> = posts(&world).iter().map(|seen| String::from_utf8_lossy(&seen.bytes).into_owned()).collect();
    assert_eq!(bodies, ["number=1", "number=2", "number=3"]);
}

#[tokio::test]
async fn nobody_has_more_forms_for_having_more_sessions() {
    let world = school().await;
    let mut kept = 0;
    for _ in 0..3 {
        let mut browser = world.signed_in("administrator").await;
        for number in 0..2 {
            let target = format!("/classes/{number}");
            sends(&mut browser, post(&target).form(&[("a", "b")])).await;
        }
        kept += receipts(&browser).len();
    }
    assert_eq!(kept, 3);
    // Whoever has left: the cookie of that session, played again, keeps nothing.
    let mut browser = world.signed_in(TEACHER).await;
    let mut replayed = browser.clone();
    browser.open(&at("/.schoolgate/sign-out")).await;
    sends(&mut replayed, post("/x").form(&[("a", "b")])).await;
    assert_eq!(receipts(&replayed), Vec::<String>::new());
}

#[tokio::test]
async fn an_address_too_long_for_a_cookie_is_found_again_by_its_path() {
    let world = school().await;
    let target = format!("/long?{}", "x".repeat(3000));
    let mut browser = signed_out(&world, TEACHER).await;
    let answer = sends(&mut browser, post(&target).form(&[("a", "b")])).await;
    let offer = comes_back(&mut browser, &answer, TEACHER).await;
    assert_eq!(presses(&mut browser, "/long", &button(&offer, "send")).await.status, 200);
    assert_eq!(world.echo.last().target, target);
}

#[tokio::test]
async fn without_the_key_nothing_is_kept_and_nothing_is_shown() {
    let world = World::start().await;
    let mut browser = signed_out(&world, TEACHER).await;
    is_not_kept(&world, &mut browser, post("/x").form(&[("a", "b")])).await;
    let value = format!("send.{}.{}", "A".repeat(16), "A".repeat(43));
    assert_eq!(presses(&mut browser, "/x", &value).await.status, 200, "it is the app's");
}

#[tokio::test]
async fn when_the_app_cannot_be_reached_the_form_waits_for_another_click() {
    let app = RawApp::start().await;
    let address = app.address;
    let world = World::before(&address.to_string(), KEEP).await;
    let mut browser = signed_out(&world, TEACHER).await;
    let answer = sends(&mut browser, post("/x").form(&[("a", "b")])).await;
    let offer = comes_back(&mut browser, &answer, TEACHER).await;
    let button = button(&offer, "send");
    drop(app);
    for _ in 0..3 {
        assert_eq!(presses(&mut browser, "/x", &button).await.status, 502);
    }
    assert!(is_offer(&browser.open(&at("/x")).await));
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let serving = tokio::spawn(async move {
        let mut connection = Connection::over(listener.accept().await.unwrap().0);
        let head = connection.until("\r\n\r\n").await;
        let body = connection.until("a=b").await;
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
        (head, body)
    });
    assert_eq!(presses(&mut browser, "/x", &button).await.text(), "done");
    let (head, body) = serving.await.unwrap();
    assert!(head.starts_with("POST /x HTTP/1.1\r\n") && body == "a=b", "{head}{body}");
}

#[tokio::test]
async fn a_form_that_the_app_may_have_seen_is_not_sent_again() {
    let app = RawApp::start().await;
    let world = World::before(&app.address.to_string(), KEEP).await;
    let mut browser = signed_out(&world, TEACHER).await;
    let answer = sends(&mut browser, post("/x").form(&[("a", "b")])).await;
    let offer = comes_back(&mut browser, &answer, TEACHER).await;
    let button = button(&offer, "send");
    let clicking = tokio::spawn({
        let (mut browser, button) = (browser.clone(), button.clone());
        async move { presses(&mut browser, "/x", &button).await.status }
    });
    let (mut connection, _) = app.request().await;
    connection.until("a=b").await;
    drop(connection);
    assert_eq!(clicking.await.unwrap(), 502);
    assert_eq!(presses(&mut browser, "/x", &button).await.status, 409);
    assert!(app.is_left_alone().await);
}

#[tokio::test]
async fn a_full_store_keeps_no_form_and_the_sign_in_goes_on() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let lifetimes = Lifetimes { idle_timeout: hours(8), max_lifetime: hours(24) };
    let store = Arc::new(MemoryStore::new(lifetimes, Arc::new(SystemClock)));
    let echo = support::Echo::start().await;
    let world = World::before_with_store(&echo.address.to_string(), KEEP, Arc::<MemoryStore>::clone(&store)).await;
    let mut browser = signed_out(&world, TEACHER).await;
    let big = vec![0; LONGEST_NOTE];
    for number in 0.. {
        let name = NoteName::of("filler", &number.to_string());
        if store.swap_note(&name, None, Some(&big), hours(1)).await.unwrap() == Swap::Full {
            break;
        }
    }
    is_not_kept(&world, &mut browser, post("/x").body(FORM, vec![b'x'; 1 << 20])).await;
    assert_eq!(echo.last().target, "/x");
}

#[tokio::test]
async fn a_restart_loses_no_form() {
    let site = Site::start().await;
    let text = site.configuration(KEEP).replace("store = \"memory\"", "store = \"file\"");
    let start = async || -> Program {
        let mut program = site.spawn(&text);
        program.started().await;
        program
    };
    let program = start().await;
    let mut browser = program.signed_in(TEACHER).await;
    let answer = ask(&site.path("admin.sock"), "DELETE", "/sessions?all=true").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (content_type, body) = homework();
    sends(&mut browser, post("/upload").body(content_type, body.clone())).await;
    program.logged("form_kept").await;
    let log = program.log();
    program.kill().await;
    let program = start().await;
    browser.move_to(program.address());
    signs_in(&mut browser, TEACHER).await;
    let offer = browser.open(&at("/upload")).await;
    let button = button(&offer, "send");
    assert_eq!(presses(&mut browser, "/upload", &button).await.status, 200);
    assert!(site.echo.last().bytes == body);
    assert_eq!(presses(&mut browser, "/upload", &button).await.status, 409);
    program.logged("event=\"form_sent\"").await;
    let log = format!("{log}{}", program.log());
    for event in ["form_kept", "form_offered", "form_sent"] {
        assert!(log.contains(event), "{event}: {log}");
    }
    let token = button.rsplit('.').next().unwrap();
    assert!(!log.contains("form-data; name") && !log.contains(token) && !log.contains("B0und"), "{log}");
    for name in receipts(&browser) {
        assert!(!log.contains(&browser.cookie(HOST, &name).unwrap()), "{log}");
    }
    let folder = site.path("state");
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        let found = bytes.windows(9).any(|window| window == b"form-data");
        assert!(!found, "what was written is in the clear on the disk");
    }
}

#[tokio::test]
async fn a_form_that_one_gateway_has_kept_is_offered_and_sent_once_by_another() {
    let site = Site::start().await;
    let district = District::new(&site, Server::start());
    let (one, two) = (district.start(&site, 1, KEEP).await, district.start(&site, 2, KEEP).await);
    let mut browser = one.signed_in(TEACHER).await;
    let answer = ask(&site.path("admin-2.sock"), "DELETE", "/sessions?all=true").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let body = vec![b'x'; 1 << 20];
    let answer = sends(&mut browser, post("/x").body(FORM, body.clone())).await;
    browser.move_to(two.address());
    let offer = comes_back(&mut browser, &answer, TEACHER).await;
    let button = button(&offer, "send");
    let mut there = browser.clone();
    there.move_to(one.address());
    let (here, there) = tokio::join!(presses(&mut browser, "/x", &button), presses(&mut there, "/x", &button));
    let mut statuses = [here.status, there.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert!(site.echo.last().bytes == body);
}

#[tokio::test]
async fn on_another_host_the_form_waits_at_that_host() {
    const GRADES: &str = "grades.school.example";
    let app =
        "[[app]]\nname = \"grades\"\nhost = \"grades.school.example\"\nupstream = \"http://@APP@\"\nkeep_forms = true";
    let world = World::with(&[("app", "keep_forms = true"), ("routes", app)]).await;
    let mut browser = world.browser();
    let url = format!("https://{GRADES}/enter?class=7b");
    world.walk(&mut browser, &url, TEACHER).await;
    end_sessions(&world).await;
    world.echo.forget();
    let form = Request::new("POST", "/enter?class=7b").navigation().header("Sec-Fetch-Site", "same-origin");
    let form = form.header("Origin", &format!("https://{GRADES}")).form(&[("grade", "2")]);
    let answer = browser.send(&url, form, false).await;
    assert_eq!(answer.status, 303);
    assert!(receipts(&browser).is_empty(), "nothing at the home");
    let (way, offer) = world.walk(&mut browser, answer.location(), TEACHER).await;
    assert_eq!(way.last(), Some(&url));
    let value = button(&offer, "send");
    // The receipt and the button, carried to another host, are worth nothing there.
    let name = browser.cookie_names(GRADES).into_iter().find(|name| name.contains("-form-")).unwrap();
    let mut thief = browser.clone();
    thief.set_cookie(HOST, &name, &browser.cookie(GRADES, &name).unwrap());
    assert!(!is_offer(&thief.open(&at("/enter?class=7b")).await));
    assert_eq!(presses(&mut thief, "/enter?class=7b", &value).await.status, 410);
    let answer = browser.send(&url, click("/enter?class=7b", &value), false).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = posts(&world).remove(0);
    assert_eq!((&*seen.bytes, seen.header("x-forwarded-host")), (&b"grade=2"[..], Some(GRADES)));
    assert_eq!(posts(&world).len(), 1);
}
