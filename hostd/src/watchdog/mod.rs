//! `hostd watchdog`: holds the machine's watchdog device while the daemon comes and goes.

mod device;

use anyhow::{Context, Result};
use device::Device;
use hostd_core::watchdog::{Guarded, MESSAGE_MAX, Told, Watchdog, socket};
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::signal::unix::{SignalKind, signal};

/// Time between two pettings.
const PET: Duration = Duration::from_secs(2);

/// Runs until SIGTERM, then disarms the device.
///
/// # Errors
/// The socket can't be made; a missing device is no error, whoever asks is told.
pub async fn run(run_dir: &Path) -> Result<()> {
    fs::create_dir_all(run_dir).context("making the run directory")?;
    go_first();
    let listener = bind(&socket(run_dir))?;
    let kept = run_dir.join("watchdog.told");
    let mut told = read(&kept);
    let mut stop = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    let (mut device, state) = match Device::open() {
        Ok(device) => {
            let state = device.state();
            (Some(device), state)
        }
        Err(why) => (None, Watchdog::None { why }),
    };
    tracing::info!(?state, "the watchdog");
    let answer = serde_json::to_vec(&state).context("writing the answer")?;
    let (mut tick, mut message) = (tokio::time::interval(PET), vec![0; MESSAGE_MAX]);
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            _ = tick.tick() => pet(device.as_mut(), &told),
            received = listener.recv_from(&mut message) => {
                let (length, from) = received.context("listening to the daemon")?;
                match serde_json::from_slice::<Told>(&message[..length]) {
                    Ok(news) => keep(&kept, &mut told, news),
                    Err(error) => tracing::warn!(%error, "a message of the daemon can't be read"),
                }
                if let Some(path) = from.as_pathname() {
                    // A daemon that went away needs no answer.
                    let _ = listener.try_send_to(&answer, path);
                }
            }
        }
    }
    if let Some(device) = device {
        device.disarm().context("disarming the watchdog")?;
        tracing::info!("the watchdog is disarmed");
    }
    Ok(())
}

fn pet(device: Option<&mut Device>, told: &Told) {
    let Some(device) = device else { return };
    if !told.lets_live(now(), runs) {
        tracing::error!(
            "the lease has ended and machines that need it still run: the machine is about to be reset"
        );
        return;
    }
    if let Err(error) = device.pet() {
        tracing::error!(%error, "the watchdog can't be petted");
    }
}

/// Keeps what is guarded over a restart of this process; how long the lease lasts is told again within seconds.
fn keep(path: &Path, told: &mut Told, news: Told) {
    let changed = told.guarded != news.guarded;
    *told = news;
    if !changed {
        return;
    }
    let part = path.with_extension("part");
    let written = serde_json::to_vec(told).map_err(Into::into).and_then(|bytes| fs::write(&part, bytes));
    if let Err(error) = written.and_then(|()| fs::rename(&part, path)) {
        tracing::warn!(%error, "what is guarded can't be kept");
    }
}

/// What an earlier run of this process was told; nothing at a boot.
fn read(path: &Path) -> Told {
    match fs::read(path).map(|bytes| serde_json::from_slice(&bytes)) {
        Ok(Ok(told)) => told,
        Ok(Err(error)) => {
            tracing::warn!(%error, "what was guarded can't be read");
            Told::default()
        }
        Err(_) => Told::default(),
    }
}

/// The clock since boot.
fn now() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map_or(Duration::MAX, Duration::from)
}

/// The process is there, and is the one that was meant.
fn runs(process: Guarded) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap_or_default();
    // The name, in parentheses, may hold anything; what follows is numbers, the begin being the twentieth.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    after.split_whitespace().nth(19).and_then(|began| began.parse().ok()) == Some(process.began)
}

fn bind(path: &Path) -> Result<UnixDatagram> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing {}", path.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let listener = UnixDatagram::bind(path).with_context(|| format!("making {}", path.display()))?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).context("closing the socket to others")?;
    Ok(listener)
}

/// Without this process the machine is reset, so it is the last to go when memory is short, waits for no disk to be loaded
/// again, and runs before whatever else is busy.
fn go_first() {
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameter lives through the call, which changes only when this process runs.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &first) } != 0 {
        tracing::debug!("the watchdog's process waits its turn like all others");
    }
    // SAFETY: which pages stay in memory changes nothing of what is in them.
    if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) } != 0 {
        tracing::debug!("the watchdog's process can't stay in memory");
    }
    if let Err(error) = fs::write("/proc/self/oom_score_adj", "-1000") {
        tracing::debug!(%error, "the watchdog's process is not spared when memory is short");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Guarded {
        let stat = fs::read_to_string("/proc/self/stat").expect("procfs");
        let began = stat.rsplit_once(')').expect("a name").1.split_whitespace().nth(19).expect("a begin");
        Guarded { pid: std::process::id(), began: began.parse().expect("a number") }
    }

    #[test]
    fn a_process_is_told_from_a_later_one_of_its_number() {
        assert!(runs(own()));
        assert!(!runs(Guarded { began: own().began + 1, ..own() }));
        assert!(!runs(Guarded { pid: u32::MAX, ..own() }));
    }

    #[tokio::test]
    async fn the_daemon_learns_what_there_is_and_what_is_guarded_is_kept() {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let run_dir = dir.path().to_owned();
        let serving = tokio::spawn(async move { run(&run_dir).await });
        let own_path = dir.path().join("daemon.sock");
        let daemon = UnixDatagram::bind(&own_path).expect("a socket");
        let told = Told { guarded: vec![own()], until: Duration::ZERO };
        let message = serde_json::to_vec(&told).expect("a message");
        while daemon.send_to(&message, socket(dir.path())).await.is_err() {
            tokio::task::yield_now().await;
        }
        let mut answer = vec![0; MESSAGE_MAX];
        let length = daemon.recv(&mut answer).await.expect("an answer");
        let state: Watchdog = serde_json::from_slice(&answer[..length]).expect("what there is");
        if !Path::new("/dev/watchdog0").exists() {
            assert!(matches!(&state, Watchdog::None { why } if !why.is_empty()), "{state:?}");
        }
        assert_eq!(read(&dir.path().join("watchdog.told")), told);
        serving.abort();
    }
}
