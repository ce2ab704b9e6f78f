//! Writing YAML that every reader understands alike: blocks, and every text in double quotes. A bare `yes`, `1:30` or hardware
//! address would be something else to some of them.

use serde_json::Value;
use std::fmt::Write;

/// `value` as a document.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0);
    text
}

fn block(text: &mut String, value: &Value, indent: usize) {
    // Writing into a String can't fail.
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let _ = write!(text, "{:indent$}{name}:", "");
                behind(text, value, indent + 2);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut inner = String::new();
                block(&mut inner, item, indent + 2);
                let _ = write!(text, "{:indent$}- {}", "", inner.trim_start_matches(' '));
            }
        }
        plain => {
            let _ = writeln!(text, "{:indent$}{plain}", "");
        }
    }
}

/// A value behind a name and its colon.
fn behind(text: &mut String, value: &Value, indent: usize) {
    let nested = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    if nested {
        text.push('\n');
        block(text, value, indent);
    } else {
        let _ = writeln!(text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn blocks_are_indented_and_texts_quoted() {
        let value = json!({"a": true, "b": [], "c": ["yes", {"d": "1:30", "e": ["x"]}], "f": {"g": 1, "h": "a\n\"b\""}});
        let text = "a: true\nb: []\nc:\n  - \"yes\"\n  - d: \"1:30\"\n    e:\n      - \"x\"\nf:\n  g: 1\n  h: \"a\\n\\\"b\\\"\"\n";
        assert_eq!(document(&value), text);
    }
}
