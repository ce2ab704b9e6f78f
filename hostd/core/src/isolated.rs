//! What a host does on its own while the majority can't be reached, or after the others removed it: its machines can be
//! started, stopped and watched.
//!
//! A request is journalled on this host before anything is done, and laid over the machine's row: the reconciler and the
//! pages see the row as it would be, and the task is listed with those of the log. When the majority is back, what was
//! done and by whom goes into the log with its task, the state last seen into the row, and the layer is dropped. Nobody
//! else can have asked for something else meanwhile: what is on this host is admitted by this host alone.

use crate::error::internal;
use crate::{Core, Ctx};
use hostd_cluster::Remembered;
use hostd_types::command::*;
use hostd_types::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Local fact: the journal.
const JOURNAL: &str = "isolated";
/// Seconds in which an act without a deadline of its own ends; while it may, its machine is told later.
const SETTLES_S: i64 = 10;

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

impl Layer {
    /// Lays a request over the machine, which is in `status`; answers the tasks that it replaces.
    fn ask(&mut self, status: &VmStatus, power: &PowerRequest, act: &Act) -> Vec<TaskId> {
        self.status.get_or_insert_with(|| status.clone());
        self.power = Some(power.clone());
        let mut replaced = Vec::new();
        for earlier in self.acts.iter_mut().filter(|earlier| earlier.task.state == TaskState::Running) {
            let detail = format!("replaced by {}", act.task.action);
            earlier.end(Some(Problem::new(ProblemKind::Cancelled, detail)));
            replaced.push(earlier.task.id);
        }
        self.acts.push(act.clone());
        replaced
    }

    /// Nothing of it is under way any more, or for longer than it may be.
    fn settled(&self) -> bool {
        let deadline = self.power.as_ref().map_or(0, |power| i64::from(power.deadline_s)).max(SETTLES_S);
        let now = Timestamp::now().unix();
        let done = |task: &Task| task.state != TaskState::Running || now > task.created_at.unix() + deadline;
        self.acts.iter().all(|act| done(&act.task))
    }
}

/// Something that was asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Act {
    request: RequestId,
    task: Task,
    /// What the same request is answered with when it comes again; absent in what an older version wrote.
    #[serde(default)]
    answer: Option<Remembered>,
}

impl Act {
    /// It ends now.
    fn end(&mut self, problem: Option<Problem>) {
        if self.task.state != TaskState::Running {
            return;
        }
        self.task.ended_at = Some(Timestamp::now());
        self.task.state = match problem {
            None => TaskState::Succeeded,
            Some(problem) => TaskState::Failed { problem },
        };
    }

    /// The task as the others are told it, and the line of the audit trail.
    fn told(&self) -> (Task, String) {
        let mut act = self.clone();
        let outcome = match &self.task.state {
            TaskState::Succeeded => "done".to_owned(),
            TaskState::Running => "begun".to_owned(),
            TaskState::Failed { problem } => problem.detail.trim_end_matches('.').to_owned(),
        };
        let unseen = "The host was back in its cluster before it was seen to end; look at the machine.";
        act.end(Some(Problem::new(ProblemKind::Cancelled, unseen)));
        let detail = format!(
            "{outcome}, asked at {} while the host was cut off from its cluster",
            act.task.created_at
        );
        (act.task, detail)
    }
}

type Layers = BTreeMap<VmId, Layer>;

/// The layers of all machines.
#[derive(Debug, Default)]
pub(crate) struct Isolated {
    layers: Mutex<Layers>,
    /// Held from reading the layers until the journal has what follows from them: one act after the other.
    writing: tokio::sync::Mutex<()>,
}

impl Isolated {
    fn layers(&self) -> MutexGuard<'_, Layers> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// A task that was begun here while the host was cut off, and is not told yet.
    pub fn task(&self, id: TaskId) -> Option<Task> {
        self.tasks().into_iter().find(|task| task.id == id)
    }

    /// All of these, newest first.
    pub fn tasks(&self) -> Vec<Task> {
        let layers = self.layers();
        let mut tasks: Vec<Task> =
            layers.values().flat_map(|layer| &layer.acts).map(|act| act.task.clone()).collect();
        tasks.sort_by_key(|task| std::cmp::Reverse((task.created_at, task.id)));
        tasks
    }

    /// What an earlier try of this request did here.
    pub fn remembered(&self, request: RequestId) -> Option<Remembered> {
        let layers = self.layers();
        let mut acts = layers.values().flat_map(|layer| &layer.acts);
        acts.find(|act| act.request == request).and_then(|act| act.answer.clone())
    }

    fn is_empty(&self) -> bool {
        self.layers().is_empty()
    }

    /// The machine has a layer.
    pub fn has(&self, id: VmId) -> bool {
        self.layers().contains_key(&id)
    }

    /// Notes what a report says. It is not journalled: a restart looks again.
    fn note(&self, id: VmId, status: &VmStatus, done: Option<&TaskEnd>) {
        let mut layers = self.layers();
        let layer = layers.entry(id).or_default();
        layer.status = Some(status.clone());
        if let Some(end) = done
            && let Some(act) = layer.acts.iter_mut().find(|act| act.task.id == end.task)
        {
            act.end(end.problem.clone());
        }
    }
}

impl Core {
    /// Takes what was seen of a machine with a layer: it is told with the layer, as the count of requests in it is the
    /// layer's own.
    pub(crate) fn note_report(&self, id: VmId, status: &VmStatus, done: Option<&TaskEnd>) -> Outcome {
        self.0.isolated_vms.note(id, status, done);
        self.0.live.tell(Kind::Vm, id);
        if let Some(end) = done {
            self.0.live.tell(Kind::Task, end.task);
        }
        Outcome { index: 0, task: None, subject: None }
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
                return Ok(Some(self.note_report(*id, status, done.as_ref())));
            }
            VmCommand::Power { id, action, deadline_s } => (*id, *action, *deadline_s),
            VmCommand::Create { .. }
            | VmCommand::Clone { .. }
            | VmCommand::SetTemplate { .. }
            | VmCommand::Adopt { .. }
            | VmCommand::Edit { .. }
            | VmCommand::Change { .. }
            | VmCommand::Changed { .. }
            | VmCommand::Delete { .. }
            | VmCommand::Deleted { .. }
            | VmCommand::CreateFailed { .. }
            | VmCommand::Place { .. } => return Ok(None),
        };
        let Some(vm) = self.store().vm(id).await?.filter(|vm| vm.spec.host == self.host()) else {
            return Ok(None);
        };
        let _one_after_the_other = self.0.isolated_vms.writing.lock().await;
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
        let answer = Some(Remembered::new(command, outcome.clone()));
        let act = Act { request, task, answer };
        let mut next = self.0.isolated_vms.layers().clone();
        next.entry(id).or_default().ask(&vm.status, &power, &act);
        self.journal(&next).await?;
        // What was seen while it was written stays.
        let replaced = self.0.isolated_vms.layers().entry(id).or_default().ask(&vm.status, &power, &act);
        tracing::info!(vm = %id, action = action.as_str(), "acting without the majority");
        self.0.live.tell(Kind::Vm, id);
        for task in replaced.into_iter().chain(outcome.task) {
            self.0.live.tell(Kind::Task, task);
        }
        self.0.wakes.vms.notify_one();
        Ok(Some(outcome))
    }

    async fn journal(&self, layers: &Layers) -> Result<(), Problem> {
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
    /// off: each task has the request that asked for it. A machine with something under way is told later, unless it is
    /// `about`, which somebody wants to change now.
    ///
    /// # Errors
    /// `NoQuorum` when the majority is gone again; the rest is told later.
    pub(crate) async fn tell_acts(&self, about: Option<VmId>) -> Result<(), Problem> {
        if self.0.isolated_vms.is_empty() || self.cut_off() || self.removed().await?.is_some() {
            return Ok(());
        }
        // A host on its way between two clusters tells when it has arrived.
        let Ok(_one_at_a_time) = self.0.moving.try_lock() else { return Ok(()) };
        if !*self.0.settled.borrow() {
            return Ok(());
        }
        let layers = self.0.isolated_vms.layers().clone();
        for (id, layer) in layers.into_iter().filter(|(id, layer)| about == Some(*id) || layer.settled()) {
            for act in &layer.acts {
                self.tell_act(act).await?;
            }
            if let (Some(status), Some(vm)) = (layer.status.clone(), self.store().vm(id).await?) {
                // The requests were never in the log: its own count goes on where it was.
                let status = VmStatus { power_done: vm.status.power_done, ..status };
                let report = VmCommand::Report { id, status, done: None };
                let by = Actor::Host { id: self.host() };
                self.propose(by, RequestId::new(), Command::Vm(report)).await?;
            }
            let _one_after_the_other = self.0.isolated_vms.writing.lock().await;
            let mut left = self.0.isolated_vms.layers().clone();
            if left.get(&id).is_some_and(|now| now.acts.len() > layer.acts.len()) {
                // Something was asked meanwhile; it is told with the next try, and what was told is not told twice.
                continue;
            }
            left.remove(&id);
            self.journal(&left).await?;
            self.0.isolated_vms.layers().remove(&id);
        }
        self.0.wakes.vms.notify_one();
        Ok(())
    }

    async fn tell_act(&self, act: &Act) -> Result<(), Problem> {
        let (task, detail) = act.told();
        let by = task.created_by.clone();
        let told = match self.store().level().await? {
            // Some member does not know how to keep the task.
            ..LEASES => {
                let (action, subject) = (task.action.clone(), Some(task.subject.clone()));
                let result = match act.task.state {
                    TaskState::Running | TaskState::Succeeded => EventResult::Ok,
                    TaskState::Failed { .. } => EventResult::Failed,
                };
                Command::Audit(AuditCommand { action, subject, result, detail })
            }
            LEASES.. => Command::Task(TaskCommand::Tell { task: Box::new(task), detail }),
        };
        self.propose(by, act.request, told).await.map(|_| ())
    }
}
