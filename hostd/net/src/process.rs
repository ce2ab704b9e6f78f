//! Processes that outlive us: found by pid file and command line, held by a handle that can't mean another process.

use crate::error::NetError;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// A running process.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    handle: OwnedFd,
    /// Its command line.
    pub argv: Vec<String>,
}

impl Process {
    /// Process `pid` if it runs and its command line is `wanted`.
    pub fn open(pid: i32, wanted: impl Fn(&[String]) -> bool) -> Option<Self> {
        let pid = Pid::from_raw(pid)?;
        // The handle first: what /proc says afterwards is then about the process the handle means, or it has ended.
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let argv = argv(pid.as_raw_nonzero().get())?;
        wanted(&argv).then_some(Self { pid, handle, argv })
    }

    /// The process a pid file names, if it runs and its command line is `wanted`.
    pub fn by_file(path: &Path, wanted: impl Fn(&[String]) -> bool) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        Self::open(text.trim().parse().ok()?, wanted)
    }

    /// Any process whose command line is `wanted`: for when the pid file was lost.
    pub fn search(wanted: impl Fn(&[String]) -> bool) -> Option<Self> {
        let entries = std::fs::read_dir("/proc").ok()?;
        let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
        pids.into_iter().find_map(|pid: i32| Self::open(pid, &wanted))
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Ends it by `signal` and, when it has not ended after 5 s, by force.
    ///
    /// # Errors
    /// When it can't be signalled or does not end at all.
    pub async fn end(self, signal: Signal) -> Result<(), NetError> {
        let name = format!("ending {} (process {})", self.argv[0], self.pid());
        let pid = self.pid();
        // SAFETY: the descriptor is owned by the `AsyncFd` from here to its end, so it stays open and the same.
        let watch = unsafe { AsyncFd::register(self.handle) }.map_err(|e| NetError::call(&name, &e))?;
        for signal in [signal, Signal::KILL] {
            match pidfd_send_signal(watch.get_ref(), signal) {
                Ok(()) => {}
                Err(rustix::io::Errno::SRCH) => return Ok(()),
                Err(e) => return Err(NetError::call(&name, &e)),
            }
            // A process handle is readable once the process has ended.
            if tokio::time::timeout(Duration::from_secs(5), watch.readable()).await.is_ok() {
                return Ok(());
            }
        }
        Err(NetError::Late { what: format!("the end of process {pid}"), seconds: 10 })
    }
}

/// The command line of a process; none when it is gone or has ended and only waits for its parent.
fn argv(pid: i32) -> Option<Vec<String>> {
    let raw = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&raw);
    let argv: Vec<String> = text.trim_end_matches('\0').split('\0').map(str::to_owned).collect();
    (!raw.is_empty()).then_some(argv)
}

/// The file name of a program given by path or name.
pub fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}
