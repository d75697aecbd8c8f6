//! A form that is sent after the session has died.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, response::Html, routing::get};
use tempfile::TempDir;

use super::{Chromium, PICK, School};

const OFFER: &str = "Your form was kept";

/// A pupil, and the one who sits down next.
const PIP: &str = "Pip Marrowby";
const ZINNIA: &str = "Zinnia O’Marsh";

/// What the app has got: content type and body.
type Got = Arc<Mutex<Vec<(String, Bytes)>>>;

/// An app with a form for homework, as old ones are: it answers the post with a page whose own form has no address.
async fn homework() -> (String, Got) {
    let got = Got::default();
    let page = async || {
        Html(
            "<!doctype html><title>Homework</title><h1>Homework</h1>
             <form method=post action='/hand-in?class=7b' enctype=multipart/form-data>
             <textarea id=essay name=essay></textarea><input id=file type=file name=file><button>Hand in</button></form>",
        )
    };
    let taken = async |State(got): State<Got>, headers: HeaderMap, body: Bytes| {
        let mut got = got.lock().unwrap();
        got.push((headers["content-type"].to_str().unwrap().to_owned(), body));
        Html(format!(
            "<!doctype html><title>Handed in</title><h1>Handed in</h1><p>So far: {}</p>
             <form method=post action=''><textarea id=more name=more></textarea><button>Add</button></form>",
            got.len()
        ))
    };
    let nothing = async || Html("<!doctype html><title>Nothing</title><h1>Nothing handed in</h1>");
    let router = Router::new().route("/write", get(page)).route("/hand-in", get(nothing).post(taken));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = router.with_state(Arc::clone(&got));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, got)
}

/// A pupil who has written an essay for longer than the session lived, and hands it in.
struct Desk {
    _school: School,
    browser: Chromium,
    got: Got,
    file: Vec<u8>,
    _folder: TempDir,
}

impl Desk {
    async fn start() -> Self {
        let (app, got) = homework().await;
        let school = School::start(&app, &[("app", "keep_forms = true")]).await;
        let browser = Chromium::start(&school.base).await;
        browser.open("/write").await;
        browser.sees(PICK, &[]).await;
        browser.press(PIP).await;
        browser.sees("Homework", &[]).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.bin");
        let file: Vec<u8> = (0..100_000_u32).map(|number| (number % 256) as u8).collect();
        fs::write(&path, &file).unwrap();
        browser.write("essay", "My summer, by Pip").await;
        browser.write("file", path.to_str().unwrap()).await;
        school.clock.advance(Duration::from_secs(9 * 3600));
        browser.press("Hand in").await;
        browser.sees(PICK, &[]).await;
        Self { _school: school, browser, got, file, _folder: folder }
    }

    fn got(&self) -> Vec<(String, Bytes)> {
        self.got.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn an_essay_and_a_file_survive_the_session_and_one_click_hands_them_in() {
    let desk = Desk::start().await;
    let browser = &desk.browser;
    browser.press(PIP).await;
    browser.sees(OFFER, &["localhost/hand-in", "100 kB", "for another"]).await;
    browser.sees_nothing_of(&["My summer", "picture.bin", "class=7b"]).await;
    browser.press("Send it now").await;
    browser.sees("Handed in", &[]).await;
    assert_eq!(browser.place().await, "/hand-in?class=7b", "the address is that of the form");
    let got = desk.got();
    let [(content_type, body)] = got.as_slice() else { panic!("{} posts", got.len()) };
    let boundary = content_type.split_once("boundary=").unwrap().1;
    let parts = |wanted: &[u8]| body.windows(wanted.len()).filter(|window| *window == wanted).count();
    assert!(body.starts_with(format!("--{boundary}\r\n").as_bytes()));
    assert!(body.ends_with(format!("\r\n--{boundary}--\r\n").as_bytes()));
    assert_eq!(
        (parts(b"\r\n\r\nMy summer, by Pip\r\n"), parts(b"filename=\"picture.bin\""), parts(&desk.file)),
        (1, 1, 1)
    );
    // A form of the answer that has no address of its own goes where the first one went.
    browser.write("more", "And my winter").await;
    browser.press("Add").await;
    browser.sees("Handed in", &["So far: 2"]).await;
    assert_eq!(&*desk.got()[1].1, b"more=And+my+winter");
    // Back, and loaded anew: nothing is sent twice.
    browser.back().await;
    browser.reload().await;
    browser.sees("Your form has been sent", &[]).await;
    assert_eq!(desk.got().len(), 2);
}

#[tokio::test]
async fn who_sits_down_next_sees_nothing_of_it() {
    let desk = Desk::start().await;
    desk.browser.press(ZINNIA).await;
    desk.browser.sees("Nothing handed in", &[]).await;
    assert!(!desk.browser.cookie_names().await.iter().any(|name| name.contains("form")));
    assert_eq!(desk.got().len(), 0);
}

#[tokio::test]
async fn a_form_is_thrown_away_with_one_click_too() {
    let desk = Desk::start().await;
    let browser = &desk.browser;
    browser.press(PIP).await;
    browser.sees(OFFER, &[]).await;
    browser.press("Throw it away").await;
    browser.sees("Nothing handed in", &[]).await;
    assert_eq!(browser.place().await, "/hand-in?class=7b");
    assert_eq!(desk.got().len(), 0);
}
