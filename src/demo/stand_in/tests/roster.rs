//! The Roster API.

use super::*;

async fn get(rig: &Rig, path: &str, token: &Value) -> (u16, Value) {
    let url = rig.url(&format!("/rosterapi/v1/{path}"));
    json_of(rig.http.get(url).bearer_auth(token.as_str().unwrap_or_default())).await
}

#[tokio::test]
async fn the_school_is_there() {
    let rig = Rig::new().await;
    let tokens = rig.sign_in("administrator").await;
    let token = &tokens["access_token"];
    let (status, organization) = get(&rig, "organization", token).await;
    assert_eq!((status, &organization["id"]), (200, &rig.claims(&tokens)["org_id"]));
    let subject = rig.apple.person("pupil-1").unwrap().subject.clone();
    let (_, pupil) = get(&rig, &format!("users/{subject}"), token).await;
    assert_eq!((&pupil["givenName"], &pupil["grade"], pupil.get("email")), (&json!("Pip"), &json!("3"), None));
    let (_, class) = get(&rig, "classes/class-3-reading", token).await;
    assert_eq!(class["displayName"], "The Bookworms");
    let (_, users) = get(&rig, "classes/class-3-reading/users?role=Student", token).await;
    assert_eq!(users["users"].as_array().unwrap().len(), 3);
    let (_, location) = get(&rig, &format!("locations/{}", class["locationId"].as_str().unwrap()), token).await;
    assert_eq!(location["name"], "Lower School");
    assert_eq!(get(&rig, "locations", token).await.1["moreToFollow"], false);
}

#[tokio::test]
async fn pages_follow_each_other_until_all_is_told() {
    let rig = Rig::new().await;
    let tokens = rig.sign_in("administrator").await;
    let (mut names, mut next) = (Vec::new(), String::new());
    loop {
        let (status, page) = get(&rig, &format!("users?limit=7{next}"), &tokens["access_token"]).await;
        assert_eq!(status, 200);
        names.extend(page["users"].as_array().unwrap().iter().map(|user| user["id"].clone()));
        if page["moreToFollow"] != true {
            assert!(page.get("nextPageToken").is_none());
            break;
        }
        next = format!("&pageToken={}", page["nextPageToken"].as_str().unwrap());
    }
    assert_eq!(names.len(), 18);
    for bad in ["users?limit=0", "users?limit=x", "users?pageToken=x", "users?role=Parent"] {
        assert_eq!(get(&rig, bad, &tokens["access_token"]).await.0, 400, "{bad}");
    }
}

#[tokio::test]
async fn tokens_open_what_their_scopes_say_until_they_expire_or_are_revoked() {
    let rig = Rig::new().await;
    let users = rig.sign_in_for("administrator", "edu.users.read").await;
    let classes = rig.sign_in_for("administrator", "edu.classes.read").await;
    let nothing = rig.sign_in_for("teacher-1", "").await;
    for (path, expected) in
        [("users", [200, 403, 403]), ("classes", [403, 200, 403]), ("organization", [200, 200, 403])]
    {
        for (tokens, status) in [&users, &classes, &nothing].into_iter().zip(expected) {
            assert_eq!(get(&rig, path, &tokens["access_token"]).await.0, status, "{path}");
        }
    }
    for path in ["users/none", "elsewhere", "locations/none", "classes/none/users"] {
        let status = get(&rig, path, &rig.sign_in("administrator").await["access_token"]).await.0;
        assert_eq!(status, 404, "{path}");
    }
    assert_eq!(get(&rig, "users", &json!("wrong")).await.0, 401);
    assert_eq!(rig.http.get(rig.url("/rosterapi/v1/users")).send().await.unwrap().status(), 401);
    rig.revoke(users["refresh_token"].as_str().unwrap()).await;
    assert_eq!(get(&rig, "users", &users["access_token"]).await.0, 401);
    rig.advance(3599);
    assert_eq!(get(&rig, "classes", &classes["access_token"]).await.0, 200);
    rig.advance(1);
    assert_eq!(get(&rig, "classes", &classes["access_token"]).await.0, 401);
}

#[tokio::test]
async fn outsiders_see_no_school_and_the_throttle_speaks_apples_header() {
    let rig = Rig::new().await;
    rig.apple.switches().change(|behaviour| behaviour.others = Others::Granted);
    let tokens = rig.sign_in("outsider").await;
    assert_eq!(get(&rig, "users", &tokens["access_token"]).await.0, 403);
    let busy = Trouble::TooManyRequests(Some((RetryHeader::Apple, 30)));
    rig.apple.switches().trouble_times(Endpoint::Roster, 1, busy);
    let response = rig.http.get(rig.url("/rosterapi/v1/users")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["x-retry-after"]), (429, &"30".parse().unwrap()));
    rig.apple.switches().trouble_times(Endpoint::Roster, 1, Trouble::Status(500));
    assert_eq!(get(&rig, "users", &tokens["access_token"]).await.0, 500);
}
