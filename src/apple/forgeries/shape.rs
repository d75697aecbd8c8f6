//! Tokens that are not built as they must be: parts, base64, JSON, repeated members, signatures.

use super::*;

const fn header_json() -> VerifyError {
    header(HeaderFault::Json)
}

#[tokio::test]
async fn a_token_that_is_not_exactly_three_parts_of_base64url_is_refused() {
    let good = id_token(&claims());
    let [header, body, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let with_standard = |bytes: &[u8]| STANDARD.encode(bytes);
    let padded = URL_SAFE.encode(GOOD_HEADER);
    assert!(padded.ends_with('='));
    let raw_body = claims().to_string();
    // A quote-heavy text whose standard base64 has a slash or a plus.
    let slashes = with_standard(b"{\"kid\":\"k1\",\"alg\":\"RS256\",\"x\":\"???>>>\"}");
    assert!(slashes.contains('/') || slashes.contains('+'));
    let rows: Vec<Row> = vec![
        ("nothing", String::new(), VerifyError::Parts),
        ("a word", "token".into(), VerifyError::Parts),
        ("one part", header.into(), VerifyError::Parts),
        ("two parts", format!("{header}.{body}"), VerifyError::Parts),
        ("no signature", format!("{header}.{body}."), VerifyError::Parts),
        ("no claims", format!("{header}..{signature}"), VerifyError::Parts),
        ("no header", format!(".{body}.{signature}"), VerifyError::Parts),
        ("dots", "..".into(), VerifyError::Parts),
        ("four parts", format!("{good}.x"), VerifyError::Parts),
        ("a trailing dot", format!("{good}."), VerifyError::Parts),
        ("five parts, as JWE", format!("{header}.{body}.{signature}.x.y"), VerifyError::Parts),
        ("a space behind", format!("{good} "), VerifyError::Base64),
        ("a space before", format!(" {good}"), VerifyError::Base64),
        ("a line break behind", format!("{good}\n"), VerifyError::Base64),
        ("a line break inside", format!("{header}.\n{body}.{signature}"), VerifyError::Base64),
        ("NUL behind", format!("{good}\0"), VerifyError::Base64),
        ("padding behind the signature", format!("{good}=="), VerifyError::Base64),
        ("padding behind the header", format!("{padded}.{body}.{signature}"), VerifyError::Base64),
        ("standard base64", format!("{slashes}.{body}.{signature}"), VerifyError::Base64),
        ("something beyond ASCII", format!("{header}.é{body}.{signature}"), VerifyError::Base64),
        ("stray bits", format!("{header}.{body}.{}", stray_bits(signature)), VerifyError::Base64),
        ("a Bearer prefix", format!("Bearer {good}"), VerifyError::Base64),
        ("more than 16 KiB", with("more", json!("a".repeat(16_384))), VerifyError::TooLong),
        ("header without JSON", headed("RS256"), header_json()),
        ("header as a list", headed(r#"[{"alg":"RS256","kid":"k1"}]"#), header_json()),
        ("header and more", headed(r#"{"alg":"RS256","kid":"k1"}{}"#), header_json()),
        ("claims as a text", claiming("\"sub\""), VerifyError::Json),
        ("claims as a list", claiming(format!("[{raw_body}]")), VerifyError::Json),
        ("claims and more", claiming(format!("{raw_body}x")), VerifyError::Json),
        ("a byte order mark", claiming(format!("\u{feff}{raw_body}")), VerifyError::Json),
        (
            "bad UTF-8",
            claiming([raw_body.replace('}', ",\"x\":\"").as_bytes(), b"\xff\"}"].concat()),
            VerifyError::Json,
        ),
        ("a lone surrogate", claiming(raw_body.replace('}', ",\"x\":\"\\ud800\"}")), VerifyError::Json),
        ("a raw line break in a text", claiming(raw_body.replace("RUtP", "RUtP\n")), VerifyError::Json),
    ];
    world().await.check(rows).await;
}

/// The same bytes with another last letter, which a lenient decoder takes for the same.
fn stray_bits(part: &str) -> String {
    let (rest, last) = part.split_at(part.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.find(last).unwrap() + 1;
    format!("{rest}{}", &alphabet[next..=next])
}

#[tokio::test]
async fn a_member_that_stands_twice_is_refused() {
    let body = claims().to_string();
    let twice = |extra: &str| claiming(format!("{},{extra}}}", body.strip_suffix('}').unwrap()));
    world()
        .await
        .check(vec![
            ("alg twice", headed(r#"{"alg":"none","kid":"k1","alg":"RS256"}"#), VerifyError::Repeated),
            ("kid twice", headed(r#"{"alg":"RS256","kid":"k2","kid":"k1"}"#), VerifyError::Repeated),
            (
                "alg twice, once escaped",
                headed(r#"{"\u0061lg":"none","kid":"k1","alg":"RS256"}"#),
                VerifyError::Repeated,
            ),
            ("sub twice", twice(r#""sub":"admin""#), VerifyError::Repeated),
            ("sub twice, once escaped", twice(r#""s\u0075b":"admin""#), VerifyError::Repeated),
            ("twice the same", twice(r#""nonce_supported":true"#), VerifyError::Repeated),
            ("twice further down", twice(r#""more":{"a":1,"a":2}"#), VerifyError::Repeated),
        ])
        .await;
}

#[tokio::test]
async fn a_signature_that_is_not_of_these_very_bytes_is_refused() {
    let good = id_token(&claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, body) = message.split_once('.').unwrap();
    let other = with("sub", json!("001514.admin.2233"));
    let other_body = other.split('.').nth(1).unwrap();
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let encoded = |bytes: &[u8]| format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes));
    let by_other = sign_with(&RSA_PKCS1_SHA256, other_rsa_key(), GOOD_HEADER, claims().to_string().as_bytes());
    world()
        .await
        .check(vec![
            ("by another key", by_other, VerifyError::Signature),
            ("other claims", format!("{head}.{other_body}.{signature}"), VerifyError::Signature),
            ("claims for header", format!("{head}.{head}.{signature}"), VerifyError::Signature),
            ("zeros", encoded(&[0; 256]), VerifyError::Signature),
            ("one", encoded(&[0]), VerifyError::Signature),
            ("cut", encoded(&raw[..255]), VerifyError::Signature),
            ("a byte more", encoded(&[&raw[..], &[0]].concat()), VerifyError::Signature),
            ("a zero before", encoded(&[&[0], &raw[..]].concat()), VerifyError::Signature),
            ("the modulus", encoded(testing::modulus(rsa_key())), VerifyError::Signature),
            ("the claims as signature", format!("{message}.{body}"), VerifyError::Signature),
        ])
        .await;
}

#[tokio::test]
async fn no_letter_of_a_token_can_be_changed() {
    let world = world_with(std::iter::repeat_with(key_set).take(3), |_| ()).await;
    let good = id_token(&claims());
    for at in 0..good.len() {
        let other = if &good[at..=at] == "A" { "B" } else { "A" };
        let token = format!("{}{other}{}", &good[..at], &good[at + 1..]);
        assert!(world.verify(&token).await.is_err(), "letter {at}");
    }
    assert!(world.verify(&good).await.is_ok());
}
