//! `/api/v1/vms/{id}/clone` and `/template`: copies that hold what their source holds, and what is kept for them.

use super::snapshots::{content, merged, take, view, write};
use super::vm_devices::{linux_guest, sees, serial};
use crate::bed::{Bed, pointers, pool_is_consistent, refused};
use hyper::Method;
use lab::http::{Http, Target};
use serde_json::{Value, json};

/// Makes a copy and waits; answers its id.
pub async fn copy(bed: &mut Bed, vm: &str, body: Value) -> String {
    let answer = bed.post(&format!("vms/{vm}/clone"), body).await;
    bed.done(&answer).await
}

async fn template(bed: &mut Bed, vm: &str, template: bool) -> lab::http::Answer {
    bed.ask(Method::PUT, &format!("vms/{vm}/template"), json!({"template": template})).await
}

async fn remove(bed: &mut Bed, vm: &str) {
    let answer = bed.delete(&format!("vms/{vm}?disks=true")).await;
    bed.done(&answer).await;
}

async fn network(bed: &mut Bed) -> String {
    let row = bed.finds("networks", "the default network", |row| row["status"]["phase"] == "ready").await;
    row["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_full_copy_holds_what_its_source_holds_and_stands_alone() {
    let Some(mut bed) = Bed::start().await else { return };
    let network = network(&mut bed).await;
    let disks = json!([{"from": "blank", "size_bytes": 8 << 20}, {"from": "blank", "size_bytes": 8 << 20, "format": "raw"}]);
    let guest = json!({"hostname": "{{vm.name}}", "cards": [{"addresses": ["192.0.2.10/24"]}],
        "users": [{"name": "ada", "password": {"plain": "correct horse"}}]});
    let source = json!({"disks": disks, "nics": [{"network": network}], "customization": guest,
        "description": "the first", "filing": {"tags": {"env": "prod"}}});
    let vm = bed.create_vm("web", source).await;
    for disk in 0..2 {
        write(&mut bed, &vm, disk, 1, 0x11 + disk as u8).await;
    }
    let clone = copy(&mut bed, &vm, json!({"name": "web2"})).await;
    let (old, new) = (bed.get(&format!("vms/{vm}")).await, bed.get(&format!("vms/{clone}")).await);
    let spec = &new["vm"]["spec"];
    for kept in ["cpus", "memory_mib", "firmware", "boot", "machine_type", "description", "host"] {
        assert_eq!(spec[kept], old["vm"]["spec"][kept], "{kept}");
    }
    assert_eq!(new["vm"]["meta"]["labels"], json!({"env": "prod"}));
    assert_ne!(spec["nics"][0]["mac"], old["vm"]["spec"]["nics"][0]["mac"]);
    assert_eq!(spec["lineage"]["source"], json!({"vm": vm, "name": "web", "mode": "full"}));
    let told = &spec["customization"];
    assert_eq!(
        (&told["resolved_hostname"], &told["cards"], &told["run"]),
        (&json!("web2"), &json!([]), &json!(1))
    );
    assert_eq!(told["users"][0]["password"], "kept");
    assert!(new["disks"][0]["spec"].get("origin").is_none(), "{:#}", new["disks"]);
    assert_eq!(new["disks"][1]["spec"]["format"], "raw");
    let domains = bed.host.libvirt.run_inside("virsh", &["-q", "list", "--all", "--uuid"]).unwrap();
    assert!(domains.contains(&vm) && domains.contains(&clone), "{domains}");

    // What it was copied from is merged, and neither notices the other any more.
    merged(&mut bed, &vm).await;
    assert_eq!(view(&mut bed, &vm).await["snapshots"], json!([]));
    write(&mut bed, &vm, 0, 2, 0x22).await;
    for disk in 0..2 {
        let now = content(&mut bed, &clone, disk).await;
        assert_eq!((now[1 << 20], now[2 << 20]), (0x11 + disk as u8, 0), "disk {disk}");
    }
    pool_is_consistent(&mut bed).await;
    remove(&mut bed, &vm).await;
    assert_eq!(content(&mut bed, &clone, 1).await[1 << 20], 0x12);

    let again = bed.post(&format!("vms/{clone}/clone"), json!({"name": "WEB2"})).await;
    assert_eq!(pointers(&refused(&again, 409, "exists")), ["/name"]);
    let wrong = json!({"name": "a/b", "quiesce": true, "snapshot": vm});
    let wrong = bed.post(&format!("vms/{clone}/clone"), wrong).await;
    let wrong = refused(&wrong, 422, "invalid");
    assert_eq!(pointers(&wrong), ["/name", "/quiesce", "/snapshot"], "{wrong:#}");
}

#[tokio::test]
async fn what_linked_copies_are_over_stays_until_they_are_gone() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("base", json!({"disks": [{"from": "blank", "size_bytes": 8 << 20}]})).await;
    write(&mut bed, &vm, 0, 1, 0x11).await;
    let first = take(&mut bed, &vm, "first").await;
    write(&mut bed, &vm, 0, 2, 0x22).await;
    let linked = copy(&mut bed, &vm, json!({"name": "linked", "mode": "linked"})).await;
    let earlier = json!({"name": "earlier", "mode": "linked", "snapshot": first});
    let earlier = copy(&mut bed, &vm, earlier).await;
    let named = &bed.get(&format!("vms/{earlier}")).await["vm"]["spec"]["lineage"]["source"];
    assert_eq!((&named["snapshot"], &named["mode"]), (&json!("first"), &json!("linked")));
    let at = |now: &[u8]| [1, 2, 3, 4].map(|mib| now[mib << 20]);

    // Each writes for itself.
    write(&mut bed, &vm, 0, 3, 0x33).await;
    write(&mut bed, &linked, 0, 4, 0x44).await;
    assert_eq!(at(&content(&mut bed, &vm, 0).await), [0x11, 0x22, 0x33, 0]);
    assert_eq!(at(&content(&mut bed, &linked, 0).await), [0x11, 0x22, 0, 0x44]);
    assert_eq!(at(&content(&mut bed, &earlier, 0).await), [0x11, 0, 0, 0]);

    // Nothing takes away what they need; who they are is told.
    let names = view(&mut bed, &vm).await["snapshots"].clone();
    let own = names.as_array().unwrap().iter().find(|s| s["spec"]["name"] == "for-linked").unwrap().clone();
    for path in [
        format!("vms/{vm}?disks=true"),
        format!("vms/{vm}?disks=false"),
        format!("vms/{vm}/snapshots/{first}"),
        format!("vms/{vm}/snapshots/{}", own["id"].as_str().unwrap()),
    ] {
        let problem = refused(&bed.delete(&path).await, 409, "conflict");
        assert!(problem["detail"].as_str().unwrap().contains("linked"), "{path}: {problem:#}");
    }
    // Going back is fine: the layers stay.
    let back = bed.post(&format!("vms/{vm}/snapshots/{first}/revert"), json!({})).await;
    bed.done(&back).await;
    assert_eq!(at(&content(&mut bed, &vm, 0).await), [0x11, 0, 0, 0]);
    assert_eq!(at(&content(&mut bed, &linked, 0).await), [0x11, 0x22, 0, 0x44]);
    bed.crash().await;
    assert_eq!(at(&content(&mut bed, &linked, 0).await), [0x11, 0x22, 0, 0x44]);

    // A copy of a copy; and a volume that stays behind still counts.
    let second = copy(&mut bed, &linked, json!({"name": "second", "mode": "linked"})).await;
    assert_eq!(at(&content(&mut bed, &second, 0).await), [0x11, 0x22, 0, 0x44]);
    refused(&bed.delete(&format!("vms/{linked}?disks=true")).await, 409, "conflict");
    remove(&mut bed, &second).await;
    merged(&mut bed, &linked).await;
    let volume = bed.get(&format!("vms/{linked}")).await["disks"][0]["id"].as_str().unwrap().to_owned();
    let kept = bed.delete(&format!("vms/{linked}?disks=false")).await;
    bed.done(&kept).await;
    refused(&bed.delete(&format!("vms/{vm}?disks=true")).await, 409, "conflict");
    let gone = bed.delete(&format!("volumes/{volume}")).await;
    bed.done(&gone).await;

    // With the last of them the snapshot goes that was taken for it.
    remove(&mut bed, &earlier).await;
    let left = view(&mut bed, &vm).await["snapshots"].clone();
    assert_eq!(left.as_array().unwrap().len(), 1, "{left:#}");
    let answer = bed.delete(&format!("vms/{vm}/snapshots/{first}")).await;
    bed.done(&answer).await;
    merged(&mut bed, &vm).await;
    assert_eq!(at(&content(&mut bed, &vm, 0).await), [0x11, 0, 0, 0]);
    pool_is_consistent(&mut bed).await;
    remove(&mut bed, &vm).await;
}

#[tokio::test]
async fn a_template_is_copied_and_not_started() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("golden", json!({"disks": [{"from": "blank", "size_bytes": 8 << 20}]})).await;
    write(&mut bed, &vm, 0, 1, 0x11).await;
    assert_eq!(template(&mut bed, &vm, true).await.status, 200);
    assert_eq!(bed.names("vms?template=true").await, ["golden"]);
    assert!(bed.names("vms?template=false").await.is_empty());
    let start = bed.post(&format!("vms/{vm}/power"), json!({"action": "start"})).await;
    let edit = bed.ask(Method::PATCH, &format!("vms/{vm}"), json!({"cpus": 2})).await;
    let disk = bed.post(&format!("vms/{vm}/disks"), json!({"from": "blank", "size_bytes": 1 << 20})).await;
    let snapshot = bed.post(&format!("vms/{vm}/snapshots"), json!({"name": "x"})).await;
    for answer in [start, edit, disk, snapshot] {
        let problem = refused(&answer, 409, "wrong-state");
        assert!(problem["detail"].as_str().unwrap().contains("is a template"), "{problem:#}");
    }
    let full = copy(&mut bed, &vm, json!({"name": "full"})).await;
    let linked = copy(&mut bed, &vm, json!({"name": "linked", "mode": "linked"})).await;
    assert_eq!(view(&mut bed, &vm).await["snapshots"], json!([]), "its disks don't change");
    for clone in [&full, &linked] {
        write(&mut bed, clone, 0, 2, 0x22).await;
        let now = content(&mut bed, clone, 0).await;
        assert_eq!((now[1 << 20], now[2 << 20]), (0x11, 0x22));
    }
    assert_eq!(content(&mut bed, &vm, 0).await[2 << 20], 0);
    assert_eq!(bed.names("vms?template=false").await, ["full", "linked"]);

    let back = refused(&template(&mut bed, &vm, false).await, 409, "conflict");
    assert!(back["detail"].as_str().unwrap().contains("These are linked."), "{back:#}");
    refused(&bed.delete(&format!("vms/{vm}?disks=false")).await, 409, "conflict");
    remove(&mut bed, &linked).await;
    assert_eq!(template(&mut bed, &vm, false).await.status, 200);
    assert_eq!(bed.get("vms?template=true").await["total"], 0);
    let qx = |bed: &Bed, args: &[&str]| {
        let output = bed.qx(&[&["vm"], args].concat());
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {out}{err}");
        out.into_owned()
    };
    qx(&bed, &["template", "golden"]);
    assert!(qx(&bed, &["list", "--templates"]).contains("golden"));
    qx(&bed, &["clone", "golden", "third", "--linked", "--hostname", "{{vm.name}}"]);
    assert!(qx(&bed, &["show", "third"]).contains("golden (linked)"));
    assert!(!qx(&bed, &["list"]).contains("golden"));
    qx(&bed, &["delete", "third", "--disks"]);
    qx(&bed, &["template", "golden", "--back"]);
    pool_is_consistent(&mut bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_runs_from_the_disk_of_a_copy_of_one_that_runs() {
    let Some(mut bed) = Bed::start().await else { return };
    let Some(vm) = linux_guest(&mut bed, "source").await else { return };
    let network = network(&mut bed).await;
    let answer = bed.post(&format!("vms/{vm}/nics"), json!({"network": network})).await;
    bed.done(&answer).await;
    let test = copy(&mut bed, &vm, json!({"name": "try", "mode": "test", "start": true})).await;
    let detail = bed.get(&format!("vms/{test}")).await;
    let disk = detail["disks"][0]["id"].as_str().unwrap().to_owned();
    let mac = detail["nics"][0]["nic"]["mac"].as_str().unwrap().to_owned();
    let alone = detail["nics"][0]["network"]["id"].as_str().unwrap().to_owned();
    assert_eq!(detail["nics"][0]["network"]["spec"]["mode"], "isolated", "{detail:#}");
    let itself = serial(&disk);
    sees(&bed, &test, "its own disk, and a carrier", |line| {
        line.contains(&itself) && line.contains(&format!("{mac}=1"))
    })
    .await;
    refused(&bed.delete(&format!("networks/{alone}")).await, 409, "conflict");
    bed.vm_is(&vm, "running").await;
    refused(&bed.delete(&format!("vms/{vm}?disks=true")).await, 409, "wrong-state");
    // It is thrown away while it runs, and what was taken for it goes with it.
    remove(&mut bed, &test).await;
    merged(&mut bed, &vm).await;
    assert_eq!(view(&mut bed, &vm).await["snapshots"], json!([]));
    bed.vm_is(&vm, "running").await;
    gone(&bed, &alone).await;
}

/// Waits until a network went with its test clone.
async fn gone(bed: &Bed, network: &str) {
    let (path, socket) = (format!("/api/v1/networks/{network}"), bed.host.socket());
    let gone = lab::wait::until("its network to go", crate::bed::PATIENCE, || {
        let (path, mut http) = (path.clone(), Http::new(Target::Unix(socket.clone())));
        async move {
            let answer = http.send(Method::GET, &path, None).await?;
            Ok((answer.status == 404).then_some(()))
        }
    });
    gone.await.unwrap_or_else(|error| panic!("{error:#}\n{}", bed.host.log_tail()));
}

#[tokio::test]
async fn a_copy_finds_the_boot_entries_of_its_source_and_has_a_tpm_of_its_own() {
    let Some(mut bed) = Bed::start().await else { return };
    let body = json!({"firmware": "uefi", "options": {"tpm": true}, "start": true});
    let vm = bed.create_vm("source", body).await;
    bed.vm_is(&vm, "running").await;
    bed.power(&vm, "force_off").await;
    let variables = |bed: &Bed, vm: &str| {
        bed.host.libvirt.outside(format!("/var/lib/libvirt/qemu/nvram/{vm}_VARS.fd").as_ref())
    };
    let tpm = |bed: &Bed, vm: &str| bed.host.libvirt.outside(format!("/var/lib/libvirt/swtpm/{vm}").as_ref());
    let file = variables(&bed, &vm);
    let mut entries = std::fs::read(&file).unwrap();
    let end = entries.len() - 1;
    entries[end] ^= 0x5a; // as no fresh file has it
    std::fs::write(&file, &entries).unwrap();
    assert!(tpm(&bed, &vm).exists());
    let clone = copy(&mut bed, &vm, json!({"name": "copy"})).await;
    assert!(std::fs::read(variables(&bed, &clone)).unwrap() == entries, "its variables are a copy");
    assert!(!tpm(&bed, &clone).exists(), "the state of a TPM is nobody else's");
    let answer = bed.power(&clone, "start").await;
    assert_eq!(answer["state"], "succeeded", "{answer:#}");
    bed.vm_is(&clone, "running").await;
    bed.power(&clone, "force_off").await;
    remove(&mut bed, &clone).await;
    assert!(!variables(&bed, &clone).exists() && std::fs::read(&file).unwrap() == entries);
}
