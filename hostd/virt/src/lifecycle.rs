//! A domain's life: defined, started, shut down, undefined.

use crate::Hypervisor;
use crate::call::{QUICK, SLOW};
use crate::connection::{Shared, locked};
use crate::domain_xml::{self, Surroundings, domain_xml};
use crate::element::Element;
use crate::error::{VirtError, wrong_state};
use crate::plan::DomainPlan;
use hostd_types::VmId;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use virt_sys as sys;

/// Everything libvirt may still hold of a domain when it is undefined.
const UNDEFINE_ALL: u32 = sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | sys::VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | sys::VIR_DOMAIN_UNDEFINE_NVRAM
    | sys::VIR_DOMAIN_UNDEFINE_TPM;

impl Hypervisor {
    /// Defines the domain, or redefines it; a running machine takes the new definition at its next start. If its name
    /// changed, a machine that is off is renamed; libvirt can't rename one that runs, so that it keeps its name there.
    ///
    /// # Errors
    /// libvirt's refusal (for example: another domain has the name), or that its directory can't be made.
    pub async fn define(&self, plan: &DomainPlan) -> Result<(), VirtError> {
        let vm = plan.vm;
        self.shared.make_run_dir(vm).await?;
        let mut wanted = plan.clone();
        let around = self.surroundings(plan);
        let work = move |connect: &virt::connect::Connect| {
            let around = around.looked_at(&wanted);
            if let Ok(old) = connect.lookup_domain_by_uuid(vm.uuid()) {
                let name = old.name()?;
                if name != wanted.name && old.is_active()? {
                    wanted.name = name;
                } else if name != wanted.name {
                    old.rename(&wanted.name, 0)?;
                }
            }
            connect.define_domain_xml(&domain_xml(&wanted, &around)).map(drop)
        };
        let done = self.shared.call(&self.shared.control, "define", QUICK, work).await;
        self.shared.forget(vm);
        done
    }

    /// Starts the domain; fine if it is active already.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal in its words.
    pub async fn start_domain(&self, vm: VmId) -> Result<(), VirtError> {
        self.shared.make_run_dir(vm).await?; // /run is empty after a boot
        let start = |_: &_, domain: &virt::domain::Domain| match domain.create_with_flags(0) {
            Err(error) if wrong_state(&error) && domain.is_active()? => Ok(()),
            other => other.map(drop),
        };
        self.shared.on_domain("start", vm, SLOW, start).await
    }

    /// Presses the ACPI power button; the guest may ignore it.
    ///
    /// # Errors
    /// When the domain is not running.
    pub async fn press_power(&self, vm: VmId) -> Result<(), VirtError> {
        let press = |_: &_, domain: &virt::domain::Domain| {
            domain.shutdown_flags(sys::VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN).map(drop)
        };
        self.shared.on_domain("press the power button", vm, QUICK, press).await
    }

    /// Presses the reset button; a guest that is frozen runs then.
    ///
    /// # Errors
    /// When the domain is not running.
    pub async fn reset(&self, vm: VmId) -> Result<(), VirtError> {
        let press = |_: &_, domain: &virt::domain::Domain| {
            // One that is frozen, or was kept as it panicked, would stay so.
            let frozen =
                matches!(domain.state()?.0.to_raw(), sys::VIR_DOMAIN_CRASHED | sys::VIR_DOMAIN_PAUSED);
            domain.reset()?;
            if frozen { domain.resume().map(drop) } else { Ok(()) }
        };
        self.shared.on_domain("reset", vm, QUICK, press).await
    }

    /// Pulls the plug; fine if it is off already. A QEMU that does not react is killed, which takes libvirt 10 s.
    ///
    /// # Errors
    /// When libvirt could not end QEMU.
    pub async fn destroy(&self, vm: VmId) -> Result<(), VirtError> {
        let pull = |_: &_, domain: &virt::domain::Domain| match domain.destroy_flags(0) {
            Err(error) if wrong_state(&error) && !domain.is_active()? => Ok(()),
            other => other.map(drop),
        };
        self.shared.on_domain("force off", vm, SLOW, pull).await
    }

    /// Freezes the virtual CPUs.
    ///
    /// # Errors
    /// When the domain is not running.
    pub async fn suspend(&self, vm: VmId) -> Result<(), VirtError> {
        self.shared.on_domain("pause", vm, QUICK, |_, domain| domain.suspend().map(drop)).await
    }

    /// Lets frozen virtual CPUs go on.
    ///
    /// # Errors
    /// When the domain is not paused.
    pub async fn resume(&self, vm: VmId) -> Result<(), VirtError> {
        self.shared.on_domain("resume", vm, QUICK, |_, domain| domain.resume().map(drop)).await
    }

    /// Removes the definition with its NVRAM, managed save, TPM state, snapshots' and checkpoints' metadata, then its
    /// sockets and logs. Fine if it is gone already. A machine that still runs becomes transient.
    ///
    /// # Errors
    /// libvirt's refusal.
    pub async fn undefine(&self, vm: VmId) -> Result<(), VirtError> {
        let drop_it = |_: &_, domain: &virt::domain::Domain| domain.undefine_flags(UNDEFINE_ALL).map(drop);
        match self.shared.on_domain("undefine", vm, QUICK, drop_it).await {
            Ok(()) | Err(VirtError::NoDomain(_)) => {}
            Err(error) => return Err(error),
        }
        self.shared.forget(vm);
        // The variables of a machine whose firmware was another one before its last definition.
        for secure in [false, true] {
            remove(tokio::fs::remove_file(domain_xml::nvram(vm, secure)).await)?;
        }
        // And the TPM of one that had none any more.
        remove(tokio::fs::remove_dir_all(Path::new(domain_xml::TPM_DIR).join(vm.to_string())).await)?;
        remove(tokio::fs::remove_dir_all(self.shared.run_dir(vm)).await)
    }

    /// Changes the medium in the drive `target` of a running machine, even if the guest locked the drive; none ejects.
    ///
    /// # Errors
    /// When the domain is not running or the file can't be opened.
    pub async fn set_cdrom(&self, vm: VmId, target: &str, image: Option<&Path>) -> Result<(), VirtError> {
        let xml = domain_xml::cdrom(target, image, None).to_xml();
        let flags = sys::VIR_DOMAIN_AFFECT_LIVE | sys::VIR_DOMAIN_DEVICE_MODIFY_FORCE;
        let change =
            move |_: &_, domain: &virt::domain::Domain| domain.update_device_flags(&xml, flags).map(drop);
        let done = self.shared.on_domain("change the CD-ROM", vm, QUICK, change).await;
        self.shared.forget(vm);
        done
    }

    /// Where `plan`'s sockets are, before its disks were looked at.
    pub(crate) fn surroundings(&self, plan: &DomainPlan) -> Surroundings {
        Surroundings { run_dir: self.shared.run_dir(plan.vm), direct: Vec::new() }.looked_at(plan)
    }
}

impl Surroundings {
    /// The same after asking each disk's file system whether it takes direct I/O.
    fn looked_at(mut self, plan: &DomainPlan) -> Self {
        self.direct = plan.disks.iter().map(|disk| takes_direct_io(&disk.path)).collect();
        self
    }
}

pub(crate) fn takes_direct_io(path: &Path) -> bool {
    open(path, OFlag::O_RDONLY | OFlag::O_DIRECT | OFlag::O_CLOEXEC, Mode::empty()).is_ok()
}

fn remove(done: std::io::Result<()>) -> Result<(), VirtError> {
    match done {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(VirtError::local("undefine", error))
        }
        _ => Ok(()),
    }
}

impl Shared {
    /// Directory of a machine's sockets and logs.
    pub(crate) fn run_dir(&self, vm: VmId) -> PathBuf {
        self.settings.run_dir.join(vm.to_string())
    }

    pub(crate) fn forget(&self, vm: VmId) {
        locked(&self.definitions).forget(vm);
    }

    /// Makes a machine's directory, owned by the user QEMU runs as, because QEMU makes the screen's socket in it.
    pub(crate) async fn make_run_dir(&self, vm: VmId) -> Result<(), VirtError> {
        let user = self.qemu_user().await?;
        let (parent, dir) = (self.settings.run_dir.clone(), self.run_dir(vm));
        let make = move || -> std::io::Result<()> {
            if !parent.exists() {
                std::fs::DirBuilder::new().recursive(true).mode(0o711).create(&parent)?;
                std::fs::set_permissions(&parent, std::fs::Permissions::from_mode(0o711))?;
            }
            if !dir.exists() {
                std::fs::DirBuilder::new().recursive(true).mode(0o750).create(&dir)?;
            }
            match user {
                Some((uid, gid)) => chown(&dir, Some(uid), Some(gid)),
                None => Ok(()),
            }
        };
        match tokio::task::spawn_blocking(make).await {
            Ok(done) => done.map_err(|e| VirtError::local("make the machine's directory", e)),
            Err(panic) => Err(VirtError::local("make the machine's directory", panic)),
        }
    }

    /// The user and group QEMU runs as, as libvirt's capabilities tell; none: as libvirt itself. Asked once a session.
    pub(crate) async fn qemu_user(&self) -> Result<Option<(u32, u32)>, VirtError> {
        if let Some(known) = *locked(&self.qemu_user) {
            return Ok(known);
        }
        let capabilities =
            self.call(&self.control, "ask for capabilities", SLOW, |c| c.capabilities()).await?;
        let user = user_in(&capabilities);
        *locked(&self.qemu_user) = Some(user);
        Ok(user)
    }
}

/// The base label of the `dac` security model: `+64055:+105`.
fn user_in(capabilities: &str) -> Option<(u32, u32)> {
    let read = Element::parse(capabilities).ok()?;
    let dac =
        read.child("host")?.all("secmodel").find(|m| m.child("model").is_some_and(|m| m.text == "dac"))?;
    let (uid, gid) = dac.child("baselabel")?.text.split_once(':')?;
    let number = |text: &str| text.trim_start_matches('+').parse().ok();
    Some((number(uid)?, number(gid)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_of_qemu_is_read_from_the_capabilities() {
        let of = |models: &str| user_in(&format!("<capabilities><host>{models}</host></capabilities>"));
        let dac = "<secmodel><model>apparmor</model></secmodel><secmodel><model>dac</model><doi>0</doi>\
            <baselabel type='kvm'>+64055:+105</baselabel></secmodel>";
        assert_eq!(of(dac), Some((64055, 105)));
        assert_eq!(of("<secmodel><model>none</model></secmodel>"), None);
        assert_eq!(user_in("rubbish"), None);
    }
}
