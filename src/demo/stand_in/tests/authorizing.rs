//! The way to the page, the choice, and the way back.

use super::*;

async fn pick(rig: &Rig, url: &Url, person: &str) -> Response {
    let service = if url.path().contains("oauth2") { "organization" } else { "sign-in" };
    let fields = [("service", service), ("query", url.query().unwrap()), ("person", person)];
    rig.http.post(rig.url("/stand-in/pick")).form(&fields).send().await.unwrap()
}

fn location(response: &Response) -> String {
    assert_eq!(response.status(), 302);
    response.headers()["location"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_page_names_everybody_the_client_and_the_scopes() {
    let rig = Rig::new().await;
    let response = rig.http.get(rig.authorize_url(Service::Organization, BOTH, "")).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let page = text(response).await;
    for person in rig.apple.people() {
        assert!(page.contains(&person.name()) && page.contains(&format!("value=\"{}\"", person.id)), "{}", person.id);
    }
    for said in [CLIENT, "edu.classes.read", "It is not Apple", "Cancel", "no email address"] {
        assert!(page.contains(said), "{said}");
    }
}

#[tokio::test]
async fn the_choice_leads_back_by_get_with_code_and_state() {
    let rig = Rig::new().await;
    for more in ["", "&response_mode=query"] {
        let url = rig.authorize_url(Service::Organization, BOTH, more);
        let to = location(&pick(&rig, &url, "administrator").await);
        assert!(to.starts_with(&format!("{CALLBACK}?code=c")) && to.ends_with("&state=the-state"), "{to}");
    }
    let url = rig.authorize_url(Service::Organization, BOTH, "&response_mode=fragment");
    assert!(location(&pick(&rig, &url, "administrator").await).starts_with(&format!("{CALLBACK}#code=c")));
}

#[tokio::test]
async fn a_header_picks_without_the_page() {
    let rig = Rig::new().await;
    let get = |person: &'static str| {
        rig.http.get(rig.authorize_url(Service::Organization, BOTH, "")).header(PERSON_HEADER, person).send()
    };
    assert!(location(&get("site-manager").await.unwrap()).contains("?code="));
    let to = location(&get("cancel").await.unwrap());
    assert_eq!(to, format!("{CALLBACK}?error=user_cancelled_authorize&state=the-state"));
    assert_eq!(get("nobody-here").await.unwrap().status(), 400);
}

#[tokio::test]
async fn form_post_is_a_page_that_posts_itself_and_tells_the_name_once() {
    let rig = Rig::new().await;
    let url = rig.authorize_url(Service::SignIn, "name email", "&response_mode=form_post");
    let page = text(pick(&rig, &url, "teacher-1").await).await;
    assert!(page.contains("name=\"code\"") && page.contains("name=\"user\"") && page.contains("Tilda"), "{page}");
    assert!(!text(pick(&rig, &url, "teacher-1").await).await.contains("name=\"user\""));
    rig.apple.switches().change(|behaviour| behaviour.user_member = UserMember::Always);
    assert!(text(pick(&rig, &url, "teacher-1").await).await.contains("name=\"user\""));
}

#[tokio::test]
async fn only_administrator_and_site_manager_may_give_the_roster_away() {
    let rig = Rig::new().await;
    let url = rig.authorize_url(Service::Organization, "edu.classes.read", "");
    let choose = |person| rig.apple.authorize(&url, Choice::Person(person));
    for person in ["administrator", "site-manager"] {
        assert!(choose(person).unwrap().field("code").is_some(), "{person}");
    }
    for person in ["teacher-1", "staff", "pupil-1", "outsider"] {
        let back = choose(person).unwrap();
        assert_eq!((back.field("error"), back.field("code")), (Some("access_denied"), None), "{person}");
        assert_eq!(back.field("state"), Some("the-state"));
    }
    let nothing = rig.authorize_url(Service::Organization, "", "");
    assert!(rig.apple.authorize(&nothing, Choice::Person("pupil-1")).unwrap().field("code").is_some());
}

#[tokio::test]
async fn what_happens_to_others_is_a_switch() {
    let rig = Rig::new().await;
    let url = rig.authorize_url(Service::Organization, BOTH, "");
    let set = |others| rig.apple.switches().change(|behaviour| behaviour.others = others);
    set(Others::Cancelled);
    assert!(location(&pick(&rig, &url, "pupil-1").await).contains("error=user_cancelled_authorize"));
    set(Others::Granted);
    assert!(location(&pick(&rig, &url, "pupil-1").await).contains("code="));
    set(Others::Page);
    let response = pick(&rig, &url, "pupil-1").await;
    assert_eq!(response.status(), 403);
    assert!(text(response).await.contains("This account cannot do that"));
}

#[tokio::test]
async fn a_wrong_request_is_a_page_and_never_a_redirect() {
    let rig = Rig::new().await;
    let good = rig.authorize_url(Service::Organization, BOTH, "").to_string();
    for (from, to, error) in [
        ("response_type=code", "response_type=token", "invalid_request"),
        ("org.example.gateway", "org.example.nobody", "invalid_client"),
        ("callback", "other", "invalid_client"),
        ("edu.users.read", "admin", "invalid_scope"),
    ] {
        let response =
            rig.http.get(good.replace(from, to)).header(PERSON_HEADER, "administrator").send().await.unwrap();
        assert_eq!(response.status(), 400, "{to}");
        assert!(text(response).await.contains(error), "{to}");
    }
    let refused: Vec<_> = rig.apple.calls().of(Endpoint::Authorize);
    assert!(refused.iter().all(|call| call.outcome.as_ref().unwrap().error.is_some()));
}

#[tokio::test]
async fn the_sent_page_is_judged_again() {
    let rig = Rig::new().await;
    let mut url = rig.authorize_url(Service::Organization, BOTH, "");
    url.set_query(Some("client_id=org.example.nobody"));
    assert_eq!(pick(&rig, &url, "administrator").await.status(), 400);
    assert_eq!(rig.http.post(rig.url("/stand-in/pick")).send().await.unwrap().status(), 400);
}
