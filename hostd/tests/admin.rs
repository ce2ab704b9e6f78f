//! The administrator of one host: the words tests speak to its API as root.

use anyhow::{Context, Result};
use hyper::Method;
use lab::bootsector;
use lab::host::{Host, log_tail};
use lab::http::{Answer, Http, Target};
use lab::wait;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// How long a task may take here; emulation on a loaded machine is slow.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub struct Admin {
    pub console: Http,
    socket: PathBuf,
    log: PathBuf,
}

impl Admin {
    pub fn of(host: &Host) -> Self {
        Self { console: host.console(), socket: host.socket(), log: host.log() }
    }

    pub async fn get(&mut self, path: &str) -> Value {
        self.console.get(&format!("/api/v1/{path}")).await.unwrap()
    }

    pub async fn ask(&mut self, method: Method, path: &str, body: Value) -> Answer {
        let body = Some(body).filter(|b| !b.is_null());
        self.console.send(method, &format!("/api/v1/{path}"), body.as_ref()).await.unwrap()
    }

    pub async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, body).await
    }

    pub async fn delete(&mut self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, Value::Null).await
    }

    /// Waits for the task of an accepted request to end; answers the task.
    pub async fn ended(&mut self, answer: &Answer) -> Value {
        assert_eq!(answer.status, 202, "{}", answer.text());
        let accepted = answer.json().unwrap();
        let task = accepted["task"].as_str().unwrap().to_owned();
        assert_eq!(answer.headers["location"], format!("/api/v1/tasks/{task}"));
        self.task_ended(&task).await
    }

    pub async fn task_ended(&mut self, task: &str) -> Value {
        let (path, socket) = (format!("/api/v1/tasks/{task}"), self.socket.clone());
        let what = format!("the end of task {task}");
        let ended = wait::until(&what, PATIENCE, || {
            let (path, mut http) = (path.clone(), Http::new(Target::Unix(socket.clone())));
            async move {
                let task = http.get(&path).await?;
                Ok((task["state"] != "running").then_some(task))
            }
        });
        ended.await.unwrap_or_else(|error| panic!("{error:#}\n{}", log_tail(&self.log)))
    }

    /// Waits for the task to succeed; answers the id of what it was about.
    pub async fn done(&mut self, answer: &Answer) -> String {
        let task = self.ended(answer).await;
        assert_eq!(task["state"], "succeeded", "{task:#}");
        answer.json().unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// A machine made of `extra` over the least that is needed.
    pub async fn create_vm(&mut self, name: &str, extra: Value) -> String {
        let mut body = json!({"name": name, "cpus": 1, "memory_mib": 32});
        body.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap_or_default());
        let answer = self.post("vms", body).await;
        self.done(&answer).await
    }

    pub async fn power(&mut self, vm: &str, action: &str) -> Value {
        let answer = self.post(&format!("vms/{vm}/power"), json!({"action": action, "deadline_s": 5})).await;
        self.ended(&answer).await
    }

    /// Waits until the machine is in `state`.
    pub async fn vm_is(&mut self, vm: &str, state: &str) {
        let (path, socket) = (format!("/api/v1/vms/{vm}"), self.socket.clone());
        let what = format!("machine {vm} {state}");
        let seen = wait::until(&what, PATIENCE, || {
            let (path, mut http) = (path.clone(), Http::new(Target::Unix(socket.clone())));
            async move {
                let now = http.get(&path).await?;
                Ok((now["vm"]["status"]["state"] == state).then_some(()))
            }
        });
        seen.await.unwrap_or_else(|error| panic!("{error:#}\n{}", log_tail(&self.log)));
    }

    pub async fn upload(&mut self, name: &str, content: Vec<u8>) -> Answer {
        let path = format!("/api/v1/images?name={name}");
        let kind = Some("application/octet-stream");
        self.console.send_bytes(Method::POST, &path, kind, content.into()).await.unwrap()
    }

    /// An image of a disk that prints `line` on the serial port when booted; answers its id.
    pub async fn boot_image(&mut self, name: &str, line: &str) -> String {
        let answer = self.upload(name, bootsector::image(line, 1 << 20)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json().unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Name and generated password of the administrator, as the local console shows them.
    pub async fn credentials(&self) -> Value {
        let mut http = Http::new(Target::Unix(self.socket.clone()));
        http.get("/api/v1/banner").await.unwrap()["administrator"].clone()
    }

    /// What a list of the API holds.
    pub async fn list(&mut self, path: &str) -> Vec<Value> {
        let page = self.get(path).await;
        let rows = page.as_array().or(page["items"].as_array());
        rows.unwrap_or_else(|| panic!("no list: {page:#}")).clone()
    }

    /// The names of what a list holds, sorted.
    pub async fn names(&mut self, path: &str) -> Vec<String> {
        let rows = self.list(path).await;
        let mut names: Vec<String> =
            rows.iter().map(|row| row["spec"]["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// Waits until a list of the API holds a row as wanted; answers it.
    pub async fn finds(&self, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let (path, wanted) = (format!("/api/v1/{path}"), &wanted);
        let found = wait::until(what, PATIENCE, || {
            let (path, mut http) = (path.clone(), Http::new(Target::Unix(self.socket.clone())));
            async move {
                let page = http.get(&path).await?;
                let rows = page["items"].as_array().context("no list")?;
                Ok(rows.iter().find(|row| wanted(row)).cloned())
            }
        });
        found.await.unwrap_or_else(|error| panic!("{error:#}\n{}", log_tail(&self.log)))
    }

    /// What the cluster looks like from this host.
    ///
    /// # Errors
    /// When the daemon does not answer within 10 s: a page must never hang, whoever else is gone.
    pub async fn view(&self) -> Result<Value> {
        let mut http = Http::new(Target::Unix(self.socket.clone()));
        tokio::time::timeout(Duration::from_secs(10), http.get("/api/v1/cluster"))
            .await
            .context("it hangs")?
    }

    /// Waits until the cluster, seen from this host, is as wanted; answers the view.
    pub async fn sees(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let wanted = &wanted;
        let seen = wait::until(what, PATIENCE, || async move {
            let view = self.view().await?;
            anyhow::ensure!(wanted(&view), "{view:#}");
            Ok(Some(view))
        });
        seen.await.unwrap_or_else(|error| panic!("{error:#}\n{}", log_tail(&self.log)))
    }
}
