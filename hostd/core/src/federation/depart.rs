//! Leaving a cluster, and removing a host that is gone.

use super::ask::Ask;
use super::moving::Left;
use super::view::{Condition, Liveness};
use crate::error::internal;
use crate::{Core, Ctx};
use hostd_cluster::Destination;
use hostd_types::command::{ClusterCommand, HostCommand};
use hostd_types::*;
use std::time::Duration;

/// Local fact: as which node this host is on its way out of its cluster, so that a start goes on with it. Of no meaning
/// once it is another node.
const LEAVING: &str = "cluster.leaving";

/// How long others may take to take over a vote: an election, and a change of who votes.
const HAND_OVER: Duration = Duration::from_secs(40);
/// How often it is looked meanwhile; the group tells no one of its changes.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Core {
    /// This host leaves its cluster with everything on it and becomes a cluster of one. `confirm` is its name, typed.
    /// Returns when it is on its way.
    ///
    /// # Errors
    /// `Invalid` when the name is wrong, `WrongState` when it is alone, `NoQuorum` when the others can't be told: then
    /// nothing has changed.
    pub async fn leave_cluster(&self, ctx: &Ctx, confirm: &str) -> Result<(), Problem> {
        let _one_at_a_time = self.0.moving.lock().await;
        let name = self.own_name().await?;
        match self.condition().await? {
            Condition::Alone => return Err(Problem::wrong_state("This host is in no cluster with others.")),
            Condition::Moving => {
                return Err(Problem::wrong_state("This host is on its way between two clusters already."));
            }
            Condition::Member | Condition::Removed => confirmed(confirm, &name)?,
        }
        if self.condition().await? == Condition::Member {
            self.local().put(LEAVING, &self.0.cluster.node().to_string()).await?;
            if let Err(problem) = self.take_leave(ctx).await {
                self.local().put(LEAVING, "").await?;
                if let Err(error) = self.stay().await {
                    tracing::warn!(%error, "the cluster can't be told yet that this host stays");
                }
                return Err(problem);
            }
        }
        self.become_alone().await
    }

    /// Hands over this host's vote, and with it the lead, then tells the others that it is gone.
    async fn take_leave(&self, ctx: &Ctx) -> Result<(), Problem> {
        self.report(Command::Host(HostCommand::SetLeaving { id: self.host(), leaving: true })).await?;
        let begun = tokio::time::Instant::now();
        loop {
            let group = self.0.cluster.group();
            let votes = group.members.get(&group.me).is_some_and(|member| member.votes);
            if !votes && !group.leads && group.leader.is_some() {
                break;
            }
            if begun.elapsed() > HAND_OVER {
                let detail = "No other host could take over this host's vote in time. It stays in the cluster; try again \
                              when the others are up and have caught up.";
                return Err(Problem::new(ProblemKind::Unavailable, detail));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.submit(ctx, Command::Cluster(ClusterCommand::Remove { host: self.host() })).await.map(|_| ())
    }

    /// Tells the others that this host does not leave after all.
    async fn stay(&self) -> Result<(), Problem> {
        let leaving = self.store().host(self.host()).await?.is_some_and(|host| host.spec.leaving);
        if leaving {
            self.report(Command::Host(HostCommand::SetLeaving { id: self.host(), leaving: false })).await?;
        }
        Ok(())
    }

    /// Ends a leave that something interrupted: it goes on when the others know that this host is gone, and is taken back
    /// when they don't, or when it was refused.
    ///
    /// # Errors
    /// When the state can't be read or written, or the others can't be told.
    pub(crate) async fn resume_leaving(&self) -> Result<(), Problem> {
        // A leave under way does the rest itself.
        let Ok(_one_at_a_time) = self.0.moving.try_lock() else { return Ok(()) };
        let leaving = self.local().get(LEAVING).await?.unwrap_or_default();
        let interrupted = leaving == self.0.cluster.node().to_string();
        match self.condition().await? {
            Condition::Removed if interrupted => self.become_alone().await,
            Condition::Member => {
                if interrupted {
                    self.local().put(LEAVING, "").await?;
                }
                self.stay().await
            }
            Condition::Removed | Condition::Alone | Condition::Moving => Ok(()),
        }
    }

    async fn become_alone(&self) -> Result<(), Problem> {
        let mut users = Vec::new();
        for user in self.store().users().await? {
            users.extend(self.store().user_with_password(&user.name).await?);
        }
        let carried = serde_json::to_value(Left { users })
            .map_err(|error| internal("Who may log in can't be carried over", error))?;
        self.move_into(Destination::Alone, NodeId::random(), carried).await
    }

    /// Removes a host that is gone: its row and the rows of everything on it. `confirm` is its name, typed.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` when the name is wrong, `WrongState` for this host or one that answers, `NoQuorum`.
    pub async fn remove_host(&self, ctx: &Ctx, id: HostId, confirm: &str) -> Result<Outcome, Problem> {
        let view = self.cluster_view().await?;
        let member = view.members.iter().find(|member| member.host.id == id);
        let member = member.ok_or_else(|| Problem::not_found("host", id))?;
        let name = &member.host.spec.name;
        confirmed(confirm, name)?;
        if id == self.host() {
            let detail = format!("{name} is this host. To take it out of the cluster, let it leave.");
            return Err(Problem::wrong_state(detail));
        }
        match member.liveness {
            Liveness::Up => return Err(answers(name)),
            // Whoever leads anew, or met the host just now, does not know yet; one that was fenced may be back.
            Liveness::Suspect | Liveness::Unknown | Liveness::Fenced
                if self.ask::<Vec<HostSample>>(id, &Ask::HostSamples).await.is_ok() =>
            {
                return Err(answers(name));
            }
            Liveness::Suspect => return Err(silent(name, member.seen_s.unwrap_or(0))),
            Liveness::Down | Liveness::Unknown | Liveness::Fenced => {}
        }
        self.submit(ctx, Command::Cluster(ClusterCommand::Remove { host: id })).await
    }

    pub(crate) async fn own_name(&self) -> Result<String, Problem> {
        let row = self.store().host(self.host()).await?;
        Ok(row.map_or_else(crate::hostname, |host| host.spec.name))
    }
}

fn answers(name: &str) -> Problem {
    Problem::wrong_state(format!(
        "{name} answers. Let it leave on its own Cluster page: then its machines come with it. Only a host that is gone is \
         removed from here."
    ))
}

fn silent(name: &str, seconds: u64) -> Problem {
    Problem::wrong_state(format!(
        "{name} has been silent for {seconds} s only and may be back in a moment. It can be removed when it has been silent \
         for 30 s."
    ))
}

fn confirmed(typed: &str, name: &str) -> Result<(), Problem> {
    if typed.trim() == name {
        return Ok(());
    }
    Err(Problem::field("/confirm", format!("Type the host's name, {name}, to confirm.")))
}
