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

#[tokio::test]
async fn notifications_tell_whatever_is_wanted_in_any_clothes() {
    let rig = Rig::new().await;
    let written = |notice: &Notice| rig.apple.notification(Service::Organization, CLIENT, notice);
    let events = |body: &str| {
        let token = body.trim_start_matches("payload=").to_owned();
        rig.claims(&json!({ "id_token": token }))["events"].clone()
    };
    rig.apple.switches().change(|behaviour| behaviour.envelope = Envelope::Bare);
    let person = || "s".to_owned();
    for (notice, kind, sub, org_id) in [
        (Notice::OrganizationRevoked, "consent-revoked", false, true),
        (Notice::OrganizationRevokedBy(person()), "consent-revoked", true, true),
        (Notice::ConsentRevoked(person()), "consent-revoked", true, false),
        (Notice::AccountDeleted(person()), "account-delete", true, false),
        (Notice::AccountDeletedNewly(person()), "account-deleted", true, false),
        (Notice::EmailDisabled(person()), "email-disabled", true, false),
        (Notice::EmailEnabled(person()), "email-enabled", true, false),
    ] {
        let event = events(&written(&notice))[0].clone();
        assert_eq!((&event["type"], event["sub"] == "s", event["org_id"].is_string()), (&json!(kind), sub, org_id));
    }
    rig.apple.switches().change(|behaviour| behaviour.envelope = Envelope::Form);
    for shape in
        [EventsClaim::OfService, EventsClaim::List, EventsClaim::Object, EventsClaim::Text, EventsClaim::ListText]
    {
        rig.apple.switches().change(|behaviour| behaviour.events = shape);
        let claim = events(&written(&Notice::ConsentRevoked(person())));
        let found = (claim.is_array(), claim.is_object(), claim.as_str().map(|text| text.starts_with('[')));
        assert_eq!(
            found,
            match shape {
                EventsClaim::OfService | EventsClaim::List => (true, false, None),
                EventsClaim::Object => (false, true, None),
                EventsClaim::Text => (false, false, Some(false)),
                EventsClaim::ListText => (false, false, Some(true)),
            }
        );
        assert_eq!(events(&written(&Notice::Anything(json!(7)))), json!(7));
    }
    rig.apple.switches().change(|behaviour| behaviour.forgery = Some(Forgery::AudienceOther));
    let body = written(&Notice::OrganizationRevoked);
    let claims = rig.claims(&json!({ "id_token": body.trim_start_matches("payload=") }));
    assert_eq!(claims["aud"], "org.example.other");
}

#[tokio::test]
async fn the_page_to_take_a_consent_back_names_everybody_and_nobody_else_can() {
    let rig = Rig::new().await;
    let page = text(rig.http.get(rig.url("/stand-in/tell")).send().await.unwrap()).await;
    for person in rig.apple.people() {
        assert!(page.contains(&format!("value=\"{}\"", person.id)), "{}", person.id);
    }
    let choose = |person: &'static str| rig.http.post(rig.url("/stand-in/tell")).form(&[("person", person)]).send();
    assert!(text(choose("nobody-here").await.unwrap()).await.contains("no such person"));
    assert!(text(rig.http.post(rig.url("/stand-in/tell")).send().await.unwrap()).await.contains("no such person"));
}

#[tokio::test]
async fn a_notification_is_posted_and_the_status_of_the_answer_comes_back() {
    let rig = Rig::new().await;
    // The stand-in has no such path itself.
    assert_eq!(rig.apple.send_notification(rig.apple.address(), "a.example", "{}").await.unwrap(), 404);
    assert_eq!(rig.apple.calls().of(Endpoint::Elsewhere)[0].path, "/.schoolgate/notifications");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    assert!(rig.apple.send_notification(nobody, "a.example", "{}").await.is_err());
}
