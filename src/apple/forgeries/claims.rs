//! Claims that say something wrong, or in a wrong way, under a good signature.

use super::*;

#[tokio::test]
async fn another_issuer_or_audience_is_refused() {
    let client = "org.example.school.gateway";
    let aud_azp = |aud: Value, azp: Value| {
        let mut claims = claims();
        (claims["aud"], claims["azp"]) = (aud, azp);
        id_token(&claims)
    };
    let (aud, azp) = (|| VerifyError::Audience, || VerifyError::AuthorizedParty);
    world()
        .await
        .check(vec![
            ("another iss", with("iss", json!("https://account.apple.com")), VerifyError::Issuer),
            ("iss with a slash", with("iss", json!("https://appleid.apple.com/")), VerifyError::Issuer),
            ("iss in capitals", with("iss", json!("https://AppleID.apple.com")), VerifyError::Issuer),
            ("iss with a path", with("iss", json!("https://appleid.apple.com/auth/oauth2/v2")), VerifyError::Issuer),
            ("iss with a blank", with("iss", json!("https://appleid.apple.com ")), VerifyError::Issuer),
            ("an empty iss", with("iss", json!("")), VerifyError::Issuer),
            ("iss as a list", with("iss", json!(["https://appleid.apple.com"])), VerifyError::Odd("iss")),
            ("iss null", with("iss", json!(null)), VerifyError::Odd("iss")),
            ("no iss", without("iss"), VerifyError::Missing("iss")),
            ("another aud", with("aud", json!("org.example.other")), aud()),
            ("aud in capitals", with("aud", json!(client.to_uppercase())), aud()),
            ("a longer aud", with("aud", json!(format!("{client}.evil"))), aud()),
            ("other auds", with("aud", json!(["a", "b"])), aud()),
            ("no aud", without("aud"), VerifyError::Missing("aud")),
            ("no audiences", with("aud", json!([])), VerifyError::Odd("aud")),
            ("aud as an object", with("aud", json!({ client: 1 })), VerifyError::Odd("aud")),
            ("aud with a number", with("aud", json!([client, 1])), VerifyError::Odd("aud")),
            ("aud in a list in a list", with("aud", json!([[client]])), VerifyError::Odd("aud")),
            ("very many auds", with("aud", json!(vec![client; 17])), VerifyError::Odd("aud")),
            ("a second aud", with("aud", json!([client, "evil"])), azp()),
            ("a second aud first", with("aud", json!(["evil", client])), azp()),
            ("a second aud and another azp", aud_azp(json!([client, "evil"]), json!("evil")), azp()),
            ("another azp", with("azp", json!("evil")), azp()),
            ("an empty azp", with("azp", json!("")), azp()),
            ("azp as a list", with("azp", json!([client])), VerifyError::Odd("azp")),
            ("azp null", with("azp", json!(null)), VerifyError::Odd("azp")),
        ])
        .await;
}

#[tokio::test]
async fn a_wrong_date_is_refused() {
    let now = NOW.seconds();
    let mut rows: Vec<Row> = vec![
        ("exp long past", with("exp", json!(1)), VerifyError::Expired),
        ("exp past by the skew", with("exp", json!(now - 60)), VerifyError::Expired),
        ("exp zero", with("exp", json!(0)), VerifyError::Expired),
        ("iat in the future", with("iat", json!(now + 61)), VerifyError::FromTheFuture("iat")),
        ("nbf in the future", with("nbf", json!(now + 61)), VerifyError::FromTheFuture("nbf")),
        ("iat at exp", with("exp", json!(now)), VerifyError::Lifetime),
        ("iat after exp", with("exp", json!(now - 1)), VerifyError::Lifetime),
        ("no exp", without("exp"), VerifyError::Missing("exp")),
        ("no iat", without("iat"), VerifyError::Missing("iat")),
    ];
    for name in ["exp", "iat", "nbf", "auth_time"] {
        for odd in [
            json!(1e300),
            json!(now as f64 + 0.5),
            json!(-1),
            json!((1_u64 << 53) + 1),
            json!(u64::MAX),
            json!(now.to_string()),
            json!(""),
            json!(null),
            json!(true),
            json!([now]),
            json!({}),
        ] {
            rows.push((name, with(name, odd), VerifyError::Odd(name)));
        }
    }
    let year_2106 = claims().to_string().replace(&(now + 86_400).to_string(), "4294967296.0");
    rows.push(("exp as a float", claiming(year_2106), VerifyError::Odd("exp")));
    let infinite = claims().to_string().replace(&(now + 86_400).to_string(), "1e999");
    rows.push(("exp beyond all numbers", claiming(infinite), VerifyError::Json));
    world().await.check(rows).await;
}

#[tokio::test]
async fn a_token_of_another_sign_in_is_refused() {
    let odd = VerifyError::Odd;
    world()
        .await
        .check(vec![
            ("no nonce", without("nonce"), VerifyError::Missing("nonce")),
            ("another nonce", with("nonce", json!("other")), VerifyError::Nonce),
            ("an empty nonce", with("nonce", json!("")), VerifyError::Nonce),
            ("a longer nonce", with("nonce", json!(format!("{}x", testing::NONCE))), VerifyError::Nonce),
            ("the nonce hashed", with("nonce", json!(half_hash(testing::NONCE))), VerifyError::Nonce),
            ("nonce null", with("nonce", json!(null)), odd("nonce")),
            ("nonce as a list", with("nonce", json!([testing::NONCE])), odd("nonce")),
            ("another at_hash", with("at_hash", json!(half_hash("other"))), VerifyError::AccessTokenHash),
            ("c_hash as at_hash", with("at_hash", json!(half_hash(testing::CODE))), VerifyError::AccessTokenHash),
            ("an empty at_hash", with("at_hash", json!("")), VerifyError::AccessTokenHash),
            ("at_hash null", with("at_hash", json!(null)), odd("at_hash")),
            ("another c_hash", with("c_hash", json!(half_hash("other"))), VerifyError::CodeHash),
            ("a cut c_hash", with("c_hash", json!(half_hash(testing::CODE)[..21])), VerifyError::CodeHash),
            ("c_hash as a number", with("c_hash", json!(1)), odd("c_hash")),
        ])
        .await;
    let world = world_with([key_set()], |_| ()).await;
    let (nonce, code, access_token) = (Nonce::new(""), AuthorizationCode::new(""), AccessToken::new(""));
    let expected = Expected { nonce: &nonce, code: &code, access_token: &access_token };
    let result = world.apple.verify(&RawIdToken::new(without("nonce")), &expected).await;
    assert_eq!(result.err(), Some(VerifyError::Missing("nonce")), "no nonce expected, none there");
}

#[tokio::test]
async fn a_subject_or_organization_that_is_no_name_is_refused() {
    let odd = VerifyError::Odd;
    let mut rows: Vec<Row> = vec![
        ("no sub", without("sub"), VerifyError::Missing("sub")),
        ("an empty sub", with("sub", json!("")), VerifyError::Subject(NameError::Empty)),
        ("a long sub", with("sub", json!("a".repeat(256))), VerifyError::Subject(NameError::TooLong)),
        ("a huge sub", with("sub", json!("a".repeat(65_536))), VerifyError::TooLong),
        ("sub as a number", with("sub", json!(1)), odd("sub")),
        ("sub null", with("sub", json!(null)), odd("sub")),
        ("sub as a list", with("sub", json!(["a"])), odd("sub")),
        ("an empty org_id", with("org_id", json!("")), VerifyError::Organization(NameError::Empty)),
        ("org_id null", with("org_id", json!(null)), odd("org_id")),
        ("org_id as a list", with("org_id", json!(["a"])), odd("org_id")),
        ("a long org_id", with("org_id", json!("a".repeat(256))), VerifyError::Organization(NameError::TooLong)),
    ];
    for text in ["a\0", "a\r\nX-Admin: 1", "a b", "é", "a\u{7f}", " a", "a\u{200b}"] {
        rows.push(("binary sub", with("sub", json!(text)), VerifyError::Subject(NameError::Character)));
        rows.push(("binary org_id", with("org_id", json!(text)), VerifyError::Organization(NameError::Character)));
    }
    world().await.check(rows).await;
}

#[tokio::test]
async fn other_claims_of_a_wrong_type_are_refused() {
    let odd = VerifyError::Odd;
    world()
        .await
        .check(vec![
            ("email as a list", with("email", json!(["a@x"])), odd("email")),
            ("email null", with("email", json!(null)), odd("email")),
            ("email with a line break", with("email", json!("a@x\r\nX: y")), odd("email")),
            ("a long email", with("email", json!("a".repeat(321))), odd("email")),
            ("email_verified as a word", with("email_verified", json!("yes")), odd("email_verified")),
            ("email_verified as a number", with("email_verified", json!(1)), odd("email_verified")),
            ("is_private_email as a word", with("is_private_email", json!("TRUE")), odd("is_private_email")),
            ("scopes as a list", with("scopes", json!(["edu.users.read"])), odd("scopes")),
            ("scopes with a quote", with("scopes", json!("a\"b")), odd("scopes")),
        ])
        .await;
}
