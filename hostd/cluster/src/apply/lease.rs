//! Hosts that get leases, and that are fenced.

use super::scope::Scope;
use super::{Done, Step};
use hostd_types::*;

/// Ends the epoch of a host that has had no lease for long enough. Only the leader that waited may write it: another one
/// may have granted a lease meanwhile.
pub(crate) fn fence(scope: &mut Scope<'_>, id: HostId, epoch: u64, waited: (NodeId, u64)) -> Step<Done> {
    if scope.leader != waited {
        let detail = "Another host leads by now; it counts anew how long this one has had no lease.";
        return Err(Problem::wrong_state(detail).into());
    }
    let mut host = scope.get::<Host>(id)?;
    check_epoch(&host, epoch)?;
    if host.spec.state != HostState::Active {
        return Err(Problem::wrong_state(format!("{} gets no leases.", host.spec.name)).into());
    }
    host.spec.state = HostState::Fenced;
    host.spec.fence_epoch += 1;
    scope.touch(&mut host);
    scope.update(&host)?;
    let subject = host.subject();
    scope.accepted(&subject, format!("its epoch is {} now", host.spec.fence_epoch))?;
    Ok(Done::about(subject))
}

/// The host knows its epoch and gets leases from now on.
pub(crate) fn acknowledge(scope: &mut Scope<'_>, id: HostId, epoch: u64) -> Step<Done> {
    let mut host = scope.get::<Host>(id)?;
    check_epoch(&host, epoch)?;
    let subject = host.subject();
    if host.spec.state == HostState::Active {
        return Ok(Done::about(subject));
    }
    host.spec.state = HostState::Active;
    scope.touch(&mut host);
    scope.update(&host)?;
    scope.accepted(&subject, format!("in epoch {epoch}"))?;
    Ok(Done::about(subject))
}

fn check_epoch(host: &Host, epoch: u64) -> Step {
    let now = host.spec.fence_epoch;
    if now != epoch {
        let detail = format!("{} is in epoch {now}, not {epoch}.", host.spec.name);
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    Ok(())
}
