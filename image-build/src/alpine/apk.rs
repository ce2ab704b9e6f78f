//! `apk` as image builder: packs, indexes and installs, with the loader and libraries of the base.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::Command;
use crate::tree;

/// Name of the build's own signing key.
const KEY: &str = "quantix-build.rsa";

/// apk and the key it signs with.
pub struct Apk {
    base: PathBuf,
    key: PathBuf,
    epoch: u64,
}

/// What a package says of itself.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Version with release, as apk writes it.
    pub version: String,
    /// `x86_64` or `noarch`.
    pub arch: String,
    /// Further fields as apk names them: `depends`, `license`, `replaces`, …
    pub info: Vec<(String, String)>,
    /// Scripts: kind and file.
    pub scripts: Vec<(String, PathBuf)>,
    /// Directories whose change triggers its trigger script.
    pub triggers: Vec<String>,
}

impl Package {
    /// File name in a repository.
    pub fn file_name(&self) -> String {
        format!("{}-{}.apk", self.name, self.version)
    }

    /// Adds a field unless it is empty.
    pub fn with(mut self, field: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.info.push((field.to_owned(), value.to_owned()));
        }
        self
    }
}

impl Apk {
    /// Takes apk from the unpacked base and the signing key from `keys`, made there on first use. The key
    /// only binds this build's repository to this build: it stays in the cache, and the root keeps neither
    /// it nor a signature.
    pub fn new(base: &Path, keys: &Path, epoch: u64) -> Result<Self> {
        let key = keys.join(KEY);
        let public = keys.join(format!("{KEY}.pub"));
        if !public.exists() {
            std::fs::create_dir_all(keys)?;
            Command::new("openssl", epoch).args(["genrsa", "-out"]).arg(&key).arg("2048").run()?;
            Command::new("openssl", epoch)
                .args(["rsa", "-pubout", "-in"])
                .arg(&key)
                .arg("-out")
                .arg(&public)
                .run()?;
        }
        Ok(Self { base: base.to_owned(), key, epoch })
    }

    /// A program of the base, run on the build machine.
    pub fn program(base: &Path, program: &str, epoch: u64) -> Command {
        Command::new(base.join("lib/ld-musl-x86_64.so.1"), epoch)
            .arg("--library-path")
            .arg(format!("{0}/lib:{0}/usr/lib", base.display()))
            .arg(base.join(program))
    }

    /// Packs `files` into a signed package in the directory `into`, and returns its path.
    pub fn pack(&self, package: &Package, files: &Path, into: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(into)?;
        let out = into.join(package.file_name());
        tree::date(files, self.epoch)?;
        let mut command = self
            .apk()
            .args(["mkpkg", "--compression", "none", "--files"])
            .arg(files)
            .arg("--sign-key")
            .arg(&self.key);
        for (field, value) in
            [("name", &package.name), ("version", &package.version), ("arch", &package.arch)]
        {
            command = command.arg("-I").arg(format!("{field}:{value}"));
        }
        for (field, value) in &package.info {
            command = command.arg("-I").arg(format!("{field}:{value}"));
        }
        for (kind, path) in &package.scripts {
            command = command.arg("-s").arg(format!("{kind}:{}", path.display()));
        }
        for dir in &package.triggers {
            command = command.arg("-t").arg(dir);
        }
        command.arg("--output").arg(&out).run().with_context(|| format!("cannot pack {}", package.name))?;
        Ok(out)
    }

    /// Indexes the packages that lie in `repository/x86_64` and signs the index. apk looks for this very
    /// name, though what it holds is an index of the third format.
    pub fn index(&self, repository: &Path, packages: &[PathBuf]) -> Result<()> {
        let out = repository.join("x86_64/APKINDEX.tar.gz");
        self.apk()
            .args(["mkndx", "--keys-dir"])
            .arg(self.keys())
            .arg("--sign-key")
            .arg(&self.key)
            .arg("--output")
            .arg(out)
            .args(packages)
            .run()
            .context("cannot index the repository")
    }

    /// Installs packages into the empty root. After a failure the root is partial and must be discarded.
    /// The build's public key is taken out again, so that the result does not depend on it.
    pub fn add(
        &self,
        root: &Path,
        repository: &Path,
        extra_keys: Option<&Path>,
        names: &[String],
    ) -> Result<()> {
        let keys = root.join("etc/apk/keys");
        std::fs::create_dir_all(&keys)?;
        let public = format!("{KEY}.pub");
        std::fs::copy(self.keys().join(&public), keys.join(&public))?;
        if let Some(extra) = extra_keys {
            tree::copy(extra, &keys)?;
        }
        self.apk()
            .args(["add", "--root"])
            .arg(root)
            .args(["--initdb", "--arch", "x86_64", "--keys-dir", "etc/apk/keys"])
            .args(["--repositories-file", "/dev/null", "--repository"])
            .arg(repository)
            .args(["--no-network", "--no-cache"])
            .args(names)
            .run()
            .context("cannot install the packages into the root")?;
        std::fs::remove_file(keys.join(&public))?;
        Ok(())
    }

    /// Downloads packages and what they depend on from another repository into `into`.
    pub fn fetch(&self, repositories: &[String], names: &[String], into: &Path) -> Result<()> {
        let mut command =
            self.apk().args(["fetch", "--recursive", "--arch", "x86_64", "--no-cache", "--root"]);
        let scratch = into.join(".root");
        std::fs::create_dir_all(&scratch)?;
        command = command.arg(&scratch).args(["--initdb", "--keys-dir"]).arg(self.base.join("etc/apk/keys"));
        for repository in repositories {
            command = command.arg("--repository").arg(repository);
        }
        let done = command.args(["--repositories-file", "/dev/null", "--output"]).arg(into).args(names).run();
        std::fs::remove_dir_all(&scratch)?;
        done.context("cannot fetch from the Alpine mirror")
    }

    fn apk(&self) -> Command {
        Self::program(&self.base, "sbin/apk", self.epoch)
    }

    fn keys(&self) -> &Path {
        self.key.parent().unwrap_or(Path::new("."))
    }
}
