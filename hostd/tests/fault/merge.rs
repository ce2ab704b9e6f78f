//! kill -9 of the daemon, of QEMU and of libvirtd in the middle of a merge, and a full disk: not a byte is lost, and the
//! merge ends.

use crate::api::snapshots::{content, merged, take, view, wrote_more};
use crate::bed::{Bed, pool_is_consistent};
use serde_json::json;
use std::time::Duration;

/// What dies.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Daemon,
    Qemu,
    Libvirtd,
}

/// Size of the disk and of what is merged, MiB.
const DISK: usize = 400;
const MERGED: usize = 380;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_dies_during_a_merge_nothing_is_lost() {
    let Some(mut bed) = Bed::start().await else { return };
    let image = bed.upload("writer", lab::writer::image(DISK << 20)).await.json().unwrap();
    let disks = json!([{"from": "image", "image": image["id"]}]);
    let vm = bed.create_vm("writer", json!({"disks": disks})).await;
    let mut random = std::process::id();
    for (round, victim) in
        [Victim::Daemon, Victim::Qemu, Victim::Libvirtd].into_iter().cycle().take(6).enumerate()
    {
        let byte = 0x40 + round as u8;
        let snapshot = take(&mut bed, &vm, &format!("round{round}")).await;
        fill(&mut bed, &vm, byte).await;
        bed.power(&vm, "start").await;
        wrote_more(&mut bed, &vm).await;
        let answer = bed.delete(&format!("vms/{vm}/snapshots/{snapshot}")).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The point of the kill is what this test varies: it waits for a moment, not for a state.
        let moment = u64::from(random >> 16) % 1500;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        eprintln!("round {round}: {victim:?} dies after {moment} ms");
        match victim {
            Victim::Daemon => bed.crash().await,
            Victim::Qemu => {
                let pid = nix::unistd::Pid::from_raw(bed.host.libvirt.qemu("writer").unwrap());
                nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
            }
            Victim::Libvirtd => {
                bed.host.libvirt.kill().unwrap();
                bed.host.libvirt.restart().unwrap();
            }
        }
        merged(&mut bed, &vm).await;
        let seen = view(&mut bed, &vm).await;
        assert_eq!(seen["debt"], json!([]), "{seen:#}");
        if !matches!(victim, Victim::Qemu) {
            bed.vm_is(&vm, "running").await;
            bed.power(&vm, "force_off").await;
        }
        let now = content(&mut bed, &vm, 0).await;
        assert!(lab::writer::written(&now).unwrap() > 0);
        let kept = &now[2 << 20..MERGED << 20];
        assert!(kept.iter().all(|b| *b == byte), "round {round}, {victim:?}");
        pool_is_consistent(&mut bed).await;
    }
}

/// Fills what is merged, but for the guest's own ring.
async fn fill(bed: &mut Bed, vm: &str, byte: u8) {
    let (path, format) = crate::api::snapshots::active(bed, vm, 0).await;
    let order = format!("write -P {byte} 2M {}M", MERGED - 2);
    bed.host.libvirt.run_inside("qemu-io", &["-f", format, "-c", &order, path.to_str().unwrap()]).unwrap();
}

#[tokio::test]
async fn a_merge_that_finds_no_room_keeps_everything_and_ends_when_there_is_some() {
    let Some(mut bed) = crate::fault::space::small_pool().await else { return };
    let disks = json!([{"from": "blank", "size_bytes": 16 << 20}]);
    let vm = bed.create_vm("tight", json!({"disks": disks})).await;
    let snapshot = take(&mut bed, &vm, "one").await;
    for mib in 0..6 {
        inside(&bed, mib);
    }
    let filler = bed.host.pool().join("filler");
    crate::fault::space::fill(&bed);
    let none = bed.post(&format!("vms/{vm}/snapshots"), json!({"name": "two"})).await;
    let task = bed.ended(&none).await;
    assert_eq!(task["state"], "failed", "{task:#}");
    assert!(task["problem"]["detail"].as_str().unwrap().contains("full"), "{task:#}");
    let answer = bed.delete(&format!("vms/{vm}/snapshots/{snapshot}")).await;
    let task = bed.ended(&answer).await;
    assert_eq!(task["state"], "failed", "{task:#}");
    assert!(task["problem"]["detail"].as_str().unwrap().contains("full"), "{task:#}");
    let seen = view(&mut bed, &vm).await;
    assert!(seen["debt"][0]["reason"].as_str().unwrap().contains("full"), "{seen:#}");
    bed.host.libvirt.run_inside("rm", &[filler.to_str().unwrap()]).unwrap();
    // Whoever needs the disks lets it begin anew, after the rest it takes.
    merged(&mut bed, &vm).await;
}

/// Writes to the machine's only layer over its base; the pool is visible inside the host alone.
fn inside(bed: &Bed, mib: usize) {
    let dir = bed.host.pool().join("volumes").display().to_string();
    let found = bed.host.libvirt.run_inside("find", &[&dir, "-name", "*.*.qcow2"]).unwrap();
    let order = format!("write -P 7 {mib}M 1M");
    bed.host.libvirt.run_inside("qemu-io", &["-f", "qcow2", "-c", &order, found.trim()]).unwrap();
}
