//! Hand-made resources that tests render. They never leave the tests.

use crate::place::Places;
use crate::visit::{Frame, Layout, Section, Theme};
use hostd_core::watchdog::Watchdog;
use hostd_core::*;
use hostd_types::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A name that breaks out of attributes and text when it is not escaped.
pub(crate) const HOSTILE: &str = "\"'><script>alert(1)</script>&lt;";

/// Hosts of the cluster that things are on.
pub(crate) static HOSTS: LazyLock<[HostId; 3]> = LazyLock::new(|| std::array::from_fn(|_| HostId::new()));

/// One of them, always the same for a name.
fn host_of(name: &str) -> HostId {
    HOSTS[name.bytes().map(usize::from).sum::<usize>() % 3]
}

/// A logged-in frame, with a notice and a message.
pub(crate) fn layout(page: &'static str, section: Section, text: &str) -> Layout {
    let notice = Notice {
        level: NoticeLevel::Warning,
        text: format!("Live mode: everything is kept in memory and lost at a reboot. {text}"),
        link: Some("/help/live-mode".into()),
    };
    let frame = Frame {
        user: Some(format!("admin{text}")),
        csrf: "c5rf".into(),
        theme: Theme::Auto,
        notices: vec![notice],
        places: Places::of(&super::cluster::three(text)),
        flash: Some(crate::flash::Flash {
            good: true,
            text: format!("Saved. {text}"),
            task: Some(TaskId::new()),
        }),
        path: format!("/{text}"),
        version: "0.1.0".into(),
        request: Some("01a1fd8b25cd769c801fbbe0e292fbd1".into()),
    };
    frame.layout(page, section, format!("Title{text}")).watching("vm task")
}

/// The same without notices and messages.
pub(crate) fn quiet(page: &'static str, section: Section) -> Layout {
    let mut layout = layout(page, section, "");
    layout.frame.notices.clear();
    layout.frame.flash = None;
    layout.frame.places = Places::default();
    layout.title = "Quiet".into();
    layout
}

pub(crate) fn actor(name: &str) -> Actor {
    Actor::User { id: UserId::new(), name: name.into(), token: None }
}

pub(crate) fn meta() -> Meta {
    let mut meta = Meta::created(Timestamp::now().plus_seconds(-86_400 * 3), &actor("admin"));
    meta.labels = [("env".into(), "prod".into()), ("web".into(), String::new())].into();
    meta
}

/// A machine with two disks' worth of spec.
pub(crate) fn vm(name: &str, state: VmState) -> Vm {
    Vm {
        id: VmId::new(),
        meta: meta(),
        spec: VmSpec {
            name: name.into(),
            description: format!("Serves {name} to everyone"),
            host: host_of(name),
            placement_epoch: 0,
            cpus: 4,
            guest_os: GuestOs::Debian,
            scheduled_at: None,
            cpu_mode: CpuMode::Flexible,
            topology: CpuTopology { sockets: 2, threads: 1 },
            machine_type: Some("pc-q35-9.2".into()),
            customization: None,
            memory_mib: 4096,
            firmware: Firmware::Uefi,
            boot: default_boot(),
            autostart: true,
            disks: vec![VmDisk {
                volume: VolumeId::new(),
                bus: DiskBus::Virtio,
                slot: None,
                options: DiskOptions::default(),
            }],
            cdrom: Some(ImageId::new()),
            more_cdroms: Vec::new(),
            nics: vec![VmNic {
                network: NetworkId::new(),
                mac: "52:54:00:12:34:56".into(),
                model: NicModel::Virtio,
                slot: None,
                unplugged: false,
                options: NicOptions::default(),
            }],
            snapshots: VmSnapshots::default(),
            options: VmOptions::default(),
            lineage: Lineage::default(),
            hardware: VmHardware::default(),
            power: None,
            filing: Filing { folder: None, notes: format!("Call {name} first") },
            deleting: None,
        },
        status: VmStatus { phase: Phase::Ready, state, ..VmStatus::default() },
    }
}

pub(crate) fn vm_samples(seed: i64) -> Vec<VmSample> {
    let now = Timestamp::now().unix();
    let wave = |i: i64| ((i + seed * 37) as f64 / 19.0).sin() * 0.5 + ((i * 7 + seed) % 11) as f64 / 22.0;
    let point = |i: i64| VmSample {
        at: now - (360 - i) * 5,
        cpu: (0.28 + 0.2 * wave(i)).clamp(0.01, 1.0),
        memory_rss: (2_400_000_000.0 + 3e8 * wave(i / 3)) as u64,
        read_bps: (2e6 * wave(i * 3)).max(0.0),
        write_bps: (5e6 * wave(i * 2 + 40)).max(0.0),
        rx_bps: (9e5 * wave(i + 90)).max(1e4),
        tx_bps: (4e5 * wave(i + 9)).max(1e4),
    };
    (0..360).map(point).collect()
}

pub(crate) fn host_samples() -> Vec<HostSample> {
    let of = |s: VmSample| HostSample {
        at: s.at,
        cpu: s.cpu,
        memory_used: s.memory_rss * 4,
        rx_bps: s.rx_bps * 8.0,
        tx_bps: s.tx_bps * 8.0,
    };
    vm_samples(3).into_iter().map(of).collect()
}

pub(crate) fn network(name: &str) -> NetworkView {
    let lease = Lease {
        mac: "52:54:00:12:34:56".into(),
        address: [10, 200, 0, 17].into(),
        hostname: Some(name.into()),
        expires_at: Timestamp::now().plus_seconds(3000),
    };
    let spec = NetworkSpec {
        name: name.into(),
        description: format!("For {name}"),
        host: host_of(name),
        mode: NetworkMode::Nat { subnet: "10.200.0.0/24".parse().expect("a subnet") },
        bridge: "qx0123456789a".into(),
        for_clone: None,
        task: None,
    };
    let status = NetworkStatus { phase: Phase::Ready, active: true, fault: None };
    NetworkView {
        network: Network { id: NetworkId::new(), meta: meta(), spec, status },
        vms: 0,
        leases: vec![lease],
    }
}

pub(crate) fn bridged(name: &str, fault: Option<&str>) -> NetworkView {
    let mut view = network(name);
    view.network.spec.mode = NetworkMode::Bridged { nic: name.into() };
    view.network.status.fault = fault.map(str::to_owned);
    view.leases.clear();
    view.vms = 2;
    view
}

pub(crate) fn volume(name: &str, vm: Option<VmId>) -> VolumeView {
    let spec = VolumeSpec {
        name: name.into(),
        host: host_of(name),
        pool: "local".into(),
        format: DiskFormat::Qcow2,
        size_bytes: 20 << 30,
        image: Some(ImageId::new()),
        vm,
        task: None,
        layers: Layers::default(),
        origin: None,
        adopted_from: None,
    };
    let status = VolumeStatus { phase: Phase::Ready, fault: None };
    VolumeView {
        volume: Volume { id: VolumeId::new(), meta: meta(), spec, status },
        allocated_bytes: Some(3_712_000_000),
        vm_name: vm.map(|_| name.into()),
        image_name: Some(name.into()),
    }
}

pub(crate) fn image(name: &str, kind: ImageKind) -> ImageView {
    let format = if kind == ImageKind::Iso { DiskFormat::Raw } else { DiskFormat::Qcow2 };
    let content = ImageContent {
        kind,
        format,
        file_bytes: 661_651_456,
        virtual_bytes: 2 << 30,
        sha256: "0".repeat(64),
    };
    let spec = ImageSpec {
        name: name.into(),
        description: format!("About {name}"),
        host: host_of(name),
        announced_bytes: None,
        expected_sha256: None,
        task: TaskId::new(),
    };
    let status = ImageStatus { phase: Phase::Ready, content: Some(content), fault: None };
    ImageView {
        image: Image { id: ImageId::new(), meta: meta(), spec, status },
        disks: 0,
        drives: 0,
        progress: None,
    }
}

/// An image whose upload is under way.
pub(crate) fn uploading(name: &str) -> ImageView {
    let mut view = image(name, ImageKind::Disk);
    view.image.status = ImageStatus::default();
    view.progress = Some(Progress { done: 400 << 20, total: 1000 << 20 });
    view
}

pub(crate) fn task(action: &str, name: &str, state: TaskState) -> Task {
    let running = state == TaskState::Running;
    Task {
        id: TaskId::new(),
        action: action.into(),
        subject: Subject { kind: Kind::Vm, id: VmId::new().to_string(), name: name.into() },
        host: host_of(name),
        state,
        created_by: actor(name),
        created_at: Timestamp::now().plus_seconds(-75),
        ended_at: (!running).then(|| Timestamp::now().plus_seconds(-60)),
        cancelling: false,
        progress: running.then_some(Progress { done: 42, total: 100 }),
    }
}

pub(crate) fn event(seq: u64, action: &str, name: &str, result: EventResult) -> Event {
    Event {
        seq,
        at: Timestamp::now().plus_seconds(-60 * seq as i64),
        by: actor("admin"),
        action: action.into(),
        subject: Some(Subject { kind: Kind::Vm, id: VmId::new().to_string(), name: name.into() }),
        result,
        detail: format!("{name} was asked for"),
    }
}

pub(crate) fn detail(name: &str, state: VmState) -> VmDetail {
    let vm = vm(name, state);
    let view = network(name);
    VmDetail {
        disks: vec![
            volume(&format!("{name}-disk0"), Some(vm.id)),
            volume(&format!("{name}-disk1"), Some(vm.id)),
        ],
        nics: vec![NicView {
            nic: vm.spec.nics[0].clone(),
            lease: view.leases.first().cloned(),
            network: Some(view.network),
        }],
        cdrom: Some(image(name, ImageKind::Iso).image),
        more_cdroms: Vec::new(),
        task: None,
        warnings: Vec::new(),
        newest_machine_type: Some("pc-q35-10.0".into()),
        newer_machine_types: vec!["pc-q35-9.2".into(), "pc-q35-10.0".into()],
        pending: Vec::new(),
        advice: Vec::new(),
        missing: Vec::new(),
        linked_clones: vec![
            LinkedClone { name: format!("{name}-linked"), vm: Some(VmId::new()) },
            LinkedClone { name: format!("{name}-left-disk0"), vm: None },
        ],
        vm,
    }
}

pub(crate) fn problem(kind: ProblemKind, text: &str) -> Problem {
    let mut problem = Problem::new(kind, format!("It can't be done: {text}"));
    if kind == ProblemKind::Invalid {
        problem.errors =
            ["/name", "/cpus", "/memory_mib", "/disks/0/size_bytes", "/subnet", "/size_bytes", "/days"]
                .map(|p| FieldError { pointer: p.into(), detail: format!("Wrong: {text}") })
                .into();
    }
    problem
}

pub(crate) fn counts() -> BTreeMap<String, u64> {
    [("running", 5), ("off", 3), ("paused", 1), ("crashed", 1)].map(|(s, n)| (s.to_owned(), n)).into()
}

/// A host whose texts all hold `text`.
pub(crate) fn host(text: &str, live: bool) -> HostView {
    let nic = |name: &str, up: bool| NicFacts {
        name: name.into(),
        mac: "3c:ec:ef:00:11:22".into(),
        physical: true,
        up,
        speed_mbit: up.then_some(10_000),
        driver: Some(format!("ixgbe{text}")),
        addresses: if up { vec!["192.168.4.20/24".into(), "fe80::1/64".into()] } else { Vec::new() },
        master: None,
    };
    let disk = DiskFacts {
        name: "nvme0n1".into(),
        size_bytes: 1_920_383_410_176,
        model: Some(format!("SAMSUNG MZQL21T9HCJR{text}")),
        serial: Some(format!("S64GNE0R1{text}")),
        rotational: false,
        removable: false,
    };
    let reconciler = |name: &str, fault: Option<String>| ReconcilerView {
        name: name.into(),
        last_run: Some(Timestamp::now()),
        last_ms: 1.84,
        fault,
        summary: format!("9 machines as wanted{text}"),
    };
    let facts = HostFacts {
        cpu: CpuFacts { model: format!("AMD EPYC 7313P{text}"), sockets: 1, cores: 16, threads: 32 },
        memory_bytes: 64 << 30,
        nodes: vec![super::host_devices::node(0, text), super::host_devices::node(1, text)],
        acceleration: if live {
            Acceleration::Emulation { reason: format!("/dev/kvm is missing{text}") }
        } else {
            Acceleration::Kvm
        },
        disks: vec![disk],
        nics: vec![nic("eth0", true), nic("eth1", false)],
        pools: vec![PoolFacts {
            name: "local".into(),
            path: "/data/pools/local".into(),
            total_bytes: 1 << 40,
            free_bytes: 700 << 30,
        }],
        versions: Versions {
            quantix: "0.1.0".into(),
            kernel: "6.12.48".into(),
            libvirt: Some("11.3.0".into()),
            qemu: Some("10.0.2".into()),
            os: Some(format!("Quantix 0.1.0 (Alpine 3.23){text}")),
        },
        uptime_s: 273_840,
        machine: Some(format!("Supermicro AS-1015A{text}")),
        libvirt_fault: live.then(|| format!("connection refused{text}")),
        live,
        clock_back_s: live.then_some(86_400),
    };
    let spec = HostSpec {
        name: format!("qx-1{text}"),
        node: Some(NodeId(0x9f86_d081_884c_7d65)),
        role: HostRole::Host,
        fence_epoch: 0,
        leaving: false,
        state: HostState::New,
    };
    HostView {
        host: Host { id: HostId::new(), meta: meta(), spec, status: HostStatus::default() },
        facts,
        foreign_domains: 2,
        reconcilers: vec![
            reconciler("vms", None),
            reconciler("images", live.then(|| format!("disk error{text}"))),
        ],
        latest: host_samples().last().copied(),
        watchdog: Some(match live {
            true => Watchdog::None { why: format!("iTCO_wdt (watchdog0) is held by another program{text}") },
            false => Watchdog::Hardware { identity: format!("iTCO_wdt{text}"), timeout_s: 10 },
        }),
    }
}

pub(crate) fn token(name: &str, days: i64) -> Token {
    Token {
        id: TokenId::new(),
        meta: meta(),
        name: name.into(),
        user: UserId::new(),
        expires_at: Timestamp::now().plus_seconds(days * 86_400),
    }
}

pub(crate) fn session() -> Session {
    Session {
        id: SessionId::new(),
        user: UserId::new(),
        created_at: Timestamp::now().plus_seconds(-3600),
        expires_at: Timestamp::now().plus_seconds(6 * 86_400),
        address: "192.168.4.77".into(),
        agent: format!("Firefox {HOSTILE}"),
    }
}

/// Two folders, one in the other.
pub(crate) fn folders(text: &str) -> Vec<FolderView> {
    let view = |name: String, parent: Option<FolderId>, path: String, depth| FolderView {
        folder: Folder {
            id: FolderId::new(),
            meta: meta(),
            spec: FolderSpec { name, parent },
            status: FolderStatus {},
        },
        path,
        depth,
        vms: 2,
        vms_in_all: 5 - u64::from(depth),
    };
    let top = view(format!("Production{text}"), None, format!("/Production{text}"), 1);
    let id = top.folder.id;
    vec![top, view(format!("Web tier{text}"), Some(id), format!("/Production{text}/Web tier{text}"), 2)]
}

/// A list that somebody saved views of.
pub(crate) fn with_views(
    list: ListName,
    listing: crate::listing::Listing,
    text: &str,
) -> crate::listing::Listing {
    let view = |name: String, query: String| SavedView {
        id: ViewId::new(),
        user: Some(UserId::new()),
        name,
        list,
        query,
        saved_at: Timestamp::now(),
    };
    let shown = listing.query();
    let views = vec![view(format!("Mine{text}"), shown), view("Running".into(), "state=running".into())];
    crate::listing::Listing { list: Some(list), views, ..listing }
}
