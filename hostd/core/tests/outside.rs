//! Things that happen behind our back: they are told truthfully, and mended where nothing runs.

use crate::bed::*;
use hostd_types::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn what_others_do_to_machines_is_seen_and_mended() {
    let Some(mut bed) = Bed::full() else { return };
    let core = bed.runtime.block_on(async { hostd_core::Core::start(bed.settings()).await.expect("a core") });
    let id = bed.runtime.block_on(async {
        let id = created(&core, CreateVm { start: true, ..plain("web") }).await;
        kill(Pid::from_raw(bed.qemu("web")), Signal::SIGKILL).expect("kill");
        let vm = becomes(&core, id, VmState::Crashed).await;
        assert!(vm.status.reason.is_some_and(|reason| reason.contains("QEMU")));
        let about = id.to_string();
        let events = core.events(&ListParams::default(), Some(&about)).await.expect("events").items;
        assert!(events.iter().any(|e| e.result == EventResult::Observed && e.detail.contains("crashed")));

        bed.virsh(&["start", "web"]);
        becomes(&core, id, VmState::Running).await;
        bed.virsh(&["suspend", "web"]);
        becomes(&core, id, VmState::Paused).await;
        bed.virsh(&["resume", "web"]);
        becomes(&core, id, VmState::Running).await;
        bed.virsh(&["destroy", "web"]);
        becomes(&core, id, VmState::Off).await;

        bed.virsh(&["undefine", "web"]);
        until(&core, "it is defined again", || async {
            bed.virsh(&["list", "--all", "--name"]).contains("web").then_some(())
        })
        .await;
        powered(&core, id, PowerAction::Start).await;
        bed.virsh(&["undefine", "web"]);
        until(&core, "it is persistent again", || async {
            bed.virsh(&["dominfo", "web"])
                .lines()
                .find(|l| l.starts_with("Persistent"))
                .and_then(|line| line.ends_with("yes").then_some(()))
        })
        .await;
        id
    });
    libvirt_away_and_back(&mut bed, &core, id);
}

fn libvirt_away_and_back(bed: &mut Bed, core: &hostd_core::Core, id: VmId) {
    bed.libvirt.as_mut().expect("libvirt").kill().expect("kill");
    bed.runtime.block_on(async {
        let vm = becomes(core, id, VmState::Unknown).await;
        assert!(vm.status.reason.is_some_and(|reason| reason.contains("libvirt")));
        let refused = core.submit(&console(), power(id, PowerAction::Reset, 0)).await.expect_err("unknown");
        assert_eq!(refused.kind, ProblemKind::Unavailable);
        let notices = core.notices(&core.cluster_view().await).await;
        assert!(notices.iter().any(|notice| notice.text.contains("libvirt")), "{notices:?}");
    });
    bed.libvirt.as_mut().expect("libvirt").restart().expect("restart");
    bed.runtime.block_on(async {
        becomes(core, id, VmState::Running).await;
        let about = id.to_string();
        let list = ListParams { limit: Some(100), ..ListParams::default() };
        let events = core.events(&list, Some(&about)).await.expect("events").items;
        let unknown = events.iter().filter(|event| event.detail.contains("-> unknown")).count();
        assert_eq!(unknown, 1, "{events:#?}");
        core.shutdown().await;
    });
}
