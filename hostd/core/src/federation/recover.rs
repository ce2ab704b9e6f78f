//! When the majority is lost for ever, one of the hosts left goes on alone.

use super::found::keys;
use super::plea;
use super::view::Condition;
use crate::error::internal;
use crate::{Core, Ctx};
use hostd_types::command::ClusterCommand;
use hostd_types::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long the other hosts are given to show that they are on after all.
const SHOW_UP: Duration = Duration::from_secs(3);
/// Pause between two looks for them.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What the journal of a recovery keeps for its end.
#[derive(Serialize, Deserialize)]
struct Vouched {
    /// Who said that the others are off.
    by: Actor,
    /// The generation the cluster has afterwards, however often its end is tried.
    generation: u64,
}

impl Core {
    /// Goes on alone with the state as this host has it; every other host is removed and must join again. `powered_off` are
    /// the names of all of them: a person vouches that they are off.
    ///
    /// # Errors
    /// `Invalid` when a name is missing or wrong, `WrongState` when there is a majority, or a named host answers.
    pub async fn recover_cluster(&self, ctx: &Ctx, powered_off: &[String]) -> Result<(), Problem> {
        let _one_at_a_time = self.0.moving.lock().await;
        let view = self.cluster_view().await?;
        if view.condition != Condition::Member {
            return Err(Problem::wrong_state("This host is not a member of a cluster with others."));
        }
        if view.quorum.held {
            let detail =
                "There is a majority, so nothing needs to be recovered. Remove a host that is gone instead.";
            return Err(Problem::wrong_state(detail));
        }
        let others: Vec<&crate::MemberView> =
            view.members.iter().filter(|member| member.host.id != view.here).collect();
        let names: Vec<&str> = others.iter().map(|member| member.host.spec.name.as_str()).collect();
        if let Some(wrong) = powered_off.iter().find(|name| !names.contains(&name.as_str())) {
            let detail = format!("{wrong} is no other host of this cluster; those are {}.", names.join(", "));
            return Err(Problem::field("/powered_off", detail));
        }
        if let Some(missing) = names.iter().find(|name| !powered_off.iter().any(|n| n == *name)) {
            let detail = format!(
                "{missing} is not named. Every other host must be: they all have to join again, and one that still runs \
                 would go on by itself."
            );
            return Err(Problem::field("/powered_off", detail));
        }
        let identity = self.identity()?;
        let others: Vec<&Host> = others.iter().map(|member| &member.host).collect();
        // What is known of them may be old: this host may have been started, or its cable plugged in, just now.
        let sites = plea::sites(&others, self);
        let look = async {
            // A network that has just come back may still say that there is no way.
            loop {
                if let Some((site, _)) = plea::find_member(&identity, &sites).await {
                    return site;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if let Ok(site) = tokio::time::timeout(SHOW_UP, look).await {
            let at = |host: &&&Host| self.addresses_of(host).iter().any(|a| a.ip() == site.ip());
            let name = others.iter().find(at).map_or("one of them", |host| host.spec.name.as_str());
            let detail =
                format!("{name} answers at {site}, so it is not off. Wait until this host has found it.");
            return Err(Problem::wrong_state(detail));
        }
        let vouched = Vouched { by: ctx.actor(self.host()), generation: identity.generation() + 1 };
        let vouched =
            serde_json::to_string(&vouched).map_err(|error| internal("Who asks can't be noted", error))?;
        self.0.cluster.recover(&vouched).await?;
        self.finish_recovery().await
    }

    /// Tells the state that this host goes on alone, unless it knows; done again at a start that finds it unfinished.
    ///
    /// # Errors
    /// When the state or the keys can't be written.
    pub(crate) async fn finish_recovery(&self) -> Result<(), Problem> {
        let Some(vouched) = self.0.cluster.recovered().await? else { return Ok(()) };
        if !self.0.cluster.group().leads {
            return Ok(());
        }
        let Vouched { by, generation } = serde_json::from_str(&vouched)
            .map_err(|error| internal("Who asked for the recovery can't be read", error))?;
        let recover = ClusterCommand::Recover { host: self.host(), generation };
        if self.cluster_record().await?.status.generation < generation {
            self.propose(by, RequestId::new(), Command::Cluster(recover)).await?;
        }
        let next = self.identity()?.of_generation(generation);
        next.save(&self.settings().keys_dir()).map_err(keys)?;
        self.link_as(Some(next))?;
        self.0.cluster.recovery_told().await
    }
}
