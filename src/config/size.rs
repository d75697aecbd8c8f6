//! Sizes: `"1KiB"`, `"100MiB"`.

use super::report::Fault;

/// Reads a whole number with a unit.
pub(super) fn parse(text: &str) -> Result<u64, Fault> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let bytes: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(no_size(number, unit)),
    };
    if number.is_empty() {
        return Err(no_size(number, unit));
    }
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(bytes))
        .filter(|size| *size <= 1 << 50)
        .ok_or_else(|| Fault::new("is more than there is anywhere", "write something smaller, such as \"1GiB\""))
}

/// The same, within limits that a message can name.
pub(super) fn between(text: &str, least: (u64, &str), most: (u64, &str)) -> Result<u64, Fault> {
    let size = parse(text)?;
    if (least.0..=most.0).contains(&size) {
        return Ok(size);
    }
    let cure = format!("write something from \"{}\" to \"{}\"", least.1, most.1);
    Err(Fault::new(if size < least.0 { "is too small" } else { "is too large" }, cure))
}

fn no_size(number: &str, unit: &str) -> Fault {
    let meant = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => "B",
        "k" | "kb" | "kib" => "KiB",
        "m" | "mb" | "mib" => "MiB",
        "g" | "gb" | "gib" => "GiB",
        _ => "",
    };
    let cure = if number.is_empty() || meant.is_empty() {
        "write a whole number and a unit, one of B, KiB, MiB and GiB, such as \"100MiB\"".into()
    } else {
        format!("did you mean \"{number}{meant}\"? The units are B, KiB, MiB and GiB")
    };
    Fault::new("is not a size", cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_with_a_unit_is_a_size() {
        for (text, bytes) in [
            ("512B", 512),
            ("1KiB", 1024),
            ("32KiB", 32_768),
            ("100MiB", 104_857_600),
            ("2GiB", 2_147_483_648),
            ("0B", 0),
        ] {
            assert_eq!(parse(text).unwrap(), bytes, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_was_probably_meant() {
        for (text, meant) in [("100MB", "\"100MiB\""), ("100", "\"100B\""), ("1k", "\"1KiB\""), ("5 GiB", "\"5GiB\"")] {
            assert!(parse(text).unwrap_err().cure.contains(meant), "{text}");
        }
        for text in ["", "KiB", "-1KiB", "1.5MiB", "1TiB", "lots", "1KiB "] {
            assert_eq!(parse(text).unwrap_err().message, "is not a size", "{text:?}");
        }
        for text in ["99999999999999999999GiB", "18446744073709551615GiB", "18446744073709551615B"] {
            assert!(parse(text).unwrap_err().message.contains("more than"), "{text}");
        }
    }

    #[test]
    fn limits_are_kept_and_named() {
        let limited = |text| between(text, (1024, "1KiB"), (1 << 20, "1MiB"));
        assert_eq!(limited("1KiB").unwrap(), 1024);
        assert!(limited("1023B").unwrap_err().cure.contains("\"1KiB\" to \"1MiB\""));
        assert_eq!(limited("2MiB").unwrap_err().message, "is too large");
    }
}
