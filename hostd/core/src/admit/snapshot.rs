//! Rules for snapshots.

use super::Fields;
use crate::snapshot::Snapshot;
use hostd_types::command::NewSnapshot;
use hostd_types::name::check_name;
use hostd_types::*;

/// May this snapshot be taken?
pub(super) fn create(asked: &CreateSnapshot, now: &Snapshot) -> Result<(), Problem> {
    let vm =
        now.vm.as_ref().ok_or_else(|| Problem::new(ProblemKind::NotFound, "There is no such machine."))?;
    let mut wrong = Fields::default();
    wrong.check("/name", check_name(&asked.name));
    if asked.description.chars().count() > SNAPSHOT_TEXT_MAX {
        let most = format!("At most {SNAPSHOT_TEXT_MAX} characters fit.");
        wrong.add("/description", most);
    }
    if asked.include_memory
        && let Some(why) = no_memory(vm)
    {
        wrong.add("/include_memory", why);
    }
    if asked.include_memory && asked.quiesce {
        let detail = "With its memory nothing is lost of what the guest has not written yet, and a guest that was held still \
                      would go on so. Leave quiesce or include_memory out.";
        wrong.add("/quiesce", detail);
    } else if asked.quiesce && vm.status.state != VmState::Running {
        let detail = format!(
            "{} is {}: only a guest that runs can be asked to write everything out. Leave quiesce out.",
            vm.spec.name,
            vm.status.state.as_str()
        );
        wrong.add("/quiesce", detail);
    }
    wrong.done()?;
    may_change(vm)
}

/// Why a snapshot can't have the memory, and the ways out.
fn no_memory(vm: &Vm) -> Option<String> {
    let name = &vm.spec.name;
    if let Some(device) = vm.spec.hardware.host_devices.first() {
        return Some(format!(
            "{name} has the {}, whose state nobody can keep. Take a snapshot of the disks alone (leave include_memory out), \
             or detach the device first.",
            device.described()
        ));
    }
    if let Some(why) = super::share::no_memory(vm) {
        return Some(why);
    }
    if vm.spec.disks.iter().any(|disk| disk.bus == DiskBus::Nvme) {
        return Some(format!(
            "{name} has an NVMe disk, whose state QEMU can't keep. Take a snapshot of the disks alone (leave include_memory \
             out), or attach the disk to another bus."
        ));
    }
    match (vm.spec.cpu_mode, vm.status.state) {
        (CpuMode::Performance, _) => Some(
            "A guest can't go on from its memory in the CPU mode Performance. Take a snapshot of the disks alone (leave \
             include_memory out), or change the mode to Flexible; that applies at its next power-off."
                .into(),
        ),
        (CpuMode::Flexible, VmState::Running) => None,
        (CpuMode::Flexible, state) => Some(format!(
            "{} is {}: only a guest that runs has memory to keep. Leave include_memory out, or let it run first.",
            vm.spec.name,
            state.as_str()
        )),
    }
}

/// May the machine go back to this snapshot?
pub(super) fn revert(
    first: Option<&NewSnapshot>,
    start: bool,
    resume: bool,
    now: &Snapshot,
) -> Result<(), Problem> {
    let snapshot = ready(now)?;
    let vm = now.vm.as_ref().ok_or_else(|| Problem::not_found("virtual machine", snapshot.spec.vm))?;
    let mut wrong = Fields::default();
    if let Some(first) = first {
        wrong.check("/snapshot_first", check_name(&first.asked.name));
    }
    if resume && start {
        wrong.add(
            "/start",
            "A guest that goes on from its memory is not started anew. Leave start or resume out.",
        );
    }
    if resume && let Some(why) = super::snapshot_memory::no_resume(vm, snapshot) {
        wrong.add("/resume", why);
    }
    wrong.done()?;
    if !vm.spec.disks.iter().any(|disk| snapshot.spec.layers.contains_key(&disk.volume)) {
        let detail = format!("{} has none of the disks of the snapshot any more.", vm.spec.name);
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    may_change(vm)
}

/// May this snapshot be deleted?
pub(super) fn delete(id: SnapshotId, now: &Snapshot) -> Result<(), Problem> {
    let snapshot = now.snapshot.as_ref().ok_or_else(|| Problem::not_found("snapshot", id))?;
    if snapshot.status.stopped {
        return Ok(());
    }
    ready(now).map(drop)
}

fn ready(now: &Snapshot) -> Result<&hostd_types::Snapshot, Problem> {
    let none = || Problem::new(ProblemKind::NotFound, "There is no such snapshot.");
    let snapshot = now.snapshot.as_ref().ok_or_else(none)?;
    let name = &snapshot.spec.name;
    match snapshot.status.phase {
        Phase::Ready => Ok(snapshot),
        Phase::Creating => {
            Err(Problem::wrong_state(format!("The snapshot {name} is being taken; wait for it.")))
        }
        Phase::Deleting if snapshot.status.stopped => {
            let detail = format!(
                "The merge of {name} was stopped when it had begun: it can't be gone back to. Delete it again to merge the rest."
            );
            Err(Problem::wrong_state(detail))
        }
        Phase::Deleting => {
            Err(Problem::wrong_state(format!("The snapshot {name} is being deleted already.")))
        }
    }
}

fn may_change(vm: &Vm) -> Result<(), Problem> {
    let name = &vm.spec.name;
    if vm.spec.deleting.is_some() {
        return Err(Problem::wrong_state(format!("{name} is being deleted.")));
    }
    if vm.status.state == VmState::Unknown {
        let detail =
            format!("It is not known what {name} does, because libvirt does not answer; try again later.");
        return Err(Problem::new(ProblemKind::Unavailable, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    #[test]
    fn memory_quiescing_and_names_have_their_conditions() {
        let mut vm = sample::vm("web");
        let ask = |vm: &Vm, asked: CreateSnapshot| {
            create(&asked, &Snapshot { vm: Some(vm.clone()), ..Snapshot::default() })
        };
        let asked = CreateSnapshot { name: "before".into(), ..CreateSnapshot::default() };
        ask(&vm, asked.clone()).expect("disks of a machine that is off");
        let memory = CreateSnapshot { include_memory: true, ..asked.clone() };
        let refused = ask(&vm, memory.clone()).expect_err("it is off");
        assert!(refused.at("/include_memory").expect("the field").contains("Leave include_memory out"));
        vm.status.state = VmState::Running;
        ask(&vm, memory.clone()).expect("it runs");
        let both = CreateSnapshot { quiesce: true, ..memory.clone() };
        assert!(ask(&vm, both).expect_err("held still for ever").at("/quiesce").is_some());
        vm.spec.cpu_mode = CpuMode::Performance;
        let refused = ask(&vm, memory).expect_err("no memory");
        let detail = refused.at("/include_memory").expect("the field");
        assert!(detail.contains("disks alone") && detail.contains("Flexible"), "{detail}");
        vm.status.state = VmState::Off;
        let quiet = CreateSnapshot { quiesce: true, ..asked.clone() };
        assert!(ask(&vm, quiet.clone()).expect_err("off").at("/quiesce").is_some());
        vm.status.state = VmState::Running;
        ask(&vm, quiet).expect("it runs");
        let named = CreateSnapshot { name: "a/b".into(), description: "x".repeat(1001), ..asked.clone() };
        let refused = ask(&vm, named).expect_err("wrong fields");
        assert!(refused.at("/name").is_some() && refused.at("/description").is_some());
        vm.status.state = VmState::Unknown;
        assert_eq!(ask(&vm, asked).expect_err("unknown").kind, ProblemKind::Unavailable);
    }
}
