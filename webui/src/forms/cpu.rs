//! The part of a machine's forms that is about its processor.

use crate::fields::{Fields, Reading};
use hostd_types::*;

/// Mode and arrangement of the CPUs, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CpuForm {
    /// `flexible` or `performance`.
    pub(crate) mode: String,
    pub(crate) sockets: String,
    pub(crate) threads: String,
}

impl CpuForm {
    /// Filled from what is there.
    pub(crate) fn of(mode: CpuMode, topology: CpuTopology) -> Self {
        let CpuTopology { sockets, threads } = topology;
        Self { mode: mode.as_str().into(), sockets: sockets.to_string(), threads: threads.to_string() }
    }
    /// What was sent; what was not stays as `now`.
    pub(crate) fn read(fields: &Fields, now: Self) -> Self {
        let or = |name: &str, now: String| if fields.ticked(name) { fields.text(name) } else { now };
        Self {
            mode: or("cpu_mode", now.mode),
            sockets: or("sockets", now.sockets),
            threads: or("threads", now.threads),
        }
    }
    /// What it means.
    pub(crate) fn cpu(&self, reading: &mut Reading) -> (CpuMode, CpuTopology) {
        let mode = CpuMode::ALL.into_iter().find(|mode| mode.as_str() == self.mode).unwrap_or_default();
        let (sockets, threads) =
            (reading.whole("/topology", &self.sockets), reading.whole("/topology", &self.threads));
        (mode, CpuTopology { sockets, threads })
    }
}

impl Default for CpuForm {
    fn default() -> Self {
        Self::of(CpuMode::default(), CpuTopology::default())
    }
}
