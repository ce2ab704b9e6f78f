//! A machine made of namespaces: its first process holds them, and when that ends everything inside ends with it.
//!
//! The first process reads a pipe whose other end lives here: when this process goes away, even by SIGKILL, so does the
//! machine. Needs root.

use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, Stdio};

/// What the first process of a mere network does.
const HOLD: &str = "echo ready; cat >/dev/null; exit 0";

/// Running namespaces. Dropping them kills everything inside.
#[derive(Debug)]
pub struct Namespaces {
    first: Child,
    whole: bool,
}

impl Namespaces {
    /// A machine with its own mounts, links, name and processes, whose `/proc` shows its own processes. Its first process
    /// runs the shell `script` with `args`: it sets the machine up, prints `ready`, reads its input to the end, and must
    /// wait for a child meanwhile, as orphans are its to reap.
    ///
    /// # Errors
    /// When a namespace is refused or the script ends before it is ready.
    pub fn machine(script: &str, args: &[&OsStr]) -> Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "--uts", "--ipc", "--propagation", "private", "--mount-proc"]);
        command.args(["sh", "-c", script, "first"]).args(args);
        Self::start(command, true)
    }

    /// A network of its own and nothing else.
    ///
    /// # Errors
    /// When the namespace is refused.
    pub fn network() -> Result<Self> {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", HOLD]);
        Self::start(command, false)
    }

    fn start(mut command: Command, whole: bool) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut first = aside(|| {
            if whole {
                // For the children of this thread alone: the first one is the new namespace's process 1.
                unshare(CloneFlags::CLONE_NEWPID)?;
            }
            Ok(command.spawn()?)
        })
        .context("unshare")?;
        let mut ready = [0_u8; 6];
        let mut out = first.stdout.take().context("the first process's output")?;
        std::io::Read::read_exact(&mut out, &mut ready).context("the first process did not get ready")?;
        Ok(Self { first, whole })
    }

    /// The first process's id, seen from outside.
    pub fn pid(&self) -> u32 {
        self.first.id()
    }

    /// The id, seen from outside, of a process that is called `inner` inside.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn outer_pid(&self, inner: i32) -> Result<i32> {
        let space = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid"));
        let own = space(&self.pid().to_string()).context("the first process is gone")?;
        let named = std::fs::read_dir("/proc")?.flatten().filter_map(|e| e.file_name().into_string().ok());
        let ours = |pid: &String| pid.parse::<i32>().is_ok() && space(pid).is_ok_and(|s| s == own);
        let found = named.filter(ours).find(|pid| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
            ids.split_whitespace().next_back() == Some(&inner.to_string())
        });
        Ok(found.with_context(|| format!("no process {inner} is inside"))?.parse()?)
    }

    /// A command that will run `program` inside. What is spawned is `nsenter`, which waits for the program.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.enter(program.as_ref(), &["--pid"])
    }

    /// Starts `program` inside, after `prepare` gave it its arguments. The child is the program itself, and it must be
    /// waited for before the namespaces can end.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn spawn(&self, program: impl AsRef<OsStr>, prepare: impl FnOnce(&mut Command)) -> Result<Child> {
        let mut command = self.enter(program.as_ref(), &[]);
        prepare(&mut command);
        aside(|| {
            // nsenter would fork to enter it, and its process id would not be the program's.
            let processes = File::open(format!("/proc/{}/ns/pid", self.pid()))?;
            setns(processes, CloneFlags::CLONE_NEWPID)?;
            Ok(command.spawn()?)
        })
        .with_context(|| format!("starting {}", program.as_ref().display()))
    }

    /// Runs `program` with `args` inside and returns its output.
    ///
    /// # Errors
    /// When it can't be started or fails; the message holds what it said.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let output = self.command(program).args(args).output().with_context(|| program.to_owned())?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program} {args:?}: {}: {said}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Feeds `lines` to `program` (`ip -batch -`, `nft -f -`), which works on the network inside.
    ///
    /// # Errors
    /// When it can't be started or refuses; the message holds what it said.
    pub fn feed_network(&self, program: &str, args: &[&str], lines: &str) -> Result<()> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid().to_string(), "--net", "--", program]).args(args);
        feed(command, lines)
    }

    /// Does `work` with the network inside: a socket made there stays in it.
    ///
    /// # Errors
    /// When the network can't be entered or the work fails.
    pub fn in_network<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        aside(|| {
            let network = File::open(format!("/proc/{}/ns/net", self.pid()))?;
            setns(network, CloneFlags::CLONE_NEWNET)?;
            work()
        })
    }

    /// Ends everything inside at once, as a loss of power does.
    ///
    /// # Errors
    /// When the first process is gone already.
    pub fn kill(&self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.pid())?), Signal::SIGKILL).context("killing the first process")
    }

    fn enter(&self, program: &OsStr, more: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid().to_string(), "--net"]);
        if self.whole {
            command.args(["--mount", "--uts", "--ipc"]).args(more);
        }
        command.arg("--").arg(program);
        command
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        drop(self.first.stdin.take());
        let _ = self.first.wait();
    }
}

/// Runs `command` with `lines` as its input.
///
/// # Errors
/// When it can't be started or refuses; the message holds what it said.
pub fn feed(mut command: Command, lines: &str) -> Result<()> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
    child.stdin.take().context("its input")?.write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{lines}{}: {said}", output.status);
    Ok(())
}

/// Runs `work` on a thread of its own: what it changes of itself ends with it.
fn aside<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        scope.spawn(work).join().unwrap_or_else(|_| Err(anyhow::anyhow!("the thread panicked")))
    })
}
