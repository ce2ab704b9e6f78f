//! What becomes of the layers of volumes.

use super::lookup::refuse;
use super::scope::Scope;
use super::{Done, Step};
use hostd_types::*;
use std::collections::BTreeSet;

/// Refuses a new layer over the active one of a volume that has too many already.
pub(crate) fn check_room(scope: &Scope<'_>, volume: VolumeId, next: LayerId) -> Step {
    check_fresh(scope, volume, next)?;
    let volume = scope.get::<Volume>(volume)?;
    let name = &volume.spec.name;
    if volume.status.phase != Phase::Ready {
        return Err(Problem::wrong_state(format!("The disk {name} is not ready; wait for it.")).into());
    }
    let layers = &volume.spec.layers;
    let depth = depth(scope, &volume, layers.active)?;
    if depth >= LAYERS_MAX {
        let own = layers.chain(layers.active).len();
        let detail = if own == depth {
            format!(
                "The disk {name} has {LAYERS_MAX} layers one over the other, which is the most. Delete a snapshot first; \
                 older ones shorten the chain as well as newer ones."
            )
        } else {
            format!(
                "The disk {name} has {LAYERS_MAX} layers one over the other, which is the most; {} of them are what it is a \
                 linked clone of. Delete a snapshot first, or make a full clone.",
                depth - own
            )
        };
        return Err(refuse(ProblemKind::Capacity, "", detail));
    }
    Ok(())
}

/// How many layers what `layer` of `volume` shows is read from: its own, and those of the disks that it is a linked clone of.
pub(crate) fn depth(scope: &Scope<'_>, volume: &Volume, layer: LayerId) -> Step<usize> {
    let mut count = volume.spec.layers.chain(layer).len();
    let mut under = volume.spec.origin.clone();
    while let Some(origin) = under.filter(|origin| origin.linked) {
        let Some(source) = scope.find::<Volume>(origin.volume)? else { break };
        let layer = origin.layer.unwrap_or(source.spec.layers.active);
        count += source.spec.layers.chain(layer).len();
        under = source.spec.origin;
    }
    Ok(count)
}

/// Refuses a layer whose id is in use.
pub(crate) fn check_fresh(scope: &Scope<'_>, volume: VolumeId, next: LayerId) -> Step {
    let layers = scope.get::<Volume>(volume)?.spec.layers;
    if layers.has(next) || layers.gone.contains(&next) {
        return Err(Problem::new(ProblemKind::Conflict, "A layer with this id is there already.").into());
    }
    Ok(())
}

/// Layers that were planned are not wanted any more; their files go.
pub(crate) fn give_up(scope: &mut Scope<'_>, planned: &LayerMap) -> Step {
    for (id, next) in planned {
        let Some(mut volume) = scope.find::<Volume>(*id)? else { continue };
        if !volume.spec.layers.has(*next) {
            volume.spec.layers.gone.insert(*next);
            scope.update(&volume)?;
        }
    }
    Ok(())
}

/// Layers that were planned may be written to by now.
pub(crate) fn put_over_active(scope: &mut Scope<'_>, planned: &LayerMap) -> Step {
    for (id, next) in planned {
        let mut volume = scope.get::<Volume>(*id)?;
        let held = volume.spec.layers.active;
        volume.spec.layers.put(*next, held);
        scope.update(&volume)?;
    }
    Ok(())
}

pub(crate) fn merged(scope: &mut Scope<'_>, id: VolumeId, upper: LayerId) -> Step<Done> {
    let mut volume = scope.get::<Volume>(id)?;
    let owned = scope.settled_layers(&volume)?;
    if !mergeable(&volume.spec.layers, &owned, upper) {
        let detail = format!("The layer {upper} of {} is not to be merged.", volume.spec.name);
        return Err(Problem::wrong_state(detail).into());
    }
    let Some(lower) = volume.spec.layers.merge(upper) else { return Ok(Done::about(volume.subject())) };
    scope.update(&volume)?;
    if let Some(vm) = volume.spec.vm {
        for mut snapshot in scope.snapshots_of(vm)? {
            match snapshot.spec.layers.get(&id) {
                // What it held is not to be told apart any more.
                Some(layer) if *layer == lower => snapshot.spec.layers.remove(&id),
                Some(layer) if *layer == upper => snapshot.spec.layers.insert(id, lower),
                Some(_) | None => continue,
            };
            scope.update(&snapshot)?;
        }
    }
    scope.origins_merged(id, upper, lower)?;
    scope.shed(id)?;
    let subject = volume.subject();
    scope.accepted(&subject, format!("layer {upper} into {lower}"))?;
    Ok(Done::about(subject))
}

/// `upper` is the only layer over one that no snapshot owns.
fn mergeable(layers: &Layers, owned: &BTreeSet<LayerId>, upper: LayerId) -> bool {
    let Some(lower) = layers.over.get(&upper) else { return false };
    !owned.contains(lower) && layers.children(*lower).eq([upper])
}

pub(crate) fn dropped(scope: &mut Scope<'_>, id: VolumeId, layer: LayerId) -> Step<Done> {
    let mut volume = scope.get::<Volume>(id)?;
    if volume.spec.layers.gone.remove(&layer) {
        scope.update(&volume)?;
    }
    Ok(Done::about(volume.subject()))
}

impl Scope<'_> {
    /// The layers of a volume that snapshots own or that other volumes come from.
    pub(crate) fn kept_layers(&self, volume: &Volume) -> Step<BTreeSet<LayerId>> {
        let mut kept = self.snapshot_layers(volume)?;
        kept.extend(pinned_layers(volume, &self.copies_of(volume.id)?));
        Ok(kept)
    }

    /// The same without volumes that are still to be made: what was being merged when they were asked for is merged, and
    /// they are made from what comes out.
    fn settled_layers(&self, volume: &Volume) -> Step<BTreeSet<LayerId>> {
        let mut kept = self.snapshot_layers(volume)?;
        let copies = self.copies_of(volume.id)?;
        kept.extend(pinned_layers(volume, copies.iter().filter(|v| v.status.phase != Phase::Creating)));
        Ok(kept)
    }

    fn snapshot_layers(&self, volume: &Volume) -> Step<BTreeSet<LayerId>> {
        let Some(vm) = volume.spec.vm else { return Ok(BTreeSet::new()) };
        Ok(owned_layers(&self.snapshots_of(vm)?, volume.id))
    }

    /// Gives up layers of a volume that nobody can get back to.
    pub(crate) fn shed(&mut self, id: VolumeId) -> Step {
        let mut volume = self.get::<Volume>(id)?;
        let owned = self.kept_layers(&volume)?;
        let before = volume.spec.layers.clone();
        volume.spec.layers.shed(&owned);
        if volume.spec.layers != before {
            self.update(&volume)?;
        }
        Ok(())
    }
}
