//! Consoles: one machine's with its links, several side by side, and what a link shows to who has no login.

use super::Answer;
use super::vm::watch;
use crate::fields::Fields;
use crate::filters;
use crate::forms::link::LinkForm;
use crate::page::{Page, Refusal, answer};
use crate::submission::Submission;
use crate::visit::{Frame, Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::{Path, Query, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use hostd_core::VmDetail;
use hostd_types::command::AccessCommand;
use hostd_types::{Command, ConsoleLink, ConsoleLinkId, ListParams, Phase, Problem, Vm, VmId};
use serde::Deserialize;

/// Combinations a browser or the system around it keeps for itself.
pub(crate) const KEYS: [&str; 18] = [
    "Ctrl Alt Del",
    "Ctrl Alt Backspace",
    "Ctrl Alt F1",
    "Ctrl Alt F2",
    "Ctrl Alt F3",
    "Ctrl Alt F4",
    "Ctrl Alt F5",
    "Ctrl Alt F6",
    "Ctrl Alt F7",
    "Alt Tab",
    "Alt F4",
    "Ctrl Esc",
    "Win",
    "Esc",
    "Print",
    "Alt SysRq",
    "Pause",
    "F11",
];
/// Machines shown side by side at most: each costs the browser a picture that moves.
pub(crate) const PANES_MAX: usize = 9;

/// The consoles of one machine.
#[derive(Template)]
#[template(path = "vm/console.html")]
pub(crate) struct ConsolePage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) detail: VmDetail,
    pub(crate) links: Vec<ConsoleLink>,
    /// The link that was just made.
    pub(crate) fresh: Option<String>,
    pub(crate) form: LinkForm,
}

impl Page for ConsolePage {
    fn layout(&self) -> &Layout {
        &self.layout
    }
    fn status(&self) -> StatusCode {
        self.refusal.status()
    }
    fn is_console(&self) -> bool {
        true
    }
}

async fn respond(visit: &Visit, id: &str, form: LinkForm, made: Option<Result<String, Problem>>) -> Answer {
    let id = visit.id("machine", id)?;
    let detail = visit.core.vm_detail(id).await.or_page(visit)?;
    let title = format!("{} · Console", detail.vm.spec.name);
    let watched = format!("{} console_link", watch(visit, &detail.vm));
    let (fresh, problem) = match made {
        Some(Ok(path)) => (Some(path), None),
        Some(Err(problem)) => (None, Some(problem)),
        None => (None, None),
    };
    Ok(answer(&ConsolePage {
        layout: visit.layout("vm-console", Section::Vms, title).watching(watched),
        refusal: Refusal(problem),
        links: visit.core.console_links(id).await.or_page(visit)?,
        detail,
        fresh,
        form,
    }))
}

/// `GET /vms/{id}/console`
pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    respond(&visit, &id, LinkForm::default(), None).await
}

/// `POST /vms/{id}/links`: the answer itself shows the link; no redirect could carry it.
pub(crate) async fn share(Path(id): Path<String>, submission: Submission) -> Answer {
    let visit = &submission.visit;
    let form = LinkForm::read(&submission.fields);
    let vm: VmId = visit.id("machine", &id)?;
    let made = match form.link() {
        Ok(asked) => visit.core.share_console(&visit.ctx, vm, &asked).await.map(|made| made.path),
        Err(problem) => Err(problem),
    };
    respond(visit, &id, form, Some(made)).await
}

/// `GET /vms/{id}/links`: a reload after making one.
pub(crate) async fn back(visit: Visit, Path(id): Path<String>) -> Answer {
    let id: VmId = visit.id("machine", &id)?;
    Ok(Redirect::to(&format!("/vms/{id}/console")).into_response())
}

/// `POST /vms/{id}/links/{link}/revoke`
pub(crate) async fn revoke(Path((id, link)): Path<(String, String)>, submission: Submission) -> Response {
    let visit = &submission.visit;
    match (visit.id::<VmId>("machine", &id), visit.id::<ConsoleLinkId>("link", &link)) {
        (Ok(vm), Ok(id)) => {
            let command = Command::Access(AccessCommand::RevokeLink { id });
            submission.act(command, &format!("/vms/{vm}/console"), "The link is revoked.").await
        }
        (Err(error), _) | (_, Err(error)) => error.into_response(),
    }
}

/// One machine of the dock.
pub(crate) struct Pane {
    pub(crate) vm: Vm,
    /// Its serial port is shown in the place of its screen.
    pub(crate) serial: bool,
    /// Ends the ids of its parts: `-1`, `-2`, …
    pub(crate) mark: String,
}

/// Several machines side by side.
#[derive(Template)]
#[template(path = "consoles.html")]
pub(crate) struct DockPage {
    pub(crate) layout: Layout,
    pub(crate) panes: Vec<Pane>,
    /// What can be added, by name.
    pub(crate) all: Vec<Vm>,
    /// How many more there are.
    pub(crate) left: u64,
}

impl Page for DockPage {
    fn layout(&self) -> &Layout {
        &self.layout
    }
    fn is_console(&self) -> bool {
        true
    }
}

/// Which machines the dock shows: ids with commas between, `~` behind one whose serial port is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Shown {
    vms: String,
    add: String,
}

/// The machines of such a list; what is none is left out, and each is shown once.
fn parsed(text: &str) -> Vec<(VmId, bool)> {
    let mut shown: Vec<(VmId, bool)> = Vec::new();
    for part in text.split(',') {
        let (id, serial) = part.strip_suffix('~').map_or((part, false), |id| (id, true));
        if let Ok(id) = id.trim().parse()
            && !shown.iter().any(|(known, _)| *known == id)
            && shown.len() < PANES_MAX
        {
            shown.push((id, serial));
        }
    }
    shown
}

fn listed(shown: impl IntoIterator<Item = (VmId, bool)>) -> String {
    let part = |(id, serial): (VmId, bool)| format!("{id}{}", if serial { "~" } else { "" });
    shown.into_iter().map(part).collect::<Vec<_>>().join(",")
}

/// The dock's address with the machines of a form's field `vms`.
pub(crate) fn dock_path(fields: &Fields) -> String {
    format!("/consoles?vms={}", listed(parsed(&fields.text("vms"))))
}

impl DockPage {
    fn shown(&self) -> impl Iterator<Item = (VmId, bool)> {
        self.panes.iter().map(|pane| (pane.vm.id, pane.serial))
    }
    fn ids(&self) -> String {
        listed(self.shown())
    }
    /// Machines that can be added.
    fn others(&self) -> Vec<&Vm> {
        self.all.iter().filter(|vm| self.panes.iter().all(|pane| pane.vm.id != vm.id)).collect()
    }
    fn without(&self, pane: &Pane) -> String {
        format!("/consoles?vms={}", listed(self.shown().filter(|(id, _)| *id != pane.vm.id)))
    }
    /// The other console of a machine.
    fn switched(&self, pane: &Pane) -> String {
        let other = |(id, serial): (VmId, bool)| (id, if id == pane.vm.id { !serial } else { serial });
        format!("/consoles?vms={}", listed(self.shown().map(other)))
    }
}

/// `GET /consoles?vms=…`
pub(crate) async fn dock(visit: Visit, Query(Shown { vms, add }): Query<Shown>) -> Answer {
    let shown = parsed(&vms);
    if let Some((id, _)) = parsed(&add).pop() {
        let more = listed(shown.into_iter().chain([(id, false)]));
        return Ok(Redirect::to(&format!("/consoles?vms={}", listed(parsed(&more)))).into_response());
    }
    let params =
        ListParams { limit: Some(hostd_types::PAGE_MAX), sort: Some("name".into()), ..ListParams::default() };
    let all = visit.core.vms(&params).await.or_page(&visit)?;
    let mut panes = Vec::new();
    for (id, serial) in shown {
        // One that was deleted meanwhile is left out.
        if let Ok(vm) = visit.core.vm(id).await {
            let mark = format!("-{}", panes.len() + 1);
            panes.push(Pane { vm, serial, mark });
        }
    }
    let watched: Vec<String> = panes.iter().map(|pane| format!("vm:{}", pane.vm.id)).collect();
    let layout = visit.layout("consoles", Section::Vms, "Consoles").watching(watched.join(" "));
    let left = all.total.saturating_sub(all.items.len() as u64);
    Ok(answer(&DockPage { layout, panes, all: all.items, left }))
}

/// What a link shows: nothing, until its secret, which the server does not see here, is redeemed.
#[derive(Template)]
#[template(path = "shared.html")]
pub(crate) struct SharedPage {
    pub(crate) layout: Layout,
}

impl Page for SharedPage {
    fn layout(&self) -> &Layout {
        &self.layout
    }
    fn is_console(&self) -> bool {
        true
    }
}

/// `GET /shared`
pub(crate) async fn shared(request: Request) -> Response {
    let (parts, _) = request.into_parts();
    answer(&SharedPage { layout: Frame::anonymous(&parts).layout("shared", Section::None, "Console") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_dock_remembers_its_machines() {
        let (a, b) = (VmId::new(), VmId::new());
        let shown = parsed(&format!("{a},nonsense,{b}~,{a}~"));
        assert_eq!(shown, [(a, false), (b, true)]);
        assert_eq!(parsed(&listed(shown.clone())), shown);
        let many: Vec<(VmId, bool)> = (0..20).map(|_| (VmId::new(), false)).collect();
        assert_eq!(parsed(&listed(many)).len(), PANES_MAX);
    }
}
