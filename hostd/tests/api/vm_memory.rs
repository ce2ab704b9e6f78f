//! What a machine's memory is made of: huge pages of the host and the nodes that the guest sees, in a real QEMU.

use super::vm_devices::sees;
use crate::bed::{Bed, pointers, refused};
use hyper::Method;
use lab::linux;
use serde_json::{Value, json};
use std::path::Path;

const POOL: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";

fn pool(file: &str) -> u64 {
    std::fs::read_to_string(Path::new(POOL).join(file)).unwrap().trim().parse().unwrap()
}

/// Huge pages of 2 MiB set aside for a test; given back at its end.
struct SetAside {
    before: u64,
}

impl SetAside {
    /// None, and a line that says why, where there can be none.
    fn more(pages: u64) -> Option<Self> {
        let before =
            std::fs::read_to_string(Path::new(POOL).join("nr_hugepages")).ok()?.trim().parse().ok()?;
        let these = Self { before };
        these.set(before + pages);
        if pool("nr_hugepages") < before + pages || pool("free_hugepages") < pages {
            eprintln!("skipped: this kernel does not set huge pages aside");
            return None;
        }
        Some(these)
    }
    fn set(&self, pages: u64) {
        let _ = std::fs::write(Path::new(POOL).join("nr_hugepages"), pages.to_string());
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        self.set(self.before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_runs_on_huge_pages_in_two_nodes() {
    let Some(mut bed) = Bed::start().await else { return };
    if let Some(why) = linux::missing() {
        eprintln!("skipped: {why}");
        return;
    }
    let needed = linux::MEMORY_MIB / 2;
    let Some(set_aside) = SetAside::more(needed) else { return };
    let answer = bed.upload("linux", std::fs::read(linux::disk().unwrap()).unwrap()).await;
    let image = answer.json().unwrap()["id"].clone();
    let memory = json!({"huge_pages": "2mib", "numa_nodes": 2});
    let machine = json!({"cpus": 2, "memory_mib": linux::MEMORY_MIB, "options": {"memory": memory}, "start": true,
        "disks": [{"from": "image", "image": image}]});
    let vm = bed.create_vm("huge", machine).await;
    sees(&bed, &vm, "two nodes", |line| line.contains("cpus=0-1 ") && line.contains(" nodes=0-1 ")).await;
    assert!(pool("free_hugepages") < needed, "its memory is made of them");
    let live = bed.host.libvirt.run_inside("virsh", &["-q", "dumpxml", &vm]).unwrap();
    assert!(live.contains("<page size='2048' unit='KiB'/>") && !live.contains("freePageReporting"), "{live}");
    let path = format!("vms/{vm}");
    let status = bed.get(&path).await["vm"]["status"].clone();
    assert_eq!((status.get("drift"), status.get("pending")), (None, None), "{status:#}");

    // Less memory waits: the balloon gives no huge page back.
    let edit = json!({"memory_mib": linux::MEMORY_MIB - 4, "options": {"memory": {"huge_pages": "2mib"}}});
    let answer = bed.ask(Method::PATCH, &path, edit).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let waits = |row: &Value| row["status"]["pending"].to_string().contains("NUMA nodes: 1 (now 2)");
    let told = bed.finds("vms", "what waits", waits).await["status"]["pending"].to_string();
    assert!(told.contains("memory"), "{told}");
    bed.power(&vm, "force_off").await;

    // The host has them no more.
    set_aside.set(set_aside.before);
    let task = bed.power(&vm, "start").await;
    assert_eq!(task["state"], "failed", "{task:#}");
    assert!(task.to_string().contains("huge pages of 2 MiB"), "{task:#}");
}

#[tokio::test]
async fn memory_that_does_not_fit_is_refused_at_its_field() {
    let Some(mut bed) = Bed::start().await else { return };
    for (cpus, mib, memory, field) in [
        (1, 64, json!({"huge_pages": "1gib"}), "huge_pages"),
        (1, 65, json!({"huge_pages": "2mib"}), "huge_pages"),
        (1, 64, json!({"huge_pages": "4mib"}), "huge_pages"),
        (1, 64, json!({"numa_nodes": 2}), "numa_nodes"),
        (2, 65, json!({"numa_nodes": 2}), "numa_nodes"),
        (2, 64, json!({"numa_nodes": 1}), "numa_nodes"),
    ] {
        let machine = json!({"name": "bad", "cpus": cpus, "memory_mib": mib, "options": {"memory": memory}});
        let problem = refused(&bed.post("vms", machine).await, 422, "invalid");
        assert_eq!(pointers(&problem), [format!("/options/memory/{field}")], "{memory} {problem:#}");
    }
    assert!(bed.list("vms").await.is_empty());
    let vm = bed
        .create_vm("even", json!({"cpus": 2, "memory_mib": 64, "options": {"memory": {"numa_nodes": 2}}}))
        .await;
    let answer = bed.ask(Method::PATCH, &format!("vms/{vm}"), json!({"cpus": 1})).await;
    assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/options/memory/numa_nodes"]);
    let help = crate::bed::hostd(&["ctl", "vm", "edit", "--help"]);
    assert!(help.contains("--huge-pages") && help.contains("--numa-nodes"), "{help}");
}
