//! Flags and environment become validated settings here; nothing further in reads either.

use anyhow::{Context, Result};
use clap::Args;
use hostd_core::Settings;
use hostd_types::HostRole;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where the Unix socket of a running daemon is, unless told otherwise.
pub const SOCKET: &str = "/run/quantix/api.sock";

/// Flags of `hostd run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Where state is kept.
    #[arg(long, env = "QUANTIX_STATE_DIR", default_value = "/data/hostd")]
    state_dir: PathBuf,
    /// Where storage pools are.
    #[arg(long, env = "QUANTIX_POOL_DIR", default_value = "/data/pools")]
    pool_dir: PathBuf,
    /// Where sockets and other passing files are.
    #[arg(long, env = "QUANTIX_RUN_DIR", default_value = "/run/quantix")]
    run_dir: PathBuf,
    /// Address of the pages and the API.
    #[arg(long, env = "QUANTIX_LISTEN", default_value = "[::]:8443")]
    pub listen: SocketAddr,
    /// Address of the port for other members of the cluster.
    #[arg(long, env = "QUANTIX_PEER_LISTEN", default_value = "[::]:8444")]
    peer_listen: SocketAddr,
    /// The libvirt to use.
    #[arg(long, env = "QUANTIX_LIBVIRT_URI", default_value = "qemu:///system")]
    libvirt_uri: String,
    /// What this host is for: `host` runs machines, `witness` only votes, so that two hosts keep a majority when one is
    /// lost. It is remembered; absent: as before, at first a host.
    #[arg(long, env = "QUANTIX_ROLE", value_name = "host|witness")]
    role: Option<HostRole>,
    /// Emulate guests even where KVM works.
    #[arg(long, env = "QUANTIX_FORCE_EMULATION")]
    force_emulation: bool,
    /// State is in RAM: say so on every page. The file `data-state` in the run directory decides where it exists.
    #[arg(long, env = "QUANTIX_LIVE")]
    live: bool,
}

/// What the boot found out about the place state is kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataState {
    /// It survives a reboot.
    Durable,
    /// It is in RAM, on purpose.
    Live,
    /// There is a data partition and it can't be used, for this reason. Running on RAM instead would hide the loss.
    Failed(String),
}

impl DataState {
    /// Reads `data-state` in `run_dir`; `None` if no boot wrote one.
    ///
    /// # Errors
    /// The file can't be read or says something unknown.
    pub fn read(run_dir: &Path) -> Result<Option<Self>> {
        let path = run_dir.join("data-state");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        match text.trim() {
            "durable" => Ok(Some(DataState::Durable)),
            "live" => Ok(Some(DataState::Live)),
            other => match other.strip_prefix("failed:") {
                Some(why) => Ok(Some(DataState::Failed(why.trim().to_owned()))),
                None => anyhow::bail!(
                    "{} says {other:?}; durable, live or failed: … was expected",
                    path.display()
                ),
            },
        }
    }
}

impl RunArgs {
    /// What the boot found out, else what the flags say.
    ///
    /// # Errors
    /// See [`DataState::read`].
    pub fn data_state(&self) -> Result<DataState> {
        let told = if self.live { DataState::Live } else { DataState::Durable };
        Ok(DataState::read(&self.run_dir)?.unwrap_or(told))
    }

    /// The Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.run_dir.join("api.sock")
    }

    /// Where sockets and other passing files are.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// Where the certificate is kept.
    pub fn keys_dir(&self) -> PathBuf {
        self.state_dir.join("keys")
    }

    /// The core's settings.
    ///
    /// # Errors
    /// The program can't find itself.
    pub fn settings(&self, live: bool) -> Result<Settings> {
        Ok(Settings {
            state_dir: self.state_dir.clone(),
            pool_dir: self.pool_dir.clone(),
            run_dir: self.run_dir.clone(),
            peer_listen: self.peer_listen,
            site_listen: self.listen,
            libvirt_uri: self.libvirt_uri.clone(),
            role: self.role,
            force_emulation: self.force_emulation,
            live,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            program: std::env::current_exe().context("finding this program's own file")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_decides_about_the_data_partition() {
        let dir = tempfile::tempdir().expect("a scratch directory");
        assert_eq!(DataState::read(dir.path()).expect("absent"), None);
        let cases = [
            ("durable\n", DataState::Durable),
            ("live\n", DataState::Live),
            ("failed: ext4 is damaged\n", DataState::Failed("ext4 is damaged".into())),
        ];
        for (text, expected) in cases {
            std::fs::write(dir.path().join("data-state"), text).expect("written");
            assert_eq!(DataState::read(dir.path()).expect(text), Some(expected));
        }
        std::fs::write(dir.path().join("data-state"), "maybe").expect("written");
        assert!(DataState::read(dir.path()).is_err());
    }
}
