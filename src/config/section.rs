//! A section of the file, read key by key: whatever was not asked for is unknown.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    keys,
    report::{Entry, Fault, Place, Report},
    suggest,
};

/// Keys that other gateways have, with what is written here in their place.
const OF_OTHERS: &[(&str, &str)] = &[
    ("client_secret", "remove it: Apple's client secret is made from private_key_file, and renewed by itself"),
    ("cookie_secret", "remove it: cookies are sealed with the key of encryption_key_file in [session]"),
    ("level", "remove it: how much is logged is up to the variable RUST_LOG, such as RUST_LOG=debug"),
    (
        "insecure_skip_verify",
        "remove it: what an upstream shows is always verified; upstream_ca_file names its authority",
    ),
];

#[cfg(test)]
thread_local! {
    /// Every key that was asked for, with its sections, such as `app.route.path`.
    pub(super) static ASKED: std::cell::RefCell<std::collections::BTreeSet<String>> = const {
        std::cell::RefCell::new(std::collections::BTreeSet::new())
    };
}

/// One table of the file; an empty one when the file has none.
#[derive(Debug)]
pub(super) struct Section<'a> {
    report: &'a Report<'a>,
    place: Place,
    table: Option<&'a DeTable<'a>>,
    /// Whether the file has something else in its place.
    is_wrong: bool,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(report: &'a Report<'a>, table: &'a DeTable<'a>) -> Self {
        Self { report, place: report.end(""), table: Some(table), is_wrong: false, asked: Vec::new() }
    }

    fn of(report: &'a Report<'a>, place: Place, table: Option<&'a DeTable<'a>>) -> Self {
        Self { report, place, table, is_wrong: false, asked: Vec::new() }
    }

    /// Where the section begins.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the file has the section.
    pub(super) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Whether the file has neither the section nor anything in its place.
    pub(super) fn is_missing(&self) -> bool {
        self.table.is_none() && !self.is_wrong
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str, example: &str) -> Option<Entry<&'a str>> {
        let entry = self.value(key)?;
        self.as_text(entry, &format!("{key} = {example}"))
    }

    /// A text that must be there and must not be empty.
    pub(super) fn required(&mut self, key: &'static str, example: &str) -> Option<Entry<&'a str>> {
        let there = self.table.is_some_and(|table| table.contains_key(key));
        let entry = self.text(key, example);
        if !there && self.is_there() {
            let place = Place { key: self.name_of(key), ..self.place.clone() };
            self.report.missing(&place, "is missing", format!("add a line: {key} = {example}"));
        }
        let entry = entry?;
        if entry.value.trim().is_empty() {
            self.report.problem(&entry.place, "is empty", format!("write {key} = {example}"));
            return None;
        }
        Some(entry)
    }

    /// A text that means something.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        example: &str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<Entry<T>> {
        let entry = self.text(key, example)?;
        self.parse(entry, parse)
    }

    /// What a text means; a problem when it means nothing.
    pub(super) fn parse<T>(
        &self,
        entry: Entry<&str>,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<Entry<T>> {
        match parse(entry.value) {
            Ok(value) => Some(Entry { value, place: entry.place }),
            Err(fault) => {
                self.report.fault(&entry.place, fault);
                None
            }
        }
    }

    /// A yes or no.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<Entry<bool>> {
        let entry = self.value(key)?;
        let found = entry.value.as_bool();
        if found.is_none() {
            self.wrong_type(&entry, &format!("write {key} = true or {key} = false, without quotes"));
        }
        found.map(|value| entry.map(|_| value))
    }

    /// A whole number of one or more.
    pub(super) fn count(&mut self, key: &'static str, example: &str) -> Option<Entry<std::num::NonZeroU32>> {
        let entry = self.value(key)?;
        let Some(number) = entry.value.as_integer() else {
            self.wrong_type(&entry, &format!("write a whole number without quotes: {key} = {example}"));
            return None;
        };
        let value = u32::from_str_radix(number.as_str(), number.radix()).ok().and_then(std::num::NonZeroU32::new);
        if value.is_none() {
            let cure = format!("write a whole number from 1 to {}: {key} = {example}", u32::MAX);
            self.report.problem(&entry.place, "is out of range", cure);
        }
        value.map(|value| entry.map(|_| value))
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str, example: &str) -> Option<Entry<Vec<Entry<&'a str>>>> {
        let entry = self.value(key)?;
        let cure = format!("{key} = {example}");
        let Some(items) = entry.value.as_array() else {
            self.wrong_type(&entry, &format!("write a list, in brackets even when it has one item: {cure}"));
            return None;
        };
        let texts: Vec<_> = items.iter().filter_map(|item| self.as_text(self.item(key, item), &cure)).collect();
        // A list with a wrong item is not a shorter list.
        (texts.len() == items.len()).then(|| entry.map(|_| texts))
    }

    /// Every key of a table that has no fixed keys, with its text, in the order of the file.
    pub(super) fn pairs(&mut self, key: &'static str, example: &str) -> Option<Vec<(Entry<&'a str>, Entry<&'a str>)>> {
        let entry = self.value(key)?;
        let cure = format!("{key} = {example}");
        let Some(table) = entry.value.as_table() else {
            self.wrong_type(&entry, &format!("write names and texts in braces: {cure}"));
            return None;
        };
        let mut pairs: Vec<_> = table
            .iter()
            .filter_map(|(name, value)| {
                let name = Entry { value: &**name.get_ref(), place: self.at(key, name.span()) };
                Some((name, self.as_text(self.item(key, value), &cure)?))
            })
            .collect();
        pairs.sort_by_key(|(name, _)| name.place.span.start);
        Some(pairs)
    }

    /// A section below this one; an empty one when the file has none.
    pub(super) fn section(&mut self, key: &'static str) -> Self {
        let absent = Place { key: self.name_of(key), ..self.place.clone() };
        let Some(entry) = self.value(key) else { return Self::of(self.report, absent, None) };
        let table = entry.value.as_table();
        if table.is_none() {
            self.wrong_type(&entry, &format!("write a section of its own: [{}]", entry.place.key));
        }
        Self { is_wrong: table.is_none(), ..Self::of(self.report, entry.place, table) }
    }

    /// Sections of the same name below this one; `None` when the file has something else in their place.
    pub(super) fn sections(&mut self, key: &'static str) -> Option<Vec<Self>> {
        let Some(entry) = self.value(key) else { return Some(Vec::new()) };
        let cure = format!("write a section of its own for each, in double brackets: [[{}]]", entry.place.key);
        let Some(items) = entry.value.as_array() else {
            self.wrong_type(&entry, &cure);
            return None;
        };
        let mut sections = Vec::new();
        for item in items.iter() {
            let item = self.item(key, item);
            match item.value.as_table() {
                Some(table) => sections.push(Self::of(self.report, item.place, Some(table))),
                None => self.wrong_type(&item, &cure),
            }
        }
        (sections.len() == items.len()).then_some(sections)
    }

    /// Any value, for what may be written in two ways.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Entry<&'a DeValue<'a>>> {
        // A key that may be written in two ways is asked for twice, and told once.
        if !self.asked.contains(&key) {
            self.asked.push(key);
            #[cfg(test)]
            ASKED.with_borrow_mut(|asked| asked.insert(self.name_of(key)));
        }
        let value = self.table?.get(key)?;
        Some(self.item(key, value))
    }

    /// A list of texts, or one text that stands alone.
    pub(super) fn one_or_more(&mut self, key: &'static str, example: &str) -> Option<Entry<Vec<Entry<&'a str>>>> {
        if self.table?.get(key)?.get_ref().is_array() {
            return self.texts(key, example);
        }
        let one = self.text(key, example)?;
        Some(Entry { place: one.place.clone(), value: vec![one] })
    }

    /// Reports every key that nobody asked for. Below a section header that could not be read, keys seem
    /// to stand outside all sections: those of a broken file are not unknown, only lost.
    pub(super) fn finish(self) {
        let Some(table) = self.table.filter(|_| !self.is_root() || self.report.is_toml()) else { return };
        for (name, _) in table.iter().filter(|(name, _)| !self.asked.contains(&&**name.get_ref())) {
            let place = Place { span: name.span(), key: self.place.key.clone() };
            let cure = match suggest::nearest(name.get_ref(), &self.asked) {
                Some(near) => format!("did you mean {near}?"),
                None => elsewhere(name.get_ref()).unwrap_or_else(|| format!("known here: {}", self.asked.join(", "))),
            };
            let message = if self.is_root() { "is no section of this file" } else { "is no key of this section" };
            self.report.problem(&place, message, cure);
        }
    }

    fn as_text(&self, entry: Entry<&'a DeValue<'a>>, cure: &str) -> Option<Entry<&'a str>> {
        let text = entry.value.as_str();
        if text.is_none() {
            self.wrong_type(&entry, &format!("write a text in double quotes: {cure}"));
        }
        text.map(|text| entry.map(|_| text))
    }

    fn wrong_type(&self, entry: &Entry<&DeValue<'_>>, cure: &str) {
        let message = match entry.value {
            DeValue::String(_) => "is a text",
            DeValue::Integer(_) | DeValue::Float(_) => "is a number",
            DeValue::Boolean(_) => "is a yes or no",
            DeValue::Datetime(_) => "is a date",
            DeValue::Array(_) => "is a list",
            DeValue::Table(_) => "is a section",
        };
        self.report.problem(&entry.place, message, cure);
    }

    fn item(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Entry<&'a DeValue<'a>> {
        Entry { value: value.get_ref(), place: self.at(key, value.span()) }
    }

    fn at(&self, key: &str, span: Range<usize>) -> Place {
        Place { span, key: self.name_of(key) }
    }

    fn is_root(&self) -> bool {
        self.place.key.is_empty()
    }

    fn name_of(&self, key: &str) -> String {
        if self.is_root() { key.to_owned() } else { format!("{}.{key}", self.place.key) }
    }
}

/// What to do with a key that other sections have, or that other programs have.
fn elsewhere(name: &str) -> Option<String> {
    if let Some(section) = keys::SECTIONS.iter().find(|section| section.name() == name) {
        return Some(format!("write it as a section of its own: {}", section.header()));
    }
    if let Some((_, cure)) = OF_OTHERS.iter().find(|(known, _)| *known == name) {
        return Some((*cure).to_owned());
    }
    let homes = keys::SECTIONS.iter().filter(|section| section.keys.iter().any(|key| key.name == name));
    let homes: Vec<_> = homes.map(keys::Section::header).collect();
    (!homes.is_empty()).then(|| format!("write it below the header of its section: {}", homes.join(" or ")))
}
