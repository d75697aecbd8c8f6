//! The fields of a query or a form, with everything a strict reader needs: raw text, repeats, unknown names.

use percent_encoding::percent_decode_str;

struct Field {
    name: String,
    value: String,
    raw: String,
}

/// Decoded fields in their order.
pub(super) struct Fields {
    fields: Vec<Field>,
    malformed: bool,
}

impl Fields {
    /// Decodes `application/x-www-form-urlencoded` text.
    pub(super) fn parse(encoded: &str) -> Self {
        let mut malformed = false;
        let mut decode = |raw: &str| {
            let decoded = decoded(raw);
            malformed |= decoded.is_none();
            decoded.unwrap_or_default()
        };
        let fields = encoded
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, raw) = pair.split_once('=').unwrap_or((pair, ""));
                Field { name: decode(name), value: decode(raw), raw: raw.to_owned() }
            })
            .collect();
        Self { fields, malformed }
    }

    /// Whether a percent-encoding was wrong or hid something that is not UTF-8.
    pub(super) fn is_malformed(&self) -> bool {
        self.malformed
    }

    /// A name that stands more than once.
    pub(super) fn repeated(&self) -> Option<&str> {
        let mut names: Vec<_> = self.fields.iter().map(|field| field.name.as_str()).collect();
        names.sort_unstable();
        names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }

    /// A name that is not among `known`.
    pub(super) fn unknown(&self, known: &[&str]) -> Option<&str> {
        self.fields.iter().map(|field| field.name.as_str()).find(|name| !known.contains(name))
    }

    /// The decoded value. RFC 6749, section 3.1: an empty one counts as left out.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.field(name).map(|field| field.value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether the name stands there, with a value or without.
    pub(super) fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// The value before it was decoded.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.field(name).map(|field| field.raw.as_str())
    }

    /// Names and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|field| (field.name.as_str(), field.value.as_str()))
    }

    fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

fn decoded(raw: &str) -> Option<String> {
    let well_formed = raw
        .split('%')
        .skip(1)
        .all(|after| after.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    let spaced = raw.replace('+', " ");
    let text = percent_decode_str(&spaced).decode_utf8().ok()?.into_owned();
    well_formed.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_the_raw_text_is_kept() {
        let fields = Fields::parse("scope=a%20b&state=x+y&empty=&bare");
        assert_eq!(fields.value("scope"), Some("a b"));
        assert_eq!(fields.raw("state"), Some("x+y"));
        assert_eq!(fields.value("state"), Some("x y"));
        assert_eq!(fields.value("empty"), None);
        assert!(fields.has("bare") && !fields.has("other"));
        assert!(!fields.is_malformed());
        assert_eq!(fields.unknown(&["scope", "state", "empty"]), Some("bare"));
    }

    #[test]
    fn a_repeat_under_any_spelling_is_seen() {
        assert_eq!(Fields::parse("code=a&b=c&c%6fde=d").repeated(), Some("code"));
        assert_eq!(Fields::parse("a=1&b=1").repeated(), None);
    }

    #[test]
    fn wrong_percent_encoding_is_seen() {
        for raw in ["a=%", "a=%2", "a=%zz", "a=%ff", "%=a"] {
            assert!(Fields::parse(raw).is_malformed(), "{raw}");
        }
    }
}
