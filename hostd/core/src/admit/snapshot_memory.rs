//! Whether a guest can go on from the memory that a snapshot keeps: the machine around it must be the one it was.

use hostd_types::*;
use serde_json::Value;

/// Settings that a guest's memory knows nothing of, by their names in the spec.
const FREE: [&str; 14] = [
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
    "lineage",
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
    let known = |disk: &VmDisk| then.disks.iter().any(|held| held.volume == disk.volume);
    let hardware = |spec: &VmSpec| {
        let mut spec = spec.clone();
        spec.hardware.changes.clear();
        // What is in the drives may change; their number is the machine's.
        spec.more_cdroms.fill(None);
        // A place that was only written down is the one it had.
        let (disks, nics) = (disk_slots(&spec.disks), nic_slots(&spec.nics));
        spec.disks.iter_mut().zip(disks).for_each(|(disk, slot)| disk.slot = Some(slot));
        spec.nics.iter_mut().zip(nics).for_each(|(nic, slot)| nic.slot = Some(slot));
        // Going back detaches these.
        spec.disks.retain(known);
        leave_unseen_out(&mut spec);
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

/// Makes alike what a guest does not see of its machine: limits, networks and cables, what happens when it hangs or crashes.
fn leave_unseen_out(spec: &mut VmSpec) {
    for disk in &mut spec.disks {
        let DiskOptions { cache, discard, io: _, boot: _, limits: _ } = disk.options;
        disk.options = DiskOptions { cache, discard, ..DiskOptions::default() };
    }
    for nic in &mut spec.nics {
        let VmNic { network: _, mac, model, slot, unplugged: _, options: _ } = nic;
        *nic = VmNic {
            network: NetworkId::from_uuid(spec.host.uuid()),
            mac: std::mem::take(mac),
            model: *model,
            slot: *slot,
            unplugged: false,
            options: NicOptions::default(),
        };
    }
    let options = &mut spec.options;
    options.cpu_share = CpuShare::default();
    options.on_crash = OnCrash::default();
    options.rng.bytes_per_second = None;
    if let Some(watchdog) = &mut options.watchdog {
        watchdog.action = WatchdogAction::default();
    }
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
        "topology" => "the layout of the CPUs".into(),
        "hardware" => "how far CPUs and memory can grow, or the shared folders".into(),
        "options" => "the TPM, watchdog, ports, screen, random numbers or kind of memory".into(),
        "more_cdroms" => "the number of CD-ROM drives".into(),
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
        let disk = |bus| VmDisk { volume: VolumeId::new(), bus, slot: None, options: DiskOptions::default() };
        vm.spec.disks.push(disk(DiskBus::Virtio));
        vm.spec.nics.push(VmNic {
            network: NetworkId::new(),
            mac: "52:54:00:00:00:01".into(),
            model: NicModel::Virtio,
            slot: None,
            unplugged: false,
            options: NicOptions::default(),
        });
        let mut snapshot = sample::snapshot(&vm);
        assert!(no_resume(&vm, &snapshot).expect("no memory").contains("the disks alone"));
        snapshot.status.memory_bytes = Some(1);
        assert_eq!(no_resume(&vm, &snapshot), None);
        vm.spec.name = "other".into();
        vm.spec.autostart = !vm.spec.autostart;
        assert_eq!(no_resume(&vm, &snapshot), None, "the guest knows nothing of these");
        vm.spec.options.cpu_share.limit_percent = Some(50);
        vm.spec.options.on_crash = OnCrash::Restart;
        let nic = &mut vm.spec.nics[0];
        (nic.network, nic.unplugged, nic.options.boot) = (NetworkId::new(), true, Some(1));
        vm.spec.disks[0].options.boot = Some(2);
        vm.spec.disks[0].options.io = Some(DiskIo::Threads);
        vm.spec.disks.push(disk(DiskBus::Virtio));
        assert_eq!(
            no_resume(&vm, &snapshot),
            None,
            "limits, networks, cables, and disks that going back detaches"
        );
        vm.spec.memory_mib *= 2;
        vm.spec.nics.clear();
        vm.spec.disks[0].bus = DiskBus::Sata;
        let why = no_resume(&vm, &snapshot).expect("another machine");
        assert!(why.contains("the size of the memory") && why.contains("the disks"), "{why}");
        assert!(why.contains("the network cards"), "{why}");
        assert!(why.contains("resume: false"), "{why}");
    }
}
