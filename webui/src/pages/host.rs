//! A host: its machine, its load, its background work; of one that does not answer, what the cluster knows of it.

use super::Answer;
use crate::chart::{Chart, Meter};
use crate::filters;
use crate::page::{answer, page};
use crate::place::Place;
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use hostd_core::watchdog::Watchdog;
use hostd_core::{ClusterHealth, HostView, MemberView};
use hostd_types::command::HostCommand;
use hostd_types::{Acceleration, Command, HostDevices, HostId, HostRole, NicFacts, Problem, ProblemKind, Vm};

/// The page.
#[derive(Template)]
#[template(path = "host.html")]
pub(crate) struct HostPage {
    pub(crate) layout: Layout,
    pub(crate) host: HostView,
    pub(crate) charts: Vec<Chart>,
    /// Of this host alone; another one's is its own matter.
    pub(crate) health: ClusterHealth,
    /// As a member, when there are others.
    pub(crate) member: Option<MemberView>,
    /// What is on its buses; none when it does not tell.
    pub(crate) devices: Option<HostDevices>,
}
page!(HostPage);

impl HostPage {
    /// Links that are cards; bridges and taps are the product's own.
    fn cards(&self) -> impl Iterator<Item = &NicFacts> {
        self.host.facts.nics.iter().filter(|n| n.physical)
    }
}

/// The page of a host that does not answer.
#[derive(Template)]
#[template(path = "host_silent.html")]
pub(crate) struct SilentHostPage {
    pub(crate) layout: Layout,
    pub(crate) member: MemberView,
    /// What it said, or what happened on the way.
    pub(crate) problem: Problem,
    pub(crate) vms: Vec<Vm>,
}
page!(SilentHostPage);

impl SilentHostPage {
    /// The host with its age.
    fn place(&self) -> Option<&Place> {
        self.layout.places().find(self.member.host.id)
    }
}

/// `GET /host`: this host.
pub(crate) async fn show(visit: Visit) -> Answer {
    let here = visit.core.host();
    respond(visit, here).await
}

/// `GET /host/{id}`: any host.
pub(crate) async fn show_one(visit: Visit, Path(id): Path<String>) -> Answer {
    let id: HostId = visit.id("host", &id)?;
    respond(visit, id).await
}

async fn respond(visit: Visit, id: HostId) -> Answer {
    let (core, here) = (&visit.core, visit.core.host() == id);
    let host = match core.host_view(id).await {
        Ok(host) => host,
        Err(problem) if !here && problem.kind != ProblemKind::NotFound => {
            return silent(&visit, id, problem).await;
        }
        Err(problem) => return Err(visit.failed(problem)),
    };
    let devices = core.host_devices(id).await.ok();
    let samples = core.host_samples(id).await.unwrap_or_default();
    let members = core.cluster_view().await.or_page(&visit)?.members;
    let member = members.into_iter().find(|member| member.host.id == id);
    let title = if here { "Host" } else { host.host.spec.name.as_str() };
    Ok(answer(&HostPage {
        layout: visit
            .layout("host", if here { Section::Host } else { Section::Cluster }, title)
            .watching("host"),
        charts: vec![
            Chart::host_cpu(&samples),
            Chart::host_memory(&samples, host.facts.memory_bytes),
            Chart::host_network(&samples),
        ],
        health: if here { core.cluster_health().await } else { ClusterHealth::default() },
        member: member.filter(|_| visit.frame.places.several()),
        devices,
        host,
    }))
}

/// What the rows say of a host that does not answer, and how old that is.
async fn silent(visit: &Visit, id: HostId, problem: Problem) -> Answer {
    let member = visit.cluster()?.members.iter().find(|member| member.host.id == id).cloned();
    let member = member.ok_or_else(|| visit.failed(Problem::not_found("host", id)))?;
    let vms = visit.core.vms_on(id).await.or_page(visit)?;
    let layout = visit.layout("host", Section::Cluster, &member.host.spec.name).watching("host vm");
    Ok(answer(&SilentHostPage { layout, member, problem, vms }))
}

/// `POST /host/rename`: the host named in the form, this one when none is.
pub(crate) async fn rename(submission: Submission) -> Response {
    let here = submission.visit.core.host();
    let (id, name) = (submission.fields.parsed("host").unwrap_or(here), submission.fields.text("name"));
    let path = if id == here { "/host".to_owned() } else { format!("/host/{id}") };
    let said = format!("The host is called {name} now.");
    submission.act(Command::Host(HostCommand::Rename { id, name }), &path, said).await
}
