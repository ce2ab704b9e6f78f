//! What tells why a machine is as it is: libvirt's definitions and the logs around it.

use crate::error::virt;
use crate::federation::Ask;
use crate::{Core, LogSource, VmLog, VmXml};
use hostd_types::*;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// Most lines of a log.
pub const LOG_LINES_MAX: u32 = 1000;
/// A page must not wait for a libvirt that is slow.
const WITHIN: Duration = Duration::from_secs(3);

impl Core {
    /// What libvirt has of a machine: how it runs, and how it will at its next start. Without secrets.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when its host or libvirt does not answer.
    pub async fn vm_xml(&self, id: VmId) -> Result<VmXml, Problem> {
        let vm = self.vm(id).await?;
        if vm.spec.host != self.host() {
            return self.ask(vm.spec.host, &Ask::VmXml(id)).await;
        }
        let doing = format!("Reading the definition of {}", vm.spec.name);
        let read = timeout(WITHIN, self.0.hypervisor.domain_xml(id)).await.map_err(|_| {
            Problem::new(ProblemKind::Unavailable, format!("{doing} takes too long; libvirt is busy."))
        })?;
        let read = read.map_err(|error| virt(&doing, error))?;
        Ok(VmXml { name: read.name, live: read.live, persistent: read.persistent })
    }

    /// The last lines of a log of a machine, [`LOG_LINES_MAX`] at most.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when its host does not answer.
    pub async fn vm_log(&self, id: VmId, source: LogSource, lines: u32) -> Result<VmLog, Problem> {
        let vm = self.vm(id).await?;
        let lines = lines.clamp(1, LOG_LINES_MAX);
        if vm.spec.host != self.host() {
            return self.ask(vm.spec.host, &Ask::VmLog { vm: id, source, lines }).await;
        }
        let wanted = usize::try_from(lines).unwrap_or(1);
        let read = match source {
            LogSource::Qemu => {
                let name = self.0.libvirt_names.of(id).unwrap_or(vm.spec.name);
                self.0.hypervisor.qemu_log(id, &name, wanted).await
            }
            LogSource::Serial => self.0.hypervisor.serial_log(id, wanted).await,
        };
        Ok(match read {
            Ok(lines) => VmLog { source, lines, missing: None },
            Err(error) => VmLog { source, lines: Vec::new(), missing: Some(why_not(source, &error)) },
        })
    }
}

fn why_not(source: LogSource, error: &io::Error) -> String {
    match (error.kind(), source) {
        (io::ErrorKind::NotFound, LogSource::Qemu) => {
            "It was never started under this name on this host.".into()
        }
        (io::ErrorKind::NotFound, LogSource::Serial) => "It was not started since the host booted.".into(),
        (_, _) => format!("The log can't be read: {error}."),
    }
}
