//! A host for one test, and the words tests speak to it in.

use crate::admin::Admin;
pub use crate::admin::PATIENCE;
use futures_util::{Stream, StreamExt};
use hyper::Method;
use lab::host::Host;
use lab::http::{Answer, Http, Target};
use serde_json::Value;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The library that shifts a program's clock.
pub const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

pub struct Bed {
    pub host: Host,
    admin: Admin,
    dir: TempDir,
}

impl Deref for Bed {
    type Target = Admin;
    fn deref(&self) -> &Admin {
        &self.admin
    }
}

impl DerefMut for Bed {
    fn deref_mut(&mut self) -> &mut Admin {
        &mut self.admin
    }
}

impl Bed {
    /// A fresh host, or `None` where none can be made.
    pub async fn start() -> Option<Self> {
        if let Some(why) = Host::missing() {
            eprintln!("skipped: {why}");
            return None;
        }
        let dir = scratch();
        Some(Self::started(&program(), dir).await)
    }

    /// A fresh host whose clock is off by so much (`-1d`), or `None` where none can be made.
    pub async fn start_at(offset: &str) -> Option<Self> {
        let dir = scratch();
        let missing = Host::missing()
            .or_else(|| (!Path::new(FAKETIME).exists()).then(|| format!("{FAKETIME} is not installed")));
        if let Some(why) = missing {
            eprintln!("skipped: {why}");
            return None;
        }
        let program = program_at(dir.path(), offset);
        Some(Self::started(&program, dir).await)
    }

    async fn started(program: &Path, dir: TempDir) -> Self {
        let host = Host::start(program, dir.path()).await.unwrap();
        let admin = Admin::of(&host);
        Self { host, admin, dir }
    }

    /// Crashes the daemon and starts it again with a clock that is off by so much, or with the right one.
    pub async fn crash_into(&mut self, offset: Option<&str>) {
        let next = offset.map_or_else(program, |offset| program_at(self.scratch(), offset));
        self.host.run_as(&next);
        self.crash().await;
    }

    pub fn state(&self) -> PathBuf {
        self.host.state()
    }

    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// Kills the daemon as a crash would and starts it again.
    pub async fn crash(&mut self) {
        self.host.restart().await.unwrap();
        self.admin = Admin::of(&self.host);
    }

    /// Stops the daemon as the init system does.
    pub async fn stop(&mut self) {
        self.host.terminate().await.unwrap();
    }

    /// A client over TLS that is nobody yet.
    pub fn network(&self) -> Http {
        Http::new(Target::Tls(self.host.address()))
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

/// A directory whose path is short, as socket paths are limited.
pub fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("qx").tempdir_in("/tmp").unwrap()
}

/// The program under test with a clock that is off by so much, such as `-1d`; it is written into `dir`.
fn program_at(dir: &Path, offset: &str) -> PathBuf {
    let wrapper = dir.join(format!("at{offset}"));
    let script = format!(
        "#!/bin/sh\nexec env LD_PRELOAD={FAKETIME} FAKETIME={offset} {} \"$@\"\n",
        program().display()
    );
    std::fs::write(&wrapper, script).unwrap();
    std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    wrapper
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
