//! Several members in one process, on a network of channels that a test can cut.

use crate::fixture::*;
use futures_util::future::BoxFuture;
use hostd_cluster::*;
use hostd_types::command::*;
use hostd_types::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Lan {
    members: Mutex<BTreeMap<NodeId, Cluster>>,
    /// Ways that are cut, from and to.
    cut: Mutex<BTreeSet<(NodeId, NodeId)>>,
}

impl Lan {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn cut_off(&self, host: &Peer) {
        for other in self.members.lock().unwrap().keys() {
            self.cut.lock().unwrap().extend([(host.node(), *other), (*other, host.node())]);
        }
    }

    pub fn heal(&self) {
        self.cut.lock().unwrap().clear();
    }

    fn way(&self, from: NodeId, to: NodeId) -> Option<Cluster> {
        let open = !self.cut.lock().unwrap().contains(&(from, to));
        // Whoever moved into another group is not found under its old name.
        self.members.lock().unwrap().get(&to).filter(|c| open && c.node() == to).cloned()
    }
}

/// The carrier of one member.
struct Cable {
    lan: Arc<Lan>,
    from: Mutex<Option<Cluster>>,
}

impl Carrier for Cable {
    fn call(
        &self,
        to: NodeId,
        _lane: Lane,
        frame: Vec<u8>,
        _within: Duration,
    ) -> BoxFuture<'_, Result<Vec<u8>, CarryError>> {
        Box::pin(async move {
            let nobody = || CarryError::Unreachable("cut".into());
            let from = self.from.lock().unwrap().as_ref().map(Cluster::node).ok_or_else(nobody)?;
            let there = self.lan.way(from, to).ok_or_else(nobody)?;
            let answer = there.serve(from, &frame).await;
            self.lan.way(to, from).ok_or_else(nobody)?;
            Ok(answer)
        })
    }
}

/// One member with its directory.
pub struct Peer {
    pub cluster: Cluster,
    pub dir: TempDir,
    pub name: String,
    lan: Arc<Lan>,
    settings: Settings,
}

/// Changes of the membership without long waits.
pub fn brisk() -> Settings {
    let pace = Pace {
        candidate_after: Duration::ZERO,
        replace_after: Duration::from_secs(4),
        look_every: Duration::from_millis(200),
        ..Pace::default()
    };
    Settings { pace, ..Settings::default() }
}

impl Peer {
    /// A host that is a cluster of one.
    pub async fn alone(lan: &Arc<Lan>, name: &str, settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = Self::open(lan, dir, name, settings).await;
        host.ok(Command::Cluster(ClusterCommand::Raise { level: LEVEL })).await;
        host.found().await;
        host
    }

    pub async fn found(&self) {
        let found = ClusterCommand::Found {
            id: ClusterId::new(),
            name: self.name.clone(),
            authority: Authority {
                certificate: "a certificate".into(),
                sealed_key: String::new(),
                ends: Timestamp::from_unix(4_000_000_000),
            },
            host: self.cluster.host(),
            node: self.node(),
        };
        let report = HostCommand::Report {
            id: self.cluster.host(),
            name: self.name.clone(),
            status: HostStatus::default(),
        };
        self.ok(Command::Host(report)).await;
        self.ok(Command::Cluster(found)).await;
    }

    pub async fn open(lan: &Arc<Lan>, dir: TempDir, name: &str, settings: Settings) -> Self {
        let cable = Arc::new(Cable { lan: lan.clone(), from: Mutex::default() });
        let cluster = Cluster::open(dir.path(), settings.clone(), cable.clone()).await.unwrap();
        *cable.from.lock().unwrap() = Some(cluster.clone());
        let host = Self { cluster, dir, name: name.into(), lan: lan.clone(), settings };
        host.plug_in();
        host
    }

    pub fn plug_in(&self) {
        self.lan.members.lock().unwrap().insert(self.node(), self.cluster.clone());
    }

    /// Closes and opens again, as a restart of the daemon does.
    pub async fn restart(self) -> Self {
        let Self { cluster, dir, name, lan, settings } = self;
        lan.members.lock().unwrap().remove(&cluster.node());
        cluster.shutdown().await;
        Self::open(&lan, dir, &name, settings).await
    }

    /// Gone for good.
    pub async fn off(self) {
        self.lan.members.lock().unwrap().remove(&self.node());
        self.cluster.shutdown().await;
    }

    pub fn node(&self) -> NodeId {
        self.cluster.node()
    }

    pub fn entry(&self, command: Command) -> Entry {
        Entry {
            version: ENTRY_VERSION,
            request: RequestId::new(),
            at: Timestamp::now(),
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
        self.propose(command).await.unwrap_or_else(|p| panic!("{name} was refused on {}: {p:?}", self.name))
    }

    pub async fn vm(&self, name: &str) -> VmId {
        let id = VmId::new();
        self.ok(create(id, self.cluster.host(), blank_vm(name))).await;
        id
    }

    pub async fn vms(&self) -> Vec<String> {
        let list = ListParams { limit: Some(500), ..ListParams::default() };
        let page = self.cluster.store().vms(&list).await.unwrap();
        page.items.into_iter().map(|vm| vm.spec.name).collect()
    }

    /// Joins the cluster of `sponsor`, with everything it has.
    pub async fn join(&self, sponsor: &Peer) {
        let node = NodeId::random();
        let (token, secret) = (JoinTokenId::new(), SecretHash(token_text()));
        let expires_at = Timestamp::from_unix(4_000_000_000);
        let create = ClusterCommand::CreateToken { id: token, secret: secret.clone(), expires_at };
        sponsor.ok(Command::Cluster(create)).await;
        let (host, name) = (self.cluster.host(), self.name.clone());
        let (role, status) = (HostRole::Host, HostStatus { level: LEVEL, ..HostStatus::default() });
        let join = ClusterCommand::Join { token, secret, host, node, name, role, status };
        sponsor.ok(Command::Cluster(join)).await;
        self.switch(node, Destination::Cluster).await;
        self.until("it is a member", |h| async move { h.is_member().await }).await;
        self.bring_belongings().await;
    }

    /// Leaves the cluster and becomes one of its own again.
    pub async fn leave(&self) {
        let host = self.cluster.host();
        let belongings = self.cluster.store().belongings(host).await.unwrap();
        self.ok(Command::Host(HostCommand::SetLeaving { id: host, leaving: true })).await;
        self.until("its vote is given up", |h| async move {
            let group = h.cluster.group();
            group.leader.is_some() && !group.leads && !h.voters().contains(&group.me)
        })
        .await;
        self.ok(Command::Cluster(ClusterCommand::Remove { host })).await;
        self.switch_with(NodeId::random(), Destination::Alone, belongings).await;
        self.ok(Command::Cluster(ClusterCommand::Raise { level: LEVEL })).await;
        self.found().await;
        self.bring_belongings().await;
    }

    async fn switch(&self, node: NodeId, into: Destination) {
        let belongings = self.cluster.store().belongings(self.cluster.host()).await.unwrap();
        self.switch_with(node, into, belongings).await;
    }

    pub async fn switch_with(&self, node: NodeId, into: Destination, belongings: Belongings) {
        let switch = Switch { node, into, belongings, carried: serde_json::Value::Null };
        self.cluster.switch(&switch).await.unwrap();
        self.plug_in();
    }

    pub async fn bring_belongings(&self) {
        let switch = self.cluster.switching().await.unwrap().expect("a move");
        let import = ClusterCommand::Import { host: self.cluster.host(), belongings: switch.belongings };
        self.ok(Command::Cluster(import)).await;
        self.cluster.switched().await.unwrap();
    }

    /// Its row has come, so it has caught up with its own admission.
    async fn is_member(&self) -> bool {
        self.cluster.store().host_of_node(self.node()).await.unwrap().is_some()
    }

    /// Waits until `holds`.
    pub async fn until<'a, F>(&'a self, what: &str, holds: impl Fn(&'a Peer) -> F)
    where
        F: Future<Output = bool> + 'a,
    {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds(self).await {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{} waited in vain until {what}: {:#?}",
                self.name,
                self.cluster.group()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn voters(&self) -> BTreeSet<NodeId> {
        let members = self.cluster.group().members;
        members.into_iter().filter(|(_, member)| member.votes).map(|(node, _)| node).collect()
    }
}

fn token_text() -> String {
    format!("{:032x}{:032x}", rand_u64(), rand_u64())
}

fn rand_u64() -> u64 {
    NodeId::random().0
}
