//! A cluster of one in a scratch directory, with a clock that counts entries.

use hostd_cluster::{Carrier, Cluster, NoCarrier, Settings};
use hostd_types::command::*;
use hostd_types::*;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;

pub const GIB: u64 = 1 << 30;

/// No way to other members.
pub fn alone() -> Arc<dyn Carrier> {
    Arc::new(NoCarrier)
}

pub struct Fixture {
    pub dir: TempDir,
    pub cluster: Cluster,
    pub host: HostId,
    clock: AtomicI64,
}

impl Fixture {
    /// With this host reported, as every start of a host does.
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::open(dir.path(), settings, alone()).await.unwrap();
        let host = cluster.host();
        let fixture = Self { dir, cluster, host, clock: AtomicI64::new(1_800_000_000) };
        let report = HostCommand::Report { id: host, name: "h1".into(), status: HostStatus::default() };
        fixture.ok(Command::Host(report)).await;
        fixture
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Closes and opens again.
    pub async fn reopen(mut self, settings: Settings) -> Self {
        self.cluster.shutdown().await;
        self.cluster = Cluster::open(self.dir.path(), settings, alone()).await.unwrap();
        self
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.clock.load(Ordering::Relaxed))
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    pub fn entry(&self, command: Command) -> Entry {
        self.advance(1);
        Entry {
            version: ENTRY_VERSION,
            request: RequestId::new(),
            at: self.now(),
            by: Actor::Console,
            task: TaskId::new(),
            command,
        }
    }

    pub async fn propose(&self, command: Command) -> Result<Outcome, Problem> {
        self.cluster.propose(self.entry(command)).await
    }

    pub async fn ok(&self, command: Command) -> Outcome {
        let name = command.name();
        self.propose(command).await.unwrap_or_else(|p| panic!("{name} was refused: {p:?}"))
    }

    pub async fn refused(&self, command: Command) -> Problem {
        let name = command.name();
        self.propose(command).await.expect_err(&format!("{name} was accepted"))
    }

    pub async fn task(&self, id: Option<TaskId>) -> Task {
        self.cluster.store().task(id.expect("a task")).await.unwrap().expect("the task's row")
    }

    /// `running`, `succeeded` or the kind and words of the failure.
    pub async fn task_state(&self, id: Option<TaskId>) -> String {
        match self.task(id).await.state {
            TaskState::Running => "running".into(),
            TaskState::Succeeded => "succeeded".into(),
            TaskState::Failed { problem } => format!("{}: {}", problem.kind.slug(), problem.detail),
        }
    }

    pub async fn vm(&self, id: VmId) -> Vm {
        self.cluster.store().vm(id).await.unwrap().expect("the machine's row")
    }

    /// Actions and details of a resource's events, oldest first.
    pub async fn events(&self, subject: impl ToString) -> Vec<String> {
        let list = ListParams { limit: Some(500), ..ListParams::default() };
        let page = self.cluster.store().events(&list, Some(&subject.to_string())).await.unwrap();
        page.items
            .into_iter()
            .rev()
            .map(|e| format!("{} {}", e.action, e.detail).trim_end().to_owned())
            .collect()
    }

    /// A machine without disks and cards, off and ready.
    pub async fn ready_vm(&self, name: &str) -> VmId {
        let id = VmId::new();
        let created = self.ok(create(id, self.host, blank_vm(name))).await;
        self.ok(vm_report(id, off(), Some(TaskEnd { task: created.task.unwrap(), problem: None }))).await;
        id
    }

    pub async fn ready_image(&self, name: &str, kind: ImageKind) -> ImageId {
        let id = ImageId::new();
        self.ok(Command::Image(image_create(id, self.host, name))).await;
        self.ok(Command::Image(ImageCommand::Ready { id, content: content(kind) })).await;
        id
    }

    pub async fn ready_volume(&self, name: &str) -> VolumeId {
        let id = VolumeId::new();
        let volume = CreateVolume { name: name.into(), size_bytes: GIB, format: DiskFormat::Raw };
        self.ok(Command::Volume(VolumeCommand::Create { id, host: self.host, volume })).await;
        self.ok(Command::Volume(VolumeCommand::Report { id, status: volume_ready() })).await;
        id
    }

    pub async fn ready_network(&self, name: &str, subnet: &str) -> NetworkId {
        let id = NetworkId::new();
        self.ok(Command::Network(NetworkCommand::Create { id, host: self.host, network: nat(name, subnet) }))
            .await;
        let status = NetworkStatus { phase: Phase::Ready, active: true, fault: None };
        self.ok(Command::Network(NetworkCommand::Report { id, status })).await;
        id
    }
}

pub fn blank_vm(name: &str) -> CreateVm {
    CreateVm {
        name: name.into(),
        description: String::new(),
        cpus: 1,
        guest_os: None,
        scheduled_at: None,
        cpu_mode: CpuMode::default(),
        topology: CpuTopology::default(),
        machine_type: None,
        customization: None,
        memory_mib: 256,
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
    }
}

pub fn create(id: VmId, host: HostId, vm: CreateVm) -> Command {
    Command::Vm(VmCommand::Create { id, host, vm, found: Vec::new() })
}

pub fn vm_report(id: VmId, status: VmStatus, done: Option<TaskEnd>) -> Command {
    Command::Vm(VmCommand::Report { id, status, done })
}

pub fn power(id: VmId, action: PowerAction) -> Command {
    Command::Vm(VmCommand::Power { id, action, deadline_s: 60 })
}

pub fn edit(id: VmId, expect: Option<u64>, edit: EditVm) -> Command {
    Command::Vm(VmCommand::Edit { id, expect, edit })
}

pub fn delete_vm(id: VmId, disks: bool) -> Command {
    Command::Vm(VmCommand::Delete { id, expect: None, disks })
}

pub fn off() -> VmStatus {
    VmStatus { phase: Phase::Ready, state: VmState::Off, applied_generation: 1, ..VmStatus::default() }
}

pub fn running() -> VmStatus {
    VmStatus { state: VmState::Running, ..off() }
}

pub fn volume_ready() -> VolumeStatus {
    VolumeStatus { phase: Phase::Ready, fault: None }
}

pub fn image_create(id: ImageId, host: HostId, name: &str) -> ImageCommand {
    ImageCommand::Create {
        id,
        host,
        name: name.into(),
        description: String::new(),
        announced_bytes: Some(1000),
        expected_sha256: None,
    }
}

pub fn content(kind: ImageKind) -> ImageContent {
    ImageContent {
        kind,
        format: DiskFormat::Raw,
        file_bytes: 1000,
        virtual_bytes: GIB,
        sha256: "ab".repeat(32),
    }
}

pub fn nat(name: &str, subnet: &str) -> CreateNetwork {
    let mode = NetworkMode::Nat { subnet: subnet.parse().unwrap() };
    CreateNetwork { name: name.into(), description: String::new(), mode }
}

pub fn failure() -> Problem {
    Problem::new(ProblemKind::Capacity, "The disk is full.")
}
