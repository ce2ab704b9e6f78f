//! A Debian with its own cloud-init and guest agent: it becomes what the form and the API say, and it holds still and goes on.

use super::shell::{Shell, said};
use crate::bed::Bed;
use lab::debian;
use serde_json::{Value, json};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHQfoe28Z2XpyBLVxVZq0nUvgOtuJFTCr6LdQPRWNCbt ada@example";
const PASSWORD: &str = "correct horse battery";
/// Stops the agent as soon as it notes that it holds file systems, lets it go on later, and tells on a file system in memory
/// what it saw. It does nothing that would have to be written.
const HOLD: &str = "#!/bin/bash
agent=$(pidof qemu-ga)
held() { compgen -G '/run/qga.state.isfrozen' >/dev/null || compgen -G '/run/*/qga.state.isfrozen' >/dev/null; }
echo ready > /run/hold.said
until held; do :; done
kill -STOP $agent
begun=$SECONDS
held && echo stopped >> /run/hold.said
read -t 5 < <(sleep 60)
kill -CONT $agent
while held; do read -t 0.1 < <(sleep 60); done
echo \"held for $((SECONDS - begun)) s\" >> /run/hold.said
";

/// The machine, made with a specification, up and logged in to.
async fn booted(bed: &mut Bed) -> (String, Shell) {
    let path = debian::disk().unwrap();
    let image = bed.upload("debian", std::fs::read(path).unwrap()).await;
    assert_eq!(image.status, 201, "{}", image.text());
    let user = json!({
        "name": "ada", "sudo": "no_password", "shell": "/bin/bash", "ssh_keys": [KEY], "password": {"plain": PASSWORD}
    });
    let custom = json!({
        "hostname": "{{vm.name}}-01", "timezone": "Europe/Berlin", "users": [user],
        "run_commands": ["echo \"it ran: $(id -u)\" > /run/it-ran"]
    });
    let made = bed.post("specifications", json!({"name": "Debian-servers", "customization": custom})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let disks = json!([{"from": "image", "image": image.json().unwrap()["id"]}]);
    let vm = bed
        .create_vm(
            "Genuine",
            json!({
                "memory_mib": debian::MEMORY_MIB, "disks": disks, "start": true, "guest_os": "debian",
                "customization": {"specification": made.json().unwrap()["id"]}
            }),
        )
        .await;
    said(bed, &vm, "genuine-01 login:").await;
    // Before that it talks across whatever is typed.
    said(bed, &vm, "finished at").await;
    let shell = Shell::log_in(bed, &vm, "ada", PASSWORD).await;
    (vm, shell)
}

async fn quiesced(bed: &mut Bed, vm: &str, name: &str) -> Value {
    let answer = bed.post(&format!("vms/{vm}/snapshots"), json!({"name": name, "quiesce": true})).await;
    bed.ended(&answer).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: cargo xtask lab cloud-init"]
async fn a_genuine_distribution_becomes_what_it_was_told_and_holds_still_when_asked() {
    if let Some(why) = debian::missing() {
        return eprintln!("skipped: {why}");
    }
    let Some(mut bed) = Bed::start().await else { return };
    let (vm, mut shell) = booted(&mut bed).await;

    // The password took us in; the rest is asked of the guest itself.
    let status = shell.run("cloud-init status --wait").await;
    assert!(status.contains("status: done"), "{status}");
    let result = shell.run("cat /run/cloud-init/result.json").await;
    let result: Value = serde_json::from_str(&result).unwrap_or_else(|e| panic!("{e}: {result}"));
    assert_eq!(result["v1"]["errors"], json!([]), "{result:#}");
    assert!(result["v1"]["datasource"].as_str().unwrap().contains("NoCloud"), "{result:#}");
    let schema = shell.run("sudo cloud-init schema --system 2>&1").await;
    assert!(schema.contains("Valid"), "{schema}");
    for (command, wanted) in [
        ("hostname", "genuine-01"),
        ("id -un", "ada"),
        ("getent passwd ada | cut -d: -f7", "/bin/bash"),
        ("sudo id -un", "root"),
        ("cat ~/.ssh/authorized_keys", KEY),
        ("cat /etc/timezone", "Europe/Berlin"),
        ("readlink -f /etc/localtime", "/usr/share/zoneinfo/Europe/Berlin"),
        ("cat /run/it-ran", "it ran: 0"),
        ("systemctl is-active qemu-guest-agent", "active"),
        ("sudo sshd -T 2>/dev/null | grep ^passwordauthentication", "passwordauthentication no"),
    ] {
        assert_eq!(shell.run(command).await, wanted, "{command}");
    }

    // Its own agent holds it still for a snapshot, and lets it go on.
    let task = quiesced(&mut bed, &vm, "quiet").await;
    assert_eq!(task["state"], "succeeded", "{task:#}");
    let seen = bed.get(&format!("vms/{vm}/snapshots")).await;
    assert_eq!(seen["snapshots"][0]["status"]["quiesced"], true, "{seen:#}");
    let log = shell.run("sudo journalctl -u qemu-guest-agent --no-pager").await;
    assert!(log.contains("guest-fsfreeze called"), "{log}");
    assert_eq!(shell.run("echo a > ~/written && sync ~/written && cat ~/written").await, "a");

    // An agent that hangs while it holds the guest still: whatever became of the snapshot, the guest goes on as soon as the
    // agent can let it, without anybody asking again.
    let lines: Vec<String> = HOLD.lines().map(|line| format!("'{}'", line.replace('\'', "'\\''"))).collect();
    shell.run(&format!("printf '%s\\n' {} | sudo tee /run/hold >/dev/null", lines.join(" "))).await;
    shell.run("sudo setsid -f bash /run/hold >/dev/null 2>&1 </dev/null").await;
    shell.run("until grep -q ready /run/hold.said 2>/dev/null; do sleep 0.1; done").await;
    let task = quiesced(&mut bed, &vm, "hangs").await;
    eprintln!("with an agent that hangs: {task:#}");
    shell.run("until grep -q held /run/hold.said; do read -t 0.2 < <(sleep 60); done").await;
    let told = shell.run("cat /run/hold.said").await;
    eprintln!("{told}");
    assert!(told.contains("stopped"), "the agent was not stopped while it held the guest: {told}");
    assert_eq!(shell.run("echo b > ~/written && sync ~/written && cat ~/written").await, "b");
    let task = quiesced(&mut bed, &vm, "after").await;
    assert_eq!(task["state"], "succeeded", "{task:#}");
}
