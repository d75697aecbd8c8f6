//! What holds with each app.

use url::Url;

use crate::{
    app::{LogOut, Recipe},
    scene::{ADMINISTRATOR, Scene},
    support::{Answer, Browser, Request, names::spellings},
};

fn assert_greets(answer: &Answer, name: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text().contains(name), "{name} is not greeted: {}", answer.text());
}

pub(crate) async fn a_person_signs_in_and_the_app_greets_them(recipe: &'static Recipe) {
    let scene = Scene::of(recipe).await;
    let mut browser = scene.world.browser();
    assert!(scene.leads_to_a_sign_in(&scene.look(&mut browser).await));
    let answer = scene.visit(&mut browser, ADMINISTRATOR).await;
    assert_greets(&answer, &scene.name(ADMINISTRATOR));
    assert_greets(&scene.look(&mut browser).await, &scene.name(ADMINISTRATOR));
    // With an address and without one.
    for pupil in ["pupil-7", "pupil-1"] {
        let mut browser = scene.world.browser();
        let page = scene.visit(&mut browser, pupil).await;
        assert_greets(&page, &scene.name(pupil));
        assert!(!page.text().contains(&scene.name(ADMINISTRATOR)), "{}", page.text());
    }
}

pub(crate) async fn a_forged_header_makes_nobody_somebody(recipe: &'static Recipe) {
    let scene = Scene::of(recipe).await;
    let head = scene.world.subject(ADMINISTRATOR);
    let victim = scene.name(ADMINISTRATOR);
    let mail = scene.world.apple.person(ADMINISTRATOR).unwrap().email.clone().unwrap();
    let is_fooled = |answer: &Answer| {
        let text = answer.text();
        text.contains(&head) || text.contains(&victim) || text.contains(&mail)
    };
    // Around the gateway it works. That is why nobody may get there.
    let around = scene.around(("X-Remote-User", &head)).await;
    assert!(is_fooled(&around), "the app believes nobody: {around:?}");

    let nobody = scene.open(("X-Nothing", "x")).await;
    assert!(format!("{nobody:?}").contains(recipe.nobody), "{nobody:?}");
    let mut pupil = scene.world.browser();
    assert_greets(&scene.visit(&mut pupil, "pupil-7").await, &scene.name("pupil-7"));
    for name in ["X-Remote-User", "Remote-User", "REMOTE_USER", "X-Remote-Email"] {
        for spelling in spellings(name) {
            let lie = (&*spelling, if name == "X-Remote-Email" { &*mail } else { &*head });
            let stranger = scene.open(lie).await;
            assert!(!is_fooled(&stranger), "{spelling}: {stranger:?}");
            assert!(format!("{stranger:?}").contains(recipe.nobody), "{spelling}: {stranger:?}");
            let answer = scene.look_with(&mut pupil, &[lie]).await;
            assert!(!is_fooled(&answer), "{spelling}: {answer:?}");
            assert_greets(&answer, &scene.name("pupil-7"));
        }
    }
}

pub(crate) async fn a_sign_out_ends_it_and_the_next_person_is_another(recipe: &'static Recipe) {
    let scene = Scene::of(recipe).await;
    let mut browser = scene.world.browser();
    assert_greets(&scene.visit(&mut browser, ADMINISTRATOR).await, &scene.name(ADMINISTRATOR));
    // The app keeps nobody in cookies of other names, and in these.
    let kept = |browser: &Browser| {
        let names = browser.cookie_names(recipe.host).into_iter();
        names.filter(|name| !name.contains("schoolgate") && name != "csrftoken").collect::<Vec<_>>()
    };
    assert_eq!(kept(&browser), scene.clear_cookies());
    scene.world.walk(&mut browser, &scene.url("/.schoolgate/sign-out"), ADMINISTRATOR).await;
    assert_eq!(kept(&browser), Vec::<String>::new());
    assert_eq!(scene.world.count_sessions().await, 0);
    assert!(scene.leads_to_a_sign_in(&scene.look(&mut browser).await));
    let next = scene.visit(&mut browser, "pupil-7").await;
    assert_greets(&next, &scene.name("pupil-7"));
    assert!(!next.text().contains(&scene.name(ADMINISTRATOR)), "{}", next.text());
}

pub(crate) async fn the_apps_own_log_out_ends_the_gateways_session_too(recipe: &'static Recipe) {
    let scene = Scene::of(recipe).await;
    let mut browser = scene.world.browser();
    let home = scene.visit(&mut browser, ADMINISTRATOR).await;
    assert_greets(&home, &scene.name(ADMINISTRATOR));
    log_out(&scene, &mut browser, &home.text()).await;
    assert_eq!(scene.world.count_sessions().await, 0);
    assert!(scene.leads_to_a_sign_in(&scene.look(&mut browser).await));
}

/// Presses what the page has for it, and goes where it leads.
async fn log_out(scene: &Scene, browser: &mut Browser, page: &str) {
    let base = Url::parse(&scene.url(scene.recipe.home)).unwrap();
    let quoted = |before: &str, text: &str| {
        let start = text.find(before).unwrap_or_else(|| panic!("no {before} in {page}")) + before.len();
        text[start..].split('"').next().unwrap().to_owned()
    };
    match scene.recipe.log_out {
        LogOut::Link(part) => {
            let links = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
            let link = links.map(|link| link.replace("&amp;", "&")).find(|link| link.contains(part));
            let link = link.unwrap_or_else(|| panic!("no link with {part} in {page}"));
            scene.world.walk(browser, base.join(&link).unwrap().as_str(), ADMINISTRATOR).await;
        }
        LogOut::Form(action) => {
            let form = page.split_once(&format!("action=\"{action}\"")).unwrap_or_else(|| panic!("{page}")).1;
            let token = quoted("name=\"csrfmiddlewaretoken\" value=\"", form);
            let request = Request::new("POST", action)
                .navigation()
                .header("Origin", &scene.url(""))
                .header("Referer", base.as_str());
            let answer =
                browser.send(&scene.url(action), request.form(&[("csrfmiddlewaretoken", &token)]), false).await;
            assert!(answer.status < 400, "{answer:?}");
        }
    }
}

pub(crate) async fn who_is_not_of_the_school_reaches_no_app(recipe: &'static Recipe) {
    let scene = Scene::of(recipe).await;
    let mut browser = scene.world.browser();
    let answer = scene.visit(&mut browser, "outsider").await;
    assert_eq!(answer.status, 403, "{answer:?}");
}

pub(crate) async fn no_two_people_are_one_user(recipe: &'static Recipe) {
    let scene = Scene::of(recipe).await;
    let is_somebody = |answer: &Answer| answer.text().contains("/.schoolgate/sign-out");
    assert!(is_somebody(&scene.around(("X-Remote-User", "0015_a_b")).await));
    for other in ["0015__a_b", "_0015_a_b", "0015_a_b_", "0015 a  b", "abc", "0015_a_b#x", "a|b"] {
        let answer = scene.around(("X-Remote-User", other)).await;
        assert!(!is_somebody(&answer), "{other}: {answer:?}");
    }
}
