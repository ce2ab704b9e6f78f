//! One machine: summary, console, events, and its power buttons.

use super::Answer;
use crate::chart::{Chart, Span};
use crate::filters;
use crate::forms::choice::power_action;
use crate::listing::{Listing, Pager};
use crate::page::{answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use crate::wording::power_said;
use askama::Template;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use hostd_core::VmDetail;
use hostd_types::command::VmCommand;
use hostd_types::{Command, Event, Phase, SHUTDOWN_DEADLINE_S, Vm, VmId};

/// The page's changes: the machine's own, and tasks' (their progress). Of one on another host nothing is told here, so
/// that the page follows this host's pulse.
pub(crate) fn watch(visit: &Visit, vm: &Vm) -> String {
    let pulse = if vm.spec.host == visit.core.host() { "" } else { " host" };
    format!("vm:{} task network image{pulse}", vm.id)
}

/// The summary.
#[derive(Template)]
#[template(path = "vm/summary.html")]
pub(crate) struct VmPage {
    pub(crate) layout: Layout,
    pub(crate) detail: VmDetail,
    pub(crate) charts: Vec<Chart>,
    pub(crate) emulation: bool,
    /// How much time the charts show.
    pub(crate) span: Time,
    /// The path of its folder; empty when it is in none.
    pub(crate) folder: String,
}
page!(VmPage);

impl VmPage {
    /// Why there are no charts, when there are none.
    fn unmeasured(&self) -> Option<String> {
        if !self.charts.is_empty() {
            return None;
        }
        if !self.detail.vm.status.state.is_active() {
            return Some("Nothing was measured in this time: the machine was off.".into());
        }
        let silent = self.layout.places().silent(&self.detail.vm.spec.host);
        Some(match silent {
            Some(age) => format!("No measurements: its host has been silent, {age}."),
            None => "Nothing is measured yet: the first values come within a minute.".into(),
        })
    }
}

/// What happened to it.
#[derive(Template)]
#[template(path = "vm/events.html")]
pub(crate) struct VmEventsPage {
    pub(crate) layout: Layout,
    pub(crate) detail: VmDetail,
    pub(crate) events: Vec<Event>,
    pub(crate) pager: Pager,
}
page!(VmEventsPage);

/// How much time the charts of the summary show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Time {
    /// Two minutes, read again every second.
    Live,
    /// A day.
    Day,
    /// Half an hour; so does whatever else an address asks for.
    #[default]
    #[serde(other)]
    Recent,
}

/// What the address of the summary says.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    span: Time,
}

/// `GET /vms/{id}`
pub(crate) async fn show(visit: Visit, Path(id): Path<String>, Query(asked): Query<Asked>) -> Answer {
    let id = visit.id("machine", &id)?;
    let span = asked.span;
    let detail = visit.core.vm_detail(id).await.or_page(&visit)?;
    // Of a host that does not answer nothing is known.
    let host = visit.core.host_view(detail.vm.spec.host).await.ok();
    let memory = detail.vm.spec.memory_mib << 20;
    let samples = match (detail.vm.status.state.is_active(), span) {
        (true, Time::Recent) => Some(visit.core.vm_samples(id).await.or_page(&visit)?),
        (true, Time::Live) => Some(visit.core.vm_seconds(id).await.unwrap_or_default()),
        (false, Time::Recent | Time::Live) | (_, Time::Day) => None,
    };
    let silent = visit.frame.places.silent(&detail.vm.spec.host).is_some();
    let samples = samples.filter(|samples| !(silent && samples.is_empty()));
    let charts = match samples {
        // A host that does not answer tells no history either; the page says so.
        None if span == Time::Day && !silent => {
            let minutes = visit.core.vm_history(id).await.unwrap_or_default();
            Chart::of_vm_day(&minutes, memory, hostd_types::Timestamp::now().unix())
        }
        Some(samples) if span == Time::Live => Chart::of_vm(Span::LIVE, &samples, memory),
        Some(samples) => Chart::of_vm(Span::RECENT, &samples, memory),
        None => Vec::new(),
    };
    let folder = match detail.vm.spec.filing.folder {
        // It may be deleted at this moment.
        Some(id) => visit.core.folder(id).await.map(|view| view.path).unwrap_or_default(),
        None => String::new(),
    };
    Ok(answer(&VmPage {
        folder,
        layout: visit.layout("vm", Section::Vms, &detail.vm.spec.name).watching(watch(&visit, &detail.vm)),
        charts,
        span,
        emulation: host
            .is_some_and(|h| matches!(h.facts.acceleration, hostd_types::Acceleration::Emulation { .. })),
        detail,
    }))
}

/// `GET /vms/{id}/events`
pub(crate) async fn events(visit: Visit, Path(id): Path<String>, Query(listing): Query<Listing>) -> Answer {
    let id: VmId = visit.id("machine", &id)?;
    let detail = visit.core.vm_detail(id).await.or_page(&visit)?;
    let page = visit.core.events(&listing.params(), Some(&id.to_string())).await.or_page(&visit)?;
    let title = format!("{} · Events", detail.vm.spec.name);
    Ok(answer(&VmEventsPage {
        layout: visit.layout("vm-events", Section::Vms, title).watching(watch(&visit, &detail.vm)),
        pager: listing.pager(&format!("/vms/{id}/events"), &page, "event"),
        events: page.items,
        detail,
    }))
}

/// `POST /vms/{id}/power`: back to the page the button stands on.
pub(crate) async fn power(Path(id): Path<String>, submission: Submission) -> Response {
    let id: VmId = match submission.visit.id("machine", &id) {
        Ok(id) => id,
        Err(error) => return error.into_response(),
    };
    let path = match submission.fields.text("from").as_str() {
        "dock" => super::console::dock_path(&submission.fields),
        tab @ ("console" | "hardware" | "snapshots" | "events" | "customization" | "diagnosis") => {
            format!("/vms/{id}/{tab}")
        }
        _ => format!("/vms/{id}"),
    };
    match power_action(&submission.fields) {
        Ok(action) => {
            let command = Command::Vm(VmCommand::Power { id, action, deadline_s: SHUTDOWN_DEADLINE_S });
            submission.act(command, &path, power_said(&action)).await
        }
        Err(problem) => submission.refused(&path, problem),
    }
}
