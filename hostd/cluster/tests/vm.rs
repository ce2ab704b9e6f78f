//! Making and editing machines.

use crate::cluster_record::raise;
use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

#[tokio::test]
async fn creating_makes_the_machine_its_disks_cards_task_and_event() {
    let f = Fixture::new().await;
    let disk_image = f.ready_image("debian", ImageKind::Disk).await;
    let iso = f.ready_image("tools", ImageKind::Iso).await;
    let network = f.ready_network("lan", "10.200.0.0/24").await;
    let spare = f.ready_volume("spare").await;
    // Takes the name that the first disk would get.
    f.ready_volume("Web-disk0").await;
    let id = VmId::new();
    let asked = CreateVm {
        disks: vec![
            NewDisk::Blank {
                size_bytes: GIB,
                format: DiskFormat::Raw,
                bus: DiskBus::Sata,
                options: DiskOptions::default(),
            },
            NewDisk::Image {
                image: disk_image,
                size_bytes: Some(2 * GIB),
                bus: DiskBus::Virtio,
                options: DiskOptions::default(),
            },
            NewDisk::Volume { volume: spare, bus: DiskBus::Virtio, options: DiskOptions::default() },
        ],
        cdrom: Some(iso),
        nics: vec![
            NewNic { network, mac: None, model: NicModel::Virtio, options: NicOptions::default() },
            NewNic {
                network,
                mac: Some("52:54:00:AA:BB:CC".into()),
                model: NicModel::E1000,
                options: NicOptions::default(),
            },
        ],
        start: true,
        ..blank_vm("web")
    };
    let outcome = f.ok(create(id, f.host, asked)).await;

    let vm = f.vm(id).await;
    assert_eq!(vm.meta.generation, 1);
    assert_eq!(vm.meta.created_at, f.now());
    assert_eq!((vm.status.phase, vm.status.state), (Phase::Creating, VmState::Unknown));
    let volumes: Vec<VolumeId> = vm.spec.disks.iter().map(|d| d.volume).collect();
    assert_eq!(volumes, [derived_volume(id, 0), derived_volume(id, 1), spare]);
    assert_eq!(vm.spec.nics[0].mac, derived_mac(id, 0));
    assert_eq!(vm.spec.nics[1].mac, "52:54:00:aa:bb:cc");
    let request = vm.spec.power.expect("the request to start");
    assert_eq!((request.seq, request.action, Some(request.task)), (1, PowerAction::Start, outcome.task));

    let store = f.cluster.store();
    let blank = store.volume(derived_volume(id, 0)).await.unwrap().unwrap();
    assert_eq!(blank.spec.name, "web-disk0-2");
    assert_eq!((blank.spec.format, blank.spec.image, blank.spec.vm), (DiskFormat::Raw, None, Some(id)));
    assert_eq!((blank.status.phase, blank.spec.task), (Phase::Creating, None));
    let layered = store.volume(derived_volume(id, 1)).await.unwrap().unwrap();
    assert_eq!(layered.spec.name, "web-disk1");
    assert_eq!((layered.spec.format, layered.spec.image), (DiskFormat::Qcow2, Some(disk_image)));
    assert_eq!(layered.spec.size_bytes, 2 * GIB);
    assert_eq!(store.volumes_of(id).await.unwrap().len(), 3);
    assert_eq!(store.volumes_over(disk_image).await.unwrap(), [layered]);
    assert_eq!(store.vms_with_cdrom(iso).await.unwrap().len(), 1);
    assert_eq!(store.vms_on_network(network).await.unwrap().len(), 1);

    let task = f.task(outcome.task).await;
    assert_eq!((task.action.as_str(), task.subject, task.host), ("vm.create", vm_subject(id, "web"), f.host));
    assert_eq!(
        f.events(id).await,
        ["vm.create CPUs: 1, memory: 256 MiB, disks: 3, network cards: 2, start at once"]
    );
}

fn vm_subject(id: VmId, name: &str) -> Subject {
    Subject { kind: Kind::Vm, id: id.to_string(), name: name.into() }
}

#[tokio::test]
async fn a_refused_creation_leaves_nothing_behind() {
    let f = Fixture::new().await;
    let disk = f.ready_image("debian", ImageKind::Disk).await;
    let iso = f.ready_image("tools", ImageKind::Iso).await;
    let uploading = ImageId::new();
    f.ok(Command::Image(image_create(uploading, f.host, "half"))).await;
    let network = f.ready_network("lan", "10.200.0.0/24").await;
    let taken = f.ready_volume("taken").await;
    f.ready_vm("Web").await;
    let owner = CreateVm {
        disks: vec![NewDisk::Volume { volume: taken, bus: DiskBus::Virtio, options: DiskOptions::default() }],
        nics: vec![NewNic {
            network,
            mac: Some("52:54:00:00:00:01".into()),
            model: NicModel::Virtio,
            options: NicOptions::default(),
        }],
        ..blank_vm("owner")
    };
    f.ok(create(VmId::new(), f.host, owner)).await;

    let first = || NewDisk::Blank {
        size_bytes: GIB,
        format: DiskFormat::Raw,
        bus: DiskBus::Virtio,
        options: DiskOptions::default(),
    };
    let with_disk = |disk| CreateVm { disks: vec![first(), disk], ..blank_vm("new") };
    let layered = |image, size_bytes| {
        with_disk(NewDisk::Image { image, size_bytes, bus: DiskBus::Virtio, options: DiskOptions::default() })
    };
    let with_nic = |nic| CreateVm { disks: vec![first()], nics: vec![nic], ..blank_vm("new") };
    let volume =
        |volume| with_disk(NewDisk::Volume { volume, bus: DiskBus::Virtio, options: DiskOptions::default() });
    let nic = |network, mac: Option<&str>| {
        with_nic(NewNic {
            network,
            mac: mac.map(Into::into),
            model: NicModel::Virtio,
            options: NicOptions::default(),
        })
    };
    let cdrom = |image| CreateVm { cdrom: Some(image), ..blank_vm("new") };
    let cases = [
        (blank_vm("wEB"), ProblemKind::Exists, "/name"),
        (layered(uploading, None), ProblemKind::WrongState, "/disks/1/image"),
        (layered(iso, None), ProblemKind::Invalid, "/disks/1/image"),
        (layered(ImageId::new(), None), ProblemKind::Invalid, "/disks/1/image"),
        (layered(disk, Some(GIB - 1)), ProblemKind::Invalid, "/disks/1/size_bytes"),
        (volume(taken), ProblemKind::Conflict, "/disks/1/volume"),
        (volume(VolumeId::new()), ProblemKind::Invalid, "/disks/1/volume"),
        (nic(NetworkId::new(), None), ProblemKind::Invalid, "/nics/0/network"),
        (nic(network, Some("52:54:00:00:00:01")), ProblemKind::Conflict, "/nics/0/mac"),
        (cdrom(disk), ProblemKind::Invalid, "/cdrom"),
        (cdrom(uploading), ProblemKind::WrongState, "/cdrom"),
    ];
    for (asked, kind, pointer) in cases {
        let id = VmId::new();
        let problem = f.refused(create(id, f.host, asked.clone())).await;
        assert_eq!(problem.kind, kind, "{asked:?}: {problem:?}");
        assert_eq!(problem.errors.first().map(|e| e.pointer.as_str()), Some(pointer), "{problem:?}");
        assert_eq!(f.cluster.store().vm(id).await.unwrap(), None);
        assert_eq!(f.cluster.store().volumes_of(id).await.unwrap(), []);
        assert_eq!(f.events(id).await, [""; 0]);
    }
    let unknown = f.refused(create(VmId::new(), HostId::new(), blank_vm("new"))).await;
    assert_eq!(unknown.kind, ProblemKind::NotFound);
}

#[tokio::test]
async fn a_long_name_still_gives_its_disks_names() {
    let f = Fixture::new().await;
    let long = "x".repeat(63);
    for name in [long.clone(), format!("{}y", &long[1..])] {
        let id = VmId::new();
        let disks = vec![NewDisk::Blank {
            size_bytes: GIB,
            format: DiskFormat::Raw,
            bus: DiskBus::Virtio,
            options: DiskOptions::default(),
        }];
        f.ok(create(id, f.host, CreateVm { disks, ..blank_vm(&name) })).await;
        let volume = f.cluster.store().volume(derived_volume(id, 0)).await.unwrap().unwrap();
        name::check_name(&volume.spec.name).expect(&volume.spec.name);
    }
}

#[tokio::test]
async fn editing_needs_the_machine_off_except_for_harmless_settings() {
    let f = Fixture::new().await;
    f.ok(raise(HARDWARE)).await;
    let id = f.ready_vm("web").await;
    f.ready_vm("db").await;
    let iso = f.ready_image("tools", ImageKind::Iso).await;
    let disk = f.ready_image("debian", ImageKind::Disk).await;
    f.ok(vm_report(id, running(), None)).await;

    let hard = [
        EditVm { name: Some("web2".into()), ..EditVm::default() },
        EditVm { cpus: Some(2), ..EditVm::default() },
        EditVm { cpu_mode: Some(CpuMode::Performance), ..EditVm::default() },
        EditVm { topology: Some(CpuTopology { sockets: 2, threads: 1 }), ..EditVm::default() },
        EditVm { machine_type: Some("pc-q35-10.0".into()), ..EditVm::default() },
        EditVm { memory_mib: Some(512), ..EditVm::default() },
        EditVm { firmware: Some(Firmware::Uefi), ..EditVm::default() },
        EditVm { boot: Some(vec![BootDevice::Cdrom]), ..EditVm::default() },
    ];
    for change in &hard {
        assert_eq!(
            f.refused(edit(id, None, change.clone())).await.kind,
            ProblemKind::WrongState,
            "{change:?}"
        );
    }
    let soft = EditVm {
        // A form sends everything it shows; what stays the same is no change.
        cpus: Some(1),
        description: Some("front".into()),
        autostart: Some(true),
        cdrom: Some(CdromChange::Insert { image: iso }),
        ..EditVm::default()
    };
    f.ok(edit(id, Some(1), soft.clone())).await;
    let vm = f.vm(id).await;
    assert_eq!((vm.meta.generation, vm.spec.cdrom, vm.spec.autostart), (2, Some(iso), true));
    f.ok(edit(id, Some(2), soft)).await;
    assert_eq!(f.vm(id).await.meta.generation, 2, "an edit that changes nothing is no new generation");

    f.ok(vm_report(id, VmStatus { state: VmState::Crashed, ..off() }, None)).await;
    for change in hard {
        f.ok(edit(id, None, change)).await;
    }
    assert_eq!(f.vm(id).await.meta.generation, 10);
    let stale = f.refused(edit(id, Some(6), EditVm { cpus: Some(9), ..EditVm::default() })).await;
    assert_eq!(stale.kind, ProblemKind::Conflict);
    let taken = f.refused(edit(id, None, EditVm { name: Some("DB".into()), ..EditVm::default() })).await;
    assert_eq!((taken.kind, taken.at("/name").is_some()), (ProblemKind::Exists, true));
    f.ok(edit(id, None, EditVm { name: Some("WEB2".into()), ..EditVm::default() })).await;
    let no_iso = EditVm { cdrom: Some(CdromChange::Insert { image: disk }), ..EditVm::default() };
    assert_eq!(f.refused(edit(id, None, no_iso)).await.kind, ProblemKind::Invalid);
    f.ok(edit(id, None, EditVm { cdrom: Some(CdromChange::Eject), ..EditVm::default() })).await;
    assert_eq!(f.vm(id).await.spec.cdrom, None);
    assert_eq!(f.cluster.store().vms_with_cdrom(iso).await.unwrap(), []);
}

#[tokio::test]
async fn a_customization_runs_under_a_number_of_its_own_and_passwords_stay() {
    let f = Fixture::new().await;
    f.ok(raise(LEVEL)).await;
    let id = f.ready_vm("web").await;
    f.ok(vm_report(id, running(), None)).await;
    let change = |change| edit(id, None, EditVm { customization: Some(change), ..EditVm::default() });
    let none = f.refused(change(CustomizationChange::RunAgain)).await;
    assert_eq!(none.kind, ProblemKind::WrongState);
    let custom = |password| {
        let user = GuestUser { name: "ada".into(), password, ..GuestUser::default() };
        Customization { users: vec![user], ..Customization::default() }
    };
    let set =
        |password, run_again| change(CustomizationChange::Set { to: Box::new(custom(password)), run_again });
    let hash = Some(GuestPassword::Hash("$6$salt$hash".into()));
    f.ok(set(hash.clone(), false)).await;
    let of = async |f: &Fixture| f.vm(id).await.spec.customization.unwrap();
    assert_eq!((of(&f).await.run, &of(&f).await.users[0].password), (2, &hash));
    f.ok(set(Some(GuestPassword::Kept), false)).await;
    assert_eq!(f.vm(id).await.meta.generation, 2, "the same as before is no change");
    f.ok(change(CustomizationChange::RunAgain)).await;
    assert_eq!(of(&f).await.run, 3);
    f.ok(set(None, true)).await;
    assert_eq!((of(&f).await.run, of(&f).await.users[0].password.clone()), (4, None));
    f.ok(change(CustomizationChange::Remove)).await;
    assert_eq!(f.vm(id).await.spec.customization, None);
    f.ok(set(hash, false)).await;
    assert_eq!(of(&f).await.run, 6, "what was taken away and comes back is another run");
}
