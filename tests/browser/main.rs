//! A real browser in the demo: Chromium, driven through chromedriver, against the real program.
//!
//! Chromium and chromedriver must be there: without them these tests fail, and say what to install.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin_page;
mod chromium;
mod hosts;
mod kept_forms;
mod kinds;
mod other_site;
mod school;
mod shared_machine;
mod sign_in;
mod sign_out;
mod step_up;
#[path = "../support/mod.rs"]
mod support;
mod tabs;

use chromium::Chromium;
use other_site::OtherSite;
use school::School;
use support::Demo;

/// The heading of the page where one picks a person.
const PICK: &str = "Who do you want to be?";

/// A teacher.
const TILDA: (&str, &str) = ("Tilda Brightwater", "tilda.brightwater@larkspur.school.example");

/// The administrator.
const MORGAN: (&str, &str) = ("Morgan Ashdown", "morgan.ashdown@larkspur.school.example");

/// The site manager.
const ROBIN: (&str, &str) = ("Robin Fairweather", "robin.fairweather@larkspur.school.example");

/// A demo and a browser that has never seen it.
async fn start() -> (Demo, Chromium) {
    let mut demo = Demo::start();
    let browser = Chromium::start(&demo.address()).await;
    (demo, browser)
}

/// Signs in on the way to the grades.
async fn sign_in(browser: &Chromium, (name, email): (&str, &str)) {
    browser.open("/grades").await;
    browser.sees(PICK, &[]).await;
    browser.press(name).await;
    browser.sees("Grades", &[&format!("You are {email}.")]).await;
}

/// Waits until the sign-out is done.
async fn is_signed_out(browser: &Chromium) {
    browser.arrives("/.schoolgate/sign-out?done=1").await;
    browser.sees("You are signed out", &["On a shared computer"]).await;
}
