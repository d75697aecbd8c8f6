//! One computer of a classroom, and an app that keeps sessions of its own, as PHP does.

use std::{net::TcpListener, sync::Arc, time::Duration};

use schoolgate::{
    clock::{ManualClock, SharedClock, Timestamp},
    config,
    demo::StandIn,
    entropy::SystemEntropy,
    server::{Parts, Running},
};

use super::{
    Chromium, PICK,
    support::{
        Php,
        world::{START, configuration, stand_in},
    },
};

/// Two pupils, with what the app calls them by.
const PIP: (&str, &str) = ("Pip Marrowby", "pupil-1");
const ZINNIA: (&str, &str) = ("Zinnia O’Marsh", "pupil-12");

/// A gateway on localhost in front of the app, with a clock that the test moves.
struct Classroom {
    php: Php,
    apple: StandIn,
    clock: Arc<ManualClock>,
    browser: Chromium,
    _running: Running,
    _folder: tempfile::TempDir,
}

impl Classroom {
    async fn start(attributes: &str) -> Self {
        let php = Php::start(attributes).await;
        let clock = ManualClock::at(Timestamp::from_seconds(START));
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        // Apple's redirect_uri has a port: it must be known before the gateway listens.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let base = format!("http://localhost:{}", address.port());
        let folder = tempfile::tempdir().unwrap();
        let apple = stand_in(&shared, folder.path(), &format!("{base}/.schoolgate/callback")).await;
        let keys = "clear_cookies = [\"PHPSESSID\"]\nsign_out_paths = [\"/logout.php\"]";
        let text = configuration(folder.path(), &apple, &php.address.to_string(), &[("app", keys)])
            .replacen("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"{address}\"]\nexternal_scheme = \"http\""), 1)
            .replace("https://library.school.example", &base)
            .replace("library.school.example", "localhost");
        let loaded = config::from_text(&folder.path().join("gateway.toml"), &text, &|_| None)
            .unwrap_or_else(|problems| panic!("{problems}"));
        let parts = Parts { clock: shared, entropy: Arc::new(SystemEntropy), store: None };
        let running = Running::start(loaded.settings, parts).await.unwrap();
        let browser = Chromium::start(&base).await;
        Self { php, apple, clock, browser, _running: running, _folder: folder }
    }

    /// Signs a pupil in on the way to a page.
    async fn sits_down(&self, (name, _): (&str, &str), page: &str) {
        self.browser.open(page).await;
        self.browser.sees(PICK, &[]).await;
        self.browser.press(name).await;
    }

    /// The page shows what the app keeps for this pupil, and nothing of the other.
    async fn sees_only(&self, (_, pupil): (&str, &str), (_, other): (&str, &str)) {
        let subject = |id: &str| self.apple.people().iter().find(|one| one.id == id).unwrap().subject.clone();
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
        room.clock.advance(Duration::from_secs(9 * 3600));
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
        room.clock.advance(Duration::from_secs(9 * 3600));
        room.sits_down(ZINNIA, page).await;
        room.sees_only(ZINNIA, PIP).await;
        assert_eq!(room.php.begun(), begun);
    }
}
