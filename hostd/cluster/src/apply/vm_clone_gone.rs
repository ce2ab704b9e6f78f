//! What a copy has in place of what it can't have: media and networks that are not there any more, and folders that a test
//! must not reach.

use super::Step;
use super::scope::Scope;
use hostd_types::*;
use std::collections::BTreeSet;

/// Takes media that are gone out of their drives; says which.
pub(super) fn media(scope: &Scope<'_>, spec: &mut VmSpec) -> Step<Vec<String>> {
    let drives = std::iter::once(&mut spec.cdrom).chain(&mut spec.more_cdroms);
    let mut said = Vec::new();
    for (index, drive) in drives.enumerate() {
        let Some(image) = *drive else { continue };
        let image = scope.find::<Image>(image)?;
        if image.is_none_or(|image| image.status.phase == Phase::Deleting) {
            *drive = None;
            let number = index + 1;
            said.push(format!("CD-ROM drive {number} is empty, because its medium is not there any more."));
        }
    }
    Ok(said)
}

/// Says which shared folders a test does without.
pub(super) fn shares(shares: &[VmShare]) -> Option<String> {
    let folders: Vec<&str> = shares.iter().map(|share| share.folder.as_str()).collect();
    (!folders.is_empty()).then(|| {
        format!(
            "It has no shared folder ({}), because a test must not reach what others work with.",
            folders.join(", ")
        )
    })
}

/// The networks of `nics` that are gone.
pub(super) fn networks(scope: &Scope<'_>, nics: &[VmNic]) -> Step<BTreeSet<NetworkId>> {
    let mut gone = BTreeSet::new();
    for nic in nics {
        let network = scope.find::<Network>(nic.network)?;
        if network.is_none_or(|network| network.status.phase == Phase::Deleting) {
            gone.insert(nic.network);
        }
    }
    Ok(gone)
}

/// Pulls the cables of cards `nics` in place of those `of` the source whose network is `gone`; says which.
pub(super) fn pull(
    scope: &Scope<'_>,
    of: &[VmNic],
    nics: &mut [VmNic],
    gone: &BTreeSet<NetworkId>,
) -> Step<Vec<String>> {
    let mut said = Vec::new();
    for (then, nic) in of.iter().zip(nics).filter(|(then, _)| gone.contains(&then.network)) {
        nic.unplugged = true;
        let on = scope.get::<Network>(nic.network)?.spec.name;
        said.push(format!(
            "The cable of the network card {} is pulled, because the network of {} is not there any more; it is on the isolated \
             network {on} until another one is chosen.",
            nic.mac, then.mac
        ));
    }
    Ok(said)
}
