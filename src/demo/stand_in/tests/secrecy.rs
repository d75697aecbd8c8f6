//! What the stand-in tells of itself shows no secret.

use super::*;

#[tokio::test]
async fn the_record_of_calls_shows_names_and_no_values_unless_asked() {
    let rig = Rig::new().await;
    let code = rig.code();
    let (_, tokens) = rig.exchange(&code).await;
    let token = tokens["access_token"].as_str().unwrap();
    rig.http.get(rig.url("/rosterapi/v1/users")).bearer_auth(token).send().await.unwrap();
    let shown = format!("{:?} {:?}", rig.apple.calls().all(), rig.apple);
    for secret in [code.as_str(), token, &rig.secret(CLIENT)[..40]] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let call = rig.apple.calls().last(Endpoint::Exchange).unwrap();
    let names: Vec<_> = call.parameters().collect();
    assert_eq!(names, ["client_id", "client_secret", "grant_type", "code", "redirect_uri"]);
    assert_eq!(call.value("code"), Some(code.as_str()));
    assert_eq!(rig.apple.calls().last(Endpoint::Roster).unwrap().value("bearer"), Some(token));
}

#[tokio::test]
async fn it_ends_when_dropped() {
    let rig = Rig::new().await;
    let (url, http) = (rig.url("/auth/keys"), rig.http.clone());
    assert!(http.get(url.clone()).send().await.is_ok());
    drop(rig);
    assert!(http.get(url).send().await.is_err());
}
