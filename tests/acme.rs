//! Certificates from an authority that speaks ACME, and really looks whether a name is ours.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use support::{HOST, Pebble, Program, Request, Site, pebble::free, program::ask};

/// A gateway that orders its certificate, with both ports known before.
async fn spawn(site: &Site, tls: &str) -> Program {
    let mut program = site.spawn(tls);
    program.started().await;
    program
}

fn configuration(site: &Site, pebble: &Pebble, listen: &str, redirect: Option<&str>) -> String {
    let redirect = redirect.map(|at| format!("redirect_http_listen = [\"{at}\"]\n")).unwrap_or_default();
    let section = format!("[server.tls]\n{redirect}{}", pebble.section());
    site.configuration(&[("server", &section)]).replacen("127.0.0.1:0", listen, 1)
}

/// What `/readyz` says: the status, and what is missing.
async fn ready(site: &Site) -> (u16, Value) {
    let answer = ask(&site.path("admin.sock"), "GET", "/readyz").await;
    let report: Value = serde_json::from_slice(&answer.body).unwrap();
    (answer.status, report["missing"].clone())
}

#[tokio::test]
async fn a_certificate_is_ordered_by_a_handshake_and_kept() {
    let (listen, site) = (free(), Site::start().await);
    let pebble = Pebble::start(listen, free()).await;
    let text = configuration(&site, &pebble, &listen.to_string(), None);
    let program = spawn(&site, &text).await;
    program.logged("certificate_taken").await;
    let client = pebble.client().await;
    let shown = client.shown(program.address(), HOST).await.expect("a certificate of the authority");
    let mut connection = client.open(program.address(), HOST).await;
    assert_eq!(Request::get("/public").header("Host", HOST).send_over(&mut connection).await.status, 200);
    let mode = |name: &str| std::fs::metadata(site.path("state/acme").join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("certificate.pem"), mode("")), (0o600, 0o700));
    assert!(!program.log().contains("PRIVATE KEY"));
    program.terminate().await;
    assert!(program.ended().await.0.success());
    // It needs no other at the next start.
    let program = spawn(&site, &text).await;
    assert_eq!(client.shown(program.address(), HOST).await, Some(shown));
    assert!(!program.log().contains("acme_order"), "{}", program.log());
}

#[tokio::test]
async fn the_second_try_is_over_plain_http() {
    let (listen, redirect, site) = (free(), free(), Site::start().await);
    // Nobody answers where it looks for the handshake.
    let pebble = Pebble::start(free(), redirect).await;
    let text = configuration(&site, &pebble, &listen.to_string(), Some(&redirect.to_string()));
    let program = spawn(&site, &text).await;
    program.logged("acme_failed").await;
    assert_eq!(
        ready(&site).await,
        (503, json!(["a certificate: none has been ordered yet, so nobody gets in over HTTPS"]))
    );
    assert!(pebble.client().await.connect(program.address(), HOST).await.is_err(), "there is no certificate yet");
    program.terminate().await;
    program.ended().await;
    // A failure is remembered, and nothing is tried before its time, whatever is restarted.
    let attempts = site.path("state/acme/attempts.json");
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&attempts).unwrap()).unwrap();
    assert_eq!(kept["failures"], 1);
    let program = spawn(&site, &text).await;
    assert!(!program.log().contains("acme_order"), "{}", program.log());
    program.terminate().await;
    program.ended().await;
    std::fs::write(&attempts, r#"{"failures":1,"not_before":0}"#).unwrap();
    let program = spawn(&site, &text).await;
    program.logged("certificate_taken").await;
    assert!(pebble.client().await.shown(program.address(), HOST).await.is_some());
    assert_eq!(ready(&site).await, (200, json!([])));
    let answer = Request::get("/.well-known/acme-challenge/x").header("Host", HOST).send(redirect).await;
    assert_eq!(answer.status, 308, "nothing is answered when nothing is asked");
}
