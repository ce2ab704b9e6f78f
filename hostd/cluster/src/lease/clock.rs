//! The clock that leases count by: it goes on while the machine is suspended, and nobody can set it.

use crate::ground::Ground;
use std::time::Duration;

/// A moment by this host's own clock, since the machine was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) Duration);

impl Moment {
    /// Time from `earlier` to here, nothing when that is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

/// Tells the moment.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    /// The kernel's clock since boot.
    Boot,
    /// The runtime's clock, which a simulation moves.
    #[cfg(feature = "simulation")]
    Simulated(tokio::time::Instant),
}

impl Clock {
    pub(crate) fn of(ground: &Ground) -> Self {
        match ground {
            Ground::Threads => Self::Boot,
            #[cfg(feature = "simulation")]
            Ground::Simulated(_) => Self::Simulated(tokio::time::Instant::now()),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        match self {
            Self::Boot => {
                let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
                Moment(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0)))
            }
            #[cfg(feature = "simulation")]
            Self::Simulated(base) => Moment(base.elapsed()),
        }
    }
}
