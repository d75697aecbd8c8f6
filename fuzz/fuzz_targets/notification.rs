//! A posted notification: what looks signed in one envelope is the same in every other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schoolgate::apple::Posted;

fuzz_target!(|bytes: &[u8]| {
    let Ok(posted) = Posted::parse(bytes) else { return };
    let token = posted.raw().expose();
    assert!(!token.is_empty());
    let Ok(key) = posted.key_id() else { return };
    assert!((1..=64).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
    for body in [token.to_owned(), format!("payload={token}"), format!("{{\"payload\":\"{token}\"}}")] {
        let again = Posted::parse(body.as_bytes()).expect("is an envelope");
        assert_eq!(again.raw().expose(), token);
        assert_eq!(again.key_id().as_ref(), Ok(&key));
    }
});
