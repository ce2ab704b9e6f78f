//! Volumes of new machines whose making failed: their machine's creation is undone for it. In memory only; after a
//! restart making them is tried again and fails again.

use hostd_types::{Problem, VolumeId};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Failed volumes with the reason.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<HashMap<VolumeId, Problem>>);

impl Faults {
    fn map(&self) -> MutexGuard<'_, HashMap<VolumeId, Problem>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Making `volume` failed.
    pub fn note_volume(&self, volume: VolumeId, problem: Problem) {
        self.map().insert(volume, problem);
    }
    /// Why making `volume` failed, if it did.
    pub fn volume(&self, volume: VolumeId) -> Option<Problem> {
        self.map().get(&volume).cloned()
    }
    /// All that failed.
    pub fn volumes(&self) -> BTreeSet<VolumeId> {
        self.map().keys().copied().collect()
    }
    /// It is gone.
    pub fn forget_volume(&self, volume: VolumeId) {
        self.map().remove(&volume);
    }
}
