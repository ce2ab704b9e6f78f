//! The files a volume's data is in: a tree of layers, of which one is written to.

use crate::LayerId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// The layers of a volume. The base ([`LayerId::BASE`]) is the file that the volume was made with, and always there; every
/// other layer is a file that holds what was written since, over the layer it was put on. Only the active layer is written
/// to, and nothing is over it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Layers {
    /// The layer that the guest writes to.
    pub active: LayerId,
    /// Every layer but the base, with the one it is over.
    pub over: BTreeMap<LayerId, LayerId>,
    /// Layers that nothing needs any more; their files are being removed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub gone: BTreeSet<LayerId>,
}

impl Layers {
    /// There is the base alone, which is left out of rows.
    pub fn is_single(&self) -> bool {
        *self == Self::default()
    }

    /// The layer is there.
    pub fn has(&self, layer: LayerId) -> bool {
        layer == LayerId::BASE || self.over.contains_key(&layer)
    }

    /// The layers directly over `layer`.
    pub fn children(&self, layer: LayerId) -> impl Iterator<Item = LayerId> {
        self.over.iter().filter(move |(_, under)| **under == layer).map(|(id, _)| *id)
    }

    /// `layer` and what it is over, down to the base.
    pub fn chain(&self, layer: LayerId) -> Vec<LayerId> {
        let mut chain = vec![layer];
        let mut at = layer;
        while let Some(under) = self.over.get(&at).filter(|under| !chain.contains(under)) {
            chain.push(*under);
            at = *under;
        }
        chain
    }

    /// Puts `next` over `under` and makes it the active one. Fine when it is there already.
    pub fn put(&mut self, next: LayerId, under: LayerId) {
        self.over.insert(next, under);
        self.gone.remove(&next);
        self.active = next;
    }

    /// What `upper` held is in the layer under it now, which takes its place. Returns that layer; nothing when `upper` is
    /// not there.
    pub fn merge(&mut self, upper: LayerId) -> Option<LayerId> {
        let lower = self.over.remove(&upper)?;
        for under in self.over.values_mut().filter(|under| **under == upper) {
            *under = lower;
        }
        if self.active == upper {
            self.active = lower;
        }
        self.gone.insert(upper);
        Some(lower)
    }

    /// Gives up layers that hold nothing anybody can get back: not active, not in `owned`, and nothing over them.
    pub fn shed(&mut self, owned: &BTreeSet<LayerId>) {
        while let Some(leaf) = self.over.keys().copied().find(|layer| {
            *layer != self.active && !owned.contains(layer) && self.children(*layer).next().is_none()
        }) {
            self.over.remove(&leaf);
            self.gone.insert(leaf);
        }
    }

    /// Layers that no snapshot owns, under others: each goes as soon as exactly one is over it.
    pub fn debt(&self, owned: &BTreeSet<LayerId>) -> Vec<LayerId> {
        let ownerless = |layer: &LayerId| *layer != self.active && !owned.contains(layer);
        [LayerId::BASE].into_iter().chain(self.over.keys().copied()).filter(ownerless).collect()
    }

    /// The layer to merge next into the one it is over: the only one over a layer that no snapshot owns.
    pub fn next_merge(&self, owned: &BTreeSet<LayerId>) -> Option<LayerId> {
        self.debt(owned).into_iter().find_map(|lower| {
            let mut over = self.children(lower);
            over.next().filter(|_| over.next().is_none())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_without_an_owner_goes_when_one_is_left_over_it() {
        let [a, b, c] = [(); 3].map(|()| LayerId::new());
        let mut layers = Layers::default();
        assert!(layers.is_single() && layers.next_merge(&BTreeSet::new()).is_none());
        layers.put(a, LayerId::BASE);
        layers.put(b, a);
        // A revert to what the base held.
        layers.put(c, LayerId::BASE);
        assert_eq!(layers.chain(b), [b, a, LayerId::BASE]);
        let owned = BTreeSet::from([LayerId::BASE, a]);
        assert_eq!(layers.debt(&owned), [b]);
        layers.shed(&owned);
        assert_eq!((layers.has(b), layers.gone.contains(&b)), (false, true));
        assert_eq!(layers.next_merge(&owned), None);
        // The base loses its owner, but two layers are over it.
        let owned = BTreeSet::from([a]);
        assert_eq!((layers.debt(&owned), layers.next_merge(&owned)), (vec![LayerId::BASE], None));
        layers.shed(&BTreeSet::new());
        assert_eq!(layers.next_merge(&BTreeSet::new()), Some(c));
        assert_eq!(layers.merge(c), Some(LayerId::BASE));
        assert_eq!((layers.active, layers.over.len()), (LayerId::BASE, 0));
        assert_eq!(layers.merge(c), None);
        assert_eq!(layers.gone, BTreeSet::from([a, b, c]));
    }

    #[test]
    fn what_is_over_a_merged_layer_is_over_what_it_went_into() {
        let [a, b, c] = [(); 3].map(|()| LayerId::new());
        let mut layers = Layers::default();
        layers.put(a, LayerId::BASE);
        layers.put(b, a);
        layers.put(c, a);
        layers.merge(a);
        assert_eq!(layers.over, BTreeMap::from([(b, LayerId::BASE), (c, LayerId::BASE)]));
        assert_eq!(layers.active, c);
    }
}
