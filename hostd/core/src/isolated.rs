//! What a host does on its own while the majority can't be reached: its machines can be started, stopped and watched.
//!
//! A request is journalled on this host before anything is done, and laid over the machine's row: the reconciler and the
//! pages see the row as it would be. When the majority is back, what was done and by whom goes into the audit trail, the
//! state last seen into the row, and the layer is dropped. Nobody else can have asked for something else meanwhile: what
//! is on this host is admitted by this host alone.

use crate::error::internal;
use crate::{Core, Ctx};
use hostd_types::command::*;
use hostd_types::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Local fact: the journal.
const JOURNAL: &str = "isolated";

/// One machine's layer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Layer {
    /// The newest request.
    power: Option<PowerRequest>,
    /// What was last seen.
    status: Option<VmStatus>,
    /// Everything that was asked, oldest first.
    acts: Vec<Act>,
}

/// Something that was asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Act {
    request: RequestId,
    task: Task,
}

/// The layers of all machines.
#[derive(Debug, Default)]
pub(crate) struct Isolated(Mutex<BTreeMap<VmId, Layer>>);

impl Isolated {
    fn layers(&self) -> MutexGuard<'_, BTreeMap<VmId, Layer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine as it is with its layer.
    pub fn over(&self, mut vm: Vm) -> Vm {
        if let Some(layer) = self.layers().get(&vm.id) {
            if let Some(power) = &layer.power {
                vm.spec.power = Some(power.clone());
            }
            if let Some(status) = &layer.status {
                vm.status = status.clone();
            }
        }
        vm
    }

    /// A task that was begun here while the host was cut off.
    pub fn task(&self, id: TaskId) -> Option<Task> {
        let layers = self.layers();
        layers.values().flat_map(|layer| &layer.acts).map(|act| &act.task).find(|task| task.id == id).cloned()
    }

    fn is_empty(&self) -> bool {
        self.layers().is_empty()
    }

    /// Notes what a report says. It is not journalled: a restart looks again.
    fn note(&self, id: VmId, status: &VmStatus, done: Option<&TaskEnd>) {
        let mut layers = self.layers();
        let layer = layers.entry(id).or_default();
        layer.status = Some(status.clone());
        if let Some(end) = done
            && let Some(act) = layer.acts.iter_mut().find(|act| act.task.id == end.task)
        {
            act.task.ended_at = Some(Timestamp::now());
            act.task.state = match &end.problem {
                None => TaskState::Succeeded,
                Some(problem) => TaskState::Failed { problem: problem.clone() },
            };
        }
    }
}

impl Core {
    /// This host is one of several and reaches no majority of them.
    pub(crate) fn cut_off(&self) -> bool {
        let group = self.0.cluster.group();
        group.members.len() > 1 && !group.leads && !group.followed
    }

    /// Does what `command` asks without the others, if it is something a host may do alone: a report of what was seen, or
    /// an act on the power of its own machine. `None` for everything else.
    ///
    /// # Errors
    /// When the journal can't be written: then nothing is done.
    pub(crate) async fn act_alone(
        &self,
        ctx: &Ctx,
        request: RequestId,
        command: &Command,
    ) -> Result<Option<Outcome>, Problem> {
        let Command::Vm(command_of_vm) = command else { return Ok(None) };
        let (id, action, deadline_s) = match command_of_vm {
            VmCommand::Report { id, status, done } => {
                self.0.isolated_vms.note(*id, status, done.as_ref());
                self.0.live.tell(Kind::Vm, *id);
                return Ok(Some(Outcome { index: 0, task: None, subject: None }));
            }
            VmCommand::Power { id, action, deadline_s } => (*id, *action, *deadline_s),
            VmCommand::Create { .. }
            | VmCommand::Edit { .. }
            | VmCommand::Delete { .. }
            | VmCommand::Deleted { .. }
            | VmCommand::CreateFailed { .. }
            | VmCommand::Place { .. } => return Ok(None),
        };
        let Some(vm) = self.store().vm(id).await?.filter(|vm| vm.spec.host == self.host()) else {
            return Ok(None);
        };
        let vm = self.0.isolated_vms.over(vm);
        let (task, at) = (TaskId::new(), Timestamp::now());
        let seq = vm.spec.power.as_ref().map_or(0, |power| power.seq) + 1;
        let power = PowerRequest { seq, action, task, at, deadline_s };
        let task = Task {
            id: task,
            action: command.name(),
            subject: vm.subject(),
            host: self.host(),
            state: TaskState::Running,
            created_by: ctx.actor(self.host()),
            created_at: at,
            ended_at: None,
            cancelling: false,
            progress: None,
        };
        let outcome = Outcome { index: 0, task: Some(task.id), subject: Some(vm.subject()) };
        let mut next = self.0.isolated_vms.layers().clone();
        let layer = next.entry(id).or_default();
        layer.status.get_or_insert(vm.status);
        layer.power = Some(power);
        layer.acts.push(Act { request, task });
        self.journal(&next).await?;
        *self.0.isolated_vms.layers() = next;
        tracing::info!(vm = %id, action = action.as_str(), "acting without the majority");
        self.0.live.tell(Kind::Vm, id);
        self.0.wakes.vms.notify_one();
        Ok(Some(outcome))
    }

    async fn journal(&self, layers: &BTreeMap<VmId, Layer>) -> Result<(), Problem> {
        let text = serde_json::to_string(layers)
            .map_err(|error| internal("What is done without the others can't be noted", error))?;
        self.local().put(JOURNAL, &text).await
    }

    /// Takes up the journal of an earlier run.
    ///
    /// # Errors
    /// When it can't be read.
    pub(crate) async fn remember_acts(&self) -> Result<(), Problem> {
        let text = self.local().get(JOURNAL).await?.unwrap_or_default();
        if !text.is_empty() {
            let layers = serde_json::from_str(&text)
                .map_err(|error| internal("What was done without the others can't be read", error))?;
            *self.0.isolated_vms.layers() = layers;
        }
        Ok(())
    }

    /// The majority is back: tells it what was done here meanwhile, and by whom. Done again from the start when it breaks
    /// off: each line has a request of its own.
    ///
    /// # Errors
    /// `NoQuorum` when the majority is gone again; the rest is told later.
    pub(crate) async fn tell_acts(&self) -> Result<(), Problem> {
        if self.0.isolated_vms.is_empty() || self.cut_off() {
            return Ok(());
        }
        let _one_at_a_time = self.0.moving.lock().await;
        let layers = self.0.isolated_vms.layers().clone();
        for (id, layer) in layers {
            for Act { request, task } in &layer.acts {
                let (result, outcome) = match &task.state {
                    TaskState::Succeeded => (EventResult::Ok, "done".to_owned()),
                    TaskState::Running => (EventResult::Ok, "begun".to_owned()),
                    TaskState::Failed { problem } => (EventResult::Failed, problem.detail.clone()),
                };
                let detail = format!(
                    "{outcome}, asked at {} while the host was cut off from its cluster",
                    task.created_at
                );
                let (action, subject) = (task.action.clone(), Some(task.subject.clone()));
                let line = AuditCommand { action, subject, result, detail };
                self.propose(task.created_by.clone(), *request, Command::Audit(line)).await?;
            }
            if let (Some(status), Some(vm)) = (layer.status.clone(), self.store().vm(id).await?) {
                // The requests were never in the log: its own count goes on where it was.
                let status = VmStatus { power_done: vm.status.power_done, ..status };
                let report = VmCommand::Report { id, status, done: None };
                let by = Actor::Host { id: self.host() };
                self.propose(by, RequestId::new(), Command::Vm(report)).await?;
            }
            let mut left = self.0.isolated_vms.layers().clone();
            if left.get(&id).is_some_and(|now| now.acts.len() > layer.acts.len()) {
                // Something was asked meanwhile; it is told with the next try, and what was told is not told twice.
                continue;
            }
            left.remove(&id);
            self.journal(&left).await?;
            *self.0.isolated_vms.layers() = left;
        }
        self.0.wakes.vms.notify_one();
        Ok(())
    }

    /// Names who is missing, and the ways out.
    pub(crate) async fn explain_no_quorum(&self, problem: Problem) -> Problem {
        let Ok(view) = self.cluster_view().await else { return problem };
        let missing: Vec<&str> = view
            .members
            .iter()
            .filter(|member| member.host.id != view.here && member.liveness != crate::Liveness::Up)
            .map(|member| member.host.spec.name.as_str())
            .collect();
        if missing.is_empty() {
            return problem;
        }
        let detail = format!(
            "The majority of the cluster can't be reached: {} do not answer. Machines keep running, and those of this host can \
             be started and stopped. Bring a missing host back; or, if they are gone for ever, go on without them: qx cluster \
             recover.",
            missing.join(", ")
        );
        Problem { detail, ..problem }
    }
}
