//! The key set, its rotation, and notifications signed with it.

use super::*;

#[tokio::test]
async fn tokens_of_the_old_key_verify_during_overlap_and_not_after_replacement() {
    let rig = Rig::new().await;
    let tokens = rig.sign_in("administrator").await;
    let old = tokens["id_token"].as_str().unwrap();
    rig.apple.rotate_keys();
    let fresh = rig.sign_in("administrator").await;
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    assert_ne!(kid(old), kid(fresh["id_token"].as_str().unwrap()));
    for token in [old, fresh["id_token"].as_str().unwrap()] {
        assert!(rig.verify(token).await.is_some());
    }
    rig.apple.replace_keys();
    assert!(rig.verify(old).await.is_none());
    assert!(rig.verify(rig.sign_in("administrator").await["id_token"].as_str().unwrap()).await.is_some());
}

#[tokio::test]
async fn both_services_publish_the_same_keys_under_their_own_paths() {
    let rig = Rig::new().await;
    let response = rig.http.get(rig.url("/auth/keys")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json;charset=UTF-8");
    let kids = |keys: &Value| -> std::collections::BTreeSet<String> {
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].to_string()).collect()
    };
    let sign_in: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(kids(&sign_in), kids(&rig.keys().await));
    assert_eq!(rig.apple.calls().count(Endpoint::Keys), 2);
}

#[tokio::test]
async fn oddities_come_and_go_with_their_switch() {
    let rig = Rig::new().await;
    rig.apple.switches().key_oddities([KeyOddity::UnknownType, KeyOddity::WithoutSigner]);
    let keys = rig.keys().await;
    assert!(keys["keys"].as_array().unwrap().iter().any(|key| key["kty"] == "LATTICE"));
    assert!(rig.verify(rig.sign_in("administrator").await["id_token"].as_str().unwrap()).await.is_none());
    rig.apple.switches().key_oddities([]);
    assert!(rig.verify(rig.sign_in("administrator").await["id_token"].as_str().unwrap()).await.is_some());
}

#[tokio::test]
async fn notifications_are_signed_and_shaped_as_each_service_does() {
    let rig = Rig::new().await;
    let subject = rig.apple.person("teacher-1").unwrap().subject.clone();
    let notice = Notice::ConsentRevoked(subject.clone());
    for (service, issuer) in [
        (Service::Organization, "https://appleid.apple.com/auth/oauth2/v2"),
        (Service::SignIn, "https://appleid.apple.com"),
    ] {
        let body: Value = serde_json::from_str(&rig.apple.notification(service, CLIENT, &notice)).unwrap();
        let claims = rig.claims(&json!({ "id_token": body["payload"] }));
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!(issuer), &json!(CLIENT)));
        assert!(claims["jti"].is_string());
        let event = match service {
            Service::Organization => claims["events"][0].clone(),
            Service::SignIn => serde_json::from_str(claims["events"].as_str().unwrap()).unwrap(),
        };
        assert_eq!((&event["type"], &event["sub"]), (&json!("consent-revoked"), &json!(subject)));
    }
    let body: Value =
        serde_json::from_str(&rig.apple.notification(Service::SignIn, CLIENT, &Notice::AccountDeleted(subject)))
            .unwrap();
    assert!(rig.verify(body["payload"].as_str().unwrap()).await.is_some());
}
