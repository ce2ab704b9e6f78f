//! Stages and their skipping: a stage whose inputs and outputs are unchanged does not run again.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::digest::Fingerprint;
use crate::tree;

/// Where everything the build makes lies; nothing of it is an input that cannot be made again.
pub struct Cache {
    root: PathBuf,
    program: String,
}

impl Cache {
    /// Opens (or makes) a cache directory.
    pub fn open(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
        let root = root.canonicalize()?;
        // the program is an input of every stage: a changed recipe must not reuse old results
        let program = crate::digest::file(&std::env::current_exe()?)?;
        Ok(Self { root, program })
    }

    /// A path inside the cache.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Runs `work` unless its fingerprint is the one of the last success and all `outputs` are there.
    /// Prints one line either way. Returns whether it ran.
    pub fn stage(
        &self,
        name: &str,
        inputs: Fingerprint,
        outputs: &[&Path],
        work: impl FnOnce() -> Result<()>,
    ) -> Result<bool> {
        let print = inputs.add("program", &self.program).finish();
        let stamp = self.root.join("stamps").join(name);
        let same = std::fs::read_to_string(&stamp).is_ok_and(|s| s == print);
        if same && outputs.iter().all(|o| o.symlink_metadata().is_ok()) {
            println!("  {name}: unchanged");
            return Ok(false);
        }
        if stamp.exists() {
            std::fs::remove_file(&stamp)?;
        }
        let begun = Instant::now();
        work().with_context(|| format!("stage {name}"))?;
        tree::write(&stamp, print.as_bytes())?;
        println!("  {name}: {:.1} s", begun.elapsed().as_secs_f64());
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_only_when_inputs_and_outputs_stand() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let out = dir.path().join("out");
        let make = |input: &str| {
            cache.stage("s", Fingerprint::new().add("i", input), &[&out], || Ok(std::fs::write(&out, input)?))
        };
        assert!(make("1").unwrap());
        assert!(!make("1").unwrap());
        assert!(make("2").unwrap());
        std::fs::remove_file(&out).unwrap();
        assert!(make("2").unwrap());
    }

    #[test]
    fn a_failure_is_not_remembered_as_done() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let fail = || cache.stage("s", Fingerprint::new(), &[], || anyhow::bail!("no"));
        assert!(fail().is_err());
        assert!(fail().is_err());
        assert!(cache.stage("s", Fingerprint::new(), &[], || Ok(())).unwrap());
    }
}
