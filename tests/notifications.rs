//! Apple's notifications: what Apple says ends sessions, once, and nothing that anybody else says does.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use schoolgate::demo::{Endpoint, Envelope, EventsClaim, Forgery, Notice, Service, Trouble};
use serde_json::{Value, json};
use support::{Answer, Browser, Connection, HOST, Request, World, world::at};

const PATH: &str = "/.schoolgate/notifications";
const CLIENT: &str = "org.example.school.gateway";
const DAY: Duration = Duration::from_secs(86_400);

fn subject(world: &World, person: &str) -> String {
    world.apple.person(person).unwrap().subject.clone()
}

fn organization(world: &World) -> String {
    world.apple.person("teacher-1").unwrap().organization.clone().unwrap()
}

/// A notification of the organization service.
fn written(world: &World, notice: &Notice) -> String {
    world.apple.notification(Service::Organization, CLIENT, notice)
}

async fn post(world: &World, body: impl Into<Vec<u8>>) -> Answer {
    world.send(Request::new("POST", PATH).body("application/json", body)).await
}

/// Posts a true notification, which is taken.
async fn tell(world: &World, notice: &Notice) {
    let answer = post(world, written(world, notice)).await;
    assert_eq!(answer.status, 200, "{notice:?}: {}", answer.text());
}

/// An answer to what is no notification: a problem document, and nothing more.
fn assert_refused(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 400, "{what}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    assert_eq!(answer.json()["status"], 400, "{what}");
    assert_eq!((answer.header("location"), answer.header("set-cookie")), (None, None), "{what}");
}

async fn lives(browser: &Browser) -> bool {
    let mut browser = browser.clone();
    let (page, me) = (browser.fetch(&at("/no-token")).await.status, browser.fetch(&at("/.schoolgate/me")).await.status);
    assert_eq!(page, me, "one of the two is wrong");
    assert!(matches!(me, 200 | 401), "{me}");
    me == 200
}

#[tokio::test]
async fn whoever_takes_the_consent_back_is_signed_out_at_the_next_request_and_nobody_else_is() {
    let world = World::start().await;
    let (one, again) = (world.signed_in("teacher-1").await, world.signed_in("teacher-1").await);
    let other = world.signed_in("teacher-2").await;
    let answer = post(&world, written(&world, &Notice::ConsentRevoked(subject(&world, "teacher-1")))).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!((answer.header("location"), answer.header("set-cookie")), (None, None));
    assert!(!lives(&one).await && !lives(&again).await);
    assert!(lives(&other).await);
    assert_eq!(world.apple.calls().count(Endpoint::Revoke), 0, "Apple has taken the grant back already");
}

#[tokio::test]
async fn an_account_that_is_gone_under_either_name_is_signed_out() {
    for notice in [Notice::AccountDeleted, Notice::AccountDeletedNewly] {
        let world = World::start().await;
        let (gone, other) = (world.signed_in("outsider").await, world.signed_in("teacher-1").await);
        tell(&world, &notice(subject(&world, "outsider"))).await;
        assert!(!lives(&gone).await && lives(&other).await);
    }
}

#[tokio::test]
async fn an_organization_that_takes_the_consent_back_is_signed_out_whole() {
    for named in [false, true] {
        let world = World::start().await;
        let mut school = Vec::new();
        for person in ["administrator", "teacher-1", "pupil-1"] {
            school.push(world.signed_in(person).await);
        }
        let outsider = world.signed_in("outsider").await;
        let by = subject(&world, "administrator");
        tell(&world, &if named { Notice::OrganizationRevokedBy(by) } else { Notice::OrganizationRevoked }).await;
        for browser in &school {
            assert!(!lives(browser).await, "named: {named}");
        }
        assert!(lives(&outsider).await, "named: {named}");
    }
}

#[tokio::test]
async fn one_deleted_account_does_not_sign_its_school_out() {
    let world = World::start().await;
    let (gone, other) = (world.signed_in("pupil-1").await, world.signed_in("pupil-2").await);
    let event = json!({ "type": "account-deleted", "sub": subject(&world, "pupil-1"), "org_id": organization(&world) });
    tell(&world, &Notice::Anything(json!([event]))).await;
    assert!(!lives(&gone).await && lives(&other).await);
}

#[tokio::test]
async fn with_sign_in_with_apple_a_consent_is_the_persons_own() {
    let world = World::with(&[("service", "sign-in")]).await;
    let (one, other) = (world.signed_in("pupil-1").await, world.signed_in("pupil-2").await);
    let (subject, organization) = (subject(&world, "pupil-1"), organization(&world));
    let event = json!({ "type": "consent-revoked", "sub": subject, "org_id": organization });
    // As Apple writes it there: one event, as a text.
    let notice = Notice::Anything(json!(event.to_string()));
    let of_other_service = written(&world, &notice);
    assert_refused(&post(&world, of_other_service).await, "the other service's issuer");
    assert!(lives(&one).await);
    let answer = post(&world, world.apple.notification(Service::SignIn, CLIENT, &notice)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!lives(&one).await && lives(&other).await);
    let notice = Notice::Anything(json!({ "type": "consent-revoked", "org_id": organization }));
    assert_eq!(post(&world, world.apple.notification(Service::SignIn, CLIENT, &notice)).await.status, 200);
    assert!(!lives(&other).await, "nobody is named but the school");
}

#[tokio::test]
async fn further_issuers_are_those_of_the_configuration() {
    let issuers = r#"issuers = ["https://appleid.apple.com", "https://appleid.apple.com/auth/oauth2/v2"]"#;
    let world = World::with(&[("service", "sign-in"), ("apple", issuers)]).await;
    let browser = world.signed_in("teacher-1").await;
    // The sharing of the school's data, which an administrator took back.
    tell(&world, &Notice::OrganizationRevokedBy(subject(&world, "administrator"))).await;
    assert!(!lives(&browser).await);

    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    let notice = Notice::ConsentRevoked(subject(&world, "teacher-1"));
    let answer = post(&world, world.apple.notification(Service::SignIn, CLIENT, &notice)).await;
    assert_eq!(answer.status, 200, "an issuer of ID tokens by default: {}", answer.text());
    assert!(!lives(&browser).await);
}

#[tokio::test]
async fn every_envelope_and_every_way_to_write_events_is_understood() {
    let world = World::start().await;
    for envelope in [Envelope::Json, Envelope::Form, Envelope::Bare] {
        for events in [EventsClaim::List, EventsClaim::Object, EventsClaim::Text, EventsClaim::ListText] {
            world.apple.switches().change(|behaviour| (behaviour.envelope, behaviour.events) = (envelope, events));
            for kind in ["application/json", "application/x-www-form-urlencoded", "application/jose", "text/plain", ""]
            {
                // So many sign-ins a second and no more.
                world.clock.advance(Duration::from_secs(1));
                let browser = world.signed_in("teacher-1").await;
                let body = written(&world, &Notice::ConsentRevoked(subject(&world, "teacher-1")));
                let answer = world.send(Request::new("POST", PATH).body(kind, body)).await;
                assert_eq!(answer.status, 200, "{envelope:?} {events:?} {kind}: {}", answer.text());
                assert!(!lives(&browser).await, "{envelope:?} {events:?} {kind}");
            }
        }
    }
}

#[tokio::test]
async fn mail_settings_and_what_is_unknown_or_names_nobody_is_acknowledged_and_ends_nothing() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    let (sub, org_id) = (subject(&world, "teacher-1"), organization(&world));
    for notice in [
        Notice::EmailDisabled(sub.clone()),
        Notice::EmailEnabled(sub.clone()),
        Notice::Anything(json!([])),
        Notice::Anything(json!({})),
        Notice::Anything(json!([7, null, "consent-revoked", []])),
        Notice::Anything(json!({ "type": "consent-revoked" })),
        Notice::Anything(json!({ "type": "consent-revoked", "sub": 7, "org_id": "" })),
        Notice::Anything(json!({ "type": "consent-revoked", "sub": "somebody-else" })),
        Notice::Anything(json!({ "type": "consent-granted", "sub": sub, "org_id": org_id })),
        Notice::Anything(json!({ "type": "Consent-Revoked", "sub": sub })),
        Notice::Anything(json!({ "type": ["consent-revoked"], "sub": sub })),
        Notice::Anything(json!({ "sub": sub, "org_id": org_id })),
    ] {
        tell(&world, &notice).await;
        assert!(lives(&browser).await, "{notice:?}");
    }
}

#[tokio::test]
async fn of_several_events_those_that_are_understood_count() {
    let world = World::start().await;
    let (one, two) = (world.signed_in("teacher-1").await, world.signed_in("teacher-2").await);
    let three = world.signed_in("teacher-3").await;
    let revoked = |person| json!({ "type": "consent-revoked", "sub": subject(&world, person) });
    let garbled = json!({ "type": "consent-revoked", "sub": subject(&world, "teacher-2"), "org_id": ["x"] });
    tell(&world, &Notice::Anything(json!([7, revoked("teacher-1"), { "type": "new" }, garbled]))).await;
    assert!(!lives(&one).await && !lives(&two).await);
    assert!(lives(&three).await);
}

#[tokio::test]
async fn no_forgery_ends_a_session() {
    let world = World::start().await;
    let browser = world.signed_in("administrator").await;
    let notice = Notice::OrganizationRevokedBy(subject(&world, "administrator"));
    let forgeries: Vec<_> = Forgery::ALL.iter().filter(|forgery| forgery.fits_a_notification()).collect();
    assert!(forgeries.len() > 50, "{}", forgeries.len());
    for forgery in forgeries {
        world.apple.switches().change(|behaviour| behaviour.forgery = Some(*forgery));
        // An unknown key may be asked for again.
        world.clock.advance(Duration::from_secs(31));
        for envelope in [Envelope::Json, Envelope::Form, Envelope::Bare] {
            world.apple.switches().change(|behaviour| behaviour.envelope = envelope);
            let answer = post(&world, written(&world, &notice)).await;
            if *forgery == Forgery::KidHuge {
                assert_eq!(answer.status, 413, "{envelope:?}: {}", answer.text());
            } else {
                assert_refused(&answer, &format!("{forgery:?} {envelope:?}"));
            }
        }
        assert!(lives(&browser).await, "{forgery:?}");
    }
    world.apple.switches().reset();
    tell(&world, &notice).await;
    assert!(!lives(&browser).await, "the true one beside them");
}

#[tokio::test]
async fn a_notification_for_another_client_and_one_without_events_are_refused() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    let notice = Notice::ConsentRevoked(subject(&world, "teacher-1"));
    let other = world.apple.notification(Service::Organization, "org.example.other", &notice);
    assert_refused(&post(&world, other).await, "another client");
    for missing in [json!(null), json!(7), json!("nonsense"), json!("7"), json!(true), json!("\"[]\"")] {
        let answer = post(&world, written(&world, &Notice::Anything(missing.clone()))).await;
        assert_refused(&answer, &format!("events: {missing}"));
    }
    assert!(lives(&browser).await);
}

/// Issuer, audience, dates and signature are right.
#[tokio::test]
async fn an_id_token_is_no_notification() {
    let world = World::with(&[("app", "headers = { X-Id = \"{id_token}\" }")]).await;
    let mut browser = world.signed_in("teacher-1").await;
    assert_eq!(browser.open(&at("/")).await.status, 200);
    let token = world.echo.last().header("x-id").unwrap().to_owned();
    assert_eq!(token.split('.').count(), 3);
    for body in [json!({ "payload": token }).to_string(), format!("payload={token}"), token] {
        assert_refused(&post(&world, body).await, "an ID token");
    }
    assert!(lives(&browser).await);
}

#[tokio::test]
async fn a_repeated_notification_does_not_end_the_next_session() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    let body = written(&world, &Notice::ConsentRevoked(subject(&world, "teacher-1")));
    assert_eq!(post(&world, body.clone()).await.status, 200);
    assert!(!lives(&browser).await);
    let mut again = world.signed_in("teacher-1").await;
    for hours in [0, 1, 6, 6, 6] {
        world.clock.advance(Duration::from_secs(hours * 3600));
        assert_eq!(post(&world, body.clone()).await.status, 200, "Apple need not come again");
        assert!(lives(&again).await);
    }
    // In another envelope it is the same one.
    let token: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(post(&world, token["payload"].as_str().unwrap()).await.status, 200);
    assert!(lives(&again).await);
    // A new one is another one.
    tell(&world, &Notice::ConsentRevoked(subject(&world, "teacher-1"))).await;
    assert_eq!(again.fetch(&at("/.schoolgate/me")).await.status, 401);
}

#[tokio::test]
async fn two_deliveries_at_once_are_both_acknowledged_and_count_once() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    let body = written(&world, &Notice::ConsentRevoked(subject(&world, "teacher-1")));
    let (first, second) = tokio::join!(post(&world, body.clone()), post(&world, body.clone()));
    assert_eq!((first.status, second.status), (200, 200));
    assert!(!lives(&browser).await);
    let again = world.signed_in("teacher-1").await;
    assert_eq!(post(&world, body).await.status, 200);
    assert!(lives(&again).await);
}

#[tokio::test]
async fn news_of_yesterday_is_taken_and_older_news_is_not() {
    for (late, status) in [
        (DAY - Duration::from_secs(1), 200),
        (DAY + Duration::from_secs(59), 200),
        (DAY + Duration::from_secs(60), 400),
        (DAY * 30, 400),
    ] {
        let world = World::start().await;
        let body = written(&world, &Notice::ConsentRevoked(subject(&world, "teacher-1")));
        world.clock.advance(late);
        let browser = world.signed_in("teacher-1").await;
        let answer = post(&world, body).await;
        assert_eq!(answer.status, status, "{late:?}: {}", answer.text());
        assert_eq!(lives(&browser).await, status == 400, "{late:?}");
    }
}

#[tokio::test]
async fn a_new_key_of_apples_is_fetched_and_a_made_up_one_makes_for_one_fetch() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    let notice = Notice::ConsentRevoked(subject(&world, "teacher-1"));
    let fetched = || world.apple.calls().count(Endpoint::Keys);
    let before = fetched();
    world.apple.switches().change(|behaviour| behaviour.forgery = Some(Forgery::UnknownKid));
    for _ in 0..100 {
        assert_refused(&post(&world, written(&world, &notice)).await, "a made-up key");
    }
    assert_eq!(fetched(), before + 1);
    world.apple.switches().reset();
    world.clock.advance(Duration::from_secs(31));
    world.apple.rotate_keys();
    assert!(lives(&browser).await);
    tell(&world, &notice).await;
    assert_eq!(fetched(), before + 2);
    assert!(!lives(&browser).await);
    // All old keys are gone.
    world.clock.advance(Duration::from_secs(31));
    let old = written(&world, &notice);
    world.apple.replace_keys();
    world.clock.advance(Duration::from_secs(3601));
    let browser = world.signed_in("teacher-1").await;
    assert_refused(&post(&world, old).await, "a key that Apple has withdrawn");
    assert!(lives(&browser).await);
}

#[tokio::test]
async fn without_apples_keys_the_answer_is_503_and_the_next_try_counts() {
    let never_kept = "keys_max_age = \"0s\"\nkeys_max_stale = \"0s\"\nkeys_min_interval = \"0s\"";
    let world = World::with(&[("apple", never_kept)]).await;
    let browser = world.signed_in("teacher-1").await;
    let body = written(&world, &Notice::ConsentRevoked(subject(&world, "teacher-1")));
    for trouble in [Trouble::Status(500), Trouble::Html, Trouble::LoseAnswer] {
        world.apple.switches().trouble(Endpoint::Keys, trouble.clone());
        let answer = post(&world, body.clone()).await;
        assert_eq!(answer.status, 503, "{trouble:?}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
        assert!(lives(&browser).await);
    }
    world.apple.switches().heal(Endpoint::Keys);
    assert_eq!(post(&world, body).await.status, 200);
    assert!(!lives(&browser).await);
}

#[tokio::test]
async fn rubbish_is_refused_in_one_way_whatever_it_is_and_whoever_asks() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let calls = world.apple.calls().count(Endpoint::Keys);
    let bodies: [&[u8]; 14] = [
        b"",
        b" ",
        b"{}",
        b"[]",
        b"null",
        b"{\"payload\":null}",
        b"{\"payload\":\"\"}",
        b"{\"payload\":\"a.b.c\"}",
        b"{\"payload\":\"a.b.c\",\"payload\":\"d.e.f\"}",
        b"{\"payload\":",
        b"payload=a.b.c",
        b"payload=a&payload=b",
        b"<html>",
        b"\xff\xfe\0\0",
    ];
    for body in bodies {
        let what = String::from_utf8_lossy(body).into_owned();
        assert_refused(&post(&world, body).await, &what);
        let request = Request::new("POST", PATH).body("application/json", body).navigation();
        let answer = browser.send(&at(PATH), request, false).await;
        assert_refused(&answer, &format!("a navigation: {what}"));
    }
    assert_eq!(world.apple.calls().count(Endpoint::Keys), calls, "not worth a call");
    assert!(lives(&browser).await);
}

#[tokio::test]
async fn a_body_of_64_kib_is_read_and_a_longer_one_is_not() {
    let world = World::start().await;
    let most = 64 * 1024;
    assert_refused(&post(&world, vec![b'a'; most]).await, "64 KiB");
    for body in [vec![b'a'; most + 1], vec![b'a'; 1024 * 1024]] {
        let answer = post(&world, body).await;
        assert_eq!(answer.status, 413, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    // The white space around a true one counts too, and does no harm.
    let browser = world.signed_in("teacher-1").await;
    let body = written(&world, &Notice::ConsentRevoked(subject(&world, "teacher-1")));
    let padded = format!("{body}{}", " ".repeat(most - body.len()));
    assert_eq!(post(&world, padded).await.status, 200);
    assert!(!lives(&browser).await);
}

#[tokio::test]
async fn a_body_in_chunks_is_a_body() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    let body = written(&world, &Notice::ConsentRevoked(subject(&world, "teacher-1")));
    let (start, end) = body.split_at(100);
    let mut connection = Connection::open(world.address).await;
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.write(format!("{head}{:x}\r\n{start}\r\n", start.len()).as_bytes()).await;
    connection.write(format!("{:x}\r\n{end}\r\n0\r\n\r\n", end.len()).as_bytes()).await;
    assert_eq!(connection.answer().await.status, 200);
    assert!(!lives(&browser).await);
    // The connection goes on.
    connection.write(format!("GET /public HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await;
    assert_eq!(connection.answer().await.status, 200);
}

#[tokio::test]
async fn it_is_there_for_posts_on_every_host_that_is_served_and_reaches_no_app() {
    let apps = "[[app]]\nname = \"second\"\nhost = \"second.school.example\"\nupstream = \"http://127.0.0.1:9\"\n\
                [[app.route]]\npath = \"/\"\naccess = \"public\"";
    let world = World::with(&[("routes", apps)]).await;
    let browser = world.signed_in("teacher-1").await;
    world.echo.forget();
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = world.send(Request::new(method, PATH)).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    let body = written(&world, &Notice::ConsentRevoked(subject(&world, "teacher-1")));
    let to = |host: &str, path: &str| {
        world.send(Request::new("POST", path).header("Host", host).body("application/json", body.clone()))
    };
    assert_eq!(to("other.school.example", PATH).await.status, 421);
    for path in ["/.schoolgate/notifications/", "/.schoolgate/Notifications", "/.schoolgate/notification"] {
        assert_eq!(to(HOST, path).await.status, 404, "{path}");
    }
    assert!(lives(&browser).await);
    world.echo.forget();
    assert_eq!(to("second.school.example", PATH).await.status, 200);
    assert_eq!(world.echo.count(), 0);
    assert!(!lives(&browser).await);
}

#[tokio::test]
async fn the_stand_in_delivers_by_itself_as_apple_would() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    let body = written(&world, &Notice::OrganizationRevoked);
    let send = |body| world.apple.send_notification(world.address, HOST, body);
    assert_eq!(send("{}").await.unwrap(), 400);
    assert!(lives(&browser).await);
    assert_eq!(send(&body).await.unwrap(), 200);
    assert!(!lives(&browser).await);
}
