//! The list of machines.

use super::Answer;
use crate::chart::Spark;
use crate::filters;
use crate::listing::{Listing, Pager};
use crate::page::{answer, page};
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Query;
use hostd_core::FolderView;
use hostd_types::{FolderPlace, ListName, Vm};
use std::collections::BTreeMap;

/// One machine of the list.
pub(crate) struct Row {
    pub(crate) vm: Vm,
    pub(crate) cpu: Spark,
    pub(crate) memory: Spark,
    pub(crate) address: String,
}

/// The list of machines.
#[derive(Template)]
#[template(path = "vm/list.html")]
pub(crate) struct VmsPage {
    pub(crate) layout: Layout,
    pub(crate) rows: Vec<Row>,
    pub(crate) counts: BTreeMap<String, u64>,
    /// How many templates there are.
    pub(crate) templates: u64,
    pub(crate) folders: Vec<FolderView>,
    pub(crate) listing: Listing,
    pub(crate) pager: Pager,
    /// Machines of this host that Quantix did not make.
    pub(crate) others: u64,
}
page!(VmsPage);

impl VmsPage {
    /// Machines in all, whatever the filter.
    fn all(&self) -> u64 {
        self.counts.values().sum()
    }
    /// There is neither a machine nor a template.
    fn is_empty(&self) -> bool {
        self.all() == 0 && self.templates == 0
    }
    /// There are templates, or they are looked for.
    fn has_templates(&self) -> bool {
        self.templates > 0 || self.of_templates()
    }
    /// Templates are shown, not machines.
    fn of_templates(&self) -> bool {
        self.listing.template == "true"
    }
    /// The folder that is shown.
    fn folder(&self) -> Option<&FolderView> {
        let Ok(FolderPlace(Some(id))) = self.listing.folder.parse() else { return None };
        self.folders.iter().find(|view| view.folder.id == id)
    }
    /// Machines in no folder.
    fn unfiled(&self) -> u64 {
        let filed = self.folders.iter().map(|view| view.vms).sum();
        self.all().saturating_sub(filed)
    }
    /// The filters by state: value, word, number. States nobody is in are left out unless chosen.
    fn states(&self) -> Vec<(&'static str, &'static str, u64)> {
        let words = [
            ("running", "Running"),
            ("off", "Off"),
            ("paused", "Paused"),
            ("starting", "Starting"),
            ("stopping", "Stopping"),
            ("crashed", "Crashed"),
            ("unknown", "Unknown"),
        ];
        let counted = words.map(|(state, word)| (state, word, self.counts.get(state).copied().unwrap_or(0)));
        let shown = |(state, _, n): &(&str, &str, u64)| {
            *n > 0 || self.listing.state == *state || matches!(*state, "running" | "off")
        };
        counted.into_iter().filter(shown).collect()
    }
}

/// `GET /vms`
pub(crate) async fn show(visit: Visit, Query(listing): Query<Listing>) -> Answer {
    let listing = listing.with_views(&visit, ListName::Vms).await?;
    let page = visit.core.vms(&listing.params()).await.or_page(&visit)?;
    // Only the networks that are on this page.
    let networks = page.items.iter().flat_map(|vm| vm.spec.nics.iter().map(|nic| nic.network)).collect();
    let addresses = visit.core.leased(&networks).await.or_page(&visit)?;
    let pager = listing.pager("/vms", &page, "machine");
    let row = |vm: Vm| {
        let samples = if vm.status.state.is_active() { visit.core.own_vm_samples(vm.id) } else { Vec::new() };
        let on =
            |nic: &hostd_types::VmNic| addresses.get(&(nic.network, nic.mac.to_ascii_lowercase())).cloned();
        Row {
            cpu: Spark::cpu(&samples),
            memory: Spark::memory(&samples, vm.spec.memory_mib << 20),
            address: vm.spec.nics.iter().find_map(on).unwrap_or_default(),
            vm,
        }
    };
    Ok(answer(&VmsPage {
        layout: visit.layout("vms", Section::Vms, "Machines").watching("vm folder view"),
        rows: page.items.into_iter().map(row).collect(),
        counts: visit.core.vm_counts().await.or_page(&visit)?,
        templates: visit.core.template_count().await.or_page(&visit)?,
        folders: visit.core.folders().await.or_page(&visit)?,
        listing,
        pager,
        others: visit.core.other_machines(),
    }))
}
