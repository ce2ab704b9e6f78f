//! What the daemon and the watchdog's process tell each other. That process (`hostd watchdog`) holds the machine's
//! watchdog device, which resets the machine when nobody pets it: so machines that must not outlive their host's lease end
//! even when the daemon can't end them. It outlives restarts of the daemon; this module is all the two have in common.

use crate::Core;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UnixDatagram;
use utoipa::ToSchema;

/// How long the process may take to answer.
const ANSWER: Duration = Duration::from_secs(1);
/// Most bytes of a message.
pub const MESSAGE_MAX: usize = 64 << 10;

/// The machine's watchdog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Watchdog {
    /// A device of the machine: it works even when the kernel does not.
    Hardware {
        /// What it calls itself.
        identity: String,
        /// Seconds without petting after which it resets the machine.
        timeout_s: u32,
    },
    /// The kernel's own timer: it does not work when the kernel hangs hard.
    Software {
        /// Seconds without petting after which it resets the machine.
        timeout_s: u32,
    },
    /// There is none.
    None {
        /// Why.
        why: String,
    },
}

impl Default for Watchdog {
    fn default() -> Self {
        Self::None { why: "it was not asked for yet".into() }
    }
}

/// What the daemon tells the watchdog's process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Processes of machines that must not outlive the lease.
    pub guarded: Vec<Guarded>,
    /// When the lease ends, by the clock that counts since the machine was started, suspended or not.
    pub until: Duration,
}

/// A process; the two numbers together mean no other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarded {
    /// Its number.
    pub pid: u32,
    /// When it began, in the kernel's ticks (field 22 of `/proc/PID/stat`).
    pub began: u64,
}

impl Told {
    /// Whether the device may be petted at `now`: the lease is valid, or nothing that needs it runs.
    pub fn lets_live(&self, now: Duration, runs: impl Fn(Guarded) -> bool) -> bool {
        now < self.until || !self.guarded.iter().any(|process| runs(*process))
    }
}

/// The socket of the watchdog's process.
pub fn socket(run_dir: &Path) -> PathBuf {
    run_dir.join("watchdog.sock")
}

/// What is known of the watchdog.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Watchdog>);

impl Known {
    /// As it was when last asked.
    pub fn now(&self) -> Watchdog {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Core {
    /// Tells the watchdog's process how long the lease lasts, and learns what it holds. No machine needs a lease, so there
    /// is none to guard.
    pub(crate) async fn tell_watchdog(&self) {
        let until = self.0.cluster.lease().map_or(Duration::ZERO, |lease| lease.until);
        let told = Told { guarded: Vec::new(), until };
        let now = ask(&self.settings().run_dir, &told).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the watchdog's process does not answer");
            Watchdog::None { why: "its process does not run".into() }
        });
        let mut known = self.0.watchdog.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != now {
            tracing::info!(watchdog = ?now, "the watchdog");
            *known = now;
        }
    }
}

async fn ask(run_dir: &Path, told: &Told) -> std::io::Result<Watchdog> {
    let own = run_dir.join("watchdog-daemon.sock");
    match std::fs::remove_file(&own) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let socket = UnixDatagram::bind(&own)?;
    let asked = async {
        socket.send_to(&serde_json::to_vec(told)?, self::socket(run_dir)).await?;
        let mut answer = vec![0; MESSAGE_MAX];
        let length = socket.recv(&mut answer).await?;
        Ok(serde_json::from_slice(&answer[..length])?)
    };
    let answer = tokio::time::timeout(ANSWER, asked).await;
    // A socket that stays is removed before the next question.
    let _ = std::fs::remove_file(&own);
    answer.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn it_is_petted_while_the_lease_is_valid_or_nothing_needs_it() {
        let process = Guarded { pid: 7, began: 9 };
        let told = Told { guarded: vec![process], until: S(100) };
        assert!(told.lets_live(S(99), |_| true));
        assert!(!told.lets_live(S(100), |_| true), "the lease has ended and it runs");
        assert!(told.lets_live(S(100), |_| false), "it has ended, too");
        assert!(!told.lets_live(S(100), |asked| asked == process));
        assert!(Told::default().lets_live(S(100), |_| true), "nothing needs a lease");
    }
}
