//! What this host's QEMU offers machines, as libvirt tells it.

use crate::Hypervisor;
use crate::connection::locked;
use crate::domain_xml::{self, Surroundings};
use crate::element::Element;
use crate::plan::{DiskSource, DomainPlan, HostParts, ShareSource};
use hostd_types::*;
use std::collections::BTreeMap;
use virt::connect::Connect;

/// Something a host may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offer {
    /// OVMF with Microsoft's keys.
    SecureBoot,
    /// swtpm.
    Tpm,
    /// NVMe disks.
    Nvme,
    /// io_uring for disks.
    IoUring,
    /// The QXL graphics card.
    Qxl,
    /// The watchdog of the mainboard's chips.
    Itco,
    /// Memory made of huge pages; how many are set aside is another question.
    HugePages,
    /// Folders of the host that guests mount: virtiofs in QEMU, and the daemon that serves it.
    SharedFolders,
    /// Control of processor time, by cgroups.
    CpuShares,
}

/// What a host offers machines. Empty until libvirt has answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offers {
    /// The q35 machine types, the newest last.
    pub machine_types: Vec<String>,
    /// Why something is not offered, in the host's words.
    refused: BTreeMap<Offer, String>,
}

impl Offers {
    /// Why this can't be had here; nothing when it can.
    pub fn refusal(&self, offer: Offer) -> Option<&str> {
        self.refused.get(&offer).map(String::as_str)
    }
    /// The same with something refused, for tests.
    #[must_use]
    pub fn without(mut self, offer: Offer, why: &str) -> Self {
        self.refused.insert(offer, why.to_owned());
        self
    }
}

impl Hypervisor {
    /// What the host offers. Asked once for each session with libvirt, so that nobody waits for the answer.
    pub fn offers(&self) -> Offers {
        locked(&self.shared.offers).clone()
    }

    /// What libvirt says of the processor for guests on hardware virtualization (`kvm`) or in emulation; none until it
    /// has told. Asked once for each session, too.
    pub fn cpu(&self, kvm: bool) -> Option<HostCpu> {
        locked(&self.shared.cpus)[usize::from(kvm)].clone()
    }
}

/// Asks libvirt.
pub(crate) fn ask(connect: &Connect) -> Offers {
    let told = connect.capabilities().map_err(|error| error.message().to_owned());
    let machine_types = told.and_then(|xml| q35_types(&xml)).unwrap_or_else(|why| {
        tracing::warn!(why, "libvirt does not tell the machine types");
        Vec::new()
    });
    let mut refused: BTreeMap<Offer, String> =
        probes().into_iter().filter_map(|(offer, plan)| Some((offer, refusal(connect, &plan)?))).collect();
    if !["/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/cpu"].iter().any(|file| controls_cpus(file)) {
        refused.insert(Offer::CpuShares, "no control group of the kernel that divides processor time".into());
    }
    Offers { machine_types, refused }
}

fn controls_cpus(file: &str) -> bool {
    let path = std::path::Path::new(file);
    path.is_dir() || std::fs::read_to_string(path).is_ok_and(|all| all.split_whitespace().any(|c| c == "cpu"))
}

/// A machine for each, that has it and nothing else.
fn probes() -> Vec<(Offer, DomainPlan)> {
    let bare = bare();
    let disk = |bus, options| {
        let disk = DiskSource {
            volume: VolumeId::from_uuid(uuid::Uuid::nil()),
            path: "/nowhere/probe.raw".into(),
            format: DiskFormat::Raw,
            bus,
            slot: 0,
            options,
            changing: false,
        };
        DomainPlan { disks: vec![disk], ..bare.clone() }
    };
    let with = |options| DomainPlan { options, ..bare.clone() };
    let ring = DiskOptions { io: Some(DiskIo::IoUring), ..DiskOptions::default() };
    let qxl = VideoDevice { model: VideoModel::Qxl, ..VideoDevice::default() };
    let memory = MemoryBacking { huge_pages: Some(HugePageSize::TwoMib), numa_nodes: None };
    let shares = vec![ShareSource { tag: "probe".into(), dir: "/nowhere".into() }];
    let itco = WatchdogDevice { model: WatchdogModel::Itco, action: WatchdogAction::Reset };
    vec![
        (Offer::SecureBoot, DomainPlan { firmware: Firmware::UefiSecure, ..bare.clone() }),
        (Offer::Tpm, with(VmOptions { tpm: true, ..VmOptions::default() })),
        (Offer::Nvme, disk(DiskBus::Nvme, DiskOptions::default())),
        (Offer::IoUring, disk(DiskBus::Virtio, ring)),
        (Offer::Qxl, with(VmOptions { video: qxl, ..VmOptions::default() })),
        (Offer::HugePages, with(VmOptions { memory, ..VmOptions::default() })),
        (
            Offer::SharedFolders,
            DomainPlan { host: HostParts { shares, ..HostParts::default() }, ..bare.clone() },
        ),
        (Offer::Itco, with(VmOptions { watchdog: Some(itco), ..VmOptions::default() })),
    ]
}

/// Why libvirt would not start such a machine: it says what QEMU would be called with, and checks everything before.
fn refusal(connect: &Connect, plan: &DomainPlan) -> Option<String> {
    let around = Surroundings { run_dir: "/nowhere".into(), direct: Vec::new() };
    let xml = domain_xml::domain_xml(plan, &around);
    let error = connect.domain_xml_to_native("qemu-argv", &xml, 0).err()?;
    Some(error.message().trim().to_owned())
}

fn bare() -> DomainPlan {
    DomainPlan {
        vm: VmId::from_uuid(uuid::Uuid::from_bytes([1; 16])),
        name: "probe".into(),
        description: String::new(),
        generation: 0,
        cpus: 1,
        guest_os: GuestOs::Other,
        cpu_mode: CpuMode::Flexible,
        topology: CpuTopology::default(),
        machine_type: None,
        seed: None,
        memory_mib: 128,
        headroom: Headroom::default(),
        firmware: Firmware::Bios,
        options: VmOptions::default(),
        host: HostParts::default(),
        boot: Vec::new(),
        kvm: false,
        disks: Vec::new(),
        cdrom: None,
        more_cdroms: Vec::new(),
        nics: Vec::new(),
        leaving_disks: Vec::new(),
        leaving_nics: Vec::new(),
    }
}

/// The q35 types among the machines of x86-64 guests. See <https://libvirt.org/formatcaps.html>.
fn q35_types(capabilities: &str) -> Result<Vec<String>, String> {
    let root = Element::parse(capabilities)?;
    let arches = root.all("guest").filter_map(|guest| guest.child("arch"));
    let machines =
        arches.filter(|arch| arch.get("name") == Some("x86_64")).flat_map(|arch| arch.all("machine"));
    let mut found: Vec<String> = machines
        .map(|machine| machine.text.trim().to_owned())
        .filter(|name| q35_version(name).is_some())
        .collect();
    found.sort_by_key(|name| q35_version(name));
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbered_q35_types_of_64_bit_guests_are_offered_in_order() {
        let xml = "<capabilities><host/><guest><os_type>hvm</os_type><arch name='i686'>\
            <machine>pc-q35-1.0</machine></arch></guest><guest><arch name='x86_64'>\
            <machine maxCpus='1024'>pc-q35-10.0</machine><machine canonical='pc-q35-10.0'>q35</machine>\
            <machine>pc-i440fx-10.0</machine><machine>pc-q35-9.2</machine>\
            <domain type='kvm'><machine>pc-q35-9.2</machine></domain></arch></guest></capabilities>";
        assert_eq!(q35_types(xml), Ok(vec!["pc-q35-9.2".to_owned(), "pc-q35-10.0".to_owned()]));
        assert!(q35_types("<capabilities>").is_err());
    }
}
