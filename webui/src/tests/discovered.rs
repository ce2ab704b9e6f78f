//! The page of machines that Quantix did not make.

use super::every_page::{Pages, html};
use super::sample::*;
use crate::page::Refusal;
use crate::pages::discovered::DiscoveredPage;
use crate::visit::Section;
use hostd_types::*;

fn machine(name: &str, obstacles: &[String], state: VmState) -> DiscoveredVm {
    DiscoveredVm {
        id: VmId::new(),
        host: HostId::new(),
        name: name.into(),
        state,
        cpus: 2,
        memory_mib: 4096,
        firmware: Firmware::Bios,
        machine_type: "pc-i440fx-7.2".into(),
        autostart: true,
        disks: vec![DiscoveredDisk {
            target: "hda".into(),
            bus: "ide".into(),
            source: format!("/data/pools/local/{name}.qcow2"),
            format: Some(DiskFormat::Qcow2),
            size_bytes: Some(40 << 30),
        }],
        nics: vec![DiscoveredNic {
            mac: "52:54:00:77:00:01".into(),
            model: "rtl8139".into(),
            source: format!("network {name}"),
            network: None,
        }],
        obstacles: obstacles.to_vec(),
        differences: vec![format!("Disk hda comes from the IDE bus to SATA.{name}")],
    }
}

pub(super) fn discovered_pages(text: &str) -> Pages {
    let name = format!("old-erp{text}");
    let page = |items: Vec<DiscoveredVm>, refusal| {
        let silent = if items.is_empty() { Vec::new() } else { vec![HostId::new()] };
        let networks = vec![network(&name).network];
        let layout = layout("discovered", Section::Vms, text);
        html(DiscoveredPage { layout, refusal, view: DiscoveredView { items, silent }, networks })
    };
    let obstacles = [format!("It runs. Shut it down first: its disks get other names.{text}")];
    let both = vec![machine(&name, &[], VmState::Off), machine(&name, &obstacles, VmState::Running)];
    vec![
        ("discovered", page(both.clone(), Refusal::default())),
        ("discovered-none", page(Vec::new(), Refusal::default())),
        ("discovered-wrong", page(both, Refusal(Some(problem(ProblemKind::Invalid, text))))),
    ]
}

#[test]
fn only_what_nothing_stands_in_the_way_of_can_be_taken_over() {
    let pages = discovered_pages("");
    let html = &pages[0].1;
    assert_eq!(html.matches("Take over").count(), 1);
    assert_eq!(html.matches("data-obstacles").count(), 1);
    assert!(html.contains("Network for 52:54:00:77:00:01"));
    assert!(pages[1].1.contains("Every machine was made by Quantix"));
}
