//! What queries answer: replicated rows joined with what this host sees at this moment.

use hostd_types::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A machine with everything its page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VmDetail {
    /// The machine.
    pub vm: Vm,
    /// Its disks, in order.
    pub disks: Vec<VolumeView>,
    /// Its network cards, in order.
    pub nics: Vec<NicView>,
    /// The image in its CD-ROM drive.
    pub cdrom: Option<Image>,
    /// The images in its further CD-ROM drives; null for an empty one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_cdroms: Vec<Option<Image>>,
    /// The running task about it, if any.
    pub task: Option<Task>,
    /// The newest machine type its host has; absent while that does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_machine_type: Option<String>,
    /// The machine types it can be raised to on its host, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub newer_machine_types: Vec<String>,
    /// What is worth a warning about its settings, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What applies at its next power-off, in words; nothing is wrong with it until then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<String>,
    /// What the maker of its guest asks for and it has less of, in sentences; nothing keeps it from running.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<String>,
    /// What it can't start without and its host does not have now, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What is over its disks, so that they can't go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked_clones: Vec<LinkedClone>,
}

/// A machine whose disks are over those of another, or a volume that is left of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct LinkedClone {
    /// Its name, or that of the volume.
    pub name: String,
    /// The machine; absent when a volume alone is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<VmId>,
}

/// A network card with what it is plugged into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NicView {
    /// The card.
    pub nic: VmNic,
    /// Its network.
    pub network: Option<Network>,
    /// The address the guest got from that network, when this host leased it.
    pub lease: Option<Lease>,
}

/// A volume with what it takes and whose it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VolumeView {
    /// The volume.
    #[serde(flatten)]
    pub volume: Volume,
    /// Bytes its file takes on disk.
    pub allocated_bytes: Option<u64>,
    /// Name of the machine it belongs to.
    pub vm_name: Option<String>,
    /// Name of the image it is layered over.
    pub image_name: Option<String>,
}

/// A customization specification with how often it is used. Passwords are never told: `kept` says that there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpecificationView {
    /// The specification.
    #[serde(flatten)]
    pub specification: Specification,
    /// How many machines there are that were made with it.
    pub vms: u64,
    /// What is worth a warning about it, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A folder with where it is and what is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FolderView {
    /// The folder.
    #[serde(flatten)]
    pub folder: Folder,
    /// Its name and those above it: `/Production/Web`.
    pub path: String,
    /// Folders from the top down to it, from 1.
    pub depth: u32,
    /// Machines in it alone.
    pub vms: u64,
    /// Machines in it and in all below.
    pub vms_in_all: u64,
}

/// An image with its uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImageView {
    /// The image.
    #[serde(flatten)]
    pub image: Image,
    /// Disks layered over it.
    pub disks: u64,
    /// CD-ROM drives that hold it.
    pub drives: u64,
    /// How far its upload is.
    pub progress: Option<Progress>,
}

/// A network with its uses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NetworkView {
    /// The network.
    #[serde(flatten)]
    pub network: Network,
    /// Machines plugged into it.
    pub vms: u64,
    /// Addresses it leased.
    pub leases: Vec<Lease>,
}

/// A host with what it knows about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HostView {
    /// The host.
    #[serde(flatten)]
    pub host: Host,
    /// Its machine.
    pub facts: HostFacts,
    /// Domains of its libvirt that Quantix did not make; they are left alone.
    pub foreign_domains: u64,
    /// Its background work.
    pub reconcilers: Vec<ReconcilerView>,
    /// Its load now.
    pub latest: Option<HostSample>,
    /// Its watchdog; absent in what older hosts tell.
    #[serde(default)]
    pub watchdog: Option<crate::watchdog::Watchdog>,
}

/// How one piece of background work is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReconcilerView {
    /// Its name.
    pub name: String,
    /// When it last ran.
    pub last_run: Option<Timestamp>,
    /// How long that took, milliseconds.
    pub last_ms: f64,
    /// Why it failed, if it did.
    pub fault: Option<String>,
    /// What it did.
    pub summary: String,
}

/// A condition every page shows on top.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// How bad it is.
    pub level: NoticeLevel,
    /// What it is, with the way out.
    pub text: String,
    /// The page that helps.
    pub link: Option<String>,
}

/// How bad a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeLevel {
    /// Good to know.
    Info,
    /// Needs attention.
    Warning,
    /// Something does not work.
    Critical,
}

/// Which console of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsoleKind {
    /// The screen, as VNC.
    Vnc,
    /// The first serial port, as bytes.
    Serial,
}

impl ConsoleKind {
    /// What people call it.
    pub const fn noun(self) -> &'static str {
        match self {
            ConsoleKind::Vnc => "screen",
            ConsoleKind::Serial => "serial port",
        }
    }
}

/// What a viewer does at a console.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsoleMode {
    /// Controls it as soon as nobody else does.
    #[default]
    Control,
    /// Controls it from now on; whoever did looks on.
    Take,
    /// Only looks.
    Watch,
}

/// Somebody at a console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Viewer {
    /// Identifier, as long as they are there.
    pub id: ViewerId,
    /// Who they are.
    pub who: String,
    /// The link they came by, when it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<ConsoleLinkId>,
    /// Since when.
    pub since: Timestamp,
    /// They may control it; a link may allow looking only.
    pub may_control: bool,
    /// What they type and click reaches the machine; that of all others does not.
    pub controls: bool,
    /// They don't want control.
    pub watching: bool,
}

/// Who is at the consoles of a machine, in the order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsoleViewers {
    /// At its screen.
    pub screen: Vec<Viewer>,
    /// At its serial port.
    pub serial: Vec<Viewer>,
}

impl ConsoleViewers {
    /// Those at one of them.
    pub fn at(self, kind: ConsoleKind) -> Vec<Viewer> {
        match kind {
            ConsoleKind::Vnc => self.screen,
            ConsoleKind::Serial => self.serial,
        }
    }
}

/// A one-time ticket for a console's WebSocket.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Ticket {
    /// The ticket.
    pub ticket: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What libvirt has of a machine. Secrets are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VmXml {
    /// Its name inside libvirt; its UUID there is its id.
    pub name: String,
    /// How it runs, as domain XML; absent while it is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// How it will run from its next start on.
    pub persistent: String,
}

/// Which log of a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// That of its QEMU: how it was started, and what it complained about.
    #[default]
    Qemu,
    /// What the guest printed on its serial port.
    Serial,
}

/// The last lines of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VmLog {
    /// Which.
    pub source: LogSource,
    /// Its lines, the newest last.
    pub lines: Vec<String>,
    /// Why there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// The snapshots of a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotsView {
    /// The snapshot that what is written now comes after: "you are here".
    pub current: Option<SnapshotId>,
    /// The snapshot it is going back to.
    pub reverting_to: Option<SnapshotId>,
    /// The snapshots, each after the one it was taken after.
    pub snapshots: Vec<SnapshotView>,
    /// Layers of deleted snapshots that are still there.
    pub debt: Vec<LayerDebt>,
    /// Most layers one over the other of a disk.
    pub chain: usize,
    /// How many there may be.
    pub chain_max: usize,
}

/// A snapshot with what it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotView {
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// Bytes that its layers take on disk: what was written between the snapshot before and this one.
    pub size_bytes: Option<u64>,
    /// How many branchings of the tree are before it.
    pub depth: usize,
    /// What of the machine's hardware of that time is not there any more, in words; a clone does without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
    /// Names of the disks that were attached after it was taken: going back to it detaches them, and their volumes stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detaches: Vec<String>,
}

/// A layer that no snapshot needs and that is still there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LayerDebt {
    /// The disk.
    pub volume: VolumeId,
    /// Its name.
    pub volume_name: String,
    /// The layer.
    pub layer: LayerId,
    /// Bytes it takes on disk.
    pub size_bytes: Option<u64>,
    /// How many layers are directly over it.
    pub branches: usize,
    /// Why it is still there.
    pub reason: String,
}
