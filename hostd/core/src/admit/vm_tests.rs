//! Tables of what may be made and changed.

use super::*;
use crate::admit::sample;

fn now() -> Snapshot {
    let machine_types = ["pc-q35-9.2", "pc-q35-10.0"].map(String::from).to_vec();
    let mut offers = hostd_virt::Offers::default();
    offers.machine_types = machine_types;
    Snapshot { memory_mib: 8192, threads: 4, offers, ..Default::default() }
}

fn refused(change: impl FnOnce(&mut CreateVm), now: &Snapshot, pointer: &str) -> String {
    let mut body = sample::create_vm("web");
    change(&mut body);
    let problem = create(&body, now).expect_err(pointer);
    assert_eq!(problem.kind, ProblemKind::Invalid);
    problem.at(pointer).unwrap_or_else(|| panic!("{pointer} not in {problem:?}")).to_owned()
}

#[test]
fn plain_machines_are_made_and_bad_numbers_refused() {
    create(&sample::create_vm("web"), &now()).expect("a plain machine");
    for name in ["", "a b", "<b>", "../x", "\"", "🦀", &"x".repeat(10_240)] {
        refused(|vm| vm.name = name.into(), &now(), "/name");
    }
    refused(|vm| vm.description = "\u{0}".into(), &now(), "/description");
    assert!(refused(|vm| vm.memory_mib = 0, &now(), "/memory_mib").contains("16 MiB"));
    assert!(refused(|vm| vm.memory_mib = 8193, &now(), "/memory_mib").contains("8192 MiB"));
    assert!(refused(|vm| vm.cpus = 0, &now(), "/cpus").contains("1 to 4"));
    assert!(refused(|vm| vm.cpus = 5, &now(), "/cpus").contains("4 threads"));
    let arranged = |vm: &mut CreateVm, cpus, sockets, threads| {
        (vm.cpus, vm.topology) = (cpus, CpuTopology { sockets, threads });
    };
    assert!(refused(|vm| arranged(vm, 3, 2, 1), &now(), "/topology").contains("a multiple of 2"));
    assert!(refused(|vm| arranged(vm, 4, 4, 2), &now(), "/topology").contains("a multiple of 8"));
    assert!(refused(|vm| arranged(vm, 4, 0, 1), &now(), "/topology").contains("at least one socket"));
    let unknown = |vm: &mut CreateVm| vm.machine_type = Some("pc-q35-11.0".into());
    assert!(refused(unknown, &now(), "/machine_type").contains("newest is pc-q35-10.0"));
    assert!(
        refused(unknown, &Snapshot { offers: hostd_virt::Offers::default(), ..now() }, "/machine_type")
            .contains("libvirt")
    );
    refused(|vm| vm.boot = vec![], &now(), "/boot");
    refused(|vm| vm.boot = vec![BootDevice::Disk, BootDevice::Disk], &now(), "/boot");
}

#[test]
fn a_machine_is_planned_for_the_coming_year_only() {
    let moment = Timestamp::now();
    let now = Snapshot { moment: Some(moment), ..now() };
    let later = |seconds| move |vm: &mut CreateVm| vm.scheduled_at = Some(moment.plus_seconds(seconds));
    let mut body = sample::create_vm("web");
    later(3600)(&mut body);
    create(&body, &now).expect("in an hour");
    assert!(refused(later(0), &now, "/scheduled_at").contains("is over"));
    assert!(refused(later(SCHEDULE_MAX_S + 1), &now, "/scheduled_at").contains("year"));
}

#[test]
fn disks_need_room_a_ready_image_or_a_free_volume() {
    let blank = |size_bytes| NewDisk::Blank {
        size_bytes,
        format: DiskFormat::Qcow2,
        bus: DiskBus::Virtio,
        options: DiskOptions::default(),
    };
    refused(|vm| vm.disks = vec![blank(1 << 30), blank(5)], &now(), "/disks/1/size_bytes");
    refused(|vm| vm.disks = vec![blank(1 << 30); 17], &now(), "/disks");
    let image = sample::disk_image("base", 2 << 30);
    let iso = sample::iso("setup");
    let mut loading = sample::disk_image("half", 1);
    loading.status = ImageStatus::default();
    let mut snapshot = now();
    for known in [&image, &iso, &loading] {
        snapshot.images.insert(known.id, (*known).clone());
    }
    let over = |image, size_bytes| NewDisk::Image {
        image,
        size_bytes,
        bus: DiskBus::Virtio,
        options: DiskOptions::default(),
    };
    let mut body = sample::create_vm("web");
    body.disks = vec![over(image.id, None), over(image.id, Some(4 << 30))];
    body.cdrom = Some(iso.id);
    create(&body, &snapshot).expect("over an image, with an ISO");
    let small =
        refused(|vm| vm.disks = vec![over(image.id, Some(1 << 30))], &snapshot, "/disks/0/size_bytes");
    assert!(small.contains("2 GiB"), "{small}");
    let wrong_kind = refused(|vm| vm.disks = vec![over(iso.id, None)], &snapshot, "/disks/0/image");
    assert!(wrong_kind.contains("CD-ROM"), "{wrong_kind}");
    refused(|vm| vm.disks = vec![over(ImageId::new(), None)], &snapshot, "/disks/0/image");
    assert!(refused(|vm| vm.cdrom = Some(image.id), &snapshot, "/cdrom").contains("not an ISO"));
    assert!(
        refused(|vm| vm.disks = vec![over(loading.id, None)], &snapshot, "/disks/0/image")
            .contains("uploaded")
    );
}

#[test]
fn existing_volumes_must_be_free_and_listed_once() {
    let free = sample::volume("data");
    let mut taken = sample::volume("root");
    taken.spec.vm = Some(VmId::new());
    let mut snapshot = now();
    for known in [&free, &taken] {
        snapshot.volumes.insert(known.id, (*known).clone());
    }
    let attach = |volume| NewDisk::Volume { volume, bus: DiskBus::Sata, options: DiskOptions::default() };
    let mut body = sample::create_vm("web");
    body.disks = vec![attach(free.id)];
    create(&body, &snapshot).expect("a free volume");
    refused(|vm| vm.disks = vec![attach(free.id), attach(free.id)], &snapshot, "/disks/1/volume");
    refused(|vm| vm.disks = vec![attach(taken.id)], &snapshot, "/disks/0/volume");
    refused(|vm| vm.disks = vec![attach(VolumeId::new())], &snapshot, "/disks/0/volume");
}

#[test]
fn cards_need_a_network_and_an_address_of_their_own() {
    let network = sample::nat("default", "10.200.0.0/24");
    let mut other = sample::vm("db");
    let mac = "52:54:00:aa:bb:cc".to_owned();
    other.spec.nics = vec![VmNic {
        network: network.id,
        mac: mac.clone(),
        model: NicModel::Virtio,
        slot: None,
        unplugged: false,
        options: NicOptions::default(),
    }];
    let mut snapshot = now();
    snapshot.networks.insert(network.id, network.clone());
    snapshot.vms = vec![other];
    let nic = |mac: Option<&str>| NewNic {
        network: network.id,
        mac: mac.map(str::to_owned),
        model: NicModel::Virtio,
        options: NicOptions::default(),
    };
    let mut body = sample::create_vm("web");
    body.nics = vec![nic(None), nic(Some("52:54:00:AA:BB:CD"))];
    create(&body, &snapshot).expect("two cards");
    for bad in ["", "52:54:00:aa:bb", "53:54:00:aa:bb:cc", "00:00:00:00:00:00", "52-54-00-aa-bb-cc", "x"] {
        refused(|vm| vm.nics = vec![nic(Some(bad))], &snapshot, "/nics/0/mac");
    }
    assert!(
        refused(|vm| vm.nics = vec![nic(Some(&mac.to_uppercase()))], &snapshot, "/nics/0/mac").contains("db")
    );
    let twice = Some("52:54:00:00:00:01");
    refused(|vm| vm.nics = vec![nic(twice), nic(twice)], &snapshot, "/nics/1/mac");
    refused(|vm| vm.nics = vec![nic(None); 9], &snapshot, "/nics");
    let unknown = NewNic {
        network: NetworkId::new(),
        mac: None,
        model: NicModel::E1000,
        options: NicOptions::default(),
    };
    refused(|vm| vm.nics = vec![unknown], &snapshot, "/nics/0/network");
}

#[test]
fn a_running_machine_takes_only_light_edits() {
    let mut vm = sample::vm("web");
    vm.status.state = VmState::Running;
    let id = vm.id;
    let mut snapshot = Snapshot { vm: Some(vm.clone()), ..now() };
    let light = EditVm {
        description: Some("new".into()),
        autostart: Some(true),
        cdrom: Some(CdromChange::Eject),
        name: Some("web".into()),
        cpus: Some(vm.spec.cpus),
        ..EditVm::default()
    };
    edit(id, &light, &snapshot).expect("light, and fields that stay the same");
    let heavy = EditVm { memory_mib: Some(2048), name: Some("web2".into()), ..EditVm::default() };
    let problem = edit(id, &heavy, &snapshot).expect_err("heavy");
    assert_eq!(problem.kind, ProblemKind::WrongState);
    assert!(problem.detail.contains("name, memory"), "{problem}");
    edit(id, &heavy, &Snapshot { level: LIFE, ..snapshot.clone() }).expect("what can't change now waits");
    snapshot.vm.as_mut().expect("a machine").status.state = VmState::Off;
    edit(id, &heavy, &snapshot).expect("off");
    let bad = EditVm { memory_mib: Some(1), cpus: Some(99), ..EditVm::default() };
    assert_eq!(edit(id, &bad, &snapshot).expect_err("limits").errors.len(), 2);
    // The number of CPUs must fit the arrangement that stays, and the other way round.
    snapshot.vm.as_mut().expect("a machine").spec.topology = CpuTopology { sockets: 2, threads: 1 };
    let odd = EditVm { cpus: Some(3), ..EditVm::default() };
    assert!(edit(id, &odd, &snapshot).expect_err("odd").at("/topology").is_some());
    let both = EditVm { topology: Some(CpuTopology { sockets: 3, threads: 1 }), ..odd };
    edit(id, &both, &snapshot).expect("three on three");
    let room = |cpus_max, memory_max_mib, memory_min_mib| EditVm {
        headroom: Some(Headroom { cpus_max, memory_max_mib, memory_min_mib }),
        ..EditVm::default()
    };
    for (wrong, field) in [
        (room(Some(0), None, None), "/headroom/cpus_max"),
        (room(None, Some(16), None), "/headroom/memory_max_mib"),
        (room(None, None, Some(1024)), "/headroom/memory_min_mib"),
    ] {
        assert!(edit(id, &wrong, &snapshot).expect_err(field).at(field).is_some(), "{field}");
    }
    let unknown = EditVm { machine_type: Some("q35".into()), ..EditVm::default() };
    assert!(edit(id, &unknown, &snapshot).expect_err("an alias").at("/machine_type").is_some());
    let insert = EditVm { cdrom: Some(CdromChange::Insert { image: ImageId::new() }), ..EditVm::default() };
    assert!(edit(id, &insert, &snapshot).expect_err("no image").at("/cdrom/image").is_some());
}
