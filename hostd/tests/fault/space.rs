//! A full disk.

use crate::bed::Bed;
use lab::bootsector;
use serde_json::json;

/// The pool on a file system of 24 MiB of its own.
async fn small_pool() -> Option<Bed> {
    let mut bed = Bed::start().await?;
    let pool = bed.host.pool();
    bed.stop().await;
    let mount = ["-t", "tmpfs", "-o", "size=24m", "small", pool.to_str().unwrap()];
    bed.host.libvirt.run_inside("mount", &mount).unwrap();
    bed.crash().await;
    Some(bed)
}

/// Leaves not a block free in the pool.
fn fill(bed: &Bed) {
    let filler = bed.host.pool().join("filler");
    let dd = format!("of={}", filler.display());
    // It ends with an error when the disk is full, which is the aim.
    let full = bed.host.libvirt.run_inside("dd", &["if=/dev/zero", &dd, "bs=4k"]);
    assert!(full.is_err(), "the pool can be filled");
}

fn inside(bed: &Bed, folder: &str) -> String {
    let path = bed.host.pool().join(folder);
    bed.host.libvirt.run_inside("ls", &[path.to_str().unwrap()]).unwrap()
}

#[tokio::test]
async fn an_upload_that_does_not_fit_is_refused_and_leaves_nothing() {
    let Some(mut bed) = small_pool().await else { return };
    let answer = bed.upload("big", bootsector::image("big", 40 << 20)).await;
    assert_eq!(answer.status, 507, "{}", answer.text());
    assert_eq!(inside(&bed, "images"), "");
    let answer = bed.upload("small", bootsector::image("small", 1 << 20)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[tokio::test]
async fn a_disk_that_fills_up_during_an_upload_fails_its_task() {
    let Some(mut bed) = small_pool().await else { return };
    let filler = bed.host.pool().join("filler");
    let dd = format!("of={}", filler.display());
    bed.host.libvirt.run_inside("dd", &["if=/dev/zero", &dd, "bs=1M", "count=20"]).unwrap();
    // Without Content-Length nothing can be checked before.
    let stream = futures_util::stream::iter((0..32).map(|_| bootsector::image("x", 1 << 20)));
    let answer = crate::bed::upload_chunked(&bed.host.socket(), "unannounced", stream).await;
    assert!(answer.starts_with("HTTP/1.1 507"), "{answer}");
    assert_eq!(inside(&bed, "images"), "");
    let tasks = bed.get("tasks").await;
    let upload = tasks["items"].as_array().unwrap().iter().find(|t| t["action"] == "image.create").unwrap();
    assert_eq!(upload["state"], "failed", "{upload:#}");
}

#[tokio::test]
async fn a_machine_whose_disk_does_not_fit_is_not_half_made() {
    let Some(mut bed) = small_pool().await else { return };
    fill(&bed);
    let disks = json!([{"from": "blank", "size_bytes": 1 << 20}, {"from": "blank", "size_bytes": 1 << 20}]);
    let body = json!({"name": "big", "cpus": 1, "memory_mib": 32, "disks": disks});
    let answer = bed.post("vms", body).await;
    // Refused at once, or found out when the files are made: nothing may be left either way.
    if answer.status == 202 {
        let task = bed.ended(&answer).await;
        assert_eq!(task["state"], "failed", "{task:#}");
    } else {
        assert_eq!(answer.status, 507, "{}", answer.text());
    }
    assert_eq!(bed.get("vms").await["total"], 0);
    assert_eq!(bed.get("volumes").await["total"], 0);
    assert_eq!(inside(&bed, "volumes"), "");
}
