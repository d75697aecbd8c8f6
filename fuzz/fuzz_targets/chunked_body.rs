//! A chunked body: it ends at the same byte, or fails in the same way, however it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schoolgate::proxy::wire::{Body, BodyKind, Refusal};

fn feed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<(usize, bool), Refusal> {
    let mut body = Body::new(BodyKind::Chunked);
    let mut used = 0;
    for piece in pieces {
        used += body.feed(piece)?;
    }
    Ok((used, body.is_done()))
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let whole = feed([bytes].into_iter());
    assert_eq!(feed(bytes.chunks(usize::from(size).max(1))), whole);
    assert_eq!(feed(bytes.chunks(1)), whole);
    if let Ok((used, true)) = whole {
        assert!(bytes[..used].ends_with(b"\r\n"));
        assert_eq!(feed([&bytes[..used - 1]].into_iter()), Ok((used - 1, false)));
    }
});
