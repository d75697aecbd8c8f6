//! A request head: what is accepted is stable, and reads the same a second time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schoolgate::proxy::wire::Head;

const MOST_BYTES: usize = 32 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some((head, length))) = Head::parse(bytes, MOST_BYTES) else { return };
    assert!(length <= bytes.len() && length <= MOST_BYTES);
    // Nothing behind the head changes it, and no part of it is enough.
    assert!(matches!(Head::parse(&bytes[..length], MOST_BYTES), Ok(Some((_, same))) if same == length));
    assert!(matches!(Head::parse(&bytes[..length - 1], MOST_BYTES), Ok(None)));
    // What pingora reads is itself a good head, and means the same.
    let (again, all) = Head::parse(head.text(), usize::MAX).expect("is good").expect("is whole");
    assert_eq!(all, head.text().len());
    assert_eq!(again.text(), head.text());
    assert_eq!(
        (again.method(), again.target(), again.body(), again.websocket()),
        (head.method(), head.target(), head.body(), head.websocket())
    );
});
