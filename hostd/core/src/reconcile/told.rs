//! What libvirt tells of a guest and no later look shows: its watchdog fired, its kernel panicked and it started again.

use crate::{Core, Ctx};
use hostd_types::command::AuditCommand;
use hostd_types::*;
use hostd_virt::Told;

/// Dumps of a guest's memory that are kept before one more is written.
const DUMPS_KEPT: usize = 3;

/// Writes it to the audit trail, if the machine is one of ours and nothing else tells it.
pub(super) async fn tell(core: Core, id: VmId, told: Told) {
    if told == Told::Rebooted {
        return super::vms::forget_held(&core, id);
    }
    let vm = match core.store().vm(id).await {
        Ok(Some(vm)) => vm,
        Ok(None) => return,
        Err(problem) => return tracing::warn!(%problem, vm = %id, "a guest's event can't be told"),
    };
    let Some((action, detail)) = words(told, vm.spec.options.on_crash) else { return };
    if told == Told::Panicked && vm.spec.options.on_crash == OnCrash::Dump {
        core.0.hypervisor.prune_dumps(vm.spec.name.clone(), DUMPS_KEPT).await;
    }
    let line = AuditCommand {
        action: action.into(),
        subject: Some(vm.subject()),
        result: EventResult::Observed,
        detail,
    };
    core.audit(Ctx::host().actor(core.host()), line).await;
}

/// The event and what is said of it; nothing of what the machine's state tells by itself.
fn words(told: Told, on_crash: OnCrash) -> Option<(&'static str, String)> {
    match told {
        Told::Rebooted => None,
        Told::Watchdog(action) => {
            let then = match action {
                WatchdogAction::Reset => "the machine was reset",
                WatchdogAction::Poweroff => "the machine was switched off",
                WatchdogAction::Pause => "the machine was paused",
                WatchdogAction::None => "nothing was done",
            };
            Some(("vm.watchdog", format!("the guest's watchdog fired, {then}")))
        }
        Told::Panicked => match on_crash {
            OnCrash::Off | OnCrash::Keep => None,
            OnCrash::Restart => {
                Some(("vm.panicked", "the guest panicked, the machine was started again".into()))
            }
            OnCrash::Dump => {
                let kept = DUMPS_KEPT + 1;
                let dir = hostd_virt::DUMP_DIR;
                let text = format!(
                    "the guest panicked, its memory is written to {dir} on the host, where its newest {kept} dumps are kept"
                );
                Some(("vm.panicked", text))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_state_tells_is_not_told_twice() {
        assert_eq!(words(Told::Panicked, OnCrash::Off), None);
        assert_eq!(words(Told::Panicked, OnCrash::Keep), None);
        let said = |told, on_crash| words(told, on_crash).expect("an event").1;
        assert!(said(Told::Panicked, OnCrash::Restart).contains("started again"));
        assert!(said(Told::Panicked, OnCrash::Dump).contains("newest 4"));
        assert!(said(Told::Watchdog(WatchdogAction::Reset), OnCrash::Off).contains("was reset"));
    }
}
