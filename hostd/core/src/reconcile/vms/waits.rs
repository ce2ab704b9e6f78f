//! What the machines' reconciler remembers between runs; losing it at a restart does no harm.

use super::plan::Wait;
use crate::admit::pending;
use hostd_types::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time before a definition that does not become as wanted is written again.
const STUCK_FOR: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
struct Memory {
    /// By machine: the request waited for and until when.
    waits: HashMap<VmId, (u64, Instant)>,
    /// By machine: the host's own start and until when its networks may come up.
    starts: HashMap<VmId, (u64, Instant)>,
    /// By machine: what was wrong with its definition when it was last written, and when that was.
    stuck: HashMap<VmId, (String, Instant)>,
    /// By machine and what it was asked for while it runs: until when that may take.
    asked: HashMap<(VmId, String), Instant>,
}

/// Deadlines of guests that were asked to shut down, and definitions that were just written.
#[derive(Debug, Clone, Default)]
pub(super) struct Waits(Arc<Mutex<Memory>>);

impl Waits {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// The guest of `vm` was asked; request `seq` waits until then.
    pub fn begin(&self, vm: VmId, seq: u64, until: Instant) {
        self.memory().waits.insert(vm, (seq, until));
    }
    /// Until when request `seq` waits, if it does.
    pub fn until(&self, vm: VmId, seq: u64) -> Option<Instant> {
        self.memory().waits.get(&vm).filter(|(waiting, _)| *waiting == seq).map(|(_, until)| *until)
    }
    /// The request ended.
    pub fn forget(&self, vm: VmId) {
        self.memory().waits.remove(&vm);
    }
    /// The earliest deadline that is still to come.
    pub fn next(&self) -> Option<Instant> {
        let (memory, now) = (self.memory(), Instant::now());
        let asked = memory.asked.values().filter(|until| **until > now);
        memory.waits.values().map(|(_, until)| until).chain(asked).min().copied()
    }
    /// `vm` was asked for `what` while it runs; that may take until then.
    pub fn ask(&self, vm: VmId, what: String, until: Instant) {
        self.memory().asked.insert((vm, what), until);
    }
    /// Where the wait for `what` is.
    pub fn asked(&self, vm: VmId, what: &str) -> Wait {
        match self.memory().asked.get(&(vm, what.to_owned())) {
            None => Wait::None,
            Some(until) if Instant::now() < *until => Wait::Running,
            Some(_) => Wait::Over,
        }
    }
    /// Forgets what was asked of machines that are gone or off.
    pub fn keep_asked(&self, vms: &[Vm]) {
        let on = |id: &VmId| vms.iter().any(|vm| vm.id == *id && vm.status.state.is_active());
        self.memory().asked.retain(|(id, _), _| on(id));
    }
    /// Until when start `seq`, made by the host itself, waits for networks; `left` is the time it has when it is first
    /// seen, so that a clock set meanwhile neither shortens nor prolongs it.
    pub fn patience(&self, vm: VmId, seq: u64, left: Duration) -> Instant {
        let mut memory = self.memory();
        let fresh = (seq, Instant::now() + left);
        let start = memory.starts.entry(vm).or_insert(fresh);
        if start.0 != seq {
            *start = fresh;
        }
        start.1
    }
    /// The definition of `vm` was written because of `fault`; if the same is found at the next look, it is told instead.
    pub fn stuck(&self, vm: VmId, fault: String) {
        self.memory().stuck.insert(vm, (fault, Instant::now()));
    }
    /// The definition was written because of the same `fault` already, and it made no difference.
    pub fn is_stuck(&self, vm: VmId, fault: &str) -> bool {
        let memory = self.memory();
        memory.stuck.get(&vm).is_some_and(|(tried, at)| tried == fault && at.elapsed() < STUCK_FOR)
    }
    /// The definition is as wanted.
    pub fn mended(&self, vm: VmId) {
        self.memory().stuck.remove(&vm);
    }
    /// Forgets machines that are gone and requests that ended.
    pub fn keep(&self, vms: &[Vm]) {
        let mut memory = self.memory();
        let by_id: HashMap<VmId, &Vm> = vms.iter().map(|vm| (vm.id, vm)).collect();
        let waits = |id: &VmId, (seq, _): &mut (u64, Instant)| {
            by_id.get(id).is_some_and(|vm| pending(vm).is_some_and(|request| request.seq == *seq))
        };
        memory.waits.retain(waits);
        memory.starts.retain(waits);
        memory.stuck.retain(|id, _| by_id.contains_key(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    #[test]
    fn deadlines_belong_to_one_request() {
        let waits = Waits::default();
        let mut vm = sample::vm("web");
        let until = Instant::now() + Duration::from_secs(5);
        waits.begin(vm.id, 3, until);
        assert_eq!(waits.until(vm.id, 3), Some(until));
        assert_eq!(waits.until(vm.id, 4), None);
        assert_eq!(waits.next(), Some(until));
        vm.spec.power = Some(PowerRequest {
            seq: 4,
            action: PowerAction::ForceOff,
            task: TaskId::new(),
            at: Timestamp::now(),
            deadline_s: 1,
        });
        waits.keep(std::slice::from_ref(&vm));
        assert_eq!(waits.next(), None);
        let patience = waits.patience(vm.id, 4, Duration::from_secs(120));
        assert_eq!(waits.patience(vm.id, 4, Duration::ZERO), patience);
        assert!(waits.patience(vm.id, 5, Duration::ZERO) < patience);
        waits.stuck(vm.id, "transient".into());
        assert!(waits.is_stuck(vm.id, "transient") && !waits.is_stuck(vm.id, "drift"));
        waits.mended(vm.id);
        assert!(!waits.is_stuck(vm.id, "transient"));
    }
}
