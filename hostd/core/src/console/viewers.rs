//! Who is at which console of the machines on this host: several may look, one at a time controls.

use crate::{ConsoleKind, ConsoleMode, ConsoleViewers, Viewer};
use hostd_types::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Most viewers of one console; QEMU itself takes 32.
pub(super) const VIEWERS_MAX: usize = 16;

/// Most places of those who share one link: a page has one, and a second may be opened beside it.
const PER_LINK_MAX: usize = 2;

/// In the order they came.
type Room = Arc<watch::Sender<Vec<Viewer>>>;

/// The consoles somebody is at.
#[derive(Debug, Default)]
pub(crate) struct Viewers(Mutex<HashMap<(VmId, ConsoleKind), Room>>);

/// One viewer's place; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Seat {
    room: Room,
    id: ViewerId,
}

impl Viewers {
    /// Takes a place for `viewer` at a console of the machine called `name`.
    ///
    /// # Errors
    /// `Capacity` when all are taken, or all of the viewer's link.
    pub fn enter(
        &self,
        (vm, kind): (VmId, ConsoleKind),
        name: &str,
        viewer: Viewer,
        mode: ConsoleMode,
    ) -> Result<Seat, Problem> {
        let (id, link) = (viewer.id, viewer.link);
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.retain(|_, room| !room.borrow().is_empty());
        let room = Arc::clone(rooms.entry((vm, kind)).or_default());
        let entered = room.send_if_modified(|viewers| {
            let of_link = viewers.iter().filter(|other| link.is_some() && other.link == link).count();
            if viewers.len() >= VIEWERS_MAX || of_link >= PER_LINK_MAX {
                return false;
            }
            viewers.push(Viewer { controls: false, watching: false, ..viewer });
            set(viewers, id, mode);
            true
        });
        if entered {
            return Ok(Seat { room, id });
        }
        let (what, full) = (kind.noun(), room.borrow().len() >= VIEWERS_MAX);
        let (who, most) = if full { ("", VIEWERS_MAX) } else { (" by this link", PER_LINK_MAX) };
        let detail =
            format!("The {what} of {name} has {most} viewers{who} already; close one of them first.");
        Err(Problem::new(ProblemKind::Capacity, detail))
    }

    /// Who is at the consoles of a machine.
    pub fn of(&self, vm: VmId) -> ConsoleViewers {
        let rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |kind| rooms.get(&(vm, kind)).map(|room| room.borrow().clone()).unwrap_or_default();
        ConsoleViewers { screen: at(ConsoleKind::Vnc), serial: at(ConsoleKind::Serial) }
    }

    /// The list of a console's viewers, as it changes.
    pub fn follow(&self, vm: VmId, kind: ConsoleKind) -> Option<watch::Receiver<Vec<Viewer>>> {
        let rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.get(&(vm, kind)).map(|room| room.subscribe())
    }

    /// Changes what a viewer does there.
    ///
    /// # Errors
    /// `NotFound` when they are gone; `Forbidden` when they may only look.
    pub fn set(
        &self,
        vm: VmId,
        kind: ConsoleKind,
        viewer: ViewerId,
        mode: ConsoleMode,
    ) -> Result<(), Problem> {
        let rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = rooms.get(&(vm, kind)).ok_or_else(|| Problem::not_found("viewer", viewer))?;
        let known = room.borrow().iter().find(|v| v.id == viewer).map(|v| v.may_control);
        match (known, mode) {
            (None, _) => return Err(Problem::not_found("viewer", viewer)),
            (Some(false), ConsoleMode::Control | ConsoleMode::Take) => {
                return Err(Problem::new(ProblemKind::Forbidden, "This link allows looking only."));
            }
            (Some(_), _) => {}
        }
        room.send_if_modified(|viewers| {
            let before = viewers.clone();
            set(viewers, viewer, mode);
            *viewers != before
        });
        Ok(())
    }
}

/// What `id` wants to do from now on. Whoever gives control up, or leaves, hands it to who is there longest and wants it.
fn set(viewers: &mut [Viewer], id: ViewerId, mode: ConsoleMode) {
    let taken = viewers.iter().any(|v| v.controls && v.id != id);
    for viewer in viewers.iter_mut() {
        match mode {
            ConsoleMode::Take => viewer.controls = viewer.id == id && viewer.may_control,
            ConsoleMode::Control if viewer.id == id => viewer.controls = viewer.may_control && !taken,
            ConsoleMode::Watch if viewer.id == id => viewer.controls = false,
            ConsoleMode::Control | ConsoleMode::Watch => {}
        }
        if viewer.id == id {
            viewer.watching = mode == ConsoleMode::Watch;
        }
    }
    hand_on(viewers);
}

fn hand_on(viewers: &mut [Viewer]) {
    if viewers.iter().any(|v| v.controls) {
        return;
    }
    if let Some(next) = viewers.iter_mut().find(|v| v.may_control && !v.watching) {
        next.controls = true;
    }
}

impl Seat {
    /// What this viewer types and clicks reaches the machine.
    pub fn controls(&self) -> bool {
        self.room.borrow().iter().any(|v| v.id == self.id && v.controls)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.send_modify(|viewers| {
            viewers.retain(|v| v.id != self.id);
            hand_on(viewers);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(name: &str, may_control: bool) -> Viewer {
        Viewer {
            id: ViewerId::new(),
            who: name.into(),
            link: None,
            since: Timestamp::from_unix(0),
            may_control,
            controls: false,
            watching: false,
        }
    }

    #[test]
    fn one_controls_and_it_is_taken_given_up_and_handed_on() {
        let (viewers, at) = (Viewers::default(), (VmId::new(), ConsoleKind::Vnc));
        let enter = |name: &str, may, mode| {
            let viewer = viewer(name, may);
            (viewer.id, viewers.enter(at, "web", viewer, mode).expect("a place"))
        };
        let controller = || {
            let list = viewers.of(at.0).screen;
            assert!(list.iter().filter(|v| v.controls).count() <= 1, "{list:?}");
            list.into_iter().find(|v| v.controls).map(|v| v.who)
        };
        let (guest, _guest_seat) = enter("guest", false, ConsoleMode::Take);
        assert_eq!(controller(), None, "who may only look never controls");
        let (ann, ann_seat) = enter("ann", true, ConsoleMode::Control);
        let (bob, bob_seat) = enter("bob", true, ConsoleMode::Control);
        assert!(ann_seat.controls() && !bob_seat.controls(), "who is first");
        viewers.set(at.0, at.1, bob, ConsoleMode::Take).expect("taken");
        assert!(!ann_seat.controls() && bob_seat.controls());
        viewers.set(at.0, at.1, ann, ConsoleMode::Control).expect("waits");
        assert_eq!(controller().as_deref(), Some("bob"), "asking takes nothing away");
        drop(bob_seat);
        assert_eq!(controller().as_deref(), Some("ann"), "handed on");
        viewers.set(at.0, at.1, ann, ConsoleMode::Watch).expect("given up");
        assert_eq!(controller(), None);
        let refusal = viewers.set(at.0, at.1, guest, ConsoleMode::Take).expect_err("looks only");
        assert_eq!(refusal.kind, ProblemKind::Forbidden);
        viewers.set(at.0, at.1, bob, ConsoleMode::Take).expect_err("gone");
        drop(ann_seat);
        assert_eq!(viewers.of(at.0).screen.len(), 1);
    }

    #[test]
    fn a_console_takes_so_many_and_other_consoles_are_others() {
        let (viewers, vm) = (Viewers::default(), VmId::new());
        let enter = |kind| viewers.enter((vm, kind), "web", viewer("ann", true), ConsoleMode::Control);
        let all: Vec<Seat> = (0..VIEWERS_MAX).map(|_| enter(ConsoleKind::Vnc).expect("a place")).collect();
        let problem = enter(ConsoleKind::Vnc).expect_err("full");
        assert_eq!(problem.kind, ProblemKind::Capacity);
        assert!(problem.detail.contains("screen of web"), "{}", problem.detail);
        assert!(enter(ConsoleKind::Serial).expect("another console").controls());
        drop(all);
        enter(ConsoleKind::Vnc).expect("room again");
        let link = Some(ConsoleLinkId::new());
        let by_link = |link| {
            let guest = Viewer { link, ..viewer("a link", true) };
            viewers.enter((vm, ConsoleKind::Vnc), "web", guest, ConsoleMode::Watch)
        };
        let guests: Vec<Seat> = (0..PER_LINK_MAX).map(|_| by_link(link).expect("a place")).collect();
        let problem = by_link(link).expect_err("one link does not fill the room");
        assert!(problem.detail.contains("by this link"), "{}", problem.detail);
        by_link(Some(ConsoleLinkId::new())).expect("another link");
        drop(guests);
    }
}
