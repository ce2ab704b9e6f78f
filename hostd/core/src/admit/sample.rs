//! Rows for tables of rules and plans.

use hostd_types::*;

fn meta() -> Meta {
    Meta::created(Timestamp::from_unix(1_700_000_000), &Actor::Console)
}

/// A body with nothing but the needed.
pub(crate) fn create_vm(name: &str) -> CreateVm {
    CreateVm {
        name: name.into(),
        description: String::new(),
        cpus: 1,
        guest_os: None,
        scheduled_at: None,
        cpu_mode: CpuMode::default(),
        topology: CpuTopology::default(),
        machine_type: None,
        customization: None,
        memory_mib: 512,
        headroom: Headroom::default(),
        firmware: Firmware::Bios,
        boot: default_boot(),
        autostart: false,
        disks: Vec::new(),
        cdrom: None,
        more_cdroms: Vec::new(),
        shares: Vec::new(),
        nics: Vec::new(),
        host_devices: Vec::new(),
        filing: NewFiling::default(),
        options: VmOptions::default(),
        start: false,
    }
}

/// A ready machine that is off.
pub(crate) fn vm(name: &str) -> Vm {
    Vm {
        id: VmId::new(),
        meta: meta(),
        spec: VmSpec {
            name: name.into(),
            description: String::new(),
            host: HostId::new(),
            placement_epoch: 0,
            cpus: 1,
            guest_os: GuestOs::default(),
            scheduled_at: None,
            cpu_mode: CpuMode::default(),
            topology: CpuTopology::default(),
            machine_type: None,
            customization: None,
            memory_mib: 512,
            firmware: Firmware::Bios,
            boot: default_boot(),
            autostart: false,
            disks: Vec::new(),
            cdrom: None,
            more_cdroms: Vec::new(),
            nics: Vec::new(),
            snapshots: VmSnapshots::default(),
            lineage: Lineage::default(),
            hardware: VmHardware::default(),
            options: VmOptions::default(),
            power: None,
            filing: Filing::default(),
            deleting: None,
        },
        status: VmStatus {
            phase: Phase::Ready,
            state: VmState::Off,
            applied_generation: 1,
            ..VmStatus::default()
        },
    }
}

/// A snapshot of `vm` as it is.
pub(crate) fn snapshot(vm: &Vm) -> Snapshot {
    let spec = SnapshotSpec {
        name: "before".into(),
        description: String::new(),
        vm: vm.id,
        host: vm.spec.host,
        parent: None,
        quiesce: false,
        memory: false,
        layers: LayerMap::new(),
        next: LayerMap::new(),
        machine: Box::new(vm.spec.clone()),
        task: None,
        for_copies: false,
    };
    let status = SnapshotStatus { phase: Phase::Ready, ..SnapshotStatus::default() };
    Snapshot { id: SnapshotId::new(), meta: meta(), spec, status }
}

/// A ready, unattached volume.
pub(crate) fn volume(name: &str) -> Volume {
    Volume {
        id: VolumeId::new(),
        meta: meta(),
        spec: VolumeSpec {
            name: name.into(),
            host: HostId::new(),
            pool: "local".into(),
            format: DiskFormat::Qcow2,
            size_bytes: 1 << 30,
            image: None,
            vm: None,
            task: None,
            layers: Layers::default(),
            origin: None,
            adopted_from: None,
        },
        status: VolumeStatus { phase: Phase::Ready, fault: None },
    }
}

fn image(name: &str, kind: ImageKind, virtual_bytes: u64) -> Image {
    let content = ImageContent {
        kind,
        format: DiskFormat::Raw,
        file_bytes: virtual_bytes,
        virtual_bytes,
        sha256: "0".repeat(64),
    };
    Image {
        id: ImageId::new(),
        meta: meta(),
        spec: ImageSpec {
            name: name.into(),
            description: String::new(),
            host: HostId::new(),
            announced_bytes: None,
            expected_sha256: None,
            task: TaskId::new(),
        },
        status: ImageStatus { phase: Phase::Ready, content: Some(content), fault: None },
    }
}

/// A ready disk image.
pub(crate) fn disk_image(name: &str, virtual_bytes: u64) -> Image {
    image(name, ImageKind::Disk, virtual_bytes)
}

/// A ready ISO.
pub(crate) fn iso(name: &str) -> Image {
    image(name, ImageKind::Iso, 1 << 20)
}

/// An active NAT network.
pub(crate) fn nat(name: &str, subnet: &str) -> Network {
    network(name, NetworkMode::Nat { subnet: subnet.parse().expect("a subnet") })
}

/// An active network.
pub(crate) fn network(name: &str, mode: NetworkMode) -> Network {
    let id = NetworkId::new();
    Network {
        id,
        meta: meta(),
        spec: NetworkSpec {
            name: name.into(),
            description: String::new(),
            host: HostId::new(),
            mode,
            bridge: derived_bridge(id),
            for_clone: None,
            task: None,
        },
        status: NetworkStatus { phase: Phase::Ready, active: true, fault: None },
    }
}

/// A host that tells this of its processor.
pub(crate) fn host(name: &str, cpu: Option<HostCpu>) -> Host {
    let spec = HostSpec {
        name: name.into(),
        node: None,
        role: HostRole::Host,
        fence_epoch: 0,
        leaving: false,
        state: HostState::New,
    };
    Host { id: HostId::new(), meta: meta(), spec, status: HostStatus { cpu, ..HostStatus::default() } }
}
