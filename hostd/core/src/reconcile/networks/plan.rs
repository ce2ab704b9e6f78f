//! What to report about each network; pure.

use hostd_types::*;

/// What making it so came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is there.
    Is {
        /// The bridge is up and serves.
        active: bool,
        /// What is wrong nevertheless.
        fault: Option<String>,
    },
    /// It could not be made so.
    Wrong(Problem),
}

/// What to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// What was seen.
    Report(NetworkStatus),
    /// Its creation failed: undo it.
    GiveUp(Problem),
}

/// Plans one network that is not being deleted.
pub(super) fn plan(network: &Network, seen: &Seen) -> Option<Step> {
    // That of a test clone stays while its machine does, and says what is wrong.
    let creating = network.status.phase == Phase::Creating && network.spec.for_clone.is_none();
    let status = match seen {
        Seen::Is { active: true, fault } => {
            NetworkStatus { phase: Phase::Ready, active: true, fault: fault.clone() }
        }
        Seen::Is { active: false, fault } if creating => {
            let detail = fault.clone().unwrap_or_else(|| "The network did not become active.".into());
            return Some(Step::GiveUp(Problem::new(ProblemKind::Unsupported, detail)));
        }
        Seen::Is { active: false, fault } => {
            NetworkStatus { phase: Phase::Ready, active: false, fault: fault.clone() }
        }
        Seen::Wrong(problem) if creating => return Some(Step::GiveUp(problem.clone())),
        Seen::Wrong(problem) => {
            NetworkStatus { phase: Phase::Ready, active: false, fault: Some(problem.detail.clone()) }
        }
    };
    (status != network.status).then_some(Step::Report(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    #[test]
    fn a_new_network_becomes_ready_or_is_undone_and_an_old_one_is_told_about() {
        let mut network = sample::nat("default", "10.200.0.0/24");
        let good = Seen::Is { active: true, fault: None };
        let wrong = Seen::Wrong(Problem::new(ProblemKind::Conflict, "eth0 is taken."));
        assert_eq!(plan(&network, &good), None);
        let Some(Step::Report(status)) = plan(&network, &wrong) else { panic!("a report") };
        assert_eq!(status.fault.as_deref(), Some("eth0 is taken."));
        assert!(!status.active && status.phase == Phase::Ready);
        network.status = status;
        assert_eq!(plan(&network, &wrong), None);
        assert!(matches!(plan(&network, &good), Some(Step::Report(s)) if s.active && s.fault.is_none()));
        network.status = NetworkStatus::default();
        assert!(matches!(plan(&network, &good), Some(Step::Report(s)) if s.phase == Phase::Ready));
        assert!(matches!(plan(&network, &wrong), Some(Step::GiveUp(p)) if p.kind == ProblemKind::Conflict));
        let lacking = Seen::Is { active: false, fault: Some("nft is missing".into()) };
        assert!(matches!(plan(&network, &lacking), Some(Step::GiveUp(p)) if p.detail.contains("nft")));
        network.spec.for_clone = Some(VmId::new());
        assert!(matches!(plan(&network, &lacking), Some(Step::Report(s)) if !s.active && s.fault.is_some()));
    }
}
