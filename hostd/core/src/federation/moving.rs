//! What is left to do once a host's state is that of another cluster: take up the identity, wait to be a member, bring the
//! belongings. Every start goes on with it until it is done; every step may be done twice.

use super::found::keys;
use super::view::MemberAddress;
use crate::error::internal;
use crate::{Core, hostname};
use hostd_cluster::{Destination, Switch};
use hostd_peer::{Attempt, Identity};
use hostd_types::command::{AccessCommand, ClusterCommand, HostCommand};
use hostd_types::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long until a step that failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// Rows of one command that brings belongings: well below the size a command may have.
const ROWS: usize = 100;

/// What a host that joined carries over.
#[derive(Serialize, Deserialize)]
pub(crate) struct Joined {
    pub(crate) identity: Identity,
    pub(crate) members: Vec<MemberAddress>,
}

/// What a host that left carries over.
#[derive(Serialize, Deserialize)]
pub(crate) struct Left {
    /// Who may log in, with the hashes of their passwords.
    pub(crate) users: Vec<(User, PasswordHash)>,
}

impl Core {
    /// Moves this host with all it has into the group `into`, as `node`. Everything that acts on the state is held back
    /// until the move is done. Returns when the host is on its way; the rest goes on in the background.
    ///
    /// # Errors
    /// When the state can't be read or written. Either nothing has changed then, or the move has begun and the next start
    /// goes on with it.
    pub(crate) async fn move_into(
        &self,
        into: Destination,
        node: NodeId,
        carried: serde_json::Value,
    ) -> Result<(), Problem> {
        self.close_neighbours();
        self.0.settled.send_replace(false);
        let moved = async {
            let belongings = self.0.cluster.own_belongings().await?;
            self.0.cluster.switch(&Switch { node, into, belongings, carried }).await
        };
        let moved = moved.await;
        if moved.is_ok() {
            self.finish_move();
        } else if matches!(self.0.cluster.switching().await, Ok(None)) {
            self.0.settled.send_replace(true);
        }
        moved
    }

    /// Where this host is on its way to; `None` when it is where it belongs.
    ///
    /// # Errors
    /// When what is noted of the move can't be read.
    pub async fn destination(&self) -> Result<Option<Destination>, Problem> {
        if *self.0.settled.borrow() {
            return Ok(None);
        }
        Ok(self.0.cluster.switching().await?.map(|switch| switch.into))
    }

    /// Finishes the move that was begun, in the background.
    pub(crate) fn finish_move(&self) {
        let core = self.clone();
        self.0.tracker.spawn(async move {
            let stop = core.0.stop.clone();
            // A stop leaves the rest to the next start.
            let _ = stop.run_until_cancelled(core.finish()).await;
        });
    }

    async fn finish(&self) {
        loop {
            match self.try_finish().await {
                Ok(()) => break,
                Err(problem) => tracing::warn!(%problem, "the move is not done yet"),
            }
            tokio::time::sleep(AGAIN).await;
        }
        self.0.settled.send_replace(true);
        self.0.wakes.ring_all();
        self.0.live.missed(1);
    }

    async fn try_finish(&self) -> Result<(), Problem> {
        let Some(switch) = self.0.cluster.switching().await? else { return Ok(()) };
        match switch.into {
            Destination::Cluster => self.arrive(&switch).await?,
            Destination::Alone => self.settle_alone(&switch).await?,
        }
        self.bring(switch.belongings).await?;
        self.0.cluster.switched().await?;
        tracing::info!(node = %switch.node, "the move into another cluster is done");
        Ok(())
    }

    /// Becomes a member: the others learn of this host by its row, which is there before it asks.
    async fn arrive(&self, switch: &Switch) -> Result<(), Problem> {
        let odd = |e| internal("What the cluster answered can't be read back", e);
        let Joined { identity, members } = serde_json::from_value(switch.carried.clone()).map_err(odd)?;
        identity.save(&self.settings().keys_dir()).map_err(keys)?;
        Attempt::forget(&self.settings().keys_dir()).map_err(keys)?;
        self.link_as(Some(identity))?;
        self.0.wire.forget_removed();
        if let Some(link) = self.0.wire.link() {
            let known = members.iter().map(|m| (m.node, super::parsed(&m.addresses))).collect();
            link.set_addresses(known);
        }
        self.knock(members.iter().map(|member| member.node)).await;
        self.0.initial_password.forget()?;
        // The password is the cluster's from here on, and whoever brought this host in has it.
        self.password_is_known().await?;
        let mut revision = self.0.cluster.revision();
        while self.store().host_of_node(switch.node).await?.is_none() {
            if revision.changed().await.is_err() {
                return Err(Problem::new(ProblemKind::Unavailable, "The host is stopping."));
            }
        }
        Ok(())
    }

    /// Becomes a cluster of one.
    async fn settle_alone(&self, switch: &Switch) -> Result<(), Problem> {
        let odd = |e| internal("What was carried over can't be read back", e);
        let Left { users } = serde_json::from_value(switch.carried.clone()).map_err(odd)?;
        self.0.wire.forget_removed();
        if self.store().cluster().await?.is_none() {
            self.found().await?;
        }
        if self.store().host(self.host()).await?.is_none() {
            let report =
                HostCommand::Report { id: self.host(), name: hostname(), status: self.host_status() };
            self.report(Command::Host(report)).await?;
        }
        self.link_as(Identity::load(&self.settings().keys_dir()).map_err(keys)?)?;
        // Also what others said to the identity it had until now.
        self.0.wire.forget_removed();
        let there = self.store().users().await?;
        for (user, password) in users {
            if there.iter().any(|known| known.id == user.id) {
                continue;
            }
            let (id, name, initial) = (user.id, user.name, user.initial_password);
            let create = AccessCommand::CreateUser { id, name, password, initial };
            let by = Actor::Host { id: self.host() };
            self.propose(by, RequestId::new(), Command::Access(create)).await?;
        }
        self.ensure_administrator().await
    }

    /// Brings what this host has, in portions, what others refer to first.
    async fn bring(&self, mut belongings: Belongings) -> Result<(), Problem> {
        let vms = std::mem::take(&mut belongings.vms);
        let snapshots = std::mem::take(&mut belongings.snapshots);
        let Belongings { networks, images, volumes, .. } = belongings;
        let mut portions = Vec::new();
        portions.extend(
            networks.chunks(ROWS).map(|rows| Belongings { networks: rows.to_vec(), ..Belongings::default() }),
        );
        portions.extend(
            images.chunks(ROWS).map(|rows| Belongings { images: rows.to_vec(), ..Belongings::default() }),
        );
        portions.extend(
            volumes.chunks(ROWS).map(|rows| Belongings { volumes: rows.to_vec(), ..Belongings::default() }),
        );
        portions
            .extend(vms.chunks(ROWS).map(|rows| Belongings { vms: rows.to_vec(), ..Belongings::default() }));
        portions.extend(
            snapshots
                .chunks(ROWS)
                .map(|rows| Belongings { snapshots: rows.to_vec(), ..Belongings::default() }),
        );
        for belongings in portions {
            let import = ClusterCommand::Import { host: self.host(), belongings };
            self.report(Command::Cluster(import)).await?;
        }
        Ok(())
    }
}
