//! Test beds: a core in a network namespace of its own, alone or beside a private libvirt.

use hostd_core::{Caller, Core, Ctx, Settings, UploadRequest};
use hostd_types::command::*;
use hostd_types::*;
use lab::libvirt::Libvirtd;
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Longest time anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// What the boot-sector guest prints.
pub const GREETING: &str = "QUANTIX BOOT SECTOR";

/// A directory with everything of one host, and namespaces for it.
pub struct Bed {
    pub runtime: Runtime,
    pub libvirt: Option<Libvirtd>,
    pub dir: TempDir,
}

impl Bed {
    /// Without libvirt; none, and a line that says why, without root.
    pub fn bare() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: a network namespace needs root");
            return None;
        }
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        Some(Self::build(None, tempfile::tempdir().expect("a directory")))
    }

    /// With a private libvirt, in its network namespace; none, and a line that says why, when this machine can't.
    pub fn full() -> Option<Self> {
        Self::full_with(|_| {})
    }

    /// The same after `prepare` did something with the directory and this thread's namespaces.
    pub fn full_with(prepare: impl FnOnce(&Path)) -> Option<Self> {
        if let Some(why) = Libvirtd::missing() {
            eprintln!("skipped: {why}");
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let lab = dir.path().join("l");
        std::fs::create_dir(&lab).expect("a directory");
        let libvirt = Libvirtd::start(&lab).expect("a private libvirtd");
        let pid = libvirt.pid().expect("it runs");
        let namespace = File::open(format!("/proc/{pid}/ns/net")).expect("its namespace");
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("entering its namespace");
        prepare(dir.path());
        Some(Self::build(Some(libvirt), dir))
    }

    /// The runtime's threads inherit this thread's namespaces.
    fn build(libvirt: Option<Libvirtd>, dir: TempDir) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Self { runtime: runtime.expect("a runtime"), libvirt, dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn settings(&self) -> Settings {
        let uri = match &self.libvirt {
            Some(libvirt) => libvirt.uri(),
            None => format!("qemu+unix:///system?socket={}", self.path("no-socket").display()),
        };
        Settings {
            state_dir: self.path("state"),
            pool_dir: self.path("pools"),
            run_dir: self.path("r"),
            peer_listen: "0.0.0.0:0".parse().expect("an address"),
            site_listen: "127.0.0.1:8443".parse().expect("an address"),
            libvirt_uri: uri,
            role: None,
            force_emulation: true,
            live: false,
            version: "0.0.0-test".into(),
            program: "/bin/false".into(),
        }
    }

    /// The state alone, without a core.
    pub async fn bare_cluster(&self) -> hostd_cluster::Cluster {
        let (dir, carrier) = (self.path("state"), std::sync::Arc::new(hostd_cluster::NoCarrier));
        let open = hostd_cluster::Cluster::open(&dir, hostd_cluster::Settings::default(), carrier);
        open.await.expect("the state")
    }

    /// Runs `work` with a started core and shuts the core down after it.
    pub fn with_core<F: Future<Output = ()>>(&self, work: impl FnOnce(Core) -> F) {
        self.runtime.block_on(async {
            let core = Core::start(self.settings()).await.expect("the core starts");
            work(core.clone()).await;
            core.shutdown().await;
        });
    }

    pub fn virsh(&self, args: &[&str]) -> String {
        let libvirt = self.libvirt.as_ref().expect("a bed with libvirt");
        libvirt.run_inside("virsh", args).expect("virsh")
    }

    /// Process id of a machine's QEMU.
    pub fn qemu(&self, name: &str) -> i32 {
        let libvirt = self.libvirt.as_ref().expect("a bed with libvirt");
        libvirt.qemu(name).expect("its QEMU")
    }

    /// Names of the files of a directory of the pool.
    pub fn files(&self, kind: &str) -> Vec<String> {
        let dir = self.path("pools/local").join(kind);
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .expect("the pool")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// A fresh request by root on the host.
pub fn console() -> Ctx {
    Ctx { caller: Caller::Console, request: None, address: None }
}

/// A request of theirs that carries an id, so that sending it twice is told from asking twice.
pub fn repeatable() -> Ctx {
    Ctx { request: Some(RequestId::new()), ..console() }
}

/// A machine with nothing but the needed.
pub fn plain(name: &str) -> CreateVm {
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
        memory_mib: 32,
        headroom: Headroom::default(),
        firmware: Firmware::Bios,
        boot: default_boot(),
        autostart: false,
        disks: Vec::new(),
        cdrom: None,
        more_cdroms: Vec::new(),
        shares: Vec::new(),
        nics: Vec::new(),
        host_devices: Vec::new(),
        filing: NewFiling::default(),
        options: VmOptions::default(),
        start: false,
    }
}

pub fn blank(size_bytes: u64) -> NewDisk {
    NewDisk::Blank {
        size_bytes,
        format: DiskFormat::Qcow2,
        bus: DiskBus::Virtio,
        options: DiskOptions::default(),
    }
}

/// Submits for root and expects that it is accepted; answers the task.
pub async fn ask(core: &Core, command: Command) -> TaskId {
    let name = command.name();
    let outcome = core.submit(&console(), command).await.unwrap_or_else(|p| panic!("{name}: {p:?}"));
    outcome.task.unwrap_or_else(|| panic!("{name} started no task"))
}

pub async fn create(core: &Core, vm: CreateVm) -> (VmId, TaskId) {
    let id = VmId::new();
    let task =
        ask(core, Command::Vm(VmCommand::Create { id, host: core.host(), vm, found: Vec::new() })).await;
    (id, task)
}

/// Makes a machine and waits until it is made.
pub async fn created(core: &Core, vm: CreateVm) -> VmId {
    let (id, task) = create(core, vm).await;
    succeeded(core, task).await;
    id
}

pub fn power(id: VmId, action: PowerAction, deadline_s: u32) -> Command {
    Command::Vm(VmCommand::Power { id, action, deadline_s })
}

/// Does something with a machine's power and waits until it succeeded.
pub async fn powered(core: &Core, id: VmId, action: PowerAction) {
    let task = ask(core, power(id, action, 60)).await;
    succeeded(core, task).await;
}

pub async fn deleted(core: &Core, id: VmId, disks: bool) {
    let task = ask(core, Command::Vm(VmCommand::Delete { id, expect: None, disks })).await;
    succeeded(core, task).await;
}

/// Looks after every change until `look` answers.
pub async fn until<T, F>(core: &Core, what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let mut changes = core.changes();
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = look().await {
            return answer;
        }
        assert!(Instant::now() < end, "in vain: {what}; {:#?}", core.vms(&ListParams::default()).await);
        let _ = tokio::time::timeout(Duration::from_millis(500), changes.recv()).await;
    }
}

/// Waits for a task's end.
pub async fn ended(core: &Core, task: TaskId) -> TaskState {
    until(core, "a task ends", || async {
        let task = core.task(task).await.expect("the task");
        (task.state != TaskState::Running).then_some(task.state)
    })
    .await
}

pub async fn succeeded(core: &Core, task: TaskId) {
    let state = ended(core, task).await;
    assert_eq!(state, TaskState::Succeeded, "{:?}", core.task(task).await);
}

/// Waits for a task's failure.
pub async fn failed(core: &Core, task: TaskId) -> Problem {
    match ended(core, task).await {
        TaskState::Failed { problem } => problem,
        other => panic!("the task did not fail: {other:?}"),
    }
}

/// Waits until a machine is reported in `state`.
pub async fn becomes(core: &Core, id: VmId, state: VmState) -> Vm {
    until(core, &format!("{id} becomes {state:?}"), || async {
        let vm = core.vm(id).await.expect("the machine");
        (vm.status.state == state).then_some(vm)
    })
    .await
}

/// The network made at first start, once it is ready.
pub async fn default_network(core: &Core) -> NetworkId {
    until(core, "the default network is ready", || async {
        let page = core.networks(&ListParams::default()).await.expect("networks");
        let ready = |view: &&hostd_core::NetworkView| view.network.status.phase == Phase::Ready;
        page.items.iter().find(ready).map(|view| view.network.id)
    })
    .await
}

/// A raw disk image that prints [`GREETING`], echoes COM1 and obeys the power button.
pub fn guest() -> Vec<u8> {
    lab::bootsector::image(GREETING, 1 << 20)
}

pub fn request(name: &str, announced: Option<usize>) -> UploadRequest {
    UploadRequest {
        host: None,
        name: name.into(),
        description: String::new(),
        announced_bytes: announced.map(|bytes| bytes as u64),
        expected_sha256: None,
    }
}

/// Uploads `bytes` as an image.
pub async fn uploaded(core: &Core, name: &str, bytes: &[u8]) -> Image {
    let mut upload = core.upload(&console(), request(name, Some(bytes.len()))).await.expect("an upload");
    for chunk in bytes.chunks(100_000) {
        upload.write(chunk).await.expect("bytes");
    }
    upload.finish().await.expect("an image")
}

pub fn over(image: ImageId) -> NewDisk {
    NewDisk::Image { image, size_bytes: None, bus: DiskBus::Virtio, options: DiskOptions::default() }
}
