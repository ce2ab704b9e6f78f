//! `/api/v1/specifications`: what machines are made with, and what of it nobody is told.

use crate::bed::{Bed, pointers, refused};
use hyper::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

const SECRET: &str = "correct horse battery";

fn linux() -> Value {
    json!({
        "hostname": "{{vm.name}}", "timezone": "Europe/Berlin", "packages": ["vim"],
        "users": [{"name": "ada", "password": {"plain": SECRET}, "sudo": "password"}]
    })
}

async fn made(bed: &mut Bed, name: &str, custom: Value) -> String {
    let answer = bed.post("specifications", json!({"name": name, "customization": custom})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json().unwrap()["id"].as_str().unwrap().to_owned()
}

/// A file of a machine's drive; nothing where no program can take it out.
fn on_drive(bed: &Bed, vm: &str, name: &str) -> Option<String> {
    let file = bed.host.libvirt.outside(&PathBuf::from(format!("/run/quantix/vm/{vm}/cidata.iso")));
    let words = ["-J", "-x", &format!("/{name};1")];
    match std::process::Command::new("isoinfo").arg("-i").arg(file).args(words).output() {
        Ok(done) => Some(String::from_utf8(done.stdout).unwrap()),
        Err(error) => {
            eprintln!("skipped: isoinfo can't be run: {error}");
            None
        }
    }
}

#[tokio::test]
async fn a_machine_keeps_its_copy_of_what_it_was_made_with() {
    let Some(mut bed) = Bed::start().await else { return };
    let id = made(&mut bed, "web", linux()).await;
    let own = json!({"specification": id, "timezone": "UTC"});
    let vm = bed.create_vm("one", json!({"customization": own, "start": true})).await;
    let custom = bed.get(&format!("vms/{vm}")).await["vm"]["spec"]["customization"].clone();
    assert_eq!((&custom["timezone"], &custom["packages"]), (&json!("UTC"), &json!(["vim"])), "{custom:#}");
    assert_eq!((&custom["specification_name"], &custom["resolved_hostname"]), (&json!("web"), &json!("one")));
    if let Some(text) = on_drive(&bed, &vm, "user-data") {
        assert!(text.contains("hashed_passwd: \"$6$rounds=") && text.contains("timezone: \"UTC\""), "{text}");
    }
    assert_eq!(bed.get(&format!("specifications/{id}")).await["vms"], 1);

    // A change is not the machine's; the password stays without being told.
    let kept =
        json!({"customization": {"users": [{"name": "ada", "password": "kept"}], "hostname": "other"}});
    let path = format!("specifications/{id}");
    let changed = bed.ask(Method::PATCH, &path, kept).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(changed.json().unwrap()["spec"]["customization"]["users"][0]["password"], "kept");
    assert_eq!(bed.get(&format!("vms/{vm}")).await["vm"]["spec"]["customization"], custom);
    let set = json!({"customization": {"do": "set", "to": {"hostname": "x", "timezone": "UTC"}}});
    assert_eq!(bed.ask(Method::PATCH, &format!("vms/{vm}"), set).await.status, 200);
    let now = bed.get(&format!("vms/{vm}")).await["vm"]["spec"]["customization"].clone();
    assert_eq!((&now["specification_name"], now.get("packages")), (&json!("web"), Some(&json!([]))));

    // Copied with its password: the copy's user has one to keep.
    let copy = bed.post(&format!("{path}/copy"), json!({"name": "copy"})).await.json().unwrap();
    assert_eq!(copy["spec"]["customization"]["users"][0]["password"], "kept");
    refused(&bed.post(&format!("{path}/copy"), json!({"name": "WEB"})).await, 409, "exists");

    assert_eq!(bed.delete(&path).await.status, 204);
    refused(&bed.ask(Method::GET, &path, Value::Null).await, 404, "not-found");
    let gone = json!({"name": "two", "cpus": 1, "memory_mib": 32, "customization": {"specification": id}});
    let answer = bed.post("vms", gone).await;
    assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/customization/specification"]);
    assert_eq!(bed.get("specifications").await["total"], 1);
}

#[tokio::test]
async fn a_windows_password_is_sealed_and_found_nowhere_but_on_the_drive() {
    let Some(mut bed) = Bed::start().await else { return };
    let windows = json!({"reader": "cloudbase_init", "administrator_password": {"plain": SECRET}});
    let id = made(&mut bed, "win", json!({"hostname": "{{vm.name}}", "windows": windows})).await;
    let vm = bed.create_vm("pc", json!({"customization": {"specification": id}, "start": true})).await;
    bed.vm_is(&vm, "running").await;
    if let Some(text) = on_drive(&bed, &vm, "user-data") {
        assert!(
            text.contains(&format!("passwd: \"{SECRET}\"")) && text.contains("set_hostname: \"pc\""),
            "{text}"
        );
    }
    for path in [
        format!("vms/{vm}"),
        format!("specifications/{id}"),
        "specifications".into(),
        "vms".into(),
        "tasks".into(),
        "events".into(),
    ] {
        let told = bed.get(&path).await.to_string();
        assert!(!told.contains(SECRET) && !told.contains("sealed"), "{path}: {told}");
    }
    let mut browser = bed.browser().await;
    for path in [format!("/specifications/{id}"), format!("/vms/{vm}/customization")] {
        let page = browser.send(Method::GET, &path, None).await.unwrap().text();
        assert!(!page.contains(SECRET) && page.contains("A password is set."), "{path}");
    }
    let log = std::fs::read_to_string(bed.host.log()).unwrap();
    assert!(!log.contains(SECRET), "{log}");
    let mut files = 0;
    for entry in
        std::fs::read_dir(bed.state()).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_file())
    {
        let bytes = std::fs::read(&entry).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()), "{}", entry.display());
        files += 1;
    }
    assert!(files > 2, "the state was not looked at");
}

#[tokio::test]
async fn bad_input_names_its_field_and_makes_nothing() {
    let Some(mut bed) = Bed::start().await else { return };
    let windows = |more: Value| json!({"windows": more});
    for (custom, at) in [
        (json!({"hostname": "{{nobody}}"}), "hostname"),
        (json!({"timezone": "Berlin"}), "timezone"),
        (json!({"users": [{"name": "ada", "password": "kept"}]}), "users/0/password"),
        (json!({"users": [{"name": "ada", "password": {"plain": "short"}}]}), "users/0/password"),
        (json!({"cards": [{"mac": "52:54:00:00:00:01"}]}), "cards/0/mac"),
        (json!({"specification": "0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d5e"}), "specification"),
        (json!({"hostname": "far-too-long-for-it", "windows": {}}), "hostname"),
        (json!({"packages": ["vim"], "windows": {}}), "packages"),
        (windows(json!({"reader": "nobody"})), "windows/reader"),
        (windows(json!({"administrator_password": "kept"})), "windows/administrator_password"),
        (windows(json!({"administrator_password": {"plain": "short"}})), "windows/administrator_password"),
        (windows(json!({"administrator_password": {"sealed": "c1.x"}})), "windows/administrator_password"),
        (windows(json!({"locale": "german"})), "windows/locale"),
        (windows(json!({"keyboard": "qwertz"})), "windows/keyboard"),
        (windows(json!({"product_key": "1"})), "windows/product_key"),
        (windows(json!({"owner": "\u{7}"})), "windows/owner"),
        (windows(json!({"driver_folders": ["drivers"]})), "windows/driver_folders/0"),
    ] {
        let answer = bed.post("specifications", json!({"name": "bad", "customization": custom})).await;
        assert_eq!(pointers(&refused(&answer, 422, "invalid")), [format!("/customization/{at}")], "{custom}");
    }
    for (body, at) in [
        (json!({"name": "a b", "customization": {}}), "/name"),
        (json!({"name": "a", "description": "\u{1}", "customization": {}}), "/description"),
    ] {
        assert_eq!(pointers(&refused(&bed.post("specifications", body).await, 422, "invalid")), [at]);
    }
    assert_eq!(bed.get("specifications").await["total"], 0);
    let id = made(&mut bed, "good", json!({})).await;
    let mut edit = |expect: &'static str| {
        bed.console.fields = vec![("if-match", expect.into())];
    };
    edit("\"7\"");
    let stale = bed.ask(Method::PATCH, &format!("specifications/{id}"), json!({"name": "new"})).await;
    assert_eq!(stale.status, 412, "{}", stale.text());
}

#[tokio::test]
async fn qx_makes_one_and_a_machine_with_it() {
    let Some(mut bed) = Bed::start().await else { return };
    let ran = |bed: &Bed, words: &[&str]| {
        let done = bed.qx(words);
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let secret = bed.scratch().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let file = secret.to_str().unwrap();
    ran(
        &bed,
        &[
            "specification",
            "create",
            "win",
            "--windows",
            "setup",
            "--admin-password-file",
            file,
            "--hostname",
            "{{vm.name}}",
        ],
    );
    ran(&bed, &["specification", "edit", "win", "--owner", "Ada"]);
    ran(&bed, &["specification", "copy", "win", "win-2"]);
    ran(&bed, &["vm", "create", "pc", "--memory", "32M", "--specification", "win-2", "--timezone", "UTC"]);
    let shown = ran(&bed, &["specification", "show", "win-2"]);
    assert!(
        shown.contains("1 machines") && shown.contains("Ada") && shown.contains("password set"),
        "{shown}"
    );
    let vm = ran(&bed, &["vm", "show", "pc"]);
    assert!(vm.contains("win-2") && vm.contains("UTC"), "{vm}");
    assert!(ran(&bed, &["specification", "list"]).contains("Windows"));
    ran(&bed, &["specification", "delete", "win"]);
    assert_eq!(bed.names("specifications").await, ["win-2"]);
}
