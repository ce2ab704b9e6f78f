//! The replicated log and the SQLite state it produces.
#![allow(missing_docs, clippy::todo, unused_variables, dead_code)]
use hostd_types::*;
use std::path::Path;
use tokio::sync::{broadcast, watch};

/// Failure of the cluster's storage or consensus; `Problem` conversion: NoQuorum/Unavailable/Internal.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("{0}")]
    Open(String),
}

/// Handle; cheap to clone.
#[derive(Clone)]
pub struct Cluster(());

impl Cluster {
    /// Opens (or at first start makes) log.db, state.db and local.db in `dir`; returns when this host can propose.
    pub async fn open(dir: &Path) -> Result<Self, ClusterError> { todo!() }
    /// This host's id, made at first open.
    pub fn host(&self) -> HostId { todo!() }
    /// Replicates and applies; `Err` is the refusal of `apply` (nothing changed) or NoQuorum/Unavailable.
    pub async fn propose(&self, entry: Entry) -> Result<Outcome, Problem> { todo!() }
    pub fn store(&self) -> &Store { todo!() }
    pub fn local(&self) -> &Local { todo!() }
    /// After every apply, one `Change` a row touched.
    pub fn changes(&self) -> broadcast::Receiver<Change> { todo!() }
    /// Index of the last applied entry.
    pub fn revision(&self) -> watch::Receiver<u64> { todo!() }
    pub async fn health(&self) -> ClusterHealth { todo!() }
    pub async fn shutdown(&self) { todo!() }
}

/// Numbers for the host page.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct ClusterHealth { pub last_applied: u64, pub last_log: u64, pub snapshot: u64, pub fsync_p50_ms: f64, pub fsync_p99_ms: f64 }

/// Typed reads of state.db (a pool of read-only connections). Errors are storage failures -> `Problem` Internal.
#[derive(Clone)]
pub struct Store(());

impl Store {
    pub async fn hosts(&self) -> Result<Vec<Host>, Problem> { todo!() }
    pub async fn host(&self, id: HostId) -> Result<Option<Host>, Problem> { todo!() }
    pub async fn vm(&self, id: VmId) -> Result<Option<Vm>, Problem> { todo!() }
    pub async fn vm_named(&self, name: &str) -> Result<Option<Vm>, Problem> { todo!() }
    pub async fn vms(&self, list: &ListParams) -> Result<Page<Vm>, Problem> { todo!() }
    pub async fn vms_on(&self, host: HostId) -> Result<Vec<Vm>, Problem> { todo!() }
    /// Number of machines by `VmState::as_str`.
    pub async fn vm_counts(&self) -> Result<std::collections::BTreeMap<String, u64>, Problem> { todo!() }
    pub async fn volume(&self, id: VolumeId) -> Result<Option<Volume>, Problem> { todo!() }
    pub async fn volumes(&self, list: &ListParams) -> Result<Page<Volume>, Problem> { todo!() }
    pub async fn volumes_on(&self, host: HostId) -> Result<Vec<Volume>, Problem> { todo!() }
    pub async fn volumes_of(&self, vm: VmId) -> Result<Vec<Volume>, Problem> { todo!() }
    pub async fn volumes_over(&self, image: ImageId) -> Result<Vec<Volume>, Problem> { todo!() }
    pub async fn image(&self, id: ImageId) -> Result<Option<Image>, Problem> { todo!() }
    pub async fn image_named(&self, name: &str) -> Result<Option<Image>, Problem> { todo!() }
    pub async fn images(&self, list: &ListParams) -> Result<Page<Image>, Problem> { todo!() }
    pub async fn images_on(&self, host: HostId) -> Result<Vec<Image>, Problem> { todo!() }
    /// Machines with this image in the CD-ROM drive.
    pub async fn vms_with_cdrom(&self, image: ImageId) -> Result<Vec<Vm>, Problem> { todo!() }
    pub async fn network(&self, id: NetworkId) -> Result<Option<Network>, Problem> { todo!() }
    pub async fn networks(&self, list: &ListParams) -> Result<Page<Network>, Problem> { todo!() }
    pub async fn networks_on(&self, host: HostId) -> Result<Vec<Network>, Problem> { todo!() }
    pub async fn vms_on_network(&self, network: NetworkId) -> Result<Vec<Vm>, Problem> { todo!() }
    pub async fn task(&self, id: TaskId) -> Result<Option<Task>, Problem> { todo!() }
    /// Newest first. `state` filters by TaskState::as_str; `q` by subject name.
    pub async fn tasks(&self, list: &ListParams) -> Result<Page<Task>, Problem> { todo!() }
    pub async fn running_tasks_on(&self, host: HostId) -> Result<Vec<Task>, Problem> { todo!() }
    /// Newest first; `subject` = id text of one resource.
    pub async fn events(&self, list: &ListParams, subject: Option<&str>) -> Result<Page<Event>, Problem> { todo!() }
    pub async fn users(&self) -> Result<Vec<User>, Problem> { todo!() }
    pub async fn user(&self, id: UserId) -> Result<Option<User>, Problem> { todo!() }
    pub async fn user_with_password(&self, name: &str) -> Result<Option<(User, PasswordHash)>, Problem> { todo!() }
    pub async fn session_by_secret(&self, secret: &SecretHash) -> Result<Option<(Session, User)>, Problem> { todo!() }
    pub async fn token_by_secret(&self, secret: &SecretHash) -> Result<Option<(Token, User)>, Problem> { todo!() }
    pub async fn tokens(&self, user: UserId) -> Result<Vec<Token>, Problem> { todo!() }
}

/// local.db: facts of this host alone, never replicated.
#[derive(Clone)]
pub struct Local(());

impl Local {
    pub async fn get(&self, key: &str) -> Result<Option<String>, Problem> { todo!() }
    pub async fn put(&self, key: &str, value: &str) -> Result<(), Problem> { todo!() }
}
