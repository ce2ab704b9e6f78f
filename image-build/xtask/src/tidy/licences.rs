//! Licences of what we link, against the list in `.deny.toml`.

use super::Finding;
use serde_json::Value;

/// The licences that are allowed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    everywhere: Vec<String>,
    /// A crate and a licence allowed for it alone.
    exceptions: Vec<(String, String)>,
}

impl Allowed {
    /// Reads the lists of a `.deny.toml`.
    pub fn read(toml: &str) -> Self {
        let mut allowed = Self::default();
        let (mut listing, mut exception) = (false, None::<String>);
        for line in toml.lines().map(str::trim).filter(|l| !l.starts_with('#')) {
            if line.starts_with('[') {
                (listing, exception) = (false, None);
            }
            if let Some(name) = line.strip_prefix("crate = ") {
                exception = Some(name.trim_matches('"').into());
            }
            listing = listing || line.starts_with("allow = [");
            if listing {
                let quoted = line.split('"').skip(1).step_by(2).map(String::from);
                match &exception {
                    Some(name) => allowed.exceptions.extend(quoted.map(|l| (name.clone(), l))),
                    None => allowed.everywhere.extend(quoted),
                }
                listing = !line.ends_with(']');
            }
        }
        allowed
    }

    fn allows(&self, package: &str, licence: &str) -> bool {
        self.everywhere.iter().any(|l| l == licence)
            || self.exceptions.iter().any(|(name, l)| name == package && l == licence)
    }
}

/// Refuses crates none of whose licences is allowed.
pub fn check(metadata: &Value, allowed: &Allowed) -> Vec<Finding> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let foreign = packages.iter().filter(|p| !p["source"].is_null());
    foreign
        .filter_map(|package| {
            let name = package["name"].as_str().unwrap_or_default();
            let licence = package["license"].as_str().unwrap_or("none named");
            let message = format!("{name} is licensed {licence}, which .deny.toml does not allow");
            (!holds(licence, &|l| allowed.allows(name, l)))
                .then(|| Finding::new("Cargo.lock", 1, "licence", message))
        })
        .collect()
}

/// Whether an SPDX expression holds: `OR` (older: `/`) needs one side, `AND` both.
fn holds(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let expression = expression.trim();
    let either = split(expression, &[" OR ", "/"]);
    if either.len() > 1 {
        return either.iter().any(|part| holds(part, allowed));
    }
    let both = split(expression, &[" AND "]);
    if both.len() > 1 {
        return both.iter().all(|part| holds(part, allowed));
    }
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => holds(inner, allowed),
        None => allowed(expression),
    }
}

/// Splits at any of `words` outside parentheses.
fn split<'a>(expression: &'a str, words: &[&str]) -> Vec<&'a str> {
    let (mut parts, mut start, mut depth, mut at) = (Vec::new(), 0, 0_usize, 0);
    while at < expression.len() {
        let rest = &expression[at..];
        let word = words.iter().find(|w| depth == 0 && rest.starts_with(**w));
        if let Some(word) = word {
            parts.push(&expression[start..at]);
            at += word.len();
            start = at;
            continue;
        }
        match rest.as_bytes()[0] {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    parts.push(&expression[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RULES: &str = "[licenses]\nallow = [\n  \"MIT\",\n  \"Apache-2.0\",\n]\n\n[[licenses.exceptions]]\ncrate = \"virt\"\nallow = [\"LGPL-2.1\"]\n";

    #[test]
    fn expressions_are_evaluated() {
        let allowed = |l: &str| ["MIT", "ISC"].contains(&l);
        assert!(holds("GPL-3.0 OR MIT", &allowed));
        assert!(holds("MIT/Apache-2.0", &allowed));
        assert!(holds("(GPL-3.0 OR MIT) AND ISC", &allowed));
        assert!(!holds("MIT AND GPL-3.0", &allowed));
        assert!(!holds("GPL-3.0", &allowed));
    }

    #[test]
    fn a_copyleft_crate_is_refused_unless_it_is_an_exception() {
        let package =
            |name: &str, licence: &str| json!({"name": name, "license": licence, "source": "registry"});
        let packages = json!([
            package("a", "MIT"),
            package("b", "GPL-3.0"),
            package("virt", "LGPL-2.1"),
            package("c", "LGPL-2.1")
        ]);
        let found = check(&json!({"packages": packages}), &Allowed::read(RULES));
        assert_eq!(found.len(), 2);
        assert!(found[0].message.contains("b is licensed GPL-3.0"));
        assert!(found[1].message.starts_with("c "));
    }
}
