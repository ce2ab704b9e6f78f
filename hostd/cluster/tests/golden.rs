//! The encoding of the log is a format: files of every command, written once, decode for ever.

use crate::commands::*;
use crate::machine_commands::*;
use hostd_cluster::record::{decode_entry, encode_entry};
use hostd_types::command::*;
use hostd_types::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A file: the bytes and, for people, what they mean.
#[derive(Serialize, Deserialize)]
struct Golden {
    entry: Entry,
    hex: String,
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/entries")
}

/// Every command with the name of its file.
fn all() -> Vec<(String, Entry)> {
    let commands = [
        vm_commands(),
        device_commands(),
        snapshot_commands(),
        clone_commands(),
        storage_commands(),
        other_commands(),
        link_commands(),
        cluster_commands(),
        organize_commands(),
        specification_commands(),
    ]
    .concat();
    let by = Actor::User { id: UserId::from_uuid(uuid(7)), name: "admin".into(), token: Some("ci".into()) };
    let entry = |command: Command| Entry {
        version: ENTRY_VERSION,
        request: RequestId::from_uuid(uuid(10)),
        at: Timestamp::parse("2027-01-15T08:00:00.123Z").unwrap(),
        by: by.clone(),
        task: TaskId::from_uuid(uuid(6)),
        command,
    };
    let file = |command: &Command| match command {
        Command::Audit(_) => "audit".to_owned(),
        Command::Vm(VmCommand::Power { .. }) => "vm.power".to_owned(),
        // What came to a command later has a file of its own.
        Command::Vm(VmCommand::Create { vm, .. }) if vm.customization.is_some() => {
            "vm.create.customization".into()
        }
        Command::Vm(VmCommand::Edit { edit, .. }) if edit.customization.is_some() => {
            "vm.edit.customization".into()
        }
        Command::Vm(VmCommand::Create { .. } | VmCommand::Edit { .. }) if command.level() == HARDWARE => {
            format!("{}.hardware", command.name())
        }
        Command::Vm(VmCommand::Create { vm, .. }) if vm.filing != NewFiling::default() => {
            "vm.create.filing".into()
        }
        Command::Vm(VmCommand::Create { vm, .. }) if !vm.more_cdroms.is_empty() => "vm.create.drives".into(),
        Command::Vm(VmCommand::Create { vm, .. }) if !vm.host_devices.is_empty() => {
            "vm.create.host_devices".into()
        }
        Command::Vm(VmCommand::Edit { edit, .. }) if edit.more_cdroms.is_some() => "vm.edit.drives".into(),
        Command::Vm(VmCommand::Create { vm, .. }) if !vm.shares.is_empty() => "vm.create.shares".into(),
        Command::Vm(VmCommand::Edit { edit, .. }) if edit.shares.is_some() => "vm.edit.shares".into(),
        Command::Vm(VmCommand::Create { vm, .. }) if vm.headroom != Headroom::default() => {
            "vm.create.life".into()
        }
        Command::Vm(VmCommand::Create { vm, .. }) if vm.options != VmOptions::default() => {
            "vm.create.options".into()
        }
        Command::Vm(VmCommand::Edit { edit, .. })
            if edit.options.as_ref().is_some_and(|options| options.memory != MemoryBacking::default()) =>
        {
            "vm.edit.memory".into()
        }
        Command::Vm(VmCommand::Edit { edit, .. }) if edit.options.is_some() => "vm.edit.options".into(),
        Command::Vm(VmCommand::Edit { edit, .. }) if edit.headroom.is_some() => "vm.edit.life".into(),
        Command::Snapshot(
            SnapshotCommand::Taken { memory_bytes: Some(_), .. }
            | SnapshotCommand::Revert { resume: true, .. },
        ) => format!("{}.memory", command.name()),
        Command::Snapshot(SnapshotCommand::CreateFailed { switched: true, .. }) => {
            format!("{}.switched", command.name())
        }
        Command::Vm(VmCommand::Changed { end, .. }) => match end {
            ChangeEnd::Done => "vm.changed.done".to_owned(),
            ChangeEnd::Later { .. } => "vm.changed.later".to_owned(),
            ChangeEnd::Failed { .. } => "vm.changed.failed".to_owned(),
        },
        named => named.name(),
    };
    commands.into_iter().map(|c| (file(&c), entry(c))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A missing file fails; with `QUANTIX_WRITE_GOLDEN=1` it is written. A file that is there is never changed.
#[test]
fn every_command_has_a_file_and_every_file_still_decodes() {
    let mut names = BTreeSet::new();
    for (name, entry) in all() {
        let path = directory().join(format!("{name}.json"));
        if !path.exists() && std::env::var_os("QUANTIX_WRITE_GOLDEN").is_some() {
            let golden = Golden { hex: hex(&encode_entry(&entry).unwrap()), entry: entry.clone() };
            std::fs::write(&path, serde_json::to_string_pretty(&golden).unwrap() + "\n").unwrap();
        }
        assert!(names.insert(name.clone()), "two commands named {name}");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let golden: Golden = serde_json::from_str(&text).unwrap();
        assert_eq!(golden.entry, entry, "{name}: the file shows another command than the test makes");
        assert_eq!(
            decode_entry(&bytes(&golden.hex)).unwrap(),
            entry,
            "{name}: the old bytes mean something else now"
        );
        assert_eq!(hex(&encode_entry(&entry).unwrap()), golden.hex, "{name}: it is written differently now");
    }
    let files: BTreeSet<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|f| f.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, names, "a file without a command, or the other way round");
}

/// What a newer version would write: a field we do not know, in the entry and in the command, and another order.
#[test]
fn unknown_fields_and_another_order_are_tolerated() {
    for (name, entry) in all() {
        let mut value = serde_json::to_value(&entry).unwrap();
        let map = value.as_object_mut().unwrap();
        map.insert("aardvark".into(), serde_json::json!({"new": [1, 2]}));
        let command = map["command"].as_object_mut().unwrap();
        let body = command.values_mut().next().unwrap();
        let inner = match body.as_object_mut().filter(|m| m.len() == 1) {
            Some(_) => body.as_object_mut().unwrap().values_mut().next().unwrap(),
            None => body,
        };
        inner.as_object_mut().unwrap_or_else(|| panic!("{name}")).insert("zebra".into(), true.into());
        let written = rmp_serde::to_vec_named(&value).unwrap();
        assert_eq!(decode_entry(&written).unwrap(), entry, "{name}");
    }
}

/// Members that don't know a field would leave it out of their rows.
#[test]
fn what_a_host_brings_into_an_older_cluster_has_nothing_newer() {
    let host = HostId::from_uuid(uuid(2));
    let older = Command::Cluster(ClusterCommand::Import { host, belongings: belongings(host) });
    let mut newer = belongings(host);
    let spec = &mut newer.vms[0].spec;
    (spec.cpu_mode, spec.machine_type) = (CpuMode::Performance, Some("pc-q35-10.0".into()));
    spec.topology = CpuTopology { sockets: 2, threads: 1 };
    let mut devices = belongings(host);
    let spec = &mut devices.vms[0].spec;
    let disk = VmDisk { slot: Some(0), ..spec.disks.remove(0) };
    spec.nics[0].unplugged = true;
    let work = DeviceWork::DetachDisk { disk, index: 0, delete: true };
    let request = DeviceRequest { task: TaskId::from_uuid(uuid(6)), late: true, work };
    spec.hardware = VmHardware {
        headroom: Headroom { cpus_max: Some(8), ..Headroom::default() },
        changes: vec![request],
        host_devices: vec![host_device()],
        shares: Vec::new(),
    };
    let spec = &mut devices.vms[0].spec;
    (spec.options, spec.nics[0].options) = (options(), nic_options());
    devices.fit(HARDWARE);
    assert_eq!(devices, belongings(host), "a disk on its way out stays");
    let hardware = newer.clone();
    let spec = &mut newer.vms[0].spec;
    (spec.guest_os, spec.scheduled_at) = (GuestOs::Debian, Some(Timestamp::from_unix(1_900_000_000)));
    spec.customization = Some(Customization::default());
    spec.filing.notes = "n".into();
    let import = |belongings| Command::Cluster(ClusterCommand::Import { host, belongings });
    let fitted = |level| {
        let mut command = import(newer.clone());
        command.fit(level);
        command
    };
    let of_all = (fitted(LEASES), fitted(HARDWARE), fitted(LIFE));
    assert_eq!(of_all, (older, import(hardware), import(newer.clone())));
}

#[test]
fn an_unknown_command_is_an_error() {
    let (_, entry) = all().remove(0);
    let mut value = serde_json::to_value(&entry).unwrap();
    value["command"] = serde_json::json!({"teleport": {"id": 1}});
    assert!(decode_entry(&rmp_serde::to_vec_named(&value).unwrap()).is_err());
}
