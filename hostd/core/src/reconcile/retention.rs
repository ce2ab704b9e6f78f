//! Old tasks and events are dropped, so that the state stays small.

use super::{Reconcile, Summary};
use crate::Core;
use hostd_types::command::TaskCommand;
use hostd_types::*;
use std::time::Duration;

/// Days that ended tasks and events are kept.
const KEPT_DAYS: i64 = 90;

/// Drops what is old.
pub(super) struct Retention {
    core: Core,
    runs: u64,
}

impl Retention {
    pub fn new(core: &Core) -> Self {
        Self { core: core.clone(), runs: 0 }
    }
}

impl Reconcile for Retention {
    fn name(&self) -> &'static str {
        "retention"
    }
    fn period(&self) -> Duration {
        Duration::from_secs(3600)
    }
    async fn run(&mut self) -> Result<Summary, Problem> {
        // Once in the cluster is enough.
        if !self.core.0.cluster.group().leads {
            return Ok(Summary::default());
        }
        let before = Timestamp::now().plus_seconds(-KEPT_DAYS * 86_400);
        let oldest = self.core.oldest_event().await?;
        self.runs += 1;
        // Sessions and tokens that ended are dropped with it, so once a day it is done in any case.
        let daily = self.runs.is_multiple_of(24);
        if !daily && oldest.is_none_or(|at| at >= before) {
            return Ok(Summary { checked: 1, ..Summary::default() });
        }
        self.core.report(Command::Task(TaskCommand::Prune { before })).await?;
        Ok(Summary { checked: 1, changed: 1, ..Summary::default() })
    }
}
