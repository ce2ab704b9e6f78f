//! Why a machine is as it is: what happened last, its logs, and its definition inside libvirt.

use super::Answer;
use super::vm::watch;
use crate::filters;
use crate::listing::Listing;
use crate::page::{answer, page};
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Path;
use hostd_core::{LogSource, ReconcilerView, VmDetail, VmLog, VmXml};
use hostd_types::{Event, ListParams, Phase, Problem, VmId};

/// Events shown.
const EVENTS: u32 = 20;
/// Lines of each log shown; the API and `qx` give up to 1000.
const LINES: u32 = 200;

/// The page.
#[derive(Template)]
#[template(path = "vm/diagnosis.html")]
pub(crate) struct DiagnosisPage {
    pub(crate) layout: Layout,
    pub(crate) detail: VmDetail,
    pub(crate) events: Vec<Event>,
    pub(crate) xml: Result<VmXml, Problem>,
    pub(crate) qemu: Result<VmLog, Problem>,
    pub(crate) serial: Result<VmLog, Problem>,
    /// How looking after the machines of its host goes.
    pub(crate) look: Option<ReconcilerView>,
}
page!(DiagnosisPage);

impl DiagnosisPage {
    fn logs(&self) -> [(&'static str, &'static str, &Result<VmLog, Problem>); 2] {
        [
            ("qemu-log", "Log of its QEMU", &self.qemu),
            ("serial-lines", "Printed on its serial port", &self.serial),
        ]
    }
}

/// `GET /vms/{id}/diagnosis`
pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    let id: VmId = visit.id("machine", &id)?;
    let core = &visit.core;
    let detail = core.vm_detail(id).await.or_page(&visit)?;
    let list = ListParams { limit: Some(EVENTS), ..Listing::default().params() };
    let events = core.events(&list, Some(&id.to_string())).await.or_page(&visit)?.items;
    let host = core.host_view(detail.vm.spec.host).await.ok();
    let title = format!("{} · Diagnosis", detail.vm.spec.name);
    Ok(answer(&DiagnosisPage {
        layout: visit.layout("vm-diagnosis", Section::Vms, title).watching(watch(&visit, &detail.vm)),
        xml: core.vm_xml(id).await,
        qemu: core.vm_log(id, LogSource::Qemu, LINES).await,
        serial: core.vm_log(id, LogSource::Serial, LINES).await,
        look: host.and_then(|host| host.reconcilers.into_iter().find(|view| view.name == "virtual machines")),
        detail,
        events,
    }))
}
