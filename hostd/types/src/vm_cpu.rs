//! The virtual processor and the virtual mainboard of a machine.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a guest sees of the processor it runs on. Under emulation there is no host's processor to see: the guest gets one
/// that QEMU makes up, whatever the mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CpuMode {
    /// Quantix Flexible: the named model nearest to the host's processor (libvirt's `host-model`). A guest may go on with
    /// it on another host, and from a snapshot of its memory.
    #[default]
    Flexible,
    /// Quantix Performance: the host's processor as it is (libvirt's `host-passthrough`), with every feature and with
    /// virtualization inside the guest. A guest is bound to the host it started on.
    Performance,
}

impl CpuMode {
    /// Every mode.
    pub const ALL: [CpuMode; 2] = [CpuMode::Flexible, CpuMode::Performance];

    /// The word for it in the API and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            CpuMode::Flexible => "flexible",
            CpuMode::Performance => "performance",
        }
    }

    /// It is the default, which is left out of rows.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How a machine's CPUs are arranged. Its cores follow from the number of CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CpuTopology {
    /// Sockets.
    #[schema(minimum = 1)]
    pub sockets: u32,
    /// Threads of each core.
    #[schema(minimum = 1)]
    pub threads: u32,
}

impl Default for CpuTopology {
    /// One socket, one thread a core.
    fn default() -> Self {
        Self { sockets: 1, threads: 1 }
    }
}

impl CpuTopology {
    /// Cores of each socket, so that there are `cpus` CPUs in all; nothing when they can't be arranged like this.
    pub fn cores(self, cpus: u32) -> Option<u32> {
        let each = self.sockets.checked_mul(self.threads).filter(|each| *each > 0)?;
        (cpus > 0 && cpus.is_multiple_of(each)).then_some(cpus / each)
    }

    /// It is the default, which is left out of rows.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A number to compare q35 machine types by, newest last; nothing for anything else: `pc-q35-10.0` is `(10, 0)`.
pub fn q35_version(machine: &str) -> Option<(u32, u32)> {
    let (major, minor) = machine.strip_prefix("pc-q35-")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_follow_from_the_number_of_cpus() {
        let of = |sockets, threads, cpus| CpuTopology { sockets, threads }.cores(cpus);
        assert_eq!((of(1, 1, 6), of(2, 1, 6), of(1, 2, 6)), (Some(6), Some(3), Some(3)));
        assert_eq!((of(4, 1, 6), of(0, 1, 6), of(1, 0, 6), of(1, 1, 0)), (None, None, None, None));
        assert_eq!(of(u32::MAX, u32::MAX, 4), None);
    }

    #[test]
    fn machine_types_are_compared_by_their_numbers() {
        assert!(q35_version("pc-q35-10.0") > q35_version("pc-q35-9.2"));
        for other in ["q35", "pc-i440fx-9.2", "pc-q35-rhel9.6.0", "pc-q35-", "pc-q35-9", "pc-q35-a.b"] {
            assert_eq!(q35_version(other), None, "{other}");
        }
    }
}
