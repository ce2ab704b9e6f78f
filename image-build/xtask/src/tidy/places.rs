//! Places of the machine somebody worked on: its package mirrors and folders have no business in the project.

use super::{Finding, layout};
use crate::checkout::Checkout;
use std::path::Path;

/// What this machine is made of, read when the rule is checked.
#[derive(Debug, Default)]
pub struct Machine {
    /// Hosts of its package mirrors.
    pub mirrors: Vec<String>,
    /// Its folders: the checkout, the target folder, the home.
    pub folders: Vec<String>,
}

impl Machine {
    /// Reads the configuration of apt, cargo, npm and pip.
    pub fn read(checkout: &Checkout) -> Self {
        let mut texts: Vec<String> = Vec::new();
        let mut sources =
            vec![Path::new("/etc/apt/sources.list").to_owned(), Path::new("/etc/pip.conf").to_owned()];
        sources.extend(
            std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|e| e.path()),
        );
        let home = std::env::var("HOME").unwrap_or_default();
        for file in [".cargo/config.toml", ".cargo/config", ".npmrc", ".pip/pip.conf", ".config/pip/pip.conf"]
        {
            sources.push(Path::new(&home).join(file));
        }
        texts.extend(sources.iter().filter_map(|file| std::fs::read_to_string(file).ok()));
        texts.extend(
            std::env::vars()
                .filter(|(name, _)| {
                    let name = name.to_lowercase();
                    ["pip_", "npm_config_", "cargo_registr", "cargo_source"]
                        .iter()
                        .any(|p| name.starts_with(p))
                })
                .map(|(_, value)| value),
        );
        let mut mirrors: Vec<String> = texts.iter().flat_map(|text| hosts(text)).collect();
        mirrors.sort_unstable();
        mirrors.dedup();
        let mut folders: Vec<String> =
            [&checkout.root, &checkout.target].map(|p| format!("{}/", p.display())).to_vec();
        if home.starts_with("/home/") {
            folders.push(format!("{home}/"));
        }
        Self { mirrors, folders }
    }
}

/// Hosts of the addresses in a configuration file, comments left out.
fn hosts(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let parts = lines.flat_map(|line| line.split("://").skip(1).map(str::to_owned).collect::<Vec<_>>());
    parts
        .filter_map(|rest| {
            let authority = rest.split(['/', ' ', '"', '\'', ']']).next()?;
            let host = authority.rsplit('@').next()?.split(':').next()?;
            host.contains('.').then(|| host.to_lowercase())
        })
        .collect()
}

/// Refuses lines that name a mirror's host or a folder of the machine.
pub fn check(file: &str, text: &str, machine: &Machine) -> Vec<Finding> {
    if file == "Cargo.lock" || file.starts_with(layout::VENDORED) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        if let Some(host) = machine.mirrors.iter().find(|host| lower.contains(host.as_str())) {
            let message = format!(
                "{host} is this machine's package mirror; read mirrors from the build machine's configuration"
            );
            findings.push(Finding::new(file, index + 1, "mirror", message));
        }
        if let Some(folder) = machine.folders.iter().find(|folder| line.contains(folder.as_str())) {
            findings.push(Finding::new(
                file,
                index + 1,
                "folder",
                format!("{folder} is a folder of this machine"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_from_configurations() {
        let apt =
            "Types: deb\n# http://old.example.net/x\nURIs: https://user:pw@mirror.example.org:8080/debian\n";
        assert_eq!(hosts(apt), ["mirror.example.org"]);
        assert_eq!(hosts("registry = \"sparse+https://crates.example.org/index/\""), ["crates.example.org"]);
        assert!(hosts("see http://localhost:80/").is_empty());
    }

    #[test]
    fn a_mirror_and_a_folder_of_this_machine_are_refused() {
        let machine =
            Machine { mirrors: vec!["mirror.example.org".into()], folders: vec!["/home/ann/src/".into()] };
        let found = check("a.md", "fine\nhttps://Mirror.example.org/x\n/home/ann/src/x\n", &machine);
        assert_eq!(
            found.iter().map(|f| (f.line, f.rule)).collect::<Vec<_>>(),
            [(2, "mirror"), (3, "folder")]
        );
        assert!(check("Cargo.lock", "mirror.example.org", &machine).is_empty());
    }
}
