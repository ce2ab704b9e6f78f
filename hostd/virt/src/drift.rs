//! Comparing what is wanted with the definition in force.

use crate::observe::SeenDomain;
use crate::plan::{DomainPlan, DomainShape};
use hostd_types::{CpuMode, CpuTopology, Firmware};
use std::path::Path;

/// Differences in words ("memory is 512 MiB, wanted 1024 MiB"); empty when the definition is as wanted. A machine that
/// runs may have another name: libvirt renames only what is off. Pure.
pub fn drift(plan: &DomainPlan, domain: &SeenDomain) -> Vec<String> {
    let (seen, mut found) = (&domain.shape, Vec::new());
    if plan.name != seen.name && !domain.state.is_active() {
        found.push(format!("the name is {}, wanted {}", seen.name, plan.name));
    }
    if plan.cpus != seen.cpus {
        found.push(format!("virtual CPUs are {}, wanted {}", seen.cpus, plan.cpus));
    }
    let is_other = |mode: &CpuMode| plan.kvm && *mode != plan.cpu_mode;
    if let Some(mode) = seen.cpu_mode.filter(is_other) {
        found.push(format!("the CPU mode is {}, wanted {}", mode.as_str(), plan.cpu_mode.as_str()));
    }
    if let Some(CpuTopology { sockets, threads }) = seen.topology.filter(|t| *t != plan.topology) {
        let wanted = plan.topology;
        found.push(format!(
            "the CPUs are on {sockets} sockets with {threads} threads a core, wanted {} with {}",
            wanted.sockets, wanted.threads
        ));
    }
    if let Some(wanted) = plan.machine_type.as_ref().filter(|wanted| **wanted != seen.machine_type) {
        found.push(format!("the machine type is {}, wanted {wanted}", seen.machine_type));
    }
    if plan.memory_mib != seen.memory_mib {
        found.push(format!("memory is {} MiB, wanted {} MiB", seen.memory_mib, plan.memory_mib));
    }
    if plan.firmware != seen.firmware {
        found.push(format!("the firmware is {}, wanted {}", called(seen.firmware), called(plan.firmware)));
    }
    for disk in plan.disks.iter().filter(|d| !seen.disks.contains(&d.path)) {
        found.push(format!("disk {} is not attached", file(&disk.path)));
    }
    for path in seen.disks.iter().filter(|p| !plan.disks.iter().any(|d| &d.path == *p)) {
        found.push(format!("disk {} is attached, not wanted", file(path)));
    }
    if plan.cdrom != seen.cdrom {
        let medium = |path: &Option<std::path::PathBuf>| match path {
            Some(path) => format!("holds {}", file(path)),
            None => "is empty".to_owned(),
        };
        let wanted = plan.cdrom.as_deref().map_or_else(|| "nothing".to_owned(), file);
        found.push(format!("the CD-ROM drive {}, wanted {wanted}", medium(&seen.cdrom)));
    }
    // One that runs got it, or not, at its start.
    if plan.seed != seen.seed && !domain.state.is_active() {
        found.push(
            if plan.seed {
                "the customization drive is missing"
            } else {
                "there is a customization drive, not wanted"
            }
            .into(),
        );
    }
    cards(plan, seen, &mut found);
    found
}

fn cards(plan: &DomainPlan, seen: &DomainShape, found: &mut Vec<String>) {
    for nic in &plan.nics {
        match seen.nics.iter().find(|(mac, _)| mac.eq_ignore_ascii_case(&nic.mac)) {
            None => found.push(format!("network card {} is missing", nic.mac)),
            Some((_, bridge)) if *bridge != nic.bridge => {
                found.push(format!("network card {} is on {bridge}, wanted {}", nic.mac, nic.bridge));
            }
            Some(_) => {}
        }
    }
    for (mac, _) in &seen.nics {
        if !plan.nics.iter().any(|n| n.mac.eq_ignore_ascii_case(mac)) {
            found.push(format!("network card {mac} is there, not wanted"));
        }
    }
}

fn called(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "BIOS",
        Firmware::Uefi => "UEFI",
    }
}

fn file(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{DiskSource, NicSource};
    use hostd_types::{DiskBus, DiskFormat, GuestOs, NicModel, VmId, VmState, VolumeId, default_boot};

    fn plan() -> DomainPlan {
        DomainPlan {
            vm: VmId::new(),
            name: "web".into(),
            description: String::new(),
            generation: 1,
            cpus: 2,
            guest_os: GuestOs::Linux,
            cpu_mode: CpuMode::Flexible,
            topology: CpuTopology::default(),
            machine_type: Some("pc-q35-10.0".into()),
            seed: true,
            memory_mib: 1024,
            firmware: Firmware::Bios,
            boot: default_boot(),
            kvm: false,
            disks: vec![DiskSource {
                volume: VolumeId::new(),
                path: "/pool/a.qcow2".into(),
                format: DiskFormat::Qcow2,
                bus: DiskBus::Virtio,
            }],
            cdrom: None,
            nics: vec![NicSource {
                bridge: "qx0".into(),
                mac: "52:54:00:AA:bb:01".into(),
                model: NicModel::Virtio,
            }],
        }
    }

    fn same() -> DomainShape {
        DomainShape {
            name: "web".into(),
            cpus: 2,
            cpu_mode: None,
            topology: Some(CpuTopology::default()),
            machine_type: "pc-q35-10.0".into(),
            seed: true,
            memory_mib: 1024,
            firmware: Firmware::Bios,
            disks: vec!["/pool/a.qcow2".into()],
            cdrom: None,
            nics: vec![("52:54:00:aa:bb:01".into(), "qx0".into())],
        }
    }

    fn drift_of(plan: &DomainPlan, shape: DomainShape, state: VmState) -> Vec<String> {
        let domain =
            SeenDomain { vm: plan.vm, state, reason: None, generation: Some(1), persistent: true, shape };
        drift(plan, &domain)
    }

    #[test]
    fn every_difference_is_told_in_words_and_equality_is_silent() {
        let none: Vec<String> = Vec::new();
        assert_eq!(drift_of(&plan(), same(), VmState::Off), none);
        type Change = fn(&mut DomainShape);
        let cases: [(Change, &[&str]); 12] = [
            (|s| s.seed = false, &["the customization drive is missing"]),
            (|s| s.name = "db".into(), &["the name is db, wanted web"]),
            (|s| s.cpus = 1, &["virtual CPUs are 1, wanted 2"]),
            (
                |s| s.topology = Some(CpuTopology { sockets: 2, threads: 1 }),
                &["the CPUs are on 2 sockets with 1 threads a core, wanted 1 with 1"],
            ),
            (
                |s| s.machine_type = "pc-q35-9.2".into(),
                &["the machine type is pc-q35-9.2, wanted pc-q35-10.0"],
            ),
            (|s| s.memory_mib = 512, &["memory is 512 MiB, wanted 1024 MiB"]),
            (|s| s.firmware = Firmware::Uefi, &["the firmware is UEFI, wanted BIOS"]),
            (|s| s.disks.clear(), &["disk a.qcow2 is not attached"]),
            (|s| s.disks.push("/x/b.img".into()), &["disk b.img is attached, not wanted"]),
            (|s| s.cdrom = Some("/i/x.iso".into()), &["the CD-ROM drive holds x.iso, wanted nothing"]),
            (|s| s.nics[0].1 = "br0".into(), &["network card 52:54:00:AA:bb:01 is on br0, wanted qx0"]),
            (
                |s| s.nics[0].0 = "52:54:00:00:00:09".into(),
                &[
                    "network card 52:54:00:AA:bb:01 is missing",
                    "network card 52:54:00:00:00:09 is there, not wanted",
                ],
            ),
        ];
        for (change, told) in cases {
            let mut seen = same();
            change(&mut seen);
            assert_eq!(drift_of(&plan(), seen, VmState::Off), told);
        }
        let bound = DomainShape { cpu_mode: Some(CpuMode::Performance), topology: None, ..same() };
        let told = ["the CPU mode is performance, wanted flexible"];
        assert_eq!(drift_of(&DomainPlan { kvm: true, ..plan() }, bound.clone(), VmState::Off), told);
        assert_eq!(drift_of(&plan(), bound, VmState::Off), none, "in emulation there is no mode");
    }

    #[test]
    fn an_ejected_medium_is_told() {
        let wanted = DomainPlan { cdrom: Some("/i/a.iso".into()), ..plan() };
        let told = drift_of(&wanted, same(), VmState::Running);
        assert_eq!(told, ["the CD-ROM drive is empty, wanted a.iso"]);
    }

    #[test]
    fn a_machine_that_runs_may_have_another_name() {
        let renamed = DomainShape { name: "db".into(), cpus: 1, seed: false, ..same() };
        let told = drift_of(&plan(), renamed, VmState::Running);
        assert_eq!(told, ["virtual CPUs are 1, wanted 2"]);
    }
}
