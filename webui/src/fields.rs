//! What a form sent: names and values in their order, before they mean anything.

use hostd_types::FieldError;
use std::str::FromStr;

/// The fields of one submission. Values are kept as typed, so that a refused form shows them again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// From decoded pairs.
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }
    /// First value of `name`, or nothing.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    /// First value of `name` without outer blanks; empty when absent.
    pub(crate) fn text(&self, name: &str) -> String {
        self.find(name).unwrap_or_default().trim().to_owned()
    }
    /// First value as it was typed (passwords, descriptions).
    pub(crate) fn verbatim(&self, name: &str) -> String {
        self.find(name).unwrap_or_default().to_owned()
    }
    /// Every value of `name`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    /// A checkbox that was ticked.
    pub(crate) fn ticked(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
    /// First value parsed, when it parses.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str) -> Option<T> {
        self.find(name)?.trim().parse().ok()
    }
}

/// The errors found while a form is read, by JSON pointer of the API's body.
#[derive(Debug, Default)]
pub(crate) struct Reading(Vec<FieldError>);

impl Reading {
    /// Notes that the field at `pointer` is wrong.
    pub(crate) fn wrong(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldError { pointer: pointer.into(), detail: detail.into() });
    }
    /// `text` as a whole number; notes an error and yields 0 when it is none.
    pub(crate) fn whole<T: FromStr + Default>(&mut self, pointer: &str, text: &str) -> T {
        text.trim().parse().unwrap_or_else(|_| {
            self.wrong(pointer, "Give a whole number.");
            T::default()
        })
    }
    /// `text` as an amount of `unit`, in bytes; decimals are allowed (`1.5 GiB`).
    pub(crate) fn bytes(&mut self, pointer: &str, text: &str, unit: &str) -> u64 {
        let scale = unit_bytes(unit);
        let amount: Option<f64> = text.trim().parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0);
        match (amount, scale) {
            // Below 2^63 the product fits; the rules on sizes refuse far smaller ones.
            (Some(amount), Some(scale)) if amount * scale as f64 <= 9e18 => {
                (amount * scale as f64).round() as u64
            }
            (_, None) => {
                self.wrong(pointer, "Choose a unit.");
                0
            }
            (None, Some(_)) => {
                self.wrong(pointer, "Give a number, such as 20 or 1.5.");
                0
            }
            (Some(_), Some(_)) => {
                self.wrong(pointer, "The number is too large.");
                0
            }
        }
    }
    /// `text` as an identifier chosen from a list.
    pub(crate) fn chosen<T: FromStr>(&mut self, pointer: &str, text: &str, what: &str) -> Option<T> {
        let id = text.trim().parse().ok();
        if id.is_none() {
            self.wrong(pointer, format!("Choose {what}."));
        }
        id
    }
    /// `value` when nothing was wrong, else the errors.
    pub(crate) fn done<T>(self, value: T) -> Result<T, hostd_types::Problem> {
        if self.0.is_empty() { Ok(value) } else { Err(hostd_types::Problem::invalid(self.0)) }
    }
}

/// Bytes of a unit offered in forms.
fn unit_bytes(unit: &str) -> Option<u64> {
    match unit {
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        "tib" => Some(1 << 40),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_with_their_unit() {
        let mut reading = Reading::default();
        assert_eq!(reading.bytes("/size", "20", "gib"), 20 << 30);
        assert_eq!(reading.bytes("/size", "1.5", "gib"), 3 << 29);
        assert_eq!(reading.bytes("/size", "0", "mib"), 0);
        assert!(reading.0.is_empty());
        for (text, unit) in [("", "gib"), ("-1", "gib"), ("NaN", "gib"), ("1e30", "gib"), ("1", "parsec")] {
            let mut reading = Reading::default();
            reading.bytes("/size", text, unit);
            let problem = reading.done(()).expect_err(text);
            assert!(problem.at("/size").is_some(), "{text} {unit}");
        }
    }

    #[test]
    fn every_value_of_a_repeated_field_is_kept() {
        let fields = Fields::new(vec![
            ("id".into(), "a".into()),
            ("id".into(), "b".into()),
            ("x".into(), " y ".into()),
        ]);
        assert_eq!(fields.all("id").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(fields.text("x"), "y");
        assert_eq!(fields.verbatim("x"), " y ");
        assert!(!fields.ticked("z"));
    }
}
