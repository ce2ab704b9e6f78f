//! Calls and events through libvirt's in-process test driver; it proves nothing about QEMU.

use hostd_types::{VmId, VmState};
use hostd_virt::{Hypervisor, Link, VirtError, VirtSettings};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn the_test_drivers_domain_is_listed_stopped_and_started() {
    let dir = tempfile::tempdir().expect("a directory");
    let hypervisor = Hypervisor::start(VirtSettings::new("test:///default", dir.path()));
    let mut link = hypervisor.link();
    let up = link.wait_for(|l| matches!(l, Link::Up { libvirt, .. } if libvirt.contains('.')));
    tokio::time::timeout(Duration::from_secs(10), up).await.expect("in time").expect("the link lives");
    let seen = hypervisor.domains().await.expect("the list");
    let [only] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!((only.state, only.generation, only.shape.name.as_str()), (VmState::Running, None, "test"));
    let vm = only.vm;
    let mut events = hypervisor.events();
    hypervisor.destroy(vm).await.expect("destroy");
    assert_eq!(events.recv().await.expect("an event").vm, vm);
    let seen = hypervisor.domains().await.expect("the list");
    assert_eq!((seen[0].state, seen[0].reason.as_deref()), (VmState::Off, Some("forced off")));
    hypervisor.start_domain(vm).await.expect("start");
    hypervisor.suspend(vm).await.expect("suspend");
    assert_eq!(hypervisor.domains().await.expect("the list")[0].state, VmState::Paused);
    hypervisor.resume(vm).await.expect("resume");

    let nobody = VmId::new();
    assert_eq!(hypervisor.reset(nobody).await, Err(VirtError::NoDomain(nobody)));
    assert_eq!(hypervisor.consoles(nobody).await, Err(VirtError::NoDomain(nobody)));
    hypervisor.undefine(nobody).await.expect("gone already");
}
