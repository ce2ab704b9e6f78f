//! Several hosts for one test, and the words tests of clusters speak to them in.

use crate::admin::{Admin, PATIENCE};
use crate::bed::{program, scratch};
use hyper::Method;
use lab::fleet::Fleet;
use lab::http::{Answer, Http, Target};
use lab::wait;
use serde_json::{Value, json};
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Hosts on one switch; numbered from 0.
pub struct Hosts {
    fleet: Fleet,
    dir: TempDir,
}

impl Deref for Hosts {
    type Target = Fleet;
    fn deref(&self) -> &Fleet {
        &self.fleet
    }
}

impl DerefMut for Hosts {
    fn deref_mut(&mut self) -> &mut Fleet {
        &mut self.fleet
    }
}

/// What went wrong on one host is often told by another one.
impl Drop for Hosts {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for i in (0..self.fleet.len()).filter(|i| self.fleet.is_on(*i)) {
                eprintln!("{}: …{}", self.fleet.name(i), self.fleet.host(i).log_tail());
            }
        }
    }
}

impl Hosts {
    /// Fresh hosts, each a cluster of one, or `None` where none can be made.
    pub async fn start(count: usize) -> Option<Self> {
        Self::start_as(&program(), count).await
    }

    /// The same, with another `program` as their daemon.
    pub async fn start_as(program: &Path, count: usize) -> Option<Self> {
        if let Some(why) = Fleet::missing() {
            eprintln!("skipped: {why}");
            return None;
        }
        let dir = scratch();
        let fleet = Fleet::start(program, dir.path(), count).await.unwrap();
        let hosts = Self { fleet, dir };
        for i in 0..count {
            hosts.is_idle(i).await;
        }
        Some(hosts)
    }

    /// Waits until no task runs on host `i`: with one it can't join. A fresh host makes its first network.
    pub async fn is_idle(&self, i: usize) {
        wait::until(&format!("{} idle", self.name(i)), PATIENCE, || async {
            let running = self.admin(i).list("tasks?state=running").await;
            Ok(running.is_empty().then_some(()))
        })
        .await
        .unwrap();
    }

    /// Fresh hosts in one cluster, of which as many vote as can, or `None` where none can be made.
    pub async fn joined(count: usize) -> Option<Self> {
        Self::joined_as(&program(), count).await
    }

    /// The same, with another `program` as their daemon.
    pub async fn joined_as(program: &Path, count: usize) -> Option<Self> {
        let hosts = Self::start_as(program, count).await?;
        for i in 1..count {
            hosts.join(i, 0).await;
        }
        hosts.vote().await;
        Some(hosts)
    }

    /// Waits until as many hosts of one cluster vote as it wants to: of two only one, three from three on, and five from five.
    pub async fn vote(&self) {
        let wanted = match self.len() {
            0..=2 => 1,
            3 | 4 => 3,
            _ => 5,
        };
        self.admin(0).sees(&format!("{wanted} voters"), |view| voters(view) == wanted).await;
    }

    /// The administrator of host `i`, at its console.
    pub fn admin(&self, i: usize) -> Admin {
        Admin::of(self.host(i))
    }

    /// Host `i`'s identity, which joining and leaving do not change.
    pub async fn id(&self, i: usize) -> String {
        self.view(i).await["here"].as_str().unwrap().to_owned()
    }

    /// The cluster as host `i` sees it.
    pub async fn view(&self, i: usize) -> Value {
        self.admin(i).view().await.unwrap()
    }

    /// A join token of host `i`'s cluster.
    pub async fn invite(&self, i: usize) -> String {
        let made = self.admin(i).post("cluster/tokens", json!({})).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json().unwrap()["text"].as_str().unwrap().to_owned()
    }

    /// Asks host `i` to join by `token`.
    pub async fn ask_to_join(&self, i: usize, token: &str) -> Answer {
        self.admin(i).post("cluster/join", json!({"token": token})).await
    }

    /// Host `i` joins the cluster of host `sponsor`, and has caught up.
    pub async fn join(&self, i: usize, sponsor: usize) {
        let token = self.invite(sponsor).await;
        let answer = self.ask_to_join(i, &token).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        self.is_member(i, sponsor).await;
    }

    /// Waits until host `i` is a member of host `other`'s cluster and has caught up: both know it, and what was written
    /// before can be read on it.
    pub async fn is_member(&self, i: usize, other: usize) {
        let id = self.id(i).await;
        let cluster = self.view(other).await["cluster"]["id"].clone();
        let whose = format!("{} a member", self.name(i));
        let joined = |view: &Value| view["condition"] == "member" && view["cluster"]["id"] == cluster;
        self.admin(i).sees(&whose, |view| joined(view) && member(view, &id).is_some()).await;
        self.admin(other).sees(&whose, |view| member(view, &id).is_some()).await;
        // Not by how far it is behind, which is never nothing while others write.
        let before = self.admin(other).list("cluster/tokens?limit=10000").await;
        let before: Vec<String> = before.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        self.kept(&[i], &before).await;
    }

    /// Waits until `hosts` agree on a leader among them, and answers its number.
    pub async fn leader(&self, hosts: &[usize]) -> usize {
        let mut ids = Vec::new();
        for i in hosts {
            ids.push(self.id(*i).await);
        }
        wait::until(&format!("a leader among {hosts:?}"), PATIENCE, || async {
            let mut named = Vec::new();
            for i in hosts {
                named.push(self.admin(*i).view().await?["leader"].clone());
            }
            let found = ids.iter().position(|id| named.iter().all(|leader| leader == id));
            Ok(found.and_then(|at| hosts.get(at)).copied())
        })
        .await
        .unwrap()
    }

    /// Waits until host `at` sees exactly `hosts` as members.
    pub async fn members_are(&self, at: usize, hosts: &[usize]) {
        let mut wanted = Vec::new();
        for i in hosts {
            wanted.push(self.id(*i).await);
        }
        wanted.sort();
        self.admin(at).sees(&format!("{hosts:?} as members"), |view| member_ids(view) == wanted).await;
    }

    /// Runs `qx` inside host `i`; whether it succeeded, and all it said.
    pub fn qx(&self, i: usize, args: &[&str]) -> (bool, String) {
        let link = self.dir.path().join("qx");
        if !link.exists() {
            std::os::unix::fs::symlink(program(), &link).unwrap();
        }
        let output = self.host(i).libvirt.command_inside(&link).args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// The same, told `input` on its standard input.
    pub fn qx_told(&self, i: usize, args: &[&str], input: &str) -> (bool, String) {
        let file = self.dir.path().join("input");
        std::fs::write(&file, input).unwrap();
        let link = self.dir.path().join("qx");
        let mut command = self.host(i).libvirt.command_inside(&link);
        let output = command.args(args).stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// The same, which must succeed; answers what it said.
    pub fn qx_ok(&self, i: usize, args: &[&str]) -> String {
        let (success, text) = self.qx(i, args);
        assert!(success, "{args:?} on {}: {text}", self.name(i));
        text
    }

    /// The QEMU process of a machine on host `i`, as that host numbers it.
    pub fn qemu(&self, i: usize, vm: &str) -> String {
        let found = self.host(i).libvirt.run_inside("pgrep", &["-f", &format!("uuid {vm}")]);
        found.unwrap_or_else(|error| panic!("{vm} does not run: {error:#}"))
    }

    /// Waits until every host of `hosts` lists each machine of `vms`.
    pub async fn all_list(&self, hosts: &[usize], vms: &[&str]) {
        for i in hosts {
            let what = format!("{} listing {} machines", self.name(*i), vms.len());
            wait::until(&what, PATIENCE, || async {
                let rows = self.admin(*i).list("vms?limit=500").await;
                Ok(vms.iter().all(|vm| rows.iter().any(|row| row["id"] == *vm)).then_some(()))
            })
            .await
            .unwrap();
        }
    }

    /// Waits until every host of `hosts` has each of the acknowledged `writes`.
    pub async fn kept(&self, hosts: &[usize], writes: &[String]) {
        assert!(!writes.is_empty(), "nothing was ever acknowledged");
        for i in hosts {
            let what = format!("{} acknowledged writes on {}", writes.len(), self.name(*i));
            let kept = wait::until(&what, PATIENCE, || async {
                let rows = self.admin(*i).list("cluster/tokens?limit=10000").await;
                let lost = writes.iter().filter(|id| !rows.iter().any(|row| row["id"] == **id)).count();
                anyhow::ensure!(lost == 0, "{lost} are not there");
                Ok(Some(()))
            });
            kept.await.unwrap_or_else(|error| panic!("{error:#}\n{}", self.host(*i).log_tail()));
        }
    }

    /// Begins to write at host `i`.
    pub fn write(&self, i: usize) -> Writer {
        Writer::start(Target::Unix(self.host(i).socket()))
    }
}

/// A client that writes one small row after the other (join tokens: nothing acts on them) and remembers which were
/// acknowledged. What was refused or never answered may or may not have happened.
pub struct Writer {
    acknowledged: Arc<Mutex<Vec<String>>>,
    count: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Writer {
    fn start(target: Target) -> Self {
        let (acknowledged, count) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let (written, counted) = (acknowledged.clone(), count.clone());
        let task = tokio::spawn(async move {
            let mut http = Http::new(target.clone());
            loop {
                let body = json!({"valid_s": 3600});
                let sent = http.send(Method::POST, "/api/v1/cluster/tokens", Some(&body));
                match tokio::time::timeout(Duration::from_secs(15), sent).await {
                    Ok(Ok(answer)) if answer.status == 201 => {
                        let id = answer.json().unwrap()["token"]["id"].as_str().unwrap().to_owned();
                        written.lock().unwrap().push(id);
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(Ok(answer)) => {
                        assert!(answer.status.is_server_error() || answer.status == 429, "{}", answer.text());
                        tokio::time::sleep(Duration::from_millis(100)).await; // as it was told: later
                    }
                    Ok(Err(_)) | Err(_) => {
                        http = Http::new(target.clone());
                        tokio::time::sleep(Duration::from_millis(100)).await; // between two looks
                    }
                }
            }
        });
        Self { acknowledged, count, task }
    }

    /// Waits until `more` writes are acknowledged from now on.
    pub async fn goes_on(&self, more: usize) {
        let wanted = self.count.load(Ordering::Relaxed) + more;
        wait::until(&format!("{more} more writes"), PATIENCE, || async {
            Ok((self.count.load(Ordering::Relaxed) >= wanted).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Ends it; answers what was acknowledged.
    pub async fn end(self) -> Vec<String> {
        assert!(!self.task.is_finished(), "the writer met an answer it did not expect");
        self.task.abort();
        let _ = self.task.await;
        std::mem::take(&mut *self.acknowledged.lock().unwrap())
    }
}

/// The row of one host in a view of the cluster.
pub fn member<'a>(view: &'a Value, id: &str) -> Option<&'a Value> {
    view["members"].as_array().into_iter().flatten().find(|row| row["id"] == id)
}

/// The hosts in a view of the cluster, sorted.
pub fn member_ids(view: &Value) -> Vec<String> {
    let rows = view["members"].as_array().into_iter().flatten();
    let mut ids: Vec<String> = rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

/// How many members of a view vote.
pub fn voters(view: &Value) -> usize {
    let rows = view["members"].as_array().into_iter().flatten();
    rows.filter(|row| row["role"] == "leader" || row["role"] == "voter").count()
}
