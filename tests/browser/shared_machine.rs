//! One computer of a classroom, and an app that keeps sessions of its own, as PHP does.

use std::time::Duration;

use super::{Chromium, PICK, School, support::Php};

/// Two pupils, with what the app calls them by.
const PIP: (&str, &str) = ("Pip Marrowby", "pupil-1");
const ZINNIA: (&str, &str) = ("Zinnia O’Marsh", "pupil-12");

/// A gateway on localhost in front of the app, with a clock that the test moves.
struct Classroom {
    php: Php,
    school: School,
    browser: Chromium,
}

impl Classroom {
    async fn start(attributes: &str) -> Self {
        let php = Php::start(attributes).await;
        let keys = "clear_cookies = [\"PHPSESSID\"]\nsign_out_paths = [\"/logout.php\"]";
        let school = School::start(&php.address.to_string(), &[("app", keys)]).await;
        let browser = Chromium::start(&school.base).await;
        Self { php, school, browser }
    }

    /// Signs a pupil in on the way to a page.
    async fn sits_down(&self, (name, _): (&str, &str), page: &str) {
        self.browser.open(page).await;
        self.browser.sees(PICK, &[]).await;
        self.browser.press(name).await;
    }

    /// The page shows what the app keeps for this pupil, and nothing of the other.
    async fn sees_only(&self, (_, pupil): (&str, &str), (_, other): (&str, &str)) {
        let subject = |id: &str| self.school.apple.people().iter().find(|one| one.id == id).unwrap().subject.clone();
        self.browser.sees("Homework", &[&format!("the session of {}", subject(pupil))]).await;
        self.browser.sees_nothing_of(&[&subject(other)]).await;
    }
}

#[tokio::test]
async fn one_pupil_after_another_sees_nothing_of_the_one_before() {
    // With a path of its own; with the path of the page that was opened first.
    for attributes in ["; Path=/; HttpOnly; SameSite=Lax", ""] {
        let room = Classroom::start(attributes).await;
        let browser = &room.browser;
        let page = "/course/homework";
        room.sits_down(PIP, page).await;
        room.sees_only(PIP, ZINNIA).await;
        browser.reload().await;
        room.sees_only(PIP, ZINNIA).await;
        assert_eq!(room.php.begun(), 1, "the app has one session for Pip");
        assert_eq!(browser.cookie_names().await.len(), 3, "the session, the app's session, and its label");
        let second = browser.new_tab().await;
        browser.open(page).await;
        room.sees_only(PIP, ZINNIA).await;

        // Pip signs out at the gateway, and Zinnia sits down.
        browser.open("/.schoolgate/sign-out").await;
        super::is_signed_out(browser).await;
        browser.open("/course/homework?again").await;
        browser.sees(PICK, &[]).await;
        browser.press(ZINNIA.0).await;
        room.sees_only(ZINNIA, PIP).await;
        assert_eq!(room.php.begun(), 2);
        // In the other tab too, and where Pip was before.
        let first = browser.new_tab().await;
        browser.open(page).await;
        room.sees_only(ZINNIA, PIP).await;
        browser.look_at(&second).await;
        browser.reload().await;
        room.sees_only(ZINNIA, PIP).await;

        // Zinnia goes home without a word. Her session ends by itself, and Pip is back.
        room.school.clock.advance(Duration::from_secs(9 * 3600));
        room.sits_down(PIP, page).await;
        room.sees_only(PIP, ZINNIA).await;
        browser.look_at(&first).await;
        browser.reload().await;
        room.sees_only(PIP, ZINNIA).await;
        assert_eq!(room.php.begun(), 3);

        // Pip uses the app's own way out.
        browser.open("/logout.php").await;
        browser.sees("Goodbye", &[]).await;
        assert_eq!(browser.cookie_names().await, ["lang"], "and what is not about a person stays");
        browser.open(page).await;
        browser.sees(PICK, &[]).await;
        browser.press(ZINNIA.0).await;
        room.sees_only(ZINNIA, PIP).await;

        // A session ends by itself, and the same person goes on where she was.
        let begun = room.php.begun();
        room.school.clock.advance(Duration::from_secs(9 * 3600));
        room.sits_down(ZINNIA, page).await;
        room.sees_only(ZINNIA, PIP).await;
        assert_eq!(room.php.begun(), begun);
    }
}
