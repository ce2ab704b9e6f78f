//! The list of machines, and the same power action for several of them.

use super::Answer;
use crate::chart::Spark;
use crate::filters;
use crate::flash::Flash;
use crate::forms::vm::power_action;
use crate::listing::{Listing, Pager};
use crate::page::{answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use hostd_types::command::VmCommand;
use hostd_types::{Command, ListParams, NetworkId, RequestId, SHUTDOWN_DEADLINE_S, Vm, VmId};
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
    pub(crate) listing: Listing,
    pub(crate) pager: Pager,
}
page!(VmsPage);

impl VmsPage {
    /// Machines in all, whatever the filter.
    fn all(&self) -> u64 {
        self.counts.values().sum()
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
    let page = visit.core.vms(&listing.params()).await.or_page(&visit)?;
    let addresses = addresses(&visit).await?;
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
        layout: visit.layout("vms", Section::Vms, "Machines").watching("vm"),
        rows: page.items.into_iter().map(row).collect(),
        counts: visit.core.vm_counts().await.or_page(&visit)?,
        listing,
        pager,
    }))
}

/// Leased addresses by network and hardware address.
async fn addresses(visit: &Visit) -> Result<BTreeMap<(NetworkId, String), String>, crate::error::PageError> {
    let all = ListParams { limit: Some(hostd_types::PAGE_MAX), ..ListParams::default() };
    let networks = visit.core.networks(&all).await.or_page(visit)?.items;
    let leases = networks.into_iter().flat_map(|view| {
        let id = view.network.id;
        view.leases
            .into_iter()
            .map(move |lease| ((id, lease.mac.to_ascii_lowercase()), lease.address.to_string()))
    });
    Ok(leases.collect())
}

/// `POST /vms/batch`: the same action for every ticked machine, each with its own task and its own refusal.
pub(crate) async fn batch(submission: Submission) -> Response {
    if submission.fields.text("action") == "consoles" {
        let chosen: Vec<&str> = submission.fields.all("id").collect();
        return axum::response::Redirect::to(&format!("/consoles?vms={}", chosen.join(","))).into_response();
    }
    let action = match power_action(&submission.fields) {
        Ok(action) => action,
        Err(problem) => return submission.refused("/vms", problem),
    };
    let ids: Vec<VmId> = submission.fields.all("id").filter_map(|id| id.parse().ok()).collect();
    if ids.is_empty() {
        let none =
            Flash { good: false, text: "Tick the machines first, then choose an action.".into(), task: None };
        return none.then("/vms");
    }
    let (mut accepted, mut refused) = (0_u64, Vec::new());
    for (index, id) in ids.iter().enumerate() {
        // Each machine's command needs its own id; derived from the form's, so that a double click still acts once.
        let mut ctx = submission.visit.ctx.clone();
        ctx.request = ctx.request.map(|base| {
            RequestId::from_uuid(uuid::Uuid::from_u128(base.uuid().as_u128() ^ (index as u128 + 1)))
        });
        let command = Command::Vm(VmCommand::Power { id: *id, action, deadline_s: SHUTDOWN_DEADLINE_S });
        match submission.visit.core.submit(&ctx, command).await {
            Ok(_) => accepted += 1,
            Err(problem) => refused.push(problem.detail),
        }
    }
    let said =
        format!("{}: {} accepted.", crate::wording::action(&format!("vm.{}", action.as_str())), accepted);
    let text = match refused.as_slice() {
        [] => said,
        [one] => format!("{said} One was refused: {one}"),
        [first, ..] => format!("{said} {} were refused, the first: {first}", refused.len()),
    };
    Flash { good: refused.is_empty(), text, task: None }.then("/vms")
}
