//! The feature level: what all members of a cluster know, so that versions can work side by side.
//!
//! A command stands in every member's log, and a member that can't read one stops. So what came with a level is written
//! only when the state has it, and the state gets it when every host's row says that its version knows it. Of an older
//! command, `apply` must make the same rows in every version: what it does there changes with a level alone.

use crate::command::{AccessCommand, ClusterCommand, HostCommand, NetworkCommand, TaskCommand, VmCommand};
use crate::{
    Belongings, Command, CpuMode, CpuTopology, Filing, GuestOs, Host, HostStatus, Lineage, NetworkMode,
};

/// The level that knows clusters: their record, join tokens, and who was removed.
pub const FEDERATION: u16 = 2;
/// The level that knows leases: with it hosts renew them, are fenced, and machines are placed. It also knows how to replace
/// the authority that signs certificates.
pub const LEASES: u16 = 3;
/// The level that knows CPU modes, how CPUs are arranged, and machine types.
pub const HARDWARE: u16 = 4;
/// The level that knows the rest of a machine's life: every device and live change, snapshots and copies, customization,
/// folders and tags.
pub const LIFE: u16 = 5;
/// Newest level this version knows: commands and tables of a higher one are refused.
pub const LEVEL: u16 = LIFE;

impl Command {
    /// The level from which on every member knows this command.
    pub fn level(&self) -> u16 {
        match self {
            Command::Vm(VmCommand::Create { vm, .. }) if vm.has_life() => LIFE,
            Command::Vm(VmCommand::Edit { edit, .. }) if edit.has_life() => LIFE,
            Command::Cluster(ClusterCommand::Import { belongings, .. })
                if belongings.has_layers() || belongings.has_isolated() =>
            {
                LIFE
            }
            Command::Network(NetworkCommand::Create { network, .. })
                if network.mode == NetworkMode::Isolated =>
            {
                LIFE
            }
            Command::Access(
                AccessCommand::ShareConsole { .. }
                | AccessCommand::OpenLink { .. }
                | AccessCommand::RevokeLink { .. },
            )
            | Command::Organize(_)
            | Command::Cluster(ClusterCommand::ChooseCpu { .. })
            | Command::Specification(_)
            | Command::Snapshot(_) => LIFE,
            Command::Vm(
                VmCommand::Clone { .. }
                | VmCommand::SetTemplate { .. }
                | VmCommand::Adopt { .. }
                | VmCommand::Change { .. }
                | VmCommand::Changed { .. },
            ) => LIFE,
            Command::Vm(VmCommand::Create { vm, .. }) if vm.has_hardware() => HARDWARE,
            Command::Vm(VmCommand::Edit { edit, .. }) if edit.has_hardware() => HARDWARE,
            Command::Host(HostCommand::Fence { .. } | HostCommand::Acknowledge { .. })
            | Command::Vm(VmCommand::Place { .. })
            | Command::Task(TaskCommand::Tell { .. })
            | Command::Cluster(
                ClusterCommand::RotateAuthority { .. }
                | ClusterCommand::RotateWithout { .. }
                | ClusterCommand::StepRotation { .. },
            ) => LEASES,
            Command::Host(HostCommand::SetLeaving { .. } | HostCommand::SetRole { .. })
            | Command::Cluster(
                ClusterCommand::Found { .. }
                | ClusterCommand::Edit { .. }
                | ClusterCommand::CreateToken { .. }
                | ClusterCommand::RevokeToken { .. }
                | ClusterCommand::Join { .. }
                | ClusterCommand::Recover { .. }
                | ClusterCommand::Remove { .. },
            ) => FEDERATION,
            Command::Host(HostCommand::Report { .. } | HostCommand::Rename { .. })
            | Command::Vm(
                VmCommand::Create { .. }
                | VmCommand::Edit { .. }
                | VmCommand::Power { .. }
                | VmCommand::Delete { .. }
                | VmCommand::Report { .. }
                | VmCommand::Deleted { .. }
                | VmCommand::CreateFailed { .. },
            )
            | Command::Cluster(ClusterCommand::Raise { .. } | ClusterCommand::Import { .. })
            | Command::Volume(_)
            | Command::Image(_)
            | Command::Network(_)
            | Command::Task(TaskCommand::Cancel { .. } | TaskCommand::Prune { .. })
            | Command::Access(_)
            | Command::Audit(_) => 1,
        }
    }

    /// Takes out the fields that members of a state of `level` may not know: they would leave them out of their rows, and
    /// no two hosts may have different ones.
    pub fn fit(&mut self, level: u16) {
        match self {
            Command::Host(HostCommand::Report { status, .. })
            | Command::Cluster(ClusterCommand::Join { status, .. }) => status.fit(level),
            Command::Cluster(ClusterCommand::Import { belongings, .. }) => belongings.fit(level),
            Command::Host(_)
            | Command::Vm(_)
            | Command::Volume(_)
            | Command::Snapshot(_)
            | Command::Image(_)
            | Command::Network(_)
            | Command::Task(_)
            | Command::Access(_)
            | Command::Cluster(_)
            | Command::Organize(_)
            | Command::Specification(_)
            | Command::Audit(_) => {}
        }
    }
}

impl Belongings {
    /// See [`Command::fit`]. Machines that come into an older cluster get the processor and mainboard which that knows.
    pub fn fit(&mut self, level: u16) {
        if level < HARDWARE {
            for vm in &mut self.vms {
                (vm.spec.cpu_mode, vm.spec.topology) = (CpuMode::default(), CpuTopology::default());
                vm.spec.machine_type = None;
            }
        }
        if level < LIFE {
            for vm in &mut self.vms {
                (vm.spec.guest_os, vm.spec.scheduled_at) = (GuestOs::default(), None);
                vm.spec.customization = None;
                vm.spec.more_cdroms.clear();
                vm.spec.filing = Filing::default();
                vm.spec.lineage = Lineage::default();
                crate::forget_devices(vm);
            }
            for volume in &mut self.volumes {
                volume.spec.adopted_from = None;
            }
        }
    }
}

impl HostStatus {
    /// See [`Command::fit`].
    pub fn fit(&mut self, level: u16) {
        if level < LEASES {
            (self.public_key, self.authority) = (None, None);
            self.trusts.clear();
        }
        if level < LIFE {
            (self.cpu, self.threads) = (None, None);
        }
    }
}

/// The hosts whose version does not know `level`, for people: `h2 (version 0.1.0), h3 (version 0.1.0)`. Empty when all do.
pub fn behind(hosts: &[Host], level: u16) -> String {
    let behind = hosts.iter().filter(|host| host.status.level < level);
    let named = behind.map(|host| format!("{} (version {})", host.spec.name, host.status.version));
    named.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostId;

    #[test]
    fn what_came_with_a_level_is_left_out_below_it() {
        let status = HostStatus {
            level: LEVEL,
            public_key: Some("k".into()),
            authority: Some("a".into()),
            trusts: vec!["a".into()],
            ..HostStatus::default()
        };
        let report = Command::Host(HostCommand::Report { id: HostId::new(), name: "h".into(), status });
        let (mut same, mut fewer) = (report.clone(), report.clone());
        same.fit(LEASES);
        assert_eq!(same, report);
        fewer.fit(FEDERATION);
        let Command::Host(HostCommand::Report { status, .. }) = fewer else { panic!("another command") };
        assert_eq!(status, HostStatus { level: LEVEL, ..HostStatus::default() });
    }
}
