//! Starting machines when their host boots: once per boot, not at restarts of the daemon.

use crate::Core;
use crate::admit::pending;
use hostd_types::command::VmCommand;
use hostd_types::*;
use std::collections::{BTreeSet, HashSet};

/// Key in the host's own store: the boot whose machines were started, then the machines whose turn is still to come.
const KEY: &str = "autostarted_boot";

/// The machines of this boot whose turn is still to come; `None` before the first look.
#[derive(Debug, Default)]
pub(super) struct Autostart {
    waiting: Option<BTreeSet<VmId>>,
}

impl Autostart {
    /// Asks for the start of every machine that wants it and is off, each once it is in `settled`: its state is known
    /// and nothing is to do about it. One that never settles holds up no other. Answers how many.
    ///
    /// # Errors
    /// When the state can't be read or written; nothing is started twice then, because what runs is left out.
    pub async fn run(&mut self, core: &Core, vms: &[Vm], settled: &HashSet<VmId>) -> Result<usize, Problem> {
        let boot = core.boot_id();
        let waiting = match &mut self.waiting {
            Some(waiting) => waiting,
            None => {
                let note = core.local().get(KEY).await?;
                let waiting = match note.as_deref().and_then(|note| read(note, boot)) {
                    Some(waiting) => waiting,
                    None => {
                        // Fixed now: what is made or changed later in this boot is not started by it.
                        let all: BTreeSet<VmId> =
                            vms.iter().filter(|vm| takes_part(vm)).map(|vm| vm.id).collect();
                        core.local().put(KEY, &write(&all, boot)).await?;
                        all
                    }
                };
                self.waiting.insert(waiting)
            }
        };
        let before = waiting.len();
        let mut started = 0;
        for vm in vms.iter().filter(|vm| settled.contains(&vm.id)) {
            if !waiting.remove(&vm.id) || !wants_start(vm) {
                continue;
            }
            let start = VmCommand::Power { id: vm.id, action: PowerAction::Start, deadline_s: 0 };
            match core.report(Command::Vm(start)).await {
                Ok(_) => started += 1,
                // Refused, for example because somebody was faster: the next machine still has its turn.
                Err(problem) => tracing::warn!(vm = %vm.spec.name, %problem, "autostart was refused"),
            }
        }
        waiting.retain(|id| vms.iter().any(|vm| vm.id == *id));
        if waiting.len() != before {
            core.local().put(KEY, &write(waiting, boot)).await?;
        }
        Ok(started)
    }
}

/// The note in the host's own store.
fn write(waiting: &BTreeSet<VmId>, boot: &str) -> String {
    waiting.iter().fold(boot.to_owned(), |note, id| format!("{note} {id}"))
}

/// The machines a note of this boot names; `None` when it is of another one.
fn read(note: &str, boot: &str) -> Option<BTreeSet<VmId>> {
    let mut words = note.split(' ');
    (words.next() == Some(boot)).then(|| words.filter_map(|word| word.parse().ok()).collect())
}

/// The machine is one to start at boot.
fn takes_part(vm: &Vm) -> bool {
    let there = vm.status.phase == Phase::Ready && vm.spec.deleting.is_none();
    vm.spec.autostart && there && !vm.spec.lineage.template
}

fn wants_start(vm: &Vm) -> bool {
    let idle = match vm.status.state {
        VmState::Off | VmState::Crashed => true,
        VmState::Starting | VmState::Running | VmState::Paused | VmState::Stopping | VmState::Unknown => {
            false
        }
    };
    takes_part(vm) && idle && pending(vm).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    #[test]
    fn a_note_keeps_the_machines_still_to_come_within_its_boot() {
        let waiting = BTreeSet::from([VmId::new(), VmId::new()]);
        for waiting in [waiting, BTreeSet::new()] {
            let note = write(&waiting, "boot-1");
            assert_eq!(read(&note, "boot-1"), Some(waiting));
            assert_eq!(read(&note, "boot-2"), None);
        }
    }

    #[test]
    fn only_idle_machines_that_want_it_are_started() {
        let mut vm = sample::vm("web");
        assert!(!wants_start(&vm));
        vm.spec.autostart = true;
        assert!(wants_start(&vm));
        vm.status.state = VmState::Running;
        assert!(!wants_start(&vm));
        vm.status.state = VmState::Crashed;
        assert!(wants_start(&vm));
        vm.spec.deleting = Some(Deletion { disks: false, task: TaskId::new() });
        assert!(!wants_start(&vm));
    }
}
