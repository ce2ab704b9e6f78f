//! A host for one test, and the words tests speak to it in.

use futures_util::{Stream, StreamExt};
use hyper::Method;
use lab::bootsector;
use lab::host::Host;
use lab::http::{Answer, Http, Target};
use lab::wait;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// How long a task may take here; emulation on a loaded machine is slow.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub struct Bed {
    pub host: Host,
    pub console: Http,
    dir: TempDir,
}

impl Bed {
    /// A fresh host, or `None` where none can be made.
    pub async fn start() -> Option<Self> {
        if let Some(why) = Host::missing() {
            eprintln!("skipped: {why}");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("qx").tempdir_in("/tmp").unwrap();
        let host = Host::start(&program(), dir.path()).await.unwrap();
        let console = host.console();
        Some(Self { host, console, dir })
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// Kills the daemon as a crash would and starts it again.
    pub async fn crash(&mut self) {
        self.host.restart().await.unwrap();
        self.console = self.host.console();
    }

    /// Stops the daemon as the init system does.
    pub async fn stop(&mut self) {
        self.host.terminate().await.unwrap();
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
        let (path, socket) = (format!("/api/v1/tasks/{task}"), self.host.socket());
        let what = format!("the end of task {task}");
        let ended = wait::until(&what, PATIENCE, || {
            let (path, mut http) = (path.clone(), Http::new(Target::Unix(socket.clone())));
            async move {
                let task = http.get(&path).await?;
                Ok((task["state"] != "running").then_some(task))
            }
        });
        ended.await.unwrap_or_else(|error| panic!("{error:#}\n{}", self.host.log_tail()))
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
        let (path, socket) = (format!("/api/v1/vms/{vm}"), self.host.socket());
        let what = format!("machine {vm} {state}");
        let seen = wait::until(&what, PATIENCE, || {
            let (path, mut http) = (path.clone(), Http::new(Target::Unix(socket.clone())));
            async move {
                let now = http.get(&path).await?;
                Ok((now["vm"]["status"]["state"] == state).then_some(()))
            }
        });
        seen.await.unwrap_or_else(|error| panic!("{error:#}\n{}", self.host.log_tail()));
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

    /// A client over TLS that is nobody yet.
    pub fn network(&self) -> Http {
        Http::new(Target::Tls(self.host.address()))
    }

    /// Name and generated password of the administrator, as the local console shows them.
    pub async fn credentials(&self) -> Value {
        self.host.console().get("/api/v1/banner").await.unwrap()["administrator"].clone()
    }

    /// A client over TLS, logged in as the administrator, as a browser would be.
    pub async fn browser(&self) -> Http {
        self.log_in().await.0
    }

    /// The same, with its session cookie.
    pub async fn log_in(&self) -> (Http, String) {
        let mut http = self.network();
        let credentials = self.credentials().await;
        let answer = http.send(Method::POST, "/api/v1/session", Some(&credentials)).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let cookie = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let csrf = answer.json().unwrap()["csrf"].as_str().unwrap().to_owned();
        http.fields = vec![("origin", self.host.url()), ("x-csrf-token", csrf)];
        (http, cookie)
    }

    /// Runs `qx` inside the host.
    pub fn qx(&self, args: &[&str]) -> Output {
        self.qx_command(args).output().unwrap()
    }

    /// The same, not started yet.
    pub fn qx_command(&self, args: &[&str]) -> Command {
        let link = self.scratch().join("qx");
        if !link.exists() {
            std::os::unix::fs::symlink(program(), &link).unwrap();
        }
        let mut command = self.host.libvirt.command_inside(&link);
        command.args(args);
        command
    }

    /// Files of the pool's folder, by name.
    pub fn pool_files(&self, folder: &str) -> Vec<String> {
        files(&self.host.pool().join(folder))
    }
}

/// The program under test.
pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_hostd"))
}

pub fn hostd(args: &[&str]) -> String {
    let output = Command::new(program()).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Names in a directory; none if it is not there.
pub fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Checks the shape of a refusal and answers it.
pub fn refused(answer: &Answer, status: u16, slug: &str) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let problem = answer.json().unwrap();
    assert_eq!(problem["type"], format!("/help/problems#{slug}"), "{problem:#}");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["instance"], answer.headers["x-request-id"].to_str().unwrap());
    assert!(problem["detail"].as_str().unwrap().len() > 10, "{problem:#}");
    problem
}

/// The pointers of a refusal's wrong fields.
pub fn pointers(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().into_iter().flatten().map(|e| e["pointer"].as_str().unwrap()).collect()
}

/// Rows, files and domains agree: every finished row has its file, every file and every domain has its row.
pub async fn pool_is_consistent(bed: &mut Bed) {
    for (kind, folder) in [("volumes", "volumes"), ("images", "images")] {
        let page = bed.get(&format!("{kind}?limit=500")).await;
        let mut wanted: Vec<String> = Vec::new();
        for row in page["items"].as_array().unwrap() {
            assert_eq!(row["status"]["phase"], "ready", "half a {kind} row: {row:#}");
            let format = row["spec"]["format"].as_str().unwrap_or("img");
            wanted.push(format!("{}.{format}", row["id"].as_str().unwrap()));
        }
        wanted.sort();
        assert_eq!(bed.pool_files(folder), wanted, "files of {folder}\n{}", bed.host.log_tail());
    }
    let page = bed.get("vms?limit=500").await;
    let mut wanted: Vec<&str> =
        page["items"].as_array().unwrap().iter().map(|v| v["id"].as_str().unwrap()).collect();
    wanted.sort();
    let domains = bed.host.libvirt.run_inside("virsh", &["-q", "list", "--all", "--uuid"]).unwrap();
    let mut domains: Vec<&str> = domains.split_whitespace().collect();
    domains.sort();
    for domain in &domains {
        assert!(wanted.contains(domain), "the domain {domain} has no row\n{}", bed.host.log_tail());
    }
    assert!(page["items"].as_array().unwrap().iter().all(|v| v["status"]["phase"] == "ready"), "{page:#}");
}

/// Uploads chunks without saying how many there will be; answers the beginning of the response.
pub async fn upload_chunked(socket: &Path, name: &str, chunks: impl Stream<Item = Vec<u8>>) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let head = format!(
        "POST /api/v1/images?name={name} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut chunks = std::pin::pin!(chunks);
    while let Some(chunk) = chunks.next().await {
        let framed = [format!("{:x}\r\n", chunk.len()).as_bytes(), &chunk, b"\r\n"].concat();
        if stream.write_all(&framed).await.is_err() {
            break; // the daemon answered already
        }
    }
    // It may have closed its side; what it said is still there to read.
    let _ = stream.write_all(b"0\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
