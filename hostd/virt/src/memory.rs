//! The memory of a running machine: kept in a file at the instant its disks are switched, and gone on from. The binding lacks
//! most of these calls.
//!
//! The file is libvirt's own: a header that says whether it is whole, the definition the machine ran by, what QEMU would send
//! to another host.

use crate::Hypervisor;
use crate::block::{BlockJob, SWITCH, c_string, disks_in, ok, switch_xml, text};
use crate::call::{QUICK, SLOW};
use crate::domain_xml;
use crate::element::Element;
use crate::error::VirtError;
use crate::plan::DomainPlan;
use hostd_types::{VmId, VolumeId};
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt_sys as sys;

/// Longest memory may take to be written or read.
const LONG: Duration = Duration::from_secs(4 * 3600);

impl Hypervisor {
    /// Writes the memory of a running machine to `file` while it runs on, then stops it for a moment in which its disks are
    /// switched, as [`Self::switch_disks`] does; both are of that instant.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal: nothing was switched then, and the machine goes on. When the call was late it may still
    /// happen: [`Self::job`] tells.
    pub async fn keep_memory(
        &self,
        vm: VmId,
        to: Vec<(String, PathBuf)>,
        file: PathBuf,
    ) -> Result<(), VirtError> {
        let flags = SWITCH | sys::VIR_DOMAIN_SNAPSHOT_CREATE_LIVE;
        let keep = move |_: &_, domain: &Domain| {
            let all = disks_in(&domain.xml_desc(0)?).unwrap_or_default();
            domain.create_snapshot_xml(&switch_xml(&all, &to, Some(&file)), flags).map(drop)
        };
        let done = self.shared.long_on_domain("keep the memory", vm, LONG, keep).await;
        self.shared.forget(vm);
        done
    }

    /// What libvirt is doing to the memory of a machine, if it is; none when the machine is off.
    ///
    /// # Errors
    /// When libvirt does not answer.
    pub async fn job(&self, vm: VmId) -> Result<Option<BlockJob>, VirtError> {
        let ask = |_: &_, domain: &Domain| {
            if !domain.is_active()? {
                return Ok(None);
            }
            // SAFETY: it holds numbers alone.
            let mut info: sys::virDomainJobInfo = unsafe { std::mem::zeroed() };
            // SAFETY: the domain is alive; libvirt writes the struct.
            ok(unsafe { sys::virDomainGetJobInfo(domain.as_ptr(), &raw mut info) })?;
            // "Completed" is said of the memory while the disks are still to be switched; when all is over there is no job.
            let runs = u32::try_from(info.type_) != Ok(sys::VIR_DOMAIN_JOB_NONE);
            Ok(runs.then_some(BlockJob { done: info.dataProcessed, total: info.dataTotal }))
        };
        match self.shared.on_domain("look at the memory", vm, QUICK, ask).await {
            Err(VirtError::NoDomain(_)) => Ok(None),
            other => other,
        }
    }

    /// Stops what [`Self::keep_memory`] does.
    ///
    /// # Errors
    /// libvirt's refusal, for example because it has ended.
    pub async fn stop_job(&self, vm: VmId) -> Result<(), VirtError> {
        // SAFETY: the domain is alive.
        let stop = |_: &_, domain: &Domain| ok(unsafe { sys::virDomainAbortJob(domain.as_ptr()) });
        self.shared.on_domain("stop keeping the memory", vm, SLOW, stop).await
    }

    /// The file keeps memory, all of it.
    ///
    /// # Errors
    /// When libvirt does not answer.
    pub async fn is_whole(&self, file: &Path) -> Result<bool, VirtError> {
        let file = file.to_owned();
        let read = move |connect: &Connect| match kept_definition(connect, &file) {
            Err(error) if crate::error::lost(&error) => Err(error),
            other => Ok(other.is_ok()),
        };
        self.shared.call(&self.shared.control, "read the kept memory", QUICK, read).await
    }

    /// Starts a machine that is off from the memory in `file`; its disks are those of `active` from now on, and what its guest
    /// does not see (networks, cables, limits) is that of `now`. It has the name that it had when the memory was kept.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal; it is off then. When the call was late it may still happen.
    pub async fn go_on_from(
        &self,
        vm: VmId,
        file: PathBuf,
        active: Vec<(VolumeId, PathBuf)>,
        now: DomainPlan,
    ) -> Result<(), VirtError> {
        self.shared.make_run_dir(vm).await?; // /run is empty after a boot
        let start = move |connect: &Connect, domain: &Domain| {
            let kept = kept_definition(connect, &file)?;
            let (name, xml) = as_now(&kept, &active, &now).unwrap_or_default();
            if !name.is_empty() && name != domain.name()? {
                domain.rename(&name, 0)?;
            }
            let [file, xml] = [text(&file), xml].map(c_string);
            // SAFETY: the connection and both strings are alive.
            ok(unsafe {
                sys::virDomainRestoreFlags(
                    connect.as_ptr(),
                    file.as_ptr(),
                    xml.as_ptr(),
                    sys::VIR_DOMAIN_SAVE_RUNNING,
                )
            })
        };
        let done = self.shared.long_on_domain("go on from the kept memory", vm, LONG, start).await;
        self.shared.forget(vm);
        done
    }
}

/// The definition that the machine ran by when its memory was kept.
fn kept_definition(connect: &Connect, file: &Path) -> Result<String, Error> {
    let file = c_string(text(file));
    // SAFETY: the connection and the string are alive.
    let xml = unsafe { sys::virDomainSaveImageGetXMLDesc(connect.as_ptr(), file.as_ptr(), 0) };
    if xml.is_null() {
        return Err(Error::last_error());
    }
    // SAFETY: libvirt answered a string that is ours to free, with the allocator that it used.
    let read = unsafe { CStr::from_ptr(xml) }.to_string_lossy().into_owned();
    // SAFETY: the same; nothing refers to it any more.
    unsafe { nix::libc::free(xml.cast()) };
    Ok(read)
}

/// The name in a definition, and the definition with other files for its disks, and the networks, cables and limits of `now`. A
/// medium that is not there any more is taken out of its drive.
fn as_now(xml: &str, active: &[(VolumeId, PathBuf)], now: &DomainPlan) -> Result<(String, String), String> {
    let mut domain = Element::parse(xml)?;
    let name = domain.child("name").map(|name| name.text.clone()).unwrap_or_default();
    let devices = domain.children.iter_mut().find(|child| child.name == "devices");
    for disk in devices.into_iter().flat_map(|devices| &mut devices.children) {
        if disk.name == "interface" {
            plug_as_now(disk, now);
        }
        if disk.name != "disk" {
            continue;
        }
        disk.children.retain(|child| child.name != "backingStore" && child.name != "mirror");
        let Some(source) = disk.child("source").and_then(|source| source.get("file")).map(PathBuf::from)
        else {
            continue;
        };
        // Every file of a volume begins with its identifier.
        let volume =
            source.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('.').next());
        let file = active.iter().find(|(id, _)| Some(id.to_string().as_str()) == volume);
        match file {
            Some((id, file)) => {
                let limits =
                    now.disks.iter().find(|disk| disk.volume == *id).map(|disk| &disk.options.limits);
                disk.children.retain(|child| child.name != "iotune");
                disk.children.extend(limits.and_then(domain_xml::disk_limits));
                for child in &mut disk.children {
                    if child.name == "source" {
                        *child = crate::element::element("source").with("file", file.display());
                    } else if child.name == "driver" {
                        set(child, "type", "qcow2");
                    }
                }
            }
            None if !source.exists() => disk.children.retain(|child| child.name != "source"),
            None => {}
        }
    }
    Ok((name, domain.to_xml()))
}

/// Puts a card where it is by now.
fn plug_as_now(card: &mut Element, now: &DomainPlan) {
    let mac = card.child("mac").and_then(|mac| mac.get("address")).unwrap_or_default();
    let Some(nic) = now.nics.iter().find(|nic| nic.mac.eq_ignore_ascii_case(mac)) else { return };
    card.children.retain(|child| !matches!(&*child.name, "source" | "bandwidth" | "link"));
    card.children.push(crate::element::element("source").with("bridge", &nic.bridge));
    card.children.extend(domain_xml::bandwidth(&nic.options));
    card.children.extend((!nic.plugged).then(|| crate::element::element("link").with("state", "down")));
}

fn set(element: &mut Element, name: &str, value: &str) {
    for (_, old) in element.attributes.iter_mut().filter(|(n, _)| n == name) {
        *old = value.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_definition_gets_the_disks_of_now() {
        let (known, other) = (VolumeId::new(), VolumeId::new());
        let xml = format!(
            "<domain><name>web</name><devices><disk device='disk'><driver name='qemu' type='raw'/><source file='/v/{known}.raw' index='2'/>\
             <backingStore type='file'><source file='/v/x'/></backingStore><target dev='vda'/></disk>\
             <disk device='cdrom'><source file='/gone/{other}.img'/><target dev='sda'/></disk>\
             <interface type='bridge'><mac address='52:54:00:aa:bb:01'/><source bridge='old'/><model type='virtio'/></interface>\
             </devices></domain>"
        );
        let mut now = crate::drift::tests::plan();
        (now.nics[0].bridge, now.nics[0].plugged) = ("new".into(), false);
        let (name, made) = as_now(&xml, &[(known, "/v/next.qcow2".into())], &now).expect("well-formed");
        assert!(made.contains("<source bridge=\"new\"/>") && !made.contains("\"old\""), "{made}");
        assert!(made.contains("<link state=\"down\"/>"), "its cable is pulled by now: {made}");
        assert_eq!(name, "web");
        let disks = disks_in(&made).expect("well-formed");
        assert_eq!(disks[0].files, [PathBuf::from("/v/next.qcow2")]);
        assert!(disks[1].files.is_empty() && disks[1].target == "sda");
        assert!(made.contains("type=\"qcow2\"") && !made.contains("backingStore"), "{made}");
    }
}
