//! Volumes that come from others: which layers must stay as they are for them, and what becomes of these layers and the
//! snapshots that were taken for copies when nothing comes from them any more.

use super::lookup::enumerate;
use super::scope::Scope;
use super::{Step, snapshot_delete};
use crate::schema;
use hostd_types::*;
use std::collections::BTreeSet;

impl Scope<'_> {
    /// Volumes that come from `source`.
    pub(crate) fn copies_of(&self, source: VolumeId) -> Step<Vec<Volume>> {
        if schema::level(self.db)? < LIFE {
            return Ok(Vec::new());
        }
        let sql = "SELECT id FROM volume WHERE json_extract(spec, '$.origin.volume') = ?1 ORDER BY id";
        self.names(sql, source)?.into_iter().map(|id| self.get::<Volume>(id)).collect()
    }

    /// Volumes that come from the snapshot.
    fn copies_of_snapshot(&self, snapshot: SnapshotId) -> Step<Vec<Volume>> {
        let sql = "SELECT id FROM volume WHERE json_extract(spec, '$.origin.snapshot') = ?1 ORDER BY id";
        self.names(sql, snapshot)?.into_iter().map(|id| self.get::<Volume>(id)).collect()
    }

    /// What people know `volumes` by: their machines, or they themselves where they have none.
    fn owners(&self, volumes: &[Volume]) -> Step<String> {
        let mut names = BTreeSet::new();
        for volume in volumes {
            let vm = volume.spec.vm.map(|id| self.find::<Vm>(id)).transpose()?.flatten();
            names.insert(vm.map_or_else(|| format!("the volume {}", volume.spec.name), |vm| vm.spec.name));
        }
        Ok(enumerate(&names.into_iter().collect::<Vec<_>>()))
    }

    /// Refuses what would take away a layer that copies need; `what` begins the sentence. `needed` tells of the layers that one
    /// copy keeps whether they are among those.
    fn check_copies(&self, volume: &Volume, needed: impl Fn(&BTreeSet<LayerId>) -> bool, what: &str) -> Step {
        let copies = self.copies_of(volume.id)?;
        let of = |linked: bool| {
            let some: Vec<Volume> = copies
                .iter()
                .filter(|copy| copy.spec.origin.as_ref().is_some_and(|origin| origin.linked == linked))
                .filter(|copy| needed(&pinned_layers(volume, [*copy])))
                .cloned()
                .collect();
            some
        };
        let (linked, copied) = (of(true), of(false));
        let detail = match (linked.is_empty(), copied.is_empty()) {
            (true, true) => return Ok(()),
            (false, _) => format!(
                "{what}: the disks of linked clones are over it. These are {}. Delete them with their disks first.",
                self.owners(&linked)?
            ),
            (true, false) => format!(
                "{what}: it is being copied to {}. Wait until that is done, or cancel its task.",
                self.owners(&copied)?
            ),
        };
        Err(Problem::new(ProblemKind::Conflict, detail).into())
    }

    /// Refuses to give up `volume` while others come from it.
    pub(crate) fn check_no_copies(&self, volume: &Volume, what: &str) -> Step {
        self.check_copies(volume, |pinned| !pinned.is_empty(), what)
    }

    /// Refuses to give up the disks of a machine while others come from them.
    pub(crate) fn check_no_copies_of(&self, vm: &Vm, what: &str) -> Step {
        for disk in &vm.spec.disks {
            if let Some(volume) = self.find::<Volume>(disk.volume)? {
                self.check_no_copies(&volume, what)?;
            }
        }
        // Their layers are not known yet, and their snapshot is about to be there.
        let waiting = self.snapshots_of(vm.id)?.into_iter().filter(|s| s.status.phase == Phase::Creating);
        for snapshot in waiting {
            let copies = self.copies_of_snapshot(snapshot.id)?;
            if !copies.is_empty() {
                let detail = format!(
                    "{what}: it is being copied to {}. Wait until that is done, or cancel its task.",
                    self.owners(&copies)?
                );
                return Err(Problem::new(ProblemKind::Conflict, detail).into());
            }
        }
        Ok(())
    }

    /// Refuses to delete a snapshot whose layers others come from.
    pub(crate) fn check_snapshot_free(&self, snapshot: &Snapshot) -> Step {
        let what = format!("The snapshot {} can't be deleted", snapshot.spec.name);
        for (id, layer) in &snapshot.spec.layers {
            if let Some(volume) = self.find::<Volume>(*id)? {
                self.check_copies(&volume, |pinned| pinned.contains(layer), &what)?;
            }
        }
        Ok(())
    }

    /// The snapshot was taken: its layers are what was waited for.
    pub(crate) fn origins_taken(&mut self, snapshot: &Snapshot) -> Step {
        for mut volume in self.copies_of_snapshot(snapshot.id)? {
            let Some(origin) = &mut volume.spec.origin else { continue };
            if origin.layer.is_none() {
                origin.layer = snapshot.spec.layers.get(&origin.volume).copied();
                self.update(&volume)?;
            }
        }
        // Nobody may want it any more.
        self.drop_unneeded(snapshot.id)
    }

    /// The snapshot will not be there: what was to come from it can't be made.
    pub(crate) fn origins_failed(&mut self, snapshot: &Snapshot, problem: &Problem) -> Step {
        for mut volume in self.copies_of_snapshot(snapshot.id)? {
            volume.status.fault = Some(problem.detail.clone());
            self.update(&volume)?;
        }
        Ok(())
    }

    /// What `upper` of `source` held is in `lower` now. Volumes that are about to be made from it are made from that one.
    pub(crate) fn origins_merged(&mut self, source: VolumeId, upper: LayerId, lower: LayerId) -> Step {
        for mut volume in self.copies_of(source)? {
            let Some(origin) = &mut volume.spec.origin else { continue };
            if origin.layer == Some(upper) {
                origin.layer = Some(lower);
                self.update(&volume)?;
            }
        }
        Ok(())
    }

    /// Nothing comes from `origin` for one volume any more; its row is gone, or says so.
    pub(crate) fn let_go(&mut self, origin: Option<VolumeOrigin>) -> Step {
        let Some(origin) = origin else { return Ok(()) };
        if let Some(snapshot) = origin.snapshot {
            self.drop_unneeded(snapshot)?;
        }
        if self.find::<Volume>(origin.volume)?.is_some() {
            self.shed(origin.volume)?;
        }
        Ok(())
    }

    /// Begins the deletion of a snapshot that was taken for copies when none comes from it.
    fn drop_unneeded(&mut self, id: SnapshotId) -> Step {
        let Some(snapshot) = self.find::<Snapshot>(id)? else { return Ok(()) };
        let over = snapshot.spec.for_copies && snapshot.status.phase == Phase::Ready;
        if !over || !self.copies_of_snapshot(id)?.is_empty() {
            return Ok(());
        }
        for (volume, layer) in &snapshot.spec.layers {
            // Copies of what came after it are over its layers, too; it goes with them.
            if let Some(volume) = self.find::<Volume>(*volume)?
                && pinned_layers(&volume, &self.copies_of(volume.id)?).contains(layer)
            {
                return Ok(());
            }
        }
        let Some(vm) = self.find::<Vm>(snapshot.spec.vm)? else { return Ok(()) };
        if vm.spec.snapshots.revert.as_ref().is_some_and(|revert| revert.snapshot == id) {
            return Ok(());
        }
        snapshot_delete::begin_deletion(self, snapshot, vm, None)
    }
}
