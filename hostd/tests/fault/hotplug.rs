//! A full disk, and kill -9 of QEMU and of libvirtd, while devices come and disks grow: a device is there or it is not, in the
//! rows as in the machine.

use crate::bed::{Bed, pool_is_consistent};
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;

async fn running(bed: &mut Bed, name: &str, disks: Value) -> String {
    let vm = bed.create_vm(name, json!({"disks": disks, "start": true})).await;
    bed.vm_is(&vm, "running").await;
    vm
}

/// Files of the disks that QEMU has.
fn attached(bed: &Bed, vm: &str) -> Vec<String> {
    let listed = bed.host.libvirt.run_inside("virsh", &["-q", "domblklist", vm]).unwrap();
    let files = listed.lines().filter_map(|line| line.split_whitespace().nth(1));
    let mut files: Vec<String> = files.filter(|file| file.contains("/volumes/")).map(str::to_owned).collect();
    files.sort();
    files
}

/// Files of the disks that the rows say.
async fn wanted(bed: &mut Bed, vm: &str) -> Vec<String> {
    let detail = bed.get(&format!("vms/{vm}")).await;
    let dir = bed.host.pool().join("volumes");
    let file = |disk: &Value| {
        let (id, format) = (disk["id"].as_str().unwrap(), disk["spec"]["format"].as_str().unwrap());
        dir.join(format!("{id}.{format}")).display().to_string()
    };
    let mut files: Vec<String> = detail["disks"].as_array().unwrap().iter().map(file).collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_full_pool_refuses_devices_and_loses_none() {
    let Some(mut bed) = crate::fault::space::small_pool().await else { return };
    let vm = running(&mut bed, "tight", json!([{"from": "blank", "size_bytes": 4 << 20}])).await;
    let before = wanted(&mut bed, &vm).await;
    crate::fault::space::fill(&bed);
    let answer = bed.post(&format!("vms/{vm}/disks"), json!({"from": "blank", "size_bytes": 8 << 20})).await;
    let task = bed.ended(&answer).await;
    assert_eq!(task["state"], "failed", "{task:#}");
    assert!(task["problem"]["detail"].as_str().unwrap().contains("full"), "{task:#}");
    assert_eq!(wanted(&mut bed, &vm).await, before);
    assert_eq!(attached(&bed, &vm), before);
    assert_eq!(bed.get("volumes").await["total"], 1);

    // A larger table may or may not fit; what the row says is what QEMU has.
    let id = bed.get(&format!("vms/{vm}")).await["disks"][0]["id"].as_str().unwrap().to_owned();
    let grow = bed.ask(Method::PATCH, &format!("vms/{vm}/disks/{id}"), json!({"size_bytes": 16 << 20})).await;
    if grow.status == 202 {
        bed.ended(&grow).await;
    } else {
        assert_eq!(grow.status, 507, "{}", grow.text());
    }
    let says = bed.get(&format!("volumes/{id}")).await["spec"]["size_bytes"].as_u64().unwrap();
    let info = bed.host.libvirt.run_inside("virsh", &["-q", "domblkinfo", &vm, "vda"]).unwrap();
    let has = info.lines().find_map(|line| line.strip_prefix("Capacity:")?.trim().parse::<u64>().ok());
    assert_eq!(has, Some(says), "{info}");
    bed.vm_is(&vm, "running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_dies_while_a_disk_is_plugged_in_rows_and_machine_agree() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = running(&mut bed, "plugged", json!([])).await;
    let mut random = std::process::id();
    for round in 0..6 {
        let answer =
            bed.post(&format!("vms/{vm}/disks"), json!({"from": "blank", "size_bytes": 4 << 20})).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The point of the kill is what this test varies: it waits for a moment, not for a state.
        let moment = u64::from(random >> 16) % 300;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        eprintln!("round {round} after {moment} ms");
        match round % 3 {
            0 => {
                bed.host.libvirt.kill().unwrap();
                bed.host.libvirt.restart().unwrap();
            }
            1 => {
                let pid = nix::unistd::Pid::from_raw(bed.host.libvirt.qemu("plugged").unwrap());
                nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
            }
            _ => bed.crash().await,
        }
        let before = wanted(&mut bed, &vm).await.len();
        let task = bed.ended(&answer).await;
        let after = wanted(&mut bed, &vm).await;
        if task["state"] == "failed" {
            assert!(after.len() <= before, "{task:#}");
        }
        pool_is_consistent(&mut bed).await;
        if round % 3 == 1 {
            // Until then the rows may say that it runs.
            bed.vm_is(&vm, "crashed").await;
            bed.power(&vm, "start").await;
        }
        bed.vm_is(&vm, "running").await;
        assert_eq!(attached(&bed, &vm), after, "round {round}: {task:#}");
    }
}
