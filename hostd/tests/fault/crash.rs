//! kill -9 of the daemon in the middle of its work: afterwards every task ends truthfully and nothing is left over.

use crate::bed::{Bed, PATIENCE, pool_is_consistent};
use hyper::Method;
use hyper::body::Bytes;
use lab::http::{Http, Target};
use lab::{bootsector, wait};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// How often the daemon is killed.
const KILLS: u32 = 20;

/// Makes, uses and deletes things until the daemon goes away under it.
async fn work(socket: PathBuf, round: u32) {
    let mut http = Http::new(Target::Unix(socket));
    let image = Bytes::from(bootsector::image("crash", 2 << 20));
    for step in 0_u32.. {
        let (api, name) = ("/api/v1", format!("r{round}s{step}"));
        let upload = format!("{api}/images?name={name}");
        let Ok(image) = http.send_bytes(Method::POST, &upload, None, image.clone()).await else { return };
        let disks = match image.json() {
            Ok(image) if image["id"].is_string() => json!([{"from": "image", "image": image["id"]}]),
            Ok(_) | Err(_) => json!([]),
        };
        let vm = json!({"name": name, "cpus": 1, "memory_mib": 16, "disks": disks, "start": step % 2 == 0});
        let Ok(vm) = http.send(Method::POST, &format!("{api}/vms"), Some(&vm)).await else { return };
        let volume = json!({"name": name, "size_bytes": 1 << 20});
        let Ok(volume) = http.send(Method::POST, &format!("{api}/volumes"), Some(&volume)).await else {
            return;
        };
        for (kind, made) in [("vms", vm), ("volumes", volume)] {
            let Some(id) = made.json().ok().and_then(|a| a["id"].as_str().map(str::to_owned)) else {
                continue;
            };
            let path = format!("{api}/{kind}/{id}?disks=true");
            if http.send(Method::DELETE, &path, None).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_twenty_points_every_task_ends_and_nothing_is_left_over() {
    let Some(mut bed) = Bed::start().await else { return };
    let seed = std::process::id();
    eprintln!("seed {seed}");
    let mut random = seed;
    for round in 0..KILLS {
        let worker = tokio::spawn(work(bed.host.socket(), round));
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The point of the kill is what this test varies: it waits for a moment, not for a state.
        tokio::time::sleep(Duration::from_millis(u64::from(random >> 16) % 900)).await;
        bed.crash().await;
        worker.await.unwrap();
        all_tasks_end(&bed, round).await;
        pool_is_consistent(&mut bed).await;
    }
    clean_up(&mut bed).await;
    assert!(bed.pool_files("volumes").is_empty(), "{:?}", bed.pool_files("volumes"));
    assert!(bed.pool_files("images").is_empty(), "{:?}", bed.pool_files("images"));
    assert_eq!(bed.host.libvirt.run_inside("virsh", &["-q", "list", "--all"]).unwrap().trim(), "");
}

async fn all_tasks_end(bed: &Bed, round: u32) {
    let socket = bed.host.socket();
    let ended = wait::until("every task to end", PATIENCE, || {
        let mut http = Http::new(Target::Unix(socket.clone()));
        async move {
            let running = http.get("/api/v1/tasks?state=running").await?;
            anyhow::ensure!(running["total"] == 0, "still running: {running:#}");
            Ok(Some(()))
        }
    });
    ended.await.unwrap_or_else(|error| panic!("round {round}: {error:#}\n{}", bed.host.log_tail()));
}

/// What is left can be deleted like anything else.
async fn clean_up(bed: &mut Bed) {
    for (kind, query) in [("vms", "?disks=true"), ("volumes", ""), ("images", "")] {
        let page = bed.get(&format!("{kind}?limit=500")).await;
        let ids: Vec<Value> = page["items"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
        for id in ids {
            let answer = bed.delete(&format!("{kind}/{}{query}", id.as_str().unwrap())).await;
            bed.done(&answer).await;
        }
    }
}
