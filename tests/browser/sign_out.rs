//! Signing out, and what must not be seen or happen afterwards.

use super::{OtherSite, PICK, TILDA, is_signed_out, sign_in, start};

#[tokio::test]
async fn after_the_sign_out_the_back_button_shows_nothing_personal() {
    let (_demo, browser) = start().await;
    sign_in(&browser, TILDA).await;
    browser.open("/.schoolgate/").await;
    browser.sees("You are signed in", &[TILDA.1]).await;
    browser.open("/grades?again").await;
    browser.sees("Grades", &[TILDA.1]).await;
    browser.press("Log out").await;
    is_signed_out(&browser).await;
    assert!(browser.cookie_names().await.is_empty());
    browser.back().await;
    browser.sees(PICK, &[]).await;
    browser.sees_nothing_of(&["X-Forwarded-User"]).await;
    browser.open("/.schoolgate/").await;
    browser.sees("You are not signed in", &[]).await;
    browser.sees_nothing_of(&[TILDA.1]).await;
}

#[tokio::test]
async fn a_sign_out_that_leads_on_arrives_there_signed_out() {
    let (_demo, browser) = start().await;
    sign_in(&browser, TILDA).await;
    browser.open("/.schoolgate/sign-out?return_to=/").await;
    browser.sees("Welcome to the GradeBook", &[]).await;
    assert_eq!(browser.place().await, "/");
    browser.open("/grades").await;
    browser.sees(PICK, &[]).await;
}

#[tokio::test]
async fn a_link_on_another_site_asks_first_and_a_picture_or_a_form_does_nothing() {
    let (mut demo, browser) = start().await;
    sign_in(&browser, TILDA).await;
    let sign_out = demo.at("/.schoolgate/sign-out");
    let other = OtherSite::start(format!(
        "<!doctype html><title>Elsewhere</title><h1>Elsewhere</h1>
         <a href=\"{sign_out}\">Win a prize</a>
         <form method=\"post\" action=\"{sign_out}\"><button>Win another</button></form>
         <img src=\"{sign_out}\" onload=\"document.title='done'\" onerror=\"document.title='done'\">"
    ))
    .await;
    for trick in ["Win a prize", "Win another"] {
        browser.open(&other.url).await;
        browser.sees("Elsewhere", &[]).await;
        browser.press(trick).await;
        browser.sees("Do you want to sign out?", &["A link on another website"]).await;
        browser.press("Stay signed in").await;
        browser.sees("You are signed in", &[TILDA.1]).await;
    }
    browser.open(&other.url).await;
    browser.press("Win a prize").await;
    browser.sees("Do you want to sign out?", &[]).await;
    browser.press("Sign out").await;
    is_signed_out(&browser).await;
    browser.open("/grades").await;
    browser.sees(PICK, &[]).await;
}

#[tokio::test]
async fn the_button_of_the_sign_in_page_signs_out_and_the_way_back_in_is_there() {
    let (_demo, browser) = start().await;
    sign_in(&browser, TILDA).await;
    browser.open("/.schoolgate/").await;
    browser.press("Sign out").await;
    is_signed_out(&browser).await;
    browser.press("Sign in again").await;
    browser.sees(PICK, &[]).await;
    browser.press(TILDA.0).await;
    browser.sees("You are signed in", &[TILDA.1]).await;
}
