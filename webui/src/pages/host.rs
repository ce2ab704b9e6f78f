//! The host: its machine, its load, its background work.

use super::Answer;
use crate::chart::{Chart, Meter};
use crate::filters;
use crate::page::{answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::response::Response;
use hostd_core::{ClusterHealth, HostView};
use hostd_types::command::HostCommand;
use hostd_types::{Acceleration, Command, NicFacts};

/// The page.
#[derive(Template)]
#[template(path = "host.html")]
pub(crate) struct HostPage {
    pub(crate) layout: Layout,
    pub(crate) host: HostView,
    pub(crate) charts: Vec<Chart>,
    pub(crate) health: ClusterHealth,
}
page!(HostPage);

impl HostPage {
    /// Links that are cards; bridges and taps are the product's own.
    fn cards(&self) -> impl Iterator<Item = &NicFacts> {
        self.host.facts.nics.iter().filter(|n| n.physical)
    }
}

/// `GET /host`
pub(crate) async fn show(visit: Visit) -> Answer {
    let core = &visit.core;
    let host = core.host_view(core.host()).await.or_page(&visit)?;
    let samples = core.own_samples();
    Ok(answer(&HostPage {
        layout: visit.layout("host", Section::Host, "Host").watching("host"),
        charts: vec![
            Chart::host_cpu(&samples),
            Chart::host_memory(&samples, host.facts.memory_bytes),
            Chart::host_network(&samples),
        ],
        health: core.cluster_health().await,
        host,
    }))
}

/// `POST /host/rename`
pub(crate) async fn rename(submission: Submission) -> Response {
    let (id, name) = (submission.visit.core.host(), submission.fields.text("name"));
    let said = format!("This host is called {name} now.");
    submission.act(Command::Host(HostCommand::Rename { id, name }), "/host", said).await
}
