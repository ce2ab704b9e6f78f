//! One-time tickets: they stand in for the session where a browser can't send more than an address.

use crate::access::{hash_secret, random_secret};
use crate::{ConsoleKind, ConsoleMode, Ticket};
use hostd_types::*;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Seconds a ticket is valid.
const VALID_S: i64 = 30;
/// Tickets that may wait at the same time; the oldest go first.
const WAITING_MAX: usize = 1000;

#[derive(Debug)]
struct Waiting {
    vm: VmId,
    console: ConsoleKind,
    mode: ConsoleMode,
    by: Actor,
    until: Instant,
}

/// Tickets not redeemed yet, by the hash of their text.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<HashMap<SecretHash, Waiting>>);

impl Tickets {
    /// Makes a ticket for `by`.
    pub fn issue(&self, vm: VmId, console: ConsoleKind, mode: ConsoleMode, by: Actor) -> Ticket {
        let now = Instant::now();
        let until = now + Duration::from_secs(VALID_S.unsigned_abs());
        let secret = random_secret();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, ticket| ticket.until > now);
        if waiting.len() >= WAITING_MAX {
            let oldest = waiting.iter().min_by_key(|(_, ticket)| ticket.until).map(|(hash, _)| hash.clone());
            oldest.and_then(|hash| waiting.remove(&hash));
        }
        waiting.insert(hash_secret(secret.reveal()), Waiting { vm, console, mode, by, until });
        Ticket { ticket: secret.reveal().to_owned(), expires_at: Timestamp::now().plus_seconds(VALID_S) }
    }

    /// Uses a ticket up; tells whose it was.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub fn redeem(&self, ticket: &str) -> Result<(VmId, ConsoleKind, ConsoleMode, Actor), Problem> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash_secret(ticket));
        match found {
            Some(Waiting { vm, console, mode, by, until }) if until > Instant::now() => {
                Ok((vm, console, mode, by))
            }
            Some(_) | None => {
                let detail = "This console's ticket was used or has expired; open the console again.";
                Err(Problem::new(ProblemKind::Unauthenticated, detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_one_console_once() {
        let (tickets, vm) = (Tickets::default(), VmId::new());
        let ticket = tickets.issue(vm, ConsoleKind::Serial, ConsoleMode::Take, Actor::Console).ticket;
        assert_eq!(
            tickets.redeem(&ticket).expect("first"),
            (vm, ConsoleKind::Serial, ConsoleMode::Take, Actor::Console)
        );
        assert_eq!(tickets.redeem(&ticket).expect_err("second").kind, ProblemKind::Unauthenticated);
        tickets.redeem("guess").expect_err("unknown");
        let late = tickets.issue(vm, ConsoleKind::Vnc, ConsoleMode::Watch, Actor::Console).ticket;
        for waiting in tickets.0.lock().expect("lock").values_mut() {
            waiting.until = Instant::now();
        }
        tickets.redeem(&late).expect_err("expired");
        for _ in 0..WAITING_MAX + 5 {
            tickets.issue(vm, ConsoleKind::Vnc, ConsoleMode::Watch, Actor::Console);
        }
        assert_eq!(tickets.0.lock().expect("lock").len(), WAITING_MAX);
    }
}
