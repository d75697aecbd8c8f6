//! JSON in which a repeated member is a refusal: two readers that disagree on which one counts is how
//! forged tokens pass (RFC 8259, section 4; RFC 7519, section 4).

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, error::Category};

/// An object without repeated members, however deep.
pub(super) type Object = Map<String, Value>;

/// Why bytes are no such object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JsonError {
    /// Not JSON at all: HTML, bad UTF-8, something behind the end, nested too deep.
    #[error("is not JSON")]
    Syntax,
    /// A member stands twice in one object.
    #[error("has a repeated member")]
    Repeated,
    /// JSON, but not an object.
    #[error("is not a JSON object")]
    NotAnObject,
}

/// Reads one object and nothing behind it.
pub(super) fn object(bytes: &[u8]) -> Result<Object, JsonError> {
    match value(bytes)? {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(JsonError::NotAnObject)
        }
    }
}

/// Reads one value of any type and nothing behind it.
pub(super) fn value(bytes: &[u8]) -> Result<Value, JsonError> {
    match serde_json::from_slice(bytes) {
        Ok(Unique(value)) => Ok(value),
        Err(error) => match error.classify() {
            // The visitor takes every type, so the only fault of data is its own.
            Category::Data => Err(JsonError::Repeated),
            Category::Io | Category::Syntax | Category::Eof => Err(JsonError::Syntax),
        },
    }
}

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Object::new();
        while let Some((name, Unique(value))) = members.next_entry::<String, _>()? {
            // The name is unescaped by now: `"\u0061lg"` is `"alg"`.
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom("a repeated member"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_is_read_as_it_is() {
        let text = br#" {"a": [1, -2, 0.5, "x", null, true, {"b": {}}], "c": "\u00e9"} "#;
        assert_eq!(
            Value::Object(object(text).unwrap()),
            json!({"a": [1, -2, 0.5, "x", null, true, {"b": {}}], "c": "é"})
        );
    }

    #[test]
    fn a_repeated_member_is_refused_at_any_depth_and_in_any_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"alg":"RS256","\u0061lg":"none"}"#,
            r#"{"a":{"b":1,"c":2,"b":3}}"#,
            r#"{"a":[{"b":1,"b":2}]}"#,
            r#"{"":1,"":2}"#,
        ] {
            assert_eq!(object(text.as_bytes()), Err(JsonError::Repeated), "{text}");
        }
        assert!(object(br#"{"a":1,"A":1,"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn what_is_not_exactly_one_object_is_refused() {
        for text in ["[]", "1", "\"x\"", "null"] {
            assert_eq!(object(text.as_bytes()), Err(JsonError::NotAnObject), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500));
        for text in [
            "",
            "<html>",
            "{",
            "{} {}",
            "{}x",
            "\u{feff}{}",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":01}",
            "{\"a\":1e999}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\n\"}",
            &deep,
        ] {
            assert_eq!(object(text.as_bytes()), Err(JsonError::Syntax), "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(JsonError::Syntax));
        assert_eq!(object(b"{\"a\":\"\xc0\xaf\"}"), Err(JsonError::Syntax));
    }
}
