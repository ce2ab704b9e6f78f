//! A command of each kind that is not about machines, and what a host brings into a cluster.

use crate::fixture::*;
use crate::machine_commands::*;
use hostd_types::command::*;
use hostd_types::*;

pub fn storage_commands() -> Vec<Command> {
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

pub fn other_commands() -> Vec<Command> {
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
            secret,
        }),
        Command::Access(AccessCommand::RevokeToken { id: TokenId::from_uuid(uuid(9)) }),
        Command::Audit(audit),
    ]
}

/// Links to consoles.
pub fn link_commands() -> Vec<Command> {
    let (at, secret) = (Timestamp::from_unix(1_800_000_000), SecretHash("cd".repeat(32)));
    vec![
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
    ]
}

pub fn cluster_commands() -> Vec<Command> {
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
        ClusterCommand::ChooseCpu { model: Some("Westmere".into()) },
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

pub fn moved_volume(
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
            origin: None,
            adopted_from: None,
        },
        status: VolumeStatus { phase: Phase::Ready, fault: Some("the file is missing".into()) },
    }
}

fn moved_network(id: NetworkId, meta: Meta, host: HostId, task: TaskId) -> Network {
    let spec = NetworkSpec {
        name: "lan".into(),
        description: "d".into(),
        host,
        mode: NetworkMode::Nat { subnet: "10.200.0.0/24".parse().unwrap() },
        bridge: derived_bridge(id),
        for_clone: None,
        task: Some(task),
    };
    let status = NetworkStatus { phase: Phase::Ready, active: true, fault: Some("no DHCP".into()) };
    Network { id, meta, spec, status }
}

/// One row of each kind, with every field set.
pub fn belongings(host: HostId) -> Belongings {
    let (vm, image, volume, network) = (
        VmId::from_uuid(uuid(1)),
        ImageId::from_uuid(uuid(3)),
        VolumeId::from_uuid(uuid(4)),
        NetworkId::from_uuid(uuid(5)),
    );
    let (task, at) = (TaskId::from_uuid(uuid(6)), Timestamp::from_unix(1_800_000_000));
    let meta = Meta::created(at, &Actor::Host { id: host });
    let network = moved_network(network, meta.clone(), host, task);
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
        disks: vec![VmDisk {
            volume: volume.id,
            bus: DiskBus::Virtio,
            slot: None,
            options: DiskOptions::default(),
        }],
        cdrom: Some(image.id),
        more_cdroms: Vec::new(),
        nics: vec![VmNic {
            network: network.id,
            mac: "52:54:00:00:00:01".into(),
            model: NicModel::Virtio,
            slot: None,
            unplugged: false,
            options: NicOptions::default(),
        }],
        options: VmOptions::default(),
        hardware: VmHardware::default(),
        power: Some(PowerRequest { seq: 3, action: PowerAction::Start, task, at, deadline_s: 60 }),
        filing: Filing::default(),
        snapshots: VmSnapshots::default(),
        lineage: Lineage::default(),
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

/// Folders, tags, notes and saved views.
pub fn organize_commands() -> Vec<Command> {
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

/// Customization specifications, one for Windows.
pub fn specification_commands() -> Vec<Command> {
    let (id, copy) = (SpecificationId::from_uuid(uuid(13)), SpecificationId::from_uuid(uuid(14)));
    let windows = WindowsSettings {
        reader: WindowsReader::CloudbaseInit,
        administrator_password: Some(GuestPassword::Sealed("c1.sealed".into())),
        owner: "Ada".into(),
        organization: "Sons".into(),
        locale: "de-DE".into(),
        keyboard: "de-CH".into(),
        product_key: "ABCDE-12345-ABCDE-12345-ABCDE".into(),
        edition: "Standard".into(),
        erase_disk: true,
        driver_folders: vec!["E:\\viostor".into()],
    };
    let customization = Customization {
        windows: Some(Box::new(windows)),
        specification: Some(copy),
        specification_name: "other".into(),
        ..Customization::default()
    };
    let specification = CreateSpecification {
        name: "web".into(),
        description: "d".into(),
        customization: customization.clone(),
    };
    let edit = EditSpecification {
        name: Some("db".into()),
        description: Some("e".into()),
        customization: Some(customization),
    };
    vec![
        Command::Specification(SpecificationCommand::Create { id, specification }),
        Command::Specification(SpecificationCommand::Copy { id: copy, from: id, name: "copy".into() }),
        Command::Specification(SpecificationCommand::Edit { id, expect: Some(1), edit }),
        Command::Specification(SpecificationCommand::Delete { id }),
    ]
}
