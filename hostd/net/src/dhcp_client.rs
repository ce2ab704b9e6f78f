//! The host's own DHCP client on a card (busybox `udhcpc`, started by the operating system). When its card becomes a
//! port of a bridge, the same command line is run on the bridge, and the other way round.

use crate::desired::LinkName;
use crate::error::NetError;
use crate::process::{Process, base_name};
use hostd_run::Run;
use rustix::process::Signal;
use std::path::PathBuf;
use std::time::Duration;

/// The pid file of the client of `link`, as the operating system's scripts name it.
pub fn pid_file(link: &LinkName) -> PathBuf {
    PathBuf::from(format!("/run/udhcpc.{link}.pid"))
}

/// The client that runs on `link`, if one does.
pub fn running(link: &LinkName) -> Option<Process> {
    Process::by_file(&pid_file(link), |argv| is_client_of(argv, link))
}

fn is_client_of(argv: &[String], link: &LinkName) -> bool {
    let program = argv.iter().take(2).any(|a| base_name(a) == "udhcpc");
    let short = format!("-i{link}");
    let long = format!("--interface={link}");
    program && argv.iter().any(|a| a == link.as_str() || *a == short || *a == long)
}

/// The command line `argv` of the client of `from`, for `to`: other interface and pid file, always in the background.
pub fn moved(argv: &[String], from: &LinkName, to: &LinkName) -> Vec<String> {
    let (old_pid, new_pid) = (format!("udhcpc.{from}.pid"), format!("udhcpc.{to}.pid"));
    let mut moved = Vec::new();
    for arg in argv {
        if arg == from.as_str() {
            moved.push(to.to_string());
        } else if *arg == format!("-i{from}") {
            moved.push(format!("-i{to}"));
        } else if *arg == format!("--interface={from}") {
            moved.push(format!("--interface={to}"));
        } else if let Some(start) = arg.strip_suffix(&old_pid) {
            moved.push(format!("{start}{new_pid}"));
        } else {
            moved.extend(background(arg));
        }
    }
    if !moved.iter().any(|a| a.ends_with(&new_pid)) {
        moved.extend(["-p".into(), pid_file(to).display().to_string()]);
    }
    if !moved.iter().any(|a| a == "-b" || a == "--background") {
        moved.push("-b".into());
    }
    moved
}

/// `arg` without what keeps the client in the foreground or ends it early.
fn background(arg: &str) -> Option<String> {
    if matches!(arg, "--foreground" | "--now" | "--quit") {
        return None;
    }
    let Some(flags) = arg.strip_prefix('-') else { return Some(arg.into()) };
    // Only a group of letters that take no value; anything else is left as it is.
    if flags.is_empty() || !flags.chars().all(|c| "fbnqRSaBCo".contains(c)) {
        return Some(arg.into());
    }
    let kept: String = flags.chars().filter(|c| !"fnq".contains(*c)).collect();
    (!kept.is_empty()).then(|| format!("-{kept}"))
}

/// Ends the client of `link`; fine when none runs.
///
/// # Errors
/// When it does not end.
pub async fn stop(link: &LinkName) -> Result<(), NetError> {
    if let Some(client) = running(link) {
        // Killed, not asked: asked it may give the lease back and take the address from the link. It holds no state,
        // and the next client has the same hardware address and so gets the same lease.
        client.end(Signal::KILL).await?;
    }
    match std::fs::remove_file(pid_file(link)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(NetError::call(format!("removing {}", pid_file(link).display()), &e))
        }
        _ => Ok(()),
    }
}

/// Starts the client `argv`; it returns when it has a lease or has gone to the background without one.
///
/// # Errors
/// When it can't be started.
pub async fn start(argv: &[String]) -> Result<(), NetError> {
    let Some((program, args)) = argv.split_first() else { return Ok(()) };
    let run = Run::new(program).args(args).deadline(Duration::from_secs(60));
    run.output().await.map_err(|e| NetError::call("starting the DHCP client", &e))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_command_line_is_moved_to_the_bridge_and_back() {
        let (eth0, br) = (LinkName::new("eth0").expect("name"), LinkName::new("qx0").expect("name"));
        let cases = [
            (
                "/sbin/udhcpc -b -R -p /var/run/udhcpc.eth0.pid -i eth0 -x hostname:q",
                "/sbin/udhcpc -b -R -p /var/run/udhcpc.qx0.pid -i qx0 -x hostname:q",
            ),
            ("busybox udhcpc -fS -ieth0", "busybox udhcpc -S -iqx0 -p /run/udhcpc.qx0.pid -b"),
            ("udhcpc -n -q --interface=eth0", "udhcpc --interface=qx0 -p /run/udhcpc.qx0.pid -b"),
        ];
        for (from, to) in cases {
            assert_eq!(moved(&words(from), &eth0, &br), words(to));
            assert!(is_client_of(&words(from), &eth0) && !is_client_of(&words(from), &br));
        }
        assert!(!is_client_of(&words("vi eth0"), &eth0));
    }
}
