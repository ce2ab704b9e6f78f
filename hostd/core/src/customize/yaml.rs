//! YAML as far as rules look at it. It is read event by event with bounds on depth and size: neither nesting nor aliases can
//! make it cost more than its length is worth.

use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::HashMap;

/// Deepest nesting.
const DEPTH_MAX: usize = 64;
/// Most values, those that aliases repeat counted again.
const VALUES_MAX: usize = 20_000;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Yaml {
    /// Nothing.
    Null,
    /// Yes or no, by the words of YAML 1.1, which cloud-init reads.
    Bool,
    /// A number.
    Number,
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Yaml>),
    /// Names with values, in their order.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Yaml::Null => "nothing",
            Yaml::Bool => "true or false",
            Yaml::Number => "a number",
            Yaml::Text(_) => "a text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a mapping",
        }
    }

    /// There is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Yaml::Null => true,
            Yaml::Text(text) => text.is_empty(),
            Yaml::List(items) => items.is_empty(),
            Yaml::Map(fields) => fields.is_empty(),
            Yaml::Bool | Yaml::Number => false,
        }
    }

    fn size(&self) -> usize {
        1 + match self {
            Yaml::Null | Yaml::Bool | Yaml::Number | Yaml::Text(_) => 0,
            Yaml::List(items) => items.iter().map(Yaml::size).sum(),
            Yaml::Map(fields) => fields.iter().map(|(_, value)| value.size()).sum(),
        }
    }
}

/// A list or mapping that is being read.
enum Open {
    List(Vec<Yaml>, usize),
    Map(Vec<(String, Yaml)>, Option<String>, usize),
}

#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    anchors: HashMap<usize, Yaml>,
    values: usize,
    whole: Option<Yaml>,
}

/// Reads one document.
///
/// # Errors
/// A sentence with the line and column.
pub(super) fn parse(text: &str) -> Result<Yaml, String> {
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => reader.take(event).map_err(|why| {
                format!("Line {}, column {}: {why}.", span.start.line(), span.start.col() + 1)
            })?,
            Err(error) => {
                let at = error.marker();
                return Err(format!(
                    "Line {}, column {}: this is no YAML ({}).",
                    at.line(),
                    at.col() + 1,
                    error.info()
                ));
            }
        }
    }
    Ok(reader.whole.unwrap_or(Yaml::Null))
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                // A tag says what it is; only texts matter then.
                let value = if style == ScalarStyle::Plain && tag.is_none() {
                    plain(&text)
                } else {
                    Yaml::Text(text.into_owned())
                };
                if let Some(Open::Map(_, key @ None, _)) = self.open.last_mut() {
                    *key = Some(match value {
                        Yaml::Text(text) => text,
                        _ => text_of(&value),
                    });
                    return Ok(());
                }
                self.put(value, anchor)
            }
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().ok_or("this alias has no anchor before it")?;
                self.put(value, 0)
            }
            Event::SequenceStart(anchor, _) => self.begin(Open::List(Vec::new(), anchor)),
            Event::MappingStart(anchor, _) => self.begin(Open::Map(Vec::new(), None, anchor)),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(items, anchor)) => self.put(Yaml::List(items), anchor),
                Some(Open::Map(fields, _, anchor)) => self.put(Yaml::Map(fields), anchor),
                None => Ok(()),
            },
            Event::DocumentStart(_) if self.whole.is_some() => Err("there is a second document".into()),
            Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::StreamStart
            | Event::StreamEnd
            | Event::Nothing => Ok(()),
        }
    }

    fn begin(&mut self, open: Open) -> Result<(), String> {
        if let Some(Open::Map(_, None, _)) = self.open.last() {
            return Err("a name of a mapping is a text".into());
        }
        if self.open.len() >= DEPTH_MAX {
            return Err("this is nested too deeply".into());
        }
        self.open.push(open);
        Ok(())
    }

    fn put(&mut self, value: Yaml, anchor: usize) -> Result<(), String> {
        self.values += value.size();
        if self.values > VALUES_MAX {
            return Err("these are too many values".into());
        }
        if anchor > 0 {
            self.values += value.size();
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut() {
            None => self.whole = Some(value),
            Some(Open::List(items, _)) => items.push(value),
            Some(Open::Map(fields, key, _)) => {
                let name = key.take().ok_or("a name of a mapping is a text")?;
                if fields.iter().any(|(there, _)| *there == name) {
                    return Err(format!("{name} is there twice"));
                }
                match (name.as_str(), value) {
                    ("<<", Yaml::Map(merged)) => fields.extend(merged),
                    (_, value) => fields.push((name, value)),
                }
            }
        }
        Ok(())
    }
}

/// A plain word, by YAML 1.1.
fn plain(text: &str) -> Yaml {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "" | "~" | "null" => Yaml::Null,
        "true" | "false" | "yes" | "no" | "on" | "off" => Yaml::Bool,
        word if word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && word.parse::<f64>().is_ok() =>
        {
            Yaml::Number
        }
        _ => Yaml::Text(text.to_owned()),
    }
}

/// The name of a field whose name is no text.
fn text_of(value: &Yaml) -> String {
    value.kind().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_and_errors_name_their_place() {
        let text = |text: &str| Yaml::Text(text.into());
        let read = parse("a: yes\nb: [1, x, '2']\nc: {d: ~}\ne: &x [q]\nf: *x\n").expect("good");
        let list = Yaml::List(vec![text("q")]);
        let fields = [
            ("a", Yaml::Bool),
            ("b", Yaml::List(vec![Yaml::Number, text("x"), text("2")])),
            ("c", Yaml::Map(vec![("d".into(), Yaml::Null)])),
            ("e", list.clone()),
            ("f", list),
        ];
        assert_eq!(read, Yaml::Map(fields.map(|(name, value)| (name.to_owned(), value)).to_vec()));
        assert_eq!(parse("").expect("empty"), Yaml::Null);
        for (bad, told) in [
            ("a: b: c", "Line 1"),
            ("a: 1\n  b: [", "Line 2"),
            ("a: 1\na: 2", "a is there twice"),
            ("a: 1\n---\nb: 2", "second document"),
            ("? [a]\n: b", "a name of a mapping"),
        ] {
            let refused = parse(bad).expect_err(bad);
            assert!(refused.contains(told), "{bad}: {refused}");
        }
    }

    #[test]
    fn nothing_small_becomes_large() {
        assert!(parse(&"[".repeat(10_000)).is_err());
        assert!(parse("a:\n ").is_ok());
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let items = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb.push_str(&format!("a{n}: &a{n} [{items}]\n"));
        }
        assert!(parse(&bomb).expect_err("a bomb").contains("too many"));
    }
}
