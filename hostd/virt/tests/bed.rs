//! A private libvirt host with a [`Hypervisor`] on it.

use hostd_types::{
    CpuMode, CpuTopology, DiskBus, DiskFormat, Firmware, GuestOs, Headroom, VmId, VmState, VolumeId,
    default_boot,
};
use hostd_virt::{DiskSource, DomainPlan, Hypervisor, Link, SeenDomain, VirtSettings};
use lab::libvirt::{Libvirtd, boot_sector};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the boot-sector guest prints.
pub const GREETING: &str = "QUANTIX BOOT SECTOR";

pub struct Bed {
    pub hypervisor: Hypervisor,
    pub host: Libvirtd,
    pub dir: TempDir,
}

impl Bed {
    /// None, and a line that says why, when this machine can't have one.
    pub async fn start() -> Option<Self> {
        if let Some(why) = Libvirtd::missing() {
            eprintln!("skipped: {why}");
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let host = Libvirtd::start(dir.path()).expect("a private libvirtd");
        let settings = VirtSettings::new(host.uri(), dir.path().join("vm"));
        let bed = Self { hypervisor: Hypervisor::start(settings), host, dir };
        bed.link_is(true).await;
        Some(bed)
    }

    /// A machine with one bootable disk.
    pub fn plan(&self, name: &str) -> DomainPlan {
        let volume = VolumeId::new();
        let path = self.dir.path().join(format!("{volume}.raw"));
        let mut disk = boot_sector(GREETING).to_vec();
        disk.resize(1 << 20, 0);
        std::fs::write(&path, disk).expect("a disk");
        DomainPlan {
            vm: VmId::new(),
            name: name.into(),
            description: "quotes \" ' < > & 🦀\r\nsecond line\t]]>".into(),
            generation: 1,
            cpus: 1,
            guest_os: GuestOs::default(),
            cpu_mode: CpuMode::default(),
            topology: CpuTopology::default(),
            machine_type: None,
            seed: None,
            memory_mib: 32,
            headroom: Headroom::default(),
            firmware: Firmware::Bios,
            options: Default::default(),
            boot: default_boot(),
            kvm: false,
            disks: vec![DiskSource {
                volume,
                path,
                format: DiskFormat::Raw,
                bus: DiskBus::Virtio,
                slot: 0,
                options: Default::default(),
                changing: false,
            }],
            cdrom: None,
            more_cdroms: Vec::new(),
            nics: Vec::new(),
            leaving_disks: Vec::new(),
            leaving_nics: Vec::new(),
            host: hostd_virt::HostParts::default(),
        }
    }

    pub async fn link_is(&self, up: bool) {
        let mut link = self.hypervisor.link();
        let wait = link.wait_for(|l| matches!(l, Link::Up { .. }) == up);
        tokio::time::timeout(Duration::from_secs(40), wait)
            .await
            .expect("the link changes")
            .expect("it lives");
    }

    /// The domain as listed, if it is.
    pub async fn find(&self, vm: VmId) -> Option<SeenDomain> {
        let all = self.hypervisor.domains().await.expect("the list");
        all.into_iter().find(|d| d.vm == vm)
    }

    pub async fn seen(&self, vm: VmId) -> SeenDomain {
        self.find(vm).await.expect("the domain is listed")
    }

    /// Waits, woken by events, until the machine is in `state`.
    pub async fn becomes(&self, vm: VmId, state: VmState) -> SeenDomain {
        let mut events = self.hypervisor.events();
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = self.seen(vm).await;
            if seen.state == state {
                return seen;
            }
            assert!(Instant::now() < end, "{vm} is {seen:?}, not {state:?}");
            let _ = tokio::time::timeout(Duration::from_secs(1), events.recv()).await;
        }
    }

    pub fn run_dir(&self, vm: VmId) -> PathBuf {
        self.dir.path().join("vm").join(vm.to_string())
    }

    /// Process id of the machine's QEMU.
    pub fn qemu(&self, name: &str) -> i32 {
        self.host.qemu(name).expect("its QEMU")
    }
}

/// Looks again and again until `holds` or 30 s are over.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await; // between two looks
    }
}
