//! Consoles of machines: a one-time ticket or a link, then a stream of bytes to the screen's or serial port's Unix socket.
//! Several people may be at one console; one of them controls it.

mod desk;
mod link;
mod relay;
mod rfb;
mod serial;
mod ticket;
mod viewers;

pub use desk::Desk;
pub use link::Redeemed;
pub(crate) use serial::Serials;
pub(crate) use ticket::Tickets;
pub(crate) use viewers::Viewers;

use crate::error::virt;
use crate::federation::Ask;
use crate::{ConsoleKind, ConsoleMode, ConsoleViewers, Core, Ctx, Ticket, Viewer};
use hostd_types::*;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

/// A duplex stream of bytes.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open console; a serial one begins with the recent history.
pub struct ConsoleStream {
    /// Its bytes.
    pub io: Box<dyn Duplex>,
    /// The viewer's place at it.
    pub desk: Desk,
}

impl std::fmt::Debug for ConsoleStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsoleStream").field("desk", &self.desk).finish_non_exhaustive()
    }
}

/// Somebody on their way to a console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entrant {
    /// Who.
    pub viewer: Viewer,
    /// What they want to do there.
    pub mode: ConsoleMode,
}

impl Entrant {
    /// Somebody called `who` who comes now.
    pub fn new(who: String, may_control: bool, mode: ConsoleMode) -> Self {
        let (id, since) = (ViewerId::new(), Timestamp::now());
        let viewer = Viewer { id, who, link: None, since, may_control, controls: false, watching: false };
        Self { viewer, mode }
    }

    /// The same who came by `link`.
    pub fn by_link(mut self, link: ConsoleLinkId) -> Self {
        self.viewer.link = Some(link);
        self
    }
}

impl Core {
    /// A one-time ticket for a console's WebSocket, valid 30 s.
    ///
    /// # Errors
    /// `NotFound`; `WrongState` when the machine is off.
    pub async fn console_ticket(
        &self,
        ctx: &Ctx,
        vm: VmId,
        console: ConsoleKind,
        mode: ConsoleMode,
    ) -> Result<Ticket, Problem> {
        self.running(vm).await?;
        Ok(self.0.tickets.issue(vm, console, mode, ctx.actor(self.host())))
    }

    /// Redeems a ticket; an opened console is audited.
    ///
    /// # Errors
    /// `Unauthenticated` when it is unknown, used or expired; `WrongState` when the machine went off meanwhile;
    /// `Capacity` when too many look already; `Unavailable` when its host or QEMU does not answer.
    pub async fn open_console(&self, ticket: &str) -> Result<ConsoleStream, Problem> {
        let (vm, kind, mode, by) = self.0.tickets.redeem(ticket)?;
        let entrant = Entrant::new(by.to_string(), true, mode);
        self.enter(vm, kind, entrant, by, "console opened".into()).await
    }

    async fn enter(
        &self,
        vm: VmId,
        kind: ConsoleKind,
        entrant: Entrant,
        by: Actor,
        detail: String,
    ) -> Result<ConsoleStream, Problem> {
        let machine = self.running(vm).await?;
        let desk = Desk::new(self, &machine, kind, &entrant.viewer);
        let io: Box<dyn Duplex> = match machine.spec.host == self.host() {
            true => Box::new(self.console_here(vm, kind, entrant).await?),
            false => self.console_there(&machine, kind, entrant).await?,
        };
        let action = match kind {
            ConsoleKind::Vnc => "vm.screen",
            ConsoleKind::Serial => "vm.serial",
        };
        let subject = Some(machine.subject());
        let line = command::AuditCommand { action: action.into(), subject, result: EventResult::Ok, detail };
        self.audit(by, line).await;
        Ok(ConsoleStream { io, desk })
    }

    /// The console of a machine on this host.
    pub(crate) async fn console_here(
        &self,
        vm: VmId,
        kind: ConsoleKind,
        Entrant { viewer, mode }: Entrant,
    ) -> Result<DuplexStream, Problem> {
        let machine = self.running(vm).await?;
        let doing = format!("Opening the console of {}", machine.spec.name);
        let found = self.0.hypervisor.consoles(vm).await.map_err(|error| virt(&doing, error))?;
        let socket = match kind {
            ConsoleKind::Vnc => found.vnc,
            ConsoleKind::Serial => found.serial,
        };
        let socket = socket.ok_or_else(|| absent(&machine, kind))?;
        // Before anything is connected: who finds no place costs QEMU nothing.
        let seat = self.0.viewers.enter((vm, kind), &machine.spec.name, viewer, mode)?;
        let failed = |error| refused(&machine, kind, &error);
        match kind {
            ConsoleKind::Vnc => {
                let (theirs, work) = relay::screen(relay::greet(&socket).await.map_err(failed)?, seat);
                self.carry(work);
                Ok(theirs)
            }
            ConsoleKind::Serial => {
                let port = self.0.serials.open(vm, &socket, found.serial_log.as_deref().map(Path::new));
                let (theirs, work) = relay::serial(port.await.map_err(failed)?, seat);
                self.carry(work);
                Ok(theirs)
            }
        }
    }

    fn carry(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        self.0.tracker.spawn(async move { stop.run_until_cancelled(work).await });
    }

    /// Who is at the consoles of a machine.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when its host does not answer.
    pub async fn viewers(&self, vm: VmId) -> Result<ConsoleViewers, Problem> {
        let host = self.vm(vm).await?.spec.host;
        match host == self.host() {
            true => Ok(self.0.viewers.of(vm)),
            false => self.ask(host, &Ask::Viewers(vm)).await,
        }
    }

    /// The screen as PNG.
    ///
    /// # Errors
    /// `WrongState` when the machine is off, `Unavailable` when it shows nothing.
    pub async fn screenshot(&self, _ctx: &Ctx, vm: VmId) -> Result<Vec<u8>, Problem> {
        let machine = self.running(vm).await?;
        if machine.spec.host != self.host() {
            return self.ask(machine.spec.host, &Ask::Screenshot(vm)).await;
        }
        let doing = format!("Taking a picture of {}", machine.spec.name);
        self.0.hypervisor.screenshot(vm).await.map_err(|error| virt(&doing, error))
    }

    /// The machine, if it has a screen now.
    pub(crate) async fn running(&self, id: VmId) -> Result<Vm, Problem> {
        let vm = self.vm(id).await?;
        let state = vm.status.state;
        let hint = match state {
            VmState::Running | VmState::Paused | VmState::Stopping => return Ok(vm),
            VmState::Off | VmState::Crashed => "start it to see its console",
            VmState::Starting => "wait until it runs",
            VmState::Unknown => "libvirt does not answer; try again when it does",
        };
        Err(Problem::wrong_state(format!("{} is {}: {hint}.", vm.spec.name, state.as_str())))
    }
}

fn absent(vm: &Vm, kind: ConsoleKind) -> Problem {
    let (name, what) = (&vm.spec.name, kind.noun());
    Problem::wrong_state(format!("{name} has no {what} at the moment; it may have just gone off."))
}

fn refused(vm: &Vm, kind: ConsoleKind, error: &io::Error) -> Problem {
    let (name, what) = (&vm.spec.name, kind.noun());
    tracing::warn!(vm = %vm.id, %error, "the {what} can't be reached");
    let detail = match error.kind() {
        io::ErrorKind::TimedOut => format!(
            "QEMU does not answer on the {what} of {name}: it hangs, or waits for storage. The machine's events and its \
             Diagnosis tell more; Force off ends it."
        ),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("The {what} of {name} is gone; the machine just went off.")
        }
        _ => format!("The {what} of {name} can't be reached: {error}."),
    };
    Problem::new(ProblemKind::Unavailable, detail).retry_after(5)
}
