//! Tables of what is done about devices.

use super::*;

fn request(work: DeviceWork, late: bool) -> DeviceRequest {
    DeviceRequest { task: TaskId::new(), late, work }
}

fn seen(request: &DeviceRequest) -> Change<'_> {
    Change { request, there: false, right: false, hot: true, disk: Disk::Ready, wait: Wait::None }
}

fn attach() -> DeviceWork {
    DeviceWork::AttachDisk { volume: VolumeId::new(), made: true }
}

fn detach() -> DeviceWork {
    let disk = VmDisk {
        volume: VolumeId::new(),
        bus: DiskBus::Virtio,
        slot: Some(1),
        options: DiskOptions::default(),
    };
    DeviceWork::DetachDisk { disk, index: 1, delete: false }
}

fn ends(step: Option<Step>) -> ChangeEnd {
    match step {
        Some(Step::EndChange(_, end)) => end,
        other => panic!("it did not end: {other:?}"),
    }
}

#[test]
fn a_disk_is_plugged_in_when_it_is_made_and_done_when_it_is_seen() {
    let attach = request(attach(), false);
    let acts = Some(Step::Device { task: attach.task, on: true });
    assert_eq!(step(&seen(&attach), true, "web"), acts);
    let making = Change { disk: Disk::Making, ..seen(&attach) };
    assert_eq!(step(&making, true, "web"), None);
    assert_eq!(step(&Change { wait: Wait::Running, ..seen(&attach) }, true, "web"), None);
    for (there, on, hot) in [(true, true, true), (true, false, true), (false, true, false)] {
        let end = ends(step(&Change { there, hot, ..seen(&attach) }, on, "web"));
        assert_eq!(end, ChangeEnd::Done, "{there} {on} {hot}");
    }
    let full = Problem::new(ProblemKind::Capacity, "full");
    let failed = Change { disk: Disk::Failed(full.clone()), ..seen(&attach) };
    assert_eq!(ends(step(&failed, true, "web")), ChangeEnd::Failed { problem: full });
}

#[test]
fn a_guest_that_does_not_let_go_is_told_of_and_asked_again() {
    let fresh = request(detach(), false);
    let there = Change { there: true, ..seen(&fresh) };
    assert_eq!(step(&there, true, "web"), Some(Step::Device { task: fresh.task, on: true }));
    assert_eq!(step(&Change { wait: Wait::Running, ..there.clone() }, true, "web"), None);
    let over = Change { wait: Wait::Over, ..there.clone() };
    let ChangeEnd::Later { problem: Some(problem) } = ends(step(&over, true, "web")) else { panic!("later") };
    assert!(problem.detail.contains("next power-off"), "{problem}");
    let late = request(detach(), true);
    let again = Change { there: true, wait: Wait::Over, ..seen(&late) };
    assert_eq!(step(&again, true, "web"), Some(Step::Device { task: late.task, on: true }));
    assert_eq!(step(&Change { wait: Wait::Running, ..again }, true, "web"), None);
    assert_eq!(ends(step(&seen(&late), true, "web")), ChangeEnd::Done);
}

#[test]
fn what_can_t_be_pulled_out_waits_for_the_power_off_without_a_failure() {
    let fresh = request(detach(), false);
    let fixed = Change { there: true, hot: false, ..seen(&fresh) };
    assert_eq!(ends(step(&fixed, true, "web")), ChangeEnd::Later { problem: None });
    let late = request(detach(), true);
    assert_eq!(step(&Change { there: true, hot: false, ..seen(&late) }, true, "web"), None);
}

#[test]
fn a_card_is_changed_until_it_is_right() {
    let before = VmNic {
        network: NetworkId::new(),
        mac: "52:54:00:00:00:01".into(),
        model: NicModel::Virtio,
        slot: Some(0),
        unplugged: false,
        options: NicOptions::default(),
    };
    let edit = request(DeviceWork::EditNic { before }, false);
    let there = Change { there: true, ..seen(&edit) };
    assert_eq!(step(&there, true, "web"), Some(Step::Device { task: edit.task, on: true }));
    assert_eq!(ends(step(&Change { right: true, ..there.clone() }, true, "web")), ChangeEnd::Done);
    assert_eq!(ends(step(&there, false, "web")), ChangeEnd::Done);
}

#[test]
fn a_disk_is_limited_until_it_is_right_and_one_that_is_off_needs_nothing() {
    let before = VmDisk {
        volume: VolumeId::new(),
        bus: DiskBus::Virtio,
        slot: Some(0),
        options: DiskOptions::default(),
    };
    let edit = request(DeviceWork::EditDisk { before }, false);
    let there = Change { there: true, ..seen(&edit) };
    assert_eq!(step(&there, true, "web"), Some(Step::Device { task: edit.task, on: true }));
    assert_eq!(ends(step(&Change { right: true, ..there.clone() }, true, "web")), ChangeEnd::Done);
    assert_eq!(ends(step(&there, false, "web")), ChangeEnd::Done);
    assert_eq!(ends(step(&seen(&edit), true, "web")), ChangeEnd::Done, "it is not in the machine yet");
}
