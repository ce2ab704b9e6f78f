//! The encoding of the log is a format: files of every command, written once, decode for ever.

use crate::fixture::*;
use hostd_cluster::record::{decode_entry, encode_entry};
use hostd_types::command::*;
use hostd_types::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A file: the bytes and, for people, what they mean.
#[derive(Serialize, Deserialize)]
struct Golden {
    entry: Entry,
    hex: String,
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/entries")
}

fn uuid(n: u8) -> uuid::Uuid {
    uuid::Uuid::from_bytes([
        1, 0x92, 0xc1, 0xd4, 0x7b, 0x1e, 0x7c, 0x3a, 0x9d, 0x3e, 0x2f, 0x6a, 0x1b, 0x0c, 0x4d, n,
    ])
}

/// What a guest is told at its first boot.
fn customization() -> Customization {
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

fn customize() -> EditVm {
    let to = Box::new(customization());
    EditVm { customization: Some(CustomizationChange::Set { to, run_again: true }), ..EditVm::default() }
}

fn vm_commands() -> Vec<Command> {
    let (id, host) = (VmId::from_uuid(uuid(1)), HostId::from_uuid(uuid(2)));
    let image = ImageId::from_uuid(uuid(3));
    let asked = CreateVm {
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
            NewDisk::Blank { size_bytes: 64 << 40, format: DiskFormat::Raw, bus: DiskBus::Sata },
            NewDisk::Image { image, size_bytes: Some(2 * GIB), bus: DiskBus::Virtio },
            NewDisk::Volume { volume: VolumeId::from_uuid(uuid(4)), bus: DiskBus::Virtio },
        ],
        cdrom: Some(image),
        nics: vec![NewNic {
            network: NetworkId::from_uuid(uuid(5)),
            mac: Some("52:54:00:00:00:01".into()),
            model: NicModel::E1000,
        }],
        filing: NewFiling::default(),
        start: true,
    };
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
        edit(id, None, customize()),
        create(id, host, CreateVm { headroom, ..bound }),
        edit(id, None, EditVm { headroom: Some(headroom), ..EditVm::default() }),
    ]
}

fn device_commands() -> Vec<Command> {
    let (id, task) = (VmId::from_uuid(uuid(1)), TaskId::from_uuid(uuid(6)));
    let (volume, network) = (VolumeId::from_uuid(uuid(4)), NetworkId::from_uuid(uuid(5)));
    let mac = || "52:54:00:00:00:01".to_owned();
    let disk = NewDisk::Blank { size_bytes: GIB, format: DiskFormat::Qcow2, bus: DiskBus::Virtio };
    let nic = NewNic { network, mac: Some(mac()), model: NicModel::Virtio };
    let edit = EditNic { network: Some(network), plugged: Some(false) };
    let change = |expect, change| Command::Vm(VmCommand::Change { id, expect, change });
    let changed = |end| Command::Vm(VmCommand::Changed { id, task, end });
    vec![
        change(Some(7), DeviceChange::AttachDisk { id: volume, disk }),
        change(None, DeviceChange::DetachDisk { volume, delete: true }),
        change(None, DeviceChange::GrowDisk { volume, size_bytes: 2 * GIB }),
        change(None, DeviceChange::AttachNic { nic }),
        change(None, DeviceChange::EditNic { mac: mac(), edit }),
        change(None, DeviceChange::DetachNic { mac: mac() }),
        changed(ChangeEnd::Done),
        changed(ChangeEnd::Later { problem: Some(failure()) }),
        changed(ChangeEnd::Failed { problem: failure() }),
    ]
}

fn snapshot_commands() -> Vec<Command> {
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
        SnapshotCommand::Taken { id, running: true, quiesced: true },
        SnapshotCommand::CreateFailed { id, problem: failure() },
        SnapshotCommand::Revert { id, next, first, start: true },
        SnapshotCommand::Reverted { vm },
        SnapshotCommand::RevertFailed { vm, problem: failure() },
        SnapshotCommand::Delete { id },
        SnapshotCommand::Deleted { id, problem: Some(failure()) },
        SnapshotCommand::Merged { volume, upper: layer },
        SnapshotCommand::Dropped { volume, layer },
    ];
    all.map(Command::Snapshot).into()
}

fn storage_commands() -> Vec<Command> {
    let (host, volume, image) =
        (HostId::from_uuid(uuid(2)), VolumeId::from_uuid(uuid(4)), ImageId::from_uuid(uuid(3)));
    let asked = CreateVolume { name: "data".into(), size_bytes: GIB, format: DiskFormat::Qcow2 };
    let fault = VolumeStatus { phase: Phase::Ready, fault: Some("the file is missing".into()) };
    let upload = ImageCommand::Create {
        id: image,
        host,
        name: "debian".into(),
        description: "12".into(),
        announced_bytes: Some(1000),
        expected_sha256: Some("ab".repeat(32)),
    };
    vec![
        Command::Volume(VolumeCommand::Create { id: volume, host, volume: asked }),
        Command::Volume(VolumeCommand::Delete { id: volume }),
        Command::Volume(VolumeCommand::Report { id: volume, status: fault }),
        Command::Volume(VolumeCommand::Deleted { id: volume }),
        Command::Volume(VolumeCommand::CreateFailed { id: volume, problem: failure() }),
        Command::Image(upload),
        Command::Image(ImageCommand::Ready { id: image, content: content(ImageKind::Iso) }),
        Command::Image(ImageCommand::CreateFailed { id: image, problem: failure() }),
        Command::Image(ImageCommand::Delete { id: image }),
        Command::Image(ImageCommand::Deleted { id: image }),
        Command::Image(ImageCommand::Report { id: image, fault: Some("the file is missing".into()) }),
    ]
}

fn other_commands() -> Vec<Command> {
    let (host, network) = (HostId::from_uuid(uuid(2)), NetworkId::from_uuid(uuid(5)));
    let user = UserId::from_uuid(uuid(7));
    let at = Timestamp::from_unix(1_800_000_000);
    let status =
        HostStatus { version: "0.1.0".into(), boot_id: "b".into(), durable: true, ..HostStatus::default() };
    let seen = NetworkStatus { phase: Phase::Ready, active: true, fault: Some("no DHCP".into()) };
    let session = Session {
        id: SessionId::from_uuid(uuid(8)),
        user,
        created_at: at,
        expires_at: at.plus_seconds(60),
        address: "192.0.2.7".into(),
        agent: "browser".into(),
    };
    let subject = Subject { kind: Kind::Vm, id: uuid(1).to_string(), name: "web".into() };
    let audit = AuditCommand {
        action: "vm.start".into(),
        subject: Some(subject),
        result: EventResult::Refused,
        detail: "no".into(),
    };
    let told = Task {
        id: TaskId::from_uuid(uuid(6)),
        action: "vm.start".into(),
        subject: Subject { kind: Kind::Vm, id: uuid(1).to_string(), name: "web".into() },
        host,
        state: TaskState::Failed { problem: failure() },
        created_by: Actor::Console,
        created_at: at,
        ended_at: Some(at.plus_seconds(5)),
        cancelling: false,
        progress: None,
    };
    let (password, secret) = (PasswordHash("$argon2id$x".into()), SecretHash("cd".repeat(32)));
    vec![
        Command::Host(HostCommand::Report { id: host, name: "h1".into(), status }),
        Command::Host(HostCommand::Rename { id: host, name: "rack-7".into() }),
        Command::Host(HostCommand::SetLeaving { id: host, leaving: true }),
        Command::Host(HostCommand::SetRole { id: host, role: HostRole::Witness }),
        Command::Host(HostCommand::Fence { id: host, epoch: 3, leader: NodeId(9), term: 17 }),
        Command::Host(HostCommand::Acknowledge { id: host, epoch: 4 }),
        Command::Network(NetworkCommand::Create { id: network, host, network: nat("lan", "10.200.0.0/24") }),
        Command::Network(NetworkCommand::Delete { id: network }),
        Command::Network(NetworkCommand::Report { id: network, status: seen }),
        Command::Network(NetworkCommand::Deleted { id: network }),
        Command::Network(NetworkCommand::CreateFailed { id: network, problem: failure() }),
        Command::Task(TaskCommand::Cancel { id: TaskId::from_uuid(uuid(6)) }),
        Command::Task(TaskCommand::Tell { task: Box::new(told), detail: "while cut off".into() }),
        Command::Task(TaskCommand::Prune { before: at }),
        Command::Access(AccessCommand::CreateUser {
            id: user,
            name: "admin".into(),
            password: password.clone(),
            initial: true,
        }),
        Command::Access(AccessCommand::SetPassword {
            id: user,
            password,
            keep: Some(session.id),
            initial: false,
        }),
        Command::Access(AccessCommand::Login { session: session.clone(), secret: secret.clone() }),
        Command::Access(AccessCommand::Logout { id: session.id }),
        Command::Access(AccessCommand::CreateToken {
            id: TokenId::from_uuid(uuid(9)),
            name: "ci".into(),
            user,
            expires_at: at,
            secret: secret.clone(),
        }),
        Command::Access(AccessCommand::ShareConsole {
            id: ConsoleLinkId::from_uuid(uuid(12)),
            vm: VmId::from_uuid(uuid(1)),
            control: true,
            expires_at: at,
            secret: secret.clone(),
        }),
        Command::Access(AccessCommand::OpenLink {
            secret: secret.clone(),
            pass: secret,
            address: "192.0.2.7".into(),
        }),
        Command::Access(AccessCommand::RevokeLink { id: ConsoleLinkId::from_uuid(uuid(12)) }),
        Command::Access(AccessCommand::RevokeToken { id: TokenId::from_uuid(uuid(9)) }),
        Command::Audit(audit),
    ]
}

fn cluster_commands() -> Vec<Command> {
    let (host, token) = (HostId::from_uuid(uuid(2)), JoinTokenId::from_uuid(uuid(11)));
    let (node, secret) = (NodeId(0x9f86_d081_884c_7d65), SecretHash("cd".repeat(32)));
    let at = Timestamp::from_unix(1_800_000_000);
    let authority = Authority {
        certificate: "-----BEGIN".into(),
        sealed_key: "c2VhbGVk".into(),
        ends: at.plus_seconds(60),
    };
    let status = HostStatus {
        version: "0.2.0".into(),
        boot_id: "b".into(),
        durable: true,
        addresses: vec!["192.0.2.7:8444".into(), "[2001:db8::7]:8444".into()],
        level: 2,
        certificate_ends: Some(at),
        ..HostStatus::default()
    };
    let next = authority.clone();
    let commands = vec![
        ClusterCommand::Found {
            id: ClusterId::from_uuid(uuid(12)),
            name: "rack".into(),
            authority,
            host,
            node,
        },
        ClusterCommand::Raise { level: 2 },
        ClusterCommand::RotateAuthority { authority: next, fingerprint: "ab".repeat(32) },
        ClusterCommand::RotateWithout { hosts: vec![host] },
        ClusterCommand::StepRotation { from: RotationPhase::Trusting },
        ClusterCommand::Edit { name: Some("lab".into()), voters: Some(3) },
        ClusterCommand::CreateToken { id: token, secret: secret.clone(), expires_at: at },
        ClusterCommand::RevokeToken { id: token },
        ClusterCommand::Join {
            token,
            secret,
            host,
            node,
            name: "h2".into(),
            role: HostRole::Witness,
            status,
        },
        ClusterCommand::Import { host, belongings: belongings(host) },
        ClusterCommand::Recover { host, generation: 1 },
        ClusterCommand::Remove { host },
    ];
    commands.into_iter().map(Command::Cluster).collect()
}

fn moved_volume(
    id: VolumeId,
    meta: Meta,
    host: HostId,
    (vm, image): (VmId, ImageId),
    task: TaskId,
) -> Volume {
    Volume {
        id,
        meta,
        spec: VolumeSpec {
            name: "web-disk0".into(),
            host,
            pool: "local".into(),
            format: DiskFormat::Qcow2,
            size_bytes: GIB,
            image: Some(image),
            vm: Some(vm),
            task: Some(task),
            layers: Layers::default(),
        },
        status: VolumeStatus { phase: Phase::Ready, fault: Some("the file is missing".into()) },
    }
}

/// One row of each kind, with every field set.
fn belongings(host: HostId) -> Belongings {
    let (vm, image, volume, network) = (
        VmId::from_uuid(uuid(1)),
        ImageId::from_uuid(uuid(3)),
        VolumeId::from_uuid(uuid(4)),
        NetworkId::from_uuid(uuid(5)),
    );
    let (task, at) = (TaskId::from_uuid(uuid(6)), Timestamp::from_unix(1_800_000_000));
    let meta = Meta::created(at, &Actor::Host { id: host });
    let network = Network {
        id: network,
        meta: meta.clone(),
        spec: NetworkSpec {
            name: "lan".into(),
            description: "d".into(),
            host,
            mode: NetworkMode::Nat { subnet: "10.200.0.0/24".parse().unwrap() },
            bridge: derived_bridge(network),
            task: Some(task),
        },
        status: NetworkStatus { phase: Phase::Ready, active: true, fault: Some("no DHCP".into()) },
    };
    let image = Image {
        id: image,
        meta: meta.clone(),
        spec: ImageSpec {
            name: "debian".into(),
            description: "12".into(),
            host,
            announced_bytes: Some(1000),
            expected_sha256: Some("ab".repeat(32)),
            task,
        },
        status: ImageStatus {
            phase: Phase::Ready,
            content: Some(content(ImageKind::Disk)),
            fault: Some("the file is missing".into()),
        },
    };
    let volume = moved_volume(volume, meta.clone(), host, (vm, image.id), task);
    let spec = VmSpec {
        name: "web".into(),
        description: "d".into(),
        host,
        placement_epoch: 4,
        cpus: 2,
        guest_os: GuestOs::default(),
        scheduled_at: None,
        cpu_mode: CpuMode::Flexible,
        topology: CpuTopology::default(),
        machine_type: None,
        customization: None,
        memory_mib: 512,
        firmware: Firmware::Uefi,
        boot: vec![BootDevice::Disk],
        autostart: true,
        disks: vec![VmDisk { volume: volume.id, bus: DiskBus::Virtio, slot: None }],
        cdrom: Some(image.id),
        nics: vec![VmNic {
            network: network.id,
            mac: "52:54:00:00:00:01".into(),
            model: NicModel::Virtio,
            slot: None,
            unplugged: false,
        }],
        hardware: VmHardware::default(),
        power: Some(PowerRequest { seq: 3, action: PowerAction::Start, task, at, deadline_s: 60 }),
        filing: Filing::default(),
        snapshots: VmSnapshots::default(),
        deleting: Some(Deletion { disks: true, task }),
    };
    let vm = Vm { id: vm, meta, spec, status: running() };
    Belongings {
        networks: vec![network],
        images: vec![image],
        volumes: vec![volume],
        vms: vec![vm],
        snapshots: Vec::new(),
    }
}

/// Every command with the name of its file.
fn all() -> Vec<(String, Entry)> {
    let commands = [
        vm_commands(),
        device_commands(),
        snapshot_commands(),
        storage_commands(),
        other_commands(),
        cluster_commands(),
        organize_commands(),
    ]
    .concat();
    let by = Actor::User { id: UserId::from_uuid(uuid(7)), name: "admin".into(), token: Some("ci".into()) };
    let entry = |command: Command| Entry {
        version: ENTRY_VERSION,
        request: RequestId::from_uuid(uuid(10)),
        at: Timestamp::parse("2027-01-15T08:00:00.123Z").unwrap(),
        by: by.clone(),
        task: TaskId::from_uuid(uuid(6)),
        command,
    };
    let file = |command: &Command| match command {
        Command::Audit(_) => "audit".to_owned(),
        Command::Vm(VmCommand::Power { .. }) => "vm.power".to_owned(),
        // What came to a command later has a file of its own.
        Command::Vm(VmCommand::Create { vm, .. }) if vm.customization.is_some() => {
            "vm.create.customization".into()
        }
        Command::Vm(VmCommand::Edit { edit, .. }) if edit.customization.is_some() => {
            "vm.edit.customization".into()
        }
        Command::Vm(VmCommand::Create { .. } | VmCommand::Edit { .. }) if command.level() == HARDWARE => {
            format!("{}.hardware", command.name())
        }
        Command::Vm(VmCommand::Create { vm, .. }) if vm.filing != NewFiling::default() => {
            "vm.create.filing".into()
        }
        Command::Vm(VmCommand::Create { vm, .. }) if vm.headroom != Headroom::default() => {
            "vm.create.life".into()
        }
        Command::Vm(VmCommand::Edit { edit, .. }) if edit.headroom.is_some() => "vm.edit.life".into(),
        Command::Vm(VmCommand::Changed { end, .. }) => match end {
            ChangeEnd::Done => "vm.changed.done".to_owned(),
            ChangeEnd::Later { .. } => "vm.changed.later".to_owned(),
            ChangeEnd::Failed { .. } => "vm.changed.failed".to_owned(),
        },
        named => named.name(),
    };
    commands.into_iter().map(|c| (file(&c), entry(c))).collect()
}

/// Folders, tags, notes and saved views.
fn organize_commands() -> Vec<Command> {
    let (folder, view) = (FolderId::from_uuid(uuid(13)), ViewId::from_uuid(uuid(14)));
    let user = Some(UserId::from_uuid(uuid(7)));
    let tags = [("env".to_owned(), "prod".to_owned()), ("web".to_owned(), String::new())];
    let filing = EditFiling {
        folder: Some(FolderPlace(Some(folder))),
        set: tags.clone().into(),
        remove: vec!["old".into()],
        notes: Some("two\nlines".into()),
    };
    let filed = CreateVm {
        filing: NewFiling { folder: Some(folder), tags: tags.into(), notes: "n".into() },
        ..blank_vm("web")
    };
    let view_of = SaveView { name: "Mine".into(), list: ListName::Vms, query: "q=a".into() };
    let made = CreateFolder { name: "Web tier".into(), parent: Some(folder) };
    let moved = EditFolder { name: Some("Web".into()), parent: Some(FolderPlace(None)) };
    let organize = [
        OrganizeCommand::CreateFolder { id: folder, folder: made },
        OrganizeCommand::EditFolder { id: folder, expect: Some(3), edit: moved },
        OrganizeCommand::DeleteFolder { id: folder, move_up: true },
        OrganizeCommand::File { kind: Kind::Vm, id: uuid(1).to_string(), filing },
        OrganizeCommand::SaveView { id: view, user, view: view_of },
        OrganizeCommand::DeleteView { id: view, user },
    ];
    let mut commands: Vec<Command> = organize.into_iter().map(Command::Organize).collect();
    commands.push(create(VmId::from_uuid(uuid(1)), HostId::from_uuid(uuid(2)), filed));
    commands
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A missing file fails; with `QUANTIX_WRITE_GOLDEN=1` it is written. A file that is there is never changed.
#[test]
fn every_command_has_a_file_and_every_file_still_decodes() {
    let mut names = BTreeSet::new();
    for (name, entry) in all() {
        let path = directory().join(format!("{name}.json"));
        if !path.exists() && std::env::var_os("QUANTIX_WRITE_GOLDEN").is_some() {
            let golden = Golden { hex: hex(&encode_entry(&entry).unwrap()), entry: entry.clone() };
            std::fs::write(&path, serde_json::to_string_pretty(&golden).unwrap() + "\n").unwrap();
        }
        assert!(names.insert(name.clone()), "two commands named {name}");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let golden: Golden = serde_json::from_str(&text).unwrap();
        assert_eq!(golden.entry, entry, "{name}: the file shows another command than the test makes");
        assert_eq!(
            decode_entry(&bytes(&golden.hex)).unwrap(),
            entry,
            "{name}: the old bytes mean something else now"
        );
        assert_eq!(hex(&encode_entry(&entry).unwrap()), golden.hex, "{name}: it is written differently now");
    }
    let files: BTreeSet<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|f| f.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, names, "a file without a command, or the other way round");
}

/// What a newer version would write: a field we do not know, in the entry and in the command, and another order.
#[test]
fn unknown_fields_and_another_order_are_tolerated() {
    for (name, entry) in all() {
        let mut value = serde_json::to_value(&entry).unwrap();
        let map = value.as_object_mut().unwrap();
        map.insert("aardvark".into(), serde_json::json!({"new": [1, 2]}));
        let command = map["command"].as_object_mut().unwrap();
        let body = command.values_mut().next().unwrap();
        let inner = match body.as_object_mut().filter(|m| m.len() == 1) {
            Some(_) => body.as_object_mut().unwrap().values_mut().next().unwrap(),
            None => body,
        };
        inner.as_object_mut().unwrap_or_else(|| panic!("{name}")).insert("zebra".into(), true.into());
        let written = rmp_serde::to_vec_named(&value).unwrap();
        assert_eq!(decode_entry(&written).unwrap(), entry, "{name}");
    }
}

/// Members that don't know a field would leave it out of their rows.
#[test]
fn what_a_host_brings_into_an_older_cluster_has_nothing_newer() {
    let host = HostId::from_uuid(uuid(2));
    let older = Command::Cluster(ClusterCommand::Import { host, belongings: belongings(host) });
    let mut newer = belongings(host);
    let spec = &mut newer.vms[0].spec;
    (spec.cpu_mode, spec.machine_type) = (CpuMode::Performance, Some("pc-q35-10.0".into()));
    spec.topology = CpuTopology { sockets: 2, threads: 1 };
    let mut devices = belongings(host);
    let spec = &mut devices.vms[0].spec;
    let disk = VmDisk { slot: Some(0), ..spec.disks.remove(0) };
    spec.nics[0].unplugged = true;
    let work = DeviceWork::DetachDisk { disk, index: 0, delete: true };
    let request = DeviceRequest { task: TaskId::from_uuid(uuid(6)), late: true, work };
    spec.hardware = VmHardware {
        headroom: Headroom { cpus_max: Some(8), ..Headroom::default() },
        changes: vec![request],
    };
    devices.fit(HARDWARE);
    assert_eq!(devices, belongings(host), "a disk on its way out stays");
    let hardware = newer.clone();
    let spec = &mut newer.vms[0].spec;
    (spec.guest_os, spec.scheduled_at) = (GuestOs::Debian, Some(Timestamp::from_unix(1_900_000_000)));
    spec.customization = Some(Customization::default());
    spec.filing.notes = "n".into();
    let import = |belongings| Command::Cluster(ClusterCommand::Import { host, belongings });
    let fitted = |level| {
        let mut command = import(newer.clone());
        command.fit(level);
        command
    };
    let of_all = (fitted(LEASES), fitted(HARDWARE), fitted(LIFE));
    assert_eq!(of_all, (older, import(hardware), import(newer.clone())));
}

#[test]
fn an_unknown_command_is_an_error() {
    let (_, entry) = all().remove(0);
    let mut value = serde_json::to_value(&entry).unwrap();
    value["command"] = serde_json::json!({"teleport": {"id": 1}});
    assert!(decode_entry(&rmp_serde::to_vec_named(&value).unwrap()).is_err());
}
