//! Forms and queries (`application/x-www-form-urlencoded`), where a repeated name is a refusal.

use std::fmt;

/// Most fields that are looked at.
const MOST_FIELDS: usize = 64;

/// Why a form is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A field that may stand once stands twice.
    #[error("a parameter is repeated")]
    Repeated,
    /// More than 64 fields.
    #[error("there are too many parameters")]
    TooMany,
}

/// The fields of a query or a form body. Values may be secrets: `Debug` shows none.
#[derive(Clone, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Decodes a query or a body.
    ///
    /// # Errors
    /// When it has more than 64 fields.
    pub fn parse(encoded: &[u8]) -> Result<Self, FormError> {
        let fields: Vec<_> = url::form_urlencoded::parse(encoded).into_owned().take(MOST_FIELDS + 1).collect();
        if fields.len() > MOST_FIELDS { Err(FormError::TooMany) } else { Ok(Self(fields)) }
    }

    /// The names of the fields, for those who know all that there may be.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Whether there is a field of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|other| other == name)
    }

    /// The value of a field that may stand at most once.
    ///
    /// # Errors
    /// When it stands twice: taking the first or the last is how two readers come to disagree.
    pub fn only(&self, name: &str) -> Result<Option<&str>, FormError> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (first, None) => Ok(first),
            (_, Some(_)) => Err(FormError::Repeated),
        }
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_field_is_refused_and_others_are_not_disturbed() {
        let form = Form::parse(b"state=a&code=x&code=x&y=%20+").unwrap();
        assert_eq!(form.only("state"), Ok(Some("a")));
        assert_eq!(form.only("code"), Err(FormError::Repeated));
        assert_eq!(form.only("y"), Ok(Some("  ")));
        assert_eq!(form.only("none"), Ok(None));
        assert_eq!(Form::parse(&b"a&".repeat(65)).err(), Some(FormError::TooMany));
    }

    #[test]
    fn debug_shows_no_values() {
        assert_eq!(format!("{:?}", Form::parse(b"code=secret").unwrap()), r#"["code"]"#);
    }
}
