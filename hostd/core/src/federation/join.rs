//! The joining host's side: look, then leap.

use super::found::keys;
use super::moving::Joined;
use super::view::{Admission, AdmissionPreview, AdmissionRequest, Condition, JoinPreview};
use crate::error::internal;
use crate::{Core, Ctx, hostname};
use hostd_cluster::Destination;
use hostd_peer::{Attempt, Identity, Invitation, PeerError, pinned};
use hostd_types::command::AuditCommand;
use hostd_types::*;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Time for a question to the cluster.
const ASK: Duration = Duration::from_secs(15);

impl Core {
    /// Asks the cluster of a join token what joining would do. Changes nothing.
    ///
    /// # Errors
    /// `Invalid` when the text is no token, `Unavailable` when the cluster can't be reached, its refusal otherwise.
    pub async fn preview_join(&self, text: &str) -> Result<JoinPreview, Problem> {
        let invitation = read(text)?;
        let asked = self.admission_request(&invitation, NodeId::random(), String::new()).await?;
        let answer: AdmissionPreview = ask(&invitation, "preview", &asked).await?;
        let mut blockers = self.join_blockers(&invitation).await?;
        blockers.extend(answer.blockers);
        let host = Clash {
            kind: Kind::Host,
            id: self.host().to_string(),
            name: asked.name,
            becomes: answer.host_name,
        };
        let name = &answer.name;
        let first = match self.role() {
            HostRole::Host => "Machines go on running; their disks stay on this host.".to_owned(),
            HostRole::Witness => format!("It comes as a witness: it votes in {name} and runs no machines."),
        };
        let mut notes = vec![
            first,
            format!(
                "Users, passwords and API tokens are those of {name}; the ones of this host end, and so does this session."
            ),
            "Tasks and events of this host so far stay behind in its archive.".to_owned(),
        ];
        notes.extend(called_as_before(&asked.belongings, &answer.clashes));
        if !asked.belongings.vms.is_empty() {
            notes.push(format!("Everybody who manages {name} can manage this host's machines."));
        }
        Ok(JoinPreview {
            cluster: invitation.cluster,
            name: answer.name,
            members: answer.members,
            host,
            facts: self.facts().await,
            level: asked.status.level,
            belongings: asked.belongings,
            clashes: answer.clashes,
            blockers,
            notes,
        })
    }

    /// Joins the cluster of a join token with everything this host has. Returns when the host is on its way: its state is
    /// the cluster's from then on, and what it has follows.
    ///
    /// # Errors
    /// As of [`Core::preview_join`]; `Invalid` at `/role` when this host is something else; `WrongState` with the first
    /// blocker. Nothing has changed then.
    pub async fn join_cluster(&self, ctx: &Ctx, text: &str, role: Option<HostRole>) -> Result<(), Problem> {
        let invitation = read(text)?;
        if let Some(wanted) = role.filter(|wanted| *wanted != self.role()) {
            let (is, wanted) = (self.role().as_str(), wanted.as_str());
            let detail = format!(
                "This daemon was started as a {is}. Start it with --role {wanted} first; then it joins as a {wanted} by itself."
            );
            return Err(Problem::field("/role", detail));
        }
        let _one_at_a_time = self.0.moving.lock().await;
        if let Some(blocker) = self.join_blockers(&invitation).await?.into_iter().next() {
            return Err(Problem::wrong_state(blocker));
        }
        let attempt =
            Attempt::of(&self.settings().keys_dir(), invitation.cluster, invitation.token).map_err(keys)?;
        let csr_pem = attempt.csr_pem().to_owned();
        let asked = self.admission_request(&invitation, attempt.node(), csr_pem).await?;
        let admission: Admission = ask(&invitation, "join", &asked).await?;
        let identity = Identity::new(
            invitation.cluster,
            attempt.node(),
            admission.generation,
            admission.chain_pem,
            attempt.key_pem(),
            admission.authorities,
            admission.secret,
        );
        let identity = identity.map_err(keys)?;
        let detail = format!("joins cluster {}", invitation.cluster);
        let line =
            AuditCommand { action: "cluster.join".into(), subject: None, result: EventResult::Ok, detail };
        self.audit(ctx.actor(self.host()), line).await;
        let carried = Joined { identity, members: admission.members };
        let carried = serde_json::to_value(carried)
            .map_err(|error| internal("What the cluster answered can't be kept", error))?;
        self.move_into(Destination::Cluster, attempt.node(), carried).await
    }

    /// Why this host can't join another cluster now.
    async fn join_blockers(&self, invitation: &Invitation) -> Result<Vec<String>, Problem> {
        let mut blockers = Vec::new();
        let condition = self.condition().await?;
        if condition == Condition::Removed {
            // What it had under way with the others was ended there.
            return Ok(blockers);
        }
        let here = self.store().cluster().await?;
        if here.is_some_and(|cluster| cluster.id == invitation.cluster) {
            blockers.push("This host is a member of that cluster already.".into());
            return Ok(blockers);
        }
        match condition {
            Condition::Alone | Condition::Removed => {}
            Condition::Member => {
                blockers.push("This host is a member of another cluster. Leave that first.".into())
            }
            Condition::Moving => {
                blockers.push("This host is on its way between two clusters already.".into())
            }
        }
        let running = self.store().running_tasks_on(self.host()).await?;
        if let Some(task) = running.first() {
            let (action, name) = (&task.action, &task.subject.name);
            blockers.push(format!("{action} of {name} is under way. Wait until it has ended, or cancel it."));
        }
        Ok(blockers)
    }

    async fn admission_request(
        &self,
        invitation: &Invitation,
        node: NodeId,
        csr_pem: String,
    ) -> Result<AdmissionRequest, Problem> {
        let belongings = match csr_pem.is_empty() {
            true => self.0.cluster.own_belongings().await?,
            false => Belongings::default(),
        };
        Ok(AdmissionRequest {
            token: invitation.token,
            secret: hex::encode(invitation.secret),
            host: self.host(),
            name: hostname(),
            role: self.role(),
            status: self.host_status(),
            node,
            csr_pem,
            belongings,
        })
    }
}

/// What becomes of the new names of machines that run: libvirt renames only what is off.
fn called_as_before(belongings: &Belongings, clashes: &[Clash]) -> Option<String> {
    let renamed = |vm: &&Vm| clashes.iter().any(|c| c.kind == Kind::Vm && c.id == vm.id.to_string());
    let active = belongings.vms.iter().filter(|vm| vm.status.state.is_active());
    let names: Vec<&str> = active.filter(renamed).map(|vm| vm.spec.name.as_str()).collect();
    match names.as_slice() {
        [] => None,
        [name] => Some(format!("{name} runs: it keeps this name inside libvirt until it is next started.")),
        names => Some(format!(
            "{} run: they keep these names inside libvirt until they are next started.",
            names.join(", ")
        )),
    }
}

fn read(text: &str) -> Result<Invitation, Problem> {
    text.parse().map_err(|error: hostd_peer::BadInvitation| {
        let detail = error.to_string();
        let mut detail: String =
            detail.chars().take(1).flat_map(char::to_uppercase).chain(detail.chars().skip(1)).collect();
        detail.push('.');
        Problem::field("/token", detail)
    })
}

async fn ask<T: DeserializeOwned>(
    invitation: &Invitation,
    what: &str,
    asked: &AdmissionRequest,
) -> Result<T, Problem> {
    let path = format!("/api/v1/cluster/admission/{what}");
    let body = serde_json::to_value(asked).map_err(|e| internal("The question can't be written", e))?;
    let Invitation { cluster, authority, addresses, .. } = invitation;
    let (status, answer) =
        pinned::post(addresses, *cluster, Some(*authority), &path, &body, ASK).await.map_err(|e| far(&e))?;
    let odd = |error: serde_json::Error| {
        internal("The cluster's answer can't be read; perhaps it runs a much older or newer version", error)
    };
    if (200..300).contains(&status) {
        return serde_json::from_value(answer).map_err(odd);
    }
    let detail = answer["detail"].as_str().unwrap_or("It gave no reason.").to_owned();
    let kind = match status {
        403 => return Err(Problem::field("/token", detail)),
        409 => ProblemKind::Conflict,
        410 => ProblemKind::Removed,
        429 => ProblemKind::TooMany,
        503 => ProblemKind::Unavailable,
        _ => ProblemKind::Internal,
    };
    Err(Problem::new(kind, format!("The cluster refused: {detail}")))
}

/// The cluster can't be asked.
fn far(error: &PeerError) -> Problem {
    let detail = format!(
        "No host of the cluster could be asked ({error}). Check that this host reaches one of them on port 8443, and that \
         the token is not an old one."
    );
    Problem::new(ProblemKind::Unavailable, detail)
}
