//! kill -9 of the daemon in the middle of its work: afterwards every task ends truthfully and nothing is left over.

use crate::bed::{Bed, PATIENCE, pool_is_consistent};
use anyhow::Result;
use hyper::Method;
use hyper::body::Bytes;
use lab::http::{Http, Target};
use lab::{bootsector, wait};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often the daemon is killed.
const KILLS: u32 = 20;

/// What is under way when the daemon is killed.
#[derive(Debug, Clone, Copy)]
enum Work {
    Upload,
    Create,
    Delete,
}

/// What the rounds do, in turn.
const WORKS: [Work; 5] = [Work::Upload, Work::Create, Work::Delete, Work::Create, Work::Delete];

struct Worker {
    http: Http,
    image: Bytes,
}

impl Worker {
    async fn upload(&mut self, name: &str) -> Result<String> {
        let path = format!("/api/v1/images?name={name}");
        let image = self.http.send_bytes(Method::POST, &path, None, self.image.clone()).await?.json()?;
        Ok(image["id"].as_str().unwrap().to_owned())
    }

    async fn create(&mut self, name: &str, image: &str, start: bool) -> Result<(String, String)> {
        let disks = json!([{"from": "image", "image": image}, {"from": "blank", "size_bytes": 1 << 20}]);
        let vm = json!({"name": name, "cpus": 1, "memory_mib": 16, "disks": disks, "start": start});
        self.begin(Method::POST, "vms", vm).await
    }

    /// Everything that `work` needs beforehand; answers the requests that are then cut.
    async fn prepare(&mut self, work: Work, name: &str) -> Result<Vec<(Method, String, Value)>> {
        let volume = json!({"name": name, "size_bytes": 1 << 20});
        match work {
            Work::Upload => Ok(Vec::new()),
            Work::Create => {
                let image = self.upload(name).await?;
                let disks =
                    json!([{"from": "image", "image": image}, {"from": "blank", "size_bytes": 1 << 20}]);
                let vm = json!({"name": name, "cpus": 1, "memory_mib": 16, "disks": disks, "start": true});
                Ok(vec![(Method::POST, "vms".into(), vm), (Method::POST, "volumes".into(), volume)])
            }
            Work::Delete => {
                let image = self.upload(name).await?;
                let (vm, task) = self.create(name, &image, false).await?;
                self.end_of(&task).await?;
                let (volume, task) = self.begin(Method::POST, "volumes", volume).await?;
                self.end_of(&task).await?;
                let unused = self.upload(&format!("{name}-unused")).await?;
                let paths =
                    [format!("vms/{vm}?disks=true"), format!("volumes/{volume}"), format!("images/{unused}")];
                Ok(paths.map(|path| (Method::DELETE, path, Value::Null)).into())
            }
        }
    }

    /// Goes on until the daemon goes away under it, which is the only error it expects.
    async fn work(mut self, work: Work, name: String, requests: Vec<(Method, String, Value)>) {
        if let Work::Upload = work {
            for part in 0_u32.. {
                if self.upload(&format!("{name}-{part}")).await.is_err() {
                    return;
                }
            }
        }
        for (method, path, body) in requests {
            if self.begin(method, &path, body).await.is_err() {
                return;
            }
        }
    }

    /// Answers the id of what it is about, and the task.
    async fn begin(&mut self, method: Method, path: &str, body: Value) -> Result<(String, String)> {
        let body = Some(body).filter(|b| !b.is_null());
        let answer = self.http.send(method, &format!("/api/v1/{path}"), body.as_ref()).await?;
        assert_eq!(answer.status, 202, "{path}: {}", answer.text());
        let accepted = answer.json()?;
        Ok((accepted["id"].as_str().unwrap().to_owned(), accepted["task"].as_str().unwrap().to_owned()))
    }

    async fn end_of(&mut self, task: &str) -> Result<()> {
        loop {
            let task = self.http.get(&format!("/api/v1/tasks/{task}")).await?;
            if task["state"] != "running" {
                assert_eq!(task["state"], "succeeded", "{task:#}");
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await; // between two looks
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_twenty_points_every_task_ends_and_nothing_is_left_over() {
    let Some(mut bed) = Bed::start().await else { return };
    let given = std::env::var("QUANTIX_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(std::process::id);
    eprintln!("QUANTIX_CRASH_SEED={seed}");
    let mut random = seed;
    for round in 0..KILLS {
        let work = WORKS[round as usize % WORKS.len()];
        let image = bootsector::image("crash", 8 << 20).into();
        let mut worker = Worker { http: Http::new(Target::Unix(bed.host.socket())), image };
        let name = format!("round{round}");
        let requests = worker.prepare(work, &name).await.unwrap();
        let worker = tokio::spawn(worker.work(work, name, requests));
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The point of the kill is what this test varies: it waits for a moment, not for a state.
        tokio::time::sleep(Duration::from_millis(u64::from(random >> 16) % 400)).await;
        bed.crash().await;
        worker.await.unwrap();
        all_tasks_end(&bed, round).await;
        pool_is_consistent(&mut bed).await;
    }
    let counts = count_tasks(&mut bed).await;
    eprintln!("tasks: {counts:?}");
    for action in ["vm.create", "vm.delete", "image.create", "image.delete", "volume.create", "volume.delete"]
    {
        assert!(counts.keys().any(|(a, _)| a == action), "no {action} was ever killed or done: {counts:?}");
    }
    clean_up(&mut bed).await;
    assert!(bed.pool_files("volumes").is_empty(), "{:?}", bed.pool_files("volumes"));
    assert!(bed.pool_files("images").is_empty(), "{:?}", bed.pool_files("images"));
    assert_eq!(bed.host.libvirt.run_inside("virsh", &["-q", "list", "--all"]).unwrap().trim(), "");
}

async fn all_tasks_end(bed: &Bed, round: u32) {
    let socket = bed.host.socket();
    let ended = wait::until("every task to end", PATIENCE, || {
        let mut http = Http::new(Target::Unix(socket.clone()));
        async move {
            let running = http.get("/api/v1/tasks?state=running").await?;
            anyhow::ensure!(running["total"] == 0, "still running: {running:#}");
            Ok(Some(()))
        }
    });
    ended.await.unwrap_or_else(|error| panic!("round {round}: {error:#}\n{}", bed.host.log_tail()));
}

/// How many tasks of each action ended how.
async fn count_tasks(bed: &mut Bed) -> BTreeMap<(String, String), u32> {
    let mut counts = BTreeMap::new();
    for task in bed.get("tasks?limit=500").await["items"].as_array().unwrap() {
        let text = |field: &str| task[field].as_str().unwrap().to_owned();
        *counts.entry((text("action"), text("state"))).or_default() += 1;
        if task["state"] == "failed" {
            assert!(text_of(task).len() > 10, "{task:#}");
        }
    }
    counts
}

fn text_of(task: &Value) -> &str {
    task["problem"]["detail"].as_str().unwrap_or_default()
}

/// What is left can be deleted like anything else.
async fn clean_up(bed: &mut Bed) {
    for (kind, query) in [("vms", "?disks=true"), ("volumes", ""), ("images", "")] {
        let page = bed.get(&format!("{kind}?limit=500")).await;
        let ids: Vec<Value> = page["items"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
        for id in ids {
            if kind == "vms" {
                // Off already, or not: it must be off to be deleted.
                let off = format!("vms/{}/power", id.as_str().unwrap());
                let answer = bed.post(&off, json!({"action": "force_off"})).await;
                if answer.status == 202 {
                    bed.ended(&answer).await;
                }
            }
            let answer = bed.delete(&format!("{kind}/{}{query}", id.as_str().unwrap())).await;
            bed.done(&answer).await;
        }
    }
}
