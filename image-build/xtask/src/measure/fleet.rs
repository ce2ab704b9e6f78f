//! Several hosts with the daemon as it ships, to measure clusters on.

use crate::checkout::Checkout;
use crate::iso::Daemon;
use anyhow::{Context, Result, ensure};
use hyper::Method;
use lab::fleet::Fleet;
use lab::http::{Http, Target};
use lab::wait;
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

/// Time for anything here.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Time between two looks at what is measured.
pub const LOOK: Duration = Duration::from_millis(3);

/// Hosts, with their state below the target folder: on a disk, where fsync costs what it costs.
pub struct Bed {
    /// They, numbered from 0.
    pub hosts: Fleet,
    _dir: TempDir,
}

impl Bed {
    /// Fresh hosts, each a cluster of one, with no task under way.
    pub async fn start(checkout: &Checkout, count: usize) -> Result<Self> {
        let program = Daemon::Image.build(checkout)?;
        let dir = tempfile::Builder::new().prefix("m").tempdir_in(&checkout.target);
        let dir = dir.context("making a test bed")?;
        let hosts = Fleet::start(&program, dir.path(), count).await?;
        let bed = Self { hosts, _dir: dir };
        for i in 0..count {
            bed.is_idle(i).await?;
        }
        Ok(bed)
    }

    /// Fresh hosts in one cluster in which three vote.
    pub async fn joined(checkout: &Checkout, count: usize) -> Result<Self> {
        let bed = Self::start(checkout, count).await?;
        for i in 1..count {
            let token = bed.invite(0).await?;
            bed.ask_to_join(i, &token).await?;
            bed.until(i, "a member", |view| view["condition"] == "member").await?;
        }
        bed.until(0, "three voters", |view| voters(view) == 3).await?;
        Ok(bed)
    }

    /// Waits until no task runs on host `i`.
    pub async fn is_idle(&self, i: usize) -> Result<()> {
        wait::until("no task", PATIENCE, || async {
            let page = self.hosts.console(i).get("/api/v1/tasks?state=running&limit=1").await?;
            Ok(page["items"].as_array().is_some_and(Vec::is_empty).then_some(()))
        })
        .await
    }

    /// The cluster as host `i` sees it.
    pub async fn view(&self, i: usize) -> Result<Value> {
        self.hosts.console(i).get("/api/v1/cluster").await
    }

    /// Looks often until host `i` sees the cluster as wanted; answers the view.
    pub async fn until(&self, i: usize, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let begun = std::time::Instant::now();
        let mut console = self.hosts.console(i);
        loop {
            let view = console.get("/api/v1/cluster").await?;
            if wanted(&view) {
                return Ok(view);
            }
            ensure!(begun.elapsed() < PATIENCE, "{what} on {}: not in time: {view:#}", self.hosts.name(i));
            tokio::time::sleep(LOOK).await; // between two looks
        }
    }

    /// The number of the host that leads.
    pub async fn leader(&self) -> Result<usize> {
        wait::until("a leader all agree on", PATIENCE, || async {
            let mut leaders = Vec::new();
            let mut here = Vec::new();
            for i in 0..self.hosts.len() {
                let view = self.view(i).await?;
                here.push(view["here"].clone());
                leaders.push(view["leader"].clone());
            }
            let one = leaders.iter().all(|leader| *leader == leaders[0]);
            Ok(here.iter().position(|id| one && *id == leaders[0]))
        })
        .await
    }

    /// A join token of host `i`'s cluster.
    pub async fn invite(&self, i: usize) -> Result<String> {
        let made = self.hosts.console(i).post("/api/v1/cluster/tokens", &json!({})).await?;
        Ok(made["text"].as_str().context("the token's text")?.to_owned())
    }

    /// Asks host `i` to join by `token`.
    pub async fn ask_to_join(&self, i: usize, token: &str) -> Result<()> {
        self.hosts.console(i).post("/api/v1/cluster/join", &json!({"token": token})).await.map(drop)
    }

    /// An API token that may do everything. Who administers the first host administers the cluster.
    pub async fn secret(&self) -> Result<String> {
        let mut http = Http::new(Target::Tls(self.hosts.host(0).address()));
        let banner = self.hosts.console(0).get("/api/v1/banner").await?;
        let answer = http.send(Method::POST, "/api/v1/session", Some(&banner["administrator"])).await?;
        let csrf = answer.success()?.json()?["csrf"].as_str().context("a session's word")?.to_owned();
        http.fields = vec![("origin", self.hosts.host(0).url()), ("x-csrf-token", csrf)];
        let made = http.post("/api/v1/tokens", &json!({"name": "measure", "days": 1})).await?;
        Ok(made["secret"].as_str().context("the token's secret")?.to_owned())
    }

    /// A client of host `i` over TLS with an API token.
    pub fn client(&self, i: usize, secret: &str) -> Http {
        let mut http = Http::new(Target::Tls(self.hosts.host(i).address()));
        http.fields = vec![("authorization", format!("Bearer {secret}"))];
        http
    }

    /// A machine on host `i` that stays off; answers its id.
    pub async fn machine(&self, i: usize, name: &str) -> Result<String> {
        let body = json!({"name": name, "cpus": 1, "memory_mib": 64});
        let made = self.hosts.console(i).post("/api/v1/vms", &body).await?;
        Ok(made["id"].as_str().context("the machine's id")?.to_owned())
    }

    /// `count` machines on host `i` that stay off, all made.
    pub async fn machines(&self, i: usize, count: usize) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for n in 0..count {
            all.push(self.machine(i, &format!("machine-{i}-{n:03}")).await?);
        }
        self.is_idle(i).await?;
        Ok(all)
    }
}

/// How many members of a view vote.
pub fn voters(view: &Value) -> usize {
    let rows = view["members"].as_array().into_iter().flatten();
    rows.filter(|row| row["role"] == "leader" || row["role"] == "voter").count()
}

/// The machine's load averages, to judge figures by.
pub fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}
