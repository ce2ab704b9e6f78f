//! What is remembered of a request, so that asking twice acts once and asking something else is told apart.

use hostd_types::command::*;
use hostd_types::*;
use serde::{Deserialize, Serialize};

/// What a request asked for and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// What it did.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The action and what it was about; empty when an older version wrote this.
    #[serde(default)]
    asked: String,
}

impl Remembered {
    /// Notes that `command` came to `outcome`.
    pub fn new(command: &Command, outcome: Outcome) -> Self {
        Self { outcome, asked: asked(command) }
    }

    /// The answer to `command` when it comes with the same request: what the first one did.
    ///
    /// # Errors
    /// `Conflict` when the first one was another action, or about something else.
    pub fn answer(&self, command: &Command) -> Result<Outcome, Problem> {
        if self.asked.is_empty() || self.asked == asked(command) {
            return Ok(self.outcome.clone());
        }
        let detail = "This request id was used for something else; choose a new one for every request.";
        Err(Problem::new(ProblemKind::Conflict, detail))
    }
}

/// The action, what it is about and what is wanted of it: what exists by its id; what is to be made by what was asked
/// for, since every try comes with an id of its own.
fn asked(command: &Command) -> String {
    if let Command::Task(TaskCommand::Tell { task, .. }) = command {
        // The request that was carried out, not that it is told.
        return format!("{} {}", task.action, task.subject.id);
    }
    format!("{} {}", command.name(), target(command))
}

fn target(command: &Command) -> String {
    match command {
        Command::Host(HostCommand::Report { id, .. }) => id.to_string(),
        Command::Host(HostCommand::Rename { id, name }) => format!("{id} {name}"),
        Command::Host(HostCommand::SetLeaving { id, leaving }) => format!("{id} {leaving}"),
        Command::Host(HostCommand::SetRole { id, role }) => format!("{id} {}", role.as_str()),
        Command::Host(HostCommand::Fence { id, epoch, leader, term }) => {
            format!("{id} {epoch} {leader} {term}")
        }
        Command::Host(HostCommand::Acknowledge { id, epoch }) => format!("{id} {epoch}"),
        Command::Vm(c) => vm_target(c),
        Command::Volume(c) => match c {
            VolumeCommand::Create { volume: CreateVolume { name, size_bytes, format }, .. } => {
                format!("{name} {} {}", size_bytes.div_ceil(512), digest(format))
            }
            VolumeCommand::Delete { id }
            | VolumeCommand::Report { id, .. }
            | VolumeCommand::Deleted { id }
            | VolumeCommand::CreateFailed { id, .. } => id.to_string(),
        },
        Command::Snapshot(c) => snapshot_target(c),
        Command::Image(c) => match c {
            ImageCommand::Create { name, .. } => name.clone(),
            ImageCommand::Ready { id, .. }
            | ImageCommand::CreateFailed { id, .. }
            | ImageCommand::Delete { id }
            | ImageCommand::Deleted { id }
            | ImageCommand::Report { id, .. } => id.to_string(),
        },
        Command::Network(c) => match c {
            NetworkCommand::Create { network, .. } => format!("{} {}", network.name, digest(network)),
            NetworkCommand::Delete { id }
            | NetworkCommand::Report { id, .. }
            | NetworkCommand::Deleted { id }
            | NetworkCommand::CreateFailed { id, .. } => id.to_string(),
        },
        Command::Cluster(c) => match c {
            ClusterCommand::Found { id, .. } => id.to_string(),
            ClusterCommand::Raise { level } => level.to_string(),
            ClusterCommand::Edit { name, voters } => digest(&(name, voters)),
            ClusterCommand::ChooseCpu { model } => digest(model),
            ClusterCommand::CreateToken { .. } => String::new(),
            ClusterCommand::RevokeToken { id } => id.to_string(),
            ClusterCommand::Join { token, node, .. } => format!("{token} {node}"),
            ClusterCommand::RotateAuthority { .. } => String::new(),
            ClusterCommand::RotateWithout { hosts } => digest(hosts),
            ClusterCommand::StepRotation { from } => digest(from),
            ClusterCommand::Import { host, belongings } => {
                // Compared before it is fitted to the state, and kept after that.
                let mut belongings = belongings.clone();
                belongings.fit(FEDERATION);
                format!("{host} {}", digest(&belongings))
            }
            ClusterCommand::Recover { host, generation } => format!("{host} {generation}"),
            ClusterCommand::Remove { host } => host.to_string(),
        },
        Command::Task(c) => match c {
            TaskCommand::Cancel { id } => id.to_string(),
            TaskCommand::Tell { task, .. } => task.id.to_string(),
            TaskCommand::Prune { before } => before.to_string(),
        },
        Command::Access(c) => match c {
            AccessCommand::CreateUser { name, .. } | AccessCommand::CreateToken { name, .. } => name.clone(),
            // Hashed with another salt each time. Whoever sets it says the one before, too, which is another one by then.
            AccessCommand::SetPassword { id, .. } => id.to_string(),
            AccessCommand::Login { session, .. } => session.id.to_string(),
            AccessCommand::Logout { id } => id.to_string(),
            AccessCommand::RevokeToken { id } => id.to_string(),
            AccessCommand::ShareConsole { vm, control, .. } => digest(&(vm, control)),
            AccessCommand::OpenLink { secret, .. } => secret.0.clone(),
            AccessCommand::RevokeLink { id } => id.to_string(),
        },
        Command::Organize(c) => organized(c),
        Command::Specification(c) => specification_target(c),
        Command::Audit(line) => line.subject.as_ref().map_or_else(String::new, |about| about.id.clone()),
    }
}

/// The same of a command about a machine.
fn vm_target(command: &VmCommand) -> String {
    match command {
        VmCommand::Create { vm, .. } => format!("{} {}", vm.name, digest(&as_asked(vm))),
        VmCommand::Clone { source, copy, inherits, .. } => {
            format!("{source} {} {}", copy.name, digest(&copy_as_asked(copy, *inherits)))
        }
        VmCommand::SetTemplate { id, template, .. } => format!("{id} template {template}"),
        VmCommand::Adopt { id, host, asked, .. } => format!("{id} {host} {}", digest(asked)),
        VmCommand::Edit { id, edit, .. } => format!("{id} {}", digest(&edit_as_asked(edit))),
        VmCommand::Delete { id, disks, .. } => format!("{id} disks {disks}"),
        VmCommand::Place { id, host, placement_epoch } => format!("{id} {host} {placement_epoch}"),
        VmCommand::Change { id, change, .. } => format!("{id} {}", digest(&change_as_asked(change))),
        VmCommand::Changed { id, task, .. } => format!("{id} {task}"),
        VmCommand::Power { id, .. }
        | VmCommand::Report { id, .. }
        | VmCommand::Deleted { id }
        | VmCommand::CreateFailed { id, .. } => id.to_string(),
    }
}

fn organized(command: &OrganizeCommand) -> String {
    match command {
        OrganizeCommand::CreateFolder { folder, .. } => digest(folder),
        OrganizeCommand::EditFolder { id, edit, .. } => format!("{id} {}", digest(edit)),
        OrganizeCommand::DeleteFolder { id, move_up } => format!("{id} {move_up}"),
        OrganizeCommand::File { id, filing, .. } => format!("{id} {}", digest(filing)),
        OrganizeCommand::SaveView { user, view, .. } => digest(&(user, view)),
        OrganizeCommand::DeleteView { id, .. } => id.to_string(),
    }
}

/// The same of a command about a specification.
fn specification_target(command: &SpecificationCommand) -> String {
    match command {
        SpecificationCommand::Create { specification: asked, .. } => {
            digest(&(&asked.name, &asked.description, asked.customization.as_asked()))
        }
        SpecificationCommand::Copy { from, name, .. } => format!("{from} {name}"),
        SpecificationCommand::Edit { id, edit, .. } => {
            let custom = edit.customization.as_ref().map(Customization::as_asked);
            format!("{id} {}", digest(&(&edit.name, &edit.description, custom)))
        }
        SpecificationCommand::Delete { id } => id.to_string(),
    }
}

/// The same of a command about a snapshot.
fn snapshot_target(command: &SnapshotCommand) -> String {
    match command {
        SnapshotCommand::Create { vm, new } => format!("{vm} {}", digest(&new.asked)),
        SnapshotCommand::Revert { id, first, start, resume, .. } => {
            format!("{id} {}", digest(&(first.as_ref().map(|first| &first.asked), start, resume)))
        }
        SnapshotCommand::Taken { id, .. }
        | SnapshotCommand::CreateFailed { id, .. }
        | SnapshotCommand::Delete { id }
        | SnapshotCommand::Stopped { id, .. }
        | SnapshotCommand::Deleted { id, .. } => id.to_string(),
        SnapshotCommand::Reverted { vm } | SnapshotCommand::RevertFailed { vm, .. } => vm.to_string(),
        SnapshotCommand::Merged { volume, upper: layer } | SnapshotCommand::Dropped { volume, layer } => {
            format!("{volume} {layer}")
        }
    }
}

/// The machine without what the host fills in: a try is compared before that, and kept after it.
fn as_asked(vm: &CreateVm) -> CreateVm {
    let mut vm = vm.clone();
    vm.disks.iter_mut().for_each(disk_as_asked);
    vm.machine_type = None;
    vm.customization = vm.customization.as_ref().map(Customization::as_asked);
    for nic in &mut vm.nics {
        nic.mac = nic.mac.take().map(|mac| mac.to_ascii_lowercase());
    }
    vm
}

/// The copy without what the host fills in.
fn copy_as_asked(copy: &CloneVm, inherits: bool) -> CloneVm {
    let own = copy.customization.as_ref().filter(|_| !inherits);
    CloneVm { customization: own.map(Customization::as_asked), ..copy.clone() }
}

/// The change without what the host fills in.
fn edit_as_asked(edit: &EditVm) -> EditVm {
    let mut edit = edit.clone();
    if let Some(CustomizationChange::Set { to, .. }) = &mut edit.customization {
        **to = to.as_asked();
    }
    edit
}

fn disk_as_asked(disk: &mut NewDisk) {
    match disk {
        NewDisk::Blank { size_bytes, .. } => *size_bytes = size_bytes.div_ceil(512),
        NewDisk::Image { size_bytes, .. } => *size_bytes = None,
        NewDisk::Volume { .. } => {}
    }
}

/// The same of a change of a device.
fn change_as_asked(change: &DeviceChange) -> DeviceChange {
    let mut change = change.clone();
    match &mut change {
        DeviceChange::AttachDisk { id, disk } => {
            *id = VolumeId::from_uuid(uuid::Uuid::nil());
            disk_as_asked(disk);
        }
        DeviceChange::AttachNic { nic } => nic.mac = None,
        DeviceChange::GrowDisk { size_bytes, .. } => *size_bytes = size_bytes.div_ceil(512),
        DeviceChange::AttachHostDevice { found, .. } => *found = None,
        DeviceChange::DetachDisk { .. }
        | DeviceChange::EditDisk { .. }
        | DeviceChange::EditNic { .. }
        | DeviceChange::DetachNic { .. }
        | DeviceChange::DetachHostDevice { .. } => {}
    }
    change
}

fn digest(what: &impl Serialize) -> String {
    let text = serde_json::to_vec(what).unwrap_or_default();
    blake3::hash(&text).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_action_or_subject_is_told_apart() {
        let power = |id, action| Command::Vm(VmCommand::Power { id, action, deadline_s: 0 });
        let sized = |name: &str, size_bytes| {
            let volume = CreateVolume { name: name.into(), size_bytes, format: DiskFormat::Raw };
            Command::Volume(VolumeCommand::Create { id: VolumeId::new(), host: HostId::new(), volume })
        };
        let create = |name: &str| sized(name, 512);
        let (id, outcome) = (VmId::new(), Outcome { index: 7, task: None, subject: None });
        let first = Remembered::new(&power(id, PowerAction::Start), outcome.clone());
        assert_eq!(first.answer(&power(id, PowerAction::Start)), Ok(outcome.clone()));
        for other in [power(id, PowerAction::ForceOff), power(VmId::new(), PowerAction::Start)] {
            assert_eq!(first.answer(&other).expect_err("another").kind, ProblemKind::Conflict);
        }
        let rename = |name: &str| {
            let edit = EditVm { name: Some(name.into()), ..EditVm::default() };
            Command::Vm(VmCommand::Edit { id, expect: None, edit })
        };
        let renamed = Remembered::new(&rename("a"), outcome.clone());
        assert_eq!(renamed.answer(&rename("a")), Ok(outcome.clone()));
        assert_eq!(renamed.answer(&rename("b")).expect_err("another").kind, ProblemKind::Conflict);
        let clone = |hostname: Option<&str>, inherits| {
            let told = |name: &str| Customization { hostname: name.into(), ..Customization::default() };
            let copy = CloneVm { name: "b".into(), customization: hostname.map(told), ..CloneVm::default() };
            Command::Vm(VmCommand::Clone { id: VmId::new(), source: id, copy, first: None, inherits })
        };
        let own = Remembered::new(&clone(Some("x"), false), outcome.clone());
        assert_eq!(own.answer(&clone(Some("x"), false)), Ok(outcome.clone()));
        for other in [clone(Some("y"), false), clone(None, false)] {
            assert_eq!(own.answer(&other).expect_err("another").kind, ProblemKind::Conflict);
        }
        let inherited = Remembered::new(&clone(Some("x"), true), outcome.clone());
        assert_eq!(inherited.answer(&clone(None, false)), Ok(outcome.clone()), "as it was asked for");
        assert_eq!(
            inherited.answer(&clone(Some("x"), false)).expect_err("another").kind,
            ProblemKind::Conflict
        );
        let with_password = |hash: &str| {
            let password = Some(GuestPassword::Hash(hash.into()));
            let user = GuestUser { name: "ada".into(), password, ..GuestUser::default() };
            let to = Box::new(Customization { users: vec![user], ..Customization::default() });
            let customization = Some(CustomizationChange::Set { to, run_again: false });
            let edit = EditVm { customization, ..EditVm::default() };
            Command::Vm(VmCommand::Edit { id, expect: None, edit })
        };
        let set = Remembered::new(&with_password("$6$one"), outcome.clone());
        assert_eq!(set.answer(&with_password("$6$one")), Ok(outcome.clone()));
        assert_eq!(set.answer(&with_password("$6$two")).expect_err("another").kind, ProblemKind::Conflict);
        assert!(!serde_json::to_string(&set).expect("json").contains("$6$"), "a digest alone is kept");
        let delete = |disks| Command::Vm(VmCommand::Delete { id, expect: None, disks });
        let deleted = Remembered::new(&delete(false), outcome.clone());
        assert_eq!(deleted.answer(&delete(true)).expect_err("another").kind, ProblemKind::Conflict);
        let made = Remembered::new(&create("data"), outcome.clone());
        assert_eq!(made.answer(&create("data")), Ok(outcome.clone()), "a retry has an id of its own");
        assert_eq!(made.answer(&sized("data", 500)), Ok(outcome.clone()), "sizes are rounded to sectors");
        for other in [create("other"), sized("data", 1024)] {
            assert_eq!(made.answer(&other).expect_err("another").kind, ProblemKind::Conflict);
        }
        let old = serde_json::to_string(&outcome).expect("json");
        let old: Remembered = serde_json::from_str(&old).expect("as an older version wrote it");
        assert_eq!(old.answer(&create("data")), Ok(outcome));
        let text = serde_json::to_string(&made).expect("json");
        assert_eq!(serde_json::from_str::<Remembered>(&text).expect("read back"), made);
    }
}
