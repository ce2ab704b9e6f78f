//! The cluster: its members, who may come in, its settings.

use super::Answer;
use crate::chart::Meter;
use crate::error::PageError;
use crate::filters;
use crate::flash::Flash;
use crate::forms::cluster::ClusterForm;
use crate::page::{Refusal, answer, page};
use crate::qr::Qr;
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use hostd_core::{ClusterView, Condition, Liveness, MemberView, NeighboursView, NewJoinToken};
use hostd_types::command::ClusterCommand;
use hostd_types::{
    ClusterRecord, Command, CpuBaseline, HostId, HostRole, JoinToken, JoinTokenId, Problem, RotationPhase,
    Timestamp,
};

/// The page, and once a fresh token.
#[derive(Template)]
#[template(path = "cluster.html")]
pub(crate) struct ClusterPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) view: ClusterView,
    pub(crate) tokens: Vec<JoinToken>,
    pub(crate) fresh: Option<NewJoinToken>,
    pub(crate) neighbours: NeighboursView,
    pub(crate) form: ClusterForm,
    /// The processor that flexible machines see.
    pub(crate) cpu: CpuBaseline,
    pub(crate) now: Timestamp,
}
page!(ClusterPage, refusal);

impl ClusterPage {
    /// This host, as a member.
    fn here(&self) -> Option<&MemberView> {
        self.view.members.iter().find(|member| member.host.id == self.view.here)
    }
    /// Its name; once its row is gone, what the machine is called, which is what leaving asks for then.
    fn own_name(&self) -> String {
        self.here().map_or_else(hostd_core::hostname, |member| member.host.spec.name.clone())
    }
    fn is_here(&self, member: &MemberView) -> bool {
        member.host.id == self.view.here
    }
    /// Colour class and heading of the sentence about the majority.
    fn majority(&self) -> (&'static str, &'static str) {
        let quorum = &self.view.quorum;
        match (self.view.condition, quorum.held) {
            (Condition::Alone, _) => ("info", "One host"),
            (_, false) => ("bad", "No majority"),
            (_, true) if quorum.voters == 1 => ("warn", "One host decides"),
            (_, true) if quorum.reachable < quorum.voters => ("warn", "Not all hosts answer"),
            (_, true) if quorum.may_fail == 0 => ("warn", "No host may fail"),
            (_, true) => ("good", "Healthy"),
        }
    }
    /// It can be removed from here: it is gone, and the rest can decide.
    fn removable(&self, member: &MemberView) -> bool {
        !self.is_here(member)
            && self.view.quorum.held
            && matches!(member.liveness, Liveness::Down | Liveness::Unknown | Liveness::Fenced)
    }
    /// How old what is shown of a member is.
    fn age(&self, member: &MemberView) -> String {
        crate::place::age(member.liveness, member.seen_s)
    }
    /// Its lease, in words.
    fn lease(&self, member: &MemberView) -> String {
        crate::place::lease(member.lease_s)
    }
    /// Share of the processors' time a member uses.
    fn cpu(&self, member: &MemberView) -> Option<f64> {
        member.pulse.as_ref()?.sample.map(|sample| sample.cpu)
    }
    /// Memory in use and in all, bytes.
    fn memory(&self, member: &MemberView) -> Option<(u64, u64)> {
        let pulse = member.pulse.as_ref()?;
        pulse.sample.map(|sample| (sample.memory_used, pulse.memory_bytes))
    }
    /// What is wrong with a member, in words.
    fn faults<'a>(&self, member: &'a MemberView) -> &'a [String] {
        member.pulse.as_ref().map_or(&[], |pulse| pulse.faults.as_slice())
    }
    /// Names of hosts.
    fn names(&self, ids: &[HostId]) -> String {
        let named = |id: &HostId| self.view.members.iter().find(|member| member.host.id == *id);
        ids.iter().filter_map(named).map(|m| m.host.spec.name.as_str()).collect::<Vec<_>>().join(", ")
    }
    /// Hosts that a replacement of the authority waits for and that don't answer.
    fn awaited_in_vain(&self) -> Vec<&MemberView> {
        let awaited = self.view.certificates.rotation.iter().flat_map(|rotation| &rotation.waits_for);
        let silent = |member: &&MemberView| {
            matches!(member.liveness, Liveness::Down | Liveness::Fenced | Liveness::Unknown)
        };
        awaited
            .filter_map(|id| self.view.members.iter().find(|member| member.host.id == *id))
            .filter(silent)
            .collect()
    }
    /// It lets a host in.
    fn open(&self, token: &JoinToken) -> bool {
        token.used_by.is_none() && token.expires_at >= self.now
    }
    /// The code of a fresh token.
    fn code(&self, text: &str) -> Qr {
        Qr::of(text, "The join token as a QR code")
    }
}

/// The page with what was typed and why it was refused.
pub(crate) async fn respond(
    visit: &Visit,
    form: Option<ClusterForm>,
    fresh: Option<NewJoinToken>,
    problem: Option<Problem>,
) -> Answer {
    let view = visit.cluster()?.clone();
    let mut layout = visit.layout("cluster", Section::Cluster, "Cluster");
    // An answer to a form has no address of its own to be read again from.
    if fresh.is_none() && problem.is_none() {
        layout = layout.watching("host cluster join_token");
    }
    Ok(answer(&ClusterPage {
        layout,
        refusal: Refusal(problem),
        tokens: visit.core.join_tokens().await.or_page(visit)?,
        form: form.unwrap_or_else(|| ClusterForm::of(view.cluster.as_ref())),
        view,
        fresh,
        neighbours: visit.core.neighbours().await.or_page(visit)?,
        cpu: visit.core.cpu_baseline().await.or_page(visit)?,
        now: Timestamp::now(),
    }))
}

/// `GET /cluster`
pub(crate) async fn show(visit: Visit) -> Answer {
    respond(&visit, None, None, None).await
}

/// `GET` of an address that takes forms alone, as a browser asks for when its page is loaded again.
pub(crate) async fn back(_: Visit) -> Redirect {
    Redirect::to("/cluster")
}

/// The cluster's record; there is none while this host moves.
pub(crate) fn record(visit: &Visit) -> Result<Option<ClusterRecord>, PageError> {
    Ok(visit.cluster()?.cluster.clone())
}

/// `POST /cluster/settings`
pub(crate) async fn edit(submission: Submission) -> Answer {
    let visit = &submission.visit;
    let cluster = record(visit)?;
    let form = ClusterForm::read(&submission.fields, cluster.as_ref());
    let Some(cluster) = cluster else {
        return Ok(Redirect::to("/cluster").into_response());
    };
    let problem = match form.edit(&cluster) {
        Ok(ClusterCommand::Edit { name: None, voters: None }) => {
            return Ok(Flash::good("Nothing was changed.").then("/cluster"));
        }
        Ok(command) => match submission.submit(Command::Cluster(command)).await {
            Ok(_) => return Ok(Flash::good("Saved.").then("/cluster")),
            Err(problem) => problem,
        },
        Err(problem) => problem,
    };
    respond(visit, Some(form), None, Some(problem)).await
}

/// `POST /cluster/cpu`: the processor that machines in the CPU mode Flexible see.
pub(crate) async fn choose_cpu(submission: Submission) -> Answer {
    let visit = &submission.visit;
    let form = ClusterForm::read(&submission.fields, record(visit)?.as_ref());
    match submission.submit(Command::Cluster(form.choose_cpu())).await {
        Ok(_) => Ok(Flash::good("Saved. Machines get it at their next start.").then("/cluster")),
        Err(problem) => respond(visit, Some(form), None, Some(problem)).await,
    }
}

/// `POST /cluster/tokens`: the answer itself shows the token; no redirect could carry it.
pub(crate) async fn create_token(submission: Submission) -> Answer {
    let visit = &submission.visit;
    let form = ClusterForm::read(&submission.fields, record(visit)?.as_ref());
    let problem = match form.valid() {
        Ok(valid_s) => match visit.core.create_join_token(&visit.ctx, valid_s).await {
            Ok(fresh) => return respond(visit, Some(form), Some(fresh), None).await,
            Err(problem) => problem,
        },
        Err(problem) => problem,
    };
    respond(visit, Some(form), None, Some(problem)).await
}

/// `POST /cluster/tokens/{id}/revoke`
pub(crate) async fn revoke_token(Path(id): Path<String>, submission: Submission) -> Response {
    match submission.visit.id::<JoinTokenId>("join token", &id) {
        Ok(id) => {
            let command = Command::Cluster(ClusterCommand::RevokeToken { id });
            submission.act(command, "/cluster", "The join token is taken back.").await
        }
        Err(error) => error.into_response(),
    }
}

/// `POST /cluster/rotation`: begins to replace the authority; with a host, goes on without it.
pub(crate) async fn rotate(submission: Submission) -> Response {
    let visit = &submission.visit;
    let (begun, said) = match submission.fields.parsed::<HostId>("without") {
        Some(host) => (
            visit.core.rotate_without(&visit.ctx, vec![host]).await,
            "The replacement goes on without that host.",
        ),
        None => (visit.core.rotate_authority(&visit.ctx).await, "The authority is being replaced."),
    };
    match begun {
        Ok(_) => Flash::good(said).then("/cluster"),
        Err(problem) => submission.refused("/cluster", problem),
    }
}

/// `POST /cluster/hosts/{id}/remove`
pub(crate) async fn remove(Path(id): Path<String>, submission: Submission) -> Response {
    let visit = &submission.visit;
    let id: HostId = match visit.id("host", &id) {
        Ok(id) => id,
        Err(error) => return error.into_response(),
    };
    let confirm = submission.fields.text("confirm");
    match visit.core.remove_host(&visit.ctx, id, &confirm).await {
        Ok(outcome) => Flash::accepted(format!("{confirm} is removed."), &outcome).then("/cluster"),
        Err(problem) => submission.refused("/cluster", problem),
    }
}

/// `POST /cluster/hosts/{id}/address`: where that host is; an empty address takes back what was said.
pub(crate) async fn set_peer(Path(id): Path<String>, submission: Submission) -> Response {
    let visit = &submission.visit;
    let id: HostId = match visit.id("host", &id) {
        Ok(id) => id,
        Err(error) => return error.into_response(),
    };
    let (path, text) = (format!("/host/{id}"), submission.fields.text("address"));
    let address = match text.parse() {
        Ok(address) => Some(address),
        Err(_) if text.is_empty() => None,
        Err(_) => {
            let why = format!("{text} is no address with a port, such as 192.0.2.7:8444.");
            return submission.refused(&path, Problem::field("/address", why));
        }
    };
    let said = match address {
        Some(address) => format!("This host looks for it at {address} from now on."),
        None => "This host looks for it where the cluster says from now on.".to_owned(),
    };
    match visit.core.set_peer(&visit.ctx, id, address).await {
        Ok(()) => Flash::good(said).then(&path),
        Err(problem) => submission.refused(&path, problem),
    }
}
