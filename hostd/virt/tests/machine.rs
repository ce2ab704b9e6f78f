//! A machine's life on a real libvirtd and QEMU.

use crate::bed::{Bed, GREETING, until};
use hostd_types::{DiskBus, Firmware, HostDevice, KnownBy, NicModel, VmState};
use hostd_virt::{DomainPlan, HostParts, HostSource, NicSource, VirtError, drift, outdated};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_defined_started_used_and_removed() {
    let Some(bed) = Bed::start().await else { return };
    let plan = bed.plan("web-1");
    let (hypervisor, vm) = (&bed.hypervisor, plan.vm);
    let mut events = hypervisor.events();
    hypervisor.define(&plan).await.expect("define");
    assert_eq!(events.recv().await.expect("an event").vm, vm);
    let seen = bed.seen(vm).await;
    assert_eq!((seen.state, seen.generation, seen.persistent), (VmState::Off, Some(1), true));
    assert_eq!(drift(&plan, &seen), Vec::<String>::new());

    let begun = Instant::now();
    hypervisor.start_domain(vm).await.expect("start");
    eprintln!("start: {:?}", begun.elapsed());
    hypervisor.start_domain(vm).await.expect("starting a running machine is fine");
    bed.becomes(vm, VmState::Running).await;
    let consoles = hypervisor.consoles(vm).await.expect("consoles");
    let log = consoles.serial_log.expect("a serial log");
    until("the greeting on the serial log", || {
        std::fs::read(&log).is_ok_and(|l| String::from_utf8_lossy(&l).contains(GREETING))
    })
    .await;

    let mut serial = UnixStream::connect(consoles.serial.expect("a serial socket")).await.expect("connect");
    serial.write_all(b"ping").await.expect("write");
    let mut echo = [0; 4];
    serial.read_exact(&mut echo).await.expect("the guest's echo");
    assert_eq!(&echo, b"ping");
    let mut vnc = UnixStream::connect(consoles.vnc.expect("a VNC socket")).await.expect("connect");
    let mut hello = [0; 12];
    vnc.read_exact(&mut hello).await.expect("VNC's greeting");
    assert_eq!(&hello, b"RFB 003.008\n");
    let picture = hypervisor.screenshot(vm).await.expect("a picture");
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 500, "{} bytes", picture.len());

    hypervisor.suspend(vm).await.expect("suspend");
    bed.becomes(vm, VmState::Paused).await;
    hypervisor.resume(vm).await.expect("resume");
    bed.becomes(vm, VmState::Running).await;
    hypervisor.reset(vm).await.expect("reset");
    until("a second greeting after the reset", || {
        std::fs::read(&log).is_ok_and(|l| String::from_utf8_lossy(&l).matches(GREETING).count() == 2)
    })
    .await;
    hypervisor.press_power(vm).await.expect("press the button"); // which this guest ignores

    let loads = hypervisor.loads().await.expect("loads");
    let load = loads.iter().find(|l| l.vm == vm).expect("its load");
    assert!(load.cpu_ns > 0 && load.memory_rss > 32 << 20 && load.read_bytes >= 512, "{load:?}");
    assert_eq!(load.cpus, 1);

    serial.write_all(b"!").await.expect("tell the guest to shut down");
    let seen = bed.becomes(vm, VmState::Off).await;
    assert_eq!(seen.reason.as_deref(), Some("guest shut down"));
    assert!(hypervisor.press_power(vm).await.is_err());
    hypervisor.destroy(vm).await.expect("destroying what is off is fine");
    assert!(hypervisor.loads().await.expect("loads").is_empty());

    hypervisor.undefine(vm).await.expect("undefine");
    hypervisor.undefine(vm).await.expect("undefining what is gone is fine");
    assert!(bed.find(vm).await.is_none());
    assert!(!bed.run_dir(vm).exists());
    assert_eq!(hypervisor.start_domain(vm).await, Err(VirtError::NoDomain(vm)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_changed_renamed_and_its_drift_is_told() {
    let Some(bed) = Bed::start().await else { return };
    let plan = bed.plan("before");
    let (hypervisor, vm) = (&bed.hypervisor, plan.vm);
    let run = |args: &[&str]| bed.host.run_inside(args[0], &args[1..]).expect("inside");
    run(&["ip", "link", "add", "qx0", "type", "bridge"]);
    hypervisor.define(&plan).await.expect("define");
    let iso = bed.dir.path().join("a & b.iso");
    std::fs::write(&iso, vec![0; 1 << 20]).expect("an iso");
    let extra = bed.plan("unused").disks.remove(0);
    let card = |mac: &str, model| NicSource {
        bridge: "qx0".into(),
        mac: mac.into(),
        model,
        plugged: true,
        options: Default::default(),
        changing: false,
    };
    let mut changed = DomainPlan {
        name: "after".into(),
        generation: 2,
        cpus: 2,
        memory_mib: 48,
        cdrom: Some(iso.clone()),
        nics: vec![card("52:54:00:0A:00:01", NicModel::Virtio), card("52:54:00:0a:00:02", NicModel::E1000)],
        ..plan.clone()
    };
    changed.disks.push(hostd_virt::DiskSource { bus: DiskBus::Sata, ..extra });
    let seen = bed.seen(vm).await;
    assert_eq!(drift(&changed, &seen).len(), 8, "{:?}", drift(&changed, &seen));
    hypervisor.define(&changed).await.expect("redefine and rename");
    let seen = bed.seen(vm).await;
    assert_eq!((seen.generation, drift(&changed, &seen)), (Some(2), Vec::new()));
    run(&["virsh", "-q", "dumpxml", "after"]);

    hypervisor.start_domain(vm).await.expect("start");
    let loads = hypervisor.loads().await.expect("loads");
    assert_eq!(loads.iter().map(|l| (l.vm, l.cpus)).collect::<Vec<_>>(), [(vm, 2)]);
    hypervisor.set_cdrom(vm, "sda", None).await.expect("eject");
    assert_eq!(bed.seen(vm).await.shape.cdrom, None);
    hypervisor.set_cdrom(vm, "sda", Some(&iso)).await.expect("insert");
    assert_eq!(bed.seen(vm).await.shape.cdrom, Some(iso));
    let missing = hypervisor.set_cdrom(vm, "sda", Some("/nonexistent.iso".as_ref())).await;
    assert!(matches!(missing, Err(VirtError::Call { .. })), "{missing:?}");

    // libvirt renames nothing that runs: it keeps its name there until it is off, and takes everything else.
    let renamed = DomainPlan { name: "later".into(), generation: 3, ..changed.clone() };
    hypervisor.define(&renamed).await.expect("redefined while it runs");
    let seen = bed.seen(vm).await;
    assert_eq!((seen.shape.name.as_str(), seen.generation), ("after", Some(3)));
    assert_eq!(drift(&renamed, &seen), Vec::<String>::new());
    hypervisor.destroy(vm).await.expect("destroy");
    let seen = bed.becomes(vm, VmState::Off).await;
    assert_eq!(drift(&renamed, &seen), ["the name is after, wanted later"]);
    hypervisor.define(&renamed).await.expect("renamed while off");
    assert_eq!(bed.seen(vm).await.shape.name, "later");
    hypervisor.define(&changed).await.expect("named as before");
    hypervisor.start_domain(vm).await.expect("start");

    // Changed behind our back while it runs: the live definition is the one in force.
    run(&["virsh", "-q", "domif-setlink", "after", "52:54:00:0a:00:02", "down"]);
    run(&["virsh", "-q", "detach-disk", "after", "sdb", "--config"]);
    let seen = bed.seen(vm).await;
    let cable = "the cable of network card 52:54:00:0a:00:02 is pulled, wanted in";
    assert_eq!((drift(&changed, &seen), outdated(&changed, &seen)), (vec![cable.to_owned()], true));
    hypervisor.destroy(vm).await.expect("destroy");
    let seen = bed.becomes(vm, VmState::Off).await;
    assert_eq!(seen.reason.as_deref(), Some("forced off"));
    assert_eq!(drift(&changed, &seen).len(), 1, "{:?}", drift(&changed, &seen));

    let other = bed.plan("after");
    let taken = hypervisor.define(&other).await.expect_err("the name is taken");
    assert!(taken.to_string().contains("already exists"), "{taken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_qemu_is_a_crash_and_a_stuck_one_holds_up_nobody() {
    let Some(bed) = Bed::start().await else { return };
    let (victim, stuck) = (bed.plan("victim"), bed.plan("stuck"));
    for plan in [&victim, &stuck] {
        bed.hypervisor.define(plan).await.expect("define");
        bed.hypervisor.start_domain(plan.vm).await.expect("start");
    }
    let signal = |name: &str, signal| {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(bed.qemu(name)), signal).expect("a signal");
    };
    signal("stuck", nix::sys::signal::Signal::SIGSTOP);
    for _ in 0..3 {
        let begun = Instant::now();
        let loads = bed.hypervisor.loads().await.expect("loads");
        assert_eq!(loads.len(), 2);
        assert!(loads.iter().all(|l| l.memory_rss > 0), "{loads:?}");
        bed.hypervisor.domains().await.expect("domains");
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
    let mut events = bed.hypervisor.events();
    signal("victim", nix::sys::signal::Signal::SIGKILL);
    let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await;
    assert_eq!(event.expect("in time").expect("an event").vm, victim.vm);
    let seen = bed.becomes(victim.vm, VmState::Crashed).await;
    assert_eq!(seen.reason.as_deref(), Some("its QEMU ended unexpectedly"));
    bed.hypervisor.start_domain(victim.vm).await.expect("a crashed machine starts again");

    bed.hypervisor.destroy(stuck.vm).await.expect("a stuck QEMU is killed");
    bed.becomes(stuck.vm, VmState::Off).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_uefi_machine_keeps_its_variables_and_leaves_none() {
    let Some(bed) = Bed::start().await else { return };
    if !std::path::Path::new("/usr/share/OVMF/OVMF_CODE_4M.fd").exists() {
        eprintln!("skipped: OVMF is not installed");
        return;
    }
    let plan = DomainPlan { firmware: Firmware::Uefi, memory_mib: 128, ..bed.plan("uefi") };
    let (hypervisor, vm) = (&bed.hypervisor, plan.vm);
    let variables = bed.host.outside(format!("/var/lib/libvirt/qemu/nvram/{vm}_VARS.fd").as_ref());
    hypervisor.define(&plan).await.expect("define");
    hypervisor.start_domain(vm).await.expect("start");
    let seen = bed.becomes(vm, VmState::Running).await;
    assert_eq!(drift(&plan, &seen), Vec::<String>::new());
    let live = bed.host.run_inside("virsh", &["-q", "dumpxml", "uefi"]).expect("the live definition");
    assert!(live.contains("<loader") && !live.contains("secure='yes'"), "{live}");
    assert!(variables.exists(), "{}", variables.display());
    hypervisor.destroy(vm).await.expect("destroy");
    let renamed = DomainPlan { name: "renamed".into(), generation: 2, ..plan };
    hypervisor.define(&renamed).await.expect("rename");
    assert!(variables.exists());
    hypervisor.undefine(vm).await.expect("undefine");
    let left: Vec<_> =
        std::fs::read_dir(variables.parent().expect("a parent")).expect("the directory").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_of_somebody_else_is_seen_as_such() {
    let Some(bed) = Bed::start().await else { return };
    let id = hostd_types::VmId::new();
    let xml = format!(
        "<domain type='qemu'><name>other</name><uuid>{id}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"
    );
    let file = bed.dir.path().join("other.xml");
    std::fs::write(&file, xml).expect("a file");
    let path = file.to_str().expect("text");
    bed.host.run_inside("virsh", &["-q", "create", path]).expect("a transient domain");
    let seen = bed.becomes(id, VmState::Running).await;
    assert_eq!((seen.generation, seen.persistent), (None, false));
    assert_eq!((seen.shape.name.as_str(), seen.shape.memory_mib), ("other", 32));
    assert_eq!(bed.hypervisor.consoles(id).await.expect("consoles"), hostd_virt::Consoles::default());
    bed.host.run_inside("virsh", &["-q", "destroy", "other"]).expect("gone");
    assert!(bed.find(id).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_the_host_are_taken_into_a_definition_and_a_start_without_them_fails() {
    let Some(bed) = Bed::start().await else { return };
    let ids = || ("0781".to_owned(), "5581".to_owned());
    let (vendor_id, product_id) = ids();
    let pci = KnownBy::Pci { address: "0000:fe:00.0".into(), vendor_id, product_id };
    let (vendor_id, product_id) = ids();
    let usb = KnownBy::UsbPort { port: "9-2.3".into(), vendor_id, product_id };
    let source = |id: &str, known_by, usb| HostSource {
        device: HostDevice { id: id.into(), name: "none that is there".into(), known_by },
        usb,
        changing: false,
    };
    let devices = vec![source("pci-0000:fe:00.0", pci, None), source("usb-9-2.3", usb, Some((9, 99)))];
    let plan = DomainPlan { host: HostParts { devices, ..HostParts::default() }, ..bed.plan("passed") };
    bed.hypervisor.define(&plan).await.expect("libvirt takes it");
    let seen = bed.seen(plan.vm).await;
    assert_eq!(seen.shape.host_devices, ["ua-pci-0000-fe-00-0", "ua-usb-9-2-3"]);
    assert_eq!(drift(&plan, &seen), Vec::<String>::new());
    let refused = bed.hypervisor.start_domain(plan.vm).await.expect_err("nothing is taken in their place");
    assert!(matches!(refused, VirtError::Call { .. }), "{refused:?}");
    assert_eq!(bed.seen(plan.vm).await.state, VmState::Off);

    // Of a machine that runs: refused, and what is not there is out.
    let bare = bed.plan("bare");
    bed.hypervisor.define(&bare).await.expect("define");
    bed.hypervisor.start_domain(bare.vm).await.expect("start");
    let stick = &plan.host.devices[1];
    bed.hypervisor.plug_host_device(bare.vm, stick).await.expect_err("it is not there");
    bed.hypervisor.unplug_host_device(bare.vm, stick).await.expect("it is out");
    assert_eq!(drift(&bare, &bed.seen(bare.vm).await), Vec::<String>::new());
    bed.hypervisor.destroy(bare.vm).await.expect("force off");
}
