//! A form: a field is there once, or not at all, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schoolgate::web::Form;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(form) = Form::parse(bytes) {
        for name in ["state", "code", "error", "user", ""] {
            let _ = form.only(name);
        }
        let _ = format!("{form:?}");
    }
});
