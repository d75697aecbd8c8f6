//! What the app hears about the person, and from whom.

use tokio::net::TcpListener;

use crate::{
    front::{Front, Proxy},
    scene::Scene,
    support::{Browser, Connection, Echo, HOST, Request, echo::Seen, world::at},
};

/// What the app believes.
const IDENTITY: [&str; 6] = [
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Access-Token",
    "X-Schoolgate-Organization",
    "X-Schoolgate-Scopes",
    "X-Schoolgate-Assertion",
];

/// What a client says instead.
const LIE: &str = "somebody-else";

/// A name as CGI, WSGI and PHP would read it.
fn folded(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' }).collect()
}

/// Names that an app could take for this one.
fn spellings(name: &str) -> Vec<String> {
    let last = name.rfind('-').unwrap();
    vec![
        name.to_owned(),
        name.to_ascii_uppercase(),
        name.to_ascii_lowercase(),
        name.replace('-', "_"),
        name.replacen('-', "_", 1),
        format!("{}_{}", &name[..last], &name[last + 1..]),
        name.replace('-', "."),
        format!("HTTP_{}", name.replace('-', "_")),
    ]
}

/// What the app could take for one of its headers, each with its value.
fn believed(seen: &Seen, name: &str) -> Vec<String> {
    let wanted = folded(name);
    let same = |other: &str| folded(other).trim_start_matches("HTTP_") == wanted;
    seen.headers.iter().filter(|(other, _)| same(other)).map(|(_, value)| value.clone()).collect()
}

async fn says(browser: &mut Browser, path: &str, headers: &[(&str, &str)]) -> u16 {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(name, value));
    browser.send(&at(path), request, false).await.status
}

pub(crate) async fn nobody_says_who_they_are(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let (mut stranger, mut known) = (scene.browser(), scene.signed_in("administrator").await);
    scene.world.through_apple(&mut known, "/classes", "administrator").await;
    assert_eq!(known.open(&at("/")).await.status, 200);
    let honest = scene.app().last();
    for name in IDENTITY {
        let truth = vec![honest.header(name).unwrap().to_owned()];
        for spelling in spellings(name) {
            let lie: &[_] = &[(&*spelling, LIE), ("Connection", name)];
            for lie in [&lie[..1], lie, &[lie[0], lie[0]]] {
                for path in ["/public/page", "/optional"] {
                    assert_eq!(says(&mut stranger, path, lie).await, 200, "{spelling} {path}");
                    assert_eq!(believed(&scene.app().last(), name), Vec::<String>::new(), "{lie:?} {path}");
                }
                assert_eq!(says(&mut known, "/page", lie).await, 200, "{spelling}");
                assert_eq!(believed(&scene.app().last(), name), truth, "{lie:?}");
            }
            let count = scene.app().count();
            assert_eq!(says(&mut stranger, "/page", &[(&*spelling, LIE)]).await, 401);
            assert_eq!(scene.app().count(), count, "{spelling}");
        }
    }
}

pub(crate) async fn what_the_gateway_does_not_say_the_app_does_not_hear(proxy: &Proxy) {
    // CVE-2026-30851 (Caddy): the client's header survived when the gateway had none.
    let scene = Scene::of(proxy).await;
    let people = scene.world.apple.people();
    let nameless = people.iter().find(|person| person.email.is_none()).unwrap().id.clone();
    let mut pupil = scene.signed_in(&nameless).await;
    for lie in [&[][..], &[("X-Forwarded-Email", "head@school.example")]] {
        assert_eq!(says(&mut pupil, "/page", lie).await, 200);
        let seen = scene.app().last();
        assert_eq!(seen.header("x-forwarded-user"), Some(&*scene.world.subject(&nameless)));
        assert_eq!(believed(&seen, "X-Forwarded-Email"), Vec::<String>::new(), "{lie:?}");
    }
    for path in ["/public/page", "/optional"] {
        assert_eq!(says(&mut scene.browser(), path, &[]).await, 200);
        for name in IDENTITY {
            assert_eq!(believed(&scene.app().last(), name), Vec::<String>::new(), "{path}");
        }
    }
    assert_eq!(says(&mut pupil, "/optional", &[]).await, 200);
    assert!(scene.app().last().header("x-forwarded-user").is_some());
}

pub(crate) async fn the_app_gets_its_cookies_and_not_the_gateways(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.signed_in("teacher-1").await;
    let session = browser.cookie(HOST, "__Host-schoolgate").unwrap();
    assert_eq!(browser.open(&at("/")).await.status, 200);
    assert_eq!(scene.app().last().header("cookie"), None);
    for (before, after, left) in [
        ("", "; theme=dark; PHPSESSID=7", "theme=dark; PHPSESSID=7"),
        ("theme=dark; ", "; PHPSESSID=7", "theme=dark; PHPSESSID=7"),
        ("theme=dark; PHPSESSID=7; ", "", "theme=dark; PHPSESSID=7"),
        ("__Host-schoolgates=x; ", "", "__Host-schoolgates=x"),
        ("theme=\"a b\"; q=a=b; ", "", "theme=\"a b\"; q=a=b"),
    ] {
        let cookies = format!("{before}__Host-schoolgate={session}{after}");
        let answer = scene.send(Request::get("/").header("Cookie", &cookies)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(scene.app().last().header("cookie"), Some(left), "{cookies}");
    }
    scene.send(Request::get("/public/page").header("Cookie", "theme=dark; a=b")).await;
    assert_eq!(scene.app().last().header("cookie"), Some("theme=dark; a=b"));
}

pub(crate) async fn the_answer_to_the_question_is_not_for_browsers(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.signed_in("teacher-1").await;
    let described = [("X-Forwarded-Host", HOST), ("X-Forwarded-Uri", "/"), ("X-Forwarded-Method", "GET")];
    let url = at("/");
    let other = [("X-Original-URL", &*url), ("X-Original-Method", "GET")];
    for path in [
        "/.schoolgate/auth",
        "/.schoolgate/auth?x",
        "/.schoolgate/%61uth",
        "/%2eschoolgate/auth",
        "/.schoolgate//auth",
        "/.schoolgate/./auth",
        "/.schoolgate/me/../auth",
        "/.schoolgate/auth/",
        "/.SCHOOLGATE/auth",
        "/.schoolgate/auth;x",
        "//.schoolgate/auth",
        "/x/../.schoolgate/auth",
    ] {
        for headers in [&[][..], &described, &other] {
            let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(name, value));
            let answer = browser.send(&at("/"), request, false).await;
            assert!(answer.status >= 300, "{path} {answer:?}");
            for name in IDENTITY {
                assert_eq!(answer.header(name), None, "{path}");
            }
            if path == "/.schoolgate/auth" {
                assert_eq!((answer.status, answer.header("x-request-id")), (404, None), "the gateway was asked");
            }
        }
    }
    assert_eq!(scene.app().count(), 0);
}

pub(crate) async fn a_yes_after_a_no_is_not_for_browsers(proxy: &Proxy) {
    let (gateway, app) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Echo::start().await);
    let front = Front::start(proxy, gateway.local_addr().unwrap(), app.address);
    // Says no, then yes: somebody has just signed in, or the store is back.
    tokio::spawn(async move {
        for count in 0.. {
            let mut asked = Connection::over(gateway.accept().await.unwrap().0);
            asked.until("\r\n\r\n").await;
            let identity = IDENTITY.map(|name| format!("{name}: teacher\r\n")).concat();
            let (status, identity) = if count % 2 == 0 { ("401 No", "") } else { ("200 Yes", &*identity) };
            let answer = format!("HTTP/1.1 {status}\r\n{identity}Connection: close\r\nContent-Length: 0\r\n\r\n");
            asked.write(answer.as_bytes()).await;
        }
    });
    let answer = Request::get("/grades").header("Host", HOST).send(front.address).await;
    for name in IDENTITY {
        assert_eq!(answer.header(name), None);
    }
    assert_eq!(app.count(), 0);
}
