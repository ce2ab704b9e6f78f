//! A set of packages that is resolved and unpacked together.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// What is asked for and what is said to be there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name in the lock file.
    pub name: String,
    /// Packages asked for.
    pub want: Vec<String>,
    /// Packages declared installed: the base provides them, or nobody needs them.
    pub provided: Vec<String>,
}

impl Set {
    /// Reads `os/debian/NAME.set`.
    pub fn read(os: &Path, name: &str) -> Result<Self> {
        let path = os.join("debian").join(format!("{name}.set"));
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(name, &text).with_context(|| format!("in {}", path.display()))
    }

    fn parse(name: &str, text: &str) -> Result<Self> {
        let mut set = Self { name: name.into(), want: Vec::new(), provided: Vec::new() };
        for line in text.lines().map(|l| l.split('#').next().unwrap_or_default()) {
            let mut words = line.split_whitespace();
            match words.next() {
                None => {}
                Some("want") => set.want.extend(words.map(str::to_owned)),
                Some("provided") => set.provided.extend(words.map(str::to_owned)),
                Some(other) => bail!("unknown word `{other}`"),
            }
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_words() {
        let set = Set::parse("x", "# c\nwant a b # d\nprovided c\nwant e\n").unwrap();
        assert_eq!((set.want.join(" "), set.provided.join(" ")), ("a b e".into(), "c".into()));
        assert!(Set::parse("x", "wants a").is_err());
    }
}
