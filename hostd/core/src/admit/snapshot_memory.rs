//! Whether a guest can go on from the memory that a snapshot keeps: the machine around it must be the one it was.

use hostd_types::*;
use serde_json::Value;

/// Settings that a guest's memory knows nothing of, by their names in the spec.
const FREE: [&str; 13] = [
    "name",
    "description",
    "scheduled_at",
    "host",
    "placement_epoch",
    "boot",
    "autostart",
    "cdrom",
    "customization",
    "snapshots",
    "power",
    "filing",
    "deleting",
];

/// Why the guest of `vm` can't go on from the memory of `snapshot`, with the way out.
pub(super) fn no_resume(vm: &Vm, snapshot: &Snapshot) -> Option<String> {
    if snapshot.status.memory_bytes.is_none() {
        let name = &snapshot.spec.name;
        return Some(format!(
            "The snapshot {name} keeps the disks alone. Leave resume out; with start it starts anew."
        ));
    }
    let changed = changed(&vm.spec, &snapshot.spec.machine);
    (!changed.is_empty()).then(|| {
        format!(
            "The memory fits only the machine it was taken of; since then this changed: {}. Change it back first, or go back \
             to the disks alone (resume: false).",
            changed.join(", ")
        )
    })
}

/// Settings of the machine's hardware that differ, in words.
fn changed(now: &VmSpec, then: &VmSpec) -> Vec<String> {
    let hardware = |spec: &VmSpec| {
        let mut spec = spec.clone();
        spec.hardware.changes.clear();
        // What is in the drives may change; their number is the machine's.
        spec.more_cdroms.fill(None);
        // A place that was only written down is the one it had.
        let (disks, nics) = (disk_slots(&spec.disks), nic_slots(&spec.nics));
        spec.disks.iter_mut().zip(disks).for_each(|(disk, slot)| disk.slot = Some(slot));
        spec.nics.iter_mut().zip(nics).for_each(|(nic, slot)| nic.slot = Some(slot));
        let Ok(Value::Object(mut all)) = serde_json::to_value(&spec) else { return serde_json::Map::new() };
        all.retain(|name, value| {
            !FREE.contains(&name.as_str()) && !value.as_object().is_some_and(serde_json::Map::is_empty)
        });
        all
    };
    let (now, then) = (hardware(now), hardware(then));
    let mut names: Vec<&String> = now.keys().chain(then.keys()).collect();
    names.sort();
    names.dedup();
    let differs = |name: &&&String| now.get(**name) != then.get(**name);
    names.iter().filter(differs).map(|name| words(name)).collect()
}

/// What people call a setting.
fn words(name: &str) -> String {
    match name {
        "cpus" => "the number of CPUs".into(),
        "cpu_mode" => "the CPU mode".into(),
        "memory_mib" => "the size of the memory".into(),
        "nics" => "the network cards".into(),
        "disks" => "the disks".into(),
        "guest_os" => "the guest operating system".into(),
        other => format!("the {}", other.replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    #[test]
    fn only_the_machine_it_was_taken_of_can_go_on() {
        let mut vm = sample::vm("web");
        let mut snapshot = sample::snapshot(&vm);
        assert!(no_resume(&vm, &snapshot).expect("no memory").contains("the disks alone"));
        snapshot.status.memory_bytes = Some(1);
        assert_eq!(no_resume(&vm, &snapshot), None);
        vm.spec.name = "other".into();
        vm.spec.autostart = !vm.spec.autostart;
        assert_eq!(no_resume(&vm, &snapshot), None, "the guest knows nothing of these");
        vm.spec.memory_mib *= 2;
        vm.spec.nics.clear();
        vm.spec.disks.push(VmDisk {
            volume: VolumeId::new(),
            bus: DiskBus::Virtio,
            slot: None,
            options: DiskOptions::default(),
        });
        let why = no_resume(&vm, &snapshot).expect("another machine");
        assert!(why.contains("the size of the memory") && why.contains("the disks"), "{why}");
        assert!(why.contains("resume: false"), "{why}");
    }
}
