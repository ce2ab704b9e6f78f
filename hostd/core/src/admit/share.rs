//! Rules for the folders that a machine shares with its host.

use super::Fields;
use crate::pool::POOL_NAME;
use crate::snapshot::Snapshot;
use hostd_types::*;
use hostd_virt::{Offer, SHARED_FOLDERS};

/// Checks the shared folders at `/shares` of a machine that `has` these already.
pub(super) fn check(wrong: &mut Fields, shares: &[VmShare], has: &[VmShare], now: &Snapshot) {
    if shares == has {
        return; // a form sends every field
    }
    if shares.len() > SHARES_MAX {
        return wrong.add("/shares", format!("A machine has at most {SHARES_MAX} shared folders."));
    }
    if !shares.is_empty()
        && let Some(why) = now.offers.refusal(Offer::SharedFolders)
    {
        let detail = format!(
            "This host can't share folders with machines: {why}. Install what it lacks (virtiofsd), or go without."
        );
        wrong.add("/shares", detail);
    }
    for (index, share) in shares.iter().enumerate() {
        let at = format!("/shares/{index}");
        let VmShare { tag, pool, folder } = share;
        let tag = match shares[..index].iter().find(|other| other.tag == *tag) {
            Some(_) => Err("Another folder of the machine has this tag.".into()),
            None => check_share_tag(tag),
        };
        wrong.check(&format!("{at}/tag"), tag);
        if pool != POOL_NAME {
            let detail = format!("Its host has no such pool. Shared folders are in the pool {POOL_NAME}.");
            wrong.add(format!("{at}/pool"), detail);
        }
        wrong.check(&format!("{at}/folder"), check_share_folder(folder));
    }
}

/// Why a snapshot can't have the memory of a machine with shared folders, and the ways out.
pub(super) fn no_memory(vm: &Vm) -> Option<String> {
    let Some(share) = vm.spec.hardware.shares.first() else {
        // It runs with those that are to go.
        let leaving = vm.status.pending.iter().any(|waits| waits.starts_with(SHARED_FOLDERS));
        return leaving.then(|| {
            format!(
                "{} has shared folders until its next power-off, and nobody can keep what its guest has open there. Take a \
                 snapshot of the disks alone (leave include_memory out), or shut it down and start it first.",
                vm.spec.name
            )
        });
    };
    Some(format!(
        "{} has the shared folder {}, and nobody can keep what its guest has open there. Take a snapshot of the disks alone \
         (leave include_memory out), or take the shared folders off; that applies at its next power-off.",
        vm.spec.name, share.folder
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;
    use hostd_virt::Offers;

    fn share(tag: &str, folder: &str) -> VmShare {
        VmShare { tag: tag.into(), pool: POOL_NAME.into(), folder: folder.into() }
    }

    fn told(shares: &[VmShare], has: &[VmShare], now: &Snapshot) -> Vec<(String, String)> {
        let mut wrong = Fields::default();
        check(&mut wrong, shares, has, now);
        let Err(problem) = wrong.done() else { return Vec::new() };
        problem.errors.into_iter().map(|error| (error.pointer, error.detail)).collect()
    }

    #[test]
    fn each_wrong_part_of_a_share_is_named() {
        let now = Snapshot::default();
        let good = [share("docs", "team"), share("same", "team")];
        assert_eq!(told(&good, &[], &now), [], "two may lead to one folder");
        let elsewhere = VmShare { pool: "remote".into(), ..share("b", "b") };
        let bad = [share("docs", "../x"), share("docs", ".hidden"), share("a b", "a/b"), elsewhere];
        let told = told(&bad, &[], &now);
        let at: Vec<&str> = told.iter().map(|(at, _)| at.as_str()).collect();
        let wanted =
            ["/shares/0/folder", "/shares/1/tag", "/shares/1/folder", "/shares/2/tag", "/shares/2/folder"];
        assert_eq!(at, [&wanted[..], &["/shares/3/pool"]].concat());
        let nine: Vec<VmShare> = (0..9).map(|n| share(&format!("t{n}"), "f")).collect();
        assert_eq!(self::told(&nine, &[], &now)[0].0, "/shares");
        assert_eq!(self::told(&nine[..8], &[], &now), []);
    }

    #[test]
    fn a_host_without_the_daemon_refuses_what_is_new() {
        let offers = Offers::default().without(Offer::SharedFolders, "no daemon is found");
        let now = Snapshot { offers, ..Snapshot::default() };
        let one = [share("docs", "team")];
        let told = |shares: &[VmShare]| self::told(shares, &one, &now);
        assert_eq!(told(&one), [], "it stays as it is");
        assert_eq!(told(&[]), [], "it can be taken off");
        let refused = told(&[share("other", "team")]);
        assert!(refused[0].0 == "/shares" && refused[0].1.contains("no daemon is found"), "{refused:?}");
    }

    #[test]
    fn the_memory_of_a_guest_that_shares_can_not_be_kept() {
        let mut vm = sample::vm("web");
        assert_eq!(no_memory(&vm), None);
        vm.spec.hardware.shares = vec![share("docs", "team")];
        let why = no_memory(&vm).expect("it shares");
        assert!(why.contains("disks alone") && why.contains("take the shared folders off"), "{why}");
        vm.spec.hardware.shares.clear();
        vm.status.pending = vec![format!("{SHARED_FOLDERS}: none (now docs (team))")];
        let why = no_memory(&vm).expect("it runs with them");
        assert!(why.contains("until its next power-off"), "{why}");
    }
}
