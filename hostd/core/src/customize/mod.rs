//! What machines' guests are told at their first boot: the rules for it, and what the proposer chooses. Pure but for the
//! hashing of passwords. What it becomes for the guest is made in [`crate::seed`].

mod authorized_key;
mod hostname;
mod login;
mod network;
mod password;
mod resolve;
mod rules;
mod top_level;
mod user_data;
mod windows;
mod yaml;
mod zone;

pub use login::advice;
use rules::check;
pub(crate) use zone::windows as windows_zone;
pub use zone::zones;

use crate::admit::Fields;
use hostd_types::*;

/// Takes what the specification holds that a new machine's customization names, and chooses what is chosen once for it; its
/// cards are those in the same places.
pub(crate) fn fill_new(id: VmId, vm: &mut CreateVm, specification: Option<&Specification>) {
    let Some(custom) = &mut vm.customization else { return };
    resolve_own(custom, specification);
    for (index, card) in custom.cards.iter_mut().enumerate() {
        let nic = vm.nics.get(index);
        card.mac =
            nic.map(|nic| nic.mac.clone().unwrap_or_else(|| derived_mac(id, index))).unwrap_or_default();
    }
    custom.resolved_hostname = name_of(custom, &vm.name);
}

/// Takes what the specification holds that a customization of somebody's own names.
pub(crate) fn resolve_own(own: &mut Customization, specification: Option<&Specification>) {
    own.specification_name.clear();
    resolve::resolve(own, specification);
}

/// The same for a copy named `name`, which has so many cards.
pub(crate) fn fill_copy(id: VmId, custom: &mut Customization, name: &str, nics: usize) {
    for (index, card) in custom.cards.iter_mut().enumerate() {
        card.mac = if index < nics { derived_mac(id, index) } else { String::new() };
    }
    custom.resolved_hostname = name_of(custom, name);
}

/// The same for a change of `vm`. A template that stays keeps what it became.
pub(crate) fn fill_edit(edit: &mut EditVm, vm: Option<&Vm>, specification: Option<&Specification>) {
    let (Some(CustomizationChange::Set { to, .. }), Some(vm)) = (&mut edit.customization, vm) else { return };
    let before = vm.spec.customization.as_ref();
    if to.specification.is_some() && to.specification == before.and_then(|before| before.specification) {
        // It was taken once; what is empty now was emptied on purpose.
        to.specification_name = before.map(|before| before.specification_name.clone()).unwrap_or_default();
    } else {
        resolve_own(to, specification);
    }
    for (index, card) in to.cards.iter_mut().enumerate() {
        card.mac = card.mac.trim().to_ascii_lowercase();
        if let (true, Some(nic)) = (card.mac.is_empty(), vm.spec.nics.get(index)) {
            card.mac.clone_from(&nic.mac);
        }
    }
    to.resolved_hostname = match &vm.spec.customization {
        Some(before) if before.hostname == to.hostname => before.resolved_hostname.clone(),
        Some(_) | None => name_of(to, edit.name.as_ref().unwrap_or(&vm.spec.name)),
    };
}

/// Empty for a template that is refused a moment later.
fn name_of(custom: &Customization, vm: &str) -> String {
    hostname::resolve(&custom.hostname, vm, &hostname::random()).unwrap_or_default()
}

/// What is wrong with a specification that is to be; `before` is what it is now.
pub(crate) fn check_specification(wrong: &mut Fields, to: &Customization, before: Option<&Customization>) {
    if to.specification.is_some() {
        wrong.add(
            "/customization/specification",
            "A specification is not made with another one; copy that instead.",
        );
    }
    for (index, card) in to.cards.iter().enumerate().filter(|(_, card)| !card.mac.is_empty()) {
        let detail =
            format!("{} is the address of one machine's card; a specification is for any.", card.mac);
        wrong.add(format!("/customization/cards/{index}/mac"), detail);
    }
    check(wrong, "/customization", to, "vm", None, before);
}

/// Notes when the specification that is asked for is not there.
fn check_found(wrong: &mut Fields, at: &str, custom: &Customization) {
    if let (Some(id), true) = (custom.specification, custom.specification_name.is_empty()) {
        wrong.add(format!("{at}/specification"), format!("There is no customization specification {id}."));
    }
}

/// What is wrong with the customization of a new machine.
pub(crate) fn check_new(wrong: &mut Fields, vm: &CreateVm) {
    let Some(custom) = &vm.customization else { return };
    check_made(wrong, custom, &vm.name, None);
}

/// What is wrong with the customization of a copy of `source`.
pub(crate) fn check_copy(wrong: &mut Fields, copy: &CloneVm, source: &Vm) {
    let Some(custom) = &copy.customization else { return };
    check_made(wrong, custom, &copy.name, source.spec.customization.as_ref());
}

/// What is wrong with that of a machine called `name` that is to be made; its cards have addresses already.
fn check_made(wrong: &mut Fields, custom: &Customization, name: &str, before: Option<&Customization>) {
    check_found(wrong, "/customization", custom);
    let macs: Vec<String> =
        custom.cards.iter().map(|card| card.mac.clone()).filter(|mac| !mac.is_empty()).collect();
    check(wrong, "/customization", custom, name, Some(&macs), before);
}

/// What is wrong with a change of that of `vm`.
pub(crate) fn check_edit(wrong: &mut Fields, change: &CustomizationChange, vm: &Vm) {
    match change {
        CustomizationChange::Set { to, .. } => {
            let macs: Vec<String> = vm.spec.nics.iter().map(|nic| nic.mac.to_ascii_lowercase()).collect();
            let before = vm.spec.customization.as_ref();
            check_found(wrong, "/customization/to", to);
            check(wrong, "/customization/to", to, &vm.spec.name, Some(&macs), before);
        }
        CustomizationChange::RunAgain if vm.spec.customization.is_none() => {
            wrong.add(
                "/customization",
                "The machine has no customization that could run again; set one first.",
            );
        }
        CustomizationChange::RunAgain | CustomizationChange::Remove => {}
    }
}
