//! What is asked of the cluster in a history: each thing through some host, again through another one while it is not
//! known what became of it, always under the same request id.

use super::air::Moment;
use super::dice::Dice;
use hostd_types::command::*;
use hostd_types::*;

/// One request.
pub struct Ask {
    pub entry: Entry,
    /// How far the clock is off by which its tries are dated, seconds.
    pub wrong: i64,
    pub first: Moment,
    /// The only host it is asked through, when that matters.
    pub through: Option<usize>,
    /// It is about the cluster that the history is about, not one that a host has for itself.
    pub main: bool,
    /// It is not asked before this one has ended.
    pub after: Option<usize>,
    /// The try under way: the host's number and since when.
    pub trying: Option<(usize, Moment)>,
    pub tries: u64,
    pub next: Moment,
    pub end: Option<Result<Outcome, Problem>>,
    /// It is asked once more although the answer is known, as if that one had been lost on the last mile.
    pub doubts: bool,
}

impl Ask {
    pub fn new(dice: &Dice, now: Moment, wrong: i64, command: Command) -> Self {
        let entry = Entry {
            version: ENTRY_VERSION,
            request: RequestId::from_uuid(dice.uuid()),
            at: dated(now, wrong),
            by: Actor::Console,
            task: TaskId::from_uuid(dice.uuid()),
            command,
        };
        let doubts = dice.once_in(8);
        Self {
            entry,
            wrong,
            first: now,
            through: None,
            main: true,
            after: None,
            trying: None,
            tries: 0,
            next: now,
            end: None,
            doubts,
        }
    }

    /// The entry of one more try: asked for anew, of its own time and with a task of its own, or the last one once more.
    pub fn tried(&mut self, dice: &Dice, now: Moment) -> Entry {
        self.tries += 1;
        if dice.once_in(8) {
            self.entry.at = dated(now, self.wrong);
            self.entry.task = TaskId::from_uuid(dice.uuid());
        }
        self.entry.clone()
    }

    /// Nobody knows the outcome and nobody will tell: try again.
    pub fn again(&mut self, at: Moment) {
        self.trying = None;
        self.next = at;
    }
}

fn dated(now: Moment, wrong: i64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000 + wrong + i64::try_from(now / 1_000_000).expect("short"))
}

/// Whether an answer leaves open what became of the request.
pub fn is_open(problem: &Problem) -> bool {
    match problem.kind {
        ProblemKind::NoQuorum | ProblemKind::Unavailable | ProblemKind::Internal => true,
        ProblemKind::NotFound
        | ProblemKind::Exists
        | ProblemKind::Invalid
        | ProblemKind::Unauthenticated
        | ProblemKind::Forbidden
        | ProblemKind::WrongState
        | ProblemKind::Conflict
        | ProblemKind::Capacity
        | ProblemKind::TooMany
        | ProblemKind::BadRequest
        | ProblemKind::Removed
        | ProblemKind::Unsupported
        | ProblemKind::Cancelled => false,
    }
}

pub fn create(vm: VmId, host: HostId, name: String) -> Command {
    let asked = CreateVm {
        name,
        description: String::new(),
        cpus: 1,
        guest_os: None,
        scheduled_at: None,
        cpu_mode: CpuMode::default(),
        topology: CpuTopology::default(),
        machine_type: None,
        customization: None,
        memory_mib: 64,
        headroom: Headroom::default(),
        firmware: Firmware::Bios,
        boot: default_boot(),
        autostart: false,
        disks: vec![],
        cdrom: None,
        more_cdroms: Vec::new(),
        shares: Vec::new(),
        nics: vec![],
        host_devices: Vec::new(),
        filing: NewFiling::default(),
        options: VmOptions::default(),
        start: false,
    };
    Command::Vm(VmCommand::Create { id: vm, host, vm: asked, found: Vec::new() })
}

pub fn edit(id: VmId, text: String) -> Command {
    let edit = EditVm { description: Some(text), ..EditVm::default() };
    Command::Vm(VmCommand::Edit { id, expect: None, edit })
}

pub fn report(id: VmId, state: VmState) -> Command {
    let status = VmStatus { phase: Phase::Ready, state, applied_generation: 1, ..VmStatus::default() };
    Command::Vm(VmCommand::Report { id, status, done: None })
}

/// What makes a host that is alone a cluster of one.
pub fn founding(dice: &Dice, host: HostId, name: &str, node: NodeId) -> Vec<Command> {
    let report = HostCommand::Report { id: host, name: name.into(), status: HostStatus::default() };
    let authority = Authority {
        certificate: "a certificate".into(),
        sealed_key: String::new(),
        ends: Timestamp::from_unix(4_000_000_000),
    };
    let id = ClusterId::from_uuid(dice.uuid());
    vec![
        Command::Host(report),
        Command::Cluster(ClusterCommand::Raise { level: LEVEL }),
        Command::Cluster(ClusterCommand::Found { id, name: name.into(), authority, host, node }),
        create(VmId::from_uuid(dice.uuid()), host, format!("own-of-{name}-{node}")),
    ]
}
