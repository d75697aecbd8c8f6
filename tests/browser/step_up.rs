//! A page that needs a permission of Apple's.

use super::{MORGAN, PICK, ROBIN, TILDA, sign_in, start};

const MISSING: &str = "A permission is missing";

#[tokio::test]
async fn the_administrator_gives_the_permission_and_the_app_uses_it() {
    let (_demo, browser) = start().await;
    sign_in(&browser, MORGAN).await;
    browser.press("Class lists").await;
    browser.sees(PICK, &["edu.classes.read", "Only the administrator and the site manager can allow that"]).await;
    browser.press(MORGAN.0).await;
    browser.sees("Class lists", &["Reading 3", "Pip Marrowby", "Taught by Tilda Brightwater"]).await;
    assert_eq!(browser.place().await, "/admin/classes");
    // From now on without Apple.
    browser.press("Grades").await;
    browser.sees("Grades", &[MORGAN.1]).await;
    browser.press("Class lists").await;
    browser.sees("Class lists", &["Zinnia O’Marsh"]).await;
    browser.open("/.schoolgate/").await;
    browser.sees("You are signed in", &["See the list of classes at your school"]).await;
}

#[tokio::test]
async fn a_cancelled_step_up_leaves_everything_as_it_was() {
    let (_demo, browser) = start().await;
    sign_in(&browser, MORGAN).await;
    browser.press("Class lists").await;
    browser.sees(PICK, &[]).await;
    browser.press("Cancel").await;
    browser.sees(MISSING, &[MORGAN.1, "See the list of classes at your school"]).await;
    browser.open("/grades").await;
    browser.sees("Grades", &[MORGAN.1]).await;
    browser.press("Class lists").await;
    browser.press("Cancel").await;
    browser.sees(MISSING, &[]).await;
    browser.press("Try again").await;
    browser.sees(PICK, &[]).await;
    browser.press(MORGAN.0).await;
    browser.sees("Class lists", &["Reading 3"]).await;
}

#[tokio::test]
async fn a_teacher_is_told_who_can_and_signs_in_as_someone_else() {
    let (_demo, browser) = start().await;
    sign_in(&browser, TILDA).await;
    browser.press("Class lists").await;
    browser.sees(PICK, &[]).await;
    browser.press(TILDA.0).await;
    browser.sees(MISSING, &[TILDA.1, "Only an Administrator or Site Manager", "Ask one of them"]).await;
    // The form posts here, and ends at Apple: the content security policy must let it.
    browser.press("Sign in as someone else").await;
    browser.sees(PICK, &["edu.classes.read"]).await;
    browser.press(ROBIN.0).await;
    browser.sees("Class lists", &["Reading 3"]).await;
    browser.press("Grades").await;
    browser.sees("Grades", &[ROBIN.1]).await;
    browser.sees_nothing_of(&[TILDA.1]).await;
}

#[tokio::test]
async fn another_person_at_the_step_up_takes_over_and_nothing_of_the_first_is_left() {
    let (_demo, browser) = start().await;
    sign_in(&browser, TILDA).await;
    browser.press("Class lists").await;
    browser.sees(PICK, &[]).await;
    browser.press(MORGAN.0).await;
    browser.sees("Class lists", &["Reading 3"]).await;
    browser.press("Grades").await;
    browser.sees("Grades", &[MORGAN.1]).await;
    browser.sees_nothing_of(&[TILDA.1]).await;
}

#[tokio::test]
async fn whoever_cannot_give_the_permission_is_told_so_at_the_sign_in_too() {
    let (_demo, browser) = start().await;
    browser.open("/admin/classes").await;
    browser.sees(PICK, &["edu.classes.read"]).await;
    browser.press("Pip Marrowby").await;
    browser.sees("The permission was not given", &["Only an Administrator or Site Manager"]).await;
    browser.open("/.schoolgate/").await;
    browser.sees("You are not signed in", &[]).await;
}
