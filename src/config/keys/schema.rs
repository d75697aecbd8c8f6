//! The JSON schema of gateway.toml, for editors.

use serde_json::{Map, Value, json};

use super::{Change, Default, Key, Kind, SECTIONS, Section};

/// The draft that taplo, the language server for TOML, understands.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// A JSON schema of gateway.toml. It is a help for writing and not the judge: the configuration is checked by
/// [`load`](crate::config::load), which knows more than a schema can say.
pub fn schema() -> Value {
    let mut file = object(children(""), &required_sections());
    if let Value::Object(file) = &mut file {
        file.insert("$schema".into(), DRAFT.into());
        file.insert("title".into(), "gateway.toml".into());
        file.insert("description".into(), "The configuration of schoolgate.".into());
    }
    file
}

/// Without these there is nothing to do: those with a key that may not be left out.
fn required_sections() -> Vec<&'static str> {
    let needed = |section: &&Section| section.parent().is_empty() && !required(section.keys).is_empty();
    SECTIONS.iter().filter(needed).map(Section::name).collect()
}

/// The sections of a section.
fn children(parent: &str) -> Map<String, Value> {
    let below = SECTIONS.iter().filter(|section| section.parent() == parent);
    below.map(|section| (section.name().to_owned(), of_section(section))).collect()
}

fn of_section(section: &Section) -> Value {
    let mut properties = children(section.path);
    properties.extend(section.keys.iter().map(|key| (key.name.to_owned(), of_key(key))));
    let mut one = object(properties, &required(section.keys));
    if let Value::Object(one) = &mut one {
        one.insert("description".into(), section.doc.into());
    }
    if section.repeats {
        let least = usize::from(!required(section.keys).is_empty());
        return json!({ "type": "array", "items": one, "minItems": least, "description": section.doc });
    }
    one
}

fn object(properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut object = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    // Draft 4 has no empty list here.
    if let Value::Object(object) = &mut object
        && !required.is_empty()
    {
        object.insert("required".into(), required.into());
    }
    object
}

fn required(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().filter(|key| key.default == Default::Required).map(|key| key.name).collect()
}

fn of_key(key: &Key) -> Value {
    let mut value = of_kind(key.kind);
    if let Value::Object(value) = &mut value {
        value.insert("description".into(), description(key).into());
        value.insert("examples".into(), json_of(key.example).into_iter().collect());
        if let Default::Is(default) = key.default
            && let Some(default) = json_of(default)
        {
            value.insert("default".into(), default);
        }
    }
    value
}

fn description(key: &Key) -> String {
    let default = match key.default {
        Default::Required | Default::Is(_) => String::new(),
        Default::Means(words) => format!("\n\nDefault: {words}."),
    };
    let change = match key.change {
        Change::Reload => "",
        Change::Restart => "\n\nA change takes effect at the next restart.",
    };
    format!("{}{default}{change}", key.doc)
}

fn of_kind(kind: Kind) -> Value {
    let text = || json!({ "type": "string" });
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let texts = || json!({ "type": "array", "items": text() });
    match kind {
        Kind::Text => text(),
        Kind::Texts => texts(),
        Kind::TextOrTexts => json!({ "anyOf": [text(), texts()] }),
        Kind::OneOf(values) => {
            let (values, meanings): (Vec<_>, Vec<_>) = values.iter().copied().unzip();
            json!({ "type": "string", "enum": values, "x-taplo": { "docs": { "enumValues": meanings } } })
        }
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Count => json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }),
        Kind::Duration => pattern("^[0-9]+(ms|s|m|h|d)$"),
        Kind::PositiveDuration => pattern("^0*[1-9][0-9]*(ms|s|m|h|d)$"),
        Kind::Size => pattern("^[0-9]+(B|KiB|MiB|GiB)$"),
        Kind::Path => pattern("^([^$~]|\\$(CREDENTIALS_DIRECTORY|STATE_DIRECTORY)(/|$))"),
        Kind::Headers => json!({ "type": "object", "additionalProperties": text() }),
    }
}

/// A value of the file as JSON.
fn json_of(written: &str) -> Option<Value> {
    let file: toml::Table = toml::from_str(&format!("value = {written}")).ok()?;
    serde_json::to_value(file.get("value")?).ok()
}
