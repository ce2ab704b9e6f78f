//! Rules for taking over machines that Quantix did not make.

use super::Fields;
use crate::snapshot::Snapshot;
use hostd_types::*;

/// May this machine be taken over?
pub(super) fn adopt(
    id: VmId,
    asked: &AdoptVm,
    taken: Option<&Adoption>,
    now: &Snapshot,
) -> Result<(), Problem> {
    let (Some(found), Some(taken)) = (&now.found, taken) else {
        let detail = format!("This host has no machine {id} that Quantix did not make.");
        return Err(Problem::new(ProblemKind::NotFound, detail));
    };
    if !found.vm.obstacles.is_empty() {
        let detail = format!("{} can't be taken over. {}", found.vm.name, found.vm.obstacles.join(" "));
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    let mut wrong = Fields::default();
    for nic in found.vm.nics.iter().filter(|nic| nic.network.is_none()) {
        if !asked.networks.contains_key(&nic.mac) {
            let detail =
                format!("Choose a network for the card {}: {} is none of Quantix.", nic.mac, nic.source);
            wrong.add(format!("/networks/{}", nic.mac), detail);
        }
    }
    for mac in asked.networks.keys().filter(|mac| !found.vm.nics.iter().any(|nic| nic.mac == **mac)) {
        wrong.add(format!("/networks/{mac}"), format!("{} has no card {mac}.", found.vm.name));
    }
    wrong.done()?;
    super::vm::create(&taken.vm, now)
}
