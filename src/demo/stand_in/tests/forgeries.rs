//! Forged ID tokens, and claims on demand.

use super::*;

#[tokio::test]
async fn every_forgery_differs_from_a_true_token_and_ends_with_the_switch() {
    let rig = Rig::new().await;
    let true_claims = rig.claims(&rig.sign_in("administrator").await);
    let true_header = json!({"alg": "RS256"});
    let mut seen = std::collections::HashSet::new();
    for forgery in Forgery::ALL {
        rig.apple.switches().change(|behaviour| behaviour.forgery = Some(*forgery));
        let tokens = rig.sign_in("administrator").await;
        let token = tokens["id_token"].as_str().unwrap();
        // Either a plain verifier refuses it, or header or claims show what is odd: that is what a gateway must see.
        if let Some(claims) = rig.verify(token).await {
            let header = jsonwebtoken::decode_header(token).unwrap();
            let plain =
                json!({ "alg": header.alg, "crit": header.crit }) == json!({ "alg": true_header["alg"], "crit": null });
            let odd = odd_members(&claims, &true_claims);
            let hidden = [
                Forgery::CriticalEmpty,
                Forgery::KeyForEncryption,
                Forgery::KeyForOtherOperations,
                Forgery::KeyForOtherAlgorithm,
                Forgery::HeaderDuplicateAlg,
                Forgery::HeaderDuplicateKid,
                Forgery::DuplicateSubject,
                Forgery::DuplicateAudience,
            ];
            assert!(!odd.is_empty() || !plain || hidden.contains(forgery), "{forgery:?} changes nothing");
        }
        assert!(seen.insert(*forgery), "{forgery:?} is listed twice");
    }
    rig.apple.switches().reset();
    assert!(rig.verify(rig.sign_in("administrator").await["id_token"].as_str().unwrap()).await.is_some());
}

/// Claims that are not as in a true token of the same person at the same time.
fn odd_members(claims: &Value, true_claims: &Value) -> Vec<String> {
    let (claims, true_claims) = (claims.as_object().unwrap(), true_claims.as_object().unwrap());
    let differs = |name: &&String| {
        claims.get(*name) != true_claims.get(*name)
            && (*name != "at_hash" || claims["at_hash"].as_str().is_none_or(|hash| hash.len() != 22))
            || *name == "at_hash" && claims["at_hash"] == forging::half_hash("another access token")
    };
    claims.keys().chain(true_claims.keys()).filter(differs).cloned().collect()
}

#[tokio::test]
async fn a_plain_verifier_refuses_what_is_badly_signed() {
    let rig = Rig::new().await;
    for forgery in [
        Forgery::AlgNone,
        Forgery::HmacWithPublicPem,
        Forgery::HmacWithModulus,
        Forgery::Rs512,
        Forgery::Ps256,
        Forgery::Rs512CalledRs256,
        Forgery::UnknownKid,
        Forgery::ForeignKey,
        Forgery::EmbeddedKey,
        Forgery::EmbeddedKeyKnownKid,
        Forgery::TamperedClaims,
        Forgery::TamperedSignature,
        Forgery::SignatureMissing,
        Forgery::TwoParts,
        Forgery::FourParts,
        Forgery::IssuerAccount,
        Forgery::AudienceOther,
        Forgery::EmptyToken,
    ] {
        rig.apple.switches().change(|behaviour| behaviour.forgery = Some(forgery));
        let tokens = rig.sign_in("administrator").await;
        assert!(rig.verify(tokens["id_token"].as_str().unwrap()).await.is_none(), "{forgery:?}");
    }
}

#[tokio::test]
async fn id_tokens_can_be_left_out_of_either_answer() {
    let rig = Rig::new().await;
    rig.apple.switches().change(|behaviour| behaviour.id_token_on_exchange = false);
    let tokens = rig.sign_in("administrator").await;
    assert!(tokens.get("id_token").is_none());
    let token = tokens["refresh_token"].as_str().unwrap();
    assert!(rig.refresh(token).await.1.get("id_token").is_some());
    rig.apple.switches().change(|behaviour| behaviour.id_token_on_refresh = false);
    assert!(rig.refresh(token).await.1.get("id_token").is_none());
}

#[tokio::test]
async fn claims_and_members_follow_their_switches() {
    let rig = Rig::new().await;
    let only = crate::identity::ScopeSet::parse("edu.users.read name").unwrap();
    rig.apple.switches().change(|behaviour| {
        behaviour.issuer = Issuer::Account;
        behaviour.email_verified = VerifiedClaim::Always(Verified::Text(true));
        behaviour.c_hash = true;
        behaviour.at_hash = false;
        behaviour.auth_time = false;
        behaviour.granted = Granted::Only(only);
        behaviour.scope_member = true;
        behaviour.expires_in = ExpiresIn::Text;
        behaviour.token_type = TokenType::LowerCase;
        behaviour.access_token_lifetime = Duration::from_secs(60);
    });
    let tokens = rig.sign_in("administrator").await;
    let claims = rig.claims(&tokens);
    assert_eq!(claims["iss"], "https://account.apple.com");
    assert_eq!(claims["email_verified"], "true");
    assert_eq!(claims["scopes"], "edu.users.read");
    assert!(claims.get("at_hash").is_none() && claims.get("auth_time").is_none() && claims["c_hash"].is_string());
    assert_eq!((&tokens["scope"], &tokens["expires_in"]), (&json!("edu.users.read"), &json!("60")));
    assert_eq!(tokens["token_type"], "bearer");
    rig.apple.switches().change(|behaviour| {
        behaviour.email = EmailClaim::Absent;
        behaviour.expires_in = ExpiresIn::Absent;
        behaviour.token_type = TokenType::Absent;
        behaviour.refresh_token = false;
        behaviour.scopes_claim = false;
    });
    let tokens = rig.sign_in("administrator").await;
    let claims = rig.claims(&tokens);
    for name in ["email", "email_verified", "scopes"] {
        assert!(claims.get(name).is_none(), "{name}");
    }
    for name in ["expires_in", "token_type", "refresh_token"] {
        assert!(tokens.get(name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn people_differ_as_real_ones_do() {
    let rig = Rig::new().await;
    let young = rig.claims(&rig.sign_in_for("pupil-1", "").await);
    assert!(young.get("email").is_none() && young.get("email_verified").is_none() && young["org_id"].is_string());
    let texty = rig.claims(&rig.sign_in_for("teacher-2", "").await);
    assert_eq!(texty["email_verified"], "false");
}

#[tokio::test]
async fn a_refresh_can_tell_of_another_person_and_repeat_the_nonce() {
    let rig = Rig::new().await;
    let tokens = rig.sign_in("administrator").await;
    rig.apple.switches().change(|behaviour| {
        behaviour.other_person_on_refresh = true;
        behaviour.nonce_on_refresh = true;
    });
    let claims = rig.claims(&rig.refresh(tokens["refresh_token"].as_str().unwrap()).await.1);
    assert_ne!(claims["sub"], rig.claims(&tokens)["sub"]);
    assert_eq!(claims["nonce"], "the-nonce");
}
