//! Networks on this host: made, kept as they are wanted, undone.

mod plan;

use plan::{Seen, Step, plan};

use super::{Reconcile, Summary};
use crate::Core;
use crate::error::{chain, net, sentence};
use hostd_net::NetError;
use hostd_types::command::NetworkCommand;
use hostd_types::*;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Time before a network is tried again whose trial cuts the host off for a moment.
const REST: Duration = Duration::from_secs(900);

/// Makes networks as they are wanted.
pub(super) struct Networks {
    core: Core,
    /// Networks that must not be tried again at once, with what is wrong with them.
    resting: HashMap<NetworkId, (Instant, String)>,
}

impl Networks {
    pub fn new(core: &Core) -> Self {
        Self { core: core.clone(), resting: HashMap::new() }
    }

    async fn look(&mut self, network: &Network) -> Seen {
        if let Some((since, fault)) = self.resting.get(&network.id)
            && since.elapsed() < REST
        {
            return Seen::Wrong(Problem::new(ProblemKind::Internal, fault.clone()));
        }
        self.resting.remove(&network.id);
        match self.core.0.nets.ensure(network).await {
            Ok(status) => Seen::Is { active: status.active, fault: status.fault },
            Err(error) => {
                let fault = sentence(&chain(&error));
                if !error.retryable() {
                    self.resting.insert(network.id, (Instant::now(), fault.clone()));
                }
                let kind = match &error {
                    NetError::Refused(_) => ProblemKind::Conflict,
                    NetError::Unsupported { .. } => ProblemKind::Unsupported,
                    NetError::Call { .. }
                    | NetError::Late { .. }
                    | NetError::Undone { .. }
                    | NetError::Stuck { .. } => ProblemKind::Internal,
                };
                if network.status.fault.as_deref() != Some(fault.as_str()) {
                    tracing::warn!(network = %network.spec.name, %error, "a network is not as wanted");
                }
                Seen::Wrong(Problem::new(kind, fault))
            }
        }
    }

    async fn act(&mut self, network: &Network) -> Result<bool, Problem> {
        let id = network.id;
        let command = match network.status.phase {
            Phase::Deleting => {
                self.core.0.nets.remove(network).await.map_err(net)?;
                self.resting.remove(&id);
                NetworkCommand::Deleted { id }
            }
            Phase::Creating | Phase::Ready => {
                let seen = self.look(network).await;
                match plan(network, &seen) {
                    None => return Ok(false),
                    Some(Step::Report(status)) => NetworkCommand::Report { id, status },
                    Some(Step::GiveUp(problem)) => {
                        if let Err(error) = self.core.0.nets.remove(network).await {
                            // Nothing may have been made at all, for example under a name that can't be.
                            tracing::warn!(network = %network.spec.name, %error, "undoing a network failed");
                        }
                        self.resting.remove(&id);
                        NetworkCommand::CreateFailed { id, problem }
                    }
                }
            }
        };
        self.core.report(Command::Network(command)).await?;
        Ok(true)
    }
}

impl Reconcile for Networks {
    fn name(&self) -> &'static str {
        "networks"
    }
    fn period(&self) -> Duration {
        Duration::from_secs(30)
    }
    async fn run(&mut self) -> Result<Summary, Problem> {
        let networks = self.core.store().networks_on(self.core.host()).await?;
        let mut summary = Summary { checked: networks.len(), ..Summary::default() };
        for network in &networks {
            match self.act(network).await {
                Ok(changed) => summary.changed += usize::from(changed),
                Err(problem) => {
                    tracing::warn!(network = %network.spec.name, %problem, "a network is not as wanted yet");
                    summary.failed += 1;
                }
            }
        }
        if !self.core.0.networks_seen.swap(true, Ordering::AcqRel) {
            self.core.0.wakes.vms.notify_one();
        }
        Ok(summary)
    }
}
