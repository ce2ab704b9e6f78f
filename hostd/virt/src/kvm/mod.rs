//! Whether KVM works, found by running a guest on it: a node in `/dev` proves nothing.
//!
//! A broken KVM can hang inside the kernel, so the guest ([`guest`]) runs in a child process (`hostd kvm-probe`, which
//! calls [`kvm_probe_child`]) that is killed when it is late. Before that the processor is asked: without VT-x or
//! AMD-V a `/dev/kvm` comes from a paravirtual module that runs our little guest and hangs real systems.

mod guest;

use hostd_run::{Run, RunError};
use hostd_types::Acceleration;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the child may take; a working KVM needs milliseconds.
const DEADLINE: Duration = Duration::from_secs(3);
/// Longest time the guest may take; hardware needs a few milliseconds, an interpreting KVM seconds.
const SLOWEST: Duration = Duration::from_secs(1);

/// Probes KVM by running `program kvm-probe` (hostd itself).
pub async fn probe_kvm(program: &Path) -> Acceleration {
    if !Path::new("/dev/kvm").exists() {
        return emulation(&format!("there is no /dev/kvm; {}", switched_off()));
    }
    match Run::new(program).arg("kvm-probe").deadline(DEADLINE).output().await {
        Ok(_) => Acceleration::Kvm,
        Err(RunError::Failed { stderr, .. }) if !stderr.is_empty() => emulation(&stderr),
        Err(RunError::Late { .. }) => emulation("/dev/kvm is there, but a guest on it hangs"),
        Err(error) => emulation(&format!("the probe of KVM did not run: {error}")),
    }
}

/// The body of `hostd kvm-probe`: runs the guest and returns the exit code, 0 when KVM works; otherwise the reason is
/// printed on standard error.
pub fn kvm_probe_child() -> i32 {
    let result = match has_extensions(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()) {
        true => run_in_time(),
        false => Err(format!("/dev/kvm is there, but {}", switched_off())),
    };
    match result {
        Ok(()) => 0,
        Err(reason) => {
            eprintln!("{reason}");
            1
        }
    }
}

/// Runs the guest and refuses a KVM that interprets it: that is slower than QEMU's emulation.
fn run_in_time() -> Result<(), String> {
    let begun = Instant::now();
    guest::run()?;
    if begun.elapsed() > SLOWEST {
        return Err("/dev/kvm is there, but a guest on it runs no faster than in emulation".into());
    }
    Ok(())
}

fn switched_off() -> &'static str {
    "the processor offers no VT-x or AMD-V (switched off in its firmware, or this host is itself a virtual machine \
     without nested virtualization)"
}

fn emulation(reason: &str) -> Acceleration {
    Acceleration::Emulation { reason: reason.trim().to_owned() }
}

fn has_extensions(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().filter(|line| line.starts_with("flags"));
    flags.flat_map(str::split_ascii_whitespace).any(|flag| flag == "vmx" || flag == "svm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_extensions_are_found_as_whole_words() {
        assert!(has_extensions("processor : 0\nflags\t\t: fpu vme svm lm\n"));
        assert!(has_extensions("flags : vmx"));
        assert!(!has_extensions("flags : fpu vmx_nested lm\nvmx flags : vnmi\nmodel name : svm vmx"));
    }

    #[tokio::test]
    async fn an_impossible_probe_says_why() {
        let of = |acceleration| match acceleration {
            Acceleration::Emulation { reason } => reason,
            Acceleration::Kvm => "KVM".to_owned(),
        };
        if Path::new("/dev/kvm").exists() {
            assert_eq!(probe_kvm(Path::new("/bin/true")).await, Acceleration::Kvm);
            assert!(of(probe_kvm(Path::new("/nonexistent")).await).contains("did not run"));
        } else {
            assert!(of(probe_kvm(Path::new("/bin/true")).await).contains("no /dev/kvm"));
        }
    }

    #[test]
    fn the_probe_ends_and_a_refusal_has_a_reason() {
        if !Path::new("/dev/kvm").exists() {
            eprintln!("skipped: there is no /dev/kvm");
            return;
        }
        let begun = Instant::now();
        let result = run_in_time();
        eprintln!("the guest on KVM: {result:?} after {:?}", begun.elapsed());
        assert!(result.is_ok() || result.is_err_and(|reason| !reason.is_empty()));
    }
}
