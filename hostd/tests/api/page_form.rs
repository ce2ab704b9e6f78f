//! The fields of a page's forms, read from its HTML as far as ours goes.

use std::collections::BTreeMap;

/// What a page asks for.
#[derive(Debug, Default)]
pub struct Form {
    fields: BTreeMap<String, String>,
    /// What it says is wrong, beside fields.
    pub errors: Vec<String>,
}

impl Form {
    /// Reads the fields outside of dialogs.
    pub fn read(html: &str) -> Self {
        let mut form = Self::default();
        let (mut select, mut hidden) = (None, 0);
        for part in html.split('<').skip(1) {
            let (tag, text) = part.split_once('>').unwrap_or((part, ""));
            let of = |key: &str| attribute(tag, key);
            let is = |name: &str| tag == name || tag.starts_with(&format!("{name} "));
            // A dialog has a form of its own, whose fields are called alike.
            if is("div") {
                hidden += u32::from(hidden > 0 || of("popover").is_some());
            } else if is("/div") && hidden > 0 {
                hidden -= 1;
            }
            if hidden > 0 {
                continue;
            }
            if is("input") {
                let Some(name) = of("name") else { continue };
                let ticks = matches!(of("type").as_deref(), Some("radio" | "checkbox"));
                let on = !ticks || tag.contains(" checked");
                let value = if on { of("value").unwrap_or_default() } else { String::new() };
                if on || !form.fields.contains_key(&name) {
                    form.fields.insert(name, value);
                }
            } else if is("select") {
                select = of("name");
                if let Some(name) = &select {
                    form.fields.entry(name.clone()).or_default();
                }
            } else if is("option") {
                if let (Some(name), true) = (&select, tag.contains(" selected")) {
                    form.fields.insert(name.clone(), of("value").unwrap_or_default());
                }
            } else if is("textarea") {
                if let Some(name) = of("name") {
                    form.fields.insert(name, text.trim().to_owned());
                }
            } else if is("button") {
                if let Some(name) = of("name") {
                    form.fields.entry(name).or_default();
                }
            } else if is("p") && of("class").as_deref() == Some("error") {
                form.errors.push(text.to_owned());
            }
        }
        form
    }

    /// Every name of a field.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// What a field holds.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

fn attribute(tag: &str, key: &str) -> Option<String> {
    if let Some((_, rest)) = tag.split_once(&format!(" {key}=\"")) {
        return rest.split('"').next().map(str::to_owned);
    }
    tag.split_whitespace().any(|word| word == key).then(String::new)
}

/// A value as forms are sent.
pub fn encoded(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    value.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
