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
    let Some((action, detail)) = words(told, &vm.spec.options) else { return };
    if dumps(told, &vm.spec.options) {
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

/// libvirt writes the guest's memory to a file.
fn dumps(told: Told, options: &VmOptions) -> bool {
    match told {
        Told::Rebooted => false,
        // QEMU knows no dump: it pauses the machine, and libvirt lets it go on when it has written.
        Told::Watchdog(action) => {
            action == WatchdogAction::Pause
                && options.watchdog.is_some_and(|dog| dog.action == WatchdogAction::Dump)
        }
        Told::Panicked => options.on_crash == OnCrash::Dump,
    }
}

/// Where a dump is, and how long.
fn written() -> String {
    let (dir, kept) = (hostd_virt::DUMP_DIR, DUMPS_KEPT + 1);
    format!("its memory is written to {dir} on the host, where its newest {kept} dumps are kept")
}

/// The event and what is said of it; nothing of what the machine's state tells by itself.
fn words(told: Told, options: &VmOptions) -> Option<(&'static str, String)> {
    match told {
        Told::Rebooted => None,
        Told::Watchdog(action) => {
            let then = match action {
                _ if dumps(told, options) => format!("{}; then it goes on", written()),
                WatchdogAction::Reset => "the machine was reset".into(),
                WatchdogAction::Poweroff => "the machine was switched off".into(),
                WatchdogAction::Pause | WatchdogAction::Dump => "the machine was paused".into(),
                WatchdogAction::None => "nothing was done".into(),
            };
            Some(("vm.watchdog", format!("the guest's watchdog fired, {then}")))
        }
        Told::Panicked => match options.on_crash {
            OnCrash::Off | OnCrash::Keep => None,
            OnCrash::Restart => {
                Some(("vm.panicked", "the guest panicked, the machine was started again".into()))
            }
            OnCrash::Dump => Some(("vm.panicked", format!("the guest panicked, {}", written()))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_state_tells_is_not_told_twice() {
        let of = |on_crash| VmOptions { on_crash, ..VmOptions::default() };
        assert_eq!(words(Told::Panicked, &of(OnCrash::Off)), None);
        assert_eq!(words(Told::Panicked, &of(OnCrash::Keep)), None);
        let said = |told, options: &VmOptions| words(told, options).expect("an event").1;
        assert!(said(Told::Panicked, &of(OnCrash::Restart)).contains("started again"));
        assert!(said(Told::Panicked, &of(OnCrash::Dump)).contains("newest 4"));
        let (reset, paused) = (WatchdogAction::Reset, WatchdogAction::Pause);
        assert!(said(Told::Watchdog(reset), &of(OnCrash::Off)).contains("was reset"));
        assert!(said(Told::Watchdog(paused), &of(OnCrash::Dump)).contains("was paused"));
        let watchdog = Some(WatchdogDevice { model: WatchdogModel::Itco, action: WatchdogAction::Dump });
        let dumping = VmOptions { watchdog, ..VmOptions::default() };
        let told = said(Told::Watchdog(paused), &dumping);
        assert!(told.contains("newest 4") && told.contains("goes on"), "{told}");
        assert!(dumps(Told::Watchdog(paused), &dumping) && !dumps(Told::Watchdog(reset), &dumping));
    }
}
