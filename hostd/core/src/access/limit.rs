//! Slows down guessing: after a few failures an address must wait longer and longer, and so must a name at it. What one
//! address does never delays another, nor the host itself: a stranger can't lock the administrator out.

use hostd_types::{Problem, ProblemKind};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures without any delay.
const FREE: u32 = 5;
/// Longest delay of an address.
const ADDRESS_MAX: Duration = Duration::from_secs(900);
/// Longest delay of a name at one address or on the host itself: short, for people share addresses and consoles.
const NAME_MAX: Duration = Duration::from_secs(30);
/// Failures are forgotten after this time without another.
const FORGET: Duration = Duration::from_secs(3600);
/// Addresses and names remembered.
const KEYS_MAX: usize = 10_000;
/// Failed logins written to the audit trail per minute; the rest are counted in the log only.
const AUDITED_PER_MINUTE: u32 = 30;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    /// A name at an address; without one, on the host itself.
    Name(String, Option<IpAddr>),
}

/// What counts as one address: of IPv6 the first 64 bits, which one subscriber owns whole.
pub(crate) fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & (u128::MAX << 64)).into()),
    }
}

/// A name as it is remembered: cut, letter case ignored.
fn folded(name: &str) -> String {
    name.chars().take(hostd_types::name::NAME_MAX).collect::<String>().to_lowercase()
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn wait(&self, most: Duration, now: Instant) -> Duration {
        let Some(over) = self.count.checked_sub(FREE) else { return Duration::ZERO };
        let delay = Duration::from_secs(1u64 << over.min(10)).min(most);
        (self.last + delay).saturating_duration_since(now)
    }
}

#[derive(Debug)]
struct Table {
    failures: HashMap<Key, Failures>,
    audited: (Instant, u32),
}

/// Counts failed attempts.
#[derive(Debug)]
pub(crate) struct Limiter {
    table: Mutex<Table>,
}

impl Default for Limiter {
    fn default() -> Self {
        let table = Table { failures: HashMap::new(), audited: (Instant::now(), 0) };
        Self { table: Mutex::new(table) }
    }
}

/// An attempt that counts as failed until it says otherwise, so that attempts at the same moment count, too.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    limiter: &'a Limiter,
    keys: Vec<Key>,
}

impl Attempt<'_> {
    /// The password was right: earlier failures are forgotten.
    pub fn succeeded(self) {
        let mut table = self.limiter.table();
        for key in &self.keys {
            table.failures.remove(key);
        }
    }
}

impl Limiter {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an attempt for `name` from `address`; none is the host itself.
    ///
    /// # Errors
    /// `TooMany` with the seconds to wait.
    pub fn attempt(&self, name: &str, address: Option<IpAddr>) -> Result<Attempt<'_>, Problem> {
        self.attempt_at(name, address, Instant::now())
    }

    fn attempt_at(&self, name: &str, address: Option<IpAddr>, now: Instant) -> Result<Attempt<'_>, Problem> {
        let address = address.map(origin);
        let mut keys = vec![Key::Name(folded(name), address)];
        keys.extend(address.map(Key::Address));
        let mut table = self.table();
        let wait = keys
            .iter()
            .filter_map(|key| {
                let most = match key {
                    Key::Address(_) => ADDRESS_MAX,
                    Key::Name(..) => NAME_MAX,
                };
                table.failures.get(key).map(|failures| failures.wait(most, now))
            })
            .max()
            .unwrap_or_default();
        if !wait.is_zero() {
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            let detail = format!("Too many failed attempts; try again in {seconds} s.");
            return Err(Problem::new(ProblemKind::TooMany, detail).retry_after(seconds));
        }
        if table.failures.len() + keys.len() > KEYS_MAX {
            table.failures.retain(|_, failures| now.saturating_duration_since(failures.last) < FORGET);
            if table.failures.len() + keys.len() > KEYS_MAX {
                table.failures.clear();
            }
        }
        for key in &keys {
            let failures = table.failures.entry(key.clone()).or_insert(Failures { count: 0, last: now });
            if now.saturating_duration_since(failures.last) >= FORGET {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
        }
        Ok(Attempt { limiter: self, keys })
    }

    /// Forgets the failures of a name, and those of the addresses it was tried from.
    pub fn forget(&self, name: &str) {
        let name = folded(name);
        let mut table = self.table();
        let tried = |key: &Key| match key {
            Key::Name(known, address) if *known == name => Some(*address),
            Key::Name(..) | Key::Address(_) => None,
        };
        let from: Vec<Option<IpAddr>> = table.failures.keys().filter_map(tried).collect();
        for address in from {
            table.failures.remove(&Key::Name(name.clone(), address));
            if let Some(address) = address {
                table.failures.remove(&Key::Address(address));
            }
        }
    }

    /// One more failure may go to the audit trail.
    pub fn may_audit(&self) -> bool {
        let mut table = self.table();
        if table.audited.0.elapsed() >= Duration::from_secs(60) {
            table.audited = (Instant::now(), 0);
        }
        table.audited.1 += 1;
        table.audited.1 <= AUDITED_PER_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_five_failures_the_delay_grows_and_a_success_resets() {
        let limiter = Limiter::default();
        let from = |last| Some(IpAddr::from([192, 0, 2, last]));
        let mut now = Instant::now();
        for _ in 0..FREE {
            limiter.attempt_at("admin", from(1), now).expect("free");
        }
        let problem = limiter.attempt_at("admin", from(1), now).expect_err("wait");
        assert_eq!((problem.kind, problem.retry_after), (ProblemKind::TooMany, Some(2)));
        limiter.attempt_at("other", from(1), now).expect_err("the address waits");
        limiter.attempt_at("ADMIN", from(2), now).expect("another address does not").succeeded();
        limiter.attempt_at("admin", None, now).expect("nor does the host itself").succeeded();
        now += Duration::from_secs(2);
        limiter.attempt_at("admin", from(1), now).expect("after the delay");
        now += Duration::from_secs(1);
        limiter.attempt_at("admin", from(1), now).expect_err("the delay doubled");
        now += Duration::from_secs(2);
        limiter.attempt_at("admin", from(1), now).expect("again").succeeded();
        limiter.attempt_at("admin", from(1), now).expect("reset");
    }

    #[test]
    fn the_host_itself_waits_for_its_own_failures_alone() {
        let limiter = Limiter::default();
        let now = Instant::now();
        for n in 0..200u8 {
            for _ in 0..20 {
                let _ = limiter.attempt_at("admin", Some(IpAddr::from([192, 0, 2, n])), now);
            }
        }
        for _ in 0..FREE {
            limiter.attempt_at("Admin", None, now).expect("free");
        }
        limiter.attempt_at("admin", None, now).expect_err("its own failures count");
        limiter.forget("admin");
        limiter.attempt_at("admin", None, now).expect("forgotten");
        limiter.attempt_at("admin", Some(IpAddr::from([192, 0, 2, 1])), now).expect("forgotten");
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_address() {
        let limiter = Limiter::default();
        let now = Instant::now();
        let from = |net, host| Some(IpAddr::from([0x2001, 0xdb8, 0, net, 0, 0, 0, host]));
        for host in 0..6 {
            let _ = limiter.attempt_at("admin", from(1, host), now);
        }
        limiter.attempt_at("other", from(1, 99), now).expect_err("the same network");
        limiter.attempt_at("admin", from(2, 1), now).expect("another network");
    }

    #[test]
    fn a_name_waits_at_most_half_a_minute_and_memory_is_bounded() {
        let limiter = Limiter::default();
        let mut now = Instant::now();
        for _ in 0..40 {
            now += NAME_MAX + Duration::from_secs(1);
            limiter.attempt_at("admin", None, now).expect("at most half a minute");
        }
        for n in 0..2 * KEYS_MAX {
            let _ = limiter.attempt_at(&format!("user{n}"), None, now);
        }
        assert!(limiter.table().failures.len() <= KEYS_MAX);
        let audited = (0..1000).filter(|_| limiter.may_audit()).count();
        assert_eq!(audited, AUDITED_PER_MINUTE as usize);
    }
}
