//! kill -9 of the daemon, of QEMU and of libvirtd while memory is written or read, a cancelled one, and a full disk: there is
//! a whole snapshot afterwards, or none.

use crate::api::snapshot_memory::counts;
use crate::api::snapshots::{merged, view};
use crate::api::vm_devices::linux_guest;
use crate::bed::{Bed, PATIENCE, files, pool_is_consistent};
use lab::wait;
use serde_json::json;
use std::time::Duration;

/// What dies.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Daemon,
    Qemu,
    Libvirtd,
}

fn kill(bed: &mut Bed, victim: Victim, name: &str) {
    match victim {
        Victim::Daemon => {}
        Victim::Qemu => {
            let pid = nix::unistd::Pid::from_raw(bed.host.libvirt.qemu(name).unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        Victim::Libvirtd => {
            bed.host.libvirt.kill().unwrap();
            bed.host.libvirt.restart().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_dies_there_is_a_whole_snapshot_or_none() {
    let Some(mut bed) = Bed::start().await else { return };
    let Some(vm) = linux_guest(&mut bed, "mortal").await else { return };
    counts(&bed, &vm, "the guest to count", |n| n >= 10).await;
    let mut random = std::process::id();
    for (round, victim) in
        [Victim::Daemon, Victim::Libvirtd, Victim::Qemu, Victim::Daemon].into_iter().enumerate()
    {
        let name = format!("round{round}");
        let answer =
            bed.post(&format!("vms/{vm}/snapshots"), json!({"name": name, "include_memory": true})).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The point of the kill is what this test varies: it waits for a moment, not for a state.
        let moment = u64::from(random >> 16) % 700;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        eprintln!("round {round}: {victim:?} dies after {moment} ms");
        kill(&mut bed, victim, "mortal");
        if matches!(victim, Victim::Daemon) {
            bed.crash().await;
        }
        let task = bed.ended(&answer).await;
        let seen = view(&mut bed, &vm).await;
        let named = |s: &&serde_json::Value| s["spec"]["name"] == json!(name);
        let snapshot = seen["snapshots"].as_array().unwrap().iter().find(named).cloned();
        assert_eq!(task["state"] == "succeeded", snapshot.is_some(), "{task:#}\n{seen:#}");
        if let Some(snapshot) = &snapshot {
            assert!(snapshot["status"]["memory_bytes"].as_u64().is_some(), "{snapshot:#}");
            // What was kept can be gone on from, whatever dies meanwhile.
            let id = snapshot["id"].as_str().unwrap();
            let answer = bed.post(&format!("vms/{vm}/snapshots/{id}/revert"), json!({})).await;
            if !matches!(victim, Victim::Qemu) {
                tokio::time::sleep(Duration::from_millis(moment)).await; // as above
                kill(&mut bed, victim, "mortal");
                if matches!(victim, Victim::Daemon) {
                    bed.crash().await;
                }
            }
            bed.done(&answer).await;
            bed.vm_is(&vm, "running").await;
            counts(&bed, &vm, "the guest to go on", |n| n >= 10).await;
            let answer = bed.delete(&format!("vms/{vm}/snapshots/{id}")).await;
            bed.done(&answer).await;
        } else if matches!(victim, Victim::Qemu) {
            // Until then the rows may say that it runs.
            bed.vm_is(&vm, "crashed").await;
            bed.power(&vm, "start").await;
        } else if bed.get(&format!("vms/{vm}")).await["vm"]["status"]["state"] != "running" {
            bed.power(&vm, "start").await;
        }
        merged(&mut bed, &vm).await;
        assert_eq!(files(&bed.host.pool().join("memory")), Vec::<String>::new(), "round {round}");
        pool_is_consistent(&mut bed).await;
    }
    is_forced_off_while_it_hangs(&mut bed, &vm).await;
}

/// A QEMU that hangs while its memory is written is forced off; nothing of the snapshot stays.
async fn is_forced_off_while_it_hangs(bed: &mut Bed, vm: &str) {
    bed.vm_is(vm, "running").await;
    let dir = bed.host.pool().join("memory");
    for round in 0..20 {
        let pid = nix::unistd::Pid::from_raw(bed.host.libvirt.qemu("mortal").unwrap());
        let body = json!({"name": format!("cut{round}"), "include_memory": true});
        let answer = bed.post(&format!("vms/{vm}/snapshots"), body).await;
        let begun = wait::until("the memory to be written", PATIENCE, || async {
            Ok((!files(&dir).is_empty()).then_some(()))
        });
        begun.await.unwrap();
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
        let task = answer.json().unwrap()["task"].as_str().unwrap().to_owned();
        if bed.get(&format!("tasks/{task}")).await["state"] == "running" {
            bed.power(vm, "force_off").await;
            bed.vm_is(vm, "off").await;
            let task = bed.ended(&answer).await;
            if task["state"] == "succeeded" {
                // All was written; only the look at it was to come.
                bed.power(vm, "start").await;
                bed.vm_is(vm, "running").await;
                let snapshot = bed.done(&answer).await;
                let answer = bed.delete(&format!("vms/{vm}/snapshots/{snapshot}")).await;
                bed.done(&answer).await;
                merged(bed, vm).await;
                continue;
            }
            assert_eq!(task["state"], "failed", "{task:#}");
            assert_eq!(view(bed, vm).await["snapshots"], json!([]));
            assert_eq!(files(&dir), Vec::<String>::new());
            return;
        }
        // It was written before it could be stopped.
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
        let snapshot = bed.done(&answer).await;
        let answer = bed.delete(&format!("vms/{vm}/snapshots/{snapshot}")).await;
        bed.done(&answer).await;
        merged(bed, vm).await;
    }
    panic!("its memory was always written at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_finds_no_room_leaves_no_half_snapshot() {
    let Some(mut bed) = crate::fault::space::small_pool().await else { return };
    let disks = json!([{"from": "blank", "size_bytes": 8 << 20}]);
    let vm = bed.create_vm("tight", json!({"disks": disks, "start": true})).await;
    bed.vm_is(&vm, "running").await;
    crate::fault::space::fill(&bed);
    // Room for the layer, not for the memory.
    let filler = bed.host.pool().join("filler");
    bed.host.libvirt.run_inside("truncate", &["-s", "-1M", filler.to_str().unwrap()]).unwrap();
    let answer =
        bed.post(&format!("vms/{vm}/snapshots"), json!({"name": "two", "include_memory": true})).await;
    let task = bed.ended(&answer).await;
    assert_eq!(task["state"], "failed", "{task:#}");
    assert!(task["problem"]["detail"].as_str().unwrap().contains("full"), "{task:#}");
    assert_eq!(view(&mut bed, &vm).await["snapshots"], json!([]));
    bed.vm_is(&vm, "running").await;
    let left =
        bed.host.libvirt.run_inside("ls", &[bed.host.pool().join("memory").to_str().unwrap()]).unwrap();
    assert_eq!(left, "");
    bed.host.libvirt.run_inside("rm", &[filler.to_str().unwrap()]).unwrap();
    let room = wait::until("the layers that were planned to go", PATIENCE, || {
        let dir = bed.host.pool().join("volumes").display().to_string();
        let left = bed.host.libvirt.run_inside("ls", &[&dir]).unwrap_or_default();
        async move { Ok((left.lines().count() == 1).then_some(())) }
    });
    room.await.unwrap();
}
