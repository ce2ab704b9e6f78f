//! A viewer's place at a console, wherever the machine is: who else is there, taking control, and why it ended.

use crate::federation::Ask;
use crate::{ConsoleKind, ConsoleMode, Core, Viewer};
use hostd_types::*;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// How often another host is asked who is at its console.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long a machine that just lost its console may take to be seen off.
const SEEN_OFF_WITHIN: Duration = Duration::from_secs(3);

/// Somebody's place at a console.
#[derive(Debug, Clone)]
pub struct Desk {
    core: Core,
    vm: VmId,
    name: String,
    host: HostId,
    kind: ConsoleKind,
    viewer: ViewerId,
    /// They came by a link, without a login.
    guest: bool,
    told: Vec<Viewer>,
    here: Option<watch::Receiver<Vec<Viewer>>>,
}

impl Desk {
    pub(super) fn new(core: &Core, vm: &Vm, kind: ConsoleKind, viewer: &Viewer) -> Self {
        Self {
            core: core.clone(),
            vm: vm.id,
            name: vm.spec.name.clone(),
            host: vm.spec.host,
            kind,
            viewer: viewer.id,
            guest: viewer.link.is_some(),
            told: Vec::new(),
            here: None,
        }
    }

    /// The machine.
    pub fn vm(&self) -> VmId {
        self.vm
    }

    /// Which of its consoles.
    pub fn kind(&self) -> ConsoleKind {
        self.kind
    }

    /// Who has this place.
    pub fn viewer(&self) -> ViewerId {
        self.viewer
    }

    /// Who is at the console, once that differs from what was answered last; the first time at once. A guest is told no
    /// names.
    pub async fn viewers(&mut self) -> &[Viewer] {
        loop {
            let now = match self.host == self.core.host() {
                true => self.next_here().await,
                false => match self.core.ask(self.host, &Ask::Viewers(self.vm)).await {
                    Ok(crate::ConsoleViewers { screen, serial }) => match self.kind {
                        ConsoleKind::Vnc => screen,
                        ConsoleKind::Serial => serial,
                    },
                    // Its end is told by the stream itself; a version that does not know the question tells nobody.
                    Err(_) => self.told.clone(),
                },
            };
            let now = if self.guest { now.into_iter().map(nameless).collect() } else { now };
            if now != self.told {
                self.told = now;
                return &self.told;
            }
            if self.host != self.core.host() {
                sleep(LOOK_EVERY).await;
            }
        }
    }

    async fn next_here(&mut self) -> Vec<Viewer> {
        match &mut self.here {
            Some(here) => {
                if here.changed().await.is_err() {
                    std::future::pending::<()>().await; // the console ended, which its stream tells
                }
                here.borrow_and_update().clone()
            }
            None => {
                let here = self.core.0.viewers.follow(self.vm, self.kind);
                let now = here.as_ref().map(|here| here.borrow().clone()).unwrap_or_default();
                match here {
                    Some(here) => self.here = Some(here),
                    None => sleep(LOOK_EVERY).await,
                }
                now
            }
        }
    }

    /// Takes control, gives it up, or waits for it.
    ///
    /// # Errors
    /// `Forbidden` when the viewer may only look; `Unavailable` when the machine's host does not answer.
    pub async fn set(&self, mode: ConsoleMode) -> Result<(), Problem> {
        let (vm, console, viewer) = (self.vm, self.kind, self.viewer);
        match self.host == self.core.host() {
            true => self.core.0.viewers.set(vm, console, viewer, mode),
            false => self.core.ask(self.host, &Ask::Seat { vm, console, viewer, mode }).await,
        }
    }

    /// Why the console's stream ended by itself: nothing, when the machine stopped.
    pub async fn why_ended(&self) -> Option<Problem> {
        let name = &self.name;
        let mut left = SEEN_OFF_WITHIN;
        let step = Duration::from_millis(100);
        loop {
            match self.core.vm(self.vm).await {
                Ok(vm) if vm.status.state.is_active() => {}
                Ok(_) | Err(_) => return None,
            }
            if left.is_zero() {
                break;
            }
            left = left.saturating_sub(step);
            sleep(step).await; // between two looks: the reconciler is about to see it
        }
        let detail = match self.host == self.core.host() {
            true => format!(
                "QEMU ended the {} of {name}, or does not answer any more; the machine is not off.",
                self.kind.noun()
            ),
            false => format!(
                "The way to {name} broke: its host does not answer, or QEMU there ended the {}.",
                self.kind.noun()
            ),
        };
        Some(Problem::new(ProblemKind::Unavailable, detail))
    }
}

/// What a guest may know of a viewer: names of logins are nothing for the world.
fn nameless(viewer: Viewer) -> Viewer {
    let who = if viewer.link.is_some() { "a guest" } else { "an administrator" };
    Viewer { who: who.into(), link: None, ..viewer }
}
