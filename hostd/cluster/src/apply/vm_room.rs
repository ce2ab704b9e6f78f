//! Sums and counts that two requests at the same time would exceed, each of which was within them.

use super::Step;
use super::lookup::refuse;
use super::scope::Scope;
use hostd_types::*;

/// Refuses more reserved processor time than the host has, when it has told how much that is.
pub(super) fn check_reservation(scope: &Scope<'_>, vm: VmId, host: HostId, share: &CpuShare) -> Step {
    let Some(reserved) = share.reservation_percent.map(u64::from) else { return Ok(()) };
    let Some(threads) = scope.get::<Host>(host)?.status.threads else { return Ok(()) };
    let capacity = u64::from(threads) * 100;
    let sql = "SELECT id FROM vm WHERE host = ?1 AND spec LIKE '%\"reservation_percent\"%' ORDER BY id";
    let mut taken = 0;
    for id in scope.names(sql, host)? {
        let other = scope.get::<Vm>(id)?;
        if other.id != vm && other.spec.deleting.is_none() {
            taken += u64::from(other.spec.options.cpu_share.reservation_percent.unwrap_or_default());
        }
    }
    let left = capacity.saturating_sub(taken);
    if reserved <= left {
        return Ok(());
    }
    let detail = format!(
        "This host has {capacity} % ({threads} CPU threads), of which other machines reserve {taken} %: at most {left} % are left."
    );
    Err(refuse(ProblemKind::Invalid, "/options/cpu_share/reservation_percent", detail))
}

/// Refuses one more of what a machine has the most of.
pub(super) fn check_count(has: usize, most: usize, name: &str, what: &str) -> Step {
    if has < most {
        return Ok(());
    }
    Err(Problem::field("", format!("{name} has {most} {what}, which is the most.")).into())
}

/// Refuses a place in the boot order that another device than `own`, a volume or hardware address, has.
pub(super) fn check_place(spec: &VmSpec, place: Option<u32>, own: &str) -> Step {
    let disks = spec.disks.iter().map(|disk| (disk.volume.to_string(), disk.options.boot));
    let nics = spec.nics.iter().map(|nic| (nic.mac.clone(), nic.options.boot));
    if place.is_some() && disks.chain(nics).any(|(device, at)| device != own && at == place) {
        let detail = "Another device has this place in the boot order.";
        return Err(Problem::field("/options/boot", detail).into());
    }
    Ok(())
}
