//! Comparing what is wanted with the definition in force.
//!
//! Of a machine that runs, what nobody can change while it runs waits for its power-off; what somebody else changed is
//! drift.

use crate::domain_xml::{boot_order, shown_cpu, target};
use crate::drives::{MediumChange, media_changes};
use crate::facets::{self, Difference, differences};
use crate::observe::SeenDomain;
use crate::plan::{DiskSource, DomainPlan, DomainShape, HostSource, SeenDisk};
use hostd_types::{BootDevice, CpuMode, CpuTopology, Firmware};
use std::path::Path;

/// Differences that nobody asked Quantix for, in words ("memory is 512 MiB, wanted 1024 MiB"); empty when there are none. A
/// machine that runs may have another name: libvirt renames only what is off. Pure.
pub fn drift(plan: &DomainPlan, domain: &SeenDomain) -> Vec<String> {
    let seen = &domain.shape;
    if !domain.state.is_active() {
        return different(plan, seen);
    }
    let mut found = Vec::new();
    if seen.cpus > plan.cpus && seen.cpus_given.is_some_and(|given| given != seen.cpus) {
        found.push(format!("virtual CPUs are {}, wanted {}", seen.cpus, plan.cpus));
    }
    // What is under way is no drift, and what can't be plugged in while it runs waits.
    for disk in plan.disks.iter().filter(|disk| disk.bus.hot_plugs() && !disk.changing && !has(seen, disk)) {
        found.push(format!("disk {} is not attached", file(&disk.path)));
    }
    let known = |disk: &SeenDisk| plan.disks.iter().chain(&plan.leaving_disks).any(|d| d.path == disk.path);
    for disk in seen.disks.iter().filter(|disk| !known(disk)) {
        found.push(format!("disk {} is attached, not wanted", file(&disk.path)));
    }
    found.extend(media_changes(plan, seen).iter().map(MediumChange::told));
    for nic in plan.nics.iter().filter(|nic| !nic.changing) {
        match seen.nics.iter().find(|card| card.mac.eq_ignore_ascii_case(&nic.mac)) {
            None if nic.model.hot_plugs() => found.push(format!("network card {} is missing", nic.mac)),
            Some(card) if card.bridge != nic.bridge => {
                found.push(format!("network card {} is on {}, wanted {}", nic.mac, card.bridge, nic.bridge));
            }
            Some(card) if card.plugged != nic.plugged => {
                let (is, wanted) = (cable(card.plugged), cable(nic.plugged));
                found.push(format!("the cable of network card {} is {is}, wanted {wanted}", nic.mac));
            }
            None | Some(_) => {}
        }
    }
    for Difference { title, seen, wanted } in differences(plan, &seen.facets) {
        if changes_live(&title) && !is_changing(plan, &title) {
            found.push(format!("{title}: {seen}, wanted {wanted}"));
        }
    }
    let ours =
        |mac: &str| plan.nics.iter().chain(&plan.leaving_nics).any(|n| n.mac.eq_ignore_ascii_case(mac));
    for card in seen.nics.iter().filter(|card| !ours(&card.mac)) {
        found.push(format!("network card {} is there, not wanted", card.mac));
    }
    for source in
        plan.host.devices.iter().filter(|s| s.device.hot_plugs() && !s.changing && !has_host(seen, s))
    {
        found.push(format!("the {} is not attached", source.device.described()));
    }
    found.extend(unwanted_host_devices(plan, seen));
    found
}

/// What a machine that runs gets at its next power-off, in words ("memory: 1024 MiB (now 512 MiB)"). Pure.
pub fn pending(plan: &DomainPlan, domain: &SeenDomain) -> Vec<String> {
    let seen = &domain.shape;
    if !domain.state.is_active() {
        return Vec::new();
    }
    let drifted = seen.cpus_given.is_some_and(|given| given != seen.cpus) && seen.cpus > plan.cpus;
    let mut found: Vec<String> = settings(plan, seen)
        .into_iter()
        .filter(|setting| !changes_live(&setting.title))
        .filter(|setting| !(drifted && setting.title == "CPUs"))
        .map(|Setting { title, seen, wanted, .. }| format!("{title}: {wanted} (now {seen})"))
        .collect();
    for disk in plan.disks.iter().filter(|disk| !disk.bus.hot_plugs() && !has(seen, disk)) {
        found.push(format!("disk {} is attached", target(disk.bus, disk.slot)));
    }
    for disk in plan.leaving_disks.iter().filter(|disk| has(seen, disk)) {
        found.push(format!("disk {} is detached", target(disk.bus, disk.slot)));
    }
    let there = |mac: &str| seen.nics.iter().any(|card| card.mac.eq_ignore_ascii_case(mac));
    for nic in plan.nics.iter().filter(|nic| !nic.model.hot_plugs() && !there(&nic.mac)) {
        found.push(format!("network card {} is attached", nic.mac));
    }
    for nic in plan.leaving_nics.iter().filter(|nic| there(&nic.mac)) {
        found.push(format!("network card {} is detached", nic.mac));
    }
    for source in plan.host.devices.iter().filter(|s| !s.device.hot_plugs() && !has_host(seen, s)) {
        found.push(format!("the {} is attached", source.device.described()));
    }
    for source in plan.host.leaving.iter().filter(|source| has_host(seen, source)) {
        found.push(format!("the {} is detached", source.device.described()));
    }
    found
}

/// What follows at once when it is changed, so that it never waits.
fn changes_live(title: &str) -> bool {
    title.starts_with("limits of ")
}

/// A change of the device that `title` is about is under way.
fn is_changing(plan: &DomainPlan, title: &str) -> bool {
    let disks = plan.disks.iter().filter(|disk| disk.changing);
    let nics = plan.nics.iter().filter(|nic| nic.changing);
    let names = disks.map(|disk| facets::disk_limits(&target(disk.bus, disk.slot)));
    names.chain(nics.map(|nic| facets::nic_limits(&nic.mac))).any(|name| name == title)
}

/// The definition in force has the limits of `disk` as wanted; true of a disk that is not there.
pub fn disk_is_limited(plan: &DomainPlan, domain: &SeenDomain, disk: &DiskSource) -> bool {
    let title = facets::disk_limits(&target(disk.bus, disk.slot));
    !differences(plan, &domain.shape.facets).iter().any(|difference| difference.title == title)
}

/// The same of a network card.
pub fn nic_is_limited(plan: &DomainPlan, domain: &SeenDomain, mac: &str) -> bool {
    let title = facets::nic_limits(mac);
    !differences(plan, &domain.shape.facets).iter().any(|difference| difference.title == title)
}

/// A running machine has another share of processor time than it should.
pub fn shares_differ(plan: &DomainPlan, domain: &SeenDomain) -> bool {
    let differs = |difference: &Difference| matches!(&*difference.title, "CPU shares" | "CPU limit");
    differences(plan, &domain.shape.facets).iter().any(differs)
}

/// What is kept for the next start of a machine that runs is not made from the plan.
pub fn outdated(plan: &DomainPlan, domain: &SeenDomain) -> bool {
    // It may have to keep its name.
    let named = |shape: &DomainShape| DomainShape { name: plan.name.clone(), ..shape.clone() };
    domain.saved.as_ref().is_some_and(|saved| !different(plan, &named(saved)).is_empty())
}

/// Everything in which a definition differs.
fn different(plan: &DomainPlan, seen: &DomainShape) -> Vec<String> {
    let mut found = Vec::new();
    if plan.name != seen.name {
        found.push(format!("the name is {}, wanted {}", seen.name, plan.name));
    }
    found.extend(
        settings(plan, seen)
            .into_iter()
            .map(|Setting { is, seen, wanted, .. }| format!("{is} {seen}, wanted {wanted}")),
    );
    for disk in plan.disks.iter().filter(|disk| !has(seen, disk)) {
        found.push(format!("disk {} is not attached", file(&disk.path)));
    }
    for disk in seen.disks.iter().filter(|seen| !plan.disks.iter().any(|d| d.path == seen.path)) {
        found.push(format!("disk {} is attached, not wanted", file(&disk.path)));
    }
    found.extend(media_changes(plan, seen).iter().map(MediumChange::told));
    if plan.seed.is_some() != seen.seed {
        let told = if plan.seed.is_some() {
            "the customization drive is missing"
        } else {
            "there is a customization drive, not wanted"
        };
        found.push(told.to_owned());
    }
    for nic in &plan.nics {
        match seen.nics.iter().find(|card| card.mac.eq_ignore_ascii_case(&nic.mac)) {
            None => found.push(format!("network card {} is missing", nic.mac)),
            Some(card) if card.bridge != nic.bridge => {
                found.push(format!("network card {} is on {}, wanted {}", nic.mac, card.bridge, nic.bridge));
            }
            Some(card) if card.plugged != nic.plugged => {
                let (is, wanted) = (cable(card.plugged), cable(nic.plugged));
                found.push(format!("the cable of network card {} is {is}, wanted {wanted}", nic.mac));
            }
            Some(_) => {}
        }
    }
    for card in &seen.nics {
        if !plan.nics.iter().any(|n| n.mac.eq_ignore_ascii_case(&card.mac)) {
            found.push(format!("network card {} is there, not wanted", card.mac));
        }
    }
    for source in plan.host.devices.iter().filter(|source| !has_host(seen, source)) {
        found.push(format!("the {} is missing", source.device.described()));
    }
    for source in plan.host.leaving.iter().filter(|source| has_host(seen, source)) {
        found.push(format!("the {} is there, not wanted", source.device.described()));
    }
    found.extend(unwanted_host_devices(plan, seen));
    found
}

fn has_host(seen: &DomainShape, source: &HostSource) -> bool {
    seen.host_devices.contains(&source.device.alias())
}

/// Devices of the host that nobody asked Quantix for.
fn unwanted_host_devices(plan: &DomainPlan, seen: &DomainShape) -> Vec<String> {
    let known: Vec<String> =
        plan.host.devices.iter().chain(&plan.host.leaving).map(|source| source.device.alias()).collect();
    let unknown = seen.host_devices.iter().filter(|there| !known.contains(there));
    unknown.map(|there| format!("the host's device {there} is attached, not wanted")).collect()
}

/// A setting that differs.
struct Setting {
    /// What it is called.
    title: String,
    /// The same as the beginning of a sentence.
    is: String,
    seen: String,
    wanted: String,
}

/// The settings that differ.
fn settings(plan: &DomainPlan, seen: &DomainShape) -> Vec<Setting> {
    let mut found = Vec::new();
    let mut add = |title: &str, is: &str, seen: String, wanted: String| {
        if seen != wanted {
            found.push(Setting { title: title.into(), is: is.into(), seen, wanted });
        }
    };
    let most = plan.headroom.most_cpus(plan.cpus);
    add("CPUs", "virtual CPUs are", seen.cpus.to_string(), plan.cpus.to_string());
    if seen.cpus == plan.cpus || most > plan.cpus {
        add("most CPUs", "virtual CPUs are at most", seen.cpus_max.to_string(), most.to_string());
    }
    if let Some(mode) = seen.cpu_mode.filter(|_| plan.kvm) {
        let (seen, wanted) = (mode.as_str().to_owned(), plan.cpu_mode.as_str().to_owned());
        add("CPU mode", "the CPU mode is", seen, wanted);
    }
    if plan.kvm && plan.cpu_mode == CpuMode::Flexible && seen.cpus_given.is_some() {
        let own = || "the host's own".to_owned();
        let wanted = shown_cpu(plan).map(|model| model.label());
        let seen = seen.cpu_model.clone();
        add("processor", "the processor is", seen.unwrap_or_else(own), wanted.unwrap_or_else(own));
    }
    if let Some(topology) = seen.topology {
        add("sockets and threads", "the CPUs are on", arranged(topology), arranged(plan.topology));
    }
    if let Some(wanted) = plan.machine_type.as_ref() {
        add("machine type", "the machine type is", seen.machine_type.clone(), wanted.clone());
    }
    let mib = |mib: u64| format!("{mib} MiB");
    let most = plan.headroom.most_memory(plan.memory_mib);
    add("memory", "memory is", mib(seen.memory_mib), mib(plan.memory_mib));
    if seen.memory_mib == plan.memory_mib || most > plan.memory_mib {
        add("most memory", "memory is at most", mib(seen.memory_max_mib), mib(most));
    }
    let drives = |further: usize| (further + 1).to_string();
    let (now, wanted) = (drives(seen.more_cdroms.len()), drives(plan.more_cdroms.len()));
    add("CD-ROM drives", "CD-ROM drives are", now, wanted);
    add("firmware", "the firmware is", called(seen.firmware).into(), called(plan.firmware).into());
    add("boot order", "the boot order is", listed(&seen.boot), listed(&boot(plan)));
    found.extend(differences(plan, &seen.facets).into_iter().map(|Difference { title, seen, wanted }| {
        let is = format!("{title}:");
        Setting { title, is, seen, wanted }
    }));
    found
}

fn arranged(CpuTopology { sockets, threads }: CpuTopology) -> String {
    format!("{sockets} sockets with {threads} threads a core")
}

/// The kinds of devices that the plan gives a place in the boot order.
fn boot(plan: &DomainPlan) -> Vec<BootDevice> {
    let order = boot_order(plan);
    let of = |kind: BootDevice, places: &[Option<u32>]| -> Vec<(u32, BootDevice)> {
        places.iter().flatten().map(|place| (*place, kind)).collect()
    };
    let mut all = of(BootDevice::Disk, &order.disks);
    all.extend(of(BootDevice::Cdrom, &order.cdroms));
    all.extend(of(BootDevice::Network, &order.nics));
    all.sort_by_key(|(place, _)| *place);
    let mut kinds: Vec<BootDevice> = all.into_iter().map(|(_, kind)| kind).collect();
    kinds.dedup();
    kinds
}

fn listed(order: &[BootDevice]) -> String {
    let word = |device: &BootDevice| match device {
        BootDevice::Disk => "disk",
        BootDevice::Cdrom => "CD-ROM",
        BootDevice::Network => "network",
    };
    order.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn has(seen: &DomainShape, disk: &DiskSource) -> bool {
    seen.disks.iter().any(|there| there.path == disk.path)
}

const fn cable(plugged: bool) -> &'static str {
    if plugged { "in" } else { "pulled" }
}

fn called(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "BIOS",
        Firmware::Uefi => "UEFI",
        Firmware::UefiSecure => "UEFI with Secure Boot",
    }
}

fn file(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
#[path = "drift_tests.rs"]
pub(crate) mod tests;
