//! Where other members are, when the rows tell it no more: what a person says, and what members tell each other.

use super::Ask;
use super::ask::LOOK;
use crate::{Core, Ctx};
use hostd_types::command::AuditCommand;
use hostd_types::*;
use rand::seq::IteratorRandom;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Addresses of members, the most promising first. None is believed: whoever answers there has to prove who it is.
pub(super) type Whereabouts = BTreeMap<NodeId, Vec<SocketAddr>>;

/// Addresses told of one member.
const EACH: usize = 8;
/// A member that was heard in this time is asked.
const LATELY: Duration = Duration::from_secs(60);
/// Members that are asked when none was.
const ANY: usize = 3;

/// Local fact: where a person said that a node is.
fn place_key(node: NodeId) -> String {
    format!("peer.{node}")
}

impl Core {
    /// Where this host finds the others, for a member that does not.
    pub(super) async fn whereabouts(&self) -> Result<Whereabouts, Problem> {
        let Some(link) = self.0.wire.link() else { return Ok(Whereabouts::new()) };
        let nodes = self.store().hosts().await?.into_iter().filter_map(|host| host.spec.node);
        Ok(nodes.map(|node| (node, link.addresses(node).into_iter().take(EACH).collect())).collect())
    }

    /// Where this host looks for another one.
    pub(super) fn addresses_of(&self, host: &Host) -> Vec<SocketAddr> {
        let known = self.0.wire.link().zip(host.spec.node).map(|(link, node)| link.addresses(node));
        known.unwrap_or_else(|| super::parsed(&host.status.addresses))
    }

    /// Shows itself to other members, so that they need not wait for their next try to find this host, and hears from them
    /// where they find the rest.
    pub(crate) async fn knock(&self, members: impl IntoIterator<Item = NodeId>) {
        let (Ok(body), Some(link)) = (serde_json::to_vec(&Ask::Knock), self.0.wire.link()) else { return };
        let knocks = members.into_iter().map(|node| self.0.wire.ask(node, &body, LOOK));
        // Who is not there is found later, and who runs an older version tells nothing.
        for answer in futures_util::future::join_all(knocks).await.into_iter().flatten() {
            if let Ok(Ok(Some(told))) =
                serde_json::from_slice::<Result<Option<Whereabouts>, Problem>>(&answer)
            {
                link.hear_say(told);
            }
        }
    }

    /// Asks those members that this host hears of where the others are: all may have moved.
    pub(crate) async fn look_around(&self) {
        let (group, Some(link)) = (self.0.cluster.group(), self.0.wire.link()) else { return };
        let others = group.members.keys().copied().filter(|node| *node != group.me);
        let heard = |node: &NodeId| link.heard(*node).is_some_and(|at| at.elapsed() < LATELY);
        let (mut asked, silent): (Vec<_>, Vec<_>) = others.partition(heard);
        if asked.is_empty() {
            asked = silent.into_iter().choose_multiple(&mut rand::rng(), ANY);
        }
        self.knock(asked).await;
    }

    /// Says where a host is, for this host alone, when the cluster does not know; `None` forgets that.
    ///
    /// # Errors
    /// `NotFound`, `WrongState` for this host itself.
    pub async fn set_peer(&self, ctx: &Ctx, id: HostId, address: Option<SocketAddr>) -> Result<(), Problem> {
        let host = self.host_row(id).await?;
        let node = host.spec.node.filter(|_| id != self.host()).ok_or_else(|| {
            Problem::wrong_state(format!("{} is this host, or not a member.", host.spec.name))
        })?;
        let text = address.map(|address| address.to_string()).unwrap_or_default();
        self.local().put(&place_key(node), &text).await?;
        let detail = match address {
            Some(address) => format!("here it is looked for at {address}"),
            None => "here it is looked for where the cluster says".to_owned(),
        };
        let (action, subject) = ("cluster.set_peer".to_owned(), Some(host.subject()));
        let line = AuditCommand { action, subject, result: EventResult::Ok, detail };
        if let Some(link) = self.0.wire.link() {
            link.set_override(node, address);
            self.knock([node]).await;
        }
        // It may wait for the majority that this brings back.
        self.audit(ctx.actor(self.host()), line).await;
        Ok(())
    }

    /// Takes up again what [`Core::set_peer`] was told before a restart.
    ///
    /// # Errors
    /// When the state can't be read.
    pub(crate) async fn remember_places(&self) -> Result<(), Problem> {
        for node in self.store().hosts().await?.iter().filter_map(|host| host.spec.node) {
            let text = self.local().get(&place_key(node)).await?.unwrap_or_default();
            if let (Ok(address), Some(link)) = (text.parse(), self.0.wire.link()) {
                link.set_override(node, Some(address));
            }
        }
        Ok(())
    }
}
