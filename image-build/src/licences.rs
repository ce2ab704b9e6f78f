//! Copyright files: collected from packages before they are pruned away, put into the image, and read for the
//! names of licences.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::debian::Deb;
use crate::tree;

/// Names Debian's copyright files use, and the SPDX identifiers that mean the same.
const SPDX: [(&str, &str); 22] = [
    ("GPL-2", "GPL-2.0-only"),
    ("GPL-2+", "GPL-2.0-or-later"),
    ("GPL-2.0+", "GPL-2.0-or-later"),
    ("GPL-3", "GPL-3.0-only"),
    ("GPL-3+", "GPL-3.0-or-later"),
    ("GPL-3.0+", "GPL-3.0-or-later"),
    ("LGPL-2", "LGPL-2.0-only"),
    ("LGPL-2+", "LGPL-2.0-or-later"),
    ("LGPL-2.1", "LGPL-2.1-only"),
    ("LGPL-2.1+", "LGPL-2.1-or-later"),
    ("LGPL-3", "LGPL-3.0-only"),
    ("LGPL-3+", "LGPL-3.0-or-later"),
    ("Apache-2.0", "Apache-2.0"),
    ("MIT", "MIT"),
    ("Expat", "MIT"),
    ("ISC", "ISC"),
    ("Zlib", "Zlib"),
    ("zlib", "Zlib"),
    ("BSD-2-clause", "BSD-2-Clause"),
    ("BSD-3-clause", "BSD-3-Clause"),
    ("BSL-1.0", "BSL-1.0"),
    ("CC0-1.0", "CC0-1.0"),
];

/// Copies the copyright file of each package from the unpacked tree to `texts/NAME`, `texts` being made anew.
pub fn collect(debs: &[Deb], unpacked: &Path, texts: &Path) -> Result<()> {
    tree::fresh(texts)?;
    for deb in debs {
        let from = unpacked.join("usr/share/doc").join(&deb.entry.name).join("copyright");
        // a few packages point at a sibling that is not part of the set
        if let Ok(text) = fs::read(&from) {
            fs::write(texts.join(&deb.entry.name), text)?;
        }
    }
    Ok(())
}

/// Licence names in a machine-readable copyright file; empty for prose.
pub fn names(text: &str) -> BTreeSet<String> {
    if !text.starts_with("Format:") {
        return BTreeSet::new();
    }
    let lines = text.lines().filter_map(|l| l.strip_prefix("License:"));
    lines.map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect()
}

/// An SPDX expression for a set of names, if every one has an SPDX identifier.
pub fn expression(names: &BTreeSet<String>) -> Option<String> {
    let known = |name: &String| SPDX.iter().find(|(from, _)| from == name).map(|(_, to)| *to);
    let ids: Option<BTreeSet<&str>> = names.iter().map(known).collect();
    let ids = ids.filter(|ids| !ids.is_empty())?;
    Some(ids.into_iter().collect::<Vec<_>>().join(" AND "))
}

/// Alpine's licence field as an SPDX expression, if it reads as one.
pub fn alpine_expression(field: &str) -> Option<String> {
    let words: Vec<&str> = field.split_whitespace().collect();
    let id = |w: &str| {
        let w = w.trim_matches(['(', ')']);
        !w.is_empty()
            && w.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.+".contains(&b))
            && (w.contains('-') || ["MIT", "ISC", "Zlib", "curl"].contains(&w))
    };
    let fits = words
        .iter()
        .enumerate()
        .all(|(i, w)| if i % 2 == 1 { ["AND", "OR", "WITH"].contains(w) } else { id(w) });
    (words.len() % 2 == 1 && fits).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_names_become_spdx_only_when_all_are_known() {
        let text = "Format: https://x\n\nFiles: *\nLicense: GPL-2+\n text\n\nFiles: a\nLicense: Expat\n";
        assert_eq!(expression(&names(text)).as_deref(), Some("GPL-2.0-or-later AND MIT"));
        let odd = format!("{text}\nFiles: b\nLicense: permissive-sample\n");
        assert_eq!(expression(&names(&odd)), None);
        assert!(names("This package was debianized by somebody\nLicense: GPL-2\n").is_empty());
    }

    #[test]
    fn alpine_fields() {
        assert_eq!(alpine_expression("GPL-2.0-only").as_deref(), Some("GPL-2.0-only"));
        assert_eq!(
            alpine_expression("BSD-2-Clause OR (GPL-2.0-only AND MIT)").as_deref(),
            Some("BSD-2-Clause OR (GPL-2.0-only AND MIT)")
        );
        assert_eq!(alpine_expression("custom text"), None);
        assert_eq!(alpine_expression(""), None);
    }
}
