//! Pages with nothing on them.

use super::cluster::empty_cluster_pages;
use super::every_page::{Pages, html, pager, vms_page};
use super::sample::*;
use crate::chart::Chart;
use crate::forms::network::NetworkForm;
use crate::forms::token::TokenForm;
use crate::forms::vm::VmForm;
use crate::forms::vm_edit::EditForm;
use crate::forms::volume::VolumeForm;
use crate::listing::Listing;
use crate::page::Refusal;
use crate::pages::events::EventsPage;
use crate::pages::host::HostPage;
use crate::pages::images::{ImageForm, ImagesPage};
use crate::pages::networks::NetworksPage;
use crate::pages::overview::OverviewPage;
use crate::pages::tasks::TasksPage;
use crate::pages::tokens::TokensPage;
use crate::pages::vm::{Time, VmEventsPage, VmPage};
use crate::pages::vm_delete::DeletePage;
use crate::pages::vm_hardware::HardwarePage;
use crate::pages::vm_new::{Choices, NewVmPage};
use crate::pages::volumes::VolumesPage;
use crate::visit::Section;
use hostd_core::ClusterHealth;
use hostd_types::*;

/// Every page that can have nothing on it.
pub(super) fn empty() -> Pages {
    [host_pages(), machine_pages(), list_pages(), empty_cluster_pages()].concat()
}

/// Of the host.
fn host_pages() -> Pages {
    let mut bare = host("", true);
    bare.latest = None;
    bare.facts.disks.clear();
    bare.facts.nics.clear();
    bare.facts.pools.clear();
    bare.facts.cpu = CpuFacts::default();
    bare.reconcilers.clear();
    let charts = || vec![Chart::host_cpu(&[]), Chart::host_memory(&[], 0), Chart::host_network(&[])];
    let overview = OverviewPage {
        layout: quiet("overview", Section::Overview),
        host: bare.clone(),
        counts: Default::default(),
        vms: vec![],
        tasks: vec![],
        events: vec![],
        charts: charts(),
        images: 0,
        totals: None,
    };
    vec![
        ("empty-overview", html(overview)),
        (
            "empty-host",
            html(HostPage {
                devices: Some(HostDevices::default()),
                layout: quiet("host", Section::Host),
                host: bare,
                charts: charts(),
                health: ClusterHealth::default(),
                member: None,
            }),
        ),
    ]
}

/// Of one machine.
fn machine_pages() -> Pages {
    let none = || Refusal::default();
    let _charts = || vec![Chart::host_cpu(&[]), Chart::host_memory(&[], 0), Chart::host_network(&[])];
    let mut lone = detail("web-1", VmState::Off);
    lone.disks.clear();
    lone.nics.clear();
    lone.cdrom = None;
    lone.vm.spec.boot.clear();
    vec![
        (
            "empty-vm",
            html(VmPage {
                layout: quiet("vm", Section::Vms),
                detail: lone.clone(),
                charts: vec![],
                emulation: false,
                folder: String::new(),
                span: Time::Day,
            }),
        ),
        (
            "empty-vm-hardware",
            html(HardwarePage {
                layout: quiet("vm-hardware", Section::Vms),
                refusal: none(),
                form: EditForm::of(&lone.vm),
                detail: lone.clone(),
                choices: Default::default(),
                devices: Default::default(),
                dialog: Default::default(),
            }),
        ),
        (
            "empty-vm-delete",
            html(DeletePage {
                layout: quiet("vm", Section::Vms),
                refusal: none(),
                detail: lone.clone(),
                disks: "keep".into(),
            }),
        ),
        (
            "empty-vm-events",
            html(VmEventsPage {
                layout: quiet("vm-events", Section::Vms),
                detail: lone,
                events: vec![],
                pager: pager(false),
            }),
        ),
        (
            "empty-vm-new",
            html(NewVmPage {
                layout: quiet("vm-new", Section::Vms),
                refusal: none(),
                form: VmForm::fresh(None),
                choices: Choices::default(),
            }),
        ),
    ]
}

/// Lists.
fn list_pages() -> Pages {
    let none = || Refusal::default();
    vec![
        ("empty-vms", html(vms_page(vec![], quiet("vms", Section::Vms), Listing::default()))),
        (
            "empty-vms-filtered",
            html(vms_page(
                vec![],
                quiet("vms", Section::Vms),
                Listing { q: "x".into(), ..Listing::default() },
            )),
        ),
        (
            "empty-images",
            html(ImagesPage {
                layout: quiet("images", Section::Images),
                refusal: none(),
                images: vec![],
                pager: pager(false),
                listing: Listing::default(),
                form: ImageForm::default(),
            }),
        ),
        (
            "empty-volumes",
            html(VolumesPage {
                layout: quiet("volumes", Section::Volumes),
                refusal: none(),
                volumes: vec![],
                pager: pager(false),
                listing: Listing::default(),
                form: VolumeForm::default(),
            }),
        ),
        (
            "empty-networks",
            html(NetworksPage {
                layout: quiet("networks", Section::Networks),
                refusal: none(),
                networks: vec![],
                nics: vec![],
                pager: pager(false),
                listing: Listing::default(),
                form: NetworkForm::default(),
                opened: false,
            }),
        ),
        (
            "empty-tasks",
            html(TasksPage {
                layout: quiet("tasks", Section::Tasks),
                running: vec![],
                tasks: vec![],
                listing: Listing::default(),
                pager: pager(false),
            }),
        ),
        (
            "empty-events",
            html(EventsPage {
                layout: quiet("events", Section::Events),
                events: vec![],
                hosts: Default::default(),
                listing: Listing::default(),
                pager: pager(false),
            }),
        ),
        (
            "empty-tokens",
            html(TokensPage {
                layout: quiet("tokens", Section::Tokens),
                refusal: none(),
                tokens: vec![],
                fresh: None,
                form: TokenForm::default(),
                now: Timestamp::now(),
            }),
        ),
    ]
}
