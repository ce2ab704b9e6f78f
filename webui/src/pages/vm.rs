//! One machine: summary, console, events, and its power buttons.

use super::Answer;
use crate::chart::Chart;
use crate::filters;
use crate::forms::vm::power_action;
use crate::listing::{Listing, Pager};
use crate::page::{Page, answer, page};
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
}
page!(VmPage);

impl VmPage {
    /// When its host was last heard, when that is why there are no charts.
    fn unmeasured(&self) -> Option<String> {
        let asked = self.detail.vm.status.state.is_active() && self.charts.is_empty();
        self.layout.places().silent(&self.detail.vm.spec.host).filter(|_| asked)
    }
}

/// The consoles.
#[derive(Template)]
#[template(path = "vm/console.html")]
pub(crate) struct ConsolePage {
    pub(crate) layout: Layout,
    pub(crate) detail: VmDetail,
}

impl Page for ConsolePage {
    fn layout(&self) -> &Layout {
        &self.layout
    }
    fn is_console(&self) -> bool {
        true
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

/// `GET /vms/{id}`
pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    let id = visit.id("machine", &id)?;
    let detail = visit.core.vm_detail(id).await.or_page(&visit)?;
    // Of a host that does not answer nothing is known.
    let host = visit.core.host_view(detail.vm.spec.host).await.ok();
    let memory = detail.vm.spec.memory_mib << 20;
    let samples = match detail.vm.status.state.is_active() {
        true => Some(visit.core.vm_samples(id).await.or_page(&visit)?),
        false => None,
    };
    let silent = visit.frame.places.silent(&detail.vm.spec.host).is_some();
    let samples = samples.filter(|samples| !(silent && samples.is_empty()));
    Ok(answer(&VmPage {
        layout: visit.layout("vm", Section::Vms, &detail.vm.spec.name).watching(watch(&visit, &detail.vm)),
        charts: samples.map(|samples| Chart::of_vm(&samples, memory)).unwrap_or_default(),
        emulation: host
            .is_some_and(|h| matches!(h.facts.acceleration, hostd_types::Acceleration::Emulation { .. })),
        detail,
    }))
}

/// `GET /vms/{id}/console`
pub(crate) async fn console(visit: Visit, Path(id): Path<String>) -> Answer {
    let id = visit.id("machine", &id)?;
    let detail = visit.core.vm_detail(id).await.or_page(&visit)?;
    let title = format!("{} · Console", detail.vm.spec.name);
    Ok(answer(&ConsolePage {
        layout: visit.layout("vm-console", Section::Vms, title).watching(watch(&visit, &detail.vm)),
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
        tab @ ("console" | "hardware" | "snapshots" | "events") => format!("/vms/{id}/{tab}"),
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
