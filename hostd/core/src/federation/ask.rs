//! What hosts ask each other: to do something with what is on them, and what only they can see.

use crate::{Caller, ConsoleKind, ConsoleMode, Core, Ctx, HostView, LogSource, VmDetail};
use hostd_cluster::CarryError;
use hostd_types::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// Time for something to be done: a command waits for a majority.
const DO: Duration = Duration::from_secs(20);
/// Time for a look. A page must not wait for a host that is gone.
pub(super) const LOOK: Duration = Duration::from_millis(1500);

/// One question or request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Admit and propose a command about something on the asked host, as it would for its own caller.
    Submit {
        /// Who asks.
        asker: Box<Asker>,
        /// What.
        command: Box<Command>,
    },
    /// Where others are; and the asked host learns where the asking one is.
    Knock,
    /// The time by the asked host's clock.
    Clock,
    /// What the host sees of itself.
    HostView,
    /// What is on its buses.
    HostDevices,
    /// Its load.
    HostSamples,
    /// A machine on it.
    VmDetail(VmId),
    /// That machine's load.
    VmSamples(VmId),
    /// Its last two minutes, by the second.
    VmSeconds(VmId),
    /// The day of that machine's load.
    VmHistory(VmId),
    /// A picture of its screen.
    Screenshot(VmId),
    /// A small and perhaps some seconds old one.
    Thumbnail(VmId),
    /// Who is at its consoles.
    Viewers(VmId),
    /// What libvirt has of it.
    VmXml(VmId),
    /// The end of one of its logs.
    VmLog {
        /// The machine.
        vm: VmId,
        /// Which log.
        source: LogSource,
        /// How many lines.
        lines: u32,
    },
    /// Change what one of them does.
    Seat {
        /// The machine.
        vm: VmId,
        /// Which console.
        console: ConsoleKind,
        /// Who.
        viewer: ViewerId,
        /// What from now on.
        mode: ConsoleMode,
    },
    /// A volume's view.
    Volume(VolumeId),
    /// The snapshots of a machine.
    Snapshots(VmId),
    /// Machines that Quantix did not make.
    Discovered,
    /// An image's view.
    Image(ImageId),
    /// A network's view.
    Network(NetworkId),
    /// How far a task is.
    Progress(TaskId),
}

/// A caller that another host has proved.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Asker {
    caller: AskerKind,
    request: Option<RequestId>,
    address: Option<IpAddr>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // one a request, never kept
enum AskerKind {
    User { user: User, session: Option<Session>, token: Option<Token> },
    Console,
    Host,
}

impl Asker {
    /// The caller of `ctx`.
    pub fn of(ctx: &Ctx) -> Self {
        let caller = match &ctx.caller {
            Caller::User { user, session, token } => {
                AskerKind::User { user: user.clone(), session: session.clone(), token: token.clone() }
            }
            Caller::Console => AskerKind::Console,
            Caller::Host => AskerKind::Host,
        };
        Self { caller, request: ctx.request, address: ctx.address }
    }

    /// The caller, as this host's own.
    pub fn ctx(self) -> Ctx {
        let caller = match self.caller {
            AskerKind::User { user, session, token } => Caller::User { user, session, token },
            AskerKind::Console => Caller::Console,
            AskerKind::Host => Caller::Host,
        };
        Ctx { caller, request: self.request, address: self.address }
    }
}

impl Ask {
    /// Answers what another member asked.
    pub async fn answer(core: &Core, from: NodeId, body: &[u8]) -> Vec<u8> {
        let answer = match serde_json::from_slice::<Ask>(body) {
            Ok(ask) => ask.carry_out(core).await,
            Err(error) => {
                tracing::warn!(%from, %error, "a member asked something that can't be read");
                let detail = "The other host runs a version that does not know this. Update it.";
                Err(Problem::new(ProblemKind::Unsupported, detail))
            }
        };
        serde_json::to_vec(&answer).unwrap_or_default()
    }

    async fn carry_out(self, core: &Core) -> Result<serde_json::Value, Problem> {
        match self {
            Ask::Submit { asker, command } => value(&core.submit_here(&asker.ctx(), *command).await?),
            Ask::Knock => value(&core.whereabouts().await?),
            Ask::Clock => value(&Timestamp::now()),
            Ask::HostView => value(&core.host_view(core.host()).await?),
            Ask::HostDevices => value(&core.own_devices(None).await?),
            Ask::HostSamples => value(&core.own_samples()),
            Ask::VmDetail(id) => value(&core.vm_detail(id).await?),
            Ask::VmSamples(id) => value(&core.own_vm_samples(id)),
            Ask::VmSeconds(id) => value(&core.own_vm_seconds(id)),
            Ask::VmHistory(id) => value(&core.own_vm_history(id).await?),
            Ask::Screenshot(id) => value(&core.screenshot(&Ctx::host(), id).await?),
            Ask::Thumbnail(id) => value(&core.thumbnail(id).await?),
            Ask::Viewers(id) => value(&core.viewers(id).await?),
            Ask::VmXml(id) => value(&core.vm_xml(id).await?),
            Ask::VmLog { vm, source, lines } => value(&core.vm_log(vm, source, lines).await?),
            Ask::Seat { vm, console, viewer, mode } => value(&core.0.viewers.set(vm, console, viewer, mode)?),
            Ask::Volume(id) => value(&core.volume(id).await?),
            Ask::Snapshots(id) => value(&core.snapshots(id).await?),
            Ask::Discovered => value(&core.own_discovered().await?),
            Ask::Image(id) => value(&core.image(id).await?),
            Ask::Network(id) => value(&core.network(id).await?),
            Ask::Progress(id) => value(&core.0.live.progress(id)),
        }
    }

    const fn within(&self) -> Duration {
        match self {
            Ask::Submit { .. }
            | Ask::Screenshot(_)
            | Ask::Thumbnail(_)
            | Ask::VmXml(_)
            | Ask::Seat { .. } => DO,
            Ask::Knock
            | Ask::Viewers(_)
            | Ask::VmLog { .. }
            | Ask::Clock
            | Ask::HostView
            | Ask::HostDevices
            | Ask::HostSamples
            | Ask::VmDetail(_)
            | Ask::VmSamples(_)
            | Ask::VmSeconds(_)
            | Ask::VmHistory(_)
            | Ask::Snapshots(_)
            | Ask::Discovered
            | Ask::Volume(_)
            | Ask::Image(_)
            | Ask::Network(_)
            | Ask::Progress(_) => LOOK,
        }
    }
}

fn value(answer: &impl Serialize) -> Result<serde_json::Value, Problem> {
    serde_json::to_value(answer).map_err(|e| crate::error::internal("The answer can't be written", e))
}

impl Core {
    /// Asks the host `of`, which must be another one.
    ///
    /// # Errors
    /// Its refusal; `Unavailable` when it does not answer.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, of: HostId, ask: &Ask) -> Result<T, Problem> {
        let host = self.store().host(of).await?.ok_or_else(|| Problem::not_found("host", of))?;
        let name = &host.spec.name;
        let node = host.spec.node.ok_or_else(|| silent(name, "it is not a member yet"))?;
        let body = serde_json::to_vec(ask)
            .map_err(|error| crate::error::internal("The question can't be written", error))?;
        let answer = self.0.wire.ask(node, &body, ask.within()).await.map_err(|error| match error {
            CarryError::Unreachable(_) => silent(name, "it does not answer"),
            CarryError::Removed(_) => crate::standing::removed_here(),
            CarryError::Refused(why) => silent(name, &why),
        })?;
        let unreadable = |e| crate::error::internal(&format!("The answer of {name} can't be read"), e);
        let answer: Result<serde_json::Value, Problem> =
            serde_json::from_slice(&answer).map_err(unreadable)?;
        serde_json::from_value(answer?).map_err(unreadable)
    }

    /// Lets the host `of` do it.
    pub(crate) async fn submit_to(
        &self,
        of: HostId,
        ctx: &Ctx,
        command: Command,
    ) -> Result<Outcome, Problem> {
        let ask = Ask::Submit { asker: Box::new(Asker::of(ctx)), command: Box::new(command) };
        let outcome: Outcome = self.ask(of, &ask).await?;
        self.catch_up(outcome.index).await;
        Ok(outcome)
    }

    /// Waits until the change `index`, made elsewhere, is seen here: whoever reads here next must see it.
    pub(crate) async fn catch_up(&self, index: u64) {
        let mut revision = self.0.cluster.revision();
        let _ = tokio::time::timeout(LOOK, revision.wait_for(|at| *at >= index)).await;
    }

    /// What the host `of` sees of something on it. `None` when that is this host, or does not tell: then there is still what
    /// the rows say.
    pub(crate) async fn seen_there<T: DeserializeOwned>(&self, of: HostId, ask: &Ask) -> Option<T> {
        if of == self.host() {
            return None;
        }
        let seen = self.ask(of, ask).await;
        seen.inspect_err(|problem| tracing::debug!(%problem, host = %of, "another host does not tell")).ok()
    }

    /// What another host sees of one of its machines.
    pub(crate) async fn vm_detail_there(&self, host: HostId, id: VmId) -> Result<VmDetail, Problem> {
        self.ask(host, &Ask::VmDetail(id)).await
    }

    /// What another host sees of itself.
    pub(crate) async fn host_view_there(&self, host: HostId) -> Result<HostView, Problem> {
        self.ask(host, &Ask::HostView).await
    }
}

fn silent(name: &str, why: &str) -> Problem {
    let detail =
        format!("{name} can't be reached: {why}. What is on it can be seen and changed when it is back.");
    Problem::new(ProblemKind::Unavailable, detail).retry_after(5)
}
