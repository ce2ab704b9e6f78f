//! The drive, read by the programs that guests read it with.

use super::*;
use crate::admit::sample;
use std::path::Path;
use std::process::Command;

fn custom() -> Customization {
    Customization {
        hostname: "x".into(),
        resolved_hostname: "web-1.example.org".into(),
        timezone: "Europe/Berlin".into(),
        users: vec![
            GuestUser {
                name: "ada".into(),
                sudo: Sudo::NoPassword,
                shell: "/bin/bash".into(),
                password: Some(GuestPassword::Hash("$6$rounds=100000$abc$def".into())),
                ssh_keys: vec!["ssh-ed25519 AAAA ada".into()],
            },
            GuestUser { name: "root".into(), ..GuestUser::default() },
        ],
        ssh_pwauth: true,
        packages: vec!["vim".into()],
        run_commands: vec!["echo \"done: $(date)\" > /run/it".into()],
        guest_agent: true,
        cards: vec![GuestCard {
            mac: "52:54:00:00:00:01".into(),
            addresses: vec!["192.0.2.10/24".into(), "2001:db8::10/64".into()],
            gateways: vec!["192.0.2.1".into(), "2001:db8::1".into()],
            nameservers: vec!["192.0.2.53".into()],
            search: vec!["example.org".into()],
        }],
        run: 3,
        ..Customization::default()
    }
}

fn vm(custom: Customization) -> Vm {
    let mut vm = sample::vm("web");
    vm.spec.customization = Some(custom);
    vm.spec.nics = ["52:54:00:00:00:01", "52:54:00:00:00:02"]
        .map(|mac| VmNic {
            network: NetworkId::new(),
            mac: mac.into(),
            model: NicModel::Virtio,
            slot: None,
            unplugged: false,
            options: NicOptions::default(),
        })
        .to_vec();
    vm
}

/// Runs `program`, or says why not.
fn run(program: &str, words: &[&str]) -> Option<String> {
    match Command::new(program).args(words).output() {
        Err(error) => {
            eprintln!("skipped: {program} can't be run: {error}");
            None
        }
        Ok(done) => {
            let told = [done.stdout, done.stderr].concat();
            let told = String::from_utf8_lossy(&told).into_owned();
            assert!(done.status.success(), "{program}: {told}");
            Some(told)
        }
    }
}

#[test]
fn a_machine_without_customization_has_no_drive() {
    assert_eq!(image(&sample::vm("web"), None), None);
}

#[test]
fn cloud_init_finds_nothing_wrong_with_what_is_written() {
    let dir = tempfile::tempdir().expect("directory");
    let schema = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect("file");
        let told = run("cloud-init", &["schema", "--config-file", &file.display().to_string()]);
        assert!(told.as_ref().is_none_or(|told| told.contains("Valid")), "{told:?}");
    };
    schema("full", &text::user_data(&custom(), true));
    schema("empty", &text::user_data(&Customization::default(), false));
}

/// What cloud-init's own data source makes of a drive's files, as JSON.
const READ: &str = "
import json, sys
from cloudinit import util
from cloudinit.net import network_state
from cloudinit.sources import DataSourceNoCloud as NoCloud
files = util.pathprefix2dict(sys.argv[1], required=['user-data', 'meta-data'], optional=['vendor-data', 'network-config'])
seen = NoCloud._merge_new_seed({'meta-data': {}, 'user-data': '', 'vendor-data': '', 'network-config': None}, files)
state = network_state.parse_net_config_data(seen['network-config'])
seen['cards'] = {card['name']: {'mac': card['mac_address'], 'subnets': card['subnets']} for card in state.iter_interfaces()}
seen['config'] = util.load_yaml(seen['user-data'])
print(json.dumps(seen, default=lambda b: b.decode() if isinstance(b, bytes) else str(b)))
";

#[test]
fn cloud_init_reads_from_the_drive_what_was_asked_for() {
    let dir = tempfile::tempdir().expect("directory");
    let (file, to) = (dir.path().join("seed.iso"), dir.path().join("files"));
    std::fs::write(&file, image(&vm(custom()), None).expect("a drive")).expect("file");
    std::fs::create_dir(&to).expect("directory");
    if !taken_out(&file, &to) {
        return;
    }
    if !Path::new("/usr/lib/python3/dist-packages/cloudinit").exists() {
        return eprintln!("skipped: cloud-init is not installed");
    }
    let Some(told) = run("/usr/bin/python3", &["-c", READ, &to.display().to_string()]) else { return };
    let json = told.lines().last().unwrap_or_default();
    let seen: serde_json::Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {told}"));
    assert_eq!(seen["meta-data"]["local-hostname"], "web-1.example.org");
    assert!(seen["meta-data"]["instance-id"].as_str().is_some_and(|id| id.ends_with("-3")), "{seen:#}");
    let config = &seen["config"];
    assert_eq!((&config["hostname"], &config["fqdn"]), (&"web-1".into(), &"web-1.example.org".into()));
    assert_eq!(config["timezone"], "Europe/Berlin");
    let ada = &config["users"][0];
    assert_eq!((&ada["name"], &ada["shell"]), (&"ada".into(), &"/bin/bash".into()));
    assert_eq!(ada["hashed_passwd"], "$6$rounds=100000$abc$def");
    assert_eq!(ada["ssh_authorized_keys"][0], "ssh-ed25519 AAAA ada");
    assert_eq!((&config["ssh_pwauth"], &config["disable_root"]), (&true.into(), &false.into()));
    assert_eq!(config["packages"], serde_json::json!(["qemu-guest-agent", "vim"]));
    assert_eq!(config["runcmd"][1], "echo \"done: $(date)\" > /run/it");
    let cards = &seen["cards"];
    assert_eq!(cards["eth0"]["mac"], "52:54:00:00:00:01");
    assert!(cards["eth0"]["subnets"].to_string().contains("192.0.2.10"), "{cards:#}");
    assert!(cards["eth1"]["subnets"].to_string().contains("dhcp4"), "{cards:#}");
}

/// Takes the files out of the volume, by a mount where that is allowed, or by `isoinfo`.
fn taken_out(file: &Path, to: &Path) -> bool {
    if Command::new("isoinfo").arg("--version").output().is_err() {
        eprintln!("skipped: isoinfo is not installed");
        return false;
    }
    for name in ["meta-data", "user-data", "network-config"] {
        let done =
            Command::new("isoinfo").arg("-i").arg(file).args(["-J", "-x", &format!("/{name};1")]).output();
        std::fs::write(to.join(name), done.expect("isoinfo").stdout).expect("file");
    }
    true
}

#[test]
fn a_text_of_ones_own_is_taken_as_it_is() {
    let raw = Customization {
        user_data: "#!/bin/sh\necho hi\n".into(),
        network_config: "version: 2\n".into(),
        ..Customization::default()
    };
    assert_eq!(text::user_data(&raw, true), raw.user_data);
    assert_eq!(text::network_config(&raw, &[]), Some(raw.network_config.clone()));
    assert_ne!(
        image(&vm(raw.clone()), None),
        image(&vm(Customization { run: 2, ..raw }), None),
        "another run is another drive"
    );
}
