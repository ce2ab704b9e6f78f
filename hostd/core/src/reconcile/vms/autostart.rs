//! Starting machines when their host boots: once per boot, not at restarts of the daemon.

use crate::Core;
use crate::admit::pending;
use hostd_types::command::VmCommand;
use hostd_types::*;

/// Key in the host's own store: the boot whose machines were started.
const KEY: &str = "autostarted_boot";

/// Whether this boot's machines were started.
#[derive(Debug, Default)]
pub(super) struct Autostart {
    done: bool,
}

impl Autostart {
    /// Asks for the start of every machine that wants it and is off; called when all states are known and the networks
    /// were seen. Answers how many.
    ///
    /// # Errors
    /// When the state can't be read or written; nothing is started twice then, because what runs is left out.
    pub async fn run(&mut self, core: &Core, vms: &[Vm]) -> Result<usize, Problem> {
        if self.done {
            return Ok(0);
        }
        let boot = core.boot_id();
        if core.local().get(KEY).await?.as_deref() == Some(boot) {
            self.done = true;
            return Ok(0);
        }
        let mut started = 0;
        for vm in vms.iter().filter(|vm| wants_start(vm)) {
            let start = VmCommand::Power { id: vm.id, action: PowerAction::Start, deadline_s: 0 };
            match core.report(Command::Vm(start)).await {
                Ok(_) => started += 1,
                // Refused, for example because somebody was faster: the next machine still has its turn.
                Err(problem) => tracing::warn!(vm = %vm.spec.name, %problem, "autostart was refused"),
            }
        }
        core.local().put(KEY, boot).await?;
        self.done = true;
        Ok(started)
    }
}

fn wants_start(vm: &Vm) -> bool {
    let idle = match vm.status.state {
        VmState::Off | VmState::Crashed => true,
        VmState::Starting | VmState::Running | VmState::Paused | VmState::Stopping | VmState::Unknown => {
            false
        }
    };
    vm.spec.autostart
        && idle
        && vm.status.phase == Phase::Ready
        && vm.spec.deleting.is_none()
        && pending(vm).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

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
