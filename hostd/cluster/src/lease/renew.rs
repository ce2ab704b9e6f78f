//! A member's side: it renews its lease.

use super::held::Held;
use super::{Leases, Member};
use crate::carrier::Lane;
use crate::engine::Engine;
use crate::frame::{Frame, Renew, Renewed, Reply};
use tokio_util::sync::CancellationToken;

/// Renews this host's lease until `stop`.
pub(crate) async fn renew(engine: Engine, leases: Leases, stop: CancellationToken) {
    let renew = leases.0.terms.renew;
    // A daemon that comes back wants its lease before what hangs on the last one ends.
    let mut pause = renew / 3;
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        let granted = async {
            let Some(own) = own(&engine, &leases).await else { return false };
            once(&engine, &leases, own).await
        };
        match stop.run_until_cancelled(granted).await {
            None => return,
            // Another try still falls into the lease it has.
            Some(granted) => pause = if granted { renew } else { renew / 3 },
        }
    }
}

/// This host, when it may have a lease. One of an older epoch is void.
async fn own(engine: &Engine, leases: &Leases) -> Option<Member> {
    let own = match super::own(engine).await {
        Ok(own) => own.filter(|own| own.active),
        Err(error) => {
            tracing::warn!(%error, "this host's row can't be read, so it renews no lease");
            None
        }
    };
    let mut held = leases.held();
    *held = held.filter(|held| own.is_some_and(|own| held.is_of(own.node, own.epoch)));
    own
}

/// Asks the leader for a lease; tells whether it granted one.
async fn once(engine: &Engine, leases: &Leases, own: Member) -> bool {
    let (sent, ask) = (leases.now(), Renew { epoch: own.epoch });
    let renewed = match engine.metrics().current_leader {
        None => return false,
        Some(leader) if leader == own.node.0 => leases.ask(own.node, ask).await,
        Some(leader) => {
            let Ok(frame) = Frame::Renew(ask).encode() else { return false };
            // A round that is under way, the next one, and the way.
            let within = leases.0.terms.renew.mul_f32(1.5);
            match engine.peers().ask(leader, Lane::Consensus, frame, within).await {
                Ok(Reply::Renewed(renewed)) => renewed,
                Ok(_) => return false,
                Err(error) => {
                    tracing::debug!(%error, "a renew was not answered");
                    return false;
                }
            }
        }
    };
    let Renewed { granted, decided, why } = renewed;
    if granted {
        let mut held = leases.held();
        *held = Some(Held::granted(*held, own.node, own.epoch, sent, decided));
    } else {
        tracing::debug!(why, "no lease");
    }
    granted
}
