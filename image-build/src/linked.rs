//! What is inside the daemon's binary: the crates it is linked from, and the scripts of its pages.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Linked {
    /// Kind of registry, as package URLs name it.
    pub registry: &'static str,
    /// Name there.
    pub name: String,
    /// Version.
    pub version: String,
    /// SPDX expression, when the package states one.
    pub licence: Option<String>,
}

/// Reads the crates from `crates` (`name`, `version` and licence on a line, separated by tabs) and the scripts from the
/// manifest of vendored packages below `source`.
pub fn read(crates: &Path, source: &Path) -> Result<Vec<Linked>> {
    let text = fs::read_to_string(crates).with_context(|| format!("cannot read {}", crates.display()))?;
    let mut linked = text.lines().map(crate_line).collect::<Result<Vec<_>>>()?;
    let manifest = source.join("webui/vendor/vendor.json");
    let text = fs::read(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let manifest: Value = serde_json::from_slice(&text).context("vendor.json is no JSON")?;
    let scripts = manifest["packages"].as_array().context("vendor.json lists no packages")?;
    for script in scripts {
        let text = |field: &str| script[field].as_str().with_context(|| format!("vendor.json lacks {field}"));
        linked.push(Linked {
            registry: "npm",
            name: text("name")?.to_owned(),
            version: text("version")?.to_owned(),
            licence: Some(text("spdx")?.to_owned()),
        });
    }
    Ok(linked)
}

fn crate_line(line: &str) -> Result<Linked> {
    let mut fields = line.split('\t');
    let (Some(name), Some(version), licence) = (fields.next(), fields.next(), fields.next()) else {
        anyhow::bail!("not a crate's name, version and licence: {line}");
    };
    // Before SPDX expressions, crates separated alternatives by a slash.
    let words = licence.unwrap_or_default().replace('/', " OR ");
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let licence = Some(words).filter(|words| !words.is_empty());
    Ok(Linked { registry: "cargo", name: name.to_owned(), version: version.to_owned(), licence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_read_and_old_expressions_understood() {
        let licence = |line| crate_line(line).expect("a crate").licence;
        assert_eq!(licence("a\t1.0.0\tMIT/Apache-2.0").as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(licence("a\t1.0.0\tApache-2.0 / MIT").as_deref(), Some("Apache-2.0 OR MIT"));
        assert_eq!(licence("a\t1.0.0\t"), None);
        assert!(crate_line("a").is_err());
    }

    #[test]
    fn the_scripts_are_those_of_the_checkout() {
        let dir = tempfile::tempdir().expect("directory");
        let crates = dir.path().join("crates.tsv");
        fs::write(&crates, "serde\t1.0.0\tMIT OR Apache-2.0\n").expect("write");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let linked = read(&crates, &source).expect("read");
        assert_eq!(linked[0].name, "serde");
        let novnc = linked.iter().find(|l| l.name == "@novnc/novnc").expect("noVNC");
        assert_eq!((novnc.registry, novnc.licence.as_deref()), ("npm", Some("MPL-2.0")));
    }
}
