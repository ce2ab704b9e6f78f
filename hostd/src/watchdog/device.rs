//! A watchdog device of the kernel: once open it resets the machine unless it is written to in time.

use hostd_core::watchdog::Watchdog;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

/// Seconds without petting after which the machine is reset; what leases count on.
const TIMEOUT_S: libc::c_int = 10;
/// What the kernel's own timer calls itself.
const SOFTWARE: &str = "Software Watchdog";

nix::ioctl_readwrite!(
    /// Sets the time until a reset, and tells what the device made of it (`WDIOC_SETTIMEOUT`).
    set_timeout,
    b'W',
    6,
    libc::c_int
);

/// An armed device.
pub struct Device {
    file: File,
    state: Watchdog,
}

impl Device {
    /// Arms the best device there is: one of the machine before the kernel's own.
    ///
    /// # Errors
    /// Why there is none to be had, for people.
    pub fn open() -> Result<Self, String> {
        let mut there: Vec<(bool, String, String)> = fs::read_dir("/sys/class/watchdog")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| {
                let identity = fs::read_to_string(entry.path().join("identity")).unwrap_or_default();
                let identity = identity.trim().to_owned();
                (identity == SOFTWARE, entry.file_name().to_string_lossy().into_owned(), identity)
            })
            .collect();
        there.sort();
        let mut reasons = Vec::new();
        for (software, name, identity) in there {
            match arm(&Path::new("/dev").join(&name), software, &identity) {
                Ok(device) => return Ok(device),
                Err(why) => reasons.push(format!("{identity} ({name}) {why}")),
            }
        }
        Err(if reasons.is_empty() { "the machine has none".into() } else { reasons.join("; ") })
    }

    /// What it is.
    pub fn state(&self) -> Watchdog {
        self.state.clone()
    }

    /// Puts the reset off.
    ///
    /// # Errors
    /// The device does not take it.
    pub fn pet(&mut self) -> std::io::Result<()> {
        self.file.write_all(b"\0")
    }

    /// Stops it, so that the machine may go on without this process.
    ///
    /// # Errors
    /// The device does not take it; the machine is reset then.
    pub fn disarm(mut self) -> std::io::Result<()> {
        // A device that is closed without this goes on.
        self.file.write_all(b"V")
    }
}

fn arm(path: &Path, software: bool, identity: &str) -> Result<Device, String> {
    let file = OpenOptions::new().write(true).open(path).map_err(|error| match error.kind() {
        ErrorKind::ResourceBusy => "is held by another program".to_owned(),
        _ => format!("can't be opened: {error}"),
    })?;
    let mut timeout = TIMEOUT_S;
    // SAFETY: the descriptor is open for as long as `file` lives, and the kernel writes one int to `timeout`.
    let set = unsafe { set_timeout(file.as_raw_fd(), &mut timeout) };
    let timeout_s = u32::try_from(timeout).unwrap_or(u32::MAX);
    let state = match software {
        true => Watchdog::Software { timeout_s },
        false => Watchdog::Hardware { identity: identity.to_owned(), timeout_s },
    };
    let device = Device { file, state };
    let unfit = match set {
        Ok(_) if timeout <= TIMEOUT_S => return Ok(device),
        Ok(_) => format!("resets the machine after {timeout} s at the earliest"),
        Err(error) => format!("takes no time to reset the machine after: {error}"),
    };
    // One that can't be disarmed resets the machine; petting it for ever would hide that it is of no use.
    device.disarm().map_err(|error| format!("{unfit}, and can't be disarmed: {error}"))?;
    Err(unfit)
}
