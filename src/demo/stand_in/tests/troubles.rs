//! Each way in which an endpoint can misbehave.

use super::*;

async fn fetch(rig: &Rig) -> (u16, String) {
    let response = rig.http.get(rig.url("/auth/oauth2/v2/keys")).send().await.unwrap();
    (response.status().as_u16(), text(response).await)
}

#[tokio::test]
async fn answers_can_be_anything_but_what_was_asked_for() {
    let rig = Rig::new().await;
    let switches = rig.apple.switches();
    for (trouble, status, body) in [
        (Trouble::Status(503), 503, ""),
        (Trouble::Error(ErrorCode::InvalidClient), 400, r#"{"error":"invalid_client"}"#),
        (Trouble::Html, 200, "<!doctype html><title>Sorry</title>"),
        (Trouble::InvalidJson, 200, r#"{"access_token": "a", "keys": ["#),
        (Trouble::JsonArray, 200, "[]"),
        (Trouble::Empty, 200, ""),
        (Trouble::Redirect("https://elsewhere.invalid/".into()), 307, ""),
    ] {
        switches.trouble(Endpoint::Keys, trouble.clone());
        assert_eq!(fetch(&rig).await, (status, body.to_owned()), "{trouble:?}");
    }
    switches.heal(Endpoint::Keys);
    assert_eq!(fetch(&rig).await.0, 200);
}

#[tokio::test]
async fn the_throttle_says_when_to_come_again_in_either_way() {
    let rig = Rig::new().await;
    for (header, name) in [(RetryHeader::Standard, "retry-after"), (RetryHeader::Apple, "x-retry-after")] {
        rig.apple.switches().trouble(Endpoint::Keys, Trouble::TooManyRequests(Some((header, 7))));
        let response = rig.http.get(rig.url("/auth/keys")).send().await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()[name]), (429, &"7".parse().unwrap()));
    }
}

#[tokio::test]
async fn members_can_stand_twice_and_answers_can_be_huge() {
    let rig = Rig::new().await;
    rig.apple.switches().trouble(Endpoint::Exchange, Trouble::DuplicateMembers);
    let secret = rig.secret(CLIENT);
    let code = rig.code();
    let fields = [
        ("client_id", CLIENT),
        ("client_secret", &*secret),
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", CALLBACK),
    ];
    let body = text(rig.post("token", &fields).send().await.unwrap()).await;
    assert_eq!(body.matches("\"access_token\":").count(), 2);
    assert_eq!(body.matches("\"id_token\":").count(), 2);
    rig.apple.switches().trouble(Endpoint::Keys, Trouble::Huge(3_000_000));
    let (_, body) = fetch(&rig).await;
    assert!(body.len() > 3_000_000 && serde_json::from_str::<Value>(&body).unwrap()["keys"].is_array());
}

#[tokio::test]
async fn a_slow_answer_waits_for_the_clock() {
    let rig = Rig::new().await;
    rig.apple.switches().trouble_times(Endpoint::Keys, 1, Trouble::Slow(Duration::from_secs(20)));
    let (answer, ()) = tokio::join!(fetch(&rig), async {
        while rig.clock.sleeping() == 0 {
            tokio::task::yield_now().await;
        }
        rig.advance(20);
    });
    assert_eq!(answer.0, 200);
}

#[tokio::test]
async fn a_hanging_call_waits_for_the_gate_and_is_recorded_before() {
    let rig = Rig::new().await;
    let gate = Gate::closed();
    rig.apple.switches().trouble(Endpoint::Keys, Trouble::Hang(gate.clone()));
    let (answer, ()) = tokio::join!(fetch(&rig), async {
        rig.apple.calls().reached(Endpoint::Keys, 1).await;
        assert!(rig.apple.calls().last(Endpoint::Keys).unwrap().outcome.is_none());
        gate.open();
    });
    assert_eq!(answer.0, 200);
    assert_eq!(rig.apple.calls().last(Endpoint::Keys).unwrap().outcome.unwrap().status, 200);
}

#[tokio::test]
async fn a_held_answer_comes_late_to_work_that_was_done_at_once() {
    let rig = Rig::new().await;
    let tokens = rig.sign_in("administrator").await;
    let token = tokens["refresh_token"].as_str().unwrap();
    let gate = Gate::closed();
    rig.apple.switches().trouble(Endpoint::Revoke, Trouble::HoldAnswer(gate.clone()));
    let (answer, ()) = tokio::join!(rig.revoke(token), async {
        while gate.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(rig.refresh(token).await.0, 400);
        gate.open();
    });
    assert_eq!(answer.0, 200);
}

#[tokio::test]
async fn a_lost_answer_breaks_off_after_the_work_was_done() {
    let rig = Rig::new().await;
    rig.apple.switches().change(|behaviour| behaviour.refresh_rotation = true);
    let tokens = rig.sign_in("administrator").await;
    let token = tokens["refresh_token"].as_str().unwrap();
    let secret = rig.secret(CLIENT);
    rig.apple.switches().trouble_times(Endpoint::Refresh, 1, Trouble::LoseAnswer);
    let fields =
        [("client_id", CLIENT), ("client_secret", &*secret), ("grant_type", "refresh_token"), ("refresh_token", token)];
    let lost = match rig.post("token", &fields).send().await {
        Ok(mut response) => loop {
            match response.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => break false,
                Err(_) => break true,
            }
        },
        Err(_) => true,
    };
    assert!(lost);
    assert_eq!(rig.refresh(token).await.1, json!({"error": "invalid_grant"}));
}

#[tokio::test]
async fn down_cuts_everything_until_it_is_up_again() {
    let rig = Rig::new().await;
    assert_eq!(fetch(&rig).await.0, 200);
    rig.apple.switches().down(true);
    assert!(rig.http.get(rig.url("/auth/keys")).send().await.is_err());
    rig.apple.switches().down(false);
    assert_eq!(fetch(&rig).await.0, 200);
}

#[tokio::test]
async fn programs_without_a_name_of_their_own_are_turned_away() {
    let rig = Rig::new().await;
    let nameless = reqwest::Client::builder().no_proxy().build().unwrap();
    for request in
        [nameless.get(rig.url("/auth/keys")), nameless.get(rig.url("/auth/keys")).header("User-Agent", "Ruby")]
    {
        assert_eq!(request.send().await.unwrap().status(), 403);
    }
    assert_eq!(rig.apple.calls().last(Endpoint::Keys).unwrap().user_agent.as_deref(), Some("Ruby"));
}
