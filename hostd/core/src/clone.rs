//! What the proposer chooses for a copy of a machine.

use crate::customize;
use crate::snapshot::Snapshot;
use hostd_types::command::NewSnapshot;
use hostd_types::*;

/// Chooses the snapshot that is taken for it, and what its guest is told; true when that is what the source's guest was told.
pub(crate) fn fill(id: VmId, copy: &mut CloneVm, first: &mut Option<NewSnapshot>, now: &Snapshot) -> bool {
    let Some(source) = &now.vm else { return false };
    let inherits = copy.customization.is_none();
    *first = snapshot_for(copy, source, now);
    match &mut copy.customization {
        Some(own) => customize::resolve_own(own, now.specification.as_ref()),
        // What is inherited was taken from its specification once.
        none => *none = inherited(source, copy.mode),
    }
    let from_snapshot = copy.snapshot.and_then(|id| now.snapshots.iter().find(|s| s.id == id));
    let nics = from_snapshot.map_or(source.spec.nics.len(), |s| s.spec.machine.nics.len());
    if let Some(custom) = &mut copy.customization {
        customize::fill_copy(id, custom, &copy.name, nics);
    }
    inherits && copy.customization.is_some()
}

/// A template's disks stay as they are, and those of a snapshot do; those of a machine may be written to at any moment.
fn snapshot_for(copy: &CloneVm, source: &Vm, now: &Snapshot) -> Option<NewSnapshot> {
    if copy.snapshot.is_some() || source.spec.lineage.template || source.spec.disks.is_empty() {
        return None;
    }
    let id = SnapshotId::new();
    let stem: String = copy.name.chars().take(name::NAME_MAX - "for-".len()).collect();
    let mut name = format!("for-{stem}");
    if now.snapshots.iter().any(|there| there.spec.name.eq_ignore_ascii_case(&name)) {
        let hex = id.uuid().simple().to_string();
        name = format!("for-{}", &hex[hex.len() - 12..]);
    }
    let description = format!("Taken for the clone {}; it goes with it.", copy.name);
    let asked = CreateSnapshot { name, description, include_memory: false, quiesce: copy.quiesce };
    let next = source.spec.disks.iter().map(|disk| (disk.volume, LayerId::new())).collect();
    Some(NewSnapshot { id, asked, next })
}

/// What the source's guest was told, but not its addresses: two guests can't have the same ones, unless nobody hears one.
fn inherited(source: &Vm, mode: CloneMode) -> Option<Customization> {
    let mut custom = source.spec.customization.clone()?;
    match mode {
        CloneMode::Full | CloneMode::Linked => {
            custom.cards.clear();
            custom.network_config.clear();
        }
        CloneMode::Test => {
            let places = |card: &GuestCard| source.spec.nics.iter().position(|nic| nic.mac == card.mac);
            let mut cards = vec![GuestCard::default(); source.spec.nics.len()];
            for card in std::mem::take(&mut custom.cards) {
                if let Some(place) = places(&card) {
                    cards[place] = card;
                }
            }
            custom.cards = cards;
        }
    }
    Some(custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    #[test]
    fn a_copy_of_a_machine_takes_a_snapshot_first_and_no_address_along() {
        let mut source = sample::vm("web");
        source.spec.disks = vec![VmDisk {
            volume: VolumeId::new(),
            bus: DiskBus::Virtio,
            slot: None,
            options: DiskOptions::default(),
        }];
        let card = GuestCard { addresses: vec!["192.0.2.5/24".into()], ..GuestCard::default() };
        let hostname = "{{vm.name}}".to_owned();
        source.spec.customization = Some(Customization { hostname, cards: vec![card], ..Default::default() });
        let mut now = Snapshot { vm: Some(source), ..Snapshot::default() };
        let mut copy = CloneVm { name: "web2".into(), ..CloneVm::default() };
        let mut first = None;
        assert!(fill(VmId::new(), &mut copy, &mut first, &now));
        assert_eq!(first.as_ref().map(|first| first.asked.name.as_str()), Some("for-web2"));
        let custom = copy.customization.expect("inherited");
        assert_eq!((custom.resolved_hostname.as_str(), custom.cards.len()), ("web2", 0));
        now.vm.as_mut().expect("the source").spec.lineage.template = true;
        let mut copy = CloneVm { name: "web3".into(), ..CloneVm::default() };
        fill(VmId::new(), &mut copy, &mut first, &now);
        assert_eq!(first, None);
    }
}
