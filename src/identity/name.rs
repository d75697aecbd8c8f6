//! Opaque names that Apple gives: the subject and the organization.

use std::fmt;

use super::SharedText;

/// Longest subject or organization in bytes. OpenID Connect Core, section 2: `sub` MUST NOT exceed
/// 255 ASCII characters.
const LONGEST: usize = 255;

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no characters.
    #[error("is empty")]
    Empty,
    /// It has more than 255.
    #[error("is longer than 255 characters")]
    TooLong,
    /// It has white space, control characters or something beyond ASCII, which could end up as
    /// something else in a header, a log or a database.
    #[error("has a character that is not visible ASCII")]
    Character,
}

fn checked(text: &str) -> Result<&str, NameError> {
    match text {
        "" => Err(NameError::Empty),
        long if long.len() > LONGEST => Err(NameError::TooLong),
        odd if !odd.bytes().all(|byte| byte.is_ascii_graphic()) => Err(NameError::Character),
        fine => Ok(fine),
    }
}

macro_rules! opaque_name {
    ($(#[$doc:meta])* $name:ident($text:ty), $keep:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($text);

        impl $name {
            /// Accepts 1 to 255 visible ASCII characters.
            ///
            /// # Errors
            /// When the text is empty, longer, or has any other character.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                checked(text).map($keep).map(Self)
            }

            /// The text, exactly as Apple gave it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

opaque_name! {
    /// The `sub` claim: stable, unique within the developer team, opaque and case-sensitive.
    Subject(Box<str>), Into::into
}

opaque_name! {
    /// The `org_id` claim: the Apple School Manager organization of a Managed Apple Account.
    Organization(SharedText), SharedText::of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_of_apple_subjects_are_accepted_and_case_is_kept() {
        for text in
            ["000264.UDRoeTAxVUppaHdNQU5HYWN6MEU5VDRUWFVQU1BV.RUtP", "001514.0685fcddf96a4871a7dcf841d95a7e54.2233"]
        {
            assert_eq!(Subject::parse(text).unwrap().as_str(), text);
        }
        assert_ne!(Subject::parse("a").unwrap(), Subject::parse("A").unwrap());
    }

    #[test]
    fn a_subject_that_is_empty_long_or_binary_is_refused() {
        assert_eq!(Subject::parse(""), Err(NameError::Empty));
        assert_eq!(Subject::parse(&"a".repeat(256)), Err(NameError::TooLong));
        assert!(Subject::parse(&"a".repeat(255)).is_ok());
        for text in ["a b", "a\0", "a\r\nX-Admin: 1", "\u{7f}", "é", "\t"] {
            assert_eq!(Subject::parse(text), Err(NameError::Character), "{text:?}");
        }
    }
}
