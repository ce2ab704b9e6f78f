//! The terminal's modes, put back when the guard goes.

use nix::sys::termios::{FlushArg, LocalFlags, SetArg, Termios, cfmakeraw, tcflush, tcgetattr, tcsetattr};
use std::io;

/// Keys go through one by one, none of them means a signal.
pub struct RawMode(Option<Termios>);

impl RawMode {
    /// Switches standard input over; does nothing when it is no terminal.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn enter() -> io::Result<Self> {
        let Ok(before) = tcgetattr(io::stdin()) else { return Ok(Self(None)) };
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw)?;
        Ok(Self(Some(before)))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        put_back(self.0.as_ref());
    }
}

/// What is typed does not appear.
pub struct NoEcho(Option<Termios>);

impl NoEcho {
    /// Switches standard input over, dropping what was typed ahead.
    ///
    /// # Errors
    /// It is no terminal, or the terminal refuses: a password must not be asked for then.
    pub fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        quiet.local_flags.insert(LocalFlags::ICANON | LocalFlags::ECHONL);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &quiet)?;
        Ok(Self(Some(before)))
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        put_back(self.0.as_ref());
    }
}

/// Drops what was typed and not read.
pub fn forget_typed() {
    // Without a terminal nothing was typed.
    let _ = tcflush(io::stdin(), FlushArg::TCIFLUSH);
}

fn put_back(before: Option<&Termios>) {
    if let Some(before) = before {
        // The terminal may be gone; then there is nothing to put back.
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, before);
    }
}
