//! What guests are told at their first boot: from forms and bodies, through the API, to the drive a guest reads.

use super::customize_fields::{Field, KEY, SECRET, fields, raw_fields, windows_fields};
use crate::bed::{Bed, pointers, refused};
use hyper::Method;
use lab::bootsector;
use lab::wait;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

fn seed(bed: &Bed, vm: &str) -> PathBuf {
    bed.host.libvirt.outside(&PathBuf::from(format!("/run/quantix/vm/{vm}/cidata.iso")))
}

/// A file of the drive; nothing where no program can take it out.
fn on_drive(bed: &Bed, vm: &str, name: &str) -> Option<String> {
    let file = seed(bed, vm);
    assert!(file.exists(), "there is no {}", file.display());
    match Command::new("isoinfo").arg("-i").arg(file).args(["-J", "-x", &format!("/{name};1")]).output() {
        Ok(done) => Some(String::from_utf8(done.stdout).unwrap()),
        Err(error) => {
            eprintln!("skipped: isoinfo can't be run: {error}");
            None
        }
    }
}

fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Names of the inputs in the part of a page about customization.
fn inputs(page: &str) -> Vec<String> {
    let part =
        page.split("<legend>Customization</legend>").nth(1).unwrap().split("</fieldset>").next().unwrap();
    part.split(" name=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .filter(|n| n != "rows")
        .collect()
}

#[tokio::test]
async fn every_field_of_the_form_reaches_the_api_and_the_drive() {
    let Some(mut bed) = Bed::start().await else { return };
    let answer = bed.post("networks", json!({"name": "lab", "mode": "nat", "subnet": "10.77.9.0/24"})).await;
    let network = bed.done(&answer).await;
    let mut browser = bed.browser().await;
    let page = browser.send(Method::GET, "/vms/new", None).await.unwrap().text();
    let known: Vec<&str> =
        fields().iter().chain(&raw_fields()).chain(&windows_fields()).map(|field| field.0).collect();
    for name in inputs(&page) {
        assert!(known.contains(&name.as_str()), "the form has a field {name} that this test does not know");
    }
    for (vm_name, fields) in [("form", fields()), ("raw", raw_fields()), ("win", windows_fields())] {
        let mut pairs = vec![
            ("name", vm_name),
            ("cpus", "1"),
            ("memory", "32"),
            ("memory_unit", "mib"),
            ("boot0", "disk"),
        ];
        let nics = [
            ("nics", "1"),
            ("nic0_network", network.as_str()),
            ("disks", "0"),
            ("sockets", "1"),
            ("threads", "1"),
        ];
        pairs.extend(nics.iter().chain(&[("start", "on")]));
        pairs.extend(fields.iter().map(|field| (field.0, field.1)));
        let body: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let kind = Some("application/x-www-form-urlencoded");
        let sent = browser.send_bytes(Method::POST, "/vms", kind, body.join("&").into()).await.unwrap();
        assert_eq!(sent.status, 303, "{}", sent.text());
        let vm = sent.headers["location"].to_str().unwrap().rsplit('/').next().unwrap().to_owned();
        bed.vm_is(&vm, "running").await;
        let custom = bed.get(&format!("vms/{vm}")).await["vm"]["spec"]["customization"].clone();
        for Field(name, _, at, wanted, file, part) in &fields {
            assert_eq!(custom.pointer(&format!("/{at}")), Some(wanted), "{name}: {custom:#}");
            if let Some(text) = on_drive(&bed, &vm, file) {
                assert!(text.contains(part), "{name}: {file} has no {part}:\n{text}");
            }
        }
        // What its own page shows is what was typed; a password is not shown.
        let page = browser.send(Method::GET, &format!("/vms/{vm}/customization"), None).await.unwrap().text();
        assert!(!page.contains(SECRET) && !page.contains("$6$"), "a secret on the page");
        bed.power(&vm, "force_off").await;
    }
}

#[tokio::test]
async fn bad_input_names_its_field_and_makes_nothing() {
    let Some(mut bed) = Bed::start().await else { return };
    let user = |more: Value| {
        let mut user = json!({"name": "ada"});
        user.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        json!({"users": [user]})
    };
    for (custom, at) in [
        (json!({"hostname": "{{nobody}}"}), "hostname"),
        (json!({"hostname": "a b"}), "hostname"),
        (json!({"timezone": "Berlin"}), "timezone"),
        (user(json!({"name": "Ada"})), "users/0/name"),
        (user(json!({"sudo": "all"})), "users/0/sudo"),
        (user(json!({"shell": "sh"})), "users/0/shell"),
        (user(json!({"password": {"plain": "short"}})), "users/0/password"),
        (user(json!({"password": {"hash": "plain text"}})), "users/0/password"),
        (user(json!({"password": "kept"})), "users/0/password"),
        (user(json!({"ssh_keys": ["ssh-ed25519 AAAA"]})), "users/0/ssh_keys/0"),
        (json!({"packages": ["a b"]}), "packages/0"),
        (json!({"run_commands": ["a\u{0}b"]}), "run_commands/0"),
        (json!({"cards": [{"addresses": ["192.0.2.10/24"]}]}), "cards/0"),
        (json!({"user_data": "#cloud-config\npackages: vim\n"}), "user_data"),
        (json!({"user_data": "#cloud-config\npassword: hello\n"}), "user_data"),
        (json!({"network_config": "ethernets: {}"}), "network_config"),
        (json!({"hostnam": "web"}), "hostnam"),
    ] {
        let body = json!({"name": "bad", "cpus": 1, "memory_mib": 32, "customization": custom});
        let answer = bed.post("vms", body).await;
        assert_eq!(pointers(&refused(&answer, 422, "invalid")), [format!("/customization/{at}")]);
    }
    assert_eq!(bed.get("vms").await["total"], 0);
    let vm = bed.create_vm("good", json!({})).await;
    let again = json!({"customization": {"do": "run_again"}});
    let answer = bed.ask(Method::PATCH, &format!("vms/{vm}"), again).await;
    assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/customization"]);
}

#[tokio::test]
async fn a_password_is_found_nowhere_but_as_its_hash_on_the_drive() {
    use std::os::unix::fs::PermissionsExt;
    let Some(mut bed) = Bed::start().await else { return };
    let user = json!({"name": "ada", "password": {"plain": SECRET}});
    bed.console.fields = vec![("idempotency-key", "0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d5e".into())];
    let body = json!({"name": "safe", "cpus": 1, "memory_mib": 32, "start": true, "customization": {"users": [user]}});
    let first = bed.post("vms", body.clone()).await;
    // A retry has another salt, and is the same request.
    assert_eq!(bed.post("vms", body).await.json().unwrap(), first.json().unwrap());
    bed.console.fields.clear();
    let vm = bed.done(&first).await;
    bed.vm_is(&vm, "running").await;
    let short = json!({"name": "ada", "password": {"plain": &SECRET[..5]}});
    let change = json!({"customization": {"do": "set", "to": {"users": [short]}}});
    refused(&bed.ask(Method::PATCH, &format!("vms/{vm}"), change).await, 422, "invalid");

    let hash = "$6$rounds=";
    for path in [format!("vms/{vm}"), "vms".into(), "tasks".into(), "events".into(), "overview".into()] {
        let told = bed.get(&path).await.to_string();
        assert!(!told.contains(SECRET) && !told.contains(hash), "{path}: {told}");
    }
    let xml = bed.host.libvirt.run_inside("virsh", &["-q", "dumpxml", &vm]).unwrap();
    let log = std::fs::read_to_string(bed.host.log()).unwrap();
    for (what, text) in [("the XML", xml), ("the log", log)] {
        assert!(!text.contains(SECRET) && !text.contains(hash), "{what}: {text}");
    }
    let mut files = 0;
    for entry in
        std::fs::read_dir(bed.state()).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_file())
    {
        let bytes = std::fs::read(&entry).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()), "{}", entry.display());
        files += 1;
    }
    assert!(files > 2, "the state was not looked at");
    let mode = std::fs::metadata(seed(&bed, &vm)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    if let Some(text) = on_drive(&bed, &vm, "user-data") {
        assert!(text.contains(hash) && !text.contains(SECRET), "{text}");
    }
    let path = seed(&bed, &vm);
    bed.power(&vm, "force_off").await;
    let answer = bed.delete(&format!("vms/{vm}?disks=true")).await;
    bed.done(&answer).await;
    assert!(!path.exists(), "the drive goes with its machine");
}

#[tokio::test]
async fn a_change_is_read_at_the_next_start_and_runs_again_when_asked() {
    let Some(mut bed) = Bed::start().await else { return };
    let custom = json!({"hostname": "{{vm.name}}-{{random}}", "users": [{"name": "ada"}]});
    let vm = bed.create_vm("run", json!({"customization": custom, "start": true})).await;
    let path = format!("vms/{vm}");
    bed.vm_is(&vm, "running").await;
    let seen = bed.get(&path).await;
    let name = seen["vm"]["spec"]["customization"]["resolved_hostname"].as_str().unwrap().to_owned();
    assert!(name.starts_with("run-") && name.len() == 10, "{name}");
    assert!(seen["warnings"][0].as_str().unwrap().contains("Nobody can log in"), "{seen:#}");
    assert_eq!(seen.get("pending"), None);
    let instance = |bed: &Bed| on_drive(bed, &vm, "meta-data");
    let first = instance(&bed);

    let to = json!({"hostname": "{{vm.name}}-{{random}}", "users": [{"name": "ada", "ssh_keys": [KEY]}]});
    let set = json!({"customization": {"do": "set", "to": to}});
    assert_eq!(bed.ask(Method::PATCH, &path, set).await.status, 200);
    let seen = bed.get(&path).await;
    assert_eq!(
        seen["vm"]["spec"]["customization"]["resolved_hostname"], *name,
        "a template that stays keeps its name"
    );
    assert_eq!((seen.get("warnings"), &seen["pending"]), (None, &json!(["its customization"])));
    assert_eq!(instance(&bed), first, "a machine that runs keeps its drive");
    bed.power(&vm, "force_off").await;
    bed.power(&vm, "start").await;
    if let Some(text) = on_drive(&bed, &vm, "user-data") {
        assert!(text.contains(KEY), "{text}");
    }
    assert_eq!(instance(&bed), first, "a change alone is no other run");
    assert_eq!(bed.get(&path).await.get("pending"), None);

    let again = json!({"customization": {"do": "run_again"}});
    assert_eq!(bed.ask(Method::PATCH, &path, again).await.status, 200);
    // As after a boot of the host: the directory is empty, the state has everything.
    bed.power(&vm, "force_off").await;
    std::fs::remove_file(seed(&bed, &vm)).unwrap();
    bed.crash().await;
    bed.power(&vm, "start").await;
    assert_ne!(instance(&bed), first);

    bed.power(&vm, "force_off").await;
    assert_eq!(bed.ask(Method::PATCH, &path, json!({"customization": {"do": "remove"}})).await.status, 200);
    bed.power(&vm, "start").await;
    assert!(!seed(&bed, &vm).exists());
    let xml = bed.host.libvirt.run_inside("virsh", &["-q", "dumpxml", &vm]).unwrap();
    assert!(!xml.contains("cidata"), "{xml}");
}

#[tokio::test]
async fn a_guest_reads_its_drive() {
    let Some(mut bed) = Bed::start().await else { return };
    // Where the first file of the drive is.
    let answer = bed.upload("reader", bootsector::cd_reader(25, 1 << 20)).await;
    let image = answer.json().unwrap()["id"].clone();
    // Beside a disk on SATA it is a CD-ROM drive.
    let disks = json!([{"from": "image", "image": image, "bus": "sata"}]);
    let vm = bed
        .create_vm("reads", json!({"disks": disks, "customization": {"hostname": "read-me"}, "start": true}))
        .await;
    let log = bed.host.libvirt.outside(&PathBuf::from(format!("/run/quantix/vm/{vm}/serial.log")));
    let said = wait::until("what the guest read", Duration::from_secs(90), || {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        async move { Ok(said.contains("local-hostname").then_some(said)) }
    });
    let said = said.await.unwrap();
    assert!(said.contains(&format!("instance-id: \"{vm}-1\"")) && said.contains("\"read-me\""), "{said}");
}
