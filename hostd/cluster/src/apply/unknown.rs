//! What a newer version wrote into a row stays there when this version changes the row, at every depth. No entry of the log
//! needs that, as nothing is written above the level; it keeps a state whole that a newer version had in its hands.

use crate::error::StateError;
use serde_json::Value;

/// `new` with the fields of `old` that this version does not know; `known` is what it reads of `old`. All are JSON.
///
/// # Errors
/// When one is none.
pub(crate) fn keep(old: &str, known: &str, new: String) -> Result<String, StateError> {
    if old == known {
        return Ok(new);
    }
    let (old, known): (Value, Value) = (serde_json::from_str(old)?, serde_json::from_str(known)?);
    let written: Value = serde_json::from_str(&new)?;
    let mut merged = written.clone();
    add(&old, &known, &mut merged);
    // Without anything unknown the fields stay in the order in which they are known.
    if merged == written { Ok(new) } else { Ok(serde_json::to_string(&merged)?) }
}

fn add(old: &Value, known: &Value, new: &mut Value) {
    match (old, known, new) {
        (Value::Object(old), Value::Object(known), Value::Object(new)) => {
            for (name, value) in old {
                match (known.get(name), new.get_mut(name)) {
                    (None, None) => {
                        new.insert(name.clone(), value.clone());
                    }
                    (Some(known), Some(new)) => add(value, known, new),
                    // Taken out on purpose, or put in.
                    (Some(_), None) | (None, Some(_)) => {}
                }
            }
        }
        // Parts of a list have no names: those that did not change stay whole.
        (Value::Array(old), Value::Array(known), Value::Array(new)) if old.len() == known.len() => {
            for part in new {
                if let Some(at) = known.iter().position(|known| known == part) {
                    part.clone_from(&old[at]);
                }
            }
        }
        // One value, which this version knows.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_of_a_newer_version_stay_and_others_change() {
        let old = json!({"name": "a", "gone": 1, "tpm": {"on": true},
            "power": {"seq": 1, "why": "x"}, "disks": [{"id": 1, "cache": "none"}, {"id": 2}]});
        let known = json!({"name": "a", "gone": 1, "power": {"seq": 1}, "disks": [{"id": 1}, {"id": 2}]});
        let new = json!({"name": "b", "power": {"seq": 2}, "disks": [{"id": 3}, {"id": 1}], "made": 1});
        let kept = keep(&old.to_string(), &known.to_string(), new.to_string()).unwrap();
        let wanted = json!({"name": "b", "tpm": {"on": true}, "power": {"seq": 2, "why": "x"},
            "disks": [{"id": 3}, {"id": 1, "cache": "none"}], "made": 1});
        assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), wanted);
        let text = r#"{"b":1,"a":2}"#.to_owned();
        assert_eq!(keep(r#"{"x":1}"#, r#"{"x":1}"#, text.clone()).unwrap(), text);
    }
}
