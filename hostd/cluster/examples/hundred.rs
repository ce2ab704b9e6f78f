//! A hundred members in one process, with the log and the transport that hosts use, over the loopback address; what they
//! cost together is printed as JSON. `cargo xtask measure hosts100.idle.cpu` runs it.
//!
//! Disks are left out: every member's state is in memory, as a hundred disks are not one disk.

#![allow(clippy::unwrap_used)] // Run by hand: a failure may end it.

use futures_util::future::BoxFuture;
use hostd_cluster::{Carrier, CarryError, Cluster, Destination, Lane, Settings, Switch};
use hostd_peer::{Door, Identity, Issuer, Link, LinkError, Refusal, Secret, Serve};
use hostd_types::command::{AuditCommand, ClusterCommand, ENTRY_VERSION, HostCommand};
use hostd_types::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Members.
const MEMBERS: usize = 100;
/// How long a cost is averaged over.
const PERIOD: Duration = Duration::from_secs(30);
/// Writes a second in the second half.
const RATE: u32 = 50;
/// Time for anything to come about.
const PATIENCE: Duration = Duration::from_secs(300);

/// Both ends of a member's link.
#[derive(Clone, Default)]
struct Wire {
    link: Arc<OnceLock<Link>>,
    cluster: Arc<OnceLock<Cluster>>,
}

impl Carrier for Wire {
    fn call(
        &self,
        to: NodeId,
        lane: Lane,
        frame: Vec<u8>,
        within: Duration,
    ) -> BoxFuture<'_, Result<Vec<u8>, CarryError>> {
        let lane = match lane {
            Lane::Consensus => hostd_peer::Lane::Consensus,
            Lane::Work => hostd_peer::Lane::Work,
        };
        Box::pin(async move {
            let nobody = || CarryError::Unreachable("not connected yet".into());
            let link = self.link.get().ok_or_else(nobody)?;
            link.call(to, lane, frame, within).await.map_err(|error| match error {
                LinkError::Removed(text) => CarryError::Removed(text),
                LinkError::Refused(text) => CarryError::Refused(text),
                other => CarryError::Unreachable(other.to_string()),
            })
        })
    }
}

impl Serve for Wire {
    fn admits(&self, _node: NodeId) -> Result<(), Refusal> {
        Ok(())
    }
    fn call(&self, from: NodeId, _lane: hostd_peer::Lane, body: Vec<u8>) -> BoxFuture<'static, Vec<u8>> {
        let cluster = self.cluster.get().cloned();
        Box::pin(async move {
            match cluster {
                Some(cluster) => cluster.serve(from, &body).await,
                None => Vec::new(),
            }
        })
    }
    fn stream(&self, _from: NodeId, _opening: Vec<u8>, door: Door) -> BoxFuture<'static, ()> {
        Box::pin(door.refuse("there are no streams here"))
    }
}

/// The cluster's papers, and where its members are.
struct Site {
    id: ClusterId,
    issuer: Issuer,
    secret: Secret,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Site {
    fn new() -> Self {
        let id = ClusterId::new();
        let issuer = Issuer::generate(id, Timestamp::now()).unwrap();
        let secret = Secret::generate().unwrap();
        Self { id, issuer, secret, stop: CancellationToken::new(), tasks: TaskTracker::new() }
    }

    fn identity(&self, node: NodeId) -> Identity {
        let request = Identity::request(self.id, node).unwrap();
        let chain = self.issuer.sign(&request.csr_pem, self.id, node, Timestamp::now()).unwrap();
        let trusted = vec![self.issuer.certificate().to_owned()];
        Identity::new(self.id, node, 0, chain, &request.key_pem, trusted, self.secret.clone()).unwrap()
    }
}

struct Member {
    cluster: Cluster,
    link: Link,
    name: String,
}

impl Member {
    async fn open(site: &Site, dir: &Path, number: usize) -> Self {
        let wire = Wire::default();
        let cluster = Cluster::open(dir, Settings::default(), Arc::new(wire.clone())).await.unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let link = Link::start(listen, Arc::new(wire.clone()), site.stop.clone(), &site.tasks).unwrap();
        let _ = (wire.cluster.set(cluster.clone()), wire.link.set(link.clone()));
        Self { cluster, link, name: format!("h{number}") }
    }

    async fn ok(&self, command: Command) {
        let entry = Entry {
            version: ENTRY_VERSION,
            request: RequestId::new(),
            at: Timestamp::now(),
            by: Actor::Console,
            task: TaskId::new(),
            command,
        };
        self.cluster.propose(entry).await.unwrap();
    }

    fn status(&self) -> HostStatus {
        HostStatus { addresses: vec![self.link.local().to_string()], level: LEVEL, ..HostStatus::default() }
    }

    async fn found(&self, site: &Site) {
        self.ok(Command::Cluster(ClusterCommand::Raise { level: LEVEL })).await;
        let (host, name) = (self.cluster.host(), self.name.clone());
        let report = HostCommand::Report { id: host, name: name.clone(), status: self.status() };
        self.ok(Command::Host(report)).await;
        let authority = site.issuer.record(&site.secret).unwrap();
        let node = self.cluster.node();
        self.ok(Command::Cluster(ClusterCommand::Found { id: site.id, name, authority, host, node })).await;
        self.link.set_identity(Some(site.identity(node))).unwrap();
    }

    /// Becomes a member of `first`'s cluster.
    async fn join(&self, site: &Site, first: &Member) {
        let (node, token) = (NodeId::random(), JoinTokenId::new());
        let secret = SecretHash(format!("{:032x}{:032x}", NodeId::random().0, NodeId::random().0));
        let expires_at = Timestamp::now().plus_seconds(3600);
        let create = ClusterCommand::CreateToken { id: token, secret: secret.clone(), expires_at };
        first.ok(Command::Cluster(create)).await;
        self.link.set_identity(Some(site.identity(node))).unwrap();
        self.link.set_addresses(BTreeMap::from([(first.cluster.node(), vec![first.link.local()])]));
        first.link.set_override(node, Some(self.link.local()));
        let (host, name, status) = (self.cluster.host(), self.name.clone(), self.status());
        let join = ClusterCommand::Join { token, secret, host, node, name, role: HostRole::Host, status };
        first.ok(Command::Cluster(join)).await;
        let (into, belongings) = (Destination::Cluster, Belongings::default());
        let switch = Switch { node, into, belongings, carried: serde_json::Value::Null };
        self.cluster.switch(&switch).await.unwrap();
        until("a member", || async { self.cluster.store().host_of_node(node).await.unwrap().is_some() })
            .await;
        self.cluster.switched().await.unwrap();
    }
}

async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await; // between two looks
    }
}

/// Seconds of CPU this process has used.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the program's name, which may hold anything, user and system time are the 12th and 13th, in hundredths.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// MiB of memory this process holds.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}

/// What all cost on average while `work` goes on: percent of one CPU, and MiB.
async fn cost(work: impl Future<Output = ()>) -> (f64, f64) {
    let (begun, before) = (Instant::now(), cpu());
    work.await;
    ((cpu() - before) / begun.elapsed().as_secs_f64() * 100.0, memory())
}

/// Tells of each member every two seconds as much as a host tells.
async fn tell(members: &[Member]) {
    let mut tick = tokio::time::interval(Duration::from_secs(2));
    for n in 0_u64.. {
        tick.tick().await;
        for member in members {
            member.cluster.set_digest(format!("{n:>400}"));
        }
    }
}

/// Writes `RATE` times a second at the first member; answers the milliseconds each took, sorted.
async fn write(first: &Member) -> Vec<f64> {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / RATE);
    let mut took = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < PERIOD {
        tick.tick().await;
        let sent = Instant::now();
        let line = AuditCommand {
            action: "cluster.measure".into(),
            subject: None,
            result: EventResult::Ok,
            detail: format!("write {}", took.len()),
        };
        first.ok(Command::Audit(line)).await;
        took.push(sent.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    took
}

/// Milliseconds in which half of many reads of one row are done.
async fn read(member: &Member) -> f64 {
    let mut took = Vec::new();
    for _ in 0..3000 {
        let begun = Instant::now();
        member.cluster.store().host(member.cluster.host()).await.unwrap().unwrap();
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}

#[tokio::main]
async fn main() {
    let memory_disk = Path::new("/dev/shm");
    let dir = if memory_disk.is_dir() { tempfile::tempdir_in(memory_disk) } else { tempfile::tempdir() };
    let (dir, site) = (dir.unwrap(), Site::new());
    let begun = Instant::now();
    let mut members = vec![Member::open(&site, &dir.path().join("0"), 0).await];
    members[0].found(&site).await;
    for number in 1..MEMBERS {
        let member = Member::open(&site, &dir.path().join(number.to_string()), number).await;
        member.join(&site, &members[0]).await;
        members.push(member);
    }
    let joined = begun.elapsed().as_secs_f64();
    let everybody: BTreeMap<_, _> =
        members.iter().map(|m| (m.cluster.node(), vec![m.link.local()])).collect();
    for member in &members {
        member.link.set_addresses(everybody.clone());
    }
    let group = || members[0].cluster.group();
    until("five voters", || async {
        !group().changing && group().members.values().filter(|member| member.votes).count() == 5
    })
    .await;
    let read_ms = read(&members[MEMBERS - 1]).await;
    let idle = cost(async {
        // Nothing is waited for: an idle cluster is one that is left alone.
        let _time_is_up = tokio::time::timeout(PERIOD, tell(&members)).await;
    })
    .await;
    let mut took = Vec::new();
    let busy = cost(async {
        tokio::select! {
            () = tell(&members) => {}
            written = write(&members[0]) => took = written,
        }
    })
    .await;
    let written = *members[0].cluster.revision().borrow();
    until("the same everywhere", || async {
        members.iter().all(|member| *member.cluster.revision().borrow() >= written)
    })
    .await;
    let rate = took.len() as f64 / PERIOD.as_secs_f64();
    let told = json!({
        "read.p50": read_ms, "hosts100.idle.cpu": idle.0, "hosts100.idle.mib": idle.1,
        "hosts100.write50.cpu": busy.0, "hosts100.write50.mib": busy.1,
        "detail": {"members": MEMBERS, "seconds_to_join_one_by_one": joined, "writes_per_s": rate,
            "write_p50_ms": took[took.len() / 2], "write_p99_ms": took[took.len() * 99 / 100]},
    });
    println!("{told}");
    // Members are not stopped one by one; what lies in memory as files would outlive the process.
    dir.close().unwrap();
    std::process::exit(0);
}
