//! A path: the canonical form is its own canonical form, and has no second meaning.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schoolgate::web::CanonicalPath;

fuzz_target!(|raw: &str| {
    let Ok(path) = CanonicalPath::parse(raw) else { return };
    let text = path.as_str();
    assert_eq!(CanonicalPath::parse(text).as_ref(), Ok(&path));
    assert!(text.starts_with('/') && !text.contains("//") && !text.contains(['\\', '?', '#', ' ']));
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!text.split('/').any(|segment| segment == "." || segment == ".."));
});
