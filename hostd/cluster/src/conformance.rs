//! openraft's own storage suite against the real databases, and determinism of `apply`.

use crate::apply;
use crate::ground::Ground;
use crate::log_store::LogStore;
use crate::raft::{Batch, LogId, RaftEntry, Results, StorageError, StorageIoError, TypeConfig};
use crate::reserve::Reserve;
use crate::revision::Revision;
use crate::schema;
use crate::snapshot::Snapshots;
use crate::state_machine::{Own, StateMachine};
use crate::writer::Writer;
use hostd_types::command::*;
use hostd_types::*;
use openraft::testing::{StoreBuilder, Suite};
use openraft::{AnyError, CommittedLeaderId, EntryPayload};
use proptest::prelude::*;
use rusqlite::Connection;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::{broadcast, watch};

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError> {
        let build = || -> Result<_, crate::StateError> {
            let dir = tempfile::tempdir()?;
            let state = dir.path().join("state.db");
            let reserve = Reserve::open(dir.path(), 1 << 20);
            let log =
                LogStore::open(&dir.path().join("log.db"), u64::MAX, reserve.clone(), &Ground::Threads)?;
            let writer = Writer::spawn("state-writer", schema::open_state(&state)?, &Ground::Threads)?;
            let snapshots = Snapshots::open(&dir.path().join("snapshot"), &state)?;
            let own = Own { host: HostId::new(), dir: dir.path().to_owned() };
            let (changes, _) = broadcast::channel(8);
            let (revision, replaced) = (Revision::new(0), watch::Sender::new(0));
            let ground = Ground::Threads;
            Ok((
                dir,
                log,
                StateMachine { ground, writer, snapshots, reserve, own, changes, replaced, revision },
            ))
        };
        build().map_err(|e| StorageIoError::write(AnyError::new(&e)).into())
    }
}

#[test]
fn storage_meets_openrafts_own_suite() {
    Suite::test_all(Builder).unwrap();
}

/// See [`schema::hash`].
pub(crate) fn dump(db: &Connection, left_out: &[&str]) -> blake3::Hash {
    schema::hash(db, left_out).unwrap()
}

pub(crate) fn apply_all(entries: &[RaftEntry], cuts: &[usize]) -> (Connection, Vec<Results>) {
    let dir = tempfile::tempdir().unwrap();
    let mut db = schema::open_state(&dir.path().join("state.db")).unwrap();
    let mut results = Vec::new();
    let mut rest = entries;
    for cut in cuts.iter().copied().chain([usize::MAX]) {
        let (now, later) = rest.split_at(cut.min(rest.len()));
        results.extend(apply::entries(&mut db, now).unwrap().results);
        rest = later;
    }
    (db, results)
}

/// Packs commands into log entries of the sizes `packs`, in turn.
pub(crate) fn pack(commands: &[Entry], packs: &[usize]) -> Vec<RaftEntry> {
    let mut entries = Vec::new();
    let mut rest = commands;
    for size in packs.iter().copied().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(size.clamp(1, rest.len()));
        let log_id = LogId::new(CommittedLeaderId::new(1, 7), entries.len() as u64 + 1);
        let payload = EntryPayload::Normal(Batch(Arc::new(now.to_vec())));
        entries.push(RaftEntry { log_id, payload });
        rest = later;
    }
    entries
}

fn id(n: u8, kind: u8) -> uuid::Uuid {
    uuid::Uuid::from_bytes([1, 2, 3, 4, 5, 6, 0x70, kind, 0x80, 0, 0, 0, 0, 0, 0, n])
}

fn blank() -> NewDisk {
    let (format, bus, options) = (DiskFormat::Qcow2, DiskBus::Virtio, DiskOptions::default());
    NewDisk::Blank { size_bytes: 1 << 30, format, bus, options }
}

fn taken(volume: VolumeId) -> NewDisk {
    NewDisk::Volume { volume, bus: DiskBus::Sata, options: DiskOptions::default() }
}

/// A small world of names and ids, so that commands often meet: refusals are as much part of the state as successes.
fn command() -> impl Strategy<Value = Command> {
    let n = 0_u8..4;
    let host = HostId::from_uuid(id(0, 1));
    let vm = |n: u8| VmId::from_uuid(id(n, 2));
    let create = move |(n, name, start, disk): (u8, u8, bool, bool)| VmCommand::Create {
        id: vm(n),
        host,
        vm: CreateVm {
            name: format!("vm{name}"),
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
            disks: vec![if disk { blank() } else { taken(VolumeId::from_uuid(id(n, 3))) }],
            cdrom: None,
            more_cdroms: Vec::new(),
            shares: Vec::new(),
            nics: vec![],
            host_devices: Vec::new(),
            filing: NewFiling::default(),
            options: VmOptions::default(),
            start,
        },
        found: Vec::new(),
    };
    let status = VmStatus { phase: Phase::Ready, state: VmState::Off, ..VmStatus::default() };
    let volume = |n: u8| VolumeId::from_uuid(id(n, 3));
    let ready = VolumeStatus { phase: Phase::Ready, fault: None };
    prop_oneof![
        (n.clone(), 0_u8..3, any::<bool>(), any::<bool>()).prop_map(create).prop_map(Command::Vm),
        n.clone().prop_map(move |n| Command::Vm(VmCommand::Report {
            id: vm(n),
            status: status.clone(),
            done: None
        })),
        n.clone().prop_map(move |n| {
            Command::Vm(VmCommand::Power { id: vm(n), action: PowerAction::Start, deadline_s: 1 })
        }),
        (n.clone(), any::<bool>()).prop_map(move |(n, disks)| Command::Vm(VmCommand::Delete {
            id: vm(n),
            expect: None,
            disks
        })),
        n.clone().prop_map(move |n| Command::Vm(VmCommand::Deleted { id: vm(n) })),
        n.clone().prop_map(move |n| {
            let edit = EditVm { name: Some("vm1".into()), cpus: Some(2), ..EditVm::default() };
            Command::Vm(VmCommand::Edit { id: vm(n), expect: None, edit })
        }),
        n.clone().prop_map(move |n| {
            let asked = CreateVolume { name: format!("v{n}"), size_bytes: 1 << 20, format: DiskFormat::Raw };
            Command::Volume(VolumeCommand::Create { id: volume(n), host, volume: asked })
        }),
        n.clone().prop_map(move |n| {
            Command::Volume(VolumeCommand::Report { id: volume(n), status: ready.clone() })
        }),
        n.prop_map(move |n| Command::Volume(VolumeCommand::Delete { id: volume(n) })),
        Just(Command::Task(TaskCommand::Prune { before: Timestamp::from_unix(1_800_000_900) })),
    ]
}

/// A cluster of one: what it takes before anything else about clusters is accepted.
pub(crate) fn founding() -> [Command; 2] {
    let authority = Authority {
        certificate: "c".into(),
        sealed_key: "k".into(),
        ends: Timestamp::from_unix(2_000_000_000),
    };
    let found = ClusterCommand::Found {
        id: ClusterId::from_uuid(id(0, 10)),
        name: "rack".into(),
        authority,
        host: HostId::from_uuid(id(0, 1)),
        node: NodeId(100),
    };
    [ClusterCommand::Raise { level: LEVEL }, found].map(Command::Cluster)
}

/// Hosts that come, bring rows along, and go, in the same small world.
fn federation() -> impl Strategy<Value = Command> {
    let n = 0_u8..3;
    let host = |n: u8| HostId::from_uuid(id(n, 1));
    let token = |n: u8| JoinTokenId::from_uuid(id(n, 11));
    let secret = |n: u8| SecretHash(format!("secret{n}"));
    let join = move |(n, shown, of, node): (u8, u8, u8, u8)| ClusterCommand::Join {
        token: token(n),
        secret: secret(if shown == 0 { n + 1 } else { n }),
        host: host(of),
        node: NodeId(u64::from(node)),
        name: "h".into(),
        role: HostRole::Host,
        status: HostStatus { level: LEVEL, ..HostStatus::default() },
    };
    let import = move |(n, of, name): (u8, u8, u8)| {
        let meta = Meta::created(Timestamp::from_unix(1_800_000_000), &Actor::Console);
        let spec = VolumeSpec {
            name: format!("v{name}"),
            host: host(of),
            pool: "local".into(),
            format: DiskFormat::Raw,
            size_bytes: 1 << 20,
            image: None,
            vm: None,
            task: Some(TaskId::from_uuid(id(1, 8))),
            layers: Layers::default(),
            origin: None,
            adopted_from: None,
        };
        let status = VolumeStatus { phase: Phase::Ready, fault: None };
        let volume = |n| Volume {
            id: VolumeId::from_uuid(id(n, 12)),
            meta: meta.clone(),
            spec: spec.clone(),
            status: status.clone(),
        };
        let belongings = Belongings { volumes: vec![volume(n), volume(n + 8)], ..Belongings::default() };
        ClusterCommand::Import { host: host(of), belongings }
    };
    let expires_at = Timestamp::from_unix(1_800_001_400);
    prop_oneof![
        2 => n.clone().prop_map(move |n| {
            ClusterCommand::CreateToken { id: token(n), secret: secret(n), expires_at }
        }),
        1 => n.clone().prop_map(move |n| ClusterCommand::RevokeToken { id: token(n) }),
        4 => (n.clone(), 0_u8..6, 0_u8..3, 0_u8..4).prop_map(join),
        3 => (n.clone(), 0_u8..3, n.clone()).prop_map(import),
        2 => n.clone().prop_map(move |n| ClusterCommand::Remove { host: host(n) }),
        1 => n.clone().prop_map(move |n| ClusterCommand::Recover { host: host(n), generation: u64::from(n) }),
        1 => n.clone().prop_map(|n| ClusterCommand::Edit { name: Some(format!("c{n}")), voters: Some(3) }),
        1 => (0_u16..=LEVEL).prop_map(|level| ClusterCommand::Raise { level }),
    ]
    .prop_map(Command::Cluster)
}

/// Wraps commands with ids and times of their own; every request comes twice now and then.
pub(crate) fn entries(commands: Vec<(Command, bool)>) -> Vec<Entry> {
    let host = HostId::from_uuid(id(0, 1));
    let first =
        Command::Host(HostCommand::Report { id: host, name: "h".into(), status: HostStatus::default() });
    let mut list = Vec::new();
    for (n, (command, again)) in [(first, false)].into_iter().chain(commands).enumerate() {
        let serial = u8::try_from(n).unwrap();
        let entry = Entry {
            version: ENTRY_VERSION,
            request: RequestId::from_uuid(id(serial, 9)),
            at: Timestamp::from_unix(1_800_000_000 + 40 * n as i64),
            by: Actor::Console,
            task: TaskId::from_uuid(id(serial, 8)),
            command,
        };
        list.push(entry.clone());
        if again {
            list.push(entry);
        }
    }
    list
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_same_commands_make_the_same_state_however_they_are_cut(
        commands in prop::collection::vec(
            (prop_oneof![command(), federation()], prop::bool::weighted(0.2)),
            1..60,
        ),
        founded in prop::bool::weighted(0.8),
        packs in prop::collection::vec(1_usize..7, 1..5),
        cuts in prop::collection::vec(0_usize..6, 0..20),
    ) {
        let first = founding().into_iter().filter(|_| founded).map(|command| (command, false));
        let commands = entries(first.chain(commands).collect());
        // One command an entry, all in one transaction.
        let (single, alone) = apply_all(&pack(&commands, &[1]), &[]);
        // The same entries, cut into transactions elsewhere: every table is the same.
        let (cut, again) = apply_all(&pack(&commands, &[1]), &cuts);
        prop_assert_eq!(dump(&single, &[]), dump(&cut, &[]));
        prop_assert_eq!(&alone, &again);
        // Other entries: the same but for the positions in the log.
        let (packed, together) = apply_all(&pack(&commands, &packs), &cuts);
        let positions = ["raft_meta", "request"];
        prop_assert_eq!(dump(&single, &positions), dump(&packed, &positions));
        let kinds = |results: Vec<Results>| -> Vec<Result<Option<TaskId>, Problem>> {
            results.into_iter().flatten().map(|r| r.map(|outcome| outcome.task)).collect()
        };
        prop_assert_eq!(kinds(alone), kinds(together));
    }
}

#[test]
fn an_entry_of_a_newer_version_stops_instead_of_being_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let mut db = schema::open_state(&dir.path().join("state.db")).unwrap();
    let mut newer = entries(vec![]);
    newer[0].version = ENTRY_VERSION + 1;
    let before = dump(&db, &[]);
    let refused = apply::entries(&mut db, &pack(&newer, &[1]));
    assert!(matches!(refused, Err(crate::StateError::EntryTooNew { .. })), "{refused:?}");
    assert_eq!(before, dump(&db, &[]), "a part of the batch stayed");
}
