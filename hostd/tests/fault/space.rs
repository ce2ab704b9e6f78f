//! A full disk.

use crate::bed::{Bed, PATIENCE};
use hyper::Method;
use lab::http::{Http, Target};
use lab::{bootsector, wait};
use serde_json::json;

/// The pool on a file system of 24 MiB of its own.
pub async fn small_pool() -> Option<Bed> {
    let mut bed = Bed::start().await?;
    let pool = bed.host.pool();
    bed.stop().await;
    let mount = ["-t", "tmpfs", "-o", "size=24m", "small", pool.to_str().unwrap()];
    bed.host.libvirt.run_inside("mount", &mount).unwrap();
    bed.crash().await;
    Some(bed)
}

/// Leaves not a block free in the pool.
pub fn fill(bed: &Bed) {
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

#[tokio::test]
async fn a_full_state_disk_refuses_what_grows_and_is_used_again_when_there_is_room() {
    let Some(mut bed) = Bed::start().await else { return };
    bed.stop().await;
    let state = bed.state();
    let mount = ["-t", "tmpfs", "-o", "size=40m", "small", state.to_str().unwrap()];
    bed.host.libvirt.run_inside("mount", &mount).unwrap();
    bed.crash().await;
    let kept = bed.post("volumes", json!({"name": "kept", "size_bytes": 1 << 20})).await;
    let kept = bed.done(&kept).await;
    let filler = format!("of={}", state.join("filler").display());
    // It ends with an error when the disk is full, which is the aim.
    bed.host
        .libvirt
        .run_inside("dd", &["if=/dev/zero", &filler, "bs=4k"])
        .expect_err("the disk can be filled");

    let mut made = Vec::new();
    let refused = loop {
        let name = format!("more-{}", made.len());
        let answer = bed.post("volumes", json!({"name": name, "size_bytes": 1 << 20})).await;
        if answer.status != 202 {
            break answer;
        }
        made.push(bed.done(&answer).await);
        assert!(made.len() < 1000, "a full disk is never noticed");
    };
    assert_eq!(refused.status, 507, "{}", refused.text());
    assert!(refused.text().contains("state is full"), "{}", refused.text());
    let notices = bed.get("overview").await["notices"].take();
    assert!(notices.to_string().contains("state is full"), "{notices:#}");
    // What makes room still works, also by a daemon that was started on the full disk.
    bed.crash().await;
    for volume in made {
        let answer = bed.delete(&format!("volumes/{volume}")).await;
        bed.done(&answer).await;
    }
    assert_eq!(bed.post("volumes", json!({"name": "x", "size_bytes": 1 << 20})).await.status, 507);

    bed.host.libvirt.run_inside("rm", &[state.join("filler").to_str().unwrap()]).unwrap();
    let socket = bed.host.socket();
    let accepted = wait::until("room for new volumes", PATIENCE, || {
        let mut http = Http::new(Target::Unix(socket.clone()));
        async move {
            let body = json!({"name": "again", "size_bytes": 1 << 20});
            let answer = http.send(Method::POST, "/api/v1/volumes", Some(&body)).await?;
            Ok((answer.status == 202).then_some(answer))
        }
    });
    let again = bed.done(&accepted.await.unwrap()).await;
    bed.crash().await;
    for volume in [kept, again] {
        assert_eq!(bed.get(&format!("volumes/{volume}")).await["status"]["phase"], "ready");
    }
}
