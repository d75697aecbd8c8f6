//! Real apps that know nothing of single sign-on, unmodified from PyPI: a person who signs in is that
//! person in the app, and a stranger's forged header is nobody.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod legacy {
    pub(crate) mod snake;
}
mod support;

use legacy::snake::Snake;
use support::{Answer, Browser, HOST, Request, World, world::at};

/// A second host of the same app where nobody needs to sign in: here only the gateway's stripping stands
/// between a stranger and the app.
const OPEN: &str = "open.school.example";

/// Every way known to us of telling an app that one is somebody else. `@` is whom one wants to be.
const FORGERIES: &[&[(&str, &str)]] = &[
    &[("X-Remote-User", "@")],
    &[("x-remote-user", "@")],
    &[("X_Remote_User", "@")],
    &[("X.Remote.User", "@")],
    &[("X-Remote_User", "@")],
    &[("HTTP_X_REMOTE_USER", "@")],
    &[("HTTP-X-Remote-User", "@")],
    &[("Remote-User", "@")],
    &[("REMOTE_USER", "@")],
    &[("HTTP_REMOTE_USER", "@")],
    &[("Remote.User", "@")],
    &[("X-Remote-User", "@"), ("X-Remote-User", "@")],
    &[("X-Remote-User", ""), ("X_Remote_User", "@")],
    &[("Remote-User", "@"), ("Remote_User", "@")],
    &[("Connection", "X-Remote-User"), ("X-Remote-User", "@")],
    &[("Connection", "Remote-User, close"), ("Remote-User", "@")],
    &[("Connection", "X-Remote-User")],
    &[("Connection", "Remote-User")],
    &[("X-Forwarded-User", "@"), ("X-Auth-Request-User", "@")],
    &[("Authorization", "Basic QDpA")],
];

fn forged(request: Request, forgery: &[(&str, &str)], victim: &str) -> Request {
    forgery.iter().fold(request, |request, (name, value)| request.header(name, &value.replace('@', victim)))
}

/// A gateway before an app that gets `header` with the person's address.
async fn gateway(app: &Snake, header: &str) -> World {
    let upstream = app.address.to_string();
    let open = format!(
        "[[app]]\nname = \"open\"\nhost = \"{OPEN}\"\nupstream = \"http://{upstream}\"\n\
         headers = {{ {header} = \"{{email}}\" }}\n[[app.route]]\npath = \"/\"\naccess = \"public\""
    );
    World::before(&upstream, &[("app", &format!("headers = {{ {header} = \"{{email}}\" }}")), ("routes", &open)]).await
}

fn address(world: &World, person: &str) -> String {
    world.apple.person(person).unwrap().email.clone().unwrap()
}

const WHO_AM_I: &str = "<propfind xmlns=\"DAV:\"><prop><current-user-principal/></prop></propfind>";

fn who_am_i() -> Request {
    Request::new("PROPFIND", "/").header("Depth", "0").body("application/xml", WHO_AM_I)
}

fn event(title: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//schoolgate//tests//EN\r\nBEGIN:VEVENT\r\nUID:event-1\r\n\
         DTSTAMP:20261121T100000Z\r\nDTSTART:20261121T100000Z\r\nSUMMARY:{title}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

/// A request of a person for a path of the app.
async fn ask(browser: &mut Browser, method: &str, path: &str, body: Option<(&str, &str)>) -> Answer {
    let request = Request::new(method, path).header("Depth", "1");
    let request = match body {
        Some((content_type, text)) => request.body(content_type, text),
        None => request,
    };
    browser.send(&at(path), request, false).await
}

#[tokio::test]
async fn in_radicale_everybody_has_the_calendars_of_the_person_who_signed_in_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let radicale = Snake::radicale(folder.path()).await;
    let world = gateway(&radicale, "X-Remote-User").await;
    let (teacher, pupil) = (address(&world, "teacher-1"), address(&world, "pupil-7"));
    let mut tilda = world.signed_in("teacher-1").await;
    let mut lark = world.signed_in("pupil-7").await;

    let (home, calendar) = (format!("/{teacher}/"), format!("/{teacher}/lessons/"));
    assert_eq!(ask(&mut tilda, "MKCALENDAR", &calendar, None).await.status, 201);
    let path = format!("{calendar}event-1.ics");
    let text = event("Marks of class 7");
    assert_eq!(ask(&mut tilda, "PUT", &path, Some(("text/calendar", &text))).await.status, 201);
    let answer = ask(&mut tilda, "GET", &path, None).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("Marks of class 7"));
    // What a client keeps is still good: the tag passes both ways.
    let tag = answer.header("etag").unwrap().to_owned();
    let again = Request::get(&path).header("If-None-Match", &tag);
    assert!(matches!(tilda.send(&at(&path), again, false).await.status, 200 | 304));
    let changed = Request::new("PUT", &path).header("If-Match", "\"other\"").body("text/calendar", event("x"));
    assert_eq!(tilda.send(&at(&path), changed, false).await.status, 412);
    let listed = ask(&mut tilda, "PROPFIND", &home, None).await;
    assert_eq!(listed.status, 207);
    assert!(listed.text().contains("/lessons/"), "{}", listed.text());

    for (method, path) in [("GET", &path), ("PROPFIND", &home), ("DELETE", &calendar), ("PROPFIND", &calendar)] {
        let answer = ask(&mut lark, method, path, None).await;
        assert_eq!(answer.status, 403, "{method}");
        assert!(!answer.text().contains("Marks"), "{}", answer.text());
    }
    let put = ask(&mut lark, "PUT", &path, Some(("text/calendar", &event("changed")))).await;
    assert_eq!(put.status, 403);
    assert_eq!(ask(&mut lark, "MKCALENDAR", &format!("/{pupil}/homework/"), None).await.status, 201);
    assert!(ask(&mut tilda, "GET", &path, None).await.text().contains("Marks of class 7"));

    // Whoever signs out is nobody any more.
    tilda.open(&at("/.schoolgate/sign-out")).await;
    assert_eq!(ask(&mut tilda, "GET", &path, None).await.status, 401);
}

#[tokio::test]
async fn in_radicale_a_forged_header_makes_nobody_somebody() {
    let folder = tempfile::tempdir().unwrap();
    let radicale = Snake::radicale(folder.path()).await;
    let world = gateway(&radicale, "X-Remote-User").await;
    let (victim, pupil) = (address(&world, "teacher-1"), address(&world, "pupil-7"));
    let mut lark = world.signed_in("pupil-7").await;
    let principal = |who: &str| format!("<href>/{}/</href>", who.replace('@', "%40"));

    let mut worked = 0;
    for forgery in FORGERIES {
        // What would happen without us: some of these do work.
        let direct = forged(who_am_i().header("Host", HOST), forgery, &victim).send(radicale.address).await;
        worked += usize::from(direct.text().contains(&principal(&victim)));

        let stranger = world.send(forged(who_am_i().header("Host", OPEN), forgery, &victim)).await;
        assert!(matches!(stranger.status, 400 | 403), "{forgery:?}: {}", stranger.status);
        assert!(!stranger.text().contains("<href>"), "{forgery:?}: {}", stranger.text());
        let stranger = world.send(forged(who_am_i(), forgery, &victim)).await;
        assert!(matches!(stranger.status, 400 | 401), "{forgery:?}: {}", stranger.status);

        let answer = lark.send(&at("/"), forged(who_am_i(), forgery, &victim), false).await;
        assert!(!answer.text().contains(&principal(&victim)), "{forgery:?}: {}", answer.text());
        assert!(
            answer.status == 400 || (answer.status == 207 && answer.text().contains(&principal(&pupil))),
            "{forgery:?}: {} {}",
            answer.status,
            answer.text()
        );
    }
    assert!(worked >= 5, "only {worked} of the forgeries would work without the gateway");
}

#[tokio::test]
async fn in_radicale_who_has_no_address_is_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let radicale = Snake::radicale(folder.path()).await;
    let world = gateway(&radicale, "X-Remote-User").await;
    assert_eq!(world.apple.person("pupil-1").unwrap().email, None);
    let mut pip = world.signed_in("pupil-1").await;
    assert_eq!(pip.send(&at("/"), who_am_i(), false).await.status, 403);
    // With a value of one's own neither.
    let request = forged(who_am_i(), &[("X_Remote_User", "@")], &address(&world, "teacher-1"));
    assert_eq!(pip.send(&at("/"), request, false).await.status, 403);
}

#[tokio::test]
async fn in_django_the_person_is_the_user_and_forms_and_sessions_work() {
    let folder = tempfile::tempdir().unwrap();
    let django = Snake::django(folder.path(), HOST).await;
    let world = gateway(&django, "Remote-User").await;
    let (teacher, pupil) = (address(&world, "teacher-1"), address(&world, "pupil-7"));
    let mut browser = world.signed_in("teacher-1").await;
    assert_eq!(browser.open(&at("/public/users")).await.text(), "", "nobody has been there");
    assert_eq!(browser.open(&at("/")).await.text(), format!("You are {teacher}."));
    let session = browser.cookie(HOST, "sessionid").expect("Django has begun a session");
    assert_eq!(browser.open(&at("/")).await.text(), format!("You are {teacher}."));
    assert_eq!(browser.cookie(HOST, "sessionid"), Some(session.clone()), "one session for all requests");
    assert_eq!(browser.open(&at("/users")).await.text(), teacher, "Django has made the user");

    // A form with Django's own protection against forged ones.
    let form = browser.open(&at("/note")).await.text();
    let token = form.rsplit_once("token=").unwrap().1.to_owned();
    let post = |origin: &str, token: &str| {
        let fields = [("note", "Homework: none"), ("csrfmiddlewaretoken", token)];
        Request::new("POST", "/note").navigation().header("Origin", origin).form(&fields)
    };
    let own = format!("https://{HOST}");
    let answer = browser.send(&at("/note"), post(&own, &token), false).await;
    assert_eq!((answer.status, answer.location()), (302, "/note"), "{}", answer.text());
    assert!(browser.open(&at("/note")).await.text().contains("note=Homework: none"));
    for request in [post("https://evil.example", &token), post(&own, "")] {
        assert_eq!(browser.send(&at("/note"), request, false).await.status, 403);
    }

    // Somebody else at the same machine, where Django's cookie is still there.
    browser.open(&at("/.schoolgate/sign-out")).await;
    assert_eq!(browser.cookie(HOST, "sessionid"), Some(session.clone()));
    assert_eq!(browser.fetch(&at("/")).await.status, 401);
    let answer = world.through_apple(&mut browser, "/", "pupil-7").await;
    assert_eq!(answer.status, 303);
    assert_eq!(browser.open(&at("/")).await.text(), format!("You are {pupil}."));
    assert!(browser.open(&at("/note")).await.text().starts_with("note= "), "the teacher's note is gone");
    assert_ne!(browser.cookie(HOST, "sessionid"), Some(session));
}

#[tokio::test]
async fn in_django_a_forged_header_makes_nobody_somebody() {
    let folder = tempfile::tempdir().unwrap();
    let django = Snake::django(folder.path(), HOST).await;
    let world = gateway(&django, "Remote-User").await;
    let (victim, pupil) = (address(&world, "teacher-1"), address(&world, "pupil-7"));
    let mut lark = world.signed_in("pupil-7").await;
    for forgery in FORGERIES {
        for path in ["/public/x", "/optional/x", "/x"] {
            let answer = world.send(forged(Request::get(path), forgery, &victim)).await;
            let fine = match answer.status {
                200 => path != "/x" && answer.text() == "You are nobody.",
                400 => true,
                401 => path == "/x",
                _ => false,
            };
            assert!(fine, "{forgery:?} {path}: {} {}", answer.status, answer.text());
        }
        for path in ["/x", "/optional/x"] {
            let answer = lark.send(&at(path), forged(Request::get(path), forgery, &victim), false).await;
            let fine = answer.status == 400 || answer.text() == format!("You are {pupil}.");
            assert!(fine, "{forgery:?} {path}: {} {}", answer.status, answer.text());
        }
    }
    // Django makes a user of every name that it believes. It has believed one.
    assert_eq!(world.send(Request::get("/public/users")).await.text(), pupil);
    // Without the gateway the first forgery would have done.
    let direct = forged(Request::get("/").header("Host", HOST), &[("Remote-User", "@")], &victim);
    assert_eq!(direct.send(django.address).await.text(), format!("You are {victim}."));
}
