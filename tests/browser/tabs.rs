//! One person, many tabs.

use super::{PICK, TILDA, is_signed_out, sign_in, start};

#[tokio::test]
async fn a_second_tab_is_signed_in_and_signed_out_with_the_first() {
    let (_demo, browser) = start().await;
    sign_in(&browser, TILDA).await;
    let first = browser.tab().await;
    browser.new_tab().await;
    browser.open("/grades").await;
    browser.sees("Grades", &[TILDA.1]).await;
    browser.press("Log out").await;
    is_signed_out(&browser).await;
    browser.look_at(&first).await;
    browser.reload().await;
    browser.sees(PICK, &[]).await;
}

#[tokio::test]
async fn twenty_tabs_sign_in_side_by_side() {
    let (_demo, browser) = start().await;
    let mut tabs = vec![browser.tab().await];
    while tabs.len() < 20 {
        tabs.push(browser.new_tab().await);
    }
    for (number, tab) in tabs.iter().enumerate() {
        browser.look_at(tab).await;
        browser.open(&format!("/grades?tab={number}")).await;
    }
    for (number, tab) in tabs.iter().enumerate() {
        browser.look_at(tab).await;
        browser.sees(PICK, &[]).await;
        browser.press(TILDA.0).await;
        browser.sees("Grades", &[TILDA.1]).await;
        assert_eq!(browser.place().await, format!("/grades?tab={number}"));
    }
    assert_eq!(browser.cookie_names().await, ["schoolgate"], "no cookie of a sign-in is left");
    browser.look_at(&tabs[0]).await;
    browser.reload().await;
    browser.sees("Grades", &[TILDA.1]).await;
}
