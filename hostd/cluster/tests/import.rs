//! Rows that a host brings along.

use crate::cluster_record::founded;
use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

/// A host of its own with one of everything: a network, an image, a volume and a machine that uses them.
async fn elsewhere() -> (Fixture, Belongings) {
    let f = Fixture::new().await;
    let network = f.ready_network("lan", "10.200.0.0/24").await;
    let image = f.ready_image("debian", ImageKind::Disk).await;
    f.ready_volume("spare").await;
    let id = VmId::new();
    let vm = CreateVm {
        disks: vec![NewDisk::Image {
            image,
            size_bytes: None,
            bus: DiskBus::Virtio,
            options: DiskOptions::default(),
        }],
        nics: vec![NewNic { network, mac: None, model: NicModel::Virtio, options: NicOptions::default() }],
        start: true,
        ..blank_vm("web")
    };
    let created = f.ok(create(id, f.host, vm)).await;
    f.ok(vm_report(id, running(), Some(TaskEnd { task: created.task.unwrap(), problem: None }))).await;
    f.ok(delete_vm(id, true)).await;
    let belongings = f.cluster.store().belongings(f.host).await.unwrap();
    let Belongings { networks, images, volumes, vms, snapshots: _ } = &belongings;
    assert_eq!((networks.len(), images.len(), volumes.len(), vms.len()), (1, 1, 2, 1));
    (f, belongings)
}

/// `belongings` as those of `host`.
fn moved(mut belongings: Belongings, host: HostId) -> Belongings {
    belongings.networks.iter_mut().for_each(|network| network.spec.host = host);
    belongings.images.iter_mut().for_each(|image| image.spec.host = host);
    belongings.volumes.iter_mut().for_each(|volume| volume.spec.host = host);
    belongings.vms.iter_mut().for_each(|vm| vm.spec.host = host);
    belongings
}

fn import(host: HostId, belongings: &Belongings) -> Command {
    Command::Cluster(ClusterCommand::Import { host, belongings: belongings.clone() })
}

/// `web -> web-h2` of each.
fn told(clashes: &[Clash]) -> Vec<String> {
    clashes.iter().map(|c| format!("{} {} -> {}", c.kind.as_str(), c.name, c.becomes)).collect()
}

#[tokio::test]
async fn rows_come_with_their_ids_and_without_the_tasks_that_stayed_behind() {
    let (_elsewhere, belongings) = elsewhere().await;
    let (f, _) = founded().await;
    let (host, _) = f.member("h2").await;
    let belongings = moved(belongings, host);
    assert_eq!(f.cluster.store().clashes(&belongings, "h2").await.unwrap(), []);
    f.ok(import(host, &belongings)).await;

    let nil = TaskId::from_uuid(uuid::Uuid::nil());
    let mut expected = belongings.clone();
    expected.images[0].spec.task = nil;
    let spec = &mut expected.vms[0].spec;
    spec.power.as_mut().expect("a request to start").task = nil;
    spec.deleting.as_mut().expect("a deletion").task = nil;
    assert_eq!(f.cluster.store().belongings(host).await.unwrap(), expected);
    let network = belongings.networks[0].id;
    assert_eq!(f.cluster.store().vms_on_network(network).await.unwrap(), expected.vms);
    assert_eq!(f.cluster.store().vms_by_host().await.unwrap().into_iter().collect::<Vec<_>>(), [(host, 1)]);

    // Again, as after a crash: nothing twice.
    f.ok(import(host, &belongings)).await;
    assert_eq!(f.cluster.store().belongings(host).await.unwrap(), expected);
    let events = [
        "cluster.join as a host",
        "cluster.import networks: 1, images: 1, volumes: 2, machines: 1",
        "cluster.import networks: 0, images: 0, volumes: 0, machines: 0; there already: 5",
    ];
    assert_eq!(f.events(host).await, events);

    // The deletion that was under way ends here.
    f.ok(Command::Vm(VmCommand::Deleted { id: belongings.vms[0].id })).await;
    assert_eq!(f.cluster.store().vms_on_network(network).await.unwrap(), []);
    assert_eq!(f.cluster.store().volumes_on(host).await.unwrap().len(), 1);
}

#[tokio::test]
async fn taken_names_are_changed_as_the_preview_said_also_in_parts() {
    let (_elsewhere, belongings) = elsewhere().await;
    let (f, _) = founded().await;
    let (host, _) = f.member("h2").await;
    let mut belongings = moved(belongings, host);
    let web = belongings.vms[0].clone();
    for name in ["web-h2", "WEB-H2-2", "free"] {
        let mut vm = Vm { id: VmId::new(), ..web.clone() };
        (vm.spec.name, vm.spec.nics, vm.spec.disks) = (name.into(), vec![], vec![]);
        belongings.vms.push(vm);
    }
    f.ready_vm("Web").await;
    f.ready_vm("web-h2").await;
    f.ready_network("LAN", "10.200.0.0/24").await;
    f.ready_volume("web-disk0").await;
    // Another kind: no clash.
    f.ready_volume("debian").await;

    let clashes = f.cluster.store().clashes(&belongings, "h2").await.unwrap();
    let expected = [
        "network lan -> lan-h2",
        "volume web-disk0 -> web-disk0-h2",
        "vm web -> web-h2-2",
        "vm web-h2 -> web-h2-h2",
        "vm WEB-H2-2 -> WEB-H2-2-h2",
    ];
    assert_eq!(told(&clashes), expected);

    let Belongings { networks, images, volumes, vms, snapshots: _ } = &belongings;
    let part = |vms: &[Vm]| Belongings { vms: vms.to_vec(), ..Belongings::default() };
    let first = Belongings {
        snapshots: Vec::new(),
        networks: networks.clone(),
        images: images.clone(),
        volumes: volumes.clone(),
        vms: vec![],
    };
    f.ok(import(host, &first)).await;
    f.ok(import(host, &part(&vms[..1]))).await;
    f.ok(import(host, &part(&vms[..3]))).await;
    f.ok(import(host, &belongings)).await;
    let there = f.cluster.store().belongings(host).await.unwrap();
    let name = |id: &str| {
        let names = there.networks.iter().map(|row| row.subject());
        let names = names.chain(there.volumes.iter().map(|row| row.subject()));
        let mut names = names.chain(there.vms.iter().map(|row| row.subject()));
        names.find(|row| row.id == id).map(|row| row.name)
    };
    for clash in &clashes {
        assert_eq!(name(&clash.id).as_ref(), Some(&clash.becomes), "{clash:?}");
    }
    assert_eq!(there.vms.len(), 4);
    let renamed = there.vms.iter().find(|vm| vm.id == web.id).unwrap();
    assert_eq!(renamed.meta.generation, web.meta.generation + 1, "its settings changed");
    let free = there.vms.iter().find(|vm| vm.spec.name == "free").unwrap();
    assert_eq!(free.meta, web.meta);
    assert_eq!(f.cluster.store().clashes(&belongings, "h2").await.unwrap(), [], "they are there now");
    let events = f.events(host).await;
    assert!(events[1].ends_with("renamed: lan to lan-h2, web-disk0 to web-disk0-h2"), "{events:?}");
}

#[tokio::test]
async fn a_host_brings_only_what_is_its_own_and_nothing_of_a_refused_import_stays() {
    let (_elsewhere, belongings) = elsewhere().await;
    let (f, _) = founded().await;
    let (host, _) = f.member("h2").await;
    let own = moved(belongings, host);
    let foreign = moved(own.clone(), f.host);
    let mut cases = vec![foreign.clone()];
    cases.push(Belongings { networks: foreign.networks, ..own.clone() });
    cases.push(Belongings { images: foreign.images, ..own.clone() });
    cases.push(Belongings { volumes: foreign.volumes, ..own.clone() });
    cases.push(Belongings { vms: foreign.vms, ..own.clone() });
    for case in cases {
        let problem = f.refused(import(host, &case)).await;
        assert_eq!(problem.kind, ProblemKind::Invalid, "{problem:?}");
        assert!(problem.detail.contains("another host's"), "{problem:?}");
    }
    let stranger = f.refused(import(HostId::new(), &Belongings::default())).await;
    assert_eq!(stranger.kind, ProblemKind::NotFound);
    assert_eq!(f.cluster.store().belongings(host).await.unwrap(), Belongings::default());
    assert_eq!(f.events(host).await.len(), 1);
}

#[tokio::test]
async fn a_host_alone_takes_its_rows_back_without_a_cluster() {
    let (_elsewhere, belongings) = elsewhere().await;
    let f = Fixture::new().await;
    f.ok(import(f.host, &moved(belongings.clone(), f.host))).await;
    assert_eq!(
        f.cluster.store().vm(belongings.vms[0].id).await.unwrap().map(|vm| vm.spec.host),
        Some(f.host)
    );
}
