//! Drives the grade book over loopback.

use super::*;
use crate::demo::stand_in::tests::{Rig, text};

async fn book(rig: &Rig) -> GradeBook {
    GradeBook::start(([127, 0, 0, 1], 0).into(), rig.apple.base_url()).await.unwrap()
}

async fn get_as(book: &GradeBook, path: &str, headers: &[(&'static str, &str)]) -> String {
    let client = reqwest::Client::new();
    let mut request = client.get(format!("http://{}{path}", book.address()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    text(request.send().await.unwrap()).await
}

#[tokio::test]
async fn it_believes_the_headers_and_calls_everybody_else_nobody() {
    let rig = Rig::new().await;
    let book = book(&rig).await;
    assert!(get_as(&book, "/", &[]).await.contains("Autumn term"));
    assert!(get_as(&book, "/grades", &[]).await.contains("nobody"));
    let page =
        get_as(&book, "/grades", &[("X-Forwarded-User", "1.a.b"), ("X-Forwarded-Access-Token", "t0ps3cret")]).await;
    assert!(page.contains("1.a.b") && page.contains("/.schoolgate/sign-out") && !page.contains("t0ps3cret"), "{page}");
}

#[tokio::test]
async fn remarks_are_kept_escaped_and_named() {
    let rig = Rig::new().await;
    let book = book(&rig).await;
    let post = reqwest::Client::new()
        .post(format!("http://{}/grades/remarks", book.address()))
        .header("X-Forwarded-User", "1.a.b")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("remark=%3Cscript%3Ewell+done");
    assert!(post.send().await.unwrap().status().is_success());
    let page = get_as(&book, "/grades", &[]).await;
    assert!(page.contains("well done") && page.contains("1.a.b") && !page.contains("<script>well"), "{page}");
}

#[tokio::test]
async fn the_administrators_page_lists_classes_with_the_token_it_was_handed() {
    let rig = Rig::new().await;
    let book = book(&rig).await;
    let tokens = rig.sign_in("administrator").await;
    let token = tokens["access_token"].as_str().unwrap();
    let page = get_as(&book, "/admin/classes", &[("X-Forwarded-Access-Token", token)]).await;
    for name in ["Reading 3", "History 9", "Pip Marrowby", "Tilda Brightwater", "Zinnia O’Marsh"] {
        assert!(page.contains(name), "{name}: {page}");
    }
    assert!(!page.contains(token));
}

#[tokio::test]
async fn the_administrators_page_says_plainly_what_apple_refuses() {
    let rig = Rig::new().await;
    let book = book(&rig).await;
    assert!(get_as(&book, "/admin/classes", &[]).await.contains("No access token came"));
    let page = get_as(&book, "/admin/classes", &[("X-Forwarded-Access-Token", "wrong")]).await;
    assert!(page.contains("401 Unauthorized: the access token is not valid"), "{page}");
    let tokens = rig.sign_in_for("teacher-1", "").await;
    let token = tokens["access_token"].as_str().unwrap();
    let page = get_as(&book, "/admin/classes", &[("X-Forwarded-Access-Token", token)]).await;
    assert!(page.contains("403 Forbidden: the access token may not read classes"), "{page}");
    rig.apple.switches().down(true);
    let page = get_as(&book, "/admin/classes", &[("X-Forwarded-Access-Token", "wrong")]).await;
    assert!(page.contains("cannot be reached"), "{page}");
}
