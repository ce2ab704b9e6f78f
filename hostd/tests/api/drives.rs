//! Several CD-ROM drives of a machine, in a real QEMU: made with it, filled and emptied while it runs, more and fewer at a
//! power-off.

use crate::bed::{Bed, pointers, refused};
use hyper::Method;
use serde_json::{Value, json};

/// The drives of the definition in force (`sda` and `sdb`) and the image in each.
fn drives(bed: &Bed, vm: &str) -> Vec<(String, Option<String>)> {
    let listed = bed.host.libvirt.run_inside("virsh", &["-q", "domblklist", vm, "--details"]).unwrap();
    let drive = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "cdrom", target, source] = words[..] else { return None };
        let image = source.rsplit('/').next().and_then(|file| file.split('.').next());
        Some((target.to_owned(), image.filter(|image| *image != "-").map(str::to_owned)))
    };
    listed.lines().filter_map(drive).collect()
}

fn held(target: &str, image: Option<&str>) -> (String, Option<String>) {
    (target.to_owned(), image.map(str::to_owned))
}

async fn iso(bed: &mut Bed, name: &str) -> String {
    let mut iso = vec![0; 1 << 20];
    iso[32768..32774].copy_from_slice(b"\x01CD001");
    bed.upload(name, iso).await.json().unwrap()["id"].as_str().unwrap().to_owned()
}

/// Changes the further drives and waits until libvirt has it.
async fn change(bed: &mut Bed, vm: &str, to: Value, wanted: &[(String, Option<String>)]) {
    let answer = bed.ask(Method::PATCH, &format!("vms/{vm}"), json!({"more_cdroms": to})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    becomes(bed, vm, wanted).await;
}

async fn becomes(bed: &mut Bed, vm: &str, wanted: &[(String, Option<String>)]) {
    let bed = &*bed;
    lab::wait::until("the drives hold what they should", crate::bed::PATIENCE, || async move {
        let seen = drives(bed, vm);
        anyhow::ensure!(seen == wanted, "{seen:?}, wanted {wanted:?}");
        Ok(Some(()))
    })
    .await
    .unwrap_or_else(|error| panic!("{error:#}\n{}", bed.host.log_tail()));
}

#[tokio::test]
async fn an_installer_and_its_drivers_are_in_two_drives() {
    let Some(mut bed) = Bed::start().await else { return };
    let (system, drivers) = (iso(&mut bed, "system").await, iso(&mut bed, "drivers").await);
    let (s, d) = (Some(system.as_str()), Some(drivers.as_str()));
    let disks = json!([{"from": "blank", "size_bytes": 1 << 20, "bus": "sata"}]);
    let vm = json!({"disks": disks, "cdrom": system, "more_cdroms": [drivers], "start": true});
    let vm = bed.create_vm("setup", vm).await;
    // The disk is `sdb`.
    becomes(&mut bed, &vm, &[held("sda", s), held("sdc", d)]).await;
    let detail = bed.get(&format!("vms/{vm}")).await;
    assert_eq!(detail["more_cdroms"][0]["spec"]["name"], "drivers", "{detail:#}");
    let refusal = refused(&bed.delete(&format!("images/{drivers}")).await, 409, "conflict");
    assert!(refusal["detail"].as_str().unwrap().contains("CD-ROM drive of setup"), "{refusal:#}");
    assert_eq!(bed.get(&format!("images/{drivers}")).await["drives"], 1);

    // Out, and in again; by the program, too.
    change(&mut bed, &vm, json!([null]), &[held("sda", s), held("sdc", None)]).await;
    let said = bed.qx(&["vm", "edit", "setup", "--drive", "2", "--cdrom", "drivers"]);
    assert!(said.status.success(), "{said:?}");
    becomes(&mut bed, &vm, &[held("sda", s), held("sdc", d)]).await;
    let said = bed.qx(&["vm", "edit", "setup", "--drive", "3", "--cdrom", "drivers"]);
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && told.contains("has 2 CD-ROM drives"), "{told}");
    let row = bed.finds("vms", "no drift", |row| row["status"].get("drift").is_none()).await;
    assert_eq!(row["status"].get("pending"), None, "{row:#}");

    // Another drive comes at the power-off; one that goes is emptied at once, and its image is free.
    let both = json!([drivers, system]);
    change(&mut bed, &vm, both, &[held("sda", s), held("sdc", d)]).await;
    let waits = |row: &Value| row["status"]["pending"].to_string().contains("CD-ROM drives: 3 (now 2)");
    bed.finds("vms", "the drive waits", waits).await;
    bed.power(&vm, "force_off").await;
    bed.power(&vm, "start").await;
    becomes(&mut bed, &vm, &[held("sda", s), held("sdc", d), held("sdd", s)]).await;
    change(&mut bed, &vm, json!([]), &[held("sda", s), held("sdc", None), held("sdd", None)]).await;
    let answer = bed.delete(&format!("images/{drivers}")).await;
    bed.done(&answer).await;
    bed.power(&vm, "force_off").await;
    becomes(&mut bed, &vm, &[held("sda", s)]).await;
}

#[tokio::test]
async fn what_can_not_be_in_a_drive_is_refused_beside_it() {
    let Some(mut bed) = Bed::start().await else { return };
    let iso = iso(&mut bed, "tools").await;
    let disk = bed.boot_image("disk", "hello").await;
    let body = |drives: Value| json!({"name": "x", "cpus": 1, "memory_mib": 64, "more_cdroms": drives});
    let answer = bed.post("vms", body(json!([iso, null, disk]))).await;
    assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/more_cdroms/2"]);
    let answer = bed.post("vms", body(json!([iso, null, null, null]))).await;
    assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/more_cdroms"]);
    let vm = bed.create_vm("drives", json!({"more_cdroms": [iso, null]})).await;
    becomes(&mut bed, &vm, &[held("sda", None), held("sdb", Some(&iso)), held("sdc", None)]).await;
    let edit = json!({"more_cdroms": [iso, disk]});
    let answer = bed.ask(Method::PATCH, &format!("vms/{vm}"), edit).await;
    assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/more_cdroms/1"]);
    // A copy has the same drives, with the same in them.
    let answer = bed.post(&format!("vms/{vm}/clone"), json!({"name": "copy", "mode": "full"})).await;
    let copy = bed.done(&answer).await;
    becomes(&mut bed, &copy, &[held("sda", None), held("sdb", Some(&iso)), held("sdc", None)]).await;
    assert_eq!(bed.get(&format!("images/{iso}")).await["drives"], 2);
}
