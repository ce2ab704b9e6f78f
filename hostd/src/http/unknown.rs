//! Fields of a body that its type does not know.
//!
//! What the parsed body writes out again is known. A field it leaves out may be one that is left out when it says the
//! default, so the type is asked: a value that makes no sense in its place is noticed if the type reads it, and ignored if not.

use super::body::escape;
use hostd_types::FieldError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The unknown fields of `given`, from which `body` was read. A `null` says nothing, so it may vanish.
pub(super) fn find<T: DeserializeOwned + Serialize>(given: &Value, body: &T) -> Vec<FieldError> {
    let known = serde_json::to_value(body).unwrap_or(Value::Null);
    let mut search =
        Search { given, takes: |whole| T::deserialize(whole).is_ok(), found: Vec::new(), asked: 0 };
    search.compare(given, Some(&known), String::new());
    search.found
}

/// Most unknown fields that are named, and most times the type is asked: a body is no way to keep the host busy.
const MOST: (usize, usize) = (20, 500);

struct Search<'a> {
    given: &'a Value,
    /// Whether a body can be read from this.
    takes: fn(&Value) -> bool,
    found: Vec<FieldError>,
    asked: usize,
}

impl Search<'_> {
    fn compare(&mut self, here: &Value, known: Option<&Value>, at: String) {
        match (here, known) {
            // The type would take its fields in their order, which is nobody's to rely on.
            (Value::Array(_), Some(Value::Object(_))) => self.listed(at),
            (Value::Array(_), None) if self.takes_instead(&at, json!({})) => self.listed(at),
            (Value::Object(fields), _) => {
                for (name, value) in fields {
                    if self.found.len() >= MOST.0 {
                        return;
                    }
                    let pointer = format!("{at}/{}", escape(name));
                    match known.and_then(|known| known.get(name)) {
                        None if value.is_null() => {}
                        None if !self.is_read(&pointer) => {
                            let detail = format!("There is no field {name} here.");
                            self.found.push(FieldError { pointer, detail });
                        }
                        there => self.compare(value, there, pointer),
                    }
                }
            }
            (Value::Array(all), _) => {
                for (index, value) in all.iter().enumerate() {
                    self.compare(value, known.and_then(|known| known.get(index)), format!("{at}/{index}"));
                }
            }
            (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => {}
        }
    }

    fn listed(&mut self, pointer: String) {
        let detail = "An object with named fields is needed here, not a list.".to_owned();
        self.found.push(FieldError { pointer, detail });
    }

    /// The type reads what is at `pointer`: no field takes all of these.
    fn is_read(&mut self, pointer: &str) -> bool {
        self.asked += 1;
        if self.asked > MOST.1 {
            return false;
        }
        let nonsense = [json!({"": {"": 0}}), json!(-0.5), json!("\u{0}")];
        let mut nonsense = nonsense.into_iter();
        nonsense.any(|value| !self.takes_instead(pointer, value))
    }

    fn takes_instead(&self, pointer: &str, value: Value) -> bool {
        let mut whole = self.given.clone();
        let Some(place) = whole.pointer_mut(pointer) else { return true };
        *place = value;
        (self.takes)(&whole)
    }
}
