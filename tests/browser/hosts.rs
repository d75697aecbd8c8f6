//! Two apps on two hosts: one sign-in, one sign-out.

use super::{Chromium, Demo, PICK, TILDA, is_signed_out, sign_in, start};

/// The address of the notice board, without a path.
fn board(demo: &mut Demo) -> String {
    demo.address().replace("localhost", "127.0.0.1")
}

async fn sees_the_board(browser: &Chromium) {
    browser.sees("Notice board", &[&format!("You are {}.", TILDA.1)]).await;
}

#[tokio::test]
async fn who_is_signed_in_at_one_host_is_signed_in_at_the_other() {
    let (mut demo, browser) = start().await;
    let board = board(&mut demo);
    sign_in(&browser, TILDA).await;
    browser.open(&format!("{board}/?from=link")).await;
    sees_the_board(&browser).await;
    assert_eq!(browser.place().await, format!("{board}/?from=link"));
    assert_eq!(browser.cookie_names().await, ["schoolgate"], "no cookie of a sign-in is left");
    browser.press("Back to the GradeBook").await;
    browser.sees("Welcome to the GradeBook", &[]).await;
}

#[tokio::test]
async fn a_sign_in_that_begins_at_the_other_host_ends_there() {
    let (mut demo, browser) = start().await;
    let board = board(&mut demo);
    browser.open(&format!("{board}/")).await;
    browser.sees(PICK, &[]).await;
    browser.press(TILDA.0).await;
    sees_the_board(&browser).await;
    browser.open("/grades").await;
    browser.sees("Grades", &[TILDA.1]).await;
}

#[tokio::test]
async fn a_sign_out_at_one_host_is_one_at_the_other_and_the_back_button_shows_nothing() {
    let (mut demo, browser) = start().await;
    let board = board(&mut demo);
    sign_in(&browser, TILDA).await;
    browser.open(&format!("{board}/")).await;
    sees_the_board(&browser).await;
    browser.press("Log out").await;
    browser.arrives(&format!("{board}/.schoolgate/sign-out?done=1")).await;
    browser.sees("You are signed out", &[]).await;
    browser.back().await;
    browser.sees(PICK, &[]).await;
    browser.open("/grades").await;
    browser.sees(PICK, &[]).await;
    // And the other way round.
    browser.press(TILDA.0).await;
    browser.sees("Grades", &[TILDA.1]).await;
    browser.open(&format!("{board}/")).await;
    sees_the_board(&browser).await;
    browser.open("/.schoolgate/sign-out").await;
    is_signed_out(&browser).await;
    browser.open(&format!("{board}/")).await;
    browser.sees(PICK, &[]).await;
}

#[tokio::test]
async fn twenty_tabs_at_two_hosts_sign_in_side_by_side() {
    let (mut demo, browser) = start().await;
    let hosts = [format!("{}/grades", demo.address()), board(&mut demo)];
    let mut tabs = vec![browser.tab().await];
    while tabs.len() < 20 {
        tabs.push(browser.new_tab().await);
    }
    for (number, tab) in tabs.iter().enumerate() {
        browser.look_at(tab).await;
        browser.open(&format!("{}?tab={number}", hosts[number % 2])).await;
    }
    for (number, tab) in tabs.iter().enumerate() {
        browser.look_at(tab).await;
        browser.sees(PICK, &[]).await;
        browser.press(TILDA.0).await;
        match number % 2 {
            0 => browser.sees("Grades", &[TILDA.1]).await,
            _ => sees_the_board(&browser).await,
        }
        assert!(browser.place().await.ends_with(&format!("?tab={number}")));
    }
    for tab in &tabs[..2] {
        browser.look_at(tab).await;
        assert_eq!(browser.cookie_names().await, ["schoolgate"], "no cookie of a sign-in is left");
        browser.reload().await;
    }
    sees_the_board(&browser).await;
}
