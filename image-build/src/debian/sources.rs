//! The mirrors of the build machine, read from its own apt sources. No mirror is named in this program.

use std::path::Path;

use anyhow::{Context, Result};

/// Names of Debian suites whose lines tell where a Debian mirror is.
const SUITES: [&str; 9] =
    ["bullseye", "bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"];

/// Where Debian's archive and its security archive are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrors {
    /// URI of the main archive.
    pub main: Option<String>,
    /// URI of the security archive.
    pub security: Option<String>,
}

impl Mirrors {
    /// Reads `sources.list` and `sources.list.d` below `etc` (`/etc/apt`).
    pub fn read(etc: &Path) -> Result<Self> {
        let mut files = vec![etc.join("sources.list")];
        if let Ok(entries) = std::fs::read_dir(etc.join("sources.list.d")) {
            let mut more = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
            more.sort();
            files.extend(more);
        }
        let mut mirrors = Self::default();
        for file in files {
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            match file.extension().and_then(|e| e.to_str()) {
                Some("list") => mirrors.take_lines(&text),
                Some("sources") => mirrors.take_stanzas(&text),
                Some(_) | None => {}
            }
        }
        mirrors.main.as_ref().context("no Debian mirror in the apt sources of this machine")?;
        Ok(mirrors)
    }

    /// One-line format: `deb [options] URI SUITE COMPONENT…`.
    fn take_lines(&mut self, text: &str) {
        for line in text.lines() {
            let Some(rest) = line.trim().strip_prefix("deb ") else { continue };
            let rest = rest.trim_start();
            let rest = match rest.strip_prefix('[') {
                Some(options) => options.split_once(']').map_or("", |(_, r)| r),
                None => rest,
            };
            let mut words = rest.split_whitespace();
            if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
                self.take(uri, suite);
            }
        }
    }

    /// Stanza format: `Types:`, `URIs:`, `Suites:`.
    fn take_stanzas(&mut self, text: &str) {
        for stanza in text.split("\n\n") {
            let field = |name: &str| {
                let line = stanza.lines().find_map(|l| l.strip_prefix(name));
                line.map(|v| v.split_whitespace().collect::<Vec<_>>()).unwrap_or_default()
            };
            if !field("Types:").contains(&"deb") || field("Enabled:") == ["no"] {
                continue;
            }
            for uri in field("URIs:") {
                for suite in field("Suites:") {
                    self.take(uri, suite);
                }
            }
        }
    }

    fn take(&mut self, uri: &str, suite: &str) {
        let (name, rest) = suite.split_once(['-', '/']).unwrap_or((suite, ""));
        if !SUITES.contains(&name) {
            return;
        }
        let place = match rest {
            "" => &mut self.main,
            "security" => &mut self.security,
            _ => return,
        };
        place.get_or_insert_with(|| uri.trim_end_matches('/').to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_format() {
        let mut m = Mirrors::default();
        m.take_lines(
            "# deb http://no/ bookworm main\ndeb [arch=amd64 signed-by=/k] http://a.example/debian/ bookworm main\n\
             deb http://other.example/pg bookworm-pgdg main\ndeb http://b.example/sec bookworm-security main\n",
        );
        assert_eq!(m.main.as_deref(), Some("http://a.example/debian"));
        assert_eq!(m.security.as_deref(), Some("http://b.example/sec"));
    }

    #[test]
    fn stanza_format() {
        let mut m = Mirrors::default();
        m.take_stanzas(
            "Types: deb\n# comment\nURIs: http://a.example/debian\nSuites: bookworm bookworm-updates\n\n\
             Types: deb\nURIs: http://n.example\nSuites: nodistro\n\n\
             Types: deb-src\nURIs: http://s.example\nSuites: bookworm-security\n",
        );
        assert_eq!(m, Mirrors { main: Some("http://a.example/debian".into()), security: None });
    }
}
