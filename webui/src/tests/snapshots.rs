//! The page of a machine's snapshots.

use super::every_page::{Pages, html};
use super::sample::*;
use crate::forms::snapshot::SnapshotForm;
use crate::page::Refusal;
use crate::pages::vm_snapshots::SnapshotsPage;
use crate::visit::Section;
use hostd_core::*;
use hostd_types::*;

/// A machine without snapshots.
fn no_snapshots() -> SnapshotsView {
    SnapshotsView {
        current: None,
        reverting_to: None,
        snapshots: Vec::new(),
        debt: Vec::new(),
        chain: 1,
        chain_max: LAYERS_MAX,
    }
}

/// A tree of snapshots with a branch, one of them being deleted, and a layer that is still to be merged.
pub(super) fn snapshots(name: &str, vm: &Vm) -> SnapshotsView {
    let snapshot = |depth, parent, phase| {
        let spec = SnapshotSpec {
            name: name.into(),
            description: name.into(),
            vm: vm.id,
            host: vm.spec.host,
            parent,
            quiesce: true,
            memory: depth == 0,
            layers: LayerMap::new(),
            next: LayerMap::new(),
            machine: Box::new(vm.spec.clone()),
            task: None,
            for_copies: false,
        };
        let taken_at = Some(Timestamp::now().plus_seconds(-3600));
        let status = SnapshotStatus {
            phase,
            taken_at,
            running: true,
            quiesced: depth == 0,
            memory_bytes: (depth == 0).then_some(94 << 20),
            stopped: phase == Phase::Deleting,
        };
        let snapshot = Snapshot { id: SnapshotId::new(), meta: meta(), spec, status };
        let named = vec![snapshot.spec.name.clone()];
        SnapshotView { gone: named.clone(), detaches: named, snapshot, size_bytes: Some(731 << 20), depth }
    };
    let root = snapshot(0, None, Phase::Ready);
    let left = snapshot(1, Some(root.snapshot.id), Phase::Ready);
    let right = snapshot(1, Some(root.snapshot.id), Phase::Deleting);
    let debt = LayerDebt {
        volume: VolumeId::new(),
        volume_name: name.into(),
        layer: LayerId::new(),
        size_bytes: Some(4 << 30),
        branches: 2,
        reason: format!("2 branches start from it{name}"),
    };
    SnapshotsView {
        current: Some(left.snapshot.id),
        snapshots: vec![root, left, right],
        debt: vec![debt],
        chain: 4,
        ..no_snapshots()
    }
}

pub(super) fn snapshot_pages(text: &str) -> Pages {
    let name = format!("web-1{text}");
    let kept = |state, filled: bool, refusal| {
        let (layout, detail) = (layout("vm-snapshots", Section::Vms, text), detail(&name, state));
        let form = SnapshotForm { name: name.clone(), description: name.clone(), ..SnapshotForm::default() };
        let view = if filled { snapshots(&name, &detail.vm) } else { no_snapshots() };
        html(SnapshotsPage { layout, refusal, detail, view, form })
    };
    let wrong = Refusal(Some(problem(ProblemKind::Invalid, text)));
    vec![
        ("vm-snapshots", kept(VmState::Running, true, Refusal::default())),
        ("vm-snapshots-none", kept(VmState::Off, false, Refusal::default())),
        ("vm-snapshots-wrong", kept(VmState::Off, true, wrong)),
    ]
}

#[test]
fn the_tree_says_where_the_machine_is_and_what_is_lost() {
    let pages = snapshot_pages("");
    let html = |name: &str| &pages.iter().find(|(n, _)| *n == name).expect(name).1;
    let tree = html("vm-snapshots");
    assert_eq!(tree.matches("data-here").count(), 1);
    assert_eq!(
        tree.matches("What was written since the newest snapshot is lost").count(),
        2,
        "two can be gone back to"
    );
    assert!(tree.contains("With memory, 94 MiB") && tree.contains("Merge the rest"));
    assert_eq!(tree.matches("The guest goes on from its memory").count(), 1, "only of the one that keeps it");
    assert!(tree.contains("switched off like by pulling the plug") && tree.contains("data-debt"));
    assert_eq!(tree.matches("data-detaches").count(), 2, "before going back");
    assert_eq!(tree.matches("data-stopped").count(), 1, "why it can't be gone back to, and the way out");
    assert!(!html("vm-snapshots-none").contains("data-here"));
}
