//! The checkout: where it is, what is in it, and how its own programs are called.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The checkout and where cargo builds.
#[derive(Debug, Clone)]
pub struct Checkout {
    /// Its top folder.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// A daemon to work with instead of one that is compiled from the checkout.
    pub hostd: Option<PathBuf>,
    /// What counts as the previous release instead of the last one.
    pub previous: Option<String>,
    /// The tests were compiled: programs compiled beside them share their libraries. Alone, they get libraries with other
    /// features, and nearly everything is compiled twice.
    pub tested: bool,
}

impl Checkout {
    /// The checkout this program was built from.
    ///
    /// # Errors
    /// When cargo can't tell where it builds.
    pub fn find() -> Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().context("the checkout")?;
        let mut checkout =
            Self { target: root.join("target"), root, hostd: None, previous: None, tested: false };
        let metadata = checkout.metadata(&["--no-deps"])?;
        let target = metadata["target_directory"].as_str().context("cargo names its target folder")?;
        checkout.target = target.into();
        Ok(checkout)
    }

    /// A program to be run in the checkout. Its standard input is empty: nothing here may wait for a person.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// Cargo, with these words.
    pub fn cargo(&self, words: &[&str]) -> Command {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let mut command = self.command(&cargo);
        command.args(words);
        command
    }

    /// Git, in the checkout.
    pub fn git(&self) -> Command {
        let mut command = self.command("git");
        // The checkout may belong to another user than the one who runs the suite (root in CI).
        command.args(["-c", "safe.directory=*"]);
        command
    }

    /// Compiles every program of the workspace, and returns the one named; the daemon may be another one, see [`Checkout::hostd`].
    ///
    /// # Errors
    /// When something does not compile.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        if let Some(hostd) = self.hostd.as_ref().filter(|_| name == "hostd") {
            return Ok(hostd.clone());
        }
        let mut build = self.cargo(&["build", "-q", "--workspace", "--bins", "--locked"]);
        run(build.args(self.tested.then_some("--tests")))?;
        Ok(self.target.join("debug").join(name))
    }

    /// What `cargo metadata` says.
    ///
    /// # Errors
    /// When it fails.
    pub fn metadata(&self, words: &[&str]) -> Result<Value> {
        let mut command = self.cargo(&["metadata", "--format-version", "1"]);
        serde_json::from_str(&read(command.args(words))?).context("reading cargo's metadata")
    }

    /// Every file that is or would be under version control, relative to the root, sorted.
    ///
    /// # Errors
    /// When git fails.
    pub fn files(&self) -> Result<Vec<String>> {
        let words = ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "-z"];
        let listed = read(self.git().args(words))?;
        let mut files: Vec<String> = listed.split('\0').filter(|f| !f.is_empty()).map(String::from).collect();
        files.retain(|file| self.root.join(file).is_file());
        files.sort_unstable();
        Ok(files)
    }
}

/// Runs `command` with its output going where ours goes.
///
/// # Errors
/// When it can't be started or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs `command` and returns what it printed; its complaints go where ours go.
///
/// # Errors
/// When it can't be started or fails.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("starting {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed ({})", shown(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("reading {}", shown(command)))
}

/// The command as a person would type it, for messages.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
