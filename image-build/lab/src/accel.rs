//! Whether KVM works here. Its device node proves nothing: a guest has to run.

use crate::bootsector;
use crate::machine::Machine;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// How guests of the lab run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accel {
    /// Hardware virtualization.
    Kvm,
    /// QEMU's software emulation.
    Emulation,
}

/// Time a boot sector has to say its line under KVM; it takes well under a second where KVM works.
const SECTOR_DEADLINE: Duration = Duration::from_secs(10);
/// Time the appliance's kernel has to reach user space under KVM.
const KERNEL_DEADLINE: Duration = Duration::from_secs(45);
/// What the appliance's user space first says on the serial line.
pub const USER_SPACE: &str = "OpenRC";

impl Accel {
    /// QEMU's arguments for it.
    pub fn args(self) -> [&'static str; 4] {
        match self {
            Accel::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Accel::Emulation => ["-accel", "tcg,thread=multi", "-cpu", "max"],
        }
    }

    /// KVM where a boot sector and then the kernel of `iso`, up to its user space, ran under it; else emulation. Says
    /// why on the standard error output. The verdict holds for one boot of this machine and is kept in `verdict`.
    ///
    /// # Errors
    /// When scratch files can't be written.
    pub async fn probe(iso: &Path, verdict: &Path) -> Result<Self> {
        let boot =
            std::fs::read_to_string("/proc/sys/kernel/random/boot_id").context("reading the boot id")?;
        if let Ok(known) = std::fs::read_to_string(verdict)
            && let Some((id, word)) = known.split_once(' ')
            && id == boot.trim()
        {
            return Ok(if word.trim() == "kvm" { Accel::Kvm } else { Accel::Emulation });
        }
        let (found, word) = match guests_run(iso).await {
            Ok(()) => (Accel::Kvm, "kvm"),
            Err(why) => {
                eprintln!("KVM is not used, guests are emulated: {why:#}");
                (Accel::Emulation, "tcg")
            }
        };
        if let Some(dir) = verdict.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::write(verdict, format!("{} {word}\n", boot.trim())).context("keeping the verdict")?;
        Ok(found)
    }
}

async fn guests_run(iso: &Path) -> Result<()> {
    std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").context("opening /dev/kvm")?;
    let scratch = tempfile::tempdir().context("making a scratch directory")?;
    let disk = scratch.path().join("probe.img");
    std::fs::write(&disk, bootsector::image("kvm runs guests", 1 << 20))?;
    let drive = format!("format=raw,if=ide,file={}", disk.display());
    let mut guest = Machine::start(scratch.path(), &under_kvm(&["-m", "16", "-drive", &drive]))
        .await
        .context("a boot sector under KVM")?;
    guest.serial.wait_for("kvm runs guests", SECTOR_DEADLINE).await.context("a boot sector under KVM")?;
    guest.pull_plug().await?;
    let medium = iso.display().to_string();
    let args = under_kvm(&["-m", "1024", "-smp", "2", "-cdrom", &medium]);
    let mut guest = Machine::start(scratch.path(), &args).await?;
    guest.serial.wait_for(USER_SPACE, KERNEL_DEADLINE).await.context("the appliance's kernel under KVM")?;
    guest.pull_plug().await
}

fn under_kvm(args: &[&str]) -> Vec<OsString> {
    ["-machine", "q35"].iter().chain(&Accel::Kvm.args()).chain(args).map(OsString::from).collect()
}
