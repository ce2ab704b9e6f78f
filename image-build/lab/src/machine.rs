//! A QEMU process of our own: started with a serial log and a control socket, ended by its own process and no other.

use crate::qmp::Qmp;
use crate::serial::Serial;
use crate::wait;
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// A running QEMU. Dropping it kills it.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    /// Its control socket.
    pub qmp: Qmp,
    /// Its serial line.
    pub serial: Serial,
    /// When QEMU was started.
    pub started: Instant,
    dir: PathBuf,
}

impl Machine {
    /// Starts QEMU with `args`; sockets, the serial log (`serial.log`) and QEMU's own words (`qemu.log`) go into `dir`.
    ///
    /// # Errors
    /// When QEMU ends at once; the message carries what it said.
    pub async fn start(dir: &Path, args: &[OsString]) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        // The serial log may show the password of the first boot: root's (or the developer's) eyes only.
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
        let (serial, socket) = (Serial::new(dir), dir.join("qmp.sock"));
        let words = dir.join("qemu.log");
        let said = std::fs::File::create(&words).context("creating qemu.log")?;
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-nodefaults", "-display", "none", "-vga", "std"]);
        command.arg("-chardev").arg(serial.chardev()).args(["-serial", "chardev:serial"]);
        command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", socket.display()));
        command.args(args).stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said).kill_on_drop(true);
        let _ = std::fs::remove_file(serial.log());
        let started = Instant::now();
        let mut child = command.spawn().context("starting qemu-system-x86_64")?;
        // A QEMU that ends at once may still have opened its socket: the end is the better explanation.
        let outcome = tokio::select! {
            biased;
            ended = child.wait() => Err(ended?),
            qmp = Qmp::connect(&socket) => match qmp {
                Ok(qmp) => Ok(qmp),
                Err(error) => match tokio::time::timeout(Duration::from_secs(1), child.wait()).await {
                    Ok(ended) => Err(ended?),
                    Err(_) => return Err(error),
                },
            },
        };
        match outcome {
            Ok(qmp) => Ok(Self { child, qmp, serial, started, dir: dir.to_owned() }),
            Err(status) => {
                let said = std::fs::read_to_string(&words).unwrap_or_default();
                bail!("QEMU ended at once ({status}): {}", said.trim())
            }
        }
    }

    /// Presses the power button.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub async fn press_power(&mut self) -> Result<()> {
        self.qmp.command("system_powerdown", json!({})).await.map(drop)
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub async fn press_reset(&mut self) -> Result<()> {
        self.qmp.command("system_reset", json!({})).await.map(drop)
    }

    /// Saves what the screen shows as a PNG.
    ///
    /// # Errors
    /// When QEMU can't.
    pub async fn screen(&mut self, file: &Path) -> Result<()> {
        self.qmp.command("screendump", json!({"filename": file, "format": "png"})).await.map(drop)
    }

    /// Waits until the guest switched itself off.
    ///
    /// # Errors
    /// When it did not within `deadline`.
    pub async fn wait_off(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(deadline, self.child.wait()).await;
        Ok(ended.with_context(|| format!("not off within {} s", deadline.as_secs()))??)
    }

    /// Whether QEMU still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// QEMU's process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Pulls the plug: QEMU is killed, what it had not written is lost.
    ///
    /// # Errors
    /// When it can't be killed.
    pub async fn pull_plug(&mut self) -> Result<()> {
        self.child.kill().await.context("killing QEMU")
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// A TCP port of the loopback address that is free now.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0").context("looking for a free port")?.local_addr()?.port())
}

/// Waits until a TCP port of the loopback address takes connections.
///
/// # Errors
/// When it does not within `deadline`.
pub async fn listens(port: u16, deadline: Duration) -> Result<()> {
    wait::until(&format!("port {port}"), deadline, || async move {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        Ok(Some(()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootsector;

    #[tokio::test]
    async fn the_boot_sector_prints_echoes_and_obeys_the_power_button() {
        if std::env::var_os("PATH")
            .is_none_or(|p| !std::env::split_paths(&p).any(|d| d.join("qemu-system-x86_64").exists()))
        {
            println!("skipped: qemu-system-x86_64 is not installed");
            return;
        }
        let dir = tempfile::tempdir().expect("scratch");
        let disk = dir.path().join("guest.img");
        std::fs::write(&disk, bootsector::image("boot sector speaking", 1 << 20)).expect("disk");
        for machine in ["pc", "q35"] {
            let args: Vec<OsString> = ["-machine", machine, "-accel", "tcg", "-m", "16", "-drive"]
                .iter()
                .map(OsString::from)
                .chain([OsString::from(format!("format=raw,if=ide,file={}", disk.display()))])
                .collect();
            let mut guest = Machine::start(dir.path(), &args).await.expect("QEMU");
            let minute = Duration::from_secs(60);
            guest.serial.wait_for("boot sector speaking\n", minute).await.expect("its line");
            guest.serial.send("echo?").await.expect("typing");
            guest.serial.wait_for("echo?", minute).await.expect("the echo");
            guest.serial.send("\r").await.expect("typing");
            let again = "echo?boot sector speaking\n";
            guest.serial.wait_for(again, minute).await.expect("the line again at Enter");
            let png = dir.path().join("screen.png");
            guest.screen(&png).await.expect("screendump");
            assert!(std::fs::metadata(&png).expect("png").len() > 500, "something is drawn");
            guest.press_power().await.expect("power button");
            guest.wait_off(minute).await.expect("it switches itself off");
        }
    }
}
