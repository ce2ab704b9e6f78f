//! Which actions on a machine's power make sense when.

use crate::{PowerAction, VmState};

impl PowerAction {
    /// Every action.
    pub const ALL: [PowerAction; 7] = {
        use PowerAction::*;
        [Start, Shutdown, Reboot, Reset, ForceOff, Pause, Resume]
    };

    /// Whether it makes sense in a state.
    ///
    /// # Errors
    /// What to do instead; the empty text stands for a state that is not known.
    pub const fn possible_in(self, state: VmState) -> Result<(), &'static str> {
        use PowerAction::*;
        match (self, state) {
            (_, VmState::Unknown) => Err(""),
            (Start, VmState::Off | VmState::Crashed) => Ok(()),
            (Start, VmState::Paused) => Err("resume it instead"),
            (Start, VmState::Running) => Err("there is nothing to start"),
            (Start, VmState::Starting) => Err("wait until it runs"),
            (Start, VmState::Stopping) => Err("wait until it is off"),
            (Shutdown | Reboot | Reset | Pause, VmState::Running) | (Reset, VmState::Paused) => Ok(()),
            (Shutdown | Reboot | Reset | Pause, VmState::Off | VmState::Crashed) => Err("start it first"),
            (Pause, VmState::Paused) => Err("it is frozen already"),
            (Shutdown | Reboot, VmState::Paused) => Err("resume it first, or force it off"),
            (Shutdown | Reboot | Reset | Pause, VmState::Starting) => {
                Err("wait until it runs, or force it off")
            }
            (Shutdown | Reboot | Reset | Pause, VmState::Stopping) => {
                Err("wait until it is off, or force it off")
            }
            (Resume, VmState::Paused) => Ok(()),
            (Resume, VmState::Off | VmState::Crashed) => Err("start it instead"),
            (Resume, VmState::Running | VmState::Starting | VmState::Stopping) => {
                Err("only a paused machine resumes")
            }
            (ForceOff, VmState::Running | VmState::Paused | VmState::Starting | VmState::Stopping) => Ok(()),
            (ForceOff, VmState::Off | VmState::Crashed) => Err("there is nothing to force off"),
        }
    }
}
