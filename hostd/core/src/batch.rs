//! The same for several machines: each gets a command of its own, with its own task or refusal.

use crate::{Core, Ctx};
use futures_util::{StreamExt, stream};
use hostd_types::command::*;
use hostd_types::*;
use std::collections::BTreeSet;

/// Commands under way at a time: enough that they share writes to the log.
const AT_ONCE: usize = 16;

impl Core {
    /// Does `act` with each machine. What is refused for one does not keep the others from it.
    ///
    /// # Errors
    /// `Invalid` when no machine or too many are named; then nothing was done.
    pub async fn batch(&self, ctx: &Ctx, batch: &VmBatch) -> Result<BatchResult, Problem> {
        let mut seen = BTreeSet::new();
        let vms: Vec<VmId> = batch.vms.iter().copied().filter(|id| seen.insert(*id)).collect();
        if vms.is_empty() {
            return Err(Problem::field("/vms", "Choose at least one machine."));
        }
        if vms.len() > BATCH_MAX {
            let detail = format!("These are {} machines; at most {BATCH_MAX} at a time.", vms.len());
            return Err(Problem::field("/vms", detail));
        }
        let act = &batch.act;
        let items: Vec<BatchItem> =
            stream::iter(vms).map(|id| self.batch_one(ctx, id, act)).buffered(AT_ONCE).collect().await;
        let refused = items.iter().filter(|item| item.problem.is_some()).count() as u64;
        Ok(BatchResult { accepted: items.len() as u64 - refused, refused, items })
    }

    async fn batch_one(&self, ctx: &Ctx, id: VmId, act: &BatchAct) -> BatchItem {
        // Its name is told also when it is gone afterwards.
        let name = self.store().vm(id).await.ok().flatten().map(|vm| vm.spec.name).unwrap_or_default();
        let ctx = Ctx { request: ctx.request.map(|base| part_of(base, id)), ..ctx.clone() };
        match self.submit(&ctx, command(id, act)).await {
            Ok(outcome) => {
                let name = outcome.subject.map_or(name, |subject| subject.name);
                BatchItem { id, name, task: outcome.task, problem: None }
            }
            Err(problem) => BatchItem { id, name, task: None, problem: Some(problem) },
        }
    }
}

fn command(id: VmId, act: &BatchAct) -> Command {
    match act {
        BatchAct::Power { action, deadline_s } => {
            let deadline_s = deadline_s.unwrap_or(SHUTDOWN_DEADLINE_S);
            Command::Vm(VmCommand::Power { id, action: *action, deadline_s })
        }
        BatchAct::File { filing } => Command::Organize(OrganizeCommand::File {
            kind: Kind::Vm,
            id: id.to_string(),
            filing: filing.clone(),
        }),
        BatchAct::Delete { disks } => Command::Vm(VmCommand::Delete { id, expect: None, disks: *disks }),
    }
}

/// The id of one machine's part of a request: the same every time, so that a double click acts once for each.
fn part_of(request: RequestId, vm: VmId) -> RequestId {
    RequestId::from_uuid(uuid::Uuid::from_u128(request.uuid().as_u128() ^ vm.uuid().as_u128()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_machine_has_a_part_of_its_own_that_is_always_the_same() {
        let (request, other) = (RequestId::new(), RequestId::new());
        let (a, b) = (VmId::new(), VmId::new());
        assert_eq!(part_of(request, a), part_of(request, a));
        let all = BTreeSet::from([part_of(request, a), part_of(request, b), part_of(other, a), request]);
        assert_eq!(all.len(), 4);
    }
}
