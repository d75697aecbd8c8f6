//! The page for operators in a browser, with scripts and without.

use super::{
    Chromium, OtherSite,
    support::{Browser, Request, World, world::at},
};

const BOARD: &str = "The gateway now";
const CONFIRM: &str = "Do you want to end sessions?";

/// Somebody's email address.
fn email(world: &World, person: &str) -> String {
    world.apple.person(person).unwrap().email.clone().unwrap()
}

async fn is_in(browser: &Browser) -> bool {
    browser.clone().fetch(&at("/no-token")).await.status == 200
}

/// Searches for a teacher, and ends their sessions.
async fn ends_what_it_finds(world: &World, browser: &Chromium) {
    let (teacher, outsider) = (world.signed_in("teacher-1").await, world.signed_in("outsider").await);
    browser.open("/").await;
    browser.sees(BOARD, &[&email(world, "teacher-1"), &email(world, "outsider"), "People can sign in."]).await;
    browser.write("q", &email(world, "teacher-1")[..6].to_uppercase()).await;
    browser.press("Search").await;
    browser.sees(BOARD, &["Show all", &email(world, "teacher-1")]).await;
    browser.sees_nothing_of(&[&email(world, "outsider")]).await;
    browser.press("End…").await;
    browser.sees(CONFIRM, &[&email(world, "teacher-1"), "this session"]).await;
    browser.press("Leave them").await;
    browser.sees(BOARD, &["Show all", &email(world, "teacher-1")]).await;
    assert!(is_in(&teacher).await);
    browser.press("End…").await;
    browser.sees(CONFIRM, &[]).await;
    browser.press("End now").await;
    browser.sees(BOARD, &["One session has ended.", "Nobody is found."]).await;
    assert_eq!([is_in(&teacher).await, is_in(&outsider).await], [false, true]);
}

#[tokio::test]
async fn an_operator_finds_somebody_and_ends_their_session() {
    let world = World::start().await;
    let browser = Chromium::start(&format!("http://{}", world.admin)).await;
    ends_what_it_finds(&world, &browser).await;
}

#[tokio::test]
async fn the_same_works_without_scripts() {
    let world = World::start().await;
    let browser = Chromium::without_scripts(&format!("http://{}", world.admin)).await;
    browser.open("data:text/html,<h1>Off</h1><script>document.querySelector('h1').innerText='On'</script>").await;
    browser.sees("Off", &[]).await;
    ends_what_it_finds(&world, &browser).await;
}

#[tokio::test]
async fn it_keeps_itself_up_to_date_and_leaves_alone_what_somebody_types() {
    let world = World::start().await;
    let browser = Chromium::start(&format!("http://{}", world.admin)).await;
    browser.open("/?ended=2").await;
    browser.sees(BOARD, &["Nobody is signed in.", "2 sessions have ended."]).await;
    browser.arrives("/").await;
    browser.write("q", "half a wo").await;
    world.signed_in("teacher-1").await;
    browser.sees(BOARD, &[&email(&world, "teacher-1"), "Signed in at Apple"]).await;
    let typed = browser.script("return document.getElementById('q').value").await;
    assert_eq!(typed, "half a wo");
    // What is about to be pressed stays where it is; the rest goes on.
    browser.script("document.querySelector('#list button').focus()").await;
    world.signed_in("outsider").await;
    browser.script("await new Promise(done => new MutationObserver(done).observe(document.querySelector('main'), { childList: true }))").await;
    browser.sees_nothing_of(&[&email(&world, "outsider")]).await;
    // When nobody answers any more, it says so.
    world.stop().await;
    browser.sees(BOARD, &["The gateway does not answer"]).await;
}

#[tokio::test]
async fn a_page_of_another_site_in_the_same_browser_reads_and_ends_nothing() {
    let world = World::start().await;
    let teacher = world.signed_in("teacher-1").await;
    let own = world.admin.to_string();
    let html = Request::get("/").header("Host", &own).send(world.admin).await.text();
    let permit = html.split("name=\"permit\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let other = OtherSite::start(format!(
        "<!doctype html><title>Elsewhere</title><h1>Elsewhere</h1>
         <a href=\"http://{own}/\">Win a prize</a>
         <form method=\"post\" action=\"http://{own}/confirm\"><input type=\"hidden\" name=\"permit\" value=\"{permit}\">
         <input type=\"hidden\" name=\"what\" value=\"all=true\"><button>Win another</button></form>
         <iframe src=\"http://{own}/\"></iframe>"
    ))
    .await;
    let browser = Chromium::start(&other.url).await;
    for trick in ["Win a prize", "Win another"] {
        browser.open(&other.url).await;
        browser.sees("Elsewhere", &[]).await;
        browser.press(trick).await;
        browser.sees("Not from there", &["A page of another site"]).await;
        browser.sees_nothing_of(&[&email(&world, "teacher-1")]).await;
    }
    browser.open(&other.url).await;
    let read = format!("return await fetch('http://{own}/').then(answer => answer.text(), () => 'refused')");
    assert_eq!(browser.script(&read).await, "refused");
    assert!(is_in(&teacher).await);
}
