//! Rules for copies of machines, and for templates.

use super::power::{pending, settled};
use super::{Fields, list_names};
use crate::snapshot::Snapshot;
use hostd_types::name::{check_description, check_name};
use hostd_types::*;

/// May this copy be made?
pub(super) fn clone(source: VmId, copy: &CloneVm, now: &Snapshot) -> Result<(), Problem> {
    let vm = settled(source, now)?;
    let name = &vm.spec.name;
    let mut wrong = Fields::default();
    wrong.check("/name", check_name(&copy.name));
    if let Some(text) = &copy.description {
        wrong.check("/description", check_description(text));
    }
    if copy.quiesce {
        wrong.check("/quiesce", check_quiesce(vm, copy));
    }
    if let Some(id) = copy.snapshot {
        wrong.check("/snapshot", check_snapshot(vm, id, now));
    }
    crate::customize::check_copy(&mut wrong, copy, vm);
    if let Some(filing) = &copy.filing {
        super::organize::check_new(&mut wrong, filing);
    }
    wrong.done()?;
    if vm.status.state == VmState::Unknown && copy.snapshot.is_none() {
        let detail =
            format!("It is not known what {name} does, because libvirt does not answer; try again later.");
        return Err(Problem::new(ProblemKind::Unavailable, detail));
    }
    Ok(())
}

fn check_quiesce(vm: &Vm, copy: &CloneVm) -> Result<(), String> {
    if copy.snapshot.is_some() {
        return Err(
            "A snapshot holds what it holds; only a guest that runs can be asked to write everything out. \
                    Leave this out."
                .into(),
        );
    }
    if vm.status.state != VmState::Running {
        return Err(format!(
            "{} is {}: only a guest that runs can be asked to write everything out. Leave this out.",
            vm.spec.name,
            vm.status.state.as_str()
        ));
    }
    Ok(())
}

fn check_snapshot(vm: &Vm, id: SnapshotId, now: &Snapshot) -> Result<(), String> {
    let Some(snapshot) = now.snapshots.iter().find(|snapshot| snapshot.id == id) else {
        let names = list_names(now.snapshots.iter().map(|snapshot| snapshot.spec.name.as_str()));
        return Err(match names.as_str() {
            "" => format!("{} has no snapshot.", vm.spec.name),
            names => format!("{} has no such snapshot; it has {names}.", vm.spec.name),
        });
    };
    let name = &snapshot.spec.name;
    match snapshot.status.phase {
        Phase::Ready => Ok(()),
        Phase::Creating => Err(format!("The snapshot {name} is being taken; wait for it.")),
        Phase::Deleting if snapshot.status.stopped => Err(format!(
            "The merge of {name} was stopped when it had begun, so that it holds no one moment any more. Choose another snapshot, \
             and delete this one again to merge the rest."
        )),
        Phase::Deleting => Err(format!("The snapshot {name} is being deleted.")),
    }
}

/// May the machine become a template, or the template a machine?
pub(super) fn set_template(id: VmId, template: bool, now: &Snapshot) -> Result<(), Problem> {
    let vm = settled(id, now)?;
    let name = &vm.spec.name;
    if !template || vm.spec.lineage.template {
        return Ok(());
    }
    let state = vm.status.state;
    if state.is_active() || pending(vm).is_some() {
        let detail =
            format!("{name} is {}; shut it down first. A template is a machine that is off.", state.as_str());
        return Err(Problem::wrong_state(detail));
    }
    if let Some(device) = vm.spec.hardware.host_devices.first() {
        let detail = format!("{name} has the {} of its host; detach it first.", device.described());
        return Err(Problem::wrong_state(detail));
    }
    Ok(())
}

/// Refuses what a template can't do; `what` completes "can't be …".
pub(super) fn no_template(vm: &Vm, what: &str) -> Result<(), Problem> {
    if !vm.spec.lineage.template {
        return Ok(());
    }
    let detail = format!(
        "{} is a template, which can't be {what}. Make a machine of it again, or clone it.",
        vm.spec.name
    );
    Err(Problem::wrong_state(detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    fn refusal(vm: &Vm, copy: CloneVm) -> Problem {
        let now = Snapshot { vm: Some(vm.clone()), ..Snapshot::default() };
        clone(vm.id, &copy, &now).expect_err("a refusal")
    }

    #[test]
    fn each_wrong_field_of_a_copy_is_named() {
        let vm = sample::vm("web");
        let good = || CloneVm { name: "web2".into(), ..CloneVm::default() };
        let now = Snapshot { vm: Some(vm.clone()), ..Snapshot::default() };
        clone(vm.id, &good(), &now).expect("a copy of a machine that is off");
        for (copy, pointer) in [
            (CloneVm { name: "../x".into(), ..good() }, "/name"),
            (CloneVm { description: Some("x".repeat(5000)), ..good() }, "/description"),
            (CloneVm { quiesce: true, ..good() }, "/quiesce"),
            (CloneVm { snapshot: Some(SnapshotId::new()), ..good() }, "/snapshot"),
            (
                CloneVm {
                    customization: Some(Customization {
                        timezone: "Mars".into(),
                        ..Customization::default()
                    }),
                    ..good()
                },
                "/customization/timezone",
            ),
        ] {
            assert!(refusal(&vm, copy).at(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn a_snapshot_that_is_half_merged_is_no_source_and_says_what_to_do() {
        let vm = sample::vm("web");
        let mut half = sample::snapshot(&vm);
        (half.status.phase, half.status.stopped) = (Phase::Deleting, true);
        let copy = CloneVm { name: "web2".into(), snapshot: Some(half.id), ..CloneVm::default() };
        let now = Snapshot { vm: Some(vm.clone()), snapshots: vec![half], ..Snapshot::default() };
        let refused = clone(vm.id, &copy, &now).expect_err("half merged");
        assert!(refused.at("/snapshot").expect("the field").contains("delete this one again"), "{refused}");
    }

    #[test]
    fn a_copy_can_be_deleted_before_it_is_made() {
        let mut vm = sample::vm("web2");
        vm.status.phase = Phase::Creating;
        let delete = |vm: &Vm| {
            crate::admit::power::delete(vm.id, &Snapshot { vm: Some(vm.clone()), ..Snapshot::default() })
        };
        assert!(delete(&vm).expect_err("a new machine").detail.contains("wait for it"));
        vm.spec.lineage.source = Some(CloneSource {
            vm: VmId::new(),
            name: "web".into(),
            snapshot: None,
            mode: CloneMode::Full,
            left_out: Vec::new(),
        });
        delete(&vm).expect("the copy stops");
        vm.spec.deleting = Some(Deletion { disks: true, task: TaskId::new() });
        assert!(delete(&vm).is_err(), "once");
    }

    #[test]
    fn a_template_is_off_and_stays_off() {
        let mut vm = sample::vm("web");
        let ask = |vm: &Vm, template| {
            set_template(vm.id, template, &Snapshot { vm: Some(vm.clone()), ..Snapshot::default() })
        };
        ask(&vm, true).expect("it is off");
        vm.status.state = VmState::Running;
        assert!(ask(&vm, true).expect_err("it runs").detail.contains("shut it down first"));
        vm.status.state = VmState::Off;
        vm.spec.lineage.template = true;
        ask(&vm, false).expect("back");
        assert!(no_template(&vm, "started").expect_err("a template").detail.contains("clone it"));
        let now = Snapshot { vm: Some(vm.clone()), ..Snapshot::default() };
        let start = crate::admit::power::power(vm.id, PowerAction::Start, 0, &now);
        assert_eq!(start.expect_err("a template").kind, ProblemKind::WrongState);
    }
}
