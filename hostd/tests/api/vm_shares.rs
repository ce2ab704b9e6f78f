//! Shared folders: a guest mounts one, and both see what the other wrote. Parts of tests that have a guest already.

use super::vm_devices::sees;
use crate::bed::{Bed, pointers, refused};
use lab::{linux, wait};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

const FOLDER: &str = "lab";

/// Where QEMU's packages say which program serves folders.
fn is_served() -> bool {
    let all = crate::bed::files(Path::new("/usr/share/qemu/vhost-user"));
    let served = all.iter().any(|name| name.contains("virtiofsd"));
    if !served {
        eprintln!("skipped: virtiofsd is not installed");
    }
    served
}

/// What a machine asks for; nothing where no folder can be served.
pub fn wanted() -> Value {
    if !is_served() {
        return json!([]);
    }
    json!([{"tag": linux::SHARE, "pool": "local", "folder": FOLDER}])
}

fn folder(bed: &Bed) -> PathBuf {
    bed.host.pool().join("shares").join(FOLDER)
}

/// The guest reads what the host wrote and the other way round, from a process that has nothing but the folder; the memory of
/// such a machine can't be kept.
pub async fn both_see_it(bed: &mut Bed, vm: &str) {
    if !is_served() {
        return;
    }
    let folder = folder(bed);
    sees(bed, vm, "an empty shared folder", |line| line.contains(" share= ")).await;
    std::fs::write(folder.join("from-host"), "hello\n").unwrap();
    sees(bed, vm, "what the host wrote", |line| line.contains(" share=hello ")).await;
    let answer = folder.join("from-guest");
    let written = wait::until("what the guest wrote", Duration::from_secs(30), || async {
        Ok(Some(std::fs::read_to_string(&answer)?).filter(|text| text == "hello\n"))
    });
    written.await.unwrap_or_else(|error| panic!("{error:#}"));
    assert!(shut_in(&folder), "nothing but the folder is the root of what serves it");

    no_memory(bed, vm, "take the shared folders off").await;
}

async fn no_memory(bed: &mut Bed, vm: &str, why: &str) {
    let asked = json!({"name": "with-memory", "include_memory": true});
    let problem = refused(&bed.post(&format!("vms/{vm}/snapshots"), asked).await, 422, "invalid");
    assert_eq!(pointers(&problem), ["/include_memory"]);
    assert!(problem.to_string().contains(why), "{problem:#}");
}

/// A virtiofsd has this folder, and nothing else, as its root.
fn shut_in(folder: &Path) -> bool {
    let wanted = crate::bed::files(folder);
    let all = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let serves = |process: &PathBuf| {
        std::fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "virtiofsd")
    };
    all.filter(serves).any(|process| crate::bed::files(&process.join("root")) == wanted)
}

/// Taken off, the folder stays until the power-off.
pub async fn waits(bed: &mut Bed, vm: &str, told: &str) {
    if !is_served() {
        return;
    }
    let part = format!("shared folders: none (now {} ({FOLDER}))", linux::SHARE);
    assert!(told.contains(&part), "{told}");
    no_memory(bed, vm, "until its next power-off").await;
}

/// Nobody deletes a folder.
pub fn stays(bed: &Bed) {
    assert!(!is_served() || folder(bed).join("from-guest").exists());
}

/// A link in the place of a folder is refused at the start.
pub async fn no_link_is_followed(bed: &mut Bed) {
    if !is_served() {
        return;
    }
    let shares = json!([{"tag": "docs", "pool": "local", "folder": "link"}]);
    let vm = bed.create_vm("linked", json!({"shares": shares})).await;
    let place = folder(bed);
    let place = place.parent().unwrap();
    std::fs::create_dir_all(place).unwrap();
    std::os::unix::fs::symlink("/etc", place.join("link")).unwrap();
    let task = bed.power(&vm, "start").await;
    assert_eq!(task["state"], "failed", "{task:#}");
    assert!(task.to_string().contains("In the place of the shared folder link"), "{task:#}");
    bed.vm_is(&vm, "off").await;
}
