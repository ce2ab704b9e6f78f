//! Who works on the layers of a machine's disks: merges, several at a time, or one change of the machine that needs them
//! to hold still. In memory only; a merge that is cut goes on later.

use hostd_types::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Time before a merge that failed is tried again.
const REST: Duration = Duration::from_secs(60);

/// The layers of one machine's disks, or of a disk without a machine.
#[derive(Debug, Default)]
struct Owner {
    lock: Arc<RwLock<()>>,
    stop: CancellationToken,
    /// How many wait to hold them.
    waiting: usize,
}

/// Why a merge failed.
#[derive(Debug)]
struct Fault {
    problem: Problem,
    /// Its place among all failures.
    number: u64,
    rests_until: Instant,
}

#[derive(Debug, Default)]
struct Memory {
    owners: HashMap<Uuid, Owner>,
    /// Machines paused for a moment, so that a layer can be taken out.
    paused: HashMap<VmId, usize>,
    /// Disks whose merge failed.
    faults: HashMap<VolumeId, Fault>,
    /// How many merges failed.
    failed: u64,
    /// Deletions under way, with how many merges had failed when they were first seen.
    asked: HashMap<SnapshotId, u64>,
}

/// The work on layers of this host.
#[derive(Debug, Default)]
pub(crate) struct Merges {
    memory: Mutex<Memory>,
    bell: Mutex<Option<Arc<Notify>>>,
}

/// A merge may work until `stop` is cancelled.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Somebody needs the layers to hold still.
    pub stop: CancellationToken,
    _guard: OwnedRwLockReadGuard<()>,
}

/// No merge works on the layers.
#[derive(Debug)]
pub(crate) struct Hold {
    guard: Option<OwnedRwLockWriteGuard<()>>,
    bell: Option<Arc<Notify>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.guard = None;
        if let Some(bell) = &self.bell {
            bell.notify_one();
        }
    }
}

/// Somebody waits for a [`Hold`]; one who gives up waits no more.
struct Waits<'a>(&'a Merges, Uuid);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if let Some(owner) = self.0.memory().owners.get_mut(&self.1) {
            owner.waiting -= 1;
        }
    }
}

/// A machine is paused for a moment; its state is not told.
pub(crate) struct Pause<'a>(&'a Merges, VmId);

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let mut memory = self.0.memory();
        if let Some(count) = memory.paused.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                memory.paused.remove(&self.1);
            }
        }
    }
}

/// Whose layers those of `volume` are.
fn owner_of(volume: &Volume) -> Uuid {
    volume.spec.vm.map_or_else(|| volume.id.uuid(), |vm| vm.uuid())
}

impl Merges {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is told when layers can be worked on again.
    pub fn tell(&self, bell: &Arc<Notify>) {
        *self.bell.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(bell));
    }

    /// A turn to work on the layers of `volume`; none while they must hold still.
    pub fn begin(&self, volume: &Volume) -> Option<Turn> {
        let mut memory = self.memory();
        let owner = memory.owners.entry(owner_of(volume)).or_default();
        if owner.waiting > 0 {
            return None;
        }
        let guard = Arc::clone(&owner.lock).try_read_owned().ok()?;
        Some(Turn { stop: owner.stop.clone(), _guard: guard })
    }

    /// Stops the merges of a machine's disks, or of a disk without a machine, and keeps new ones from beginning.
    pub async fn hold(&self, of: Uuid) -> Hold {
        let lock = {
            let mut memory = self.memory();
            let owner = memory.owners.entry(of).or_default();
            owner.waiting += 1;
            owner.stop.cancel();
            owner.stop = CancellationToken::new();
            Arc::clone(&owner.lock)
        };
        let _waits = Waits(self, of);
        let guard = lock.write_owned().await;
        let bell = self.bell.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Hold { guard: Some(guard), bell }
    }

    /// Marks a machine as paused for a moment, until the answer is dropped.
    pub fn pause(&self, vm: VmId) -> Pause<'_> {
        *self.memory().paused.entry(vm).or_default() += 1;
        Pause(self, vm)
    }

    /// The machine is paused for a moment.
    pub fn paused(&self, vm: VmId) -> bool {
        self.memory().paused.contains_key(&vm)
    }

    /// A merge of `volume` failed.
    pub fn note(&self, volume: VolumeId, problem: Problem) {
        let mut memory = self.memory();
        memory.failed += 1;
        let number = memory.failed;
        memory.faults.insert(volume, Fault { problem, number, rests_until: Instant::now() + REST });
    }

    /// A merge of `volume` went well.
    pub fn forget(&self, volume: VolumeId) {
        self.memory().faults.remove(&volume);
    }

    /// Why the last merge of `volume` failed.
    pub fn fault(&self, volume: VolumeId) -> Option<Problem> {
        self.memory().faults.get(&volume).map(|fault| fault.problem.clone())
    }

    /// Why a merge of one of `volumes` failed since the deletion of `snapshot` was first asked about. An older failure is
    /// none of its business: what rested after one is tried again at once.
    pub fn fault_since(&self, snapshot: SnapshotId, volumes: &[VolumeId]) -> Option<Problem> {
        let mut memory = self.memory();
        let failed = memory.failed;
        let before = memory.asked.get(&snapshot).copied();
        let Some(before) = before else {
            memory.asked.insert(snapshot, failed);
            for volume in volumes {
                if let Some(fault) = memory.faults.get_mut(volume) {
                    fault.rests_until = Instant::now();
                }
            }
            return None;
        };
        let newer = |volume: &VolumeId| memory.faults.get(volume).filter(|fault| fault.number > before);
        volumes.iter().find_map(newer).map(|fault| fault.problem.clone())
    }

    /// The deletion of `snapshot` has ended or was stopped.
    pub fn settled(&self, snapshot: SnapshotId) {
        self.memory().asked.remove(&snapshot);
    }

    /// How long a merge of `volume` that failed rests.
    pub fn rests(&self, volume: VolumeId) -> Option<Duration> {
        let memory = self.memory();
        let left = memory.faults.get(&volume)?.rests_until.saturating_duration_since(Instant::now());
        Some(left).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    #[tokio::test]
    async fn who_gives_up_waiting_holds_nothing() {
        let merges = Merges::default();
        let volume = sample::volume("data");
        let turn = merges.begin(&volume).expect("a turn");
        tokio::select! {
            biased;
            _ = merges.hold(volume.id.uuid()) => panic!("held beside a merge"),
            () = turn.stop.cancelled() => {}
        }
        drop(turn);
        merges.begin(&volume).expect("nobody waits any more");
    }

    #[tokio::test]
    async fn what_holds_the_layers_still_stops_merges_and_lets_them_go_on() {
        let merges = Arc::new(Merges::default());
        let bell = Arc::new(Notify::new());
        merges.tell(&bell);
        let vm = VmId::new();
        let mut volume = sample::volume("data");
        volume.spec.vm = Some(vm);
        let (one, two) = (merges.begin(&volume).expect("a turn"), merges.begin(&volume).expect("another"));
        let waiting = tokio::spawn({
            let merges = Arc::clone(&merges);
            async move { merges.hold(vm.uuid()).await }
        });
        one.stop.cancelled().await;
        assert!(merges.begin(&volume).is_none(), "somebody waits");
        drop((one, two));
        let hold = waiting.await.expect("held");
        assert!(merges.begin(&volume).is_none(), "held");
        drop(hold);
        bell.notified().await;
        assert!(!merges.begin(&volume).expect("a turn").stop.is_cancelled());
        assert!(!merges.paused(vm));
        let pause = merges.pause(vm);
        assert!(merges.paused(vm));
        drop(pause);
        assert!(!merges.paused(vm));
        merges.note(volume.id, Problem::wrong_state("full"));
        assert!(merges.rests(volume.id).is_some());
        // A deletion does not end by what failed before it was asked for, and gets a try of its own.
        let snapshot = SnapshotId::new();
        assert!(merges.fault_since(snapshot, &[volume.id]).is_none());
        assert!(merges.fault_since(snapshot, &[volume.id]).is_none() && merges.rests(volume.id).is_none());
        merges.note(volume.id, Problem::wrong_state("still full"));
        let fault = merges.fault_since(snapshot, &[volume.id]).expect("its own");
        assert_eq!(fault.detail, "still full");
        merges.settled(snapshot);
        assert!(merges.fault_since(snapshot, &[volume.id]).is_none());
        merges.forget(volume.id);
        assert!(merges.fault(volume.id).is_none());
    }
}
