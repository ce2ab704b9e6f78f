//! A command of each kind about machines, with every field set: what the golden entries are made of.

use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

pub fn uuid(n: u8) -> uuid::Uuid {
    uuid::Uuid::from_bytes([
        1, 0x92, 0xc1, 0xd4, 0x7b, 0x1e, 0x7c, 0x3a, 0x9d, 0x3e, 0x2f, 0x6a, 0x1b, 0x0c, 0x4d, n,
    ])
}

/// What a guest is told at its first boot.
pub fn customization() -> Customization {
    Customization {
        hostname: "{{vm.name}}".into(),
        resolved_hostname: "web".into(),
        timezone: "Europe/Berlin".into(),
        users: vec![GuestUser {
            name: "ada".into(),
            sudo: Sudo::NoPassword,
            shell: "/bin/bash".into(),
            password: Some(GuestPassword::Hash("$6$salt$hash".into())),
            ssh_keys: vec!["ssh-ed25519 AAAA".into()],
        }],
        packages: vec!["vim".into()],
        cards: vec![GuestCard {
            mac: "52:54:00:00:00:01".into(),
            addresses: vec!["192.0.2.9/24".into()],
            ..GuestCard::default()
        }],
        ..Customization::default()
    }
}

pub fn customize() -> EditVm {
    let to = Box::new(customization());
    EditVm { customization: Some(CustomizationChange::Set { to, run_again: true }), ..EditVm::default() }
}

fn asked(image: ImageId) -> CreateVm {
    CreateVm {
        name: "web".into(),
        description: "front \"end\" <1> 🦀".into(),
        cpus: 4,
        guest_os: None,
        scheduled_at: None,
        cpu_mode: CpuMode::Flexible,
        topology: CpuTopology::default(),
        machine_type: None,
        customization: None,
        memory_mib: 4096,
        headroom: Headroom::default(),
        firmware: Firmware::Uefi,
        boot: vec![BootDevice::Network, BootDevice::Disk],
        autostart: true,
        disks: vec![
            NewDisk::Blank {
                size_bytes: 64 << 40,
                format: DiskFormat::Raw,
                bus: DiskBus::Sata,
                options: DiskOptions::default(),
            },
            NewDisk::Image {
                image,
                size_bytes: Some(2 * GIB),
                bus: DiskBus::Virtio,
                options: DiskOptions::default(),
            },
            NewDisk::Volume {
                volume: VolumeId::from_uuid(uuid(4)),
                bus: DiskBus::Virtio,
                options: DiskOptions::default(),
            },
        ],
        cdrom: Some(image),
        more_cdroms: Vec::new(),
        shares: Vec::new(),
        nics: vec![NewNic {
            network: NetworkId::from_uuid(uuid(5)),
            mac: Some("52:54:00:00:00:01".into()),
            model: NicModel::E1000,
            options: NicOptions::default(),
        }],
        host_devices: Vec::new(),
        filing: NewFiling::default(),
        options: VmOptions::default(),
        start: true,
    }
}

/// Every option of a machine's hardware.
pub fn options() -> VmOptions {
    VmOptions {
        tpm: true,
        cpu_share: CpuShare { shares: Some(200), limit_percent: Some(150), reservation_percent: Some(50) },
        serial_ports: 2,
        channels: vec!["com.example.0".into()],
        rng: RngDevice { off: false, bytes_per_second: Some(1024) },
        watchdog: Some(WatchdogDevice { model: WatchdogModel::Itco, action: WatchdogAction::Pause }),
        video: VideoDevice { model: VideoModel::Qxl, memory_mib: Some(32), heads: Some(2) },
        on_crash: OnCrash::Dump,
        memory: MemoryBacking::default(),
    }
}

/// A folder that machines share.
fn shares() -> Vec<VmShare> {
    vec![VmShare { tag: "docs".into(), pool: "local".into(), folder: "team-docs".into() }]
}

/// What a machine's memory can be made of.
fn memory_options() -> VmOptions {
    let memory = MemoryBacking { huge_pages: Some(HugePageSize::OneGib), numa_nodes: Some(2) };
    VmOptions { memory, ..VmOptions::default() }
}

/// Every option of a disk.
pub fn disk_options() -> DiskOptions {
    let rate = |per_second| Some(Rate { per_second, burst: Some(2 * per_second), burst_seconds: Some(5) });
    let limits = DiskLimits {
        read_iops: rate(100),
        write_iops: rate(200),
        read_bytes: rate(GIB),
        write_bytes: rate(2 * GIB),
    };
    DiskOptions {
        cache: Some(DiskCache::Directsync),
        io: Some(DiskIo::IoUring),
        discard: false,
        boot: Some(1),
        limits,
    }
}

/// Every option of a card.
pub fn nic_options() -> NicOptions {
    let limit = Some(Bandwidth { average_kib: 100, peak_kib: Some(200), burst_kib: Some(64) });
    NicOptions { boot: Some(2), inbound: limit, outbound: limit }
}

/// A machine whose firmware, disk and card came with them.
fn equipped() -> CreateVm {
    let network = NetworkId::from_uuid(uuid(5));
    CreateVm {
        firmware: Firmware::UefiSecure,
        disks: vec![NewDisk::Blank {
            size_bytes: GIB,
            format: DiskFormat::Qcow2,
            bus: DiskBus::Nvme,
            options: disk_options(),
        }],
        nics: vec![NewNic { network, mac: None, model: NicModel::E1000e, options: nic_options() }],
        ..asked(ImageId::from_uuid(uuid(3)))
    }
}

pub fn vm_commands() -> Vec<Command> {
    let (id, host) = (VmId::from_uuid(uuid(1)), HostId::from_uuid(uuid(2)));
    let image = ImageId::from_uuid(uuid(3));
    let asked = asked(image);
    let change = EditVm {
        name: Some("web2".into()),
        description: Some(String::new()),
        cpus: Some(2),
        memory_mib: Some(512),
        firmware: Some(Firmware::Bios),
        boot: Some(vec![BootDevice::Cdrom]),
        autostart: Some(false),
        cdrom: Some(CdromChange::Insert { image }),
        ..EditVm::default()
    };
    let arranged = CpuTopology { sockets: 2, threads: 1 };
    let bound = CreateVm {
        cpu_mode: CpuMode::Performance,
        topology: arranged,
        machine_type: Some("pc-q35-10.0".into()),
        ..asked.clone()
    };
    let adopted = VmCommand::Adopt {
        id,
        host,
        asked: AdoptVm {
            name: Some("ours".into()),
            networks: [("52:54:00:00:00:01".to_owned(), NetworkId::from_uuid(uuid(30)))].into(),
        },
        taken: Some(Box::new(Adoption { vm: asked.clone(), files: vec!["/data/pools/local/a.raw".into()] })),
    };
    let customized = CreateVm { customization: Some(customization()), ..asked.clone() };
    let raise = EditVm {
        cpu_mode: Some(CpuMode::Flexible),
        topology: Some(arranged),
        machine_type: Some("pc-q35-10.1".into()),
        ..EditVm::default()
    };
    let headroom = Headroom { cpus_max: Some(8), memory_max_mib: Some(8192), memory_min_mib: Some(1024) };
    let status = VmStatus {
        reason: Some("guest shut down".into()),
        power_done: 3,
        drift: vec!["memory".into()],
        observed_at: Some(Timestamp::from_unix(1_800_000_001)),
        ..off()
    };
    let done = TaskEnd { task: TaskId::from_uuid(uuid(6)), problem: Some(failure()) };
    vec![
        create(id, host, asked),
        edit(id, Some(7), change),
        power(id, PowerAction::Shutdown),
        Command::Vm(VmCommand::Delete { id, expect: None, disks: true }),
        vm_report(id, status, Some(done)),
        Command::Vm(VmCommand::Deleted { id }),
        Command::Vm(VmCommand::CreateFailed { id, problem: failure() }),
        Command::Vm(VmCommand::Place { id, host, placement_epoch: 4 }),
        create(id, host, bound.clone()),
        edit(id, None, raise),
        create(id, host, customized),
        Command::Vm(adopted),
        edit(id, None, customize()),
        create(id, host, CreateVm { more_cdroms: vec![Some(image), None], ..bound.clone() }),
        edit(id, None, EditVm { more_cdroms: Some(vec![None, Some(image)]), ..EditVm::default() }),
        with_host_devices(id, host, bound.clone()),
        create(id, host, CreateVm { shares: shares(), ..bound.clone() }),
        edit(id, None, EditVm { shares: Some(shares()), ..EditVm::default() }),
        create(id, host, CreateVm { headroom, ..bound }),
        edit(id, None, EditVm { headroom: Some(headroom), ..EditVm::default() }),
        create(id, host, CreateVm { options: options(), ..equipped() }),
        edit(id, None, EditVm { options: Some(options()), ..EditVm::default() }),
        edit(id, None, EditVm { options: Some(memory_options()), ..EditVm::default() }),
    ]
}

fn with_host_devices(id: VmId, host: HostId, vm: CreateVm) -> Command {
    let asked = AttachHostDevice { device: "usb-1-2.3".into(), follow: Some(UsbFollow::Port) };
    let vm = CreateVm { host_devices: vec![asked], ..vm };
    Command::Vm(VmCommand::Create { id, host, vm, found: vec![host_device()] })
}

pub fn host_device() -> HostDevice {
    let known_by =
        KnownBy::UsbPort { port: "1-2.3".into(), vendor_id: "0781".into(), product_id: "5581".into() };
    HostDevice { id: "usb-1-2.3".into(), name: "SanDisk Ultra".into(), known_by }
}

pub fn device_commands() -> Vec<Command> {
    let (id, task) = (VmId::from_uuid(uuid(1)), TaskId::from_uuid(uuid(6)));
    let (volume, network) = (VolumeId::from_uuid(uuid(4)), NetworkId::from_uuid(uuid(5)));
    let mac = || "52:54:00:00:00:01".to_owned();
    let disk = NewDisk::Blank {
        size_bytes: GIB,
        format: DiskFormat::Qcow2,
        bus: DiskBus::Virtio,
        options: DiskOptions::default(),
    };
    let nic = NewNic { network, mac: Some(mac()), model: NicModel::Virtio, options: NicOptions::default() };
    let edit = EditNic { network: Some(network), plugged: Some(false), options: None };
    let asked = AttachHostDevice { device: "usb-1-2.3".into(), follow: Some(UsbFollow::Port) };
    let change = |expect, change| Command::Vm(VmCommand::Change { id, expect, change });
    let changed = |end| Command::Vm(VmCommand::Changed { id, task, end });
    vec![
        change(Some(7), DeviceChange::AttachDisk { id: volume, disk }),
        change(None, DeviceChange::DetachDisk { volume, delete: true }),
        change(None, DeviceChange::GrowDisk { volume, size_bytes: 2 * GIB }),
        change(None, DeviceChange::EditDisk { volume, options: disk_options() }),
        change(None, DeviceChange::AttachNic { nic }),
        change(None, DeviceChange::EditNic { mac: mac(), edit }),
        change(None, DeviceChange::DetachNic { mac: mac() }),
        change(None, DeviceChange::AttachHostDevice { asked, found: Some(host_device()) }),
        change(None, DeviceChange::DetachHostDevice { device: host_device().id }),
        changed(ChangeEnd::Done),
        changed(ChangeEnd::Later { problem: Some(failure()) }),
        changed(ChangeEnd::Failed { problem: failure() }),
    ]
}

pub fn snapshot_commands() -> Vec<Command> {
    let (id, vm, volume) =
        (SnapshotId::from_uuid(uuid(20)), VmId::from_uuid(uuid(1)), VolumeId::from_uuid(uuid(4)));
    let layer = LayerId::from_uuid(uuid(21));
    let next = LayerMap::from([(volume, layer)]);
    let asked = CreateSnapshot {
        name: "before".into(),
        description: "the update".into(),
        include_memory: false,
        quiesce: true,
    };
    let new = NewSnapshot { id, asked, next: next.clone() };
    let first = Some(NewSnapshot { id: SnapshotId::from_uuid(uuid(22)), ..new.clone() });
    let all = [
        SnapshotCommand::Create { vm, new },
        SnapshotCommand::Taken { id, running: true, quiesced: true, memory_bytes: None },
        SnapshotCommand::Taken { id, running: true, quiesced: false, memory_bytes: Some(99 << 20) },
        SnapshotCommand::CreateFailed { id, problem: failure(), switched: false },
        SnapshotCommand::CreateFailed { id, problem: failure(), switched: true },
        SnapshotCommand::Revert { id, next: next.clone(), first, start: true, resume: false },
        SnapshotCommand::Revert { id, next, first: None, start: false, resume: true },
        SnapshotCommand::Stopped { id, kept: true },
        SnapshotCommand::Reverted { vm },
        SnapshotCommand::RevertFailed { vm, problem: failure() },
        SnapshotCommand::Delete { id },
        SnapshotCommand::Deleted { id, problem: Some(failure()) },
        SnapshotCommand::Merged { volume, upper: layer },
        SnapshotCommand::Dropped { volume, layer },
    ];
    all.map(Command::Snapshot).into()
}

pub fn clone_commands() -> Vec<Command> {
    let (id, source) = (VmId::from_uuid(uuid(1)), VmId::from_uuid(uuid(23)));
    let asked = CreateSnapshot { name: "for-web2".into(), quiesce: true, ..CreateSnapshot::default() };
    let next = LayerMap::from([(VolumeId::from_uuid(uuid(4)), LayerId::from_uuid(uuid(21)))]);
    let first = Some(NewSnapshot { id: SnapshotId::from_uuid(uuid(20)), asked, next });
    let filing = NewFiling { folder: Some(FolderId::from_uuid(uuid(24))), ..NewFiling::default() };
    let copy = CloneVm {
        name: "web2".into(),
        description: Some("a copy".into()),
        mode: CloneMode::Test,
        snapshot: Some(SnapshotId::from_uuid(uuid(22))),
        customization: Some(Customization { hostname: "{{vm.name}}".into(), ..Customization::default() }),
        filing: Some(filing),
        quiesce: true,
        start: true,
    };
    let all = [
        VmCommand::Clone { id, source, copy, first, inherits: false },
        VmCommand::SetTemplate { id, expect: Some(7), template: true },
    ];
    all.map(Command::Vm).into()
}
