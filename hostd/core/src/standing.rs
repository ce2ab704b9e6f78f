//! Whether this host may change anything: it can't once the others removed it, nor without a majority. What it says then
//! names who is missing and the ways out.

use crate::federation::{Condition, Liveness};
use crate::{ClusterView, Core};
use hostd_types::*;
use std::time::Duration;
use tokio::time::Instant;

/// How long a login waits for somebody who leads: an election.
const SOON: Duration = Duration::from_secs(2);
/// How often it is looked meanwhile; the group tells no one of its changes.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Core {
    /// This host is one of several and reaches no majority of them.
    pub(crate) fn cut_off(&self) -> bool {
        let group = self.0.cluster.group();
        group.members.len() > 1 && !group.leads && !group.followed
    }

    /// The refusal of every change, when this host knows that the others removed it.
    ///
    /// # Errors
    /// When the state can't be read.
    pub(crate) async fn removed(&self) -> Result<Option<Problem>, Problem> {
        if !*self.0.settled.borrow() {
            return Ok(None);
        }
        let known = self.0.wire.told_removed().is_some()
            || (self.store().host(self.host()).await?.is_none()
                && self.condition().await? == Condition::Removed);
        Ok(known.then(removed_here))
    }

    /// Whether somebody leads whom a majority follows, now or soon.
    pub(crate) async fn led_soon(&self) -> bool {
        let begun = Instant::now();
        while self.cut_off() {
            if begun.elapsed() > SOON || self.0.wire.told_removed().is_some() {
                return false;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        true
    }

    /// Names who is missing, and the ways out.
    pub(crate) async fn explain_no_quorum(&self, problem: Problem) -> Problem {
        let Ok(view) = self.cluster_view().await else { return problem };
        match no_majority(&view) {
            Some(detail) => Problem { detail, ..problem },
            None => problem,
        }
    }
}

/// What a host says that was removed.
pub(crate) fn removed_here() -> Problem {
    let detail = "This host was removed from its cluster, so nothing can be changed here; its own machines keep running and can \
                  be started and stopped. Let it leave: then it is a cluster of its own with everything on it. Or let it \
                  join again with a fresh token.";
    Problem::new(ProblemKind::Removed, detail)
}

/// Why nothing can be changed without the members that do not answer; `None` when all do.
fn no_majority(view: &ClusterView) -> Option<String> {
    let silent = view.members.iter().filter(|m| m.host.id != view.here && m.liveness != Liveness::Up);
    let names: Vec<&str> = silent.map(|member| member.host.spec.name.as_str()).collect();
    let (answer, missing, they) = match names.len() {
        0 => return None,
        1 => ("does not answer", "it", "it is"),
        _ => ("do not answer", "the missing hosts", "they are"),
    };
    Some(format!(
        "The majority of the cluster can't be reached: {} {answer}. Machines keep running, and those of this host can be \
         started and stopped. Bring {missing} back; or, if {they} gone for ever, go on without: qx cluster recover.",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::tests::view;

    #[test]
    fn who_is_missing_is_told_in_good_english() {
        let (up, down) = (Liveness::Up, Liveness::Down);
        let of = |members: &[(&str, Liveness)]| no_majority(&view(Condition::Member, false, members));
        let one = of(&[("h1", up), ("h2", down)]).expect("one is missing");
        assert!(
            one.contains("h2 does not answer") && one.contains("Bring it back; or, if it is gone"),
            "{one}"
        );
        let two = of(&[("h1", up), ("h2", down), ("h3", Liveness::Suspect)]).expect("two are missing");
        assert!(two.contains("h2, h3 do not answer") && two.contains("if they are gone"), "{two}");
        assert!(two.contains("qx cluster recover"), "{two}");
        assert_eq!(of(&[("h1", up), ("h2", up)]), None, "an election");
    }
}
