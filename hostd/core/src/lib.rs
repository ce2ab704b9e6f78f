//! Everything the product does.
#![allow(missing_docs, clippy::todo, unused_variables, dead_code)]
use hostd_types::*;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast;

mod ctx;
mod secret;
mod settings;
mod view;

pub use ctx::{Caller, Ctx};
pub use hostd_cluster::ClusterHealth;
pub use secret::Secret;
pub use settings::Settings;
pub use view::*;

#[derive(Clone)]
pub struct Core(Arc<()>);

impl Core {
    /// Opens the state, makes the first administrator and default network at first start, starts the reconcilers.
    pub async fn start(settings: Settings) -> Result<Self, Problem> { todo!() }
    pub async fn shutdown(&self) { todo!() }
    pub fn host(&self) -> HostId { todo!() }
    pub fn settings(&self) -> &Settings { todo!() }

    // ---- the one write door
    /// Authorizes, admits and proposes; refusals are audited. Handlers build `command` with ids from `XId::new()`.
    pub async fn submit(&self, ctx: &Ctx, command: Command) -> Result<Outcome, Problem> { todo!() }

    // ---- access
    pub async fn login(&self, credentials: &Credentials, address: Option<IpAddr>, agent: &str) -> Result<(Session, User, Secret), Problem> { todo!() }
    /// Session cookie's secret -> who; refreshes last-seen locally; None when unknown, idle too long or expired.
    pub async fn session(&self, secret: &str) -> Result<Option<(Session, User)>, Problem> { todo!() }
    pub async fn token(&self, secret: &str) -> Result<Option<(Token, User)>, Problem> { todo!() }
    pub async fn create_token(&self, ctx: &Ctx, body: &CreateToken) -> Result<NewToken, Problem> { todo!() }
    pub async fn change_password(&self, ctx: &Ctx, current: &str, new: &str) -> Result<(), Problem> { todo!() }
    /// Console only: a new generated password for the administrator.
    pub async fn reset_password(&self, ctx: &Ctx) -> Result<(String, Secret), Problem> { todo!() }
    /// Name and generated password while it is unchanged and known (first boot, or live mode).
    pub async fn initial_password(&self) -> Option<(String, Secret)> { todo!() }

    // ---- queries (store joined with what is observed now)
    pub async fn vms(&self, list: &ListParams) -> Result<Page<Vm>, Problem> { todo!() }
    pub async fn vm(&self, id: VmId) -> Result<Vm, Problem> { todo!() }
    /// By id or by name.
    pub async fn find_vm(&self, text: &str) -> Result<Vm, Problem> { todo!() }
    pub async fn vm_detail(&self, id: VmId) -> Result<VmDetail, Problem> { todo!() }
    pub async fn vm_counts(&self) -> Result<std::collections::BTreeMap<String, u64>, Problem> { todo!() }
    pub async fn volumes(&self, list: &ListParams) -> Result<Page<VolumeView>, Problem> { todo!() }
    pub async fn volume(&self, id: VolumeId) -> Result<VolumeView, Problem> { todo!() }
    pub async fn images(&self, list: &ListParams) -> Result<Page<ImageView>, Problem> { todo!() }
    pub async fn image(&self, id: ImageId) -> Result<ImageView, Problem> { todo!() }
    pub async fn networks(&self, list: &ListParams) -> Result<Page<NetworkView>, Problem> { todo!() }
    pub async fn network(&self, id: NetworkId) -> Result<NetworkView, Problem> { todo!() }
    /// Tasks of this host carry `progress`.
    pub async fn tasks(&self, list: &ListParams) -> Result<Page<Task>, Problem> { todo!() }
    pub async fn task(&self, id: TaskId) -> Result<Task, Problem> { todo!() }
    pub async fn events(&self, list: &ListParams, subject: Option<&str>) -> Result<Page<Event>, Problem> { todo!() }
    pub async fn tokens(&self, ctx: &Ctx) -> Result<Vec<Token>, Problem> { todo!() }
    pub async fn hosts(&self) -> Result<Vec<Host>, Problem> { todo!() }
    pub async fn host_view(&self, id: HostId) -> Result<HostView, Problem> { todo!() }
    /// Newest last, one point every 5 s, the last 30 minutes.
    pub fn host_samples(&self) -> Vec<HostSample> { todo!() }
    pub fn vm_samples(&self, vm: VmId) -> Vec<VmSample> { todo!() }
    /// Conditions every page shows on top: live mode, libvirt down, clock jumped back, initial password, pool nearly full.
    pub async fn notices(&self) -> Vec<Notice> { todo!() }
    /// State changes (after commit) and volatile ones (`index` 0: task progress, samples).
    pub fn changes(&self) -> broadcast::Receiver<Change> { todo!() }

    // ---- uploads
    /// Starts an upload (command + task). The caller feeds it; dropping it unfinished aborts, removes the file, fails the task.
    pub async fn upload(&self, ctx: &Ctx, request: UploadRequest) -> Result<Upload, Problem> { todo!() }

    // ---- consoles
    /// A one-time ticket for the WebSocket, valid 30 s.
    pub async fn console_ticket(&self, ctx: &Ctx, vm: VmId, console: ConsoleKind) -> Result<Ticket, Problem> { todo!() }
    /// Redeems it. `Err(Unauthenticated)` when unknown, used or expired.
    pub async fn open_console(&self, ticket: &str) -> Result<ConsoleStream, Problem> { todo!() }
    /// PNG.
    pub async fn screenshot(&self, ctx: &Ctx, vm: VmId) -> Result<Vec<u8>, Problem> { todo!() }
}

#[derive(Debug, Clone)]
pub struct UploadRequest { pub name: String, pub description: String, pub announced_bytes: Option<u64>, pub expected_sha256: Option<String> }
pub struct Upload { pub image: ImageId, pub task: TaskId }
impl Upload {
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), Problem> { todo!() }
    /// Checks, renames, reports ready.
    pub async fn finish(self) -> Result<Image, Problem> { todo!() }
    /// Removes the file and fails the task with `problem`.
    pub async fn fail(self, problem: Problem) { todo!() }
}

/// Duplex bytes; a serial console begins with the recent history.
pub struct ConsoleStream { pub kind: ConsoleKind, pub vm: VmId, pub io: Box<dyn Duplex> }
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}
