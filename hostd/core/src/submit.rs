//! The one write door: authorize, admit, fill, propose. Nothing in the product changes any other way.

use crate::snapshot::Snapshot;
use crate::subject::subject_of;
use crate::{Caller, Core, Ctx, admit, authz, clone, customize, devices};
use hostd_cluster::Remembered;
use hostd_types::command::*;
use hostd_types::*;

impl Core {
    /// Authorizes, admits and proposes `command`, on the host it is about; a refusal is audited. Handlers build it with ids
    /// of their own.
    ///
    /// # Errors
    /// The refusal, `Conflict` when the request's id was used for something else, or that the state can't be written.
    pub async fn submit(&self, ctx: &Ctx, mut command: Command) -> Result<Outcome, Problem> {
        if let Err(problem) = self.seal_passwords(ctx.request_id(), &mut command).await {
            self.audit_refusal(ctx, command.name(), subject_of(&command), &problem).await;
            return Err(problem);
        }
        if let Command::Access(AccessCommand::Logout { id }) = &command
            && self.0.isolated.end(*id)
        {
            self.0.live.tell(Kind::Session, *id);
            return Ok(Outcome { index: 0, task: None, subject: None });
        }
        match self.place_of(&command).await? {
            Some(host) if host != self.host() => match self.removed().await? {
                None => self.submit_to(host, ctx, command).await,
                Some(refusal) => Err(refusal),
            },
            Some(_) | None => self.submit_here(ctx, command).await,
        }
    }

    /// [`Core::submit`] for what is on this host, or on none: only the host that has something knows what it can bear.
    ///
    /// # Errors
    /// The same.
    pub(crate) async fn submit_here(&self, ctx: &Ctx, command: Command) -> Result<Outcome, Problem> {
        let (action, subject) = (command.name(), subject_of(&command));
        let result = self.try_submit(ctx, command).await;
        if let Err(problem) = &result {
            self.audit_refusal(ctx, action, subject, problem).await;
        }
        result
    }

    async fn try_submit(&self, ctx: &Ctx, command: Command) -> Result<Outcome, Problem> {
        authz::authorize(ctx, &command)?;
        let Some(request) = ctx.request else {
            return self.admit(ctx, RequestId::new(), command).await;
        };
        let mut slot = self.0.requests.enter(request).await;
        if slot.is_none() {
            // It may have acted before the daemon's last restart, alone or through the log.
            *slot = match self.0.isolated_vms.remembered(request) {
                None => self.store().remembered(request).await?,
                alone => alone,
            };
        }
        if let Some(first) = &*slot {
            return first.answer(&command);
        }
        let asked = command.clone();
        let outcome = self.admit(ctx, request, command).await?;
        *slot = Some(Remembered::new(&asked, outcome.clone()));
        Ok(outcome)
    }

    async fn admit(&self, ctx: &Ctx, request: RequestId, mut command: Command) -> Result<Outcome, Problem> {
        self.may_hold(&command)?;
        let snapshot = Snapshot::load(self, &command).await?;
        fill(&mut command, &snapshot);
        admit::admit(&command, &snapshot)?;
        let removed = self.removed().await?;
        if (removed.is_some() || self.cut_off())
            && let Some(outcome) = self.act_alone(ctx, request, &command).await?
        {
            return Ok(outcome);
        }
        if let Some(refusal) = removed {
            return Err(refusal);
        }
        if let Command::Vm(VmCommand::Report { id, status, done }) = &command
            && self.0.isolated_vms.has(*id)
        {
            let noted = self.note_report(*id, status, done.as_ref());
            self.tell_acts(None).await?;
            return Ok(noted);
        }
        self.tell_acts(changes(&command)).await?;
        match self.propose(ctx.actor(self.host()), request, command.clone()).await {
            Err(problem) if problem.kind == ProblemKind::NoQuorum => {
                self.act_alone(ctx, request, &command).await?.ok_or(problem)
            }
            other => other,
        }
    }

    /// Wraps and proposes a command that needs no rule: credentials checked by this crate.
    pub(crate) async fn propose(
        &self,
        by: Actor,
        request: RequestId,
        command: Command,
    ) -> Result<Outcome, Problem> {
        if self.0.cluster.full() && grows(&command) {
            let text =
                "The disk of the host's state is full. Delete images, disks or machines; that still works.";
            return Err(Problem::new(ProblemKind::Capacity, text));
        }
        if let Some(refusal) = self.removed().await? {
            return Err(refusal);
        }
        let entry =
            Entry { version: ENTRY_VERSION, request, at: Timestamp::now(), by, task: TaskId::new(), command };
        match self.0.cluster.propose(entry).await {
            Err(problem) if problem.kind == ProblemKind::NoQuorum => {
                Err(self.explain_no_quorum(problem).await)
            }
            other => other,
        }
    }

    /// This host reports or does something by itself.
    pub(crate) async fn report(&self, command: Command) -> Result<Outcome, Problem> {
        self.submit(&Ctx::host(), command).await
    }

    /// Writes one line of the audit trail.
    pub(crate) async fn audit(&self, by: Actor, line: AuditCommand) {
        if let Err(problem) = self.propose(by, RequestId::new(), Command::Audit(line)).await {
            tracing::warn!(%problem, "an audit event can't be written");
        }
    }

    /// Audits that `ctx` was refused something, unless a host refused itself.
    pub(crate) async fn audit_refusal(
        &self,
        ctx: &Ctx,
        action: String,
        subject: Option<Subject>,
        problem: &Problem,
    ) {
        match ctx.caller {
            Caller::Host => return tracing::warn!(%problem, action, "a report was refused"),
            Caller::User { .. } | Caller::Console => {}
        }
        let line =
            AuditCommand { action, subject, result: EventResult::Refused, detail: problem.detail.clone() };
        self.audit(ctx.actor(self.host()), line).await;
    }
}

/// The machine that somebody wants to change.
fn changes(command: &Command) -> Option<VmId> {
    match command {
        Command::Vm(
            VmCommand::Clone { source: id, .. }
            | VmCommand::SetTemplate { id, .. }
            | VmCommand::Edit { id, .. }
            | VmCommand::Change { id, .. }
            | VmCommand::Power { id, .. }
            | VmCommand::Delete { id, .. },
        )
        | Command::Snapshot(SnapshotCommand::Create { vm: id, .. }) => Some(*id),
        Command::Vm(_)
        | Command::Snapshot(_)
        | Command::Volume(_)
        | Command::Image(_)
        | Command::Network(_)
        | Command::Host(_)
        | Command::Task(_)
        | Command::Access(_)
        | Command::Cluster(_)
        | Command::Organize(_)
        | Command::Specification(_)
        | Command::Audit(_) => None,
    }
}

/// Whether a command leads to more than a line of its own on the disk: not accepted while there is no room.
fn grows(command: &Command) -> bool {
    matches!(
        command,
        Command::Vm(
            VmCommand::Create { .. }
                | VmCommand::Clone { .. }
                | VmCommand::Adopt { .. }
                | VmCommand::Edit { .. }
                | VmCommand::Change { .. }
        ) | Command::Volume(VolumeCommand::Create { .. })
            | Command::Snapshot(SnapshotCommand::Create { .. } | SnapshotCommand::Revert { .. })
            | Command::Image(ImageCommand::Create { .. })
            | Command::Network(NetworkCommand::Create { .. })
            | Command::Access(AccessCommand::CreateToken { .. })
            | Command::Specification(
                SpecificationCommand::Create { .. }
                    | SpecificationCommand::Copy { .. }
                    | SpecificationCommand::Edit { .. }
            )
            | Command::Organize(
                OrganizeCommand::CreateFolder { .. }
                    | OrganizeCommand::File { .. }
                    | OrganizeCommand::SaveView { .. }
            )
    )
}

/// Completes what the caller may leave out: sizes of disks over images, the machine type, addresses' case, deadlines.
fn fill(command: &mut Command, now: &Snapshot) {
    match command {
        Command::Vm(VmCommand::Create { id, vm, .. }) => {
            *id = with_free_addresses(*id, vm.nics.len(), now);
            for disk in &mut vm.disks {
                fill_disk(disk, now);
            }
            if vm.guest_os.is_none() && now.level >= LIFE {
                vm.guest_os = guest_of(vm, now);
            }
            if vm.machine_type.is_none() && now.level >= HARDWARE {
                vm.machine_type = now.offers.machine_types.last().cloned();
            }
            for nic in &mut vm.nics {
                nic.mac = nic.mac.take().map(|mac| mac.to_ascii_lowercase());
            }
            customize::fill_new(*id, vm, now.specification.as_ref());
        }
        Command::Vm(VmCommand::Adopt { asked, taken, .. }) => *taken = adoption(asked, now).map(Box::new),
        Command::Vm(VmCommand::Edit { edit, .. }) => {
            customize::fill_edit(edit, now.vm.as_ref(), now.specification.as_ref())
        }
        Command::Vm(VmCommand::Clone { id, copy, first, inherits, .. }) => {
            *id = with_free_addresses(*id, now.vm.iter().map(|vm| vm.spec.nics.len()).sum(), now);
            *inherits = clone::fill(*id, copy, first, now);
        }
        Command::Vm(VmCommand::Change { id, change, .. }) => match change {
            DeviceChange::AttachDisk { disk, .. } => fill_disk(disk, now),
            DeviceChange::GrowDisk { size_bytes, .. } => *size_bytes = sectors(*size_bytes),
            DeviceChange::AttachNic { nic } => {
                let given = nic.mac.take().map(|mac| mac.to_ascii_lowercase());
                nic.mac = Some(given.unwrap_or_else(|| free_mac(*id, now)));
            }
            DeviceChange::EditNic { mac, .. } | DeviceChange::DetachNic { mac } => mac.make_ascii_lowercase(),
            DeviceChange::AttachHostDevice { asked, found } => *found = devices::find(asked, &now.devices),
            DeviceChange::DetachDisk { .. }
            | DeviceChange::EditDisk { .. }
            | DeviceChange::DetachHostDevice { .. } => {}
        },
        Command::Vm(VmCommand::Power { deadline_s, .. }) if *deadline_s == 0 => {
            *deadline_s = SHUTDOWN_DEADLINE_S;
        }
        Command::Snapshot(SnapshotCommand::Create { new, .. }) => fill_layers(new, now),
        Command::Snapshot(SnapshotCommand::Revert { next, first, .. }) => {
            let held = now.snapshot.as_ref().map(|snapshot| &snapshot.spec.layers);
            let held = |volume: &VolumeId| held.is_some_and(|layers| layers.contains_key(volume));
            let all = now.vm.iter().flat_map(|vm| &vm.spec.disks).map(|disk| disk.volume);
            let all: Vec<VolumeId> = all.filter(held).collect();
            let fresh = || all.iter().map(|volume| (*volume, LayerId::new())).collect();
            *next = fresh();
            if let Some(first) = first {
                first.next = fresh();
            }
        }
        Command::Volume(VolumeCommand::Create { volume, .. }) => {
            volume.size_bytes = sectors(volume.size_bytes);
        }
        Command::Image(ImageCommand::Create { expected_sha256, .. }) => {
            *expected_sha256 = expected_sha256.take().map(|hex| hex.trim().to_ascii_lowercase());
        }
        Command::Vm(_)
        | Command::Volume(_)
        | Command::Snapshot(_)
        | Command::Image(_)
        | Command::Network(_)
        | Command::Host(_)
        | Command::Task(_)
        | Command::Access(_)
        | Command::Cluster(_)
        | Command::Organize(_)
        | Command::Specification(_)
        | Command::Audit(_) => {}
    }
}

/// What the name of an image of the machine tells of its guest; the ISO's before the disks'.
fn guest_of(vm: &CreateVm, now: &Snapshot) -> Option<GuestOs> {
    let over = vm.disks.iter().filter_map(|disk| match disk {
        NewDisk::Image { image, .. } => Some(*image),
        NewDisk::Blank { .. } | NewDisk::Volume { .. } => None,
    });
    let mut names = vm.media().chain(over).filter_map(|id| now.images.get(&id));
    names.find_map(|image| GuestOs::of_image(&image.spec.name))
}

/// What a machine becomes that is taken over.
fn adoption(asked: &AdoptVm, now: &Snapshot) -> Option<Adoption> {
    let found = now.found.as_ref()?;
    let mut adoption = found.adoption.clone();
    if let Some(name) = &asked.name {
        adoption.vm.name.clone_from(name);
    }
    let cards = found.vm.nics.iter().zip(&found.models);
    adoption.vm.nics = cards
        .filter_map(|(nic, model)| {
            let network = asked.networks.get(&nic.mac).copied().or(nic.network)?;
            Some(NewNic {
                network,
                mac: Some(nic.mac.clone()),
                model: *model,
                options: NicOptions::default(),
            })
        })
        .collect();
    if adoption.vm.machine_type.is_none() {
        adoption.vm.machine_type = now.offers.machine_types.last().cloned();
    }
    Some(adoption)
}

/// A new layer for each disk of the machine.
fn fill_layers(new: &mut NewSnapshot, now: &Snapshot) {
    let disks = now.vm.iter().flat_map(|vm| &vm.spec.disks);
    new.next = disks.map(|disk| (disk.volume, LayerId::new())).collect();
}

/// Whether a card of a machine of the host has the address, or leaves one that had it.
fn is_taken(mac: &str, now: &Snapshot) -> bool {
    now.vms.iter().chain(&now.vm).any(|vm| {
        vm.spec.nics.iter().any(|nic| nic.mac == mac)
            || vm.spec.hardware.changes.iter().any(|request| request.work.is_about_nic(mac))
    })
}

/// The first address derived from the machine's id that no machine of the host has.
fn free_mac(id: VmId, now: &Snapshot) -> String {
    let mut all = (0..=255).map(|index| derived_mac(id, index));
    all.find(|mac| !is_taken(mac, now)).unwrap_or_else(|| derived_mac(id, 0))
}

/// The id of a new machine with so many cards: another one when an address derived from it is taken. Three bytes are few:
/// among 2,000 machines that happens to one in eight thousand.
fn with_free_addresses(mut id: VmId, cards: usize, now: &Snapshot) -> VmId {
    let clashes = |id: VmId| (0..cards).any(|index| is_taken(&derived_mac(id, index), now));
    for _ in 0..16 {
        if !clashes(id) {
            break;
        }
        id = VmId::new();
    }
    id
}

fn fill_disk(disk: &mut NewDisk, now: &Snapshot) {
    match disk {
        NewDisk::Blank { size_bytes, .. } => *size_bytes = sectors(*size_bytes),
        NewDisk::Image { image, size_bytes, .. } => {
            let own = now.images.get(image).and_then(|image| image.status.content.as_ref());
            let wanted = size_bytes.or(own.map(|content| content.virtual_bytes));
            *size_bytes = wanted.map(sectors);
        }
        NewDisk::Volume { .. } => {}
    }
}

/// A size rounded up to whole sectors of 512 bytes, as disks have them.
const fn sectors(bytes: u64) -> u64 {
    bytes.div_ceil(512).saturating_mul(512)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    #[test]
    fn what_is_left_out_is_filled_in() {
        let image = sample::disk_image("base", 1_000_000_001);
        let now = Snapshot { images: [(image.id, image.clone())].into(), ..Snapshot::default() };
        let mut vm = sample::create_vm("web");
        vm.disks = vec![NewDisk::Image {
            image: image.id,
            size_bytes: None,
            bus: DiskBus::Virtio,
            options: DiskOptions::default(),
        }];
        vm.nics = vec![NewNic {
            network: NetworkId::new(),
            mac: Some("52:54:00:AB:CD:EF".into()),
            model: NicModel::Virtio,
            options: NicOptions::default(),
        }];
        let mut command = Command::Vm(VmCommand::Create { id: VmId::new(), host: HostId::new(), vm });
        fill(&mut command, &now);
        let Command::Vm(VmCommand::Create { vm, .. }) = command else { panic!("another command") };
        assert!(
            matches!(vm.disks[0], NewDisk::Image { size_bytes: Some(1_000_000_512), .. }),
            "{:?}",
            vm.disks
        );
        assert_eq!(vm.nics[0].mac.as_deref(), Some("52:54:00:ab:cd:ef"));
        let mut power =
            Command::Vm(VmCommand::Power { id: VmId::new(), action: PowerAction::Shutdown, deadline_s: 0 });
        fill(&mut power, &now);
        assert!(matches!(power, Command::Vm(VmCommand::Power { deadline_s: SHUTDOWN_DEADLINE_S, .. })));
    }

    #[test]
    fn a_new_machine_is_given_no_address_of_another() {
        let id = VmId::new();
        let mut other = sample::vm("web");
        other.spec.nics = vec![VmNic {
            network: NetworkId::new(),
            mac: derived_mac(id, 1),
            model: NicModel::Virtio,
            slot: None,
            unplugged: false,
            options: NicOptions::default(),
        }];
        let now = Snapshot { vms: vec![other], ..Snapshot::default() };
        assert_eq!(with_free_addresses(id, 1, &now), id);
        assert_ne!(with_free_addresses(id, 2, &now), id);
    }
}
