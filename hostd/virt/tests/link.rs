//! libvirtd killed, restarted, hung.

use crate::bed::Bed;
use hostd_types::VmState;
use hostd_virt::{Hypervisor, Link, VirtError, VirtSettings};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn libvirtd_killed_and_back_is_survived_by_the_link_and_the_guest() {
    let Some(mut bed) = Bed::start().await else { return };
    let plan = bed.plan("survivor");
    bed.hypervisor.define(&plan).await.expect("define");
    bed.hypervisor.start_domain(plan.vm).await.expect("start");
    bed.becomes(plan.vm, VmState::Running).await;
    let qemu = bed.qemu("survivor");
    for _ in 0..2 {
        bed.host.kill().expect("kill libvirtd");
        bed.link_is(false).await;
        let refused = bed.hypervisor.domains().await.expect_err("nobody answers");
        assert!(matches!(refused, VirtError::Down(_)) && refused.retryable(), "{refused}");
        bed.host.restart().expect("restart libvirtd");
        bed.link_is(true).await;
        assert_eq!(bed.seen(plan.vm).await.state, VmState::Running);
        assert_eq!(bed.qemu("survivor"), qemu);
    }
    // Events come from the new connection too.
    let mut events = bed.hypervisor.events();
    bed.hypervisor.destroy(plan.vm).await.expect("destroy");
    let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await;
    assert_eq!(event.expect("in time").expect("an event").vm, plan.vm);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_libvirtd_fails_calls_in_time_and_is_used_again_when_it_goes_on() {
    let Some(bed) = Bed::start().await else { return };
    let plan = bed.plan("waiting");
    bed.hypervisor.define(&plan).await.expect("define");
    bed.host.freeze().expect("SIGSTOP");
    let begun = Instant::now();
    let (list, start, loads) =
        tokio::join!(bed.hypervisor.domains(), bed.hypervisor.start_domain(plan.vm), bed.hypervisor.loads());
    for failed in [list.map(drop), start, loads.map(drop)] {
        let error = failed.expect_err("a hung daemon");
        assert!(matches!(error, VirtError::Down(_)), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    eprintln!("calls on a hung libvirtd failed after {:?}", begun.elapsed());
    bed.link_is(false).await;
    eprintln!("the link went down after {:?}", begun.elapsed());
    bed.host.unfreeze().expect("SIGCONT");
    bed.link_is(true).await;
    assert!(bed.find(plan.vm).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_libvirt_the_link_is_down_with_a_reason() {
    let uri = "qemu+unix:///system?socket=/nonexistent/libvirt-sock";
    let hypervisor = Hypervisor::start(VirtSettings::new(uri, "/nonexistent"));
    let mut link = hypervisor.link();
    let told = |link: &Link| matches!(link, Link::Down { reason } if reason.contains("/nonexistent"));
    let wait = tokio::time::timeout(Duration::from_secs(10), link.wait_for(told));
    wait.await.expect("in time").expect("the link lives");
    assert!(matches!(hypervisor.domains().await, Err(VirtError::Down(_))));
}
