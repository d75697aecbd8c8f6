//! A request head of HTTP/2, as lines of method, target and fields: what is accepted reads the same as HTTP/1.1.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schoolgate::proxy::wire::{Head, Transcript};

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let (Some(method), Some(target)) = (lines.next(), lines.next()) else { return };
    let mut request = http::Request::builder().method(method).uri(target);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        request = request.header(&line[..colon], line.get(colon + 1..).unwrap_or_default());
    }
    let Ok(request) = request.body(()) else { return };
    let (parts, ()) = request.into_parts();
    let transcript = Transcript::of(&parts);
    let Ok(head) = transcript.read(32 * 1024) else { return };
    // No value has become a field, or a request, of its own: beside the host and the cookies there is what was sent.
    let sent = parts.headers.keys().filter(|name| !["host", "cookie"].contains(&name.as_str()));
    let sent: usize = sent.map(|name| parts.headers.get_all(name).iter().count()).sum();
    assert_eq!(head.fields().count(), 1 + usize::from(parts.headers.contains_key("cookie")) + sent);
    let (again, length) = Head::parse(transcript.unjudged(), usize::MAX).expect("is good").expect("is whole");
    assert_eq!(length, transcript.unjudged().len());
    assert_eq!(
        (again.method(), again.host(), again.target(), again.body()),
        (head.method(), head.host(), head.target(), head.body())
    );
});
