//! libvirtd dies and comes back.

use crate::bed::Bed;
use serde_json::json;

#[tokio::test]
async fn libvirtd_dies_and_comes_back() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("survivor", json!({"start": true})).await;
    bed.vm_is(&vm, "running").await;
    bed.host.libvirt.kill().unwrap();
    bed.vm_is(&vm, "unknown").await;
    let overview = bed.get("overview").await;
    assert!(overview["host"]["facts"]["libvirt_fault"].is_string(), "{overview:#}");
    assert!(overview["notices"].to_string().contains("libvirt"), "{overview:#}");
    bed.host.libvirt.restart().unwrap();
    bed.vm_is(&vm, "running").await;
    let task = bed.power(&vm, "force_off").await;
    assert_eq!(task["state"], "succeeded", "{task:#}");
}

#[tokio::test]
async fn a_restart_of_the_daemon_does_not_touch_guests() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("steady", json!({"start": true})).await;
    bed.vm_is(&vm, "running").await;
    let process = |bed: &Bed| bed.host.libvirt.run_inside("pgrep", &["-f", &format!("uuid {vm}")]).unwrap();
    let before = process(&bed);
    bed.stop().await;
    assert_eq!(before, process(&bed));
    bed.crash().await;
    bed.vm_is(&vm, "running").await;
    assert_eq!(before, process(&bed));
}
