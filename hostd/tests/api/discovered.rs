//! `/api/v1/discovered`: a machine that somebody defined with virsh beside us is shown, left alone, and taken over when asked.

use crate::bed::{Bed, pointers, pool_is_consistent, refused};
use lab::bootsector;
use serde_json::{Value, json};

const ID: &str = "6a1e5b0c-3d2f-4c1b-9a7e-0123456789ab";
const RIVAL: &str = "6a1e5b0c-3d2f-4c1b-9a7e-0123456789ac";
const MAC: &str = "52:54:00:77:00:01";

/// Defines a domain with one disk, as an administrator would by hand; answers the file of its definition.
fn define(bed: &Bed, name: &str, disk: &str) -> String {
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><uuid>{ID}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>\
         <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>\
         <interface type='bridge'><mac address='{MAC}'/><source bridge='nobridge'/><model type='virtio'/></interface>\
         <serial type='pty'/></devices></domain>"
    );
    let file = bed.scratch().join(format!("{name}.xml"));
    std::fs::write(&file, xml).unwrap();
    let file = file.display().to_string();
    bed.host.libvirt.run_inside("virsh", &["-q", "define", &file]).unwrap();
    file
}

fn dump(bed: &Bed) -> String {
    bed.host.libvirt.run_inside("virsh", &["dumpxml", "--inactive", ID]).unwrap()
}

async fn only(bed: &mut Bed) -> Value {
    let view = bed.get("discovered").await;
    assert_eq!(view["items"].as_array().unwrap().len(), 1, "{view:#}");
    assert_eq!(view["silent"], json!([]));
    view["items"][0].clone()
}

#[tokio::test]
async fn a_machine_made_by_hand_is_shown_left_alone_and_taken_over() {
    let Some(mut bed) = Bed::start().await else { return };
    assert_eq!(bed.get("discovered").await["items"], json!([]));
    let content = bootsector::image("made by hand", 4 << 20);
    let outside = bed.scratch().join("by-hand.raw");
    std::fs::write(&outside, &content).unwrap();
    define(&bed, "by-hand", &outside.display().to_string());
    let before = dump(&bed);
    let seen = only(&mut bed).await;
    assert_eq!((&seen["id"], &seen["name"], &seen["state"]), (&json!(ID), &json!("by-hand"), &json!("off")));
    assert_eq!(seen["nics"][0]["source"], "bridge nobridge");
    assert!(seen["obstacles"].to_string().contains("not in the pool"), "{seen:#}");
    let host = seen["host"].as_str().unwrap().to_owned();
    let path = format!("discovered/{host}/{ID}/adopt");
    let network = bed.finds("networks", "the default network", |row| row["status"]["phase"] == "ready").await;
    let body = json!({"networks": {MAC: network["id"]}});
    let problem = refused(&bed.post(&path, body.clone()).await, 409, "conflict");
    assert!(problem["detail"].as_str().unwrap().contains("not in the pool"), "{problem:#}");
    assert_eq!(dump(&bed), before, "nothing was changed");

    // Its disk is moved into the pool.
    let inside = bed.host.pool().join("by-hand.raw");
    std::fs::write(&inside, &content).unwrap();
    bed.host.libvirt.run_inside("virsh", &["-q", "undefine", ID]).unwrap();
    define(&bed, "by-hand", &inside.display().to_string());
    let before = dump(&bed);
    let seen = only(&mut bed).await;
    assert_eq!(seen["obstacles"], json!([]), "{seen:#}");
    assert_eq!(seen["disks"][0]["size_bytes"], 4 << 20);
    let problem = refused(&bed.post(&path, json!({})).await, 422, "invalid");
    assert_eq!(pointers(&problem), [format!("/networks/{MAC}")]);
    bed.create_vm("taken", json!({})).await;
    let named = json!({"name": "taken", "networks": {MAC: network["id"]}});
    let problem = refused(&bed.post(&path, named).await, 409, "exists");
    assert_eq!(pointers(&problem), ["/name"]);
    // Running, too, it is left alone.
    let listed = bed.qx(&["vm", "discovered"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("by-hand") && listed.contains("choose a network"), "{listed}");
    bed.crash().await;
    assert_eq!(dump(&bed), before, "looking changes nothing, nor does a restart");

    let network = network["id"].as_str().unwrap();
    let taken = bed.qx(&["vm", "adopt", "by-hand", "--name", "ours", "--nic", &format!("{MAC}={network}")]);
    assert!(taken.status.success(), "{taken:?}");
    let detail = bed.get(&format!("vms/{ID}")).await;
    assert_eq!(detail["vm"]["spec"]["name"], "ours", "{detail:#}");
    assert_eq!(detail["vm"]["spec"]["nics"][0]["mac"], MAC);
    assert!(detail["vm"]["status"].get("drift").is_none(), "{detail:#}");
    assert_eq!(bed.get("discovered").await["items"], json!([]));
    let volume = detail["disks"][0]["id"].as_str().unwrap();
    let file = bed.host.pool().join(format!("volumes/{volume}.raw"));
    assert!(std::fs::read(&file).unwrap() == content && !inside.exists(), "in place, byte by byte");
    let kept = std::fs::read_to_string(bed.state().join(format!("adopted/{ID}.xml"))).unwrap();
    assert!(kept.contains("by-hand.raw") && kept.contains("nobridge"), "{kept}");
    pool_is_consistent(&mut bed).await;
    bed.power(ID, "start").await;
    bed.vm_is(ID, "running").await;
    bed.power(ID, "force_off").await;
}

#[tokio::test]
async fn one_that_can_t_be_taken_over_is_given_back_as_it_was() {
    let Some(mut bed) = Bed::start().await else { return };
    let content = bootsector::image("made by hand", 2 << 20);
    let inside = bed.host.pool().join("by-hand.raw");
    std::fs::write(&inside, &content).unwrap();
    define(&bed, "by-hand", &inside.display().to_string());
    bed.host.libvirt.run_inside("virsh", &["-q", "autostart", ID]).unwrap();
    let before = dump(&bed);
    let seen = only(&mut bed).await;
    let host = seen["host"].as_str().unwrap().to_owned();
    let network = bed.finds("networks", "the default network", |row| row["status"]["phase"] == "ready").await;
    // Another domain has the name that it would get: libvirt refuses to define it.
    let rival = "<domain type='qemu'><name>rival</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>";
    let file = bed.scratch().join("rival.xml");
    std::fs::write(&file, rival).unwrap();
    bed.host.libvirt.run_inside("virsh", &["-q", "define", file.to_str().unwrap()]).unwrap();
    let body = json!({"name": "rival", "networks": {MAC: network["id"]}});
    let answer = bed.post(&format!("discovered/{host}/{ID}/adopt"), body).await;
    let task = bed.ended(&answer).await;
    assert_eq!((&task["action"], &task["state"]), (&json!("vm.adopt"), &json!("failed")), "{task:#}");
    assert_eq!(dump(&bed), before);
    let info = bed.host.libvirt.run_inside("virsh", &["dominfo", ID]).unwrap();
    assert!(info.lines().any(|line| line.starts_with("Autostart") && line.contains("enable")), "{info}");
    assert!(std::fs::read(&inside).unwrap() == content, "its disk is where it was");
    assert_eq!(bed.get("volumes").await["total"], 0);
    assert_eq!(bed.get("discovered").await["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_disk_that_is_under_one_of_another_domain_stays_where_it_is() {
    let Some(mut bed) = Bed::start().await else { return };
    let inside = bed.host.pool().join("by-hand.raw");
    std::fs::write(&inside, bootsector::image("made by hand", 2 << 20)).unwrap();
    let inside = inside.display().to_string();
    define(&bed, "by-hand", &inside);
    assert_eq!(only(&mut bed).await["obstacles"], json!([]));
    let over = bed.scratch().join("over.qcow2").display().to_string();
    bed.host
        .libvirt
        .run_inside("qemu-img", &["create", "-q", "-f", "qcow2", "-F", "raw", "-b", &inside, &over])
        .unwrap();
    let rival = |bed: &Bed, format: &str| {
        let xml = format!(
            "<domain type='qemu'><name>rival</name><uuid>{RIVAL}</uuid><memory unit='MiB'>64</memory><os><type>hvm</type></os><devices>\
             <disk type='file' device='disk'><driver name='qemu' type='{format}'/><source file='{over}'/><target dev='vda'/></disk>\
             </devices></domain>"
        );
        let file = bed.scratch().join("rival.xml");
        std::fs::write(&file, xml).unwrap();
        bed.host.libvirt.run_inside("virsh", &["-q", "define", file.to_str().unwrap()]).unwrap();
    };
    // What is said to be raw is its guest's, whatever it begins with.
    for (format, used) in [("qcow2", true), ("raw", false)] {
        rival(&bed, format);
        let view = bed.get("discovered").await;
        let found = view["items"].as_array().unwrap().iter().find(|item| item["id"] == ID).unwrap();
        let said = found["obstacles"].to_string();
        assert_eq!(said.contains("another machine or volume uses"), used, "{format}: {said}");
    }
}

#[tokio::test]
async fn one_that_is_started_by_hand_before_it_is_taken_over_goes_on_as_it_was() {
    let Some(mut bed) = Bed::start().await else { return };
    let xml = format!(
        "<domain type='qemu'><name>by-hand</name><uuid>{ID}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
    );
    let file = bed.scratch().join("by-hand.xml");
    std::fs::write(&file, xml).unwrap();
    bed.host.libvirt.run_inside("virsh", &["-q", "define", file.to_str().unwrap()]).unwrap();
    let before = dump(&bed);
    let seen = only(&mut bed).await;
    assert_eq!(seen["obstacles"], json!([]), "{seen:#}");
    let host = seen["host"].as_str().unwrap().to_owned();
    // Its definition can't be kept yet, so that it is not taken over before it runs.
    let obstacle = bed.state().join("adopted");
    std::fs::write(&obstacle, "in the way").unwrap();
    let answer = bed.post(&format!("discovered/{host}/{ID}/adopt"), json!({"name": "ours"})).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    bed.host.libvirt.run_inside("virsh", &["-q", "start", ID]).unwrap();
    std::fs::remove_file(&obstacle).unwrap();
    let task = bed.ended(&answer).await;
    assert!(task["problem"]["detail"].as_str().unwrap().contains("was started outside Quantix"), "{task:#}");
    assert_eq!(bed.host.libvirt.run_inside("virsh", &["-q", "domstate", ID]).unwrap().trim(), "running");
    assert_eq!(dump(&bed), before);
    assert_eq!(only(&mut bed).await["name"], "by-hand");
}
