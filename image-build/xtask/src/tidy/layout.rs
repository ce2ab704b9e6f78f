//! Sizes of files and pages, and what may stand in the top folder.

use super::Finding;

/// Everything that may stand in the top folder beside hidden files.
const TOP: [&str; 12] = [
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "firstboot",
    "guest-agent",
    "hostd",
    "image-build",
    "os",
    "rust-toolchain.toml",
    "webui",
];

/// Lines of a source file from which splitting is advised, and above which it is demanded.
const FILE_LINES: (usize, usize) = (400, 600);
/// Lines of the top README, and of those below.
const README_LINES: (usize, usize) = (120, 40);
/// Files others wrote.
pub const VENDORED: &str = "webui/vendor/";

/// Refuses entries of the top folder outside the fixed layout.
pub fn entries(files: &[String]) -> Vec<Finding> {
    let mut seen: Vec<&str> = files.iter().filter_map(|f| f.split('/').next()).collect();
    seen.dedup();
    seen.retain(|entry| !entry.starts_with('.') && !TOP.contains(entry));
    let message = "the top folder is fixed; put it into the component it belongs to";
    seen.into_iter().map(|entry| Finding::new(entry, 1, "layout", message)).collect()
}

/// Refuses files and READMEs that are too long.
pub fn size(file: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().count();
    let name = file.rsplit('/').next().unwrap_or(file);
    if name == "README.md" {
        let most = if file == name { README_LINES.0 } else { README_LINES.1 };
        if lines > most {
            return vec![Finding::new(
                file,
                most,
                "readme",
                format!("{lines} lines; a README has at most {most}"),
            )];
        }
    }
    let counted = [".rs", ".css", ".js", ".html", ".sql"].iter().any(|end| file.ends_with(end));
    if !counted || file.starts_with(VENDORED) || lines <= FILE_LINES.0 {
        return Vec::new();
    }
    let (advised, most) = FILE_LINES;
    let finding = Finding::new(
        file,
        advised,
        "length",
        format!("{lines} lines; split it ({advised} is the aim, {most} the limit)"),
    );
    vec![if lines > most { finding } else { finding.hint() }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_in_the_top_folder_is_refused() {
        let files: Vec<String> =
            ["README.md", ".ci/run", "scripts/x.sh", "hostd/Cargo.toml"].map(String::from).to_vec();
        let found = entries(&files);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].file, "scripts");
    }

    #[test]
    fn long_files_are_refused_and_longish_ones_hinted_at() {
        let lines = |n: usize| "x\n".repeat(n);
        assert!(size("a/b.rs", &lines(400)).is_empty());
        assert!(size("a/b.rs", &lines(401))[0].hint);
        assert!(!size("a/b.rs", &lines(601))[0].hint);
        assert!(size("webui/vendor/x.js", &lines(5000)).is_empty());
        assert!(size("README.md", &lines(120)).is_empty());
        assert_eq!(size("README.md", &lines(121))[0].rule, "readme");
        assert_eq!(size("os/README.md", &lines(41))[0].rule, "readme");
    }
}
