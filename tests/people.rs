//! Who is let in by `[app.route.allow]`, with what Apple really says of people.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use schoolgate::demo::{EmailClaim, Verified, VerifiedClaim};
use support::{World, world::at};

const ROUTES: &str = r#"
  [[app.route]]
  path = "/school"
  allow.organizations = ["6f1c2a90-51d7-4c1e-9b0e-3d2f7a4e8c15"]

  [[app.route]]
  path = "/school-in-capitals"
  allow.organizations = ["6F1C2A90-51D7-4C1E-9B0E-3D2F7A4E8C15"]

  [[app.route]]
  path = "/domain"
  allow.email_domains = ["LARKSPUR.school.example", "mail.example"]

  [[app.route]]
  path = "/parent-domain"
  allow.email_domains = ["school.example", "example"]

  [[app.route]]
  path = "/both"
  allow.organizations = ["6f1c2a90-51d7-4c1e-9b0e-3d2f7a4e8c15"]
  allow.email_domains = ["larkspur.school.example", "mail.example"]

  [[app.route]]
  path = "/nobody-named"
  allow.users = []
"#;

/// The routes that somebody may open.
async fn may_open(world: &World, person: &str) -> Vec<&'static str> {
    let mut browser = world.signed_in(person).await;
    let mut open = Vec::new();
    for path in ["/school", "/school-in-capitals", "/domain", "/parent-domain", "/both", "/nobody-named"] {
        world.echo.forget();
        let (page, script) = (browser.open(&at(path)).await, browser.fetch(&at(path)).await.status);
        match page.status {
            200 => open.push(path),
            403 => {
                let text = page.text();
                assert!(text.contains(page.header("x-request-id").unwrap()), "{text}");
                assert!(text.contains("/.schoolgate/sign-out"), "a way to be somebody else: {text}");
                assert_eq!(world.echo.count(), 0, "{path}");
            }
            other => panic!("{path}: {other}"),
        }
        assert_eq!(script, page.status, "{path}");
    }
    open
}

#[tokio::test]
async fn each_kind_of_rule_lets_in_whom_it_names_and_nobody_else() {
    let world = World::with(&[("routes", ROUTES)]).await;
    // Apple does not vouch for addresses of the school, and does for this personal one.
    assert_eq!(may_open(&world, "teacher-1").await, ["/school", "/nobody-named"]);
    assert_eq!(may_open(&world, "outsider").await, ["/domain", "/nobody-named"]);
    // Too young for an address.
    assert_eq!(may_open(&world, "pupil-1").await, ["/school", "/nobody-named"]);
}

#[tokio::test]
async fn an_address_counts_as_soon_as_apple_vouches_for_it_however_it_writes_that() {
    let all = ["/school", "/domain", "/both", "/nobody-named"];
    let world = World::with(&[("routes", ROUTES)]).await;
    for (claim, open) in [
        (VerifiedClaim::Always(Verified::Boolean(true)), &all[..]),
        (VerifiedClaim::Always(Verified::Text(true)), &all),
        (VerifiedClaim::Always(Verified::Boolean(false)), &["/school", "/nobody-named"]),
        (VerifiedClaim::Always(Verified::Text(false)), &["/school", "/nobody-named"]),
        (VerifiedClaim::Absent, &["/school", "/nobody-named"]),
    ] {
        world.apple.switches().change(|behaviour| behaviour.email_verified = claim);
        assert_eq!(may_open(&world, "teacher-1").await, open, "{claim:?}");
    }
    world.apple.switches().change(|behaviour| {
        behaviour.email_verified = VerifiedClaim::Always(Verified::Boolean(true));
        behaviour.email = EmailClaim::Empty;
    });
    assert_eq!(may_open(&world, "teacher-1").await, ["/school", "/nobody-named"], "an empty address");
    world.apple.switches().change(|behaviour| behaviour.email = EmailClaim::Absent);
    assert_eq!(may_open(&world, "teacher-1").await, ["/school", "/nobody-named"], "no address");
}
