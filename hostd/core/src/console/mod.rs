//! Consoles of machines: a one-time ticket, then a stream of bytes to the screen's or serial port's Unix socket.

mod serial;
mod ticket;

pub(crate) use serial::Serials;
pub(crate) use ticket::Tickets;

use crate::error::virt;
use crate::federation::Ask;
use crate::{ConsoleKind, Core, Ctx, Ticket};
use hostd_types::*;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// A duplex stream of bytes.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open console; a serial one begins with the recent history.
pub struct ConsoleStream {
    /// Which console.
    pub kind: ConsoleKind,
    /// Whose.
    pub vm: VmId,
    /// Its bytes.
    pub io: Box<dyn Duplex>,
}

impl std::fmt::Debug for ConsoleStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsoleStream")
            .field("kind", &self.kind)
            .field("vm", &self.vm)
            .finish_non_exhaustive()
    }
}

impl Core {
    /// A one-time ticket for a console's WebSocket, valid 30 s.
    ///
    /// # Errors
    /// `NotFound`; `WrongState` when the machine is off.
    pub async fn console_ticket(&self, ctx: &Ctx, vm: VmId, console: ConsoleKind) -> Result<Ticket, Problem> {
        self.running(vm).await?;
        Ok(self.0.tickets.issue(vm, console, ctx.actor(self.host())))
    }

    /// Redeems a ticket; an opened console is audited.
    ///
    /// # Errors
    /// `Unauthenticated` when it is unknown, used or expired; `WrongState` when the machine went off meanwhile.
    pub async fn open_console(&self, ticket: &str) -> Result<ConsoleStream, Problem> {
        let (vm, kind, by) = self.0.tickets.redeem(ticket)?;
        let machine = self.running(vm).await?;
        let io = match machine.spec.host == self.host() {
            true => self.console_here(vm, kind).await?,
            false => self.console_there(&machine, kind).await?,
        };
        let action = match kind {
            ConsoleKind::Vnc => "vm.screen",
            ConsoleKind::Serial => "vm.serial",
        };
        let line = command::AuditCommand {
            action: action.into(),
            subject: Some(machine.subject()),
            result: EventResult::Ok,
            detail: "console opened".into(),
        };
        self.audit(by, line).await;
        Ok(ConsoleStream { kind, vm, io })
    }

    /// The console of a machine on this host.
    pub(crate) async fn console_here(&self, vm: VmId, kind: ConsoleKind) -> Result<Box<dyn Duplex>, Problem> {
        let machine = self.running(vm).await?;
        let doing = format!("Opening the console of {}", machine.spec.name);
        let found = self.0.hypervisor.consoles(vm).await.map_err(|error| virt(&doing, error))?;
        Ok(match kind {
            ConsoleKind::Vnc => Box::new(connect(&machine, "screen", found.vnc).await?),
            ConsoleKind::Serial => {
                let socket = found.serial.ok_or_else(|| absent(&machine, "serial port"))?;
                let open = self.0.serials.open(vm, &socket, found.serial_log.as_deref());
                Box::new(open.await.map_err(|error| refused(&machine, "serial port", &error))?)
            }
        })
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
    async fn running(&self, id: VmId) -> Result<Vm, Problem> {
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

async fn connect(vm: &Vm, what: &str, socket: Option<PathBuf>) -> Result<UnixStream, Problem> {
    let socket = socket.ok_or_else(|| absent(vm, what))?;
    UnixStream::connect(&socket).await.map_err(|error| refused(vm, what, &error))
}

fn absent(vm: &Vm, what: &str) -> Problem {
    Problem::wrong_state(format!("{} has no {what} at the moment; it may have just gone off.", vm.spec.name))
}

fn refused(vm: &Vm, what: &str, error: &std::io::Error) -> Problem {
    tracing::warn!(vm = %vm.id, %error, "the {what} can't be reached");
    Problem::new(
        ProblemKind::Unavailable,
        format!("The {what} of {} can't be reached: {error}.", vm.spec.name),
    )
}
