//! Guests that ignore the power button, and requests that replace and cancel each other.

use crate::bed::*;
use hostd_types::command::*;
use hostd_types::*;

#[test]
fn a_guest_that_ignores_the_button_keeps_running_until_it_is_forced() {
    let Some(bed) = Bed::full() else { return };
    bed.with_core(|core| async move {
        // Nothing to boot: the firmware waits and knows no power button.
        let id = created(&core, CreateVm { start: true, ..plain("deaf") }).await;
        let problem = failed(&core, ask(&core, power(id, PowerAction::Shutdown, 1)).await).await;
        assert_eq!(problem.kind, ProblemKind::Unavailable);
        assert!(problem.detail.contains("within 1 s") && problem.detail.contains("force"), "{problem}");
        assert_eq!(becomes(&core, id, VmState::Running).await.status.power_done, 2);

        let waiting = ask(&core, power(id, PowerAction::Shutdown, 600)).await;
        becomes(&core, id, VmState::Stopping).await;
        let busy = core.submit(&console(), power(id, PowerAction::Reset, 0)).await.expect_err("busy");
        assert!(busy.detail.contains("shutdown"), "{busy}");
        let cancel = Command::Task(TaskCommand::Cancel { id: waiting });
        core.submit(&console(), cancel.clone()).await.expect("a cancel");
        assert_eq!(failed(&core, waiting).await.kind, ProblemKind::Cancelled);
        becomes(&core, id, VmState::Running).await;
        core.submit(&console(), cancel).await.expect_err("it has ended");

        let replaced = ask(&core, power(id, PowerAction::Reboot, 600)).await;
        becomes(&core, id, VmState::Stopping).await;
        powered(&core, id, PowerAction::ForceOff).await;
        assert_eq!(failed(&core, replaced).await.kind, ProblemKind::Cancelled);
        assert_eq!(core.vm(id).await.expect("vm").status.state, VmState::Off);
        deleted(&core, id, true).await;
    });
}
