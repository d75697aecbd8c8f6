//! Durations: `"30s"`, `"8h"`, `"7d"`.

use std::time::Duration;

use super::report::Fault;

/// Longer than this is a mistake: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads a whole number with a unit; zero is fine.
pub(super) fn parse(text: &str) -> Result<Duration, Fault> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(no_duration()),
    };
    if number.is_empty() || unit.trim() != unit {
        return Err(no_duration());
    }
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(millis))
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| Fault::new("is longer than a hundred years", "write something shorter, such as \"365d\""))
}

/// The same, but not zero: for what would never work, or never be checked, with no time at all.
pub(super) fn positive(text: &str) -> Result<Duration, Fault> {
    let duration = parse(text)?;
    if duration.is_zero() {
        return Err(Fault::new("leaves no time at all", "write a duration above zero, such as \"10s\""));
    }
    Ok(duration)
}

fn no_duration() -> Fault {
    Fault::new(
        "is not a duration",
        "write a whole number and a unit, one of ms, s, m, h and d, such as \"30s\", \"8h\" or \"7d\"",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_with_a_unit_is_a_duration() {
        for (text, seconds) in
            [("30s", 30), ("5m", 300), ("8h", 28_800), ("7d", 604_800), ("0s", 0), ("36500d", 3_153_600_000)]
        {
            assert_eq!(parse(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        assert_eq!(parse("500ms").unwrap(), Duration::from_millis(500));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "30", "s", "30 s", " 30s", "30s ", "-1s", "+1s", "1.5h", "1h30m", "30S", "30sec", "1e3s", "٣s"]
        {
            assert_eq!(parse(text).unwrap_err(), no_duration(), "{text:?}");
        }
    }

    #[test]
    fn a_duration_beyond_reason_is_refused_and_does_not_overflow() {
        for text in ["36501d", "18446744073709551615d", "99999999999999999999999s"] {
            assert!(parse(text).unwrap_err().message.contains("hundred years"), "{text}");
        }
    }

    #[test]
    fn zero_is_refused_where_it_makes_no_sense() {
        assert!(positive("0s").is_err() && positive("0d").is_err() && positive("1ms").is_ok());
    }
}
