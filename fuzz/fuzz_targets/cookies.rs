//! Cookie fields, cut at line feeds: reading never fails, and removal leaves nothing to read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schoolgate::web::CookieJar;

fuzz_target!(|bytes: &[u8]| {
    let fields = || bytes.split(|byte| *byte == b'\n');
    let jar = CookieJar::parse(fields());
    let _ = jar.values("__Host-schoolgate").count();
    let ours = |name: &[u8], _: &[u8]| name.starts_with(b"__Host-schoolgate");
    if let Some(rest) = jar.without(ours) {
        let left = CookieJar::parse([rest.as_slice()]);
        assert_eq!(left.with_prefix("__Host-schoolgate").count(), 0);
    }
});
