//! Machines that libvirt has and Quantix did not make.

use super::Answer;
use crate::filters;
use crate::flash::Flash;
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Path;
use hostd_types::command::VmCommand;
use hostd_types::{AdoptVm, Command, DiscoveredView, DiscoveredVm, HostId, Network, Problem, VmId};
use std::collections::BTreeSet;

/// The page.
#[derive(Template)]
#[template(path = "vm/discovered.html")]
pub(crate) struct DiscoveredPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) view: DiscoveredView,
    pub(crate) networks: Vec<Network>,
}
page!(DiscoveredPage, refusal);

impl DiscoveredPage {
    /// Networks that a card of it can be plugged into.
    fn networks_of(&self, vm: &DiscoveredVm) -> impl Iterator<Item = &Network> {
        let host = vm.host;
        self.networks.iter().filter(move |network| network.spec.host == host)
    }
    /// The name of the network that a card is on.
    fn network_name(&self, id: &hostd_types::NetworkId) -> &str {
        self.networks.iter().find(|network| network.id == *id).map_or("a network", |n| n.spec.name.as_str())
    }
}

async fn respond(visit: &Visit, problem: Option<Problem>) -> Answer {
    let view = visit.core.discovered().await.or_page(visit)?;
    let hosts: BTreeSet<HostId> = view.items.iter().map(|vm| vm.host).collect();
    let mut networks = Vec::new();
    for host in hosts {
        let there = visit.core.networks_on(host).await.or_page(visit)?;
        networks.extend(there.into_iter().map(|view| view.network));
    }
    let layout = visit.layout("discovered", Section::Vms, "Discovered machines").watching("vm");
    Ok(answer(&DiscoveredPage { layout, refusal: Refusal(problem), view, networks }))
}

/// `GET /vms/discovered`
pub(crate) async fn show(visit: Visit) -> Answer {
    respond(&visit, None).await
}

/// `POST /vms/discovered/{host}/{id}/adopt`
pub(crate) async fn adopt(Path((host, id)): Path<(String, String)>, submission: Submission) -> Answer {
    let visit = &submission.visit;
    let (host, id): (HostId, VmId) = (visit.id("host", &host)?, visit.id("machine", &id)?);
    let found = visit.core.discovered().await.or_page(visit)?;
    let found = found.items.into_iter().find(|vm| vm.id == id && vm.host == host);
    let cards = found.iter().flat_map(|vm| &vm.nics).map(|nic| nic.mac.clone());
    let chosen = |mac: String| {
        let network = submission.fields.parsed(&format!("network-{mac}"))?;
        Some((mac, network))
    };
    let name = submission.fields.text("name");
    let asked =
        AdoptVm { name: (!name.is_empty()).then_some(name), networks: cards.filter_map(chosen).collect() };
    let command = VmCommand::Adopt { id, host, asked, taken: None };
    match submission.submit(Command::Vm(command)).await {
        Ok(outcome) => {
            Ok(Flash::accepted("The machine is being taken over.", &outcome).then(&format!("/vms/{id}")))
        }
        Err(problem) => respond(visit, Some(problem)).await,
    }
}
