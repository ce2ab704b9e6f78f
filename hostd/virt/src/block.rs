//! Disks of a running machine: switching them to new layers, merging layers under its feet, and asking the guest to hold
//! still. The binding lacks most of these calls.

use crate::Hypervisor;
use crate::call::{QUICK, SLOW};
use crate::element::{Element, element};
use crate::error::VirtError;
use hostd_types::VmId;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use virt::domain::Domain;
use virt::error::Error;
use virt_sys as sys;

/// How disks are switched: to files that are there, all or none, and libvirt keeps no record of it.
pub(crate) const SWITCH: u32 = sys::VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
    | sys::VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    | sys::VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT;

/// Seconds an agent has for an answer; libvirt itself would wait for ever.
const AGENT_S: i32 = 4;
/// Longest an agent's call may take: it may wait for another one first.
const AGENT: Duration = Duration::from_secs(9);

/// A disk of a running machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveDisk {
    /// Its name inside libvirt, such as `vda`.
    pub target: String,
    /// Its files, the one that is written to first.
    pub files: Vec<PathBuf>,
    /// The active layer is being merged, and the layer under it holds the same by now: it can take over.
    pub mergeable: bool,
}

/// How far a merge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockJob {
    /// Bytes done.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

impl Hypervisor {
    /// The disks of a machine by its live definition; none when it does not run.
    ///
    /// # Errors
    /// When libvirt does not answer.
    pub async fn live_disks(&self, vm: VmId) -> Result<Option<Vec<LiveDisk>>, VirtError> {
        let read = |_: &_, domain: &Domain| {
            if domain.is_active()? { domain.xml_desc(0).map(Some) } else { Ok(None) }
        };
        let xml = match self.shared.on_domain("read the definition", vm, QUICK, read).await {
            Err(VirtError::NoDomain(_)) => None,
            other => other?,
        };
        let wrong = |message: String| VirtError::local("read the definition", message);
        xml.map(|xml| disks_in(&xml).map_err(wrong)).transpose()
    }

    /// Switches disks of a running machine to prepared files over the present ones, all or none: pairs of a disk's name
    /// and the new file.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal; nothing was switched then. When the call was late it may still happen.
    pub async fn switch_disks(&self, vm: VmId, to: Vec<(String, PathBuf)>) -> Result<(), VirtError> {
        let flags = SWITCH | sys::VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY;
        let switch = move |_: &_, domain: &Domain| {
            let all = disks_in(&domain.xml_desc(0)?).unwrap_or_default();
            let xml = switch_xml(&all, &to, None);
            domain.create_snapshot_xml(&xml, flags).map(drop)
        };
        let done = self.shared.on_domain("switch the disks", vm, SLOW, switch).await;
        self.shared.forget(vm);
        done
    }

    /// Begins to copy what the layer `top` of a disk holds into the layer `base` directly under it. If `top` is the active
    /// one, the job is ended by [`Self::take_over`]; otherwise it ends by itself.
    ///
    /// # Errors
    /// libvirt's refusal.
    pub async fn begin_merge(
        &self,
        vm: VmId,
        disk: &str,
        top: &Path,
        base: &Path,
        active: bool,
    ) -> Result<(), VirtError> {
        let [disk, top, base] = [disk.into(), text(top), text(base)].map(c_string);
        let flags = if active { sys::VIR_DOMAIN_BLOCK_COMMIT_ACTIVE } else { 0 };
        let begin = move |_: &_, domain: &Domain| {
            // SAFETY: the domain and the three strings are alive.
            ok(unsafe {
                sys::virDomainBlockCommit(
                    domain.as_ptr(),
                    disk.as_ptr(),
                    base.as_ptr(),
                    top.as_ptr(),
                    0,
                    flags,
                )
            })
        };
        self.shared.on_domain("begin to merge", vm, SLOW, begin).await
    }

    /// How far the job of a disk is; none when it has none.
    ///
    /// # Errors
    /// When the machine does not run, or libvirt does not answer.
    pub async fn block_job(&self, vm: VmId, disk: &str) -> Result<Option<BlockJob>, VirtError> {
        let disk = c_string(disk.into());
        let ask = move |_: &_, domain: &Domain| {
            let mut info = sys::virDomainBlockJobInfo { type_: 0, bandwidth: 0, cur: 0, end: 0 };
            // SAFETY: the domain and the string are alive; libvirt writes the struct.
            let found =
                unsafe { sys::virDomainGetBlockJobInfo(domain.as_ptr(), disk.as_ptr(), &raw mut info, 0) };
            match found {
                0 => Ok(None),
                1.. => Ok(Some(BlockJob { done: info.cur, total: info.end })),
                _ => Err(Error::last_error()),
            }
        };
        self.shared.on_domain("look at the merge", vm, QUICK, ask).await
    }

    /// Lets the layer under the active one take its place, once they hold the same.
    ///
    /// # Errors
    /// libvirt's refusal; the disk is what it was then.
    pub async fn take_over(&self, vm: VmId, disk: &str) -> Result<(), VirtError> {
        let done = self.end_job(vm, disk, "end the merge", sys::VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT).await;
        self.shared.forget(vm);
        done
    }

    /// Stops the job of a disk; it keeps all its layers.
    ///
    /// # Errors
    /// libvirt's refusal.
    pub async fn stop_merge(&self, vm: VmId, disk: &str) -> Result<(), VirtError> {
        self.end_job(vm, disk, "stop the merge", 0).await
    }

    async fn end_job(
        &self,
        vm: VmId,
        disk: &str,
        operation: &'static str,
        flags: u32,
    ) -> Result<(), VirtError> {
        let disk = c_string(disk.into());
        let end = move |_: &_, domain: &Domain| {
            // SAFETY: the domain and the string are alive.
            ok(unsafe { sys::virDomainBlockJobAbort(domain.as_ptr(), disk.as_ptr(), flags) })
        };
        self.shared.on_domain(operation, vm, SLOW, end).await
    }

    /// Asks the guest's agent to write everything out and to hold writes back until [`Self::thaw`].
    ///
    /// # Errors
    /// When the guest has no agent or it does not answer within seconds; it may hold still all the same then.
    pub async fn freeze(&self, vm: VmId) -> Result<(), VirtError> {
        let freeze = |_: &_, domain: &Domain| {
            // SAFETY: the domain is alive; no list means every file system.
            ok(unsafe { sys::virDomainAgentSetResponseTimeout(domain.as_ptr(), AGENT_S, 0) })?;
            // SAFETY: the same; libvirt takes no list for every file system.
            ok(unsafe { sys::virDomainFSFreeze(domain.as_ptr(), std::ptr::null_mut(), 0, 0) })
        };
        self.shared.on_domain("quiesce", vm, AGENT, freeze).await
    }

    /// Lets the guest write again; fine when it was not held.
    ///
    /// # Errors
    /// When the agent does not answer, or the machine does not run.
    pub async fn thaw(&self, vm: VmId) -> Result<(), VirtError> {
        let thaw = |_: &_, domain: &Domain| {
            // SAFETY: as for `freeze`.
            ok(unsafe { sys::virDomainAgentSetResponseTimeout(domain.as_ptr(), AGENT_S, 0) })?;
            // SAFETY: the same.
            ok(unsafe { sys::virDomainFSThaw(domain.as_ptr(), std::ptr::null_mut(), 0, 0) })
        };
        self.shared.on_domain("end the quiescing", vm, AGENT, thaw).await
    }
}

pub(crate) fn ok(result: i32) -> Result<(), Error> {
    if result < 0 { Err(Error::last_error()) } else { Ok(()) }
}

pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A path of the pool or a disk's name; neither has a zero byte.
pub(crate) fn c_string(text: String) -> CString {
    CString::new(text).unwrap_or_default()
}

/// Asks for new files for some disks, and for nothing to happen to the others; for the memory to be kept in a file, too.
pub(crate) fn switch_xml(all: &[LiveDisk], to: &[(String, PathBuf)], memory: Option<&Path>) -> String {
    let disk = |disk: &LiveDisk| {
        let named = element("disk").with("name", &disk.target);
        match to.iter().find(|(target, _)| *target == disk.target) {
            None => named.with("snapshot", "no"),
            Some((_, path)) => named
                .with("snapshot", "external")
                .with("type", "file")
                .holding(element("driver").with("type", "qcow2"))
                .holding(element("source").with("file", path.display())),
        }
    };
    let memory =
        memory.map(|file| element("memory").with("snapshot", "external").with("file", file.display()));
    let disks = element("disks").holding_all(all.iter().map(disk));
    element("domainsnapshot").holding_all(memory).holding(disks).to_xml()
}

/// All disks and drives of a live definition.
pub(crate) fn disks_in(xml: &str) -> Result<Vec<LiveDisk>, String> {
    let domain = Element::parse(xml)?;
    let Some(devices) = domain.child("devices") else { return Ok(Vec::new()) };
    let disk = |disk: &Element| {
        let mut files = Vec::new();
        let mut at = Some(disk);
        while let Some(here) = at {
            files.extend(here.child("source").and_then(|s| s.get("file")).map(PathBuf::from));
            at = here.child("backingStore");
        }
        let mergeable = disk.child("mirror").and_then(|m| m.get("ready")) == Some("yes");
        let target = disk.child("target").and_then(|t| t.get("dev")).unwrap_or_default().to_owned();
        LiveDisk { target, files, mergeable }
    };
    Ok(devices.all("disk").map(disk).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_and_merges_are_read_from_the_live_definition() {
        let xml = "<domain><devices><disk type='file' device='disk'><source file='/v/c'/>\
            <backingStore type='file'><format type='qcow2'/><source file='/v/b'/><backingStore type='file'>\
            <format type='raw'/><source file='/v/a'/><backingStore/></backingStore></backingStore>\
            <mirror type='file' job='active-commit' ready='yes'><source file='/v/b'/></mirror><target dev='vda'/></disk>\
            <disk type='file' device='cdrom'><target dev='sda'/></disk></devices></domain>";
        let disks = disks_in(xml).expect("well-formed");
        let files = ["/v/c", "/v/b", "/v/a"].map(PathBuf::from).to_vec();
        assert_eq!(disks[0], LiveDisk { target: "vda".into(), files, mergeable: true });
        assert_eq!(disks[1], LiveDisk { target: "sda".into(), files: Vec::new(), mergeable: false });
        let to = [("vda".into(), "/v/d & e".into())];
        let asked = switch_xml(&disks, &to, None);
        assert!(!asked.contains("memory"), "{asked}");
        assert!(switch_xml(&disks, &to, Some(Path::new("/m/1"))).contains("file=\"/m/1\""));
        for part in
            ["name=\"vda\" snapshot=\"external\"", "file=\"/v/d &amp; e\"", "name=\"sda\" snapshot=\"no\""]
        {
            assert!(asked.contains(part), "{part}: {asked}");
        }
    }
}
