//! Signing in, and what can go wrong on the way.

use std::net::SocketAddr;

use schoolgate::demo::PERSON_HEADER;
use serde_json::json;

use super::{
    PICK, TILDA, is_signed_out, sign_in, start,
    support::{Request, browser::target},
};

#[tokio::test]
async fn a_person_signs_in_and_the_grade_book_knows_the_name() {
    let (_demo, browser) = start().await;
    browser.open("/").await;
    browser.sees("Welcome to the GradeBook", &["This page is for everybody"]).await;
    browser.press("Grades").await;
    browser.sees(PICK, &["org.example.school.gateway", "It is not Apple"]).await;
    browser.press(TILDA.0).await;
    browser.sees("Grades", &[TILDA.1, "X-Forwarded-User", "there is one (not shown)"]).await;
    assert_eq!(browser.place().await, "/grades");
    assert_eq!(browser.cookie_names().await, ["schoolgate"]);
    assert_eq!(browser.script("return document.cookie").await, json!(""), "no script sees the session");
    browser.press("Your sign-in").await;
    browser.sees("You are signed in", &[TILDA.1, "Only know who you are"]).await;
}

#[tokio::test]
async fn a_form_of_the_grade_book_works_and_survives_a_sign_in_on_the_way() {
    let (_demo, browser) = start().await;
    sign_in(&browser, TILDA).await;
    browser.write("remark", "Well done, <b>everybody</b> & more").await;
    browser.press("Save").await;
    browser.sees("Grades", &[&format!("Well done, <b>everybody</b> & more ({})", TILDA.1)]).await;
    assert_eq!(browser.place().await, "/grades");
    // Meanwhile, somebody signs out in another tab.
    browser.write("remark", "Too late").await;
    let first = browser.tab().await;
    browser.new_tab().await;
    browser.open("/.schoolgate/sign-out").await;
    is_signed_out(&browser).await;
    browser.look_at(&first).await;
    browser.press("Save").await;
    browser.sees(PICK, &[]).await;
    browser.press(TILDA.0).await;
    browser.sees("Grades", &["Well done"]).await;
    browser.sees_nothing_of(&["Too late"]).await;
}

#[tokio::test]
async fn a_cancelled_sign_in_says_so_and_can_be_tried_again() {
    let (_demo, browser) = start().await;
    browser.open("/grades?term=2").await;
    browser.press("Cancel").await;
    browser.sees("The sign-in was cancelled", &["If you ask for help, give this reference number"]).await;
    assert!(browser.place().await.starts_with("/.schoolgate/callback?error="));
    browser.reload().await;
    browser.sees("This sign-in is no longer good", &[]).await;
    browser.back().await;
    browser.sees(PICK, &[]).await;
    // The page that was left behind begins nothing: its sign-in has been used.
    browser.press(TILDA.0).await;
    browser.sees("This sign-in is no longer good", &[]).await;
    browser.open("/grades?term=2").await;
    browser.press("Cancel").await;
    browser.sees("The sign-in was cancelled", &[]).await;
    browser.press("Try again").await;
    browser.sees(PICK, &[]).await;
    browser.press(TILDA.0).await;
    browser.sees("Grades", &[TILDA.1]).await;
    assert_eq!(browser.place().await, "/grades?term=2");
}

#[tokio::test]
async fn a_callback_that_is_opened_again_harms_nobody() {
    let (_demo, browser) = start().await;
    browser.open("/grades?term=2").await;
    browser.sees(PICK, &[]).await;
    let authorize = browser.url().await;
    let apple = SocketAddr::from(([127, 0, 0, 1], url::Url::parse(&authorize).unwrap().port().unwrap()));
    let request = Request::get(&target(&authorize)).header("Host", &apple.to_string());
    let answer = request.header(PERSON_HEADER, "teacher-1").send(apple).await;
    browser.open(answer.location()).await;
    browser.sees("Grades", &[TILDA.1]).await;
    assert_eq!(browser.place().await, "/grades?term=2");
    // The cookie that knew where this sign-in led has gone with it; who is signed in stays so.
    browser.open(answer.location()).await;
    browser.sees("Welcome to the GradeBook", &[]).await;
    browser.open("/grades").await;
    browser.sees("Grades", &[TILDA.1]).await;
    browser.open("/.schoolgate/sign-out").await;
    is_signed_out(&browser).await;
    browser.open(answer.location()).await;
    browser.sees("This sign-in is no longer good", &[]).await;
    browser.open("/grades").await;
    browser.sees(PICK, &[]).await;
}

#[tokio::test]
async fn a_script_without_a_session_is_told_where_to_sign_in_and_not_redirected() {
    let (mut demo, browser) = start().await;
    browser.open("/").await;
    let fetched = "const a = await fetch('/grades', { redirect: 'manual' });
        return [a.type, a.status, a.headers.get('content-type'), a.headers.get('www-authenticate')]";
    let url = demo.at("/.schoolgate/sign-in?return_to=/grades");
    let expected = json!(["basic", 401, "application/problem+json", format!("Schoolgate sign_in=\"{url}\"")]);
    assert_eq!(browser.script(fetched).await, expected);
    sign_in(&browser, TILDA).await;
    assert_eq!(browser.script(fetched).await[1], json!(200));
    // A session that lacks a scope is told which.
    let answer = browser
        .script("const a = await fetch('/admin/classes'); return [a.status, a.headers.get('www-authenticate')]")
        .await;
    assert_eq!(answer[0], json!(401));
    let challenge = answer[1].as_str().unwrap();
    assert!(challenge.contains("insufficient_scope") && challenge.contains("edu.classes.read"), "{challenge}");
}
