//! Rules for attaching, changing and detaching devices of a machine.

use super::power::settled;
use super::vm::{check_disk, check_free_mac, check_network};
use super::{Fields, check_size, options};
use crate::pool::human;
use crate::snapshot::Snapshot;
use hostd_types::*;

/// May this be done with the machine's devices now?
pub(super) fn change(id: VmId, change: &DeviceChange, now: &Snapshot) -> Result<(), Problem> {
    let vm = settled(id, now)?;
    super::clone::no_template(vm, "changed")?;
    let mut wrong = Fields::default();
    let busy = |about: &dyn Fn(&DeviceWork) -> bool, what: String| {
        if vm.spec.hardware.changes.iter().any(|request| about(&request.work)) {
            let detail = format!("{what} is being changed already; wait for that to end.");
            return Err(Problem::wrong_state(detail));
        }
        Ok(())
    };
    match change {
        DeviceChange::AttachDisk { disk, .. } => {
            if vm.spec.disks.len() >= DISKS_MAX {
                wrong.add("", format!("{} has {DISKS_MAX} disks, which is the most.", vm.spec.name));
            }
            check_disk(&mut wrong, "", disk, now);
            check_place(&mut wrong, vm, disk.options().boot, |_| true, |_| true);
        }
        DeviceChange::DetachDisk { volume, .. } => {
            let name = disk_of(vm, *volume, now)?.spec.name.clone();
            busy(&|work| work.is_about_disk(*volume), format!("The disk {name}"))?;
        }
        DeviceChange::GrowDisk { volume, size_bytes } => {
            let VolumeSpec { name, size_bytes: has, .. } = &disk_of(vm, *volume, now)?.spec;
            busy(&|work| work.is_about_disk(*volume), format!("The disk {name}"))?;
            if size_bytes <= has {
                let detail = format!(
                    "{name} has {}. A disk can only become larger: what the guest keeps at its end would be lost.",
                    human(*has)
                );
                wrong.add("/size_bytes", detail);
            }
            wrong.check("/size_bytes", check_size(*size_bytes));
        }
        DeviceChange::EditDisk { volume, options: wanted } => {
            let name = disk_of(vm, *volume, now)?.spec.name.clone();
            busy(&|work| work.is_about_disk(*volume), format!("The disk {name}"))?;
            let bus = vm.spec.disks.iter().find(|disk| disk.volume == *volume).map(|disk| disk.bus);
            options::check_disk(&mut wrong, "", bus.unwrap_or_default(), wanted, now);
            check_place(&mut wrong, vm, wanted.boot, |disk| disk != *volume, |_| true);
        }
        DeviceChange::AttachNic { nic } => {
            if vm.spec.nics.len() >= NICS_MAX {
                wrong.add("", format!("{} has {NICS_MAX} network cards, which is the most.", vm.spec.name));
            }
            check_network(&mut wrong, "", nic.network, now);
            options::check_nic(&mut wrong, "", &nic.options);
            check_place(&mut wrong, vm, nic.options.boot, |_| true, |_| true);
            if let Some(mac) = &nic.mac {
                check_free_mac(&mut wrong, "", mac, now);
            }
        }
        DeviceChange::EditNic { mac, edit } => {
            nic_of(vm, mac)?;
            busy(&|work| work.is_about_nic(mac), format!("The card {mac}"))?;
            check_edit_nic(&mut wrong, vm, mac, edit, now);
        }
        DeviceChange::DetachNic { mac } => {
            nic_of(vm, mac)?;
            busy(&|work| work.is_about_nic(mac), format!("The card {mac}"))?;
        }
        DeviceChange::AttachHostDevice { asked, .. } => {
            crate::devices::check_attach(&mut wrong, asked, vm, &now.devices);
        }
        DeviceChange::DetachHostDevice { device } => {
            let known = vm.spec.hardware.host_devices.iter().find(|known| known.id == *device);
            let known =
                known.ok_or_else(|| Problem::not_found("device of the host in this machine", device))?;
            busy(&|work| work.is_about_host_device(device), format!("The {}", known.described()))?;
        }
    }
    wrong.done()
}

fn check_edit_nic(wrong: &mut Fields, vm: &Vm, mac: &str, edit: &EditNic, now: &Snapshot) {
    if let Some(network) = edit.network {
        check_network(wrong, "", network, now);
    }
    if let Some(options) = &edit.options {
        options::check_nic(wrong, "", options);
        check_place(wrong, vm, options.boot, |_| true, |other| other != mac);
    }
    if *edit == EditNic::default() {
        wrong.add("", "Say what is to change: the network, the options, or whether the cable is plugged in.");
    }
}

fn disk_of<'a>(vm: &Vm, id: VolumeId, now: &'a Snapshot) -> Result<&'a Volume, Problem> {
    let attached = vm.spec.disks.iter().any(|disk| disk.volume == id);
    let volume = now.volumes.get(&id).filter(|_| attached);
    volume.ok_or_else(|| Problem::not_found("disk of this machine", id))
}

/// Refuses a place in the boot order that another device of the machine has.
fn check_place(
    wrong: &mut Fields,
    vm: &Vm,
    place: Option<u32>,
    disk: impl Fn(VolumeId) -> bool,
    nic: impl Fn(&str) -> bool,
) {
    let disks = vm.spec.disks.iter().filter(|other| disk(other.volume)).map(|disk| disk.options.boot);
    let nics = vm.spec.nics.iter().filter(|other| nic(&other.mac)).map(|nic| nic.options.boot);
    if place.is_some() && disks.chain(nics).any(|other| other == place) {
        wrong.add("/options/boot", "Another device has this place in the boot order.");
    }
}

fn nic_of<'a>(vm: &'a Vm, mac: &str) -> Result<&'a VmNic, Problem> {
    let nic = vm.spec.nics.iter().find(|nic| nic.mac == mac);
    nic.ok_or_else(|| Problem::not_found("network card of this machine", mac))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    fn with_disk() -> (Snapshot, VolumeId) {
        let (mut vm, volume) = (sample::vm("web"), sample::volume("web-disk0"));
        vm.status.state = VmState::Running;
        vm.spec.disks = vec![VmDisk {
            volume: volume.id,
            bus: DiskBus::Virtio,
            slot: None,
            options: DiskOptions::default(),
        }];
        let id = volume.id;
        (Snapshot { vm: Some(vm), volumes: [(id, volume)].into(), ..Snapshot::default() }, id)
    }

    fn refusal(change_: DeviceChange, now: &Snapshot) -> Problem {
        change(VmId::new(), &change_, now).expect_err("a refusal")
    }

    #[test]
    fn a_disk_only_becomes_larger() {
        let (now, volume) = with_disk();
        let to = |size_bytes| DeviceChange::GrowDisk { volume, size_bytes };
        change(VmId::new(), &to(2 << 30), &now).expect("larger");
        for size in [0, 1 << 29, 1 << 30] {
            assert!(
                refusal(to(size), &now).at("/size_bytes").expect("the field").contains("only become larger")
            );
        }
        refusal(to(VOLUME_MAX_BYTES + 512), &now);
        assert_eq!(
            refusal(DeviceChange::GrowDisk { volume: VolumeId::new(), size_bytes: 2 << 30 }, &now).kind,
            ProblemKind::NotFound
        );
    }

    #[test]
    fn one_device_is_changed_once_at_a_time() {
        let (mut now, volume) = with_disk();
        let detach = DeviceChange::DetachDisk { volume, delete: false };
        change(VmId::new(), &detach, &now).expect("a disk of it");
        let work = DeviceWork::GrowDisk { volume, size_bytes: 2 << 30 };
        let request = DeviceRequest { task: TaskId::new(), late: false, work };
        now.vm.as_mut().expect("a machine").spec.hardware.changes.push(request);
        assert_eq!(refusal(detach, &now).kind, ProblemKind::WrongState);
    }

    #[test]
    fn devices_have_limits_and_cards_an_address_of_their_own() {
        let (mut now, _) = with_disk();
        let blank = NewDisk::Blank {
            size_bytes: 1 << 30,
            format: DiskFormat::Qcow2,
            bus: DiskBus::Virtio,
            options: DiskOptions::default(),
        };
        let attach = DeviceChange::AttachDisk { id: VolumeId::new(), disk: blank };
        change(VmId::new(), &attach, &now).expect("room for a disk");
        let network = sample::nat("lan", "10.9.0.0/24");
        now.networks.insert(network.id, network.clone());
        let nic = |mac: &str| NewNic {
            network: network.id,
            mac: Some(mac.into()),
            model: NicModel::Virtio,
            options: NicOptions::default(),
        };
        let card = |mac: &str| DeviceChange::AttachNic { nic: nic(mac) };
        change(VmId::new(), &card("52:54:00:00:00:01"), &now).expect("a card");
        let mut other = sample::vm("db");
        other.spec.nics = vec![VmNic {
            network: network.id,
            mac: "52:54:00:00:00:01".into(),
            model: NicModel::Virtio,
            slot: None,
            unplugged: false,
            options: NicOptions::default(),
        }];
        now.vms = vec![other];
        assert!(refusal(card("52:54:00:00:00:01"), &now).at("/mac").expect("the field").contains("db"));
        refusal(card("01:00:00:00:00:00"), &now).at("/mac").expect("the field");
        let vm = now.vm.as_mut().expect("a machine");
        vm.spec.disks = vec![vm.spec.disks[0].clone(); DISKS_MAX];
        assert!(refusal(attach, &now).detail.contains("the most"));
    }
}
